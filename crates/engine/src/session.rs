//! One client's conversation: its role, settings, transaction and the statement it runs.

use std::collections::BTreeMap;

use datafusion::{
    common::ScalarValue, execution::SendableRecordBatchStream, sql::sqlparser::ast,
};

use crate::{Cancel, Column, CopyFormat, CopyIn, Result, Statement, Warehouse};

pub struct Session {
    warehouse: Warehouse,
    role: String,
    settings: BTreeMap<String, String>,
    cancel: Cancel,
}

/// A statement that has been planned once: its parameters and result are known.
#[derive(Clone, Debug)]
pub struct Prepared {
    pub statement: Statement,
    /// Types of `$1`, `$2`, …
    pub params: Vec<u32>,
    /// `None` for a statement that returns no rows.
    pub columns: Option<Vec<Column>>,
}

/// Something PostgreSQL would say beside the answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Notice {
    /// `NOTICE` or `WARNING`.
    pub severity: &'static str,
    pub code: String,
    pub message: String,
    pub detail: Option<String>,
    pub hint: Option<String>,
}

pub enum Outcome {
    /// Dropping the stream ends the work.
    Rows { columns: Vec<Column>, stream: SendableRecordBatchStream, tag: &'static str },
    Done { tag: String, notices: Vec<Notice> },
    CopyIn(CopyIn),
    CopyOut { columns: Vec<Column>, stream: SendableRecordBatchStream, format: CopyFormat },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransactionStatus {
    Idle,
    InBlock,
}

#[expect(clippy::todo, reason = "the seam stands before its body")]
impl Session {
    pub(crate) fn new(warehouse: Warehouse, role: &str) -> Self {
        Self { warehouse, role: role.to_owned(), settings: BTreeMap::new(), cancel: Cancel::default() }
    }

    pub fn role(&self) -> &str {
        &self.role
    }

    pub fn warehouse(&self) -> &Warehouse {
        &self.warehouse
    }

    /// Splits and parses a client's text; an empty text is no statement.
    pub fn parse(&self, _sql: &str) -> Result<Vec<Statement>> {
        todo!()
    }

    /// Plans without running. `param_types` are the types the client declared; 0 or `None` is "infer it".
    pub async fn prepare(&self, _statement: &Statement, _param_types: &[Option<u32>]) -> Result<Prepared> {
        todo!()
    }

    pub async fn execute(&mut self, _prepared: &Prepared, _params: Vec<ScalarValue>) -> Result<Outcome> {
        todo!()
    }

    /// Starts a transaction block: from its first statement on, all statements see one state of the lake.
    pub fn begin(&mut self) -> Result<()> {
        todo!()
    }

    /// Makes the block's writes visible.
    pub async fn commit(&mut self) -> Result<()> {
        todo!()
    }

    pub async fn rollback(&mut self) {
        todo!()
    }

    pub fn transaction(&self) -> TransactionStatus {
        todo!()
    }

    /// Names in lower case. What a setting may hold has been judged by PostgreSQL before.
    pub fn set(&mut self, name: &str, value: &str) -> Result<()> {
        self.settings.insert(name.to_owned(), value.to_owned());
        Ok(())
    }

    pub fn reset(&mut self, name: &str) {
        self.settings.remove(name);
    }

    pub fn setting(&self, name: &str) -> Option<&str> {
        self.settings.get(name).map(String::as_str)
    }

    pub fn settings(&self) -> &BTreeMap<String, String> {
        &self.settings
    }

    /// Ends the statement that runs now, or the next one if none does. Ask anew after each statement.
    pub fn cancel_token(&self) -> Cancel {
        self.cancel.clone()
    }

    /// True if the statement touches a relation of the lake or of a view, and so is the engine's to answer.
    pub async fn knows_relation(&self, _name: &ast::ObjectName) -> Result<bool> {
        todo!()
    }
}
