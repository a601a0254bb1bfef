//! What the binary can be told to do: one file per command.

mod check;
mod compact;
mod completions;
mod demo;
mod functions;
mod init;
mod jobs;
mod load;
mod model;
mod refresh;
mod serve;
mod settings;
mod sources;
mod tables;
mod user;

use std::path::PathBuf;

use clap::Subcommand;
use tokio::runtime::Handle;

use crate::failure::Result;
use crate::interrupt::Interrupt;
use crate::settings::{Flags, Loaded, Settings};

#[derive(Debug, Subcommand)]
pub enum Command {
    Demo(demo::Demo),
    Init(init::Init),
    Serve(serve::Serve),
    Load(load::Load),
    Sources(sources::Sources),
    Model(model::Model),
    Refresh(refresh::Refresh),
    Functions(functions::Functions),
    Tables(tables::Tables),
    Check(check::Check),
    Compact(compact::Compact),
    User(user::User),
    Settings(settings::ShowSettings),
    Completions(completions::Completions),
    /// The process that holds the embedded catalogue; started by the others
    #[command(name = "__catalogue", hide = true)]
    Catalogue {
        dir: PathBuf,
    },
}

/// What every command is given.
pub struct Context {
    pub loaded: Loaded,
    /// Where work that computes belongs.
    pub compute: Handle,
    pub interrupt: Interrupt,
}

impl Context {
    pub fn settings(&self) -> &Settings {
        &self.loaded.settings
    }
}

impl Command {
    /// Flags of the command that stand for settings.
    pub fn add_flags(&self, flags: &mut Flags) -> Result {
        match self {
            Self::Demo(command) => command.add_flags(flags)?,
            Self::Serve(command) => command.add_flags(flags),
            Self::Load(command) => command.add_flags(flags),
            Self::Compact(command) => command.add_flags(flags),
            _ => {}
        }
        Ok(())
    }

    /// A server keeps an operator's diary by default; a command speaks up only when something is wrong.
    pub fn is_server(&self) -> bool {
        matches!(self, Self::Serve(_))
    }

    pub async fn run(self, context: Context) -> Result {
        match self {
            Self::Demo(command) => command.run(context).await,
            Self::Init(command) => command.run(context).await,
            Self::Serve(command) => command.run(context).await,
            Self::Load(command) => command.run(context).await,
            Self::Sources(command) => command.run(&context),
            Self::Model(command) => command.run(context).await,
            Self::Refresh(command) => command.run(context).await,
            Self::Functions(command) => command.run(),
            Self::Tables(command) => command.run(context).await,
            Self::Check(command) => command.run(context).await,
            Self::Compact(command) => command.run(context).await,
            Self::User(command) => command.run(context).await,
            Self::Settings(command) => command.run(&context),
            Self::Completions(command) => command.run(),
            Self::Catalogue { .. } => unreachable!("answered before any runtime was made"),
        }
    }
}
