//! The synthetic company's export: Parquet files in one folder per table, written on all cores.
//!
//! Which customer is in which file depends on its number alone, so the bytes are the same on any number of threads.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use arrow::record_batch::RecordBatch;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::{Compression, Encoding};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;

use super::columns::{self, Vocabulary};
use super::event::Event;
use super::life::Life;
use super::surroundings;
use super::words::Channel;
use super::world::World;

const CUSTOMERS_PER_FILE: u32 = 10_000;
const ROWS_PER_BATCH: usize = 50_000;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("writing {path}")]
    Io {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("writing {path}")]
    Parquet {
        path: PathBuf,
        source: parquet::errors::ParquetError,
    },
    #[error("interrupted")]
    Interrupted,
}

/// What was generated, counted while it was written.
#[derive(Clone, Debug, Default)]
pub struct Generated {
    pub interactions: u64,
    pub by_channel: [u64; Channel::ALL.len()],
    pub purchases: u64,
    pub bad_contacts: u64,
    pub baseline_customers: u64,
    pub campaigns: Vec<CampaignCount>,
}

#[derive(Clone, Copy, Debug, Default)]
pub struct CampaignCount {
    pub treated: u64,
    pub controls: u64,
    /// Extra purchases that the treated were expected to make, in total.
    pub expected_extra: f64,
}

impl Generated {
    pub fn new(world: &World) -> Self {
        Self {
            campaigns: vec![CampaignCount::default(); world.campaigns.len()],
            ..Self::default()
        }
    }

    pub fn count(&mut self, life: &Life) {
        self.interactions += life.events.len() as u64;
        for event in &life.events {
            self.by_channel[event.channel as usize] += 1;
        }
        self.purchases += life.purchases.len() as u64;
        self.bad_contacts += life.bad_contacts.len() as u64;
        self.baseline_customers +=
            u64::from(life.person.cohort == super::population::Cohort::Baseline);
        for member in &life.memberships {
            let campaign = &mut self.campaigns[usize::from(member.campaign) - 1];
            if member.is_treated {
                campaign.treated += 1;
                campaign.expected_extra += member.uplift;
            } else {
                campaign.controls += 1;
            }
        }
    }

    fn add(&mut self, other: &Generated) {
        self.interactions += other.interactions;
        self.purchases += other.purchases;
        self.bad_contacts += other.bad_contacts;
        self.baseline_customers += other.baseline_customers;
        for (mine, theirs) in self.by_channel.iter_mut().zip(other.by_channel) {
            *mine += theirs;
        }
        for (mine, theirs) in self.campaigns.iter_mut().zip(&other.campaigns) {
            mine.treated += theirs.treated;
            mine.controls += theirs.controls;
            mine.expected_extra += theirs.expected_extra;
        }
    }
}

/// Writes everything under `folder`, one folder per table. `progress` is told of each row written.
pub fn generate(
    world: &World,
    customers: u32,
    folder: &Path,
    threads: usize,
    progress: &(dyn Fn(u64) + Sync),
    stop: &AtomicBool,
) -> Result<Generated, Error> {
    for (table, batch) in surroundings::shared(world) {
        write(
            &folder.join(table).join(format!("{table}.parquet")),
            [batch],
        )?;
    }
    let n_files = customers.div_ceil(CUSTOMERS_PER_FILE);
    let next = AtomicU32::new(0);
    // Sums are added up in the order of files, so that even rounding is the same every time.
    let counts = Mutex::new(vec![Generated::new(world); n_files as usize]);
    let words = Vocabulary::new(world);
    let work = || loop {
        let file = next.fetch_add(1, Ordering::Relaxed);
        if file >= n_files {
            return Ok(());
        }
        let count = write_customers(world, &words, customers, file, folder, progress, stop)?;
        counts.lock().expect("no thread panics while counting")[file as usize] = count;
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads.max(1)).map(|_| scope.spawn(work)).collect();
        workers.into_iter().try_for_each(|worker| {
            worker
                .join()
                .unwrap_or_else(|p| std::panic::resume_unwind(p))
        })
    })?;
    let mut total = Generated::new(world);
    for count in counts
        .into_inner()
        .expect("no thread panics while counting")
    {
        total.add(&count);
    }
    Ok(total)
}

fn write_customers(
    world: &World,
    words: &Vocabulary,
    customers: u32,
    file: u32,
    folder: &Path,
    progress: &(dyn Fn(u64) + Sync),
    stop: &AtomicBool,
) -> Result<Generated, Error> {
    let name = format!("part-{file:04}.parquet");
    let mut writer = Writer::new(&folder.join("interactions").join(&name))?;
    let mut count = Generated::new(world);
    let mut people = Vec::with_capacity(CUSTOMERS_PER_FILE as usize);
    let mut events: Vec<Event> = Vec::with_capacity(ROWS_PER_BATCH + 1_000);
    let first = file * CUSTOMERS_PER_FILE;
    let last = (first + CUSTOMERS_PER_FILE).min(customers);
    for number in first..last {
        if stop.load(Ordering::Relaxed) {
            return Err(Error::Interrupted);
        }
        let life = Life::new(world, number);
        count.count(&life);
        events.extend_from_slice(&life.events);
        people.push(life.person);
        if events.len() >= ROWS_PER_BATCH || number + 1 == last {
            writer.write(&columns::interactions(world, words, &events))?;
            progress(events.len() as u64);
            events.clear();
        }
    }
    writer.close()?;
    for (table, batch) in surroundings::of_people(world, &people) {
        write(&folder.join(table).join(&name), [batch])?;
    }
    Ok(count)
}

fn write(path: &Path, batches: impl IntoIterator<Item = RecordBatch>) -> Result<(), Error> {
    let mut writer = Writer::new(path)?;
    for batch in batches {
        writer.write(&batch)?;
    }
    writer.close()
}

struct Writer {
    path: PathBuf,
    inner: Option<ArrowWriter<File>>,
}

impl Writer {
    fn new(path: &Path) -> Result<Self, Error> {
        let io = |source| Error::Io {
            path: path.to_owned(),
            source,
        };
        std::fs::create_dir_all(path.parent().expect("a file in a folder")).map_err(io)?;
        // Opened here, so that a folder that can't be written to is found before anything is computed.
        drop(File::create(path).map_err(io)?);
        Ok(Self {
            path: path.to_owned(),
            inner: None,
        })
    }

    fn write(&mut self, batch: &RecordBatch) -> Result<(), Error> {
        if self.inner.is_none() {
            let file = File::create(&self.path).map_err(|source| Error::Io {
                path: self.path.clone(),
                source,
            })?;
            let options = ArrowWriterOptions::new()
                .with_properties(properties(batch))
                // Readers shall see plain texts, whatever they were built from.
                .with_skip_arrow_metadata(true);
            let writer = ArrowWriter::try_new_with_options(file, batch.schema(), options).map_err(
                |source| Error::Parquet {
                    path: self.path.clone(),
                    source,
                },
            )?;
            self.inner = Some(writer);
        }
        let writer = self.inner.as_mut().expect("made above");
        writer.write(batch).map_err(|source| Error::Parquet {
            path: self.path.clone(),
            source,
        })
    }

    fn close(self) -> Result<(), Error> {
        let Some(writer) = self.inner else {
            return Ok(());
        };
        writer.close().map(drop).map_err(|source| Error::Parquet {
            path: self.path,
            source,
        })
    }
}

/// Fast to write and to read: light compression, dictionaries only where the batch has them.
fn properties(batch: &RecordBatch) -> WriterProperties {
    let mut properties = WriterProperties::builder()
        .set_compression(Compression::LZ4_RAW)
        .set_statistics_enabled(EnabledStatistics::None)
        .set_dictionary_enabled(false);
    for field in batch.schema().fields() {
        let column = ColumnPath::from(field.name().as_str());
        if matches!(
            field.data_type(),
            arrow::datatypes::DataType::Dictionary(..)
        ) {
            properties = properties.set_column_dictionary_enabled(column, true);
        } else if field.name().ends_with("_at") {
            properties = properties.set_column_encoding(column, Encoding::DELTA_BINARY_PACKED);
        }
    }
    properties.build()
}
