//! The process that owns the catalogue's folder: one PostgreSQL backend, any number of clients.
//!
//! The backend runs one statement at a time and can't be interrupted. So a client gets it from its first message
//! until PostgreSQL says it is idle again (a whole transaction), others queue in order of arrival, and when the
//! client of a running statement goes away, the process ends itself: that is what cancel and timeout are. It is
//! back within a tenth of a second with its state from disk, and clients whose statement was lost ask again.
//!
//! The socket lies in a folder only its owner may enter; whoever may open it is trusted. It is named as PostgreSQL
//! names it, so `psql -h <folder> -U postgres rapport` works for looking inside.

mod backend;
mod client;
mod durable;

use std::fs::{self, File, TryLockError};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Sender};
use std::time::{Duration, Instant};

use backend::Backend;
use client::{Client, Next};

use crate::error::{Error, Result};

/// In the folder of the catalogue.
pub(crate) const SOCKET: &str = ".s.PGSQL.5432";

/// How long a process without clients stays.
const LINGER: Duration = Duration::from_secs(2);
/// How long a process waits for its predecessor to leave the folder.
const CLAIM: Duration = Duration::from_secs(15);
/// The longest a client may hold the backend in an open transaction without saying anything.
const IDLE_IN_TRANSACTION: Duration = Duration::from_secs(60);
/// How long a statement may go on without its client before the process ends itself.
const GRACE: Duration = Duration::from_millis(100);

/// The exit code of a process that ended a statement by ending itself.
const ENDED_A_STATEMENT: i32 = 75;

/// Whatever went wrong below; the process's last words.
type Failure = Box<dyn std::error::Error + Send + Sync>;

enum Event {
    /// This client has something to say.
    Turn(Arc<Client>),
    /// Nobody has been here for a while.
    Idle,
}

/// What the threads of the process share.
struct House {
    n_clients: AtomicUsize,
    /// The client whose statement is running, or 0.
    running: AtomicU64,
}

/// The child process: owns `dir` until nobody needs it. Called by the binary for `__catalogue <dir>`.
///
/// Returns at once if another process owns the folder and answers.
pub fn child_main(dir: &Path) -> Result<()> {
    let not_started = |what: &dyn std::fmt::Display| Error::NotStarted {
        dir: dir.display().to_string(),
        what: what.to_string(),
    };
    make_private(dir).map_err(|error| not_started(&error))?;
    // A socket's path may be at most 107 bytes long; a relative one always fits.
    let dir = dir.canonicalize().map_err(|error| not_started(&error))?;
    std::env::set_current_dir(&dir).map_err(|error| not_started(&error))?;
    let Some(_lock) = claim().map_err(|error| not_started(&error))? else {
        return Ok(());
    };

    let mut backend = Backend::open(Path::new(".")).map_err(|error| not_started(&error))?;
    let greeting: Arc<[u8]> = client::greeting(backend.server_version()).into();
    let _ = fs::remove_file(SOCKET);
    let listener = UnixListener::bind(SOCKET).map_err(|error| not_started(&error))?;

    let house = Arc::new(House {
        n_clients: AtomicUsize::new(0),
        running: AtomicU64::new(0),
    });
    let (events, queue) = mpsc::channel();
    {
        let (house, events) = (house.clone(), events.clone());
        std::thread::spawn(move || accept(listener, &house, &events, &greeting));
    }
    {
        let (house, events) = (house.clone(), events.clone());
        std::thread::spawn(move || watch(&dir, &house, &events));
    }

    for event in queue {
        match event {
            Event::Turn(client) => turn(&mut backend, &client, &house, &events),
            Event::Idle if house.n_clients.load(Ordering::SeqCst) == 0 => break,
            Event::Idle => {}
        }
    }
    let _ = fs::remove_file(SOCKET);
    backend.close();
    Ok(())
}

fn make_private(dir: &Path) -> std::io::Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)?;
    fs::set_permissions(dir, fs::Permissions::from_mode(0o700))
}

/// The lock that makes this process the owner of the folder; none if another one answers there.
fn claim() -> std::io::Result<Option<File>> {
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open("lock")?;
    let deadline = Instant::now() + CLAIM;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(Some(file)),
            Err(TryLockError::WouldBlock) if UnixStream::connect(SOCKET).is_ok() => {
                return Ok(None);
            }
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => {
                std::thread::sleep(Duration::from_millis(10));
            }
            Err(error) => return Err(error.into()),
        }
    }
}

fn accept(
    listener: UnixListener,
    house: &Arc<House>,
    events: &Sender<Event>,
    greeting: &Arc<[u8]>,
) {
    for (number, stream) in (1..).zip(listener.incoming()) {
        let Ok(stream) = stream else {
            // Out of file descriptors: let some go.
            std::thread::sleep(Duration::from_millis(50));
            continue;
        };
        house.n_clients.fetch_add(1, Ordering::SeqCst);
        let (of_client, events, greeting) = (house.clone(), events.clone(), greeting.clone());
        let spawned = std::thread::Builder::new()
            .stack_size(256 * 1024)
            .spawn(move || {
                listen(number, stream, &of_client, &events, &greeting);
                of_client.n_clients.fetch_sub(1, Ordering::SeqCst);
            });
        if spawned.is_err() {
            house.n_clients.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

/// Reads what one client says until it leaves.
fn listen(number: u64, stream: UnixStream, house: &House, events: &Sender<Event>, greeting: &[u8]) {
    let Ok(Some((client, mut reader))) = client::greet(number, stream, greeting) else {
        return;
    };
    let client = Arc::new(client);
    while let Ok(Some(chunk)) = reader.chunk() {
        if client.push(chunk) && events.send(Event::Turn(client.clone())).is_err() {
            return;
        }
    }
    client.leave();
    let left = Instant::now();
    while house.running.load(Ordering::SeqCst) == number {
        if left.elapsed() > GRACE {
            std::process::exit(ENDED_A_STATEMENT);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Serves one client until its transaction is over.
fn turn(backend: &mut Backend, client: &Arc<Client>, house: &House, events: &Sender<Event>) {
    loop {
        match client.next(IDLE_IN_TRANSACTION) {
            Next::Chunk(chunk) => {
                house.running.store(client.number, Ordering::SeqCst);
                let answer = backend.run(&chunk);
                house.running.store(0, Ordering::SeqCst);
                let told = client.tell(&answer.bytes);
                if !answer.is_idle {
                    if told {
                        continue;
                    }
                    backend.roll_back();
                }
                if client.has_more() && events.send(Event::Turn(client.clone())).is_ok() {
                    // The others come first.
                }
                return;
            }
            Next::Gone => break,
            Next::Silent => {
                client.tell(&client::idle_in_transaction());
                client.hang_up();
                break;
            }
        }
    }
    backend.roll_back();
}

/// Ends the process when its folder is gone, and asks it to end when nobody uses it.
fn watch(dir: &Path, house: &House, events: &Sender<Event>) {
    let ours = fs::metadata(SOCKET).map(|found| found.ino()).ok();
    let socket = dir.join(SOCKET);
    let mut alone_since = Instant::now();
    loop {
        std::thread::sleep(Duration::from_millis(100));
        if fs::metadata(&socket).map(|found| found.ino()).ok() != ours {
            std::process::exit(0);
        }
        if house.n_clients.load(Ordering::SeqCst) > 0 {
            alone_since = Instant::now();
        } else if alone_since.elapsed() > LINGER {
            alone_since = Instant::now();
            if events.send(Event::Idle).is_err() {
                return;
            }
        }
    }
}
