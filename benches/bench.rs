//! What the benches share: the binary, folders, repeated timing, medians.

use std::env;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// The `rapport` binary of the profile that this bench was built in, or `$RAPPORT_BENCH_BIN`.
pub fn binary() -> Result<PathBuf> {
    if let Some(path) = env::var_os("RAPPORT_BENCH_BIN") {
        return Ok(path.into());
    }
    let bench = env::current_exe()?;
    let path = bench
        .ancestors()
        .nth(2)
        .context("a bench lies in target/<profile>/deps")?
        .join("rapport");
    if !path.is_file() {
        bail!(
            "{} is missing: start the benches with benches/run",
            path.display()
        );
    }
    Ok(path)
}

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("benches/ lies in the project")
}

/// Where lakes and files are kept from one run to the next.
pub fn folder() -> Result<PathBuf> {
    let folder = env::var_os("RAPPORT_BENCH_FOLDER")
        .map_or_else(|| root().join("target/benches"), PathBuf::from);
    std::fs::create_dir_all(&folder).with_context(|| format!("make {}", folder.display()))?;
    Ok(folder.canonicalize()?)
}

/// `rapport …` for one lake.
pub fn rapport<S: AsRef<OsStr>>(
    lake: &Path,
    arguments: impl IntoIterator<Item = S>,
) -> Result<Command> {
    let mut command = Command::new(binary()?);
    command
        .args(arguments)
        .env("RAPPORT_LAKE__URL", lake)
        .current_dir(folder()?);
    Ok(command)
}

/// Runs a command to its end; its output, and how long it took.
pub fn timed(mut command: Command) -> Result<(String, Duration)> {
    let start = Instant::now();
    let done = command.output().with_context(|| format!("{command:?}"))?;
    let took = start.elapsed();
    if !done.status.success() {
        bail!("{command:?}\n{}", String::from_utf8_lossy(&done.stderr));
    }
    Ok((String::from_utf8_lossy(&done.stdout).into_owned(), took))
}

/// The middle one.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
