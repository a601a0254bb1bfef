//! Where a session stands between BEGIN and COMMIT.

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
    /// The settings at BEGIN, which ROLLBACK brings back.
    before: SessionSettings,
    /// Savepoints, oldest first, each with the settings at it.
    savepoints: Vec<(String, SessionSettings)>,
}

impl Transaction {
    pub fn state(&self) -> State {
        self.state
    }

    pub fn in_block(&self) -> bool {
        self.state != State::Idle
    }

    pub fn begin(&mut self, read_only: bool, settings: &SessionSettings) {
        self.state = State::Open;
        self.read_only = read_only;
        self.before = settings.clone();
        self.savepoints.clear();
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
        self.savepoints.clear();
        std::mem::take(&mut self.before)
    }

    pub fn savepoint(&mut self, name: String, settings: &SessionSettings) {
        self.savepoints.push((name, settings.clone()));
    }

    /// Forgets the savepoint and those after it; false if there is none of the name.
    pub fn release(&mut self, name: &str) -> bool {
        match self.find(name) {
            Some(at) => {
                self.savepoints.truncate(at);
                true
            }
            None => false,
        }
    }

    /// Goes back to the savepoint, which stays; answers the settings at it.
    pub fn roll_back_to(&mut self, name: &str) -> Option<SessionSettings> {
        let at = self.find(name)?;
        self.savepoints.truncate(at + 1);
        self.state = State::Open;
        Some(self.savepoints[at].1.clone())
    }

    /// The newest one of the name.
    fn find(&self, name: &str) -> Option<usize> {
        self.savepoints
            .iter()
            .rposition(|(savepoint, _)| savepoint == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_savepoint_revives_a_failed_block() {
        let mut transaction = Transaction::default();
        transaction.begin(false, &SessionSettings::default());
        transaction.savepoint("a".into(), &SessionSettings::default());
        transaction.savepoint("b".into(), &SessionSettings::default());
        transaction.fail();
        assert_eq!(transaction.state(), State::Failed);
        assert!(transaction.roll_back_to("a").is_some());
        assert_eq!(transaction.state(), State::Open);
        assert!(transaction.roll_back_to("b").is_none());
        assert!(transaction.release("a"));
        assert!(!transaction.release("a"));
    }

    #[test]
    fn an_error_outside_of_a_block_leaves_nothing_behind() {
        let mut transaction = Transaction::default();
        transaction.fail();
        assert_eq!(transaction.state(), State::Idle);
    }
}
