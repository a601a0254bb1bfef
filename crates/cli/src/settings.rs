//! Every setting of the binary, and where its value comes from.
//!
//! Four layers, the later ones win: defaults, `rapport.toml`, `RAPPORT_…` variables, flags. A key that does not
//! exist is refused with the nearest that does, in every layer: a setting that is silently ignored is worse
//! than an error. A variable nests by two underscores (`RAPPORT_QUERY__TIMEOUT` is `query.timeout`).

mod keys;
mod layer;
mod size;
mod span;
mod tls;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use figment::Figment;
use figment::providers::{Format, Serialized, Toml};
use figment::value::Value;
use rapport_jobs::Schedule;
use rapport_lake::compact::Policy;
use serde::{Deserialize, Serialize};

pub use keys::markdown;
use keys::{KEYS, Key};
use layer::Layer;
pub use size::Size;
pub use span::Span;
pub use tls::TlsMode;

/// The settings file that is read when none is named.
const FILE: &str = "rapport.toml";
/// Variables of ours that are not settings: the password of `user add`, the file's own name, and tests' own.
const NOT_SETTINGS: &[&str] = &["PASSWORD", "CONFIG"];
const NOT_SETTINGS_PREFIXES: &[&str] = &["TEST_", "BENCH_"];

#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    pub lake: LakeSettings,
    pub serve: ServeSettings,
    pub catalog: CatalogSettings,
    pub query: QuerySettings,
    pub load: LoadSettings,
    pub compact: CompactSettings,
    pub vacuum: VacuumSettings,
    pub jobs: JobsSettings,
    pub log: LogSettings,
}

#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct LakeSettings {
    pub url: String,
    #[serde(default, deserialize_with = "layer::texts")]
    pub options: BTreeMap<String, String>,
}

#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct ServeSettings {
    pub listen: SocketAddr,
    pub tls: Option<TlsMode>,
    pub tls_cert: Option<PathBuf>,
    pub tls_key: Option<PathBuf>,
    pub max_connections: usize,
    pub login_timeout: Span,
    pub idle_timeout: Span,
    pub write_timeout: Span,
    pub shutdown_grace: Span,
    pub max_message: Size,
    pub metrics: Option<SocketAddr>,
}

#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct CatalogSettings {
    pub url: Option<String>,
    pub dir: Option<PathBuf>,
    pub statement_timeout: Span,
}

#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct QuerySettings {
    pub memory: Size,
    pub memory_per_statement: Option<Size>,
    pub timeout: Span,
    pub threads: usize,
    pub spill_dir: Option<PathBuf>,
    pub spill: Size,
    pub metadata_cache: Size,
}

#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct LoadSettings {
    pub max_refused: f64,
    pub sources: PathBuf,
}

#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct CompactSettings {
    pub big: Size,
    pub min_today: usize,
    pub group: Size,
}

#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct VacuumSettings {
    pub keep_days: u32,
}

#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct JobsSettings {
    pub enabled: bool,
    pub compact: String,
    pub check: String,
    pub vacuum: String,
    pub time_zone: String,
    pub jitter: Span,
    pub max_run_time: Span,
    pub retries: u32,
    pub memory: Size,
    pub threads: usize,
    pub lease: Span,
}

impl JobsSettings {
    /// `None` for a job that is off.
    pub fn schedule(&self, text: &str) -> rapport_jobs::Result<Option<Schedule>> {
        match text.trim() {
            "off" => Ok(None),
            text => Schedule::parse(text, &self.time_zone).map(Some),
        }
    }
}

#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct LogSettings {
    pub level: Option<String>,
}

impl CompactSettings {
    pub fn policy(&self) -> Policy {
        Policy {
            big_bytes: self.big.0,
            min_today: self.min_today,
            group_bytes: self.group.0,
        }
    }
}

impl VacuumSettings {
    pub fn keep(&self) -> Duration {
        Duration::from_secs(u64::from(self.keep_days) * 86_400)
    }
}

impl ServeSettings {
    /// Without a word about it, TLS is spoken when there is a certificate.
    pub fn tls_mode(&self) -> TlsMode {
        self.tls.unwrap_or(match self.tls_cert {
            Some(_) => TlsMode::Allow,
            None => TlsMode::Off,
        })
    }

    /// The setting that does not go with the others, and why.
    fn tls_contradiction(&self) -> Option<(&'static str, &'static str)> {
        match (&self.tls_cert, &self.tls_key) {
            (Some(_), None) => Some((
                "serve.tls_cert",
                "the certificate's key is missing: name it with serve.tls_key",
            )),
            (None, Some(_)) => Some((
                "serve.tls_key",
                "the key's certificate is missing: name it with serve.tls_cert",
            )),
            _ => None,
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        let megabytes = |n: u64| Size(n << 20);
        let seconds = Span::from_secs;
        Self {
            lake: LakeSettings {
                url: "./rapport-lake".into(),
                options: BTreeMap::new(),
            },
            serve: ServeSettings {
                listen: SocketAddr::from(([127, 0, 0, 1], 5432)),
                tls: None,
                tls_cert: None,
                tls_key: None,
                max_connections: 100,
                login_timeout: seconds(60),
                idle_timeout: Span::NEVER,
                write_timeout: seconds(120),
                shutdown_grace: seconds(5),
                max_message: megabytes(256),
                metrics: None,
            },
            catalog: CatalogSettings {
                url: None,
                dir: None,
                statement_timeout: seconds(30),
            },
            query: QuerySettings {
                memory: size::half_of_memory(),
                memory_per_statement: None,
                timeout: Span::NEVER,
                threads: std::thread::available_parallelism().map_or(2, usize::from),
                spill_dir: None,
                spill: megabytes(100 << 10),
                metadata_cache: megabytes(256),
            },
            load: LoadSettings {
                max_refused: 0.05,
                sources: "./rapport-sources".into(),
            },
            compact: CompactSettings {
                big: megabytes(200),
                min_today: 8,
                group: megabytes(4 << 10),
            },
            vacuum: VacuumSettings { keep_days: 30 },
            jobs: JobsSettings {
                enabled: true,
                compact: "30 1 * * *".into(),
                check: "30 4 * * sun".into(),
                vacuum: "30 2 * * sun".into(),
                time_zone: "UTC".into(),
                jitter: seconds(300),
                max_run_time: seconds(6 * 60 * 60),
                retries: 3,
                memory: Size(size::half_of_memory().0 / 2),
                threads: (std::thread::available_parallelism().map_or(2, usize::from) / 2).max(1),
                lease: seconds(30),
            },
            log: LogSettings { level: None },
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("there is no setting {key} ({origin}){}", nearest.as_ref().map(|n| format!("; the nearest is {n}")).unwrap_or_default())]
    Unknown {
        key: String,
        origin: String,
        nearest: Option<String>,
    },
    #[error("{key} in {origin}: {what}")]
    Invalid {
        key: String,
        origin: String,
        what: String,
    },
    #[error("reading settings from {path}")]
    File {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("{path} is not a settings file: {what}")]
    NotToml { path: PathBuf, what: String },
    #[error("--set {0}: expected KEY=VALUE, as in --set query.timeout=30s")]
    NotAPair(String),
}

/// What the command line says about settings, in the order it was said.
#[derive(Clone, Debug, Default)]
pub struct Flags {
    pub config: Option<PathBuf>,
    /// Flag as written, key, value.
    pub values: Vec<(String, String, String)>,
}

impl Flags {
    /// A flag of a command that stands for a setting; nothing happens if it wasn't given.
    pub fn put(&mut self, flag: &str, key: &str, value: Option<impl ToString>) {
        if let Some(value) = value {
            self.values
                .push((flag.into(), key.into(), value.to_string()));
        }
    }

    /// Whether a flag was given for this setting.
    pub fn say(&self, key: &str) -> bool {
        self.values.iter().any(|(_, said, _)| said == key)
    }

    /// `KEY=VALUE`, as `--set` takes it.
    pub fn put_pair(&mut self, pair: &str) -> Result<(), Error> {
        let (key, value) = pair
            .split_once('=')
            .ok_or_else(|| Error::NotAPair(pair.into()))?;
        self.values
            .push(("--set".into(), key.trim().into(), value.trim().into()));
        Ok(())
    }
}

/// Settings in force, and for each key where its value was said.
#[derive(Clone, Debug)]
pub struct Loaded {
    pub settings: Settings,
    figment: Figment,
}

/// One line of `rapport settings`.
#[derive(Debug, Serialize)]
pub struct Line {
    pub key: String,
    pub value: String,
    pub from: String,
    pub about: &'static str,
}

/// Reads all layers. `dir` is where `rapport.toml` is looked for; `env` is the process's environment.
pub fn load(
    flags: &Flags,
    dir: &Path,
    env: impl IntoIterator<Item = (String, String)>,
) -> Result<Loaded, Error> {
    let env: Vec<_> = env.into_iter().collect();
    let mut figment = Figment::from(Serialized::defaults(Settings::default()));

    let named = flags.config.clone().or_else(|| {
        env.iter()
            .find(|(name, _)| name == "RAPPORT_CONFIG")
            .map(|(_, path)| path.into())
    });
    let path = named.clone().unwrap_or_else(|| dir.join(FILE));
    match std::fs::read_to_string(&path) {
        Ok(text) => {
            // Parsed once before the merge, so that a mistake in the file is reported as such.
            let layer = Toml::string(&text);
            figment::Provider::data(&layer).map_err(|e| Error::NotToml {
                path: path.clone(),
                what: e.to_string(),
            })?;
            figment = figment.merge(Layer::toml(&path, layer));
        }
        Err(source) if named.is_some() || source.kind() != std::io::ErrorKind::NotFound => {
            return Err(Error::File { path, source });
        }
        Err(_) => {}
    }

    for (name, value) in &env {
        let Some(rest) = name.strip_prefix("RAPPORT_") else {
            continue;
        };
        if NOT_SETTINGS.contains(&rest)
            || NOT_SETTINGS_PREFIXES
                .iter()
                .any(|prefix| rest.starts_with(prefix))
        {
            continue;
        }
        let key = rest.to_ascii_lowercase().replace("__", ".");
        figment = figment.merge(Layer::one(format!("environment {name}"), &key, value));
    }
    for (flag, key, value) in &flags.values {
        figment = figment.merge(Layer::one(format!("flag {flag}"), key, value));
    }

    refuse_unknown(&figment)?;
    let settings: Settings = figment
        .extract()
        .map_err(|error| invalid(&figment, &error))?;
    check(&settings, &figment)?;
    Ok(Loaded { settings, figment })
}

impl Loaded {
    /// Where the value of `key` comes from, in words.
    pub fn origin(&self, key: &str) -> String {
        origin(&self.figment, key)
    }

    #[cfg(test)]
    pub fn is_default(&self, key: &str) -> bool {
        self.origin(key) == DEFAULT
    }

    /// Every setting in force; secrets are replaced by dots.
    pub fn lines(&self) -> Vec<Line> {
        let data =
            Value::serialize(&self.settings).expect("settings are strings, numbers and maps");
        let mut lines = Vec::new();
        for key in KEYS {
            if let Some(family) = key.name.strip_suffix(".*") {
                for name in leaves(family, data.find_ref(family))
                    .into_iter()
                    .map(|leaf| leaf.0)
                {
                    lines.push(self.line(&name, data.find_ref(&name), key));
                }
            } else {
                lines.push(self.line(key.name, data.find_ref(key.name), key));
            }
        }
        lines
    }

    fn line(&self, name: &str, value: Option<&Value>, key: &Key) -> Line {
        let shown = value.map(layer::text).unwrap_or_default();
        Line {
            key: name.to_owned(),
            value: if shown.is_empty() {
                String::new()
            } else {
                keys::shown(name, &shown)
            },
            from: self.origin(name),
            about: key.about,
        }
    }
}

const DEFAULT: &str = "default";

fn origin(figment: &Figment, key: &str) -> String {
    match figment.find_metadata(key) {
        Some(metadata) if metadata.name.starts_with("environment ") => metadata.name.to_string(),
        Some(metadata) if metadata.name.starts_with("flag ") => metadata.name.to_string(),
        Some(metadata) if metadata.name.starts_with("file ") => metadata.name[5..].to_owned(),
        _ => DEFAULT.to_owned(),
    }
}

/// All leaves under a value, by full name.
fn leaves(prefix: &str, value: Option<&Value>) -> Vec<(String, Value)> {
    let Some(value) = value else { return vec![] };
    match value {
        Value::Dict(_, dict) => dict
            .iter()
            .flat_map(|(name, value)| {
                let full = if prefix.is_empty() {
                    name.clone()
                } else {
                    format!("{prefix}.{name}")
                };
                leaves(&full, Some(value))
            })
            .collect(),
        _ => vec![(prefix.to_owned(), value.clone())],
    }
}

fn refuse_unknown(figment: &Figment) -> Result<(), Error> {
    let all: BTreeMap<String, Value> = figment
        .extract()
        .map_err(|error| invalid(figment, &error))?;
    for (section, value) in &all {
        for (key, _) in leaves(section, Some(value)) {
            if !keys::exists(&key) {
                return Err(Error::Unknown {
                    origin: origin(figment, &key),
                    nearest: keys::nearest(&key),
                    key,
                });
            }
        }
    }
    Ok(())
}

fn invalid(figment: &Figment, error: &figment::Error) -> Error {
    let key = error.path.join(".");
    Error::Invalid {
        origin: origin(figment, &key),
        what: error.kind.to_string(),
        key,
    }
}

/// What a type alone does not rule out.
fn check(settings: &Settings, figment: &Figment) -> Result<(), Error> {
    let refuse = |key: &str, what: &str| {
        Err(Error::Invalid {
            key: key.into(),
            origin: origin(figment, key),
            what: what.into(),
        })
    };
    if !(0.0..=1.0).contains(&settings.load.max_refused) {
        return refuse(
            "load.max_refused",
            "expected a share between 0 and 1, as in 0.05",
        );
    }
    if settings.jobs.threads == 0 {
        return refuse("jobs.threads", "expected at least 1");
    }
    if settings.query.threads == 0 {
        return refuse("query.threads", "expected at least 1");
    }
    if settings.serve.max_connections == 0 {
        return refuse("serve.max_connections", "expected at least 1");
    }
    if let Some((key, what)) = settings.serve.tls_contradiction() {
        return refuse(key, what);
    }
    if settings.query.memory.0 < 64 << 20 {
        return refuse("query.memory", "expected at least 64MB");
    }
    let jobs = &settings.jobs;
    if let Err(error) = Schedule::parse("0 0 * * *", &jobs.time_zone) {
        return refuse("jobs.time_zone", &error.to_string());
    }
    for (key, text) in [
        ("jobs.compact", &jobs.compact),
        ("jobs.check", &jobs.check),
        ("jobs.vacuum", &jobs.vacuum),
    ] {
        if let Err(error) = jobs.schedule(text) {
            return refuse(key, &format!("{error}, or off"));
        }
    }
    if jobs.lease.limit().is_none_or(|lease| lease.as_secs() < 1) {
        return refuse("jobs.lease", "expected at least 1s");
    }
    if settings.lake.url.trim().is_empty() {
        return refuse(
            "lake.url",
            "expected a folder or an s3://, az:// or gs:// URL",
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(toml: &str, env: &[(&str, &str)], flags: &[(&str, &str)]) -> Result<Loaded, Error> {
        let dir = tempfile::tempdir().expect("a temporary folder");
        if !toml.is_empty() {
            std::fs::write(dir.path().join(FILE), toml).expect("writing settings");
        }
        let mut given = Flags::default();
        for (key, value) in flags {
            given.put("--set", key, Some(value));
        }
        let env = env
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        load(&given, dir.path(), env)
    }

    fn refusal(toml: &str, env: &[(&str, &str)]) -> String {
        with(toml, env, &[])
            .map(|l| l.settings)
            .expect_err("should be refused")
            .to_string()
    }

    #[test]
    fn without_anything_said_the_defaults_are_in_force() {
        let loaded = with("", &[], &[]).expect("defaults");
        assert_eq!(loaded.settings, Settings::default());
        assert!(loaded.is_default("query.timeout"));
    }

    #[test]
    fn each_layer_wins_over_the_one_before() {
        let toml = "[query]\ntimeout = \"1s\"\nthreads = 3\nmemory = \"1GB\"";
        let env = [
            ("RAPPORT_QUERY__TIMEOUT", "2s"),
            ("RAPPORT_QUERY__MEMORY", "2GB"),
        ];
        let loaded = with(toml, &env, &[("query.timeout", "3s")]).expect("settings");
        assert_eq!(loaded.settings.query.threads, 3);
        assert_eq!(loaded.settings.query.memory, Size(2 << 30));
        assert_eq!(loaded.settings.query.timeout, Span::from_secs(3));
        assert!(loaded.origin("query.threads").ends_with(FILE));
        assert_eq!(
            loaded.origin("query.memory"),
            "environment RAPPORT_QUERY__MEMORY"
        );
        assert_eq!(loaded.origin("query.timeout"), "flag --set");
    }

    #[test]
    fn an_unknown_key_names_the_nearest() {
        let text = refusal("[query]\ntimout = \"1s\"", &[]);
        assert!(
            text.contains("query.timout") && text.contains("query.timeout"),
            "{text}"
        );
        let text = refusal("[querry]\ntimeout = \"1s\"", &[]);
        assert!(text.contains("the nearest is query.timeout"), "{text}");
    }

    #[test]
    fn a_variable_with_one_underscore_is_refused_too() {
        let text = refusal("", &[("RAPPORT_QUERY_TIMEOUT", "1s")]);
        assert!(
            text.contains("RAPPORT_QUERY_TIMEOUT") && text.contains("query.timeout"),
            "{text}"
        );
    }

    #[test]
    fn variables_of_others_are_left_alone() {
        let env = [
            ("RAPPORT_PASSWORD", "x"),
            ("RAPPORT_TEST_DATA", "y"),
            ("PATH", "z"),
        ];
        with("", &env, &[]).expect("settings");
    }

    #[test]
    fn a_wrong_value_names_its_key_and_where_it_was_said() {
        let text = refusal("", &[("RAPPORT_QUERY__MEMORY", "much")]);
        assert!(
            text.contains("query.memory in environment RAPPORT_QUERY__MEMORY"),
            "{text}"
        );
        let text = refusal("[load]\nmax_refused = 5", &[]);
        assert!(
            text.contains("load.max_refused") && text.contains("between 0 and 1"),
            "{text}"
        );
    }

    #[test]
    fn a_file_that_is_not_toml_is_named() {
        let text = refusal("query = [", &[]);
        assert!(
            text.contains(FILE) && text.contains("not a settings file"),
            "{text}"
        );
    }

    #[test]
    fn tls_is_on_when_there_is_a_certificate() {
        let mode = |toml: &str| with(toml, &[], &[]).map(|l| l.settings.serve.tls_mode());
        assert_eq!(mode("").expect("settings"), TlsMode::Off);
        let pair = "[serve]\ntls_cert = \"a.crt\"\ntls_key = \"a.key\"\n";
        assert_eq!(mode(pair).expect("settings"), TlsMode::Allow);
        let required = format!("{pair}tls = \"require\"");
        assert_eq!(mode(&required).expect("settings"), TlsMode::Require);
        let off = format!("{pair}tls = \"off\"");
        assert_eq!(mode(&off).expect("settings"), TlsMode::Off);
    }

    #[test]
    fn half_a_certificate_is_refused() {
        let text = refusal("[serve]\ntls_cert = \"a.crt\"", &[]);
        assert!(text.contains("serve.tls_key"), "{text}");
        let text = refusal("[serve]\ntls_key = \"a.key\"", &[]);
        assert!(text.contains("serve.tls_cert"), "{text}");
        let text = refusal("[serve]\ntls = \"maybe\"", &[]);
        assert!(text.contains("off, allow or require"), "{text}");
    }

    #[test]
    fn secrets_are_not_shown() {
        let flags = [
            ("lake.options.aws_secret_access_key", "abcdef"),
            ("lake.options.aws_region", "eu-west-1"),
            ("catalog.url", "postgres://me:hunter2@host/db"),
        ];
        let lines = with("", &[], &flags).expect("settings").lines();
        let value = |key: &str| {
            &lines
                .iter()
                .find(|line| line.key == key)
                .expect("a line per setting")
                .value
        };
        assert_eq!(value("lake.options.aws_secret_access_key"), "••••••");
        assert_eq!(value("lake.options.aws_region"), "eu-west-1");
        assert_eq!(value("catalog.url"), "postgres://me:••••••@host/db");
    }

    #[test]
    fn numbers_are_texts_where_a_store_option_is_meant() {
        let loaded =
            with("[lake.options]\nport = 9000\nallow_http = true", &[], &[]).expect("settings");
        assert_eq!(loaded.settings.lake.options["port"], "9000");
        assert_eq!(loaded.settings.lake.options["allow_http"], "true");
    }

    #[test]
    fn the_table_of_keys_and_the_struct_agree() {
        let data = Value::serialize(Settings::default()).expect("settings serialise");
        let mut known: Vec<String> = KEYS
            .iter()
            .filter(|k| !k.name.ends_with(".*"))
            .map(|k| k.name.to_owned())
            .collect();
        let mut have: Vec<String> = leaves("", Some(&data))
            .into_iter()
            .map(|leaf| leaf.0)
            .collect();
        known.sort();
        have.sort();
        assert_eq!(known, have);
    }
}
