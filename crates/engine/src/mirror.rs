//! The catalogue follows the lake: what is there, and the dumps from which a lost catalogue is made again.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use futures::{TryStreamExt, future::try_join_all};
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload, path::Path};
use rapport_catalog_postgres::{Column, ForeignKey, Mirrored, Relation};
use rapport_lake::{PG_TYPE, Snapshot, TableName};
use tracing::{info, warn};

use crate::{Error, Result, Warehouse, view::storage};

const ATTEMPTS: usize = 5;

/// How old what clients see of other processes' work may be.
const FRESH: Duration = Duration::from_secs(2);

/// Beyond this a client's question is not held up by looking.
const PATIENCE: Duration = Duration::from_secs(5);

/// When the lake was last looked at for the catalogue, and what was there.
#[derive(Default)]
pub(crate) struct Followed {
    looked: Option<Instant>,
    tables: HashMap<TableName, Arc<Snapshot>>,
}

impl Warehouse {
    /// On opening: a catalogue that has nothing takes the newest dump, and then what the lake holds.
    pub(crate) async fn restore_catalogue(&self) -> Result<()> {
        let Some(catalogue) = self.catalogue() else {
            return Ok(());
        };
        if catalogue.relations().await?.is_empty()
            && let Some(dump) = self.newest_dump().await?
        {
            let bytes = self.lake().store().get(&dump).await.map_err(storage)?;
            let bytes = bytes.bytes().await.map_err(storage)?;
            let sql =
                String::from_utf8(bytes.to_vec()).map_err(|_| rapport_lake::Error::Corrupt {
                    path: dump.to_string(),
                    what: "it is not text".to_owned(),
                    remedy: "Remove it; the dump before it is then used.".to_owned(),
                })?;
            catalogue.restore(&sql).await?;
            info!(%dump, "restored the catalogue");
        }
        self.mirror_lake().await
    }

    /// Makes the catalogue's tables equal to the lake's.
    pub(crate) async fn mirror_lake(&self) -> Result<()> {
        let Some(catalogue) = self.catalogue() else {
            return Ok(());
        };
        let snapshots = self.snapshots().await?;
        let tables: Vec<Mirrored> = snapshots
            .values()
            .map(|snapshot| mirrored(snapshot))
            .collect();
        catalogue.mirror(&tables).await?;
        self.privileges().forget();
        self.oids().forget();
        Ok(())
    }

    /// Before a client asks the catalogue: what other processes have loaded, made, changed and dropped since the last time
    /// is told to it. One client at a time looks, and none soon after another.
    pub async fn follow_lake(&self) {
        let Some(catalogue) = self.catalogue() else {
            return;
        };
        let mut followed = self.followed().lock().await;
        if followed
            .looked
            .is_some_and(|looked| looked.elapsed() < FRESH)
        {
            return;
        }
        let told = async {
            let tables = self.snapshots().await?;
            let is_same = |(name, now): (&TableName, &Arc<Snapshot>)| {
                let before = followed.tables.get(name);
                before.is_some_and(|before| before.definition() == now.definition())
            };
            if tables.len() != followed.tables.len() || !tables.iter().all(is_same) {
                // Not in the middle of a definition, of which the lake knows before the catalogue does.
                let _turn = self.lock_definitions().await;
                self.mirror_lake().await?;
            } else {
                let grown = tables
                    .iter()
                    .filter(|(name, now)| followed.tables[*name].rows() != now.rows());
                let rows: Vec<(TableName, u64)> = grown
                    .map(|(name, now)| (name.clone(), now.rows()))
                    .collect();
                catalogue.set_row_estimates(&rows).await?;
            }
            Ok::<_, Error>(tables)
        };
        match tokio::time::timeout(PATIENCE, told).await {
            Ok(Ok(tables)) => followed.tables = tables,
            Ok(Err(error)) => warn!(%error, "the catalogue was not told of the lake's changes"),
            Err(_) => warn!("the lake takes too long to tell what has changed"),
        }
        followed.looked = Some(Instant::now());
    }

    /// The newest version of every table.
    async fn snapshots(&self) -> Result<HashMap<TableName, Arc<Snapshot>>> {
        let names = self.lake().table_names().await?;
        let newest = names.into_iter().map(async |name| {
            let snapshot = match self.lake().table(&name).await {
                Ok(table) => table.snapshot().await,
                Err(error) => Err(error),
            };
            match snapshot {
                Ok(snapshot) => Ok(Some((name, snapshot))),
                // Dropped since it was listed.
                Err(rapport_lake::Error::NoSuchTable(_)) => Ok(None),
                Err(error) => Err(Error::from(error)),
            }
        });
        let found = try_join_all(newest).await?;
        Ok(found.into_iter().flatten().collect())
    }

    /// Row counts as clients see them in the catalogue.
    pub(crate) async fn tell_rows(&self, name: &TableName) {
        let Some(catalogue) = self.catalogue() else {
            return;
        };
        let told = async {
            let snapshot = match self.lake().table(name).await {
                // The session's own, whose rows nobody plans by.
                Err(rapport_lake::Error::NoSuchTable(_)) => return Ok(()),
                table => table?.snapshot().await?,
            };
            catalogue
                .set_row_estimates(&[(name.clone(), snapshot.rows())])
                .await?;
            Ok::<(), Error>(())
        };
        if let Err(error) = told.await {
            warn!(table = %name, %error, "the catalogue was not told a row count");
        }
    }

    /// Writes the catalogue's numbered dump to the lake. Call after a change of roles or grants; changes made through
    /// [`crate::Session::execute`] do it themselves.
    pub async fn dump_catalogue(&self) -> Result<()> {
        let Some(catalogue) = self.catalogue() else {
            return Ok(());
        };
        self.privileges().forget();
        self.oids().forget();
        let sql = catalogue.dump().await?;
        let store = self.lake().store();
        let mut last = None;
        for _ in 0..ATTEMPTS {
            let newest = self.newest_dump().await?.and_then(|path| number(&path));
            let next = newest.map_or(1, |newest| newest + 1);
            let path = Path::from_iter(["_rapport", "catalogue", &format!("{next:020}.sql")]);
            let payload = PutPayload::from(sql.clone().into_bytes());
            let create = PutOptions {
                mode: PutMode::Create,
                ..PutOptions::default()
            };
            match store.put_opts(&path, payload, create).await {
                Ok(_) => return Ok(()),
                // Somebody else took the number.
                Err(error @ object_store::Error::AlreadyExists { .. }) => last = Some(error),
                Err(error) => return Err(storage(error)),
            }
        }
        Err(storage(last.expect("every attempt failed")))
    }

    async fn newest_dump(&self) -> Result<Option<Path>> {
        let folder = Path::from_iter(["_rapport", "catalogue"]);
        let store = self.lake().store();
        let dumps = store
            .list(Some(&folder))
            .try_collect::<Vec<_>>()
            .await
            .map_err(storage)?;
        let paths = dumps.into_iter().map(|object| object.location);
        Ok(paths
            .filter(|path| number(path).is_some())
            .max_by_key(number))
    }
}

fn number(path: &Path) -> Option<u64> {
    path.filename()?.strip_suffix(".sql")?.parse().ok()
}

fn mirrored(snapshot: &Snapshot) -> Mirrored {
    let definition = snapshot.definition();
    let columns = definition.schema.fields().iter().map(|field| {
        let pg_type = match field.metadata().get(PG_TYPE) {
            Some(pg_type) => pg_type.clone(),
            None => crate::pg_type::PgType::of_arrow(field.data_type()).name(),
        };
        let mut column = Column::new(field.name(), pg_type);
        column.not_null = !field.is_nullable();
        column.default = definition.defaults.get(field.name()).cloned();
        column.comment = definition.column_comments.get(field.name()).cloned();
        column
    });
    let mut relation = Relation::table(snapshot.name().clone(), columns.collect());
    relation.comment.clone_from(&definition.comment);
    relation.primary_key.clone_from(&definition.primary_key);
    relation.unique.clone_from(&definition.unique);
    relation.foreign_keys = definition
        .foreign_keys
        .iter()
        .map(|key| ForeignKey {
            columns: key.columns.clone(),
            table: table_name(&key.table),
            ref_columns: key.ref_columns.clone(),
        })
        .collect();
    Mirrored {
        relation,
        rows: snapshot.rows(),
    }
}

/// `schema.table`, or a table of the default schema.
fn table_name(text: &str) -> TableName {
    match text.split_once('.') {
        Some((schema, table)) => TableName::new(schema, table),
        None => TableName::public(text),
    }
}
