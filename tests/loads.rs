//! Loading as a user does it: real files through the shipped sources, and files made up to be difficult.
//!
//! The real data is not part of the project: `$RAPPORT_TEST_DATA`, by default `../shared/data`. Where it is absent, the
//! tests that need it say so and are skipped.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use libtest_mimic::Trial;
use serde_json::Value;

use crate::fixtures::trial::{skip, trials};
use crate::fixtures::warehouse::{Warehouse, finish};
use crate::fixtures::{files, place, reader};

pub fn trials() -> Vec<Trial> {
    trials!["loads";
        the_shipped_sources_make_one_history_of_the_real_files,
        online_retail_keeps_returns_and_rows_without_a_customer,
        a_shipped_source_loaded_twice_changes_nothing,
        the_same_file_under_another_name_changes_nothing,
        an_overlapping_file_adds_only_what_is_new,
        standard_input_folders_and_globs_are_read,
        gzip_and_zstd_are_known_by_their_content,
        windows_1250_and_a_byte_order_mark_are_read,
        json_lines_are_read_and_what_is_not_mapped_is_kept,
        parquet_is_read,
        a_bad_row_goes_to_quarantine_with_its_place_and_reason,
        too_many_bad_rows_fail_the_load_and_show_nothing,
        another_reader_of_delta_sees_the_same_rows,
        a_dry_run_writes_nothing,
        an_unknown_source_or_file_is_named,
        a_select_that_is_wrong_is_told_with_its_source,
    ]
}

const SHIPPED: [(&str, &str); 5] = [
    ("online_retail", "online_retail.parquet"),
    ("ecom_events", "ecom_events.csv.gz"),
    ("support_tickets", "support_tickets.csv"),
    ("cdnow", "cdnow_elog.csv"),
    ("hillstrom", "hillstrom.csv"),
];

/// A real file, or the test is skipped.
fn real(file: &str) -> Result<PathBuf> {
    match place::data(file) {
        Some(path) => Ok(path),
        None => skip(format!(
            "{file} is absent ($RAPPORT_TEST_DATA, by default ../shared/data)"
        )),
    }
}

/// `rapport load --json`.
fn load(warehouse: &Warehouse, source: &str, paths: &[&Path]) -> Result<Value> {
    let mut arguments = vec!["load".as_ref(), source.as_ref(), "--json".as_ref()];
    arguments.extend(paths.iter().map(|path| path.as_os_str()));
    Ok(serde_json::from_str(&warehouse.succeed(arguments)?)?)
}

/// A source of the user's own, in the folder where `rapport load` looks for it.
fn own_source(warehouse: &Warehouse, name: &str, text: &str) -> Result<()> {
    let folder = warehouse.folder().join("rapport-sources");
    fs::create_dir_all(&folder)?;
    Ok(fs::write(folder.join(format!("{name}.toml")), text)?)
}

fn file(warehouse: &Warehouse, name: &str, content: impl AsRef<[u8]>) -> Result<PathBuf> {
    let path = warehouse.folder().join(name);
    fs::write(&path, content)?;
    Ok(path)
}

fn the_shipped_sources_make_one_history_of_the_real_files() -> Result<()> {
    let warehouse = Warehouse::init()?;
    let mut added = 0;
    for (source, name) in SHIPPED {
        let loaded = load(&warehouse, source, &[&real(name)?])?;
        let (read, refused) = (loaded["read"].as_u64(), loaded["refused"].as_u64());
        ensure!(
            read > Some(0) && loaded["added"].as_u64() > Some(0),
            "{source}: {loaded}"
        );
        ensure!(
            refused.unwrap_or(u64::MAX) * 20 < read.unwrap_or(0),
            "{source} refuses too much: {loaded}"
        );
        for table in loaded["tables"].as_array().context("tables")? {
            if table["table"]
                .as_str()
                .is_some_and(|name| name.ends_with("interactions"))
            {
                added += table["added"].as_u64().context("added")?;
            }
        }
    }
    warehouse.succeed(["check"])?;
    let server = warehouse.serve()?;
    let total = server.ask("SELECT count(*), count(DISTINCT interaction_id) FROM interactions")?;
    ensure!(
        total == [[added.to_string(), added.to_string()]],
        "{added} were added, {total:?} are there"
    );
    // One query counts it by source, channel and month.
    let counted = server.ask(
        "SELECT source, channel, date_trunc('month', occurred_at) AS month, count(*) FROM interactions \
         GROUP BY 1, 2, 3 ORDER BY 1, 3, 2",
    )?;
    let sum: u64 = counted
        .iter()
        .map(|row| row[3].parse::<u64>().unwrap_or(0))
        .sum();
    ensure!(sum == added, "the groups add up to {sum}, not {added}");
    for (source, _) in SHIPPED {
        ensure!(
            counted.iter().any(|row| row[0] == source),
            "nothing of {source}"
        );
    }
    ensure!(
        counted
            .iter()
            .all(|row| row[1] != "NULL" && row[2] != "NULL"),
        "a row without channel or time"
    );
    Ok(())
}

fn online_retail_keeps_returns_and_rows_without_a_customer() -> Result<()> {
    let data = real("online_retail.parquet")?;
    let warehouse = Warehouse::init()?;
    let loaded = load(&warehouse, "online_retail", &[&data])?;
    ensure!(loaded["read"] == 541_909, "{loaded}");
    let server = warehouse.serve()?;
    let rows = server.ask(
        "SELECT count(*) FILTER (WHERE customer_id IS NULL), count(*) FILTER (WHERE amount < 0 OR quantity < 0), \
                count(DISTINCT customer_id), min(occurred_at)::date, max(occurred_at)::date FROM interactions",
    )?;
    // Known of the data set: 135,080 lines without a customer, 10,624 with a negative quantity, 4,372 customers.
    let n: Vec<u64> = rows[0]
        .iter()
        .take(3)
        .map(|n| n.parse().unwrap_or(0))
        .collect();
    ensure!(n[1] > 9_000 && n[2] == 4_372, "{rows:?}");
    ensure!(rows[0][3..] == ["2010-12-01", "2011-12-09"], "{rows:?}");
    let lost = server.ask("SELECT count(*) FROM quarantine")?;
    let lost: u64 = lost[0][0].parse()?;
    let kept: u64 = server.ask("SELECT count(*) FROM interactions")?[0][0].parse()?;
    let known = loaded["already_known"].as_u64().unwrap_or(0);
    ensure!(
        kept + lost + known == 541_909,
        "{kept} kept, {lost} in quarantine, {known} equal to another row"
    );
    ensure!(
        n[0] + lost > 130_000,
        "rows without a customer are neither kept nor in quarantine: {rows:?}"
    );
    Ok(())
}

fn a_shipped_source_loaded_twice_changes_nothing() -> Result<()> {
    for (source, name) in [
        ("support_tickets", "support_tickets.csv"),
        ("cdnow", "cdnow_elog.csv"),
    ] {
        let data = real(name)?;
        let warehouse = Warehouse::init()?;
        load(&warehouse, source, &[&data])?;
        let before = reader::table(&warehouse.lake(), "interactions")?;
        let said = warehouse.succeed(["load".as_ref(), source.as_ref(), data.as_os_str()])?;
        ensure!(
            said.contains("nothing"),
            "it does not say that nothing was new: {said}"
        );
        let after = reader::table(&warehouse.lake(), "interactions")?;
        ensure!(
            before.version == after.version,
            "version {} became {}",
            before.version,
            after.version
        );
    }
    Ok(())
}

fn made_up(from: u64, to: u64) -> Result<(Warehouse, PathBuf)> {
    let warehouse = Warehouse::init()?;
    files::source(warehouse.folder())?;
    let data = files::visits(warehouse.folder(), "visits.csv", from..to)?;
    load(&warehouse, "./visits.toml", &[&data])?;
    Ok((warehouse, data))
}

fn the_same_file_under_another_name_changes_nothing() -> Result<()> {
    let (warehouse, data) = made_up(0, 500)?;
    let other = warehouse.folder().join("copied.csv");
    fs::copy(data, &other)?;
    let loaded = load(&warehouse, "./visits.toml", &[&other])?;
    ensure!(loaded["added"] == 0, "{loaded}");
    Ok(())
}

fn an_overlapping_file_adds_only_what_is_new() -> Result<()> {
    let (warehouse, _) = made_up(0, 500)?;
    let more = files::visits(warehouse.folder(), "more.csv", 300..800)?;
    let loaded = load(&warehouse, "./visits.toml", &[&more])?;
    ensure!(
        loaded["added"] == 300 && loaded["already_known"] == 200,
        "{loaded}"
    );
    let ids = reader::table(&warehouse.lake(), "interactions")?.distinct("source_id")?;
    ensure!(ids.len() == 800, "{} visits", ids.len());
    Ok(())
}

fn standard_input_folders_and_globs_are_read() -> Result<()> {
    let (warehouse, _) = made_up(0, 100)?;
    let folder = warehouse.folder().join("incoming");
    fs::create_dir(&folder)?;
    files::visits(&folder, "a.csv", 100..200)?;
    files::visits(&folder, "b.csv", 200..300)?;
    let loaded = load(&warehouse, "./visits.toml", &[&folder])?;
    ensure!(loaded["added"] == 200, "a folder: {loaded}");
    files::visits(&folder, "c.csv", 300..400)?;
    let loaded = load(&warehouse, "./visits.toml", &[&folder.join("[bc].csv")])?;
    ensure!(loaded["added"] == 100, "a glob: {loaded}");
    let last = files::visits(warehouse.folder(), "last.csv", 400..500)?;
    let mut command = warehouse.command(["load", "./visits.toml", "-", "--json"])?;
    command.stdin(fs::File::open(last)?);
    let done = finish(command)?;
    ensure!(
        done.code == Some(0) && done.stdout.contains("\"added\": 100")
            || done.stdout.contains("\"added\":100"),
        "{done}"
    );
    Ok(())
}

fn gzip_and_zstd_are_known_by_their_content() -> Result<()> {
    let (warehouse, _) = made_up(0, 100)?;
    for (n, program) in [(1, "gzip"), (2, "zstd")] {
        if place::program(program).is_none() {
            return skip(format!("{program} is not installed"));
        }
        let plain = files::visits(warehouse.folder(), "plain.csv", n * 100..(n + 1) * 100)?;
        // Not by the name, which says nothing.
        let packed = warehouse.folder().join(format!("packed-{n}.csv"));
        let done = Command::new(program)
            .arg("-c")
            .arg(&plain)
            .stderr(Stdio::null())
            .output()?;
        fs::write(&packed, done.stdout)?;
        let loaded = load(&warehouse, "./visits.toml", &[&packed])?;
        ensure!(loaded["added"] == 100, "{program}: {loaded}");
    }
    Ok(())
}

const NOTES: &str = r#"about = "Notes"
format = "csv"
delimiter = ";"
ENCODING
decimal_comma = true
time_zone = "Europe/Sofia"
time_formats = ["%d.%m.%Y %H:%M"]
currency = "BGN"
key = ["nr"]
select = "SELECT nr AS source_id, wann AS occurred_at, 'store' AS channel, 'note' AS interaction_type, wert AS amount, text AS body FROM raw"
"#;

fn windows_1250_and_a_byte_order_mark_are_read() -> Result<()> {
    let warehouse = Warehouse::init()?;
    own_source(
        &warehouse,
        "notes_1250",
        &NOTES.replace("ENCODING", "encoding = \"windows-1250\""),
    )?;
    own_source(&warehouse, "notes_utf8", &NOTES.replace("ENCODING", ""))?;
    // "Kraków; 1.234,50" in Windows-1250.
    let old = file(
        &warehouse,
        "old.csv",
        b"nr;wann;wert;text\n1;15.07.2024 12:00;1.234,50;\"Krak\xf3w; \xb3\"\n",
    )?;
    let new = file(
        &warehouse,
        "new.csv",
        "\u{feff}nr;wann;wert;text\n2;15.01.2024 12:00;-0,5;Ю\n",
    )?;
    load(&warehouse, "notes_1250", &[&old])?;
    load(&warehouse, "notes_utf8", &[&new])?;
    let server = warehouse.serve()?;
    let rows = server.ask(
        "SELECT source_id, occurred_at, amount, currency, body FROM interactions ORDER BY source_id",
    )?;
    ensure!(
        rows == [
            ["1", "2024-07-15 09:00:00+00", "1234.50", "BGN", "Kraków; ł"],
            ["2", "2024-01-15 10:00:00+00", "-0.50", "BGN", "Ю"]
        ],
        "{rows:?}"
    );
    Ok(())
}

fn json_lines_are_read_and_what_is_not_mapped_is_kept() -> Result<()> {
    let warehouse = Warehouse::init()?;
    own_source(
        &warehouse,
        "clicks",
        r#"about = "Clicks"
format = "jsonl"
time_zone = "UTC"
key = ["id"]
customer_kind = "cookie"
select = "SELECT id AS source_id, at AS occurred_at, who AS customer, 'web' AS channel, 'click' AS interaction_type FROM raw"
"#,
    )?;
    let data = file(
        &warehouse,
        "clicks.jsonl",
        "{\"id\": \"a\", \"at\": \"2024-05-01T10:00:00Z\", \"who\": \"c1\", \"page\": \"/x\", \"deep\": {\"n\": 1}}\n\
         {\"id\": \"b\", \"at\": \"2024-05-01T10:00:01Z\", \"who\": \"c1\"}\n",
    )?;
    load(&warehouse, "clicks", &[&data])?;
    let server = warehouse.serve()?;
    let rows = server.ask(
        "SELECT i.source_id, c.customer_ref, i.properties FROM interactions i JOIN customers c USING (customer_id) ORDER BY 1",
    )?;
    ensure!(
        rows.len() == 2 && rows[0][..2] == ["a", "c1"] && rows[1][0] == "b",
        "{rows:?}"
    );
    let kept: Value = serde_json::from_str(&rows[0][2])?;
    ensure!(kept["page"] == "/x" && kept["deep"]["n"] == 1, "{kept}");
    Ok(())
}

fn parquet_is_read() -> Result<()> {
    let Some(python) = place::python("") else {
        return skip("Python's duckdb is not installed (tests/run installs it where it can)");
    };
    let (warehouse, data) = made_up(0, 10)?;
    let packed = warehouse.folder().join("visits.parquet");
    let more = files::visits(warehouse.folder(), "more.csv", 10..300)?;
    ensure!(data.exists());
    let sql = format!(
        "COPY (FROM read_csv('{}')) TO '{}' (FORMAT parquet)",
        more.display(),
        packed.display()
    );
    let done = Command::new(python)
        .args(["-c", "import duckdb, sys; duckdb.sql(sys.argv[1])", &sql])
        .output()?;
    ensure!(
        done.status.success(),
        "{}",
        String::from_utf8_lossy(&done.stderr)
    );
    let text = fs::read_to_string(warehouse.folder().join("visits.toml"))?
        .replace("\"csv\"", "\"parquet\"");
    own_source(&warehouse, "visits", &text)?;
    let loaded = load(&warehouse, "visits", &[&packed])?;
    ensure!(loaded["added"] == 290 && loaded["refused"] == 0, "{loaded}");
    Ok(())
}

fn a_bad_row_goes_to_quarantine_with_its_place_and_reason() -> Result<()> {
    let (warehouse, _) = made_up(0, 100)?;
    let good = files::visits(warehouse.folder(), "good.csv", 100..200)?;
    let mut text = fs::read(&good)?;
    text.extend_from_slice(b"v-time,card-1,soon,web,1,1.00,x\n");
    text.extend_from_slice(b"v-money,card-1,2023-01-01T00:00:00Z,web,1,1.00.0,x\n");
    text.extend_from_slice(b"v-huge,card-1,2023-01-01T00:00:00Z,web,1,99999999999999999999,x\n");
    text.extend_from_slice(b"v-utf8,card-1,2023-01-01T00:00:00Z,web,1,1.00,\xff\xfe\n");
    let bad = file(&warehouse, "bad.csv", text)?;
    let said = warehouse.succeed(["load".as_ref(), "./visits.toml".as_ref(), bad.as_os_str()])?;
    ensure!(
        said.trim()
            .lines()
            .last()
            .is_some_and(|line| line.contains("4 refused")),
        "{said}"
    );
    let server = warehouse.serve()?;
    let rows =
        server.ask("SELECT file, line, \"column\", reason, raw FROM quarantine ORDER BY line")?;
    ensure!(rows.len() == 4, "{rows:?}");
    for (row, (line, raw)) in rows.iter().zip([
        (102, "v-time"),
        (103, "v-money"),
        (104, "v-huge"),
        (105, "v-utf8"),
    ]) {
        ensure!(
            row[0].ends_with("bad.csv") && row[1] == line.to_string(),
            "{row:?}"
        );
        ensure!(row[3].len() > 5 && row[4].contains(raw), "{row:?}");
    }
    let count = server.ask("SELECT count(*) FROM interactions")?;
    ensure!(count == [["200"]], "{count:?}");
    Ok(())
}

fn too_many_bad_rows_fail_the_load_and_show_nothing() -> Result<()> {
    let (warehouse, _) = made_up(0, 100)?;
    let good = files::visits(warehouse.folder(), "good.csv", 100..200)?;
    let mut text = fs::read_to_string(&good)?;
    for n in 0..10 {
        text += &format!("b{n},card-1,never,web,1,1.00,x\n");
    }
    let bad = file(&warehouse, "bad.csv", text)?;
    let said = warehouse.fail(["load".as_ref(), "./visits.toml".as_ref(), bad.as_os_str()])?;
    ensure!(said.contains("refused"), "{said}");
    let lake = warehouse.lake();
    ensure!(
        reader::table(&lake, "interactions")?
            .distinct("source_id")?
            .len()
            == 100
    );
    // Allowed explicitly, it goes through.
    let done = warehouse.run([
        "load".as_ref(),
        "./visits.toml".as_ref(),
        bad.as_os_str(),
        "--max-refused=0.2".as_ref(),
    ])?;
    ensure!(done.code == Some(0), "{done}");
    ensure!(
        reader::table(&lake, "interactions")?
            .distinct("source_id")?
            .len()
            == 200
    );
    Ok(())
}

/// delta-rs for Python: what the lake holds is Delta, not something like it.
fn another_reader_of_delta_sees_the_same_rows() -> Result<()> {
    const READ: &str = "import sys, deltalake, duckdb\n\
        table = deltalake.DeltaTable(sys.argv[1])\n\
        protocol = table.protocol()\n\
        print(protocol.min_reader_version, protocol.min_writer_version)\n\
        files = table.file_uris()\n\
        print(*duckdb.sql(f\"SELECT count(*), count(DISTINCT interaction_id), min(occurred_at) >= '2023-01-01', \
            sum(amount) FROM read_parquet({files!r})\").fetchall()[0])\n";
    let Some(python) = place::python("") else {
        return skip("Python's deltalake is not installed (tests/run installs it where it can)");
    };
    let (warehouse, _) = made_up(0, 1000)?;
    for n in 1..6 {
        let data = files::visits(warehouse.folder(), "more.csv", n * 1000..(n + 1) * 1000)?;
        load(&warehouse, "./visits.toml", &[&data])?;
    }
    warehouse.succeed(["compact"])?;
    let mut command = Command::new(python);
    command
        .args(["-c", READ])
        .arg(warehouse.lake().join("public/interactions"));
    let done = finish(command)?;
    ensure!(done.code == Some(0), "{done}");
    let server = warehouse.serve()?;
    let sum = server.ask("SELECT sum(amount) FROM interactions")?[0][0].clone();
    let expected = format!("1 2\n6000 6000 True {sum}\n");
    ensure!(done.stdout == expected, "{} is not {expected}", done.stdout);
    Ok(())
}

fn a_dry_run_writes_nothing() -> Result<()> {
    let (warehouse, _) = made_up(0, 100)?;
    let listed = |warehouse: &Warehouse| -> Result<String> {
        let done = Command::new("find")
            .arg(warehouse.lake().join("public"))
            .args(["-type", "f"])
            .output()?;
        let mut files: Vec<_> = String::from_utf8_lossy(&done.stdout)
            .lines()
            .map(str::to_owned)
            .collect();
        files.sort();
        Ok(files.join("\n"))
    };
    let before = listed(&warehouse)?;
    let mut text = fs::read_to_string(files::visits(warehouse.folder(), "next.csv", 100..120)?)?;
    text += "bad-row,card-1,never,web,1,1.00,x\n";
    let data = file(&warehouse, "next.csv", text)?;
    let said = warehouse.succeed([
        "load".as_ref(),
        "./visits.toml".as_ref(),
        data.as_os_str(),
        "--dry-run".as_ref(),
    ])?;
    ensure!(
        said.contains(&files::id(100)) && said.contains("bad-row"),
        "{said}"
    );
    ensure!(before == listed(&warehouse)?, "a dry run wrote something");
    Ok(())
}

fn an_unknown_source_or_file_is_named() -> Result<()> {
    let warehouse = Warehouse::init()?;
    let done = warehouse.run(["load", "onlin_retail", "x.csv"])?;
    let said = done.stderr;
    ensure!(
        done.code == Some(2) && said.contains("onlin_retail") && said.contains("online_retail"),
        "the nearest is not named: {said}"
    );
    for path in ["no-such-file.csv", "no-such-folder/*.csv"] {
        let done = warehouse.run(["load", "csv", path])?;
        ensure!(done.code == Some(2) && done.stderr.contains(path), "{done}");
    }
    Ok(())
}

fn a_select_that_is_wrong_is_told_with_its_source() -> Result<()> {
    let warehouse = Warehouse::init()?;
    let data = files::visits(warehouse.folder(), "visits.csv", 0..10)?;
    for (name, select, word) in [
        (
            "wrong_column",
            "SELECT nothing AS source_id, at AS occurred_at, channel, 'x' AS interaction_type FROM raw",
            "nothing",
        ),
        (
            "wrong_target",
            "SELECT id AS source_id, at AS occurred_at, channel, 'x' AS interaction_type, card AS no_such_target FROM raw",
            "no_such_target",
        ),
        ("wrong_syntax", "SELEC id FROM raw", "SELEC"),
        ("wrong_table", "SELECT * FROM interactions", "interactions"),
        ("wrong_file", "SELECT * FROM '/etc/passwd'", "/etc/passwd"),
    ] {
        let text =
            format!("about = \"x\"\nformat = \"csv\"\nkey = [\"id\"]\nselect = \"{select}\"\n");
        own_source(&warehouse, name, &text)?;
        let said = warehouse.fail(["load".as_ref(), name.as_ref(), data.as_os_str()])?;
        ensure!(said.contains(name) && said.contains(word), "{name}: {said}");
    }
    Ok(())
}
