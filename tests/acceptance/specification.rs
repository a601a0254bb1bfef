//! The form of the files: SQL that psql reads, and after each question its answer, row by row.
//!
//! ```sql
//! -- A3 Pareto/NBD: r, alpha, s, beta
//! -- data: cdnow
//! SELECT r, alpha, s, beta, converged FROM pnbd;
//! --> 0.55328 ± 0.001 | 10.5777 ± 0.01 | 0.60624 ± 0.001 | 11.6687 ± 0.02 | t
//! ```
//!
//! A cell is a number with what it may be off by (`± 0.01`, `± 2%`), a bound (`<= 1e-4`, `>= 0.84`), or a text that must be
//! the same. A statement without an answer prepares the next.

use std::fmt;

use anyhow::{Context, Result, bail, ensure};

pub struct Test {
    pub id: String,
    /// The line that begins it.
    pub title: String,
    /// The sets of data that it needs.
    pub data: Vec<String>,
    pub steps: Vec<Step>,
}

#[derive(Default)]
pub struct Step {
    pub sql: String,
    pub expected: Vec<Row>,
}

pub struct Row {
    written: String,
    cells: Vec<Cell>,
}

enum Cell {
    Near { value: f64, tolerance: f64 },
    AtMost(f64),
    AtLeast(f64),
    Same(String),
}

/// The tests of a file.
pub fn read(text: &str) -> Result<Vec<Test>> {
    let mut tests: Vec<Test> = vec![];
    let mut sql = String::new();
    for line in text.lines() {
        let (title, test) = (line.strip_prefix("-- "), tests.last_mut());
        if let Some(title) = title.filter(|title| is_id(first_word(title))) {
            tests.push(Test {
                id: first_word(title).to_owned(),
                title: title.to_owned(),
                data: vec![],
                steps: vec![],
            });
        } else if let (Some(row), Some(test)) = (line.strip_prefix("-->"), test) {
            let step = test.steps.last_mut().context("an answer has a question")?;
            step.expected.push(Row::read(row.trim())?);
        } else if let Some(sets) = data_sets(line) {
            let test = tests.last_mut().context("data is a test's")?;
            test.data.extend(sets);
        } else if let Some(statement) = whole_statement(&mut sql, line) {
            let test = tests.last_mut().context("a statement is a test's")?;
            test.steps.push(Step {
                sql: statement,
                expected: vec![],
            });
        }
    }
    ensure!(sql.is_empty(), "no semicolon after {sql}");
    if let Some(test) = tests.iter().find(|test| test.asks_nothing()) {
        bail!("{} asks nothing", test.id);
    }
    Ok(tests)
}

/// What a line `-- data: cdnow donations` names.
pub fn data_sets(line: &str) -> Option<impl Iterator<Item = String>> {
    let names = line.strip_prefix("-- data: ")?;
    Some(names.split(' ').map(str::to_owned))
}

/// Adds a line to the statement begun, and takes it where it ends. Comments and empty lines are left out.
pub fn whole_statement(begun: &mut String, line: &str) -> Option<String> {
    if line.starts_with("--") || line.is_empty() {
        return None;
    }
    begun.push_str(line);
    begun.push('\n');
    line.ends_with(';').then(|| std::mem::take(begun))
}

fn first_word(line: &str) -> &str {
    line.split(' ').next().unwrap_or_default()
}

/// A1, G8, 2.9.
fn is_id(word: &str) -> bool {
    let number = word.trim_start_matches(|c: char| c.is_ascii_uppercase());
    let parts: Vec<&str> = number.split('.').collect();
    let are_numbers = (parts.iter()).all(|part| part.parse::<u32>().is_ok());
    are_numbers && (word.len() - number.len(), parts.len()) != (0, 1)
}

impl Test {
    fn asks_nothing(&self) -> bool {
        self.steps.iter().all(|step| step.expected.is_empty())
    }
}

impl Row {
    fn read(written: &str) -> Result<Row> {
        let cells: Result<Vec<Cell>> = written.split(" | ").map(Cell::read).collect();
        Ok(Row {
            written: written.to_owned(),
            cells: cells.with_context(|| written.to_owned())?,
        })
    }

    pub fn is_met_by(&self, row: &[String]) -> bool {
        let mut pairs = self.cells.iter().zip(row);
        self.cells.len() == row.len() && pairs.all(|(cell, got)| cell.is_met_by(got))
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

impl Cell {
    fn read(cell: &str) -> Result<Cell> {
        if let Some((value, tolerance)) = cell.split_once(" ± ") {
            let value: f64 = value.parse()?;
            let tolerance = match tolerance.strip_suffix('%') {
                Some(percent) => percent.parse::<f64>()? / 100.0 * value.abs(),
                None => tolerance.parse()?,
            };
            return Ok(Cell::Near { value, tolerance });
        }
        Ok(match (cell.strip_prefix("<= "), cell.strip_prefix(">= ")) {
            (Some(bound), _) => Cell::AtMost(bound.parse()?),
            (_, Some(bound)) => Cell::AtLeast(bound.parse()?),
            _ => Cell::Same(cell.to_owned()),
        })
    }

    fn is_met_by(&self, got: &str) -> bool {
        let number = || got.parse::<f64>().unwrap_or(f64::NAN);
        match self {
            Cell::Near { value, tolerance } => (number() - value).abs() <= *tolerance,
            Cell::AtMost(bound) => number() <= *bound,
            Cell::AtLeast(bound) => number() >= *bound,
            Cell::Same(text) => got == text,
        }
    }
}
