//! What statements about models answer: a few rows of plain columns.

use std::sync::Arc;

use arrow::{
    array::{
        ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray, new_null_array,
    },
    datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit},
};
use rapport_engine::{Column, oid};

use crate::{Verb, work::Rows};

/// Rows, and what is to be said beside them.
#[derive(Clone, Debug)]
pub struct Answer {
    pub batch: RecordBatch,
    /// Warnings: a model was not published, its inputs have drifted.
    pub warnings: Vec<String>,
    /// Why nothing was done.
    pub notices: Vec<String>,
    /// Models that could not be refreshed, with the reason; among several the others are refreshed all the same.
    pub failures: Vec<String>,
    /// Nothing was left undone: each model that was to be refreshed is published.
    pub is_published: bool,
}

/// The columns of an answer.
#[derive(Clone, Copy, Debug)]
pub struct Shape(&'static [(&'static str, Kind)]);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    Whole,
    Number,
    Truth,
    Day,
    Moment,
}

#[derive(Clone, Debug)]
pub(crate) enum Cell {
    Text(String),
    Whole(i64),
    Number(f64),
    Truth(bool),
    Null,
}

use Kind::{Day, Moment, Number, Text, Truth, Whole};

const REFRESHED: Shape = Shape(&[
    ("model", Text),
    ("version", Whole),
    ("rows", Whole),
    ("left_out", Whole),
    ("seconds", Number),
    ("metric", Text),
    ("value", Number),
    ("baseline", Text),
    ("baseline_value", Number),
    ("grade", Text),
    ("published", Truth),
    ("why", Text),
]);

const SHOWN: Shape = Shape(&[
    ("model", Text),
    ("type", Text),
    ("version", Whole),
    ("grade", Text),
    ("metric", Text),
    ("value", Number),
    ("baseline_value", Number),
    ("as_of", Day),
    ("published_at", Moment),
    ("scores", Text),
    ("refresh", Text),
    ("owner", Text),
    ("last_run", Text),
]);

const DESCRIBED: Shape = Shape(&[("part", Text), ("name", Text), ("value", Text)]);

const DROPPED: Shape = Shape(&[("model", Text), ("dropped", Text)]);

impl Answer {
    /// Of a query that answers the statement's columns by name.
    pub(crate) fn of(verb: Verb, rows: &Rows) -> Self {
        let shape = Shape::of(verb);
        let columns = shape
            .0
            .iter()
            .map(|(name, kind)| rows.column(name, &kind.data_type()));
        Self {
            batch: RecordBatch::try_new(shape.schema(), columns.collect())
                .expect("columns are of their kind"),
            warnings: vec![],
            notices: vec![],
            failures: vec![],
            is_published: true,
        }
    }
}

impl Shape {
    pub fn of(verb: Verb) -> Self {
        match verb {
            Verb::Create | Verb::Refresh | Verb::RefreshAll | Verb::Promote => REFRESHED,
            Verb::Show => SHOWN,
            Verb::Describe => DESCRIBED,
            Verb::Drop => DROPPED,
        }
    }

    /// As a client sees them.
    pub fn columns(self) -> Vec<Column> {
        let column = |(name, kind): &(&str, Kind)| Column {
            name: (*name).to_owned(),
            pg_type: kind.oid(),
            typmod: -1,
            least_scale: 0,
            table_oid: 0,
            number: 0,
            data_type: kind.data_type(),
        };
        self.0.iter().map(column).collect()
    }

    pub fn schema(self) -> SchemaRef {
        let field = |(name, kind): &(&str, Kind)| Field::new(*name, kind.data_type(), true);
        Arc::new(Schema::new(self.0.iter().map(field).collect::<Vec<_>>()))
    }

    /// Each row has a cell for each column, of its kind or NULL.
    pub(crate) fn batch(self, rows: &[Vec<Cell>]) -> RecordBatch {
        let column =
            |(n, (_, kind)): (usize, &(&str, Kind))| kind.array(rows.iter().map(|row| &row[n]));
        let columns = self.0.iter().enumerate().map(column).collect();
        RecordBatch::try_new(self.schema(), columns).expect("cells are of their column's kind")
    }
}

impl Kind {
    fn oid(self) -> u32 {
        match self {
            Text => oid::TEXT,
            Whole => oid::INT8,
            Number => oid::FLOAT8,
            Truth => oid::BOOL,
            Day => oid::DATE,
            Moment => oid::TIMESTAMPTZ,
        }
    }

    fn data_type(self) -> DataType {
        match self {
            Text => DataType::Utf8,
            Whole => DataType::Int64,
            Number => DataType::Float64,
            Truth => DataType::Boolean,
            Day => DataType::Date32,
            Moment => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        }
    }

    fn array<'a>(self, cells: impl Iterator<Item = &'a Cell>) -> ArrayRef {
        match self {
            Text => Arc::new(StringArray::from_iter(cells.map(|cell| match cell {
                Cell::Text(text) => Some(text.as_str()),
                _ => None,
            }))),
            Whole => Arc::new(Int64Array::from_iter(cells.map(|cell| match cell {
                Cell::Whole(whole) => Some(*whole),
                _ => None,
            }))),
            Number => Arc::new(Float64Array::from_iter(cells.map(|cell| match cell {
                Cell::Number(number) => Some(*number),
                _ => None,
            }))),
            Truth => Arc::new(BooleanArray::from_iter(cells.map(|cell| match cell {
                Cell::Truth(truth) => Some(*truth),
                _ => None,
            }))),
            // Only queries answer them.
            Day | Moment => new_null_array(&self.data_type(), cells.count()),
        }
    }
}

impl From<Option<&str>> for Cell {
    fn from(text: Option<&str>) -> Self {
        text.map_or(Cell::Null, |text| Cell::Text(text.to_owned()))
    }
}
