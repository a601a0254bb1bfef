//! `rapport settings`: what is in force, and where it was said.

use clap::Args;

use super::Context;
use crate::failure::Result;
use crate::output::{self, Table};
use crate::settings::markdown;

/// List every setting with its value and where that comes from
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  rapport settings\n  RAPPORT_QUERY__TIMEOUT=30s rapport settings --json"
)]
pub struct ShowSettings {
    /// As JSON: an array of {key, value, from, about}
    #[arg(long, conflicts_with = "markdown")]
    json: bool,
    /// As the Markdown table of the README: every setting, its default, what it does
    #[arg(long)]
    markdown: bool,
}

impl ShowSettings {
    pub fn run(self, context: &Context) -> Result {
        if self.markdown {
            return output::line(markdown().trim_end());
        }
        let lines = context.loaded.lines();
        if self.json {
            return output::json(&lines);
        }
        let mut table = Table::new(&["setting", "value", "from"]);
        for line in lines {
            let value = if line.value.is_empty() {
                "-".to_owned()
            } else {
                line.value
            };
            table.row(vec![line.key, value, line.from]);
        }
        table.print()
    }
}
