//! The `rapport` binary: settings, one file per subcommand, shutdown.
//!
//! This crate alone reads flags, environment and settings files, and prints.

mod demo;
mod failure;
mod interrupt;
mod output;
mod progress;
mod runtimes;
mod settings;

fn main() {
    let mut args = std::env::args_os().skip(1);
    if args.next().is_some_and(|command| command == "__catalogue") {
        let dir = args.next().expect("__catalogue is started with its folder");
        if let Err(error) = rapport_catalog_postgres::child_main(dir.as_ref()) {
            eprintln!("error: {error}");
            std::process::exit(1);
        }
    }
}
