//! The receiving end of `COPY … FROM STDIN`: rows in, one commit at the end.

use arrow::{array::RecordBatch, datatypes::SchemaRef};

use crate::{Column, Result};

/// Options of a COPY statement, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct CopyFormat {
    pub kind: CopyKind,
    pub delimiter: u8,
    pub null: String,
    pub quote: u8,
    pub escape: u8,
    pub header: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CopyKind {
    Text,
    Csv,
    Binary,
}

/// Nothing is visible until `finish`; dropping it leaves nothing behind.
pub struct CopyIn {
    columns: Vec<Column>,
    format: CopyFormat,
    text_schema: SchemaRef,
}

#[expect(clippy::todo, reason = "the seam stands before its body")]
impl CopyIn {
    /// The columns that the client sends, in its order.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    pub fn format(&self) -> &CopyFormat {
        &self.format
    }

    /// Batches of this schema, every column Utf8 in PostgreSQL's text form, may be pushed too.
    pub fn text_schema(&self) -> SchemaRef {
        self.text_schema.clone()
    }

    /// Columns as [`Self::columns`] says (each in its `data_type`), or all Utf8 in PostgreSQL's text form.
    pub async fn push(&mut self, _batch: RecordBatch) -> Result<()> {
        todo!()
    }

    /// Commits. Answers the number of rows.
    pub async fn finish(self) -> Result<u64> {
        todo!()
    }

    pub async fn abort(self) {
        todo!()
    }
}
