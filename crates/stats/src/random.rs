//! A small generator of pseudo-random numbers: the same seed gives the same answer with every later version.
//!
//! That is why it is ours: the generators of `rand` may change with its versions, and a published model must be fitted again
//! to the same bits. Not for secrets.
//!
//! Source: Steele, Lea & Flood (2014), "Fast Splittable Pseudorandom Number Generators" (SplitMix64).

pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Another generator, for the part `index` of the same work: parts do not depend on who does them.
    pub fn part(seed: u64, index: u64) -> Self {
        Self(mixed(seed ^ mixed(index.wrapping_add(1))))
    }

    pub fn integer(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mixed(self.0)
    }

    /// At least 0, below 1.
    pub fn unit(&mut self) -> f64 {
        (self.integer() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// One of 0, 1, …, `n` − 1, for `n` above 0.
    pub fn below(&mut self, n: usize) -> usize {
        ((u128::from(self.integer()) * n as u128) >> 64) as usize
    }
}

fn mixed(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sequence_is_the_published_one() {
        let mut random = Random::new(1_234_567);
        let got = [random.integer(), random.integer(), random.integer()];
        let expected = [
            6_457_827_717_110_365_317,
            3_203_168_211_198_807_973,
            9_817_491_932_198_370_423,
        ];
        assert_eq!(got, expected);
    }

    #[test]
    fn numbers_stay_in_their_range() {
        let mut random = Random::part(1, 7);
        let mut mean = 0.0;
        for _ in 0..10_000 {
            let unit = random.unit();
            assert!((0.0..1.0).contains(&unit));
            assert!(random.below(3) < 3);
            mean += unit / 10_000.0;
        }
        assert!((mean - 0.5).abs() < 0.02, "{mean}");
    }
}
