//! Every commit and every file of the lake is read, and compared with what was written.

use std::collections::BTreeMap;
use std::sync::Mutex;

use async_trait::async_trait;
use rapport_engine::Warehouse;
use rapport_lake::{CheckProgress, TableName};

use crate::{Context, Failure, Job, Schedule, Summary};

pub struct Check {
    pub warehouse: Warehouse,
    pub schedule: Schedule,
}

#[async_trait]
impl Job for Check {
    fn name(&self) -> String {
        "check".into()
    }

    fn kind(&self) -> &'static str {
        "check"
    }

    fn schedule(&self) -> &Schedule {
        &self.schedule
    }

    /// Fails if something was found.
    async fn run(&self, context: &Context) -> Result<Summary, Failure> {
        let seen: Mutex<BTreeMap<TableName, u64>> = Mutex::default();
        let tell = |at: CheckProgress| {
            let mut seen = seen.lock().expect("only counts are kept under this lock");
            seen.insert(at.table.clone(), at.files_done as u64);
            context.progress.set("files", seen.values().sum(), 0);
        };
        let found = rapport_lake::check(self.warehouse.lake(), &tell).await;
        let found = found.map_err(Failure::of)?;
        let files: u64 = seen
            .into_inner()
            .expect("only counts are kept under this lock")
            .values()
            .sum();
        match found.first() {
            None => Ok(Summary {
                rows: 0,
                message: format!("{files} files are as they were written"),
            }),
            Some(first) => Err(Failure::lasting(format!(
                "{} problems found, the first is {}: {}; `rapport check` lists them all",
                found.len(),
                first.path,
                first.what
            ))),
        }
    }
}
