//! Where a lake is: a local folder, or a place in a bucket.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use object_store::ObjectStore;
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::prefix::PrefixStore;
use url::Url;

use crate::durable::DurableFiles;
use crate::{Error, Result};

#[derive(Clone, Debug)]
pub struct Location {
    display: String,
    local: Option<PathBuf>,
    store: Arc<dyn ObjectStore>,
}

impl Location {
    /// A path, or an `s3://`, `az://`, `abfss://` or `gs://` URL. Nothing is read or made yet.
    ///
    /// `options` are object_store's own keys (`aws_access_key_id`, `endpoint`, `azure_storage_account_name` …); those
    /// of another kind of store are ignored, one that no store knows is refused.
    pub fn parse(
        url: &str,
        options: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Location> {
        let bad = |what: String| Error::BadLocation {
            url: without_secrets(url),
            what,
        };
        let parsed = match Url::parse(url) {
            // A single letter is a Windows drive.
            Ok(parsed) if parsed.scheme().len() > 1 => parsed,
            _ => return Self::local(Path::new(url)),
        };
        let options: Vec<(String, String)> = options
            .into_iter()
            .map(|(key, value)| (key.to_ascii_lowercase(), value))
            .collect();
        if let Some((key, _)) = options.iter().find(|(key, _)| !is_known(key)) {
            return Err(bad(format!("no store has an option {key}")));
        }
        let build = |error: object_store::Error| bad(error.to_string());
        let store: Arc<dyn ObjectStore> = match parsed.scheme() {
            "file" => {
                let path = parsed
                    .to_file_path()
                    .map_err(|()| bad("it names no local path".into()))?;
                return Self::local(&path);
            }
            "s3" | "s3a" => {
                let mut builder = AmazonS3Builder::new().with_url(url);
                for (key, value) in known::<AmazonS3ConfigKey>(&options) {
                    builder = builder.with_config(key, value);
                }
                let plain = builder
                    .get_config_value(&AmazonS3ConfigKey::Endpoint)
                    .is_some_and(|endpoint| endpoint.starts_with("http://"));
                if plain {
                    builder = builder.with_allow_http(true);
                }
                Arc::new(builder.build().map_err(build)?)
            }
            "az" | "azure" | "abfs" | "abfss" => {
                let mut builder = MicrosoftAzureBuilder::new().with_url(url);
                for (key, value) in known::<AzureConfigKey>(&options) {
                    builder = builder.with_config(key, value);
                }
                let plain = builder
                    .get_config_value(&AzureConfigKey::Endpoint)
                    .is_some_and(|endpoint| endpoint.starts_with("http://"));
                if plain {
                    builder = builder.with_allow_http(true);
                }
                Arc::new(builder.build().map_err(build)?)
            }
            "gs" => {
                let mut builder = GoogleCloudStorageBuilder::new().with_url(url);
                for (key, value) in known::<GoogleConfigKey>(&options) {
                    builder = builder.with_config(key, value);
                }
                Arc::new(builder.build().map_err(build)?)
            }
            other => {
                return Err(bad(format!(
                    "{other}:// is not known; use a local path, s3://, az:// or gs://"
                )));
            }
        };
        let prefix = object_store::path::Path::from_url_path(parsed.path())
            .map_err(|error| bad(error.to_string()))?;
        let store: Arc<dyn ObjectStore> = if prefix.as_ref().is_empty() {
            store
        } else {
            Arc::new(PrefixStore::new(store, prefix))
        };
        Ok(Self {
            display: without_secrets(url),
            local: None,
            store,
        })
    }

    fn local(path: &Path) -> Result<Location> {
        let display = path.display().to_string();
        let absolute = std::path::absolute(path).map_err(|error| Error::BadLocation {
            url: display.clone(),
            what: error.to_string(),
        })?;
        Ok(Self {
            display,
            store: Arc::new(DurableFiles::new(&absolute)),
            local: Some(absolute),
        })
    }

    #[cfg(test)]
    pub(crate) fn of_store(store: Arc<dyn ObjectStore>) -> Self {
        Self {
            display: store.to_string(),
            local: None,
            store,
        }
    }

    /// Those of the environment's variables that configure a store (`AWS_…`, `AZURE_…`, `GOOGLE_…`), as options for
    /// [`Location::parse`]. The caller reads the environment.
    pub fn options_from_env(
        vars: impl IntoIterator<Item = (String, String)>,
    ) -> Vec<(String, String)> {
        vars.into_iter()
            .map(|(key, value)| (key.to_ascii_lowercase(), value))
            .filter(|(key, _)| {
                ["aws_", "azure_", "google_"]
                    .iter()
                    .any(|prefix| key.starts_with(prefix))
                    && is_known(key)
            })
            .collect()
    }

    /// As the user wrote it, without credentials.
    pub fn display(&self) -> String {
        self.display.clone()
    }

    pub fn is_local(&self) -> bool {
        self.local.is_some()
    }

    pub fn local_path(&self) -> Option<&Path> {
        self.local.as_deref()
    }

    /// Rooted at the lake.
    pub fn store(&self) -> Arc<dyn ObjectStore> {
        Arc::clone(&self.store)
    }
}

fn is_known(key: &str) -> bool {
    AmazonS3ConfigKey::from_str(key).is_ok()
        || AzureConfigKey::from_str(key).is_ok()
        || GoogleConfigKey::from_str(key).is_ok()
}

fn known<K: FromStr>(options: &[(String, String)]) -> impl Iterator<Item = (K, &String)> {
    options
        .iter()
        .filter_map(|(key, value)| Some((K::from_str(key).ok()?, value)))
}

fn without_secrets(url: &str) -> String {
    match Url::parse(url) {
        Ok(mut parsed) if parsed.password().is_some() || parsed.query().is_some() => {
            // Neither can fail on a URL that has a password or a query; if it does, the user's text is not shown.
            let _ = parsed.set_password(None);
            parsed.set_query(None);
            parsed.to_string()
        }
        _ => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn option(key: &str, value: &str) -> (String, String) {
        (key.into(), value.into())
    }

    #[test]
    fn a_path_is_local_and_absolute() {
        let location = Location::parse("lake", []).expect("a path");
        assert!(location.is_local());
        assert!(location.local_path().expect("local").is_absolute());
        assert_eq!(location.display(), "lake");
    }

    #[test]
    fn a_bucket_takes_its_options() {
        let options = [
            option("AWS_ACCESS_KEY_ID", "a"),
            option("aws_secret_access_key", "b"),
            option("endpoint", "http://127.0.0.1:5000"),
            option("azure_storage_account_name", "ignored"),
        ];
        let location = Location::parse("s3://bucket/some/place", options).expect("a bucket");
        assert!(!location.is_local());
        assert_eq!(location.display(), "s3://bucket/some/place");
    }

    #[test]
    fn an_option_that_no_store_knows_is_refused() {
        let error = Location::parse("s3://bucket", [option("acess_key", "x")]).expect_err("a typo");
        assert!(error.to_string().contains("acess_key"), "{error}");
    }

    #[test]
    fn another_scheme_is_refused() {
        let error = Location::parse("ftp://host/x", []).expect_err("ftp");
        assert!(matches!(error, Error::BadLocation { .. }));
    }

    #[test]
    fn only_variables_of_stores_are_taken_from_the_environment() {
        let vars = [
            option("AWS_REGION", "eu-central-1"),
            option("AWS_PAGER", "less"),
            option("HOME", "/root"),
            option("TOKEN", "not for a store"),
        ];
        assert_eq!(
            Location::options_from_env(vars),
            [option("aws_region", "eu-central-1")]
        );
    }
}
