//! Which running statement a cancel request means: the process number and secret key given at login. And who is logged in.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{BufMut, Bytes, BytesMut};
use pgwire::messages::ProtocolVersion;
use pgwire::messages::startup::SecretKey;
use tokio_util::sync::CancellationToken;

use crate::tls::Cipher;

/// The session is another role's.
#[derive(Debug, PartialEq)]
pub struct NotYours;

/// All sessions that can be cancelled.
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
}

/// Whose session it is.
#[derive(Clone, Debug, Default)]
pub struct Who {
    pub role: String,
    pub cipher: Option<Cipher>,
}

/// One session's place in the registry; it leaves when this is dropped.
pub struct Registered {
    registry: Registry,
    pub pid: i32,
    pub secret: SecretKey,
}

impl Registry {
    pub fn register(&self, version: ProtocolVersion, who: Who) -> Registered {
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
        };
        sessions.by_pid.insert(pid, entry);
        drop(sessions);
        Registered {
            registry: self.clone(),
            pid,
            secret: SecretKey::Bytes(secret),
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

    /// Cancels what the session runs, as somebody asks for in SQL; an error if it is another role's.
    pub fn cancel_of(&self, pid: i32, role: &str) -> Result<(), NotYours> {
        let sessions = self.lock();
        let Some(entry) = sessions.by_pid.get(&pid) else {
            return Ok(());
        };
        if entry.who.role != role {
            return Err(NotYours);
        }
        if let Some(running) = &entry.running {
            running.cancel();
        }
        Ok(())
    }

    /// All sessions by their numbers.
    pub fn sessions(&self) -> Vec<(i32, Who)> {
        let sessions = self.lock();
        let who = |(pid, entry): (&i32, &Entry)| (*pid, entry.who.clone());
        let mut sessions: Vec<_> = sessions.by_pid.iter().map(who).collect();
        sessions.sort_unstable_by_key(|(pid, _)| *pid);
        sessions
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Sessions> {
        // Nothing in here can panic half-way through a change.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Registered {
    /// A token for the statement that begins now.
    pub fn statement_begins(&self) -> CancellationToken {
        let token = CancellationToken::new();
        self.set(Some(token.clone()));
        token
    }

    /// From now on a cancel request finds nothing to cancel.
    pub fn statement_ended(&self) {
        self.set(None);
    }

    fn set(&self, running: Option<CancellationToken>) {
        if let Some(entry) = self.registry.lock().by_pid.get_mut(&self.pid) {
            entry.running = running;
        }
    }
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

    #[test]
    fn only_the_right_key_cancels() {
        let registry = Registry::default();
        let session = registry.register(ProtocolVersion::PROTOCOL3_2, Who::default());
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
        let session = registry.register(ProtocolVersion::PROTOCOL3_0, Who::default());
        session.statement_begins();
        session.statement_ended();
        registry.cancel(session.pid, &session.secret);
        assert!(!session.statement_begins().is_cancelled());
    }

    #[test]
    fn only_its_own_role_cancels_in_sql() {
        let registry = Registry::default();
        let who = Who {
            role: "anna".to_owned(),
            cipher: None,
        };
        let session = registry.register(ProtocolVersion::PROTOCOL3_0, who);
        let token = session.statement_begins();
        assert_eq!(registry.cancel_of(session.pid, "ben"), Err(NotYours));
        assert!(!token.is_cancelled());
        assert_eq!(registry.cancel_of(session.pid, "anna"), Ok(()));
        assert!(token.is_cancelled());
        assert_eq!(registry.cancel_of(session.pid + 1, "anna"), Ok(()));
    }

    #[test]
    fn a_session_that_ended_leaves_nothing_behind() {
        let registry = Registry::default();
        drop(registry.register(ProtocolVersion::PROTOCOL3_0, Who::default()));
        assert!(registry.lock().by_pid.is_empty());
    }
}
