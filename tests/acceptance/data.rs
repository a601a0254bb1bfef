//! What the tests ask about: `data/<set>.sql` makes the tables of a set, once, in the warehouse that all share.
//!
//! The files are psql's: beside statements they have its commands `\copy TABLE FROM 'FILE' (OPTIONS)` and
//! `\! rapport load SOURCE FILE`, which are done here as psql would do them in the folder of the data.

use std::collections::BTreeMap;
use std::fs;
use std::pin::pin;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use futures::SinkExt;
use tokio_postgres::{Client, SimpleQueryMessage};

use super::simulated;
use super::specification::{data_sets, whole_statement};
use crate::fixtures::failure::Failure;
use crate::fixtures::place;
use crate::fixtures::shared::Shared;
use crate::fixtures::trial::{Skip, skip};
use crate::fixtures::warehouse::{Endpoint, Server, Warehouse};

static SERVER: Shared<Server> = Shared::new();
static SETS: Mutex<BTreeMap<String, Set>> = Mutex::new(BTreeMap::new());

#[derive(Clone)]
enum Set {
    Loaded,
    Absent(String),
    Broken(String),
}

pub fn stop() {
    SERVER.stop();
}

/// The server, with these sets loaded.
pub fn endpoint(sets: &[String]) -> Result<Endpoint> {
    let server = SERVER.get(|| Warehouse::init()?.serve())?;
    let mut loaded = SETS.lock().unwrap_or_else(PoisonError::into_inner);
    for set in sets {
        need(set, &mut loaded, &server)?;
    }
    Ok(server.endpoint().clone())
}

fn need(set: &str, loaded: &mut BTreeMap<String, Set>, server: &Server) -> Result<()> {
    if !loaded.contains_key(set) {
        let state = match load(set, loaded, server) {
            Ok(()) => Set::Loaded,
            Err(error) => match error.downcast_ref::<Skip>() {
                Some(Skip(reason)) => Set::Absent(reason.clone()),
                None => Set::Broken(format!("{error:#}")),
            },
        };
        loaded.insert(set.to_owned(), state);
    }
    match loaded[set].clone() {
        Set::Loaded => Ok(()),
        Set::Absent(reason) => skip(reason),
        Set::Broken(reason) => bail!("the data {set}: {reason}"),
    }
}

fn load(set: &str, loaded: &mut BTreeMap<String, Set>, server: &Server) -> Result<()> {
    let path = place::tests().join(format!("acceptance/data/{set}.sql"));
    let text = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
    for other in text.lines().filter_map(data_sets).flatten() {
        need(&other, loaded, server)?;
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let client = server.endpoint().connect().await?;
        let mut sql = String::new();
        for line in text.lines() {
            if let Some(copy) = line.strip_prefix("\\copy ") {
                copy_in(&client, copy).await?;
            } else if let Some(load) = line.strip_prefix("\\! rapport load ") {
                let (source, file) = load.split_once(' ').context("a source and a file")?;
                let file = real(file)?;
                server
                    .warehouse()
                    .succeed(["load".as_ref(), source.as_ref(), file.as_os_str()])?;
            } else if let Some(statement) = whole_statement(&mut sql, line) {
                ask(&client, &statement).await?;
            }
        }
        Ok(())
    })
}

/// `TABLE FROM 'FILE' (OPTIONS)`
async fn copy_in(client: &Client, copy: &str) -> Result<()> {
    let mut parts = copy.split('\'');
    let (Some(table), Some(file), Some(options)) = (parts.next(), parts.next(), parts.next())
    else {
        bail!("not understood: \\copy {copy}");
    };
    let content = match file == simulated::FILE {
        true => simulated::customers().into_bytes(),
        false => fs::read(real(file)?)?,
    };
    let sql = format!("COPY {table} STDIN {options}");
    let sink = client.copy_in(&sql).await.map_err(Failure::from);
    let mut sink = pin!(sink.with_context(|| sql.clone())?);
    let sent = async {
        sink.send(Bytes::from(content)).await?;
        sink.close().await
    };
    sent.await
        .map_err(Failure::from)
        .with_context(|| sql.clone())
}

/// A file of the real data.
fn real(file: &str) -> Result<std::path::PathBuf> {
    match place::data(file) {
        Some(path) => Ok(path),
        None => skip(format!(
            "{file} is absent ($RAPPORT_TEST_DATA, by default ../shared/data)"
        )),
    }
}

/// The rows as text, NULL as `NULL`.
pub async fn ask(client: &Client, sql: &str) -> Result<Vec<Vec<String>>> {
    let answer = client.simple_query(sql).await.map_err(Failure::from);
    let mut rows = vec![];
    for message in answer.with_context(|| sql.to_owned())? {
        if let SimpleQueryMessage::Row(row) = message {
            let cell = |n| row.get(n).unwrap_or("NULL").to_owned();
            rows.push((0..row.len()).map(cell).collect());
        }
    }
    Ok(rows)
}
