//! From settings to an open lake, catalogue and warehouse.

use std::io::Write;
use std::path::PathBuf;

use rapport_catalog_postgres::{Catalogue, Config, Place};
use rapport_engine::{Limits, Warehouse};
use rapport_lake::{Lake, Location};

use crate::failure::{Failure, Result};
use crate::settings::{Settings, Size};

/// The lake's place, with the options of its store: settings win over the environment.
pub fn location(settings: &Settings) -> Result<Location> {
    Ok(Location::parse(
        &settings.lake.url,
        store_options(settings),
    )?)
}

pub fn store_options(settings: &Settings) -> Vec<(String, String)> {
    let mut options = Location::options_from_env(crate::env());
    options.extend(
        settings
            .lake
            .options
            .iter()
            .map(|(key, value)| (key.clone(), value.clone())),
    );
    options
}

/// A lake that exists.
pub async fn lake(settings: &Settings) -> Result<Lake> {
    let lake = Lake::open(location(settings)?).await?;
    if lake.exists().await? {
        return Ok(lake);
    }
    Err(Failure::new(format!("there is no lake at {}", lake.location().display())).hint(
        "`rapport init` makes one; `--lake`, RAPPORT_LAKE__URL or lake.url in rapport.toml names another place",
    ))
}

pub async fn catalogue(settings: &Settings, lake: &Location) -> Result<Catalogue> {
    let place = match &settings.catalog.url {
        Some(url) => Place::Url(url.clone()),
        None => Place::Embedded {
            dir: catalogue_dir(settings, lake),
            exe: std::env::current_exe()
                .map_err(|error| Failure::doing("finding this program's own file", &error))?,
        },
    };
    let statement_timeout = settings.catalog.statement_timeout.or_very_long();
    Ok(Catalogue::open(Config {
        place,
        statement_timeout,
    })
    .await?)
}

pub fn catalogue_dir(settings: &Settings, lake: &Location) -> PathBuf {
    match (&settings.catalog.dir, lake.local_path()) {
        (Some(dir), _) => dir.clone(),
        (None, Some(lake)) => lake.join("_rapport").join("catalogue-pg"),
        (None, None) => "rapport-catalogue".into(),
    }
}

/// What the endpoint's answers about users that do not exist are made of. It must outlive a restart, or those
/// answers would change and give them away.
pub fn endpoint_secret(settings: &Settings, lake: &Location) -> std::io::Result<[u8; 32]> {
    let path = catalogue_dir(settings, lake).with_extension("secret");
    if let Ok(known) = std::fs::read(&path)
        && let Ok(known) = known.try_into()
    {
        return Ok(known);
    }
    let secret: [u8; 32] = rand::random();
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(&path)?.write_all(&secret)?;
    Ok(secret)
}

/// Everything: what `serve` and whoever changes users or definitions needs.
pub async fn warehouse(settings: &Settings) -> Result<Warehouse> {
    let lake = lake(settings).await?;
    let catalogue = catalogue(settings, lake.location()).await?;
    Ok(Warehouse::open(lake, Some(catalogue), limits(settings)).await?)
}

/// Without the catalogue: enough for loading and compacting.
pub async fn warehouse_without_catalogue(settings: &Settings) -> Result<Warehouse> {
    Ok(Warehouse::open(lake(settings).await?, None, limits(settings)).await?)
}

/// What jobs and the refreshing of models may use in a server, so that others are answered meanwhile.
pub fn job_limits(settings: &Settings) -> Limits {
    let jobs = &settings.jobs;
    Limits {
        memory_bytes: jobs.memory.bytes(),
        query_memory_bytes: jobs.memory.bytes(),
        statement_timeout: None,
        threads: jobs.threads,
        ..limits(settings)
    }
}

pub fn limits(settings: &Settings) -> Limits {
    let query = &settings.query;
    let half = Size(query.memory.0 / 2);
    Limits {
        memory_bytes: query.memory.bytes(),
        query_memory_bytes: query.memory_per_statement.unwrap_or(half).bytes(),
        statement_timeout: query.timeout.limit(),
        threads: query.threads,
        spill_dir: query.spill_dir.clone(),
        spill_bytes: query.spill.0,
        metadata_cache_bytes: query.metadata_cache.bytes(),
        ..Limits::default()
    }
}
