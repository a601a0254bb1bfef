//! Where a session stands between BEGIN and COMMIT.

use crate::command::{Isolation, Modes};
use crate::settings::SessionSettings;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    #[default]
    Idle,
    Open,
    /// After an error in a block: nothing but its end is accepted.
    Failed,
}

#[derive(Debug, Default)]
pub struct Transaction {
    state: State,
    pub read_only: bool,
    isolation: Option<Isolation>,
    /// The settings at BEGIN, which ROLLBACK brings back.
    before: SessionSettings,
    /// Savepoints, oldest first, each with the settings at it, and how many portals there had been.
    savepoints: Vec<(String, SessionSettings, u64)>,
}

impl Transaction {
    pub fn state(&self) -> State {
        self.state
    }

    pub fn in_block(&self) -> bool {
        self.state != State::Idle
    }

    pub fn begin(&mut self, modes: Modes, settings: &SessionSettings) {
        self.state = State::Open;
        self.read_only = modes.read_only.unwrap_or(false);
        self.isolation = modes.isolation;
        self.before = settings.clone();
        self.savepoints.clear();
    }

    /// What the block was begun with, or SET TRANSACTION said since.
    pub fn modes(&self) -> Modes {
        Modes {
            read_only: self.in_block().then_some(self.read_only),
            isolation: self.isolation,
        }
    }

    /// SET TRANSACTION; nothing outside of a block.
    pub fn change(&mut self, modes: Modes) {
        if self.in_block() {
            self.read_only = modes.read_only.unwrap_or(self.read_only);
            self.isolation = modes.isolation.or(self.isolation);
        }
    }

    /// An error makes an open block a failed one.
    pub fn fail(&mut self) {
        if self.state == State::Open {
            self.state = State::Failed;
        }
    }

    /// Ends the block; answers the settings from before it.
    pub fn end(&mut self) -> SessionSettings {
        self.state = State::Idle;
        self.read_only = false;
        self.isolation = None;
        self.savepoints.clear();
        std::mem::take(&mut self.before)
    }

    pub fn savepoint(&mut self, name: String, settings: &SessionSettings, portals: u64) {
        self.savepoints.push((name, settings.clone(), portals));
    }

    /// Forgets the savepoint and those after it; answers how many are older, or nothing if there is none of the name.
    pub fn release(&mut self, name: &str) -> Option<usize> {
        let at = self.find(name)?;
        self.savepoints.truncate(at);
        Some(at)
    }

    /// Goes back to the savepoint, which stays; answers how many are older, the settings at it, and how many portals
    /// there had been.
    pub fn roll_back_to(&mut self, name: &str) -> Option<(usize, SessionSettings, u64)> {
        let at = self.find(name)?;
        self.savepoints.truncate(at + 1);
        self.state = State::Open;
        let (_, settings, portals) = &self.savepoints[at];
        Some((at, settings.clone(), *portals))
    }

    /// The newest one of the name.
    fn find(&self, name: &str) -> Option<usize> {
        self.savepoints
            .iter()
            .rposition(|(savepoint, _, _)| savepoint == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_savepoint_revives_a_failed_block() {
        let mut transaction = Transaction::default();
        transaction.begin(Modes::default(), &SessionSettings::default());
        transaction.savepoint("a".into(), &SessionSettings::default(), 0);
        transaction.savepoint("b".into(), &SessionSettings::default(), 0);
        transaction.fail();
        assert_eq!(transaction.state(), State::Failed);
        assert!(transaction.roll_back_to("a").is_some());
        assert_eq!(transaction.state(), State::Open);
        assert!(transaction.roll_back_to("b").is_none());
        assert_eq!(transaction.release("a"), Some(0));
        assert_eq!(transaction.release("a"), None);
    }

    #[test]
    fn an_error_outside_of_a_block_leaves_nothing_behind() {
        let mut transaction = Transaction::default();
        transaction.fail();
        assert_eq!(transaction.state(), State::Idle);
    }
}
