//! Files that no version of the last days needs are removed.

use std::time::Duration;

use async_trait::async_trait;
use rapport_engine::Warehouse;

use crate::compact::each_table;
use crate::{Context, Failure, Job, Schedule, Summary};

pub struct Vacuum {
    pub warehouse: Warehouse,
    pub schedule: Schedule,
    /// Versions younger than this stay readable.
    pub keep: Duration,
}

#[async_trait]
impl Job for Vacuum {
    fn name(&self) -> String {
        "vacuum".into()
    }

    fn kind(&self) -> &'static str {
        "vacuum"
    }

    fn schedule(&self) -> &Schedule {
        &self.schedule
    }

    async fn run(&self, context: &Context) -> Result<Summary, Failure> {
        let (mut files, mut bytes) = (0, 0);
        let tables = each_table(&self.warehouse, None, Some(self.keep), context, |done| {
            files += done.vacuumed.files;
            bytes += done.vacuumed.bytes;
        });
        let tables = tables.await?;
        let message = format!("{files} files of {bytes} bytes removed in {tables} tables");
        Ok(Summary { rows: 0, message })
    }
}
