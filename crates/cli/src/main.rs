//! The `rapport` binary: settings, one file per subcommand, shutdown.
//!
//! This crate alone reads flags, environment and settings files, and prints. A command gets its settings, a
//! runtime to compute on and a token that says "stop", and answers with a [`failure::Failure`] or nothing.

mod args;
mod certificate;
mod commands;
mod demo;
mod failure;
mod interrupt;
mod logging;
mod models;
mod open;
mod output;
mod password;
mod progress;
mod runtimes;
mod settings;

use std::process::ExitCode;

use args::Cli;
use clap::Parser;
use commands::{Command, Context};
use failure::{Failure, Result};
use interrupt::Interrupt;
use runtimes::Runtimes;

fn main() -> ExitCode {
    let cli = Cli::parse();
    logging::quiet_panics();
    let outcome = std::panic::catch_unwind(|| run(cli)).unwrap_or_else(|_| {
        Err(
            Failure::new(format!("internal error{}", logging::panic_place()))
                .hint("this is a bug of ours: please report it with the command that you ran"),
        )
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            failure.print();
            ExitCode::from(failure.code)
        }
    }
}

fn run(cli: Cli) -> Result {
    let command = match cli.command {
        // The catalogue's process makes no runtime of ours, reads no settings and outlives the command.
        Command::Catalogue { dir } => {
            return rapport_catalog_postgres::child_main(&dir)
                .map_err(|error| Failure::doing("the catalogue's process ended", &error));
        }
        Command::Completions(command) => return command.run(),
        command => command,
    };

    let mut flags = cli.global.flags()?;
    command.add_flags(&mut flags)?;
    let here = std::env::current_dir()
        .map_err(|error| Failure::doing("finding the current folder", &error))?;
    let loaded = settings::load(&flags, &here, env())?;
    logging::start(loaded.settings.log.level.as_deref(), command.is_server())?;
    // Two providers are in the tree; without a choice, the first TLS connection would panic.
    let _ = rustls::crypto::ring::default_provider().install_default();

    let runtimes = Runtimes::new(loaded.settings.query.threads)
        .map_err(|error| Failure::doing("starting threads", &error))?;
    let compute = runtimes.compute();
    runtimes.run(async {
        let interrupt = Interrupt::watch();
        command
            .run(Context {
                loaded,
                compute,
                interrupt,
            })
            .await
    })
}

/// Variables whose name or value is not UTF-8 can't be ours.
fn env() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}
