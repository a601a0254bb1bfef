//! The published numbers, asked for in SQL over the wire: `acceptance/<subject>.sql`, one test per id, named by it.
//!
//! The tests share one warehouse. What they ask it about is brought in by `acceptance/data/<set>.sql`, each set when the first
//! test asks for it; the files that those read are not part of the project (`$RAPPORT_TEST_DATA`, by default
//! `../shared/data`), and a test of a set whose file is absent is skipped.

mod data;
mod simulated;
mod specification;

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail, ensure};
use libtest_mimic::Trial;
use tokio_postgres::Client;

use crate::fixtures::place;
use crate::fixtures::trial::trial;
use specification::{Step, Test};

/// Ids A1 to G8, and the sections 2.8 and 2.9. Those of F are of MovieLens, which may not be handed on: their tests are of small
/// matrices, worked by hand. M are models made of the same data.
const PUBLISHED: usize = 78;

pub fn trials() -> Vec<Trial> {
    let tests = tests().expect("tests/acceptance can be read");
    let n_published = tests
        .iter()
        .filter(|test| !test.id.starts_with(['F', 'M']))
        .count();
    let mut trials: Vec<Trial> = tests
        .into_iter()
        .map(|test| trial(format!("acceptance::{}", test.id), move || run(&test)))
        .collect();
    trials.push(trial(
        "acceptance::the_readme_tells_how_many".to_owned(),
        move || {
            let readme = fs::read_to_string(place::root().join("README.md"))?;
            let told = format!("{n_published} of the {PUBLISHED} published results");
            ensure!(readme.contains(&told), "README.md does not say: {told}");
            Ok(())
        },
    ));
    trials
}

pub fn stop_shared() {
    data::stop();
}

fn tests() -> Result<Vec<Test>> {
    let mut files: Vec<PathBuf> = fs::read_dir(place::tests().join("acceptance"))?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_>>()?;
    files.retain(|file| file.extension().is_some_and(|e| e == "sql"));
    files.sort();
    let mut tests: Vec<Test> = vec![];
    for file in files {
        let read = specification::read(&fs::read_to_string(&file)?);
        tests.extend(read.with_context(|| format!("read {}", file.display()))?);
    }
    for (n, test) in tests.iter().enumerate() {
        let is_new = tests[..n].iter().all(|other| other.id != test.id);
        ensure!(is_new, "two tests are called {}", test.id);
    }
    Ok(tests)
}

/// Runs all steps in one session and tells of every row that is not as published.
fn run(test: &Test) -> Result<()> {
    let endpoint = data::endpoint(&test.data)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let wrong = runtime.block_on(async {
        let client = endpoint.connect().await?;
        let mut wrong = vec![];
        for step in &test.steps {
            wrong.extend(differences(&client, step).await?);
        }
        anyhow::Ok(wrong)
    })?;
    if !wrong.is_empty() {
        bail!("{}\n{}", test.title, wrong.join("\n"));
    }
    Ok(())
}

async fn differences(client: &Client, step: &Step) -> Result<Vec<String>> {
    let rows = data::ask(client, &step.sql).await?;
    if step.expected.is_empty() {
        return Ok(vec![]);
    }
    let show = |row: &[String]| row.join(" | ");
    if rows.len() != step.expected.len() {
        let rows: Vec<String> = rows.iter().map(|row| show(row)).collect();
        return Ok(vec![format!(
            "{}\n{} rows are expected, these came:\n{}",
            step.sql,
            step.expected.len(),
            rows.join("\n")
        )]);
    }
    let pairs = rows.iter().zip(&step.expected);
    let wrong = pairs.filter(|(row, expected)| !expected.is_met_by(row));
    Ok(wrong
        .map(|(row, expected)| format!("expected {expected}\ngot      {}", show(row)))
        .collect())
}
