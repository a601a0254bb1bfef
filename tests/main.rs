//! Everything that is tried on the finished binary: one harness, one list of tests, no test that needs another.
//!
//! `tests/run` calls this binary once per group; `cargo test --workspace --test whole -- slt::` runs a part of it.
//! A test that cannot run here (no Python packages, no PostgreSQL to compare with) is *ignored* with its reason.

mod acceptance;
mod clients;
mod commands;
mod faults;
mod fixtures;
mod layers;
mod loads;
mod slt;
mod stores;

use libtest_mimic::Arguments;

fn main() {
    let arguments = Arguments::from_args();
    let trials = [
        layers::trials(),
        commands::trials(),
        loads::trials(),
        slt::trials(),
        acceptance::trials(),
        clients::trials(),
        stores::trials(),
        faults::trials(),
    ];
    let conclusion = libtest_mimic::run(&arguments, trials.into_iter().flatten().collect());
    slt::stop_shared();
    acceptance::stop_shared();
    commands::stop_shared();
    faults::stop_shared();
    fixtures::shared::stop_all();
    conclusion.exit();
}
