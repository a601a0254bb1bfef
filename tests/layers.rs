//! The house is as the picture in README.md says: an edge between crates that is not in it fails here, and so does a
//! part of these tests that nobody runs.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use libtest_mimic::Trial;

use crate::fixtures::place;
use crate::fixtures::trial::{gaps, trials};
use crate::{acceptance, clients, commands, faults, loads, slt, stores};

/// Each folder, and what may stand directly above what. A crate may also use what lies further below it.
const PICTURE: &[(&str, &[&str])] = &[
    (
        "crates/cli",
        &[
            "crates/intake",
            "crates/pgwire",
            "crates/jobs",
            "crates/cluster",
        ],
    ),
    ("crates/intake", &["crates/engine"]),
    ("crates/pgwire", &["crates/models"]),
    ("crates/jobs", &["crates/models"]),
    ("crates/cluster", &["crates/engine"]),
    ("crates/models", &["crates/engine"]),
    ("crates/engine", &["catalogs/*", "udfs/*"]),
    ("catalogs/*", &["crates/lake"]),
    ("udfs/*", &["udfs/face", "crates/stats"]),
    ("crates/lake", &[]),
    ("crates/stats", &[]),
];

/// Packages outside that only some of our crates may use.
const ONLY: &[(&str, &[&str])] = &[
    // Only `lake` knows Delta. `intake` reads files from object stores, a Parquet plan names its files by their types, and
    // `engine` tells DataFusion that there is no store but the lake's.
    ("deltalake*", &["crates/lake"]),
    (
        "object_store",
        &[
            "crates/lake",
            "crates/intake",
            "catalogs/lake",
            "crates/engine",
        ],
    ),
    // Only `pgwire` knows wire messages; the catalogue is reached as a client reaches it.
    ("pgwire", &["crates/pgwire"]),
    ("postgres-protocol", &["crates/pgwire", "catalogs/postgres"]),
    ("pglite-oxide", &["catalogs/postgres"]),
    ("virtual-net", &["catalogs/postgres"]),
    // Only `cli` reads flags, environment and settings files, or prints.
    ("clap*", &["crates/cli"]),
    ("figment", &["crates/cli"]),
    ("indicatif", &["crates/cli"]),
    ("tracing-subscriber", &["crates/cli"]),
    ("anyhow", &["crates/cli"]),
];

/// Packages outside that some of our crates must not use.
const NEVER: &[(&str, &[&str])] = &[
    ("udfs/*", &["datafusion", "tokio"]),
    (
        "crates/stats",
        &[
            "arrow*",
            "parquet",
            "datafusion*",
            "tokio",
            "futures",
            "async-trait",
        ],
    ),
    ("crates/lake", &["datafusion*", "sqlparser"]),
];

pub fn trials() -> Vec<Trial> {
    trials!["layers";
        the_workspace_is_the_picture,
        only_the_edges_of_the_picture_are_used,
        a_package_is_named_after_its_folder,
        every_file_of_these_tests_is_run,
        every_gap_names_a_test,
    ]
}

/// Each member's folder with its manifest.
fn members() -> Result<BTreeMap<String, toml::Table>> {
    let manifest = |folder: &str| -> Result<toml::Table> {
        let path = place::root().join(folder).join("Cargo.toml");
        fs::read_to_string(&path)
            .with_context(|| format!("read {}", path.display()))?
            .parse()
            .with_context(|| format!("parse {}", path.display()))
    };
    let workspace = manifest("")?;
    let members = workspace["workspace"]["members"]
        .as_array()
        .context("workspace.members is a list")?;
    members
        .iter()
        .map(|member| {
            let folder = member.as_str().context("a member is a path")?;
            Ok((folder.to_owned(), manifest(folder)?))
        })
        .collect()
}

/// Everything a manifest depends on, in whatever section.
fn dependencies(manifest: &toml::Table) -> BTreeSet<String> {
    ["dependencies", "dev-dependencies", "build-dependencies"]
        .iter()
        .filter_map(|section| manifest.get(*section)?.as_table())
        .flat_map(|table| table.iter())
        .map(|(name, said)| {
            said.get("package")
                .and_then(|p| p.as_str())
                .unwrap_or(name)
                .to_owned()
        })
        .collect()
}

fn matches(pattern: &str, name: &str) -> bool {
    pattern
        .strip_suffix('*')
        .map_or(pattern == name, |start| name.starts_with(start))
}

/// What the picture lets `folder` use: everything below it.
fn below(folder: &str) -> Vec<&'static str> {
    let mut found = vec![];
    let mut open = vec![folder];
    while let Some(at) = open.pop() {
        for (_, next) in PICTURE
            .iter()
            .filter(|(upper, _)| *upper == at || matches(upper, at))
        {
            // `udfs/face` stands below all `udfs/*`, itself among them.
            for next in *next {
                if !found.contains(next) {
                    found.push(next);
                    open.push(next);
                }
            }
        }
    }
    found
}

/// Tests and benches look at everything and nothing looks at them.
fn is_outside(folder: &str) -> bool {
    ["tests", "benches"].contains(&folder)
}

fn package(folder: &str) -> String {
    let (parent, name) = folder.rsplit_once('/').unwrap_or(("", folder));
    // `catalogs/lake` beside `crates/lake`.
    let family = match parent {
        "catalogs" => "catalog-",
        "udfs" => "udf-",
        _ => "",
    };
    format!("rapport-{family}{name}")
}

fn the_workspace_is_the_picture() -> Result<()> {
    for folder in members()?.keys() {
        let known =
            is_outside(folder) || PICTURE.iter().any(|(pattern, _)| matches(pattern, folder));
        ensure!(
            known,
            "{folder} is a member of the workspace, but not in the picture"
        );
    }
    Ok(())
}

fn only_the_edges_of_the_picture_are_used() -> Result<()> {
    let members = members()?;
    let folder_of: BTreeMap<String, &String> = members
        .keys()
        .map(|folder| (package(folder), folder))
        .collect();
    let mut wrong = vec![];
    for (folder, manifest) in members.iter().filter(|(folder, _)| !is_outside(folder)) {
        let allowed = below(folder);
        for dependency in dependencies(manifest) {
            if let Some(target) = folder_of.get(&dependency) {
                if !allowed.iter().any(|pattern| matches(pattern, target)) {
                    wrong.push(format!("{folder} uses {target}"));
                }
                continue;
            }
            for (_, users) in ONLY
                .iter()
                .filter(|(pattern, _)| matches(pattern, &dependency))
            {
                if !users.contains(&folder.as_str()) {
                    wrong.push(format!(
                        "{folder} uses {dependency}, which is for {}",
                        users.join(", ")
                    ));
                }
            }
            for (pattern, refused) in NEVER {
                if matches(pattern, folder) && refused.iter().any(|r| matches(r, &dependency)) {
                    wrong.push(format!("{folder} uses {dependency}"));
                }
            }
        }
    }
    ensure!(
        wrong.is_empty(),
        "not in the picture:\n{}",
        wrong.join("\n")
    );
    Ok(())
}

fn a_package_is_named_after_its_folder() -> Result<()> {
    for (folder, manifest) in members()? {
        let name = manifest["package"]["name"]
            .as_str()
            .context("a package has a name")?;
        ensure!(
            name == package(&folder),
            "{folder} holds {name}, not {}",
            package(&folder)
        );
    }
    Ok(())
}

/// A Rust file that no `mod` names, an slt file outside `slt/<domain>/`, a script without a driver: all would be
/// forgotten in silence.
fn every_file_of_these_tests_is_run() -> Result<()> {
    let slt = slt::files()?;
    let scripts = clients::scripts()?;
    for file in files_below(place::tests())? {
        let said = file.strip_prefix(place::tests())?.display().to_string();
        let run = match file.extension().and_then(|e| e.to_str()) {
            Some("slt") => slt.contains(&file),
            Some("py" | "mjs" | "java") => {
                scripts.contains(&file) || clients::HELPERS.contains(&said.as_str())
            }
            Some("rs") => is_named_by_a_mod(&file)?,
            _ => true,
        };
        if !run {
            bail!("tests/{said} is never run");
        }
    }
    Ok(())
}

/// A line of gaps.txt whose test is called otherwise by now would excuse nothing and stay for ever.
fn every_gap_names_a_test() -> Result<()> {
    let groups = [
        commands::trials(),
        loads::trials(),
        slt::trials(),
        acceptance::trials(),
        clients::trials(),
        stores::trials(),
        faults::trials(),
    ];
    let names: BTreeSet<String> = groups
        .iter()
        .flatten()
        .map(|trial| trial.name().to_owned())
        .collect();
    for (name, _) in gaps() {
        ensure!(
            names.contains(name),
            "tests/gaps.txt: there is no test {name}"
        );
    }
    Ok(())
}

fn is_named_by_a_mod(file: &Path) -> Result<bool> {
    let name = file
        .file_stem()
        .context("a file has a name")?
        .to_string_lossy();
    let folder = file.parent().context("a file lies in a folder")?;
    let parent = match folder == place::tests() {
        true if name == "main" => return Ok(true),
        true => folder.join("main.rs"),
        false => folder.with_extension("rs"),
    };
    let text = fs::read_to_string(&parent).with_context(|| format!("read {}", parent.display()))?;
    Ok(text
        .lines()
        .any(|line| line.trim_start_matches("pub ").trim() == format!("mod {name};")))
}

fn files_below(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = vec![];
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let hidden = path
            .file_name()
            .is_some_and(|n| n.to_string_lossy().starts_with(['.', '_']));
        if path.is_dir() && !hidden {
            found.extend(files_below(&path)?);
        } else if path.is_file() {
            found.push(path);
        }
    }
    Ok(found)
}
