//! What holds of every customer base, drawn at random and shrunk to the simplest that breaks it. The draw is the same in
//! each run; `PROPTEST_CASES` draws more. And that a fit does not depend on how many threads make it.

#[path = "properties/contracts.rs"]
mod contracts;
#[path = "properties/customers.rs"]
mod customers;
#[path = "properties/merging.rs"]
mod merging;
#[path = "properties/people.rs"]
mod people;
#[path = "properties/sums.rs"]
mod sums;
#[path = "properties/threads.rs"]
mod threads;

use proptest::test_runner::{Config, RngSeed};

/// `cases` draws, unless the environment asks for others.
fn drawn(cases: u32) -> Config {
    Config {
        cases: match std::env::var_os("PROPTEST_CASES") {
            Some(_) => Config::default().cases,
            None => cases,
        },
        rng_seed: RngSeed::Fixed(2005),
        failure_persistence: None,
        ..Config::default()
    }
}

fn go_on() -> bool {
    false
}

fn is_probability(value: f64) -> bool {
    (0.0..=1.0).contains(&value)
}

/// Equal but for what the order of summing changes.
fn near(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-9 * a.abs().max(b.abs()).max(1.0)
}
