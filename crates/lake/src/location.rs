//! Where a lake is: a local folder, or a place in a bucket.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use object_store::ObjectStore;

use crate::Result;

#[derive(Clone, Debug)]
pub struct Location {
    display: String,
    local: Option<PathBuf>,
    store: Arc<dyn ObjectStore>,
}

impl Location {
    /// A path, or an `s3://`, `az://` or `gs://` URL. `options` are object_store's own keys
    /// (`aws_access_key_id`, `endpoint` …), as they come from settings or from [`Location::from_env`].
    pub fn parse(
        _url: &str,
        _options: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Location> {
        unimplemented!()
    }

    /// The environment variables that object stores are usually configured by (`AWS_…`, `AZURE_…`, `GOOGLE_…`),
    /// as options for [`Location::parse`]; the caller reads the environment.
    pub fn options_from_env(
        _vars: impl IntoIterator<Item = (String, String)>,
    ) -> Vec<(String, String)> {
        unimplemented!()
    }

    /// As the user would write it, without credentials.
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
