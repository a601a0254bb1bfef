//! `rapport sources`: what `rapport load` knows how to read.

use clap::Args;
use rapport_intake::Source;
use serde_json::json;

use super::Context;
use crate::failure::Result;
use crate::output::{self, Table};

/// List the sources that `rapport load` can read: shipped ones and your own
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  rapport sources\n\n\
    A source of your own is a short TOML file in the folder that the setting load.sources names.")]
pub struct Sources {
    /// As JSON: an array of {name, about, file}
    #[arg(long)]
    json: bool,
}

impl Sources {
    pub fn run(self, context: &Context) -> Result {
        let sources = Source::list(&[context.settings().load.sources.clone()])?;
        if self.json {
            let list: Vec<_> = sources
                .iter()
                .map(|s| json!({"name": s.name, "about": s.about, "file": s.file}))
                .collect();
            return output::json(&list);
        }
        let mut table = Table::new(&["source", "from", "what it reads"]);
        for source in sources {
            let from = source
                .file
                .map_or("shipped".to_owned(), |file| file.display().to_string());
            table.row(vec![source.name, from, source.about]);
        }
        table.print()
    }
}
