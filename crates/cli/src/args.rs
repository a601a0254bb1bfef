//! The command line as a whole; each command's own arguments are in its file.

use std::path::PathBuf;

use clap::{Args, Parser};

use crate::commands::Command;
use crate::failure::Result;
use crate::settings::Flags;

#[derive(Debug, Parser)]
#[command(
    name = "rapport",
    version,
    about = "The whole history of contacts with customers, in a lake, behind a PostgreSQL endpoint",
    after_help = "Begin with `rapport demo`, or with your own files:\n  \
                  rapport init && rapport load csv calls.csv && rapport user add anna && rapport serve",
    disable_help_subcommand = true
)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Args)]
pub struct Global {
    /// Settings file [default: rapport.toml in the current folder, if there is one]
    #[arg(long, global = true, value_name = "FILE", help_heading = "Settings")]
    config: Option<PathBuf>,
    /// Where the lake is: a folder, or an s3://, az:// or gs:// URL (setting lake.url)
    #[arg(long, global = true, value_name = "URL", help_heading = "Settings")]
    lake: Option<String>,
    /// Any other setting; `rapport settings` lists them. May be given several times
    #[arg(
        long,
        global = true,
        value_name = "KEY=VALUE",
        help_heading = "Settings"
    )]
    set: Vec<String>,
}

impl Global {
    pub fn flags(self) -> Result<Flags> {
        let mut flags = Flags {
            config: self.config,
            ..Flags::default()
        };
        for pair in &self.set {
            flags.put_pair(pair)?;
        }
        flags.put("--lake", "lake.url", self.lake);
        Ok(flags)
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_commands_help_has_an_example() {
        fn look(command: &clap::Command) {
            for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set()) {
                let after = sub
                    .get_after_help()
                    .map(ToString::to_string)
                    .unwrap_or_default();
                let has_children = sub.get_subcommands().next().is_some();
                assert!(
                    after.contains("rapport ") || has_children,
                    "{}",
                    sub.get_name()
                );
                assert!(
                    sub.get_about().is_some(),
                    "{} says what it does",
                    sub.get_name()
                );
                look(sub);
            }
        }
        look(&Cli::command());
    }
}
