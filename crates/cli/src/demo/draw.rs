//! Random numbers that are the same on every machine and on any number of threads.
//!
//! Each part of each customer's life has a stream of its own, found from the seed, the part and the customer's
//! number alone. So a customer comes out the same whoever generates it, and a change to how surveys are drawn
//! leaves every purchase where it was.

use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};
use rand_distr::{Beta, Distribution, Exp1, Gamma, Poisson, StandardNormal};

/// What a stream of random numbers is for.
#[derive(Clone, Copy, Debug)]
#[repr(u64)]
pub enum Part {
    World = 1,
    Person,
    Purchases,
    Contacts,
    Campaigns,
    Browsing,
    Surveys,
    Devices,
    Offers,
    Profiling,
}

pub struct Draw(Xoshiro256PlusPlus);

impl Draw {
    pub fn new(seed: u64, part: Part, customer: u32) -> Self {
        let key = mix(seed ^ mix((part as u64) << 40 | u64::from(customer)));
        Self(Xoshiro256PlusPlus::seed_from_u64(key))
    }

    /// Uniform in [0, 1).
    pub fn unit(&mut self) -> f64 {
        self.0.random()
    }

    pub fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// Uniform in [0, n).
    pub fn below(&mut self, n: usize) -> usize {
        ((u128::from(self.0.random::<u64>()) * n as u128) >> 64) as usize
    }

    pub fn between(&mut self, from: f64, to: f64) -> f64 {
        from + (to - from) * self.unit()
    }

    pub fn normal(&mut self, mean: f64, deviation: f64) -> f64 {
        let z: f64 = StandardNormal.sample(&mut self.0);
        mean + deviation * z
    }

    pub fn exponential(&mut self, mean: f64) -> f64 {
        let e: f64 = Exp1.sample(&mut self.0);
        mean * e
    }

    /// Shape and *rate*, as the papers on customer value write it.
    pub fn gamma(&mut self, shape: f64, rate: f64) -> f64 {
        Gamma::new(shape, 1.0 / rate)
            .expect("a positive shape and rate")
            .sample(&mut self.0)
    }

    pub fn beta(&mut self, a: f64, b: f64) -> f64 {
        Beta::new(a, b)
            .expect("positive parameters")
            .sample(&mut self.0)
    }

    pub fn poisson(&mut self, mean: f64) -> usize {
        if mean <= 0.0 {
            return 0;
        }
        Poisson::new(mean)
            .expect("a positive mean")
            .sample(&mut self.0) as usize
    }

    /// Median, and the deviation of the logarithm.
    pub fn lognormal(&mut self, median: f64, sigma: f64) -> f64 {
        median * self.normal(0.0, sigma).exp()
    }

    pub fn one_of<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    /// One of a few things, each with its weight.
    pub fn weighted<T: Copy>(&mut self, from: &[(f64, T)]) -> T {
        let total: f64 = from.iter().map(|(weight, _)| weight).sum();
        let mut left = self.unit() * total;
        for (weight, what) in from {
            left -= weight;
            if left < 0.0 {
                return *what;
            }
        }
        from[from.len() - 1].1
    }
}

/// SplitMix64's finaliser: neighbouring numbers become unrelated ones.
fn mix(mut x: u64) -> u64 {
    x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_depends_on_seed_part_and_customer_only() {
        let first = |seed, part, customer| Draw::new(seed, part, customer).unit();
        let one = first(1, Part::Person, 1);
        assert_eq!(one, first(1, Part::Person, 1));
        assert_ne!(one, first(2, Part::Person, 1));
        assert_ne!(one, first(1, Part::Purchases, 1));
        assert_ne!(one, first(1, Part::Person, 2));
    }

    #[test]
    fn gamma_takes_a_rate_not_a_scale() {
        let mut draw = Draw::new(1, Part::World, 0);
        let mean = (0..100_000).map(|_| draw.gamma(2.0, 4.0)).sum::<f64>() / 100_000.0;
        assert!((mean - 0.5).abs() < 0.01, "{mean}");
    }

    #[test]
    fn weights_are_kept() {
        let mut draw = Draw::new(1, Part::World, 0);
        let hits = (0..100_000)
            .filter(|_| draw.weighted(&[(3.0, true), (1.0, false)]))
            .count();
        assert!((74_000..76_000).contains(&hits), "{hits}");
    }
}
