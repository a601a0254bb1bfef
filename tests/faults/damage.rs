//! A lake that something else has damaged: it is noticed, named, and never taken for whole.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use libtest_mimic::Trial;

use crate::faults::{is_whole, load, loaded};
use crate::fixtures::files;
use crate::fixtures::reader;
use crate::fixtures::trial::trials;
use crate::fixtures::warehouse::Warehouse;

pub fn trials() -> Vec<Trial> {
    trials!["faults::damage";
        a_whole_lake_has_no_finding,
        an_empty_last_commit_is_found_and_refused,
        a_torn_last_commit_is_found_and_refused,
        a_missing_commit_is_found,
        a_flipped_bit_in_a_data_file_is_found_wherever_it_is,
        a_truncated_data_file_is_found,
        a_missing_data_file_is_found,
        a_file_that_no_commit_names_is_no_damage,
        a_lake_of_a_later_format_is_refused,
        a_folder_that_is_no_lake_is_refused,
    ]
}

fn newest_commit(warehouse: &Warehouse) -> Result<PathBuf> {
    let version = reader::table(&warehouse.lake(), "interactions")?.version;
    Ok(warehouse
        .lake()
        .join(format!("public/interactions/_delta_log/{version:020}.json")))
}

fn a_data_file(warehouse: &Warehouse) -> Result<PathBuf> {
    reader::table(&warehouse.lake(), "interactions")?
        .paths()
        .into_iter()
        .next()
        .context("a data file")
}

/// `check` ends with 1 and names the file, in its text and for scripts.
fn is_found(warehouse: &Warehouse, file: &Path) -> Result<()> {
    let name = file
        .file_name()
        .context("a file has a name")?
        .to_string_lossy()
        .into_owned();
    for arguments in [["check"].as_slice(), &["check", "--json"]] {
        let done = warehouse.run(arguments)?;
        ensure!(done.code == Some(1), "{done}");
        ensure!(
            done.to_string().contains(&name),
            "{name} is not named: {done}"
        );
        ensure!(!done.to_string().contains("panicked"), "{done}");
    }
    Ok(())
}

fn a_whole_lake_has_no_finding() -> Result<()> {
    let (warehouse, _) = loaded(2_000, 2)?;
    is_whole(&warehouse, 2_000)
}

/// Neither a load nor a question may take the torn version for the truth, or quietly go on from the one before.
fn is_refused_everywhere(warehouse: Warehouse, commit: &Path, source: &Path) -> Result<()> {
    is_found(&warehouse, commit)?;
    let more = files::visits(warehouse.folder(), "more.csv", 2_000..3_000)?;
    let torn = fs::read(commit)?;
    let done = warehouse.run(["load".as_ref(), source.as_os_str(), more.as_os_str()])?;
    ensure!(done.code == Some(1), "a load went on: {done}");
    ensure!(
        done.stderr.contains("rapport check") || done.stderr.contains("00000"),
        "{done}"
    );
    ensure!(fs::read(commit)? == torn, "the torn commit was changed");
    // A server may refuse to start, or refuse the question: what it may not do is answer it.
    let name = commit
        .file_name()
        .context("a name")?
        .to_string_lossy()
        .into_owned();
    match warehouse.serve() {
        Err(error) => ensure!(format!("{error:#}").contains(&name), "{error:#}"),
        Ok(server) => {
            let answer = server.ask("SELECT count(*) FROM interactions");
            let error = format!(
                "{:#}",
                answer.err().context("a torn table was answered from")?
            );
            ensure!(error.contains("XX001"), "{error}");
            let other = server.ask("SELECT count(*) FROM products")?;
            ensure!(other == [["0"]], "the other tables are whole");
        }
    }
    Ok(())
}

fn an_empty_last_commit_is_found_and_refused() -> Result<()> {
    let (warehouse, source) = loaded(2_000, 2)?;
    let commit = newest_commit(&warehouse)?;
    fs::write(&commit, "")?;
    is_refused_everywhere(warehouse, &commit, &source)
}

fn a_torn_last_commit_is_found_and_refused() -> Result<()> {
    let (warehouse, source) = loaded(2_000, 2)?;
    let commit = newest_commit(&warehouse)?;
    let text = fs::read(&commit)?;
    fs::write(&commit, &text[..text.len() / 2])?;
    is_refused_everywhere(warehouse, &commit, &source)
}

fn a_missing_commit_is_found() -> Result<()> {
    let (warehouse, _) = loaded(3_000, 3)?;
    let newest = newest_commit(&warehouse)?;
    let name = newest
        .file_name()
        .context("a name")?
        .to_string_lossy()
        .into_owned();
    let version: u64 = name.trim_end_matches(".json").parse()?;
    let missing = newest.with_file_name(format!("{:020}.json", version - 1));
    fs::remove_file(&missing)?;
    is_found(&warehouse, &missing)
}

fn a_flipped_bit_in_a_data_file_is_found_wherever_it_is() -> Result<()> {
    let (warehouse, _) = loaded(2_000, 1)?;
    let file = a_data_file(&warehouse)?;
    let whole = fs::read(&file)?;
    for place in [
        0,
        5,
        whole.len() / 3,
        whole.len() / 2,
        whole.len() - 100,
        whole.len() - 1,
    ] {
        let mut damaged = whole.clone();
        damaged[place] ^= 0x10;
        fs::write(&file, &damaged)?;
        is_found(&warehouse, &file).with_context(|| format!("byte {place} of {}", whole.len()))?;
    }
    fs::write(&file, &whole)?;
    is_whole(&warehouse, 2_000)
}

fn a_truncated_data_file_is_found() -> Result<()> {
    let (warehouse, _) = loaded(2_000, 1)?;
    let file = a_data_file(&warehouse)?;
    let whole = fs::read(&file)?;
    for length in [0, whole.len() / 2, whole.len() - 1] {
        fs::write(&file, &whole[..length])?;
        is_found(&warehouse, &file)
            .with_context(|| format!("cut to {length} of {}", whole.len()))?;
    }
    Ok(())
}

fn a_missing_data_file_is_found() -> Result<()> {
    let (warehouse, _) = loaded(2_000, 1)?;
    let file = a_data_file(&warehouse)?;
    fs::remove_file(&file)?;
    is_found(&warehouse, &file)
}

/// What a killed load leaves behind is for vacuum.
fn a_file_that_no_commit_names_is_no_damage() -> Result<()> {
    let (warehouse, source) = loaded(2_000, 1)?;
    let file = a_data_file(&warehouse)?;
    fs::copy(&file, file.with_file_name("left-behind.parquet"))?;
    is_whole(&warehouse, 2_000)?;
    let more = files::visits(warehouse.folder(), "more.csv", 2_000..3_000)?;
    load(&warehouse, &source, &more)?;
    is_whole(&warehouse, 3_000)
}

fn a_lake_of_a_later_format_is_refused() -> Result<()> {
    let warehouse = Warehouse::init()?;
    let marker = warehouse.lake().join("_rapport/format.json");
    let text = fs::read_to_string(&marker)?;
    let mut said: serde_json::Value = serde_json::from_str(&text)?;
    let key = ["format", "version"]
        .into_iter()
        .find(|key| said.get(key).is_some())
        .context("a format number")?;
    said[key] = 9_999.into();
    fs::write(&marker, said.to_string())?;
    let error = warehouse.fail(["tables"])?;
    ensure!(error.contains("9999") || error.contains("newer"), "{error}");
    Ok(())
}

fn a_folder_that_is_no_lake_is_refused() -> Result<()> {
    let warehouse = Warehouse::init()?;
    let elsewhere = Warehouse::at(
        crate::fixtures::warehouse::free_lake()?,
        warehouse
            .folder()
            .join("nothing-here")
            .display()
            .to_string(),
        vec![],
    );
    for command in [
        ["serve"].as_slice(),
        &["tables"],
        &["check"],
        &["compact"],
        &["user", "list"],
    ] {
        let said = elsewhere.fail(command)?;
        ensure!(
            said.contains("rapport init"),
            "{command:?} does not say what to do: {said}"
        );
    }
    Ok(())
}
