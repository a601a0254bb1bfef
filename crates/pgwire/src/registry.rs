//! All sessions: who is logged in, what each one does, and how it is cancelled or ended from outside. A cancel request names a
//! session by the process number and secret key given at login.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{BufMut, Bytes, BytesMut};
use pgwire::messages::ProtocolVersion;
use pgwire::messages::startup::SecretKey;
use tokio_util::sync::CancellationToken;

use crate::tls::Cipher;

/// What one session may do to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// `pg_cancel_backend`: the statement that runs.
    Cancel,
    /// `pg_terminate_backend`: the session.
    Terminate,
}

/// All sessions.
#[derive(Clone, Default)]
pub struct Registry(Arc<Mutex<Sessions>>);

#[derive(Default)]
struct Sessions {
    last_pid: i32,
    by_pid: HashMap<i32, Entry>,
}

struct Entry {
    who: Who,
    secret: Bytes,
    /// Of the statement that runs now.
    running: Option<CancellationToken>,
    ended: CancellationToken,
    activity: Activity,
}

/// Whose session it is.
#[derive(Clone, Debug, Default)]
pub struct Who {
    pub role: String,
    pub cipher: Option<Cipher>,
    pub peer: Option<SocketAddr>,
}

/// What a session does. Times are microseconds since 1970.
#[derive(Clone, Debug, Default)]
pub struct Activity {
    pub application: String,
    pub since: i64,
    pub transaction_since: Option<i64>,
    pub query_since: Option<i64>,
    pub state: Doing,
    pub state_since: i64,
    /// The statement that runs, or ran last: as much of it as PostgreSQL keeps.
    pub query: String,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Doing {
    Active,
    #[default]
    Idle,
    IdleInTransaction,
    IdleInFailed,
}

/// One session, to others.
#[derive(Clone, Debug)]
pub struct Seen {
    pub pid: i32,
    pub who: Who,
    pub activity: Activity,
}

/// One session's place in the registry; it leaves when this is dropped.
pub struct Registered {
    registry: Registry,
    pub pid: i32,
    pub secret: SecretKey,
    /// The session has to end now.
    pub ended: CancellationToken,
}

/// `track_activity_query_size`, without the byte that ends it.
const QUERY_BYTES: usize = 1_023;

impl Registry {
    /// `ended` is cancelled when somebody has the session ended.
    pub fn register(
        &self,
        version: ProtocolVersion,
        who: Who,
        ended: CancellationToken,
    ) -> Registered {
        // Protocol 3.0 has room for four bytes only.
        let secret: Bytes = match version {
            ProtocolVersion::PROTOCOL3_0 => Bytes::copy_from_slice(&rand::random::<[u8; 4]>()),
            ProtocolVersion::PROTOCOL3_2 | ProtocolVersion::PROTOCOL3_9999 => {
                let mut secret = BytesMut::new();
                secret.put_slice(&rand::random::<[u8; 32]>());
                secret.freeze()
            }
        };
        let mut sessions = self.lock();
        let pid = loop {
            sessions.last_pid = sessions.last_pid.checked_add(1).unwrap_or(1);
            if !sessions.by_pid.contains_key(&sessions.last_pid) {
                break sessions.last_pid;
            }
        };
        let entry = Entry {
            who,
            secret: secret.clone(),
            running: None,
            ended: ended.clone(),
            activity: Activity {
                since: now(),
                state_since: now(),
                ..Activity::default()
            },
        };
        sessions.by_pid.insert(pid, entry);
        drop(sessions);
        Registered {
            registry: self.clone(),
            pid,
            secret: SecretKey::Bytes(secret),
            ended,
        }
    }

    /// Cancels what the session runs, if the key is right; says nothing either way, as PostgreSQL does.
    pub fn cancel(&self, pid: i32, secret: &SecretKey) {
        let sessions = self.lock();
        let Some(entry) = sessions.by_pid.get(&pid) else {
            return;
        };
        if let Some(running) = &entry.running
            && is_same(&entry.secret, &secret.to_bytes())
        {
            running.cancel();
        }
    }

    /// Cancels what the session runs, or ends it, as somebody who may asks for in SQL.
    pub fn signal(&self, pid: i32, signal: Signal) {
        let sessions = self.lock();
        let Some(entry) = sessions.by_pid.get(&pid) else {
            return;
        };
        match (signal, &entry.running) {
            (Signal::Terminate, _) => entry.ended.cancel(),
            (Signal::Cancel, Some(running)) => running.cancel(),
            (Signal::Cancel, None) => {}
        }
    }

    /// Whose session has the number.
    pub fn role_of(&self, pid: i32) -> Option<String> {
        let sessions = self.lock();
        sessions
            .by_pid
            .get(&pid)
            .map(|entry| entry.who.role.clone())
    }

    /// All sessions by their numbers.
    pub fn sessions(&self) -> Vec<Seen> {
        let sessions = self.lock();
        let seen = |(pid, entry): (&i32, &Entry)| Seen {
            pid: *pid,
            who: entry.who.clone(),
            activity: entry.activity.clone(),
        };
        let mut sessions: Vec<_> = sessions.by_pid.iter().map(seen).collect();
        sessions.sort_unstable_by_key(|session| session.pid);
        sessions
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Sessions> {
        // Nothing in here can panic half-way through a change.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Registered {
    /// What the client asks now.
    pub fn asks(&self, sql: &str) {
        let now = now();
        self.change(|entry| {
            let activity = &mut entry.activity;
            activity.query.clear();
            activity.query.push_str(beginning(sql));
            activity.query_since = Some(now);
        });
    }

    /// A token for the statement that begins now.
    pub fn statement_begins(&self) -> CancellationToken {
        let token = CancellationToken::new();
        let now = now();
        self.change(|entry| {
            entry.running = Some(token.clone());
            entry.activity.transaction_since.get_or_insert(now);
            entry.activity.turn(Doing::Active, now);
        });
        token
    }

    /// From now on a cancel request finds nothing to cancel.
    pub fn statement_ended(&self) {
        self.change(|entry| entry.running = None);
    }

    /// The client is asked what it wants next.
    pub fn rests(&self, state: Doing, application: &str) {
        let now = now();
        self.change(|entry| {
            entry.running = None;
            let activity = &mut entry.activity;
            activity.turn(state, now);
            if state == Doing::Idle {
                activity.transaction_since = None;
            }
            if activity.application != application {
                application.clone_into(&mut activity.application);
            }
        });
    }

    fn change(&self, change: impl FnOnce(&mut Entry)) {
        if let Some(entry) = self.registry.lock().by_pid.get_mut(&self.pid) {
            change(entry);
        }
    }
}

impl Activity {
    fn turn(&mut self, state: Doing, now: i64) {
        if self.state != state {
            self.state = state;
            self.state_since = now;
        }
    }
}

fn now() -> i64 {
    chrono::Utc::now().timestamp_micros()
}

fn beginning(sql: &str) -> &str {
    &sql[..sql.floor_char_boundary(QUERY_BYTES)]
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.registry.lock().by_pid.remove(&self.pid);
    }
}

/// Compares in a time that depends on the length only.
fn is_same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len()
        && a.iter()
            .zip(b)
            .fold(0, |different, (a, b)| different | (a ^ b))
            == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(registry: &Registry, version: ProtocolVersion) -> Registered {
        registry.register(version, Who::default(), CancellationToken::new())
    }

    #[test]
    fn only_the_right_key_cancels() {
        let registry = Registry::default();
        let session = session(&registry, ProtocolVersion::PROTOCOL3_2);
        let token = session.statement_begins();
        registry.cancel(session.pid, &SecretKey::I32(7));
        registry.cancel(session.pid + 1, &session.secret);
        assert!(!token.is_cancelled());
        registry.cancel(session.pid, &session.secret);
        assert!(token.is_cancelled());
    }

    #[test]
    fn a_cancel_between_statements_is_forgotten() {
        let registry = Registry::default();
        let session = session(&registry, ProtocolVersion::PROTOCOL3_0);
        session.statement_begins();
        session.statement_ended();
        registry.cancel(session.pid, &session.secret);
        registry.signal(session.pid, Signal::Cancel);
        assert!(!session.statement_begins().is_cancelled());
        assert!(!session.ended.is_cancelled());
    }

    #[test]
    fn a_session_is_cancelled_and_ended_by_its_number() {
        let registry = Registry::default();
        let (one, other) = (
            session(&registry, ProtocolVersion::PROTOCOL3_0),
            session(&registry, ProtocolVersion::PROTOCOL3_0),
        );
        let token = one.statement_begins();
        registry.signal(one.pid, Signal::Cancel);
        assert!(token.is_cancelled());
        registry.signal(other.pid, Signal::Terminate);
        assert!(other.ended.is_cancelled());
        assert!(!one.ended.is_cancelled());
    }

    #[test]
    fn others_see_what_a_session_does() {
        let registry = Registry::default();
        let session = session(&registry, ProtocolVersion::PROTOCOL3_0);
        let seen = || registry.sessions().remove(0).activity;
        assert_eq!(seen().state, Doing::Idle);
        assert_eq!(seen().query_since, None);
        session.asks(&"ä".repeat(600));
        session.statement_begins();
        assert_eq!(seen().state, Doing::Active);
        assert_eq!(seen().query, "ä".repeat(511));
        session.rests(Doing::IdleInTransaction, "psql");
        assert!(seen().transaction_since.is_some());
        session.rests(Doing::Idle, "psql");
        assert_eq!(seen().application, "psql");
        assert_eq!(seen().transaction_since, None);
        assert_eq!(seen().query, "ä".repeat(511));
    }

    #[test]
    fn a_session_that_ended_leaves_nothing_behind() {
        let registry = Registry::default();
        drop(session(&registry, ProtocolVersion::PROTOCOL3_0));
        assert!(registry.lock().by_pid.is_empty());
    }
}
