//! How results read: tables, counts, durations, JSON. Results go to stdout, everything else to stderr.

use std::io::Write;
use std::time::Duration;

use arrow::array::Array;
use arrow::datatypes::DataType;
use arrow::record_batch::RecordBatch;
use arrow::util::display::array_value_to_string;
use serde::Serialize;

use crate::failure::{Failure, Result};

/// Prints one JSON value and a newline.
pub fn json(value: &impl Serialize) -> Result {
    let text = serde_json::to_string_pretty(value).expect("our own types serialise");
    line(&text)
}

/// One line on stdout. A reader that has gone away (`| head`) ends the command quietly.
pub fn line(text: &str) -> Result {
    let mut out = std::io::stdout().lock();
    match writeln!(out, "{text}").and_then(|()| out.flush()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => std::process::exit(0),
        Err(error) => Err(Failure::doing("writing to standard output", &error)),
        Ok(()) => Ok(()),
    }
}

/// `1,234,567`
pub fn count(n: impl TryInto<u64>) -> String {
    let digits = n.try_into().unwrap_or(u64::MAX).to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 row`, `2,000 rows`
pub fn counted(n: impl TryInto<u64>, one: &str, many: &str) -> String {
    let n = n.try_into().unwrap_or(u64::MAX);
    format!("{} {}", count(n), if n == 1 { one } else { many })
}

/// `12.3 MB`, in powers of 1,024.
pub fn bytes(n: u64) -> String {
    let units = ["B", "kB", "MB", "GB", "TB", "PB"];
    let mut value = n as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < units.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 {
        format!("{n} B")
    } else {
        format!("{value:.1} {}", units[unit])
    }
}

/// `840 ms`, `12.3 s`, `4 min 5 s`
pub fn duration(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    if seconds < 1.0 {
        format!("{} ms", time.as_millis())
    } else if seconds < 120.0 {
        format!("{seconds:.1} s")
    } else {
        format!("{} min {} s", time.as_secs() / 60, time.as_secs() % 60)
    }
}

/// `(390,000 rows a second)`, or nothing when it took no time.
pub fn rate(rows: u64, time: Duration) -> String {
    let seconds = time.as_secs_f64();
    if seconds < 0.001 || rows == 0 {
        return String::new();
    }
    format!(" ({} rows a second)", count((rows as f64 / seconds) as u64))
}

/// Columns padded to the widest value; numbers to the right.
pub struct Table {
    head: Vec<String>,
    right: Vec<bool>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A head that starts with `>` is a column of numbers.
    pub fn new(head: &[&str]) -> Self {
        Self {
            right: head.iter().map(|h| h.starts_with('>')).collect(),
            head: head
                .iter()
                .map(|h| h.trim_start_matches('>').to_owned())
                .collect(),
            rows: Vec::new(),
        }
    }

    pub fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    pub fn print(&self) -> Result {
        line(&self.render())
    }

    pub fn render(&self) -> String {
        let width: Vec<usize> = (0..self.head.len())
            .map(|i| {
                let cells = self.rows.iter().map(|row| row[i].chars().count());
                cells
                    .chain([self.head[i].chars().count()])
                    .max()
                    .unwrap_or(0)
            })
            .collect();
        let render = |cells: &[String]| {
            let mut text = String::new();
            for (i, cell) in cells.iter().enumerate() {
                let pad = " ".repeat(width[i].saturating_sub(cell.chars().count()));
                let (before, after) = if self.right[i] {
                    (&*pad, "")
                } else {
                    ("", &*pad)
                };
                text += &format!("{}{before}{cell}{after}", if i == 0 { "" } else { "  " });
            }
            text.trim_end().to_owned()
        };
        let rule: Vec<String> = width.iter().map(|w| "─".repeat(*w)).collect();
        let rows = self.rows.iter().map(|row| render(row));
        [render(&self.head), render(&rule)]
            .into_iter()
            .chain(rows)
            .collect::<Vec<_>>()
            .join("\n")
    }
}

/// Each row as a JSON object: numbers and truth values as such, all else as PostgreSQL-like text.
pub fn objects(batch: &RecordBatch) -> Vec<serde_json::Value> {
    use serde_json::Value;
    let schema = batch.schema();
    let cell = |column: usize, row: usize| -> Value {
        let array = batch.column(column);
        if array.is_null(row) {
            return Value::Null;
        }
        let text = array_value_to_string(array, row).unwrap_or_default();
        match array.data_type() {
            DataType::Boolean => Value::Bool(text == "true"),
            number if number.is_numeric() => {
                serde_json::from_str(&text).unwrap_or(Value::String(text))
            }
            _ => Value::String(text),
        }
    };
    let object = |row: usize| {
        let fields = schema.fields().iter().enumerate();
        fields
            .map(|(column, field)| (field.name().clone(), cell(column, row)))
            .collect()
    };
    (0..batch.num_rows())
        .map(|row| Value::Object(object(row)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_have_separators() {
        for (n, text) in [
            (0_u64, "0"),
            (999, "999"),
            (1000, "1,000"),
            (3512345, "3,512,345"),
        ] {
            assert_eq!(count(n), text);
        }
        assert_eq!(counted(1_u64, "row", "rows"), "1 row");
    }

    #[test]
    fn sizes_and_times_have_units() {
        assert_eq!(bytes(900), "900 B");
        assert_eq!(bytes(12_900_000), "12.3 MB");
        assert_eq!(duration(Duration::from_millis(840)), "840 ms");
        assert_eq!(duration(Duration::from_millis(12_340)), "12.3 s");
        assert_eq!(duration(Duration::from_secs(245)), "4 min 5 s");
    }

    #[test]
    fn rows_become_objects_with_numbers_and_nulls() {
        use arrow::array::{ArrayRef, BooleanArray, Float64Array, StringArray};
        let columns: [(&str, ArrayRef); 3] = [
            (
                "a",
                std::sync::Arc::new(Float64Array::from(vec![Some(1.5), None])),
            ),
            ("b", std::sync::Arc::new(StringArray::from(vec!["x", "2"]))),
            (
                "c",
                std::sync::Arc::new(BooleanArray::from(vec![true, false])),
            ),
        ];
        let batch = RecordBatch::try_from_iter_with_nullable(columns.map(|(n, c)| (n, c, true)))
            .expect("a batch");
        assert_eq!(
            objects(&batch),
            [
                serde_json::json!({"a": 1.5, "b": "x", "c": true}),
                serde_json::json!({"a": null, "b": "2", "c": false}),
            ]
        );
    }

    #[test]
    fn a_table_is_padded_and_numbers_stand_to_the_right() {
        let mut table = Table::new(&["name", ">rows"]);
        table.row(vec!["interactions".into(), "12".into()]);
        table.row(vec!["x".into(), "3,000".into()]);
        let text = table.render();
        assert_eq!(
            text.lines().collect::<Vec<_>>(),
            [
                "name           rows",
                "────────────  ─────",
                "interactions     12",
                "x             3,000",
            ]
        );
    }
}
