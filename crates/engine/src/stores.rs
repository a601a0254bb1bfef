//! Which object stores a query can reach: the lake's, those of the sessions' temporary tables, and no other.

use std::{
    collections::HashMap,
    sync::{Arc, RwLock},
};

use datafusion::{
    common::{DataFusionError, Result},
    execution::object_store::ObjectStoreRegistry,
};
use object_store::ObjectStore;
use url::Url;

/// What every URL of ours begins with.
pub(crate) const SCHEME: &str = "rapport";

/// Knows the stores that it was given, and takes none from a plan.
#[derive(Debug, Default)]
pub(crate) struct Stores(RwLock<HashMap<String, Arc<dyn ObjectStore>>>);

impl Stores {
    pub(crate) fn add(&self, host: &str, store: Arc<dyn ObjectStore>) {
        let mut stores = self.0.write().expect("never held over a panic");
        stores.insert(host.to_owned(), store);
    }

    pub(crate) fn remove(&self, host: &str) {
        self.0
            .write()
            .expect("never held over a panic")
            .remove(host);
    }
}

impl ObjectStoreRegistry for Stores {
    fn register_store(
        &self,
        _url: &Url,
        _store: Arc<dyn ObjectStore>,
    ) -> Option<Arc<dyn ObjectStore>> {
        None
    }

    fn get_store(&self, url: &Url) -> Result<Arc<dyn ObjectStore>> {
        let stores = self.0.read().expect("never held over a panic");
        let store = url.host_str().and_then(|host| stores.get(host));
        match store {
            Some(store) if url.scheme() == SCHEME => Ok(store.clone()),
            _ => refuse(url),
        }
    }
}

/// Knows no store at all.
#[derive(Debug)]
pub(crate) struct NoStores;

impl ObjectStoreRegistry for NoStores {
    fn register_store(
        &self,
        _url: &Url,
        _store: Arc<dyn ObjectStore>,
    ) -> Option<Arc<dyn ObjectStore>> {
        None
    }

    fn get_store(&self, url: &Url) -> Result<Arc<dyn ObjectStore>> {
        refuse(url)
    }
}

fn refuse(url: &Url) -> Result<Arc<dyn ObjectStore>> {
    let what = format!("{}://: queries read the lake only", url.scheme());
    Err(DataFusionError::from(crate::Error::Denied { what }))
}
