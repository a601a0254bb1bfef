//! Does a bucket keep the promise everything rests on: of many who create one key at once, exactly one wins?

use futures::future::join_all;
use object_store::path::Path;
use object_store::{Error as StoreError, ObjectStore, ObjectStoreExt, PutMode, PutOptions};

use crate::{Error, Result};

const CREATORS: usize = 8;
const ROUNDS: usize = 3;

/// Fails with `NoConditionalCreate` if the store lets two creators win, or none, or keeps a loser's content.
pub(crate) async fn conditional_create(store: &dyn ObjectStore, location: &str) -> Result<()> {
    for _ in 0..ROUNDS {
        let key = Path::from(format!("_rapport/probe/{}", uuid::Uuid::new_v4().simple()));
        let verdict = one_round(store, &key).await;
        // The verdict stands whether or not the key can be removed again.
        let _ = store.delete(&key).await;
        verdict.map_err(|failure| failure.into_error(location))?;
    }
    Ok(())
}

enum Failure {
    Broken(String),
    Store(StoreError),
}

impl Failure {
    fn into_error(self, location: &str) -> Error {
        match self {
            Self::Broken(what) => Error::NoConditionalCreate {
                location: location.into(),
                what,
            },
            Self::Store(source) => Error::storage(format!("reaching {location}"), source),
        }
    }
}

async fn one_round(store: &dyn ObjectStore, key: &Path) -> Result<(), Failure> {
    let create = |who: usize| async move {
        let options = PutOptions::from(PutMode::Create);
        store.put_opts(key, content(who).into(), options).await
    };
    let mut winners = vec![];
    for (who, outcome) in join_all((0..CREATORS).map(create))
        .await
        .into_iter()
        .enumerate()
    {
        match outcome {
            Ok(_) => winners.push(who),
            Err(StoreError::AlreadyExists { .. } | StoreError::Precondition { .. }) => {}
            Err(StoreError::NotImplemented { .. } | StoreError::NotSupported { .. }) => {
                return Err(Failure::Broken("it has no conditional create".into()));
            }
            Err(error) => return Err(Failure::Store(error)),
        }
    }
    let &[winner] = winners.as_slice() else {
        return Err(Failure::Broken(format!(
            "{CREATORS} clients created one key at once and {} of them were told that they won",
            winners.len()
        )));
    };
    let kept = async { store.get(key).await?.bytes().await };
    let kept = kept.await.map_err(Failure::Store)?;
    if kept != content(winner) {
        return Err(Failure::Broken(
            "of several clients who created one key it kept another's content than the winner's"
                .into(),
        ));
    }
    match create(CREATORS).await {
        Err(StoreError::AlreadyExists { .. } | StoreError::Precondition { .. }) => Ok(()),
        Ok(_) => Err(Failure::Broken("it let a key be created twice".into())),
        Err(error) => Err(Failure::Store(error)),
    }
}

fn content(who: usize) -> String {
    format!("creator {who}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use object_store::memory::InMemory;

    #[tokio::test]
    async fn a_store_that_keeps_the_promise_is_taken() {
        conditional_create(&InMemory::new(), "memory")
            .await
            .expect("a good store");
    }

    /// Takes every create as an overwrite, as some servers do that ignore `If-None-Match`.
    #[derive(Debug)]
    struct Careless(InMemory);

    impl std::fmt::Display for Careless {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("careless")
        }
    }

    #[async_trait::async_trait]
    impl ObjectStore for Careless {
        async fn put_opts(
            &self,
            location: &Path,
            payload: object_store::PutPayload,
            _opts: PutOptions,
        ) -> object_store::Result<object_store::PutResult> {
            self.0.put(location, payload).await
        }

        async fn put_multipart_opts(
            &self,
            location: &Path,
            opts: object_store::PutMultipartOptions,
        ) -> object_store::Result<Box<dyn object_store::MultipartUpload>> {
            self.0.put_multipart_opts(location, opts).await
        }

        async fn get_opts(
            &self,
            location: &Path,
            options: object_store::GetOptions,
        ) -> object_store::Result<object_store::GetResult> {
            self.0.get_opts(location, options).await
        }

        fn delete_stream(
            &self,
            locations: futures::stream::BoxStream<'static, object_store::Result<Path>>,
        ) -> futures::stream::BoxStream<'static, object_store::Result<Path>> {
            self.0.delete_stream(locations)
        }

        fn list(
            &self,
            prefix: Option<&Path>,
        ) -> futures::stream::BoxStream<'static, object_store::Result<object_store::ObjectMeta>>
        {
            self.0.list(prefix)
        }

        async fn list_with_delimiter(
            &self,
            prefix: Option<&Path>,
        ) -> object_store::Result<object_store::ListResult> {
            self.0.list_with_delimiter(prefix).await
        }

        async fn copy_opts(
            &self,
            from: &Path,
            to: &Path,
            options: object_store::CopyOptions,
        ) -> object_store::Result<()> {
            self.0.copy_opts(from, to, options).await
        }
    }

    #[tokio::test]
    async fn a_store_that_ignores_the_condition_is_refused() {
        let error = conditional_create(&Careless(InMemory::new()), "careless").await;
        assert!(
            matches!(error, Err(Error::NoConditionalCreate { .. })),
            "{error:?}"
        );
    }
}
