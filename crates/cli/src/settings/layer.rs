//! One source of values for figment, with a name that can be shown to the user.

use std::collections::BTreeMap;
use std::path::Path;

use figment::providers::{Data, Toml};
use figment::value::{Dict, Map, Value};
use figment::{Error, Metadata, Profile, Provider};
use serde::{Deserialize, Deserializer};

pub struct Layer {
    name: String,
    data: Result<Map<Profile, Dict>, Error>,
}

impl Layer {
    pub fn toml(path: &Path, toml: Data<Toml>) -> Self {
        Self {
            name: format!("file {}", path.display()),
            data: toml.data(),
        }
    }

    /// One dotted key with the value as typed.
    pub fn one(name: String, key: &str, value: &str) -> Self {
        // A store option stays the text that it is: a key of digits must not lose its zeros.
        let value = if key.starts_with("lake.options.") {
            Value::from(value)
        } else {
            value
                .parse()
                .unwrap_or_else(|never: std::convert::Infallible| match never {})
        };
        let dict = match figment::util::nest(key, value) {
            Value::Dict(_, dict) => dict,
            other => Dict::from([(key.to_owned(), other)]),
        };
        Self {
            name,
            data: Ok(Profile::Default.collect(dict)),
        }
    }
}

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.name.clone())
    }

    fn data(&self) -> Result<Map<Profile, Dict>, Error> {
        self.data.clone()
    }
}

/// A scalar as the user would write it.
pub fn text(value: &Value) -> String {
    match value {
        Value::String(_, text) => text.clone(),
        Value::Char(_, c) => c.to_string(),
        Value::Bool(_, flag) => flag.to_string(),
        Value::Num(_, num) => num
            .to_i128()
            .map(|n| n.to_string())
            .or_else(|| num.to_u128().map(|n| n.to_string()))
            .or_else(|| num.to_f64().map(|n| n.to_string()))
            .unwrap_or_default(),
        Value::Empty(..) | Value::Dict(..) | Value::Array(..) => String::new(),
    }
}

pub fn texts<'de, D: Deserializer<'de>>(from: D) -> Result<BTreeMap<String, String>, D::Error> {
    let values = BTreeMap::<String, Value>::deserialize(from)?;
    Ok(values
        .into_iter()
        .map(|(key, value)| (key, text(&value)))
        .collect())
}
