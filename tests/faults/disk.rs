//! A disk that is full in the middle of the work: a small file system of our own.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use libtest_mimic::Trial;
use tempfile::TempDir;

use crate::faults::models::{
    CUSTOMERS, is_settled, make, refresh, refresh_cleanly, version_read, with_tables,
};
use crate::faults::{is_whole, load, visible};
use crate::fixtures::files;
use crate::fixtures::process::Running;
use crate::fixtures::trial::{skip, trials};
use crate::fixtures::warehouse::{Warehouse, free_lake};

pub fn trials() -> Vec<Trial> {
    trials!["faults::disk";
        a_load_on_a_full_disk_says_so_and_shows_nothing,
        an_insert_on_a_full_disk_is_53100_and_the_server_lives,
        a_refresh_on_a_full_disk_says_so_and_leaves_the_scores_in_force,
    ]
}

/// A tmpfs in a mount namespace that lives as long as its process: nothing to unmount, root or not.
struct SmallDisk {
    /// As programs in the namespace see it, and as we do.
    inside: PathBuf,
    path: PathBuf,
    enter: Vec<String>,
    // In this order: the process ends before its folder goes.
    _holder: Running,
    _folder: TempDir,
}

impl SmallDisk {
    fn of_megabytes(megabytes: u32) -> Result<SmallDisk> {
        let folder = tempfile::tempdir()?;
        let inside = folder.path().join("disk");
        fs::create_dir(&inside)?;
        let script = format!(
            "mount -t tmpfs -o size={megabytes}m none '{0}' && touch '{0}/ready' && exec sleep 100000",
            inside.display()
        );
        let is_root = Command::new("id").arg("-u").output()?.stdout == b"0\n";
        let (make, join): (&[&str], &[&str]) = match is_root {
            true => (&["-m"], &["-m"]),
            false => (&["-U", "-r", "-m"], &["-U", "-m", "--preserve-credentials"]),
        };
        let mut command = Command::new("unshare");
        command.args(make).args(["sh", "-c", &script]);
        let mut holder = Running::start("unshare", &mut command, &folder.path().join("log"))?;
        let path = PathBuf::from(format!("/proc/{}/root{}", holder.id(), inside.display()));
        let ready = path.join("ready");
        let mounted = holder.wait_until(Duration::from_secs(10), || ready.exists().then_some(()));
        if let Err(error) = mounted {
            let why = error.to_string().replace('\n', " ");
            return skip(format!(
                "no file system of one's own can be mounted here: {why}"
            ));
        }
        fs::remove_file(ready)?;
        let mut enter = vec![
            "nsenter".to_owned(),
            "-t".to_owned(),
            holder.id().to_string(),
        ];
        enter.extend(join.iter().map(|flag| (*flag).to_owned()));
        Ok(SmallDisk {
            inside,
            path,
            enter,
            _holder: holder,
            _folder: folder,
        })
    }

    /// Takes all that is left but so many bytes.
    fn fill_but(&self, bytes: u64) -> Result<()> {
        // Not `df`, which would take the path for a place on the root file system.
        let told = Command::new("stat")
            .args(["-f", "-c", "%a %S"])
            .arg(&self.path)
            .output()?;
        let told = String::from_utf8_lossy(&told.stdout).into_owned();
        let (blocks, size) = told.trim().split_once(' ').context("what stat says")?;
        let free = blocks.parse::<u64>()? * size.parse::<u64>()?;
        fs::write(
            self.path.join("filler"),
            vec![0; free.saturating_sub(bytes) as usize],
        )?;
        Ok(())
    }

    fn empty(&self) -> Result<()> {
        Ok(fs::remove_file(self.path.join("filler"))?)
    }

    /// A warehouse whose lake is on this disk; its catalogue is not.
    fn warehouse(&self) -> Result<Warehouse> {
        let folder = free_lake()?;
        let catalogue = folder.path().join("catalogue").display().to_string();
        let url = self.inside.join("lake").display().to_string();
        let variables = vec![("RAPPORT_CATALOG__DIR".to_owned(), catalogue)];
        let warehouse = Warehouse::at(folder, url, variables)
            .through(self.enter.clone(), self.path.join("lake"));
        warehouse.succeed(["init"])?;
        warehouse.add_user()?;
        Ok(warehouse)
    }
}

fn a_load_on_a_full_disk_says_so_and_shows_nothing() -> Result<()> {
    let disk = SmallDisk::of_megabytes(64)?;
    let warehouse = disk.warehouse()?;
    let source = files::source(warehouse.folder())?;
    let few = files::visits(warehouse.folder(), "few.csv", 0..2_000)?;
    let more = files::visits(warehouse.folder(), "more.csv", 0..60_000)?;
    load(&warehouse, &source, &few)?;
    for room in [0, 4_096, 40_000, 200_000, 600_000] {
        disk.fill_but(room)?;
        let said = warehouse
            .fail(["load".as_ref(), source.as_os_str(), more.as_os_str()])
            .with_context(|| format!("with {room} bytes left"))?;
        ensure!(
            said.contains("full") || said.contains("space"),
            "with {room} bytes left: {said}"
        );
        let seen = visible(&warehouse)?;
        ensure!(
            seen == 2_000,
            "with {room} bytes left {seen} visits became visible"
        );
        disk.empty()?;
        is_whole(&warehouse, 2_000)?;
    }
    load(&warehouse, &source, &more)?;
    is_whole(&warehouse, 60_000)
}

fn an_insert_on_a_full_disk_is_53100_and_the_server_lives() -> Result<()> {
    let disk = SmallDisk::of_megabytes(48)?;
    let server = disk.warehouse()?.serve()?;
    server.ask("CREATE TABLE own (n bigint, t text)")?;
    server.ask("INSERT INTO own VALUES (1, 'x')")?;
    disk.fill_but(0)?;
    let error = server
        .ask("INSERT INTO own SELECT n, md5(n::text) FROM generate_series(1, 200000) AS g(n)");
    let error = error.err().context("an insert on a full disk must fail")?;
    ensure!(format!("{error:#}").contains("53100"), "{error:#}");
    let seen = server.ask("SELECT count(*) FROM own")?;
    ensure!(seen == [["1"]], "{seen:?}");
    disk.empty()?;
    server.ask("INSERT INTO own VALUES (2, 'y')")?;
    let seen = server.ask("SELECT count(*) FROM own")?;
    ensure!(seen == [["2"]], "{seen:?}");
    Ok(())
}

fn a_refresh_on_a_full_disk_says_so_and_leaves_the_scores_in_force() -> Result<()> {
    let disk = SmallDisk::of_megabytes(64)?;
    let warehouse = with_tables(disk.warehouse()?)?;
    make(&warehouse, "worth", "stopping")?;
    let server = warehouse.serve()?;
    let mut refused = 0;
    for room in [0, 4_096, 16_384, 40_000, 100_000, 200_000] {
        let told = || format!("with {room} bytes left");
        let before = version_read(&server, "worth", CUSTOMERS)?;
        disk.fill_but(room)?;
        let done = refresh(server.warehouse(), "worth")?;
        let seen = version_read(&server, "worth", CUSTOMERS).with_context(told)?;
        match done.code {
            Some(0) => ensure!(seen == before + 1, "{}: {done}", told()),
            code => {
                ensure!(code == Some(1), "{}: {done}", told());
                let says_so = done.stderr.contains("full") || done.stderr.contains("space");
                ensure!(says_so, "{}: {done}", told());
                refused += 1;
            }
        }
        disk.empty()?;
        refresh_cleanly(server.warehouse(), "worth").with_context(told)?;
        let next = is_settled(&server, "worth", CUSTOMERS).with_context(told)?;
        ensure!(next > before, "{}: version {next}", told());
    }
    println!("refreshes on a full disk: {refused} of 6 were refused");
    ensure!(refused >= 2, "the disk was never full");
    Ok(())
}
