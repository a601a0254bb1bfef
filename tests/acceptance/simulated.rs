//! A million customers who behave as BG/NBD says, from which its parameters are to be found again.
//!
//! Purchases come at the rate of a gamma distribution, and each is the last with the chance of a beta distribution: Fader,
//! Hardie & Lee (2005). The seed is fixed.

use std::fmt::Write as _;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rand_distr::{Beta, Distribution, Exp1, Gamma};

/// The name by which `\copy` asks for them.
pub const FILE: &str = "simulated.csv";
const CUSTOMERS: usize = 1_000_000;
const WEEKS: f64 = 39.0;

/// CSV of repeats and recency in weeks. Purchases are in the middle of their days, so that equal histories are many.
pub fn customers() -> String {
    let rates = Gamma::new(0.243, 1.0 / 4.414).expect("positive");
    let stops = Beta::new(0.793, 2.426).expect("positive");
    let mut random = StdRng::seed_from_u64(2005);
    let mut csv = String::new();
    for _ in 0..CUSTOMERS {
        let (rate, stop) = (rates.sample(&mut random), stops.sample(&mut random));
        let (mut repeats, mut recency, mut time) = (0, 0.0, 0.0);
        loop {
            let wait: f64 = Exp1.sample(&mut random);
            time += wait / rate;
            if time >= WEEKS {
                break;
            }
            repeats += 1;
            recency = ((time * 7.0).floor() + 0.5) / 7.0;
            if random.random_bool(stop) {
                break;
            }
        }
        writeln!(csv, "{repeats},{recency}").expect("writing to a string");
    }
    csv
}
