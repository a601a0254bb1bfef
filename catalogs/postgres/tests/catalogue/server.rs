//! `catalog.url`: an ordinary PostgreSQL in place of the embedded one. Where none is installed, there is nothing to test.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rapport_catalog_postgres::{Catalogue, Config, Error, Place, Settings};
use tempfile::TempDir;

use crate::house::{VERIFIER, ask, check, check_refused};

/// A server with the superuser `postgres`, password "secret", that listens on a socket in its folder.
struct Server {
    dir: TempDir,
    process: Child,
}

impl Server {
    fn start() -> Option<Server> {
        let programs = installed()?;
        let dir = TempDir::new().expect("a temporary folder");
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).expect("a chmod");
        if let Some(user) = nobody() {
            chown(dir.path(), Some(user), None).expect("a chown");
        }
        let password = dir.path().join("password");
        fs::write(&password, "secret").expect("a write");
        let data = dir.path().join("data");
        let made = program(&programs, "initdb")
            .args([
                "-A",
                "scram-sha-256",
                "-U",
                "postgres",
                "--no-sync",
                "-E",
                "UTF8",
                "--locale",
                "C",
            ])
            .arg("--pwfile")
            .arg(password)
            .arg(&data)
            .status();
        assert!(made.expect("initdb runs").success());
        let process = program(&programs, "postgres")
            .arg("-D")
            .arg(data)
            .arg("-k")
            .arg(dir.path())
            .args(["-c", "listen_addresses=", "-c", "fsync=off"])
            .spawn()
            .expect("postgres starts");
        Some(Server { dir, process })
    }

    async fn open(&self, statement_timeout: Duration) -> Catalogue {
        let dir = self
            .dir
            .path()
            .to_str()
            .expect("a plain path")
            .replace('/', "%2F");
        let place = Place::Url(format!("postgres://postgres:secret@{dir}/postgres"));
        let config = Config {
            place,
            statement_timeout,
        };
        let started = Instant::now();
        loop {
            match Catalogue::open(config.clone()).await {
                Err(Error::BadServer { .. }) if started.elapsed() < Duration::from_secs(20) => {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                opened => return opened.expect("the catalogue opens"),
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Debian keeps the programs of each version in a folder of its own.
fn installed() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").ok()?;
    versions
        .filter_map(|entry| Some(entry.ok()?.path().join("bin")))
        .find(|bin| bin.join("initdb").exists())
}

/// PostgreSQL refuses to run as root.
fn nobody() -> Option<u32> {
    use std::os::unix::fs::MetadataExt;
    let is_root = fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0);
    is_root.then_some(65_534)
}

fn program(programs: &Path, name: &str) -> Command {
    let mut command = Command::new(programs.join(name));
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .current_dir("/");
    if let Some(user) = nobody() {
        command.uid(user).gid(user);
    }
    command
}

#[tokio::test]
async fn an_ordinary_postgresql_serves_as_the_catalogue() {
    let Some(server) = Server::start() else {
        return;
    };
    let catalogue = server.open(Duration::from_secs(30)).await;
    catalogue
        .create_role("ann", VERIFIER, false)
        .await
        .expect("a new role");
    assert_eq!(
        catalogue
            .verifier("ann")
            .await
            .expect("an answer")
            .as_deref(),
        Some(VERIFIER)
    );
    check(
        &catalogue,
        "ann",
        "select current_user, session_user",
        &["ann|ann"],
    )
    .await;
    check_refused(
        &catalogue,
        "ann",
        "select set_config('role', 'postgres', true)",
        "42501",
    )
    .await;
    check_refused(
        &catalogue,
        "ann",
        "select pg_read_file('PG_VERSION')",
        "42501",
    )
    .await;
    let ddl = catalogue
        .begin_ddl(
            "ann",
            &Settings::new(),
            "create table t (a int primary key, b text)",
        )
        .await;
    ddl.expect("a table").commit().await.expect("a commit");
    let ddl = catalogue
        .begin_ddl("ann", &Settings::new(), "create view v as select a from t")
        .await;
    ddl.expect("a view").commit().await.expect("a commit");
    let dump = catalogue.dump().await.expect("a dump");
    catalogue.restore(&dump).await.expect("a restore");
    assert_eq!(catalogue.dump().await.expect("a dump"), dump);
    check(&catalogue, "ann", "select count(*) from v", &["0"]).await;
}

#[tokio::test]
async fn a_runaway_query_of_an_ordinary_postgresql_is_cancelled() {
    let Some(server) = Server::start() else {
        return;
    };
    let catalogue = server.open(Duration::from_millis(300)).await;
    catalogue
        .create_role("ann", VERIFIER, false)
        .await
        .expect("a new role");
    let runaway = "select count(*) from pg_attribute a, pg_attribute b, pg_attribute c";
    let refused = ask(&catalogue, "ann", runaway).await;
    assert!(matches!(refused, Err(Error::TimedOut)), "{refused:?}");
    let started = Instant::now();
    let running = "select count(*) from pg_stat_activity where state = 'active' and query like '%pg_attribute a%' and pid <> pg_backend_pid()";
    loop {
        let reply = ask(&catalogue, Catalogue::OWNER, running)
            .await
            .expect("a query");
        if crate::house::text(&reply) == ["0"] {
            break;
        }
        assert!(started.elapsed() < Duration::from_secs(5), "it still runs");
    }
}

#[tokio::test]
async fn a_wrong_password_is_the_servers_own_words() {
    let Some(server) = Server::start() else {
        return;
    };
    server.open(Duration::from_secs(30)).await;
    let dir = server
        .dir
        .path()
        .to_str()
        .expect("a plain path")
        .replace('/', "%2F");
    let place = Place::Url(format!("postgres://postgres:wrong@{dir}/postgres"));
    let refused = Catalogue::open(Config {
        place,
        statement_timeout: Duration::from_secs(1),
    })
    .await;
    let refused = refused.expect_err("a wrong password").to_string();
    assert!(
        refused.contains("password authentication failed") && !refused.contains("wrong"),
        "{refused}"
    );
}
