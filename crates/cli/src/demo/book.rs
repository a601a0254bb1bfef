//! `demo.json`: which demo a folder holds, how far it is, and what is true of it.
//!
//! A test or a curious person reads the parameters here and compares them with what a model finds in the data.

use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::columns::campaign_id;
use super::files::Generated;
use super::words::Channel;
use super::world::World;
use crate::failure::{Failure, Result};

/// Raised when the same seed comes to mean another history.
const FORMAT: u32 = 1;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Book {
    pub format: u32,
    pub customers: u32,
    pub seed: u64,
    /// Files are complete once this is there.
    pub generated: Option<Counts>,
    pub is_loaded: bool,
    /// Written for readers of the file; the demo itself knows it from [`super::truth::Truth`].
    pub truth: Value,
    pub campaigns: Value,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Counts {
    pub interactions: u64,
    pub purchases: u64,
    pub bad_contacts: u64,
    pub baseline_customers: u64,
    pub by_channel: std::collections::BTreeMap<String, u64>,
    pub first_day: String,
    pub last_day: String,
}

impl Book {
    pub fn new(customers: u32, seed: u64) -> Self {
        Self {
            format: FORMAT,
            customers,
            seed,
            generated: None,
            is_loaded: false,
            truth: Value::Null,
            campaigns: Value::Null,
        }
    }

    pub fn complete(&mut self, world: &World, total: &Generated) {
        self.truth = serde_json::to_value(&world.truth).expect("numbers and texts");
        self.generated = Some(Counts {
            interactions: total.interactions,
            purchases: total.purchases,
            bad_contacts: total.bad_contacts,
            baseline_customers: total.baseline_customers,
            by_channel: Channel::ALL
                .iter()
                .map(|channel| {
                    (
                        channel.text().to_owned(),
                        total.by_channel[*channel as usize],
                    )
                })
                .collect(),
            first_day: super::clock::date(0).to_string(),
            last_day: super::clock::date(super::clock::DAYS - 1).to_string(),
        });
        let numbered = (1..).zip(world.campaigns.iter().zip(&total.campaigns));
        self.campaigns = numbered
            .map(|(n, (campaign, count))| {
                json!({
                    "campaign_id": campaign_id(n),
                    "channel": campaign.channel.text(),
                    "starts": super::clock::date(campaign.starts as usize).to_string(),
                    "treated": count.treated,
                    "controls": count.controls,
                    // Purchases within the window, treated minus control, on average.
                    "true_uplift": count.expected_extra / count.treated.max(1) as f64,
                })
            })
            .collect();
    }
}

pub struct BookFile<'a>(pub &'a Path);

impl BookFile<'_> {
    pub const NAME: &'static str = "demo.json";

    /// `None` if there is no such file.
    pub fn read(&self) -> Result<Option<Book>> {
        let text = match std::fs::read_to_string(self.0) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            other => {
                other.map_err(|e| Failure::doing(format!("reading {}", self.0.display()), &e))?
            }
        };
        serde_json::from_str(&text).map(Some).map_err(|error| {
            Failure::doing(format!("{} is not a demo's book", self.0.display()), &error)
                .hint("remove the demo's folder, or name another with --dir")
        })
    }

    /// Whole or not at all: under another name first.
    pub fn write(&self, book: &Book) -> Result {
        let text = serde_json::to_string_pretty(book).expect("numbers and texts");
        let draft = self.0.with_extension("json.new");
        std::fs::write(&draft, text)
            .and_then(|()| std::fs::rename(&draft, self.0))
            .map_err(|e| Failure::doing(format!("writing {}", self.0.display()), &e))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join(BookFile::NAME);
        assert!(
            BookFile(&path)
                .read()
                .expect("no file is no failure")
                .is_none()
        );
        let world = World::new(9);
        let mut book = Book::new(10, 9);
        book.complete(&world, &Generated::new(&world));
        BookFile(&path).write(&book).expect("written");
        let read = BookFile(&path).read().expect("read").expect("there");
        assert_eq!((read.customers, read.seed, read.is_loaded), (10, 9, false));
        assert_eq!(read.truth["purchases"]["r"], 0.55);
        assert_eq!(
            read.campaigns.as_array().map(Vec::len),
            Some(world.campaigns.len())
        );
    }
}
