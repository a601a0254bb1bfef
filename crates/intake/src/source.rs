//! A source: what the files of one kind mean. A short TOML file, shipped or the user's own; `catalogs/sources/README.md`
//! tells all its keys.
//!
//! ```toml
//! about = "Till receipts of the Kraków shops"
//! delimiter = ";"
//! encoding = "windows-1250"
//! decimal_comma = true
//! time_zone = "Europe/Warsaw"
//! time_formats = ["%d.%m.%Y %H:%M"]
//! currency = "PLN"
//! customer_kind = "loyalty_card"
//! key = ["shop", "receipt", "line"]
//! select = """
//! SELECT sold_at AS occurred_at, card AS customer, 'store' AS channel, 'purchase' AS interaction_type,
//!        concat(shop, '-', receipt) AS order_id, value AS amount
//! FROM raw
//! """
//! ```

use std::path::{Path, PathBuf};
use std::str::FromStr;

use chrono::format::{Item, StrftimeItems};
use rapport_lake::TableName;
use serde::Deserialize;

use crate::{Error, Result, shipped};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    Csv,
    Jsonl,
    Parquet,
}

#[derive(Clone, Debug)]
pub struct Source {
    pub name: String,
    pub about: String,
    /// `None`: told from the first bytes.
    pub format: Option<Format>,
    pub(crate) csv: CsvOptions,
    pub(crate) encoding: &'static encoding_rs::Encoding,
    /// Texts that mean "no value"; `None`: the empty one in CSV, none in JSON.
    pub(crate) nulls: Option<Vec<String>>,
    pub(crate) time_zone: chrono_tz::Tz,
    pub(crate) time_zone_column: Option<String>,
    pub(crate) time_formats: Vec<String>,
    pub(crate) decimal_comma: bool,
    pub(crate) currency: Option<String>,
    pub(crate) currency_column: Option<String>,
    pub(crate) customer_kind: String,
    pub(crate) key: Vec<String>,
    /// Raw columns that are worth nothing.
    pub(crate) drop: Vec<String>,
    pub targets: Vec<Target>,
}

#[derive(Clone, Debug)]
pub(crate) struct CsvOptions {
    pub delimiter: u8,
    pub quote: Option<u8>,
    pub header: bool,
    pub columns: Option<Vec<String>>,
}

/// One table that the source's rows go to.
#[derive(Clone, Debug)]
pub struct Target {
    /// Part of the identity of the row: tells apart the several interactions that one raw row may yield. Empty for
    /// the first.
    pub name: String,
    pub table: TableName,
    /// `None`: raw columns named like the table's are taken as they are.
    pub select: Option<String>,
}

/// A source as `Source::list` shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceSummary {
    pub name: String,
    pub about: String,
    /// The file, or `None` for a shipped one.
    pub file: Option<PathBuf>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    about: String,
    format: Option<Format>,
    #[serde(default = "comma")]
    delimiter: String,
    #[serde(default = "double_quote")]
    quote: String,
    #[serde(default = "yes")]
    header: bool,
    columns: Option<Vec<String>>,
    #[serde(default = "utf_8")]
    encoding: String,
    nulls: Option<Vec<String>>,
    #[serde(default = "utc")]
    time_zone: String,
    time_zone_column: Option<String>,
    #[serde(default)]
    time_formats: Vec<String>,
    #[serde(default)]
    decimal_comma: bool,
    currency: Option<String>,
    currency_column: Option<String>,
    customer_kind: Option<String>,
    #[serde(default)]
    key: Vec<String>,
    #[serde(default)]
    drop: Vec<String>,
    table: Option<String>,
    select: Option<String>,
    #[serde(default)]
    target: Vec<FileTarget>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileTarget {
    name: Option<String>,
    table: Option<String>,
    select: String,
}

fn comma() -> String {
    ",".into()
}
fn double_quote() -> String {
    "\"".into()
}
fn yes() -> bool {
    true
}
fn utf_8() -> String {
    "utf-8".into()
}
fn utc() -> String {
    "UTC".into()
}

impl Source {
    /// By name, or by the path of a TOML file. The user's own folders come before the shipped sources, so a source
    /// can be replaced by one of the same name.
    pub fn find(name: &str, folders: &[PathBuf]) -> Result<Self> {
        if name.ends_with(".toml") {
            return Self::read(Path::new(name));
        }
        for folder in folders {
            let path = folder.join(format!("{name}.toml"));
            if path.is_file() {
                return Self::read(&path);
            }
        }
        match shipped::SOURCES
            .iter()
            .find(|(shipped, _)| *shipped == name)
        {
            Some((name, text)) => Self::parse(name, text, &format!("`{name}` (shipped)")),
            None => {
                let known: Vec<String> = Self::list(folders)?
                    .into_iter()
                    .map(|source| source.name)
                    .collect();
                Err(Error::UnknownSource {
                    nearest: nearest(name, known.iter().map(String::as_str)),
                    name: name.to_owned(),
                    known,
                })
            }
        }
    }

    /// All that `find` would find, by name.
    pub fn list(folders: &[PathBuf]) -> Result<Vec<SourceSummary>> {
        let mut all: Vec<SourceSummary> = vec![];
        for folder in folders.iter().filter(|folder| folder.is_dir()) {
            let unreadable = |source| Error::SourceFile {
                origin: folder.clone(),
                source,
            };
            for entry in std::fs::read_dir(folder).map_err(unreadable)? {
                let path = entry.map_err(unreadable)?.path();
                if path
                    .extension()
                    .is_some_and(|extension| extension == "toml")
                {
                    let source = Self::read(&path)?;
                    all.push(SourceSummary {
                        name: source.name,
                        about: source.about,
                        file: Some(path),
                    });
                }
            }
        }
        for (name, text) in shipped::SOURCES {
            let source = Self::parse(name, text, &format!("`{name}` (shipped)"))?;
            all.push(SourceSummary {
                name: source.name,
                about: source.about,
                file: None,
            });
        }
        // The first of a name is the one that `find` takes; the sort is stable.
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all.dedup_by(|later, earlier| later.name == earlier.name);
        Ok(all)
    }

    /// The source's name is the file's.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(|source| Error::SourceFile {
            origin: path.to_owned(),
            source,
        })?;
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        Self::parse(&name, &text, &path.display().to_string())
    }

    /// `origin` is what an error calls it.
    pub fn parse(name: &str, text: &str, origin: &str) -> Result<Self> {
        let bad = |what: String| Error::BadSource {
            origin: origin.to_owned(),
            what,
        };
        if !is_name(name) {
            return Err(bad(format!(
                "`{name}` can't be a source's name: use letters, digits, `_` and `-`"
            )));
        }
        let file: File = toml::from_str(text).map_err(|error| bad(error.to_string()))?;

        let single = |text: &str, what: &str| match (text, text.as_bytes()) {
            ("tab", _) => Ok(b'\t'),
            (_, [byte]) if byte.is_ascii() => Ok(*byte),
            _ => Err(bad(format!(
                "{what} must be one ASCII character or \"tab\", not \"{text}\""
            ))),
        };
        let encoding = match file.encoding.to_ascii_lowercase().as_str() {
            "utf-16" => encoding_rs::UTF_16LE,
            label => encoding_rs::Encoding::for_label(label.as_bytes()).ok_or_else(|| {
                bad(format!(
                    "unknown encoding \"{label}\"; for example utf-8, windows-1250, windows-1251"
                ))
            })?,
        };
        let time_zone = chrono_tz::Tz::from_str(&file.time_zone).map_err(|_| {
            bad(format!(
                "unknown time zone \"{}\"; write it as in Europe/Warsaw",
                file.time_zone
            ))
        })?;
        if let Some(format) = file
            .time_formats
            .iter()
            .find(|format| StrftimeItems::new(format).any(|item| item == Item::Error))
        {
            return Err(bad(format!(
                "\"{format}\" is not a time format; for example %d/%m/%Y %H:%M"
            )));
        }
        if file.currency.is_some() && file.currency_column.is_some() {
            return Err(bad("give `currency` or `currency_column`, not both".into()));
        }
        if file.select.is_some() && !file.target.is_empty() {
            return Err(bad(
                "give one `select`, or several [[target]], not both".into()
            ));
        }
        if file.table.is_some() && !file.target.is_empty() {
            return Err(bad(
                "with [[target]], each target names its own `table`".into()
            ));
        }

        let table = |name: Option<&str>| {
            let name = name.unwrap_or("interactions");
            match name.split_once('.') {
                Some((schema, table)) => TableName::new(schema, table),
                None => TableName::public(name),
            }
        };
        let targets: Vec<Target> = if file.target.is_empty() {
            vec![Target {
                name: String::new(),
                table: table(file.table.as_deref()),
                select: file.select,
            }]
        } else {
            file.target
                .into_iter()
                .map(|target| Target {
                    name: target.name.unwrap_or_default(),
                    table: table(target.table.as_deref()),
                    select: Some(target.select),
                })
                .collect()
        };
        for (i, target) in targets.iter().enumerate() {
            if targets[..i]
                .iter()
                .any(|other| other.table == target.table && other.name == target.name)
            {
                return Err(bad(format!(
                    "two targets write to {} under the same name; give the second a `name` of its own",
                    target.table
                )));
            }
        }

        Ok(Self {
            name: name.to_owned(),
            about: file.about,
            format: file.format,
            csv: CsvOptions {
                delimiter: single(&file.delimiter, "delimiter")?,
                quote: if file.quote.is_empty() {
                    None
                } else {
                    Some(single(&file.quote, "quote")?)
                },
                header: file.header,
                columns: file.columns,
            },
            encoding,
            nulls: file.nulls,
            time_zone,
            time_zone_column: file.time_zone_column,
            time_formats: file.time_formats,
            decimal_comma: file.decimal_comma,
            currency: file.currency,
            currency_column: file.currency_column,
            customer_kind: file.customer_kind.unwrap_or_else(|| "customer".into()),
            key: file.key,
            drop: file.drop,
            targets,
        })
    }
}

/// It becomes part of transaction ids and tags, so nothing that would have to be escaped there.
fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 63
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
}

/// The one of `known` that was probably meant.
pub(crate) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<String> {
    known
        .map(|known| {
            (
                strsim::jaro_winkler(&name.to_lowercase(), &known.to_lowercase()),
                known,
            )
        })
        .filter(|(similarity, _)| *similarity > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, known)| known.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        Source::parse("test", text, "test.toml")
            .expect_err("must be refused")
            .to_string()
    }

    #[test]
    fn every_shipped_source_can_be_read() {
        for summary in Source::list(&[]).expect("all are readable") {
            assert!(
                !summary.about.is_empty(),
                "{} says what it is",
                summary.name
            );
        }
    }

    #[test]
    fn an_unknown_source_names_the_nearest() {
        let error = Source::find("online_retial", &[])
            .expect_err("there is none")
            .to_string();
        assert!(error.contains("did you mean `online_retail`?"), "{error}");
    }

    #[test]
    fn an_unknown_key_is_an_error() {
        assert!(error("about = ''\ndelimeter = ';'").contains("delimeter"));
    }

    #[test]
    fn bad_options_are_explained() {
        assert!(error("about = ''\ntime_zone = 'Warsaw'").contains("Europe/Warsaw"));
        assert!(error("about = ''\nencoding = 'cp0'").contains("windows-1250"));
        assert!(error("about = ''\ndelimiter = ';;'").contains("one ASCII character"));
        assert!(error("about = ''\ntime_formats = ['%Q']").contains("%Q"));
        assert!(error("about = ''\ncurrency = 'PLN'\ncurrency_column = 'c'").contains("not both"));
    }

    #[test]
    fn a_users_own_source_replaces_a_shipped_one() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        std::fs::write(folder.path().join("csv.toml"), "about = 'mine'").expect("written");
        let folders = [folder.path().to_owned()];
        assert_eq!(Source::find("csv", &folders).expect("found").about, "mine");
        let all = Source::list(&folders).expect("listed");
        assert_eq!(all.iter().filter(|source| source.name == "csv").count(), 1);
    }

    #[test]
    fn two_targets_of_one_table_need_names() {
        let text = "about = ''\n[[target]]\nselect = 'a'\n[[target]]\nselect = 'b'";
        assert!(error(text).contains("name"));
    }
}
