//! An open transaction block: what it has read, and what it is going to commit.
//!
//! Writes go to drafts of the tables, whose files nobody else sees; the block's own statements read the drafts.
//! Definitions are judged by PostgreSQL one after the other, in a transaction that is rolled back each time, and all of
//! them run once more when the block commits. A single definition outside of a block is a block of its own.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
};

use rapport_catalog_postgres::Settings;
use rapport_lake::{Draft, Snapshot, TableName};

use crate::{Result, pins::Pins, plan::Scope, view::View};

pub(crate) struct Block {
    pub pins: Arc<Pins>,
    /// Microseconds since 1970: what `now()` answers in the block.
    pub began: i64,
    state: Mutex<State>,
    savepoints: Mutex<Vec<State>>,
}

/// All that the block has done. A savepoint keeps a copy.
#[derive(Clone, Default)]
pub(crate) struct State {
    pub drafts: BTreeMap<TableName, Draft>,
    pub definitions: Vec<Definition>,
    /// `None` was dropped.
    pub views: BTreeMap<TableName, Option<Arc<View>>>,
}

/// A definition that PostgreSQL has judged, with the settings that it was judged under.
#[derive(Clone, Debug)]
pub(crate) struct Definition {
    pub sql: String,
    pub settings: Settings,
}

impl State {
    pub(crate) fn is_empty(&self) -> bool {
        self.drafts.is_empty() && self.definitions.is_empty() && self.views.is_empty()
    }
}

impl Block {
    pub(crate) fn new(pins: Pins) -> Arc<Self> {
        Arc::new(Self {
            pins: Arc::new(pins),
            began: chrono::Utc::now().timestamp_micros(),
            state: Mutex::default(),
            savepoints: Mutex::default(),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("never held over a panic")
    }

    fn savepoints(&self) -> MutexGuard<'_, Vec<State>> {
        self.savepoints.lock().expect("never held over a panic")
    }

    pub(crate) fn is_untouched(&self) -> bool {
        self.state().is_empty()
    }

    pub(crate) fn draft(&self, name: &TableName) -> Option<Draft> {
        self.state().drafts.get(name).cloned()
    }

    /// From now on the block's statements see the table so.
    pub(crate) fn put(&self, scope: &Scope, draft: Draft) {
        self.pins.show(scope, draft.name(), draft.snapshot());
        self.state().drafts.insert(draft.name().clone(), draft);
    }

    /// What the block has made of the view, if anything.
    pub(crate) fn view(&self, name: &TableName) -> Option<Option<Arc<View>>> {
        self.state().views.get(name).cloned()
    }

    pub(crate) fn put_view(&self, name: &TableName, view: Option<View>) {
        self.state().views.insert(name.clone(), view.map(Arc::new));
    }

    pub(crate) fn add_definition(&self, definition: Definition) {
        self.state().definitions.push(definition);
    }

    pub(crate) fn definitions(&self) -> Vec<Definition> {
        self.state().definitions.clone()
    }

    /// Whether the block itself has made the table or the view, so that it belongs to the block's role.
    pub(crate) fn has_made(&self, name: &TableName) -> bool {
        let state = self.state();
        let table = state.drafts.get(name);
        table.is_some_and(Draft::is_new) || matches!(state.views.get(name), Some(Some(_)))
    }

    pub(crate) fn save(&self) {
        let state = self.state().clone();
        self.savepoints().push(state);
    }

    /// Forgets the savepoint, counted from the oldest, and those after it.
    pub(crate) fn release(&self, at: usize) {
        self.savepoints().truncate(at);
    }

    /// Goes back to the savepoint, which stays.
    pub(crate) fn roll_back_to(&self, scope: &Scope, at: usize) {
        let mut savepoints = self.savepoints();
        savepoints.truncate(at + 1);
        let Some(saved) = savepoints.last() else {
            return;
        };
        *self.state() = saved.clone();
        self.pins.show_none();
        for draft in saved.drafts.values() {
            self.pins.show(scope, draft.name(), draft.snapshot());
        }
    }

    /// Ends the block.
    pub(crate) fn take(&self) -> State {
        std::mem::take(&mut self.state())
    }
}

impl Scope {
    /// The version that a statement changes: what the block sees, or else the newest.
    pub(crate) async fn base(&self, pins: &Pins, name: &TableName) -> Result<Arc<Snapshot>> {
        if self.block.is_some()
            && let Some(table) = pins.table(self, name).await?
        {
            return Ok(table.snapshot().clone());
        }
        Ok(self.lake(name).table(name).await?.snapshot().await?)
    }

    /// The block's draft of a table, made from `base` if there is none yet.
    pub(crate) async fn draft(&self, block: &Block, base: &Arc<Snapshot>) -> Result<Draft> {
        match block.draft(base.name()) {
            Some(draft) => Ok(draft),
            None => Ok(self.lake(base.name()).table(base.name()).await?.draft(base)),
        }
    }
}
