//! Finds the process that owns a catalogue's folder, or starts one.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::net::UnixStream;
use tokio::process::{Child, Command};
use tokio::time::Instant;

use crate::child::SOCKET;
use crate::error::{Error, Result};

/// A first start unpacks PostgreSQL, which a busy machine may take its time for.
const PATIENCE: Duration = Duration::from_secs(60);
const LOG: &str = "child.log";
/// The log starts anew beyond this size.
const MAX_LOG: u64 = 256 * 1024;
/// The longest path that fits into a socket's address everywhere.
const MAX_SOCKET_PATH: usize = 100;

/// How one process of ours reaches the folder's owner; used by one task at a time.
pub(crate) struct Launcher {
    dir: PathBuf,
    exe: PathBuf,
    child: Option<Child>,
}

impl Launcher {
    pub(crate) fn new(dir: PathBuf, exe: PathBuf) -> Self {
        Self {
            dir,
            exe,
            child: None,
        }
    }

    /// The folder and the program.
    pub(crate) fn place(&self) -> (PathBuf, PathBuf) {
        (self.dir.clone(), self.exe.clone())
    }

    pub(crate) async fn connect(&mut self) -> Result<UnixStream> {
        let deadline = Instant::now() + PATIENCE;
        let mut log_start = 0;
        let mut n_spawned = 0;
        loop {
            let refused = match connect(&self.dir.join(SOCKET)).await {
                Ok(stream) => return Ok(stream),
                Err(error) => error,
            };
            let is_there = match refused.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => false,
                io::ErrorKind::PermissionDenied => {
                    return Err(self.not_started("it belongs to another user".into()));
                }
                _ => true,
            };
            match self.child.as_mut().map(Child::try_wait) {
                _ if is_there => {}
                // It is still starting.
                Some(Ok(None)) => {}
                // What it ends with when it can't start; or it fell over again and again.
                Some(Ok(Some(status))) if status.code() == Some(1) || n_spawned > 3 => {
                    self.child = None;
                    return Err(self.not_started(last_words(&self.dir.join(LOG), log_start)));
                }
                _ => {
                    let spawned = self.spawn().map_err(|error| {
                        self.not_started(format!("could not start {}: {error}", self.exe.display()))
                    });
                    (self.child, log_start) = spawned.map(|(child, start)| (Some(child), start))?;
                    n_spawned += 1;
                }
            }
            if Instant::now() > deadline {
                return Err(self.not_started(format!("nobody answers at its socket: {refused}")));
            }
            tokio::time::sleep(Duration::from_millis(3)).await;
        }
    }

    fn not_started(&self, what: String) -> Error {
        Error::NotStarted {
            dir: self.dir.display().to_string(),
            what,
        }
    }

    /// The child, and where in the log its words start. It belongs to a process group of its own, so that a Ctrl-C
    /// for us does not end it for others, and it holds none of our descriptors.
    fn spawn(&self) -> io::Result<(Child, u64)> {
        fs::create_dir_all(&self.dir)?;
        let log = self.dir.join(LOG);
        if fs::metadata(&log).is_ok_and(|found| found.len() > MAX_LOG) {
            fs::remove_file(&log)?;
        }
        let log = File::options().create(true).append(true).open(log)?;
        let start = log.metadata()?.len();
        let mut command = Command::new(program(&self.exe));
        command.arg("__catalogue").arg(&self.dir);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .process_group(0);
        if let Some(cache) = cache_of_our_own(&self.dir) {
            command.env("XDG_CACHE_HOME", cache);
        }
        Ok((command.spawn()?, start))
    }
}

/// A program that was replaced while it runs (a new build) is still there as what runs.
fn program(exe: &Path) -> &Path {
    let running = Path::new("/proc/self/exe");
    if exe.exists() || !running.exists() {
        exe
    } else {
        running
    }
}

/// PostgreSQL's unpacked program files are shared by all catalogues of a user, below the user's cache folder. A user
/// without one (a service) gets it inside the catalogue's folder.
fn cache_of_our_own(dir: &Path) -> Option<PathBuf> {
    let env = |name| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    let cache = env("XDG_CACHE_HOME").or_else(|| env("HOME").map(|home| home.join(".cache")));
    let usable = cache.is_some_and(|cache| {
        fs::create_dir_all(&cache).is_ok() && tempfile::tempfile_in(&cache).is_ok()
    });
    (!usable).then(|| dir.join("cache"))
}

async fn connect(socket: &Path) -> io::Result<UnixStream> {
    if socket.as_os_str().len() <= MAX_SOCKET_PATH {
        return UnixStream::connect(socket).await;
    }
    // Too long for an address: go through the open folder.
    use std::os::fd::AsRawFd;
    let dir = File::open(socket.parent().expect("the socket lies in a folder"))?;
    UnixStream::connect(format!("/proc/self/fd/{}/{SOCKET}", dir.as_raw_fd())).await
}

/// What the child wrote before it ended.
fn last_words(log: &Path, start: u64) -> String {
    let mut words = String::new();
    let read = File::open(log).and_then(|mut log| {
        log.seek(SeekFrom::Start(start))?;
        log.take(4096).read_to_string(&mut words)
    });
    let words = words.trim();
    match read {
        Ok(_) if !words.is_empty() => words.to_owned(),
        _ => format!("it ended without a word; see {}", log.display()),
    }
}
