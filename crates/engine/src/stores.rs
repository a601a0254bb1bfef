//! Which object stores a query can reach: the lake's, and no other.

use std::sync::Arc;

use datafusion::{
    common::{DataFusionError, Result},
    execution::object_store::ObjectStoreRegistry,
};
use object_store::ObjectStore;
use url::Url;

/// Knows one store and takes no other.
#[derive(Debug)]
pub(crate) struct LakeOnly {
    pub url: Url,
    pub store: Arc<dyn ObjectStore>,
}

impl ObjectStoreRegistry for LakeOnly {
    fn register_store(
        &self,
        _url: &Url,
        _store: Arc<dyn ObjectStore>,
    ) -> Option<Arc<dyn ObjectStore>> {
        None
    }

    fn get_store(&self, url: &Url) -> Result<Arc<dyn ObjectStore>> {
        if url.scheme() == self.url.scheme() && url.host_str() == self.url.host_str() {
            Ok(self.store.clone())
        } else {
            refuse(url)
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
