//! Where a session stands between BEGIN and COMMIT.

use crate::command::{Isolation, Modes};
use crate::settings::SessionSettings;
use crate::sqlstate::{Failure, Result};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    #[default]
    Idle,
    /// Within a message of several statements, which take effect together.
    Several,
    /// Within messages of the extended protocol, up to Sync, which take effect together.
    Series,
    /// From BEGIN on.
    Open,
    /// After an error in a block: nothing but its end is accepted.
    Failed,
}

#[derive(Debug, Default)]
pub struct Transaction {
    state: State,
    pub read_only: bool,
    isolation: Option<Isolation>,
    deferrable: Option<bool>,
    /// A statement has looked at the lake.
    has_queried: bool,
    /// The settings at the beginning, which ROLLBACK brings back.
    before: SessionSettings,
    /// Savepoints, oldest first, each with the settings at it, and how many portals there had been.
    savepoints: Vec<(String, SessionSettings, u64)>,
}

impl Transaction {
    pub fn state(&self) -> State {
        self.state
    }

    /// In a block that BEGIN began.
    pub fn in_block(&self) -> bool {
        matches!(self.state, State::Open | State::Failed)
    }

    /// In a block that BEGIN began, or within a message of several statements: what PostgreSQL calls a block.
    pub fn is_block(&self) -> bool {
        self.in_block() || self.state == State::Several
    }

    /// What is done now can still be taken back.
    pub fn is_begun(&self) -> bool {
        self.state != State::Idle
    }

    pub fn begin(&mut self, state: State, modes: Modes, settings: &SessionSettings) {
        self.state = state;
        self.read_only = modes.read_only.unwrap_or(false);
        self.isolation = modes.isolation;
        self.deferrable = modes.deferrable;
        self.has_queried = false;
        self.before = settings.clone();
        self.savepoints.clear();
    }

    /// Goes on as another kind of transaction: BEGIN takes up what was done before it in the message.
    pub fn go_on_as(&mut self, state: State) {
        self.state = state;
    }

    pub fn note_query(&mut self) {
        self.has_queried = true;
    }

    /// What the block was begun with, or SET TRANSACTION said since.
    pub fn modes(&self) -> Modes {
        Modes {
            read_only: self.is_begun().then_some(self.read_only),
            isolation: self.isolation,
            deferrable: self.deferrable,
        }
    }

    /// SET TRANSACTION; nothing outside of a transaction.
    pub fn change(&mut self, modes: Modes) -> Result<()> {
        if !self.is_begun() {
            return Ok(());
        }
        let level = self.isolation.unwrap_or("read committed");
        if modes.isolation.is_some_and(|wanted| wanted != level) {
            self.must_come_first("SET TRANSACTION ISOLATION LEVEL")?;
        }
        if modes.deferrable.is_some() {
            self.must_come_first("SET TRANSACTION [NOT] DEFERRABLE")?;
        }
        if modes.read_only == Some(false) && self.read_only {
            if !self.savepoints.is_empty() {
                let message =
                    "cannot set transaction read-write mode inside a read-only transaction";
                return Err(Failure::new("25001", message));
            }
            if self.has_queried {
                let message = "transaction read-write mode must be set before any query";
                return Err(Failure::new("25001", message));
            }
        }
        self.read_only = modes.read_only.unwrap_or(self.read_only);
        self.isolation = modes.isolation.or(self.isolation);
        self.deferrable = modes.deferrable.or(self.deferrable);
        Ok(())
    }

    fn must_come_first(&self, what: &str) -> Result<()> {
        let message = match (self.has_queried, self.savepoints.is_empty()) {
            (true, _) => format!("{what} must be called before any query"),
            (false, false) => format!("{what} must not be called in a subtransaction"),
            (false, true) => return Ok(()),
        };
        Err(Failure::new("25001", message))
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
        self.deferrable = None;
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
        transaction.begin(State::Open, Modes::default(), &SessionSettings::default());
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
    fn what_shapes_a_transaction_comes_first() {
        let mut transaction = Transaction::default();
        transaction.begin(
            State::Several,
            Modes::default(),
            &SessionSettings::default(),
        );
        let serializable = Modes {
            isolation: Some("serializable"),
            ..Modes::default()
        };
        let read_only = |on| Modes {
            read_only: Some(on),
            ..Modes::default()
        };
        assert!(transaction.change(serializable).is_ok());
        transaction.note_query();
        assert!(transaction.change(serializable).is_ok());
        assert!(transaction.change(read_only(true)).is_ok());
        let other = Modes {
            isolation: Some("repeatable read"),
            ..Modes::default()
        };
        for late in [other, read_only(false)] {
            let failure = transaction.change(late).expect_err("after a query");
            assert_eq!(failure.code(), "25001");
        }
    }

    #[test]
    fn an_error_outside_of_a_block_leaves_nothing_behind() {
        let mut transaction = Transaction::default();
        transaction.fail();
        assert_eq!(transaction.state(), State::Idle);
    }
}
