//! The one table of settings: the README's list and `rapport settings` are made from it.

pub struct Key {
    /// Dotted; a trailing `.*` stands for any name.
    pub name: &'static str,
    /// As shown to people: some defaults depend on the machine.
    pub default: &'static str,
    pub about: &'static str,
}

const fn key(name: &'static str, default: &'static str, about: &'static str) -> Key {
    Key {
        name,
        default,
        about,
    }
}

#[rustfmt::skip]
pub const KEYS: &[Key] = &[
    key("lake.url", "./rapport-lake", "Where the lake is: a folder, or an s3://, az:// or gs:// URL."),
    key("lake.options.*", "", "Options of the object store, such as lake.options.aws_endpoint; the usual AWS_, AZURE_ and GOOGLE_ variables are read too, and an option set here wins over them."),
    key("serve.listen", "127.0.0.1:5432", "Address and port that PostgreSQL clients connect to."),
    key("serve.tls", "allow with a certificate, otherwise off", "off: nothing is encrypted; allow: what asks for it; require: what does not ask for it is refused (28000)."),
    key("serve.tls_cert", "", "File of the certificate in PEM form, with those above it behind it. Read again when it changes, and at SIGHUP."),
    key("serve.tls_key", "", "File of the certificate's private key in PEM form, without a password."),
    key("serve.max_connections", "100", "Clients beyond this many are refused (53300)."),
    key("serve.login_timeout", "60s", "A client that has not logged in by then is dropped."),
    key("serve.idle_timeout", "0", "A session that says nothing for this long is ended; 0 is never."),
    key("serve.write_timeout", "2min", "A client that takes nothing of a waiting answer for this long counts as gone."),
    key("serve.shutdown_grace", "5s", "How long running statements may go on when the server is asked to stop."),
    key("serve.max_message", "256MB", "The longest message a client may send."),
    key("serve.metrics", "", "Address and port of /metrics (for Prometheus), /livez and /readyz over HTTP, such as 127.0.0.1:9187; without one there are none."),
    key("catalog.url", "", "A PostgreSQL server of your own for the catalogue (postgres://…) in place of the embedded one."),
    key("catalog.dir", "<lake>/_rapport/catalogue-pg, or ./rapport-catalogue for a lake in a bucket", "Folder of the embedded catalogue."),
    key("catalog.statement_timeout", "30s", "The longest that a catalogue query may take."),
    key("query.memory", "half of the machine's", "Memory that all running queries share."),
    key("query.memory_per_statement", "half of query.memory", "Memory that one statement may hold before it spills to disk or fails (53200)."),
    key("query.timeout", "0", "The longest that a statement may take (57014) unless the session sets statement_timeout; 0 is no limit."),
    key("query.threads", "number of cores", "Threads that queries and loads compute on."),
    key("query.spill_dir", "the system's temporary folder", "Where sorts and aggregates put what does not fit into memory."),
    key("query.spill", "100GB", "The most that all queries together may spill."),
    key("query.metadata_cache", "256MB", "Memory for Parquet footers and page indexes."),
    key("load.max_refused", "0.05", "A load that refuses a greater share of its rows fails, and nothing of it is visible."),
    key("load.sources", "./rapport-sources", "Folder of your own sources (*.toml), beside those that are shipped."),
    key("compact.big", "200MB", "Compaction leaves a file of at least this size alone."),
    key("compact.min_today", "8", "Files of today are folded once there are this many; of a past day, week, month or year two are enough."),
    key("compact.group", "4GB", "No more than this is rewritten in one commit."),
    key("vacuum.keep_days", "30", "Vacuum keeps what versions younger than this need (at least 7)."),
    key("jobs.enabled", "true", "Whether the server runs jobs: these, and the refreshing of models that have a schedule."),
    key("jobs.compact", "30 1 * * *", "When small files are folded and logs shortened: minute, hour, day, month, weekday; or off."),
    key("jobs.check", "30 4 * * sun", "When every file is read and compared with what was written; or off."),
    key("jobs.vacuum", "30 2 * * sun", "When files are removed that no version of the last vacuum.keep_days needs; or off."),
    key("jobs.time_zone", "UTC", "The time zone of the schedules, such as Europe/Warsaw."),
    key("jobs.jitter", "5min", "Jobs begin later than their schedule says by up to this, and no more than a tenth of the time between two runs; each job always by as much."),
    key("jobs.max_run_time", "6h", "A run that takes longer is ended; 0 is no limit."),
    key("jobs.memory", "a quarter of the machine's", "Memory that jobs, and models that a server refreshes, may hold; 53200 where it is too little."),
    key("jobs.threads", "half of the cores", "Threads that they compute on, so that others are answered meanwhile."),
    key("jobs.retries", "3", "How often a run that failed is tried again, after 1, 4, 16 … minutes, before its next time."),
    key("jobs.lease", "30s", "A server that is silent for this long has lost the job that it ran to others."),
    key("log.level", "info when serving, otherwise warn", "What goes to stderr: error, warn, info, debug, trace, or a filter such as info,rapport_lake=debug."),
];

pub fn exists(name: &str) -> bool {
    KEYS.iter().any(|key| match key.name.strip_suffix('*') {
        Some(family) => name
            .strip_prefix(family)
            .is_some_and(|rest| !rest.is_empty()),
        None => key.name == name,
    })
}

/// The setting that was probably meant. One separator is as good as another here, so that
/// `RAPPORT_QUERY_TIMEOUT` is told of `query.timeout`.
pub fn nearest(name: &str) -> Option<String> {
    let plain = |name: &str| name.to_ascii_lowercase().replace(['.', '_', '-'], "");
    let asked = plain(name);
    // Of equally near ones the first.
    KEYS.iter()
        .rev()
        .map(|key| {
            let known = plain(key.name);
            let last = key.name.rsplit('.').next().map(plain).unwrap_or_default();
            let whole = strsim::normalized_damerau_levenshtein(&asked, &known);
            // `timeout` alone is near to `query.timeout`.
            let part = 0.9 * strsim::normalized_damerau_levenshtein(&asked, &last);
            (whole.max(part), key.name)
        })
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .filter(|(likeness, _)| *likeness > 0.5)
        .map(|(_, name)| name.to_owned())
}

/// True for values that must not be printed.
pub fn is_secret(name: &str) -> bool {
    name.starts_with("lake.options.")
        && [
            "secret",
            "key",
            "token",
            "password",
            "credential",
            "sas",
            "service_account",
        ]
        .iter()
        .any(|word| name.contains(word))
}

/// The value as it may be printed: secrets as dots, and a URL without its password.
pub fn shown(name: &str, value: &str) -> String {
    const DOTS: &str = "••••••";
    if is_secret(name) {
        return DOTS.to_owned();
    }
    let Some((scheme, rest)) = value.split_once("://") else {
        return value.to_owned();
    };
    let Some((user, host)) = rest.rsplit_once('@') else {
        return value.to_owned();
    };
    match user.split_once(':') {
        Some((user, _)) => format!("{scheme}://{user}:{DOTS}@{host}"),
        None => value.to_owned(),
    }
}

/// The table as Markdown, for the README.
pub fn markdown() -> String {
    let mut text = String::from("| setting | default | what it does |\n|---|---|---|\n");
    for Key {
        name,
        default,
        about,
    } in KEYS
    {
        let default = if default.is_empty() {
            ""
        } else {
            &format!("`{default}`")
        };
        text += &format!("| `{name}` | {default} | {about} |\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_is_found_in_spite_of_separators_and_typing_errors() {
        for (asked, meant) in [
            ("query_timeout", "query.timeout"),
            ("timeout", "query.timeout"),
            ("serve.lisen", "serve.listen"),
            ("lake.urls", "lake.url"),
            ("memory", "query.memory"),
        ] {
            assert_eq!(nearest(asked).as_deref(), Some(meant), "{asked}");
        }
        assert_eq!(nearest("zzz"), None);
    }

    #[test]
    fn a_family_takes_any_name_but_not_none() {
        assert!(exists("lake.options.aws_endpoint"));
        assert!(!exists("lake.options"));
        assert!(!exists("lake.options."));
    }
}
