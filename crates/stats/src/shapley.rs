//! What each of several contributors adds, on average over all orders in which they could come: the Shapley value.
//!
//! A game says what each set of players is worth, v(S). Player i is due
//!
//!   φ_i = Σ over S without i of |S|! (n − |S| − 1)! / n! · (v(S ∪ i) − v(S)),
//!
//! and what all are due sums to v(all) − v(none). Up to 16 players the sum is taken as it stands; above, the mean over
//! random orders, each followed by its reverse, is an unbiased estimate that keeps the sum.
//!
//! For paths, a set of channels is worth the conversions of the paths that need no other channel. Then no sum over sets is
//! needed: a path's conversions are divided equally among its different channels, exactly, with any number of them.
//!
//! Source: Shapley (1953), "A value for n-person games"; sampling: Castro, Gómez & Tejada (2009), Computers & Operations
//! Research 36(5).

use crate::attribution::{Credits, Path};
use crate::fit::IsCancelled;
use crate::random::Random;
use crate::{Error, Result};

/// The largest number of players whose sets are all looked at.
pub const MOST_EXACT: usize = 16;
/// A set of players is the bits of a `u64`.
pub const MOST_PLAYERS: usize = 64;

/// How to estimate where there are too many sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sampling {
    pub seed: u64,
    /// Pairs of an order and its reverse.
    pub n_pairs: u32,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Shapley {
    pub values: Vec<f64>,
    /// Of the estimates; 0 if the values are exact, NaN if a single pair tells nothing of them.
    pub standard_errors: Vec<f64>,
    pub is_exact: bool,
}

/// Values of `n_players`, by what each set of them is worth.
pub fn values(
    n_players: usize,
    worth: impl Fn(u64) -> f64,
    sampling: Sampling,
    is_cancelled: IsCancelled,
) -> Result<Shapley> {
    match n_players {
        0..=MOST_EXACT => exact(n_players, worth, is_cancelled),
        _ if n_players > MOST_PLAYERS => Err(Error::TooMany {
            what: "players",
            most: MOST_PLAYERS,
        }),
        _ if sampling.n_pairs == 0 => {
            Err(Error::TooLittle("an estimate needs an order to look at"))
        }
        _ => sampled(n_players, worth, sampling, is_cancelled),
    }
}

/// Conversions of paths divided among their channels, each channel of a path once.
pub fn of_paths(paths: &[Path]) -> Credits {
    let mut credits = Credits::default();
    for path in paths {
        let mut channels = path.channels.clone();
        channels.sort_unstable();
        channels.dedup();
        let share = 1.0 / channels.len() as f64;
        credits.add(&channels, &vec![share; channels.len()], path.conversions);
    }
    credits
}

fn exact(n: usize, worth: impl Fn(u64) -> f64, is_cancelled: IsCancelled) -> Result<Shapley> {
    let mut worths = Vec::with_capacity(1 << n);
    for set in 0..1_u64 << n {
        if is_cancelled() {
            return Err(Error::Cancelled);
        }
        worths.push(worth(set));
    }
    // |S|! (n − |S| − 1)! / n!, by |S|: 1/n, and each next one from the last.
    let mut weights = vec![1.0 / n as f64];
    for size in 1..n {
        weights.push(weights[size - 1] * size as f64 / (n - size) as f64);
    }
    let value = |player: usize| {
        let without = (0..1_usize << n).filter(|set| set >> player & 1 == 0);
        without
            .map(|set| {
                weights[set.count_ones() as usize] * (worths[set | 1 << player] - worths[set])
            })
            .sum()
    };
    Ok(Shapley {
        values: (0..n).map(value).collect(),
        standard_errors: vec![0.0; n],
        is_exact: true,
    })
}

fn sampled(
    n: usize,
    worth: impl Fn(u64) -> f64,
    sampling: Sampling,
    is_cancelled: IsCancelled,
) -> Result<Shapley> {
    let mut random = Random::new(sampling.seed);
    let mut order: Vec<usize> = (0..n).collect();
    let (mut sums, mut squares) = (vec![0.0; n], vec![0.0; n]);
    for _ in 0..sampling.n_pairs {
        if is_cancelled() {
            return Err(Error::Cancelled);
        }
        shuffle(&mut order, &mut random);
        let mut gains = vec![0.0; n];
        add_gains(&mut gains, order.iter(), &worth);
        add_gains(&mut gains, order.iter().rev(), &worth);
        for player in 0..n {
            let gain = 0.5 * gains[player];
            sums[player] += gain;
            squares[player] += gain * gain;
        }
    }
    let pairs = f64::from(sampling.n_pairs);
    let values: Vec<f64> = sums.iter().map(|sum| sum / pairs).collect();
    let error = |(square, value): (&f64, &f64)| {
        ((square / pairs - value * value).max(0.0) / (pairs - 1.0)).sqrt()
    };
    Ok(Shapley {
        standard_errors: squares.iter().zip(&values).map(error).collect(),
        values,
        is_exact: false,
    })
}

/// Every order equally likely (Fisher and Yates).
fn shuffle(order: &mut [usize], random: &mut Random) {
    for last in (1..order.len()).rev() {
        order.swap(last, random.below(last + 1));
    }
}

/// What each player adds when they come in this order.
fn add_gains<'a>(
    gains: &mut [f64],
    order: impl Iterator<Item = &'a usize>,
    worth: &impl Fn(u64) -> f64,
) {
    let mut set = 0;
    let mut before = worth(set);
    for player in order {
        set |= 1 << player;
        let after = worth(set);
        gains[*player] += after - before;
        before = after;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLING: Sampling = Sampling {
        seed: 7,
        n_pairs: 2_000,
    };

    fn go_on() -> bool {
        false
    }

    #[test]
    fn g7_three_channels() {
        let worths = [0.0, 10.0, 20.0, 50.0, 0.0, 15.0, 30.0, 70.0];
        let got = values(3, |set| worths[set as usize], SAMPLING, &go_on).expect("few");
        for (got, expected) in got.values.iter().zip([24.1667, 36.6667, 9.1667]) {
            assert!((got - expected).abs() < 1e-4, "{got}, not {expected}");
        }
        assert!(got.is_exact);
    }

    #[test]
    fn an_estimate_says_so_and_is_within_its_errors() {
        // Worth the square of the sum of the players' sizes: player i is due s_i · Σ s.
        let n = 20;
        let size = |player: usize| (player % 4) as f64;
        let of = |set: u64| (0..n).filter(|p| set >> p & 1 == 1).map(size).sum::<f64>();
        let got = values(n, |set| of(set).powi(2), SAMPLING, &go_on).expect("few");
        assert!(!got.is_exact);
        let total = of(u64::MAX);
        assert!((got.values.iter().sum::<f64>() - total * total).abs() < 1e-9);
        for player in 0..n {
            let off = (got.values[player] - size(player) * total).abs();
            assert!(off <= 5.0 * got.standard_errors[player] + 1e-9, "{got:?}");
        }
        let again = values(n, |set| of(set).powi(2), SAMPLING, &go_on).expect("few");
        assert_eq!(got, again);
    }

    #[test]
    fn paths_are_the_game_of_their_channel_sets() {
        let paths = [
            (vec![0, 1, 0], 6.0),
            (vec![2], 1.0),
            (vec![1, 2, 3, 1], 5.0),
            (vec![3, 0], 2.0),
        ];
        let paths = paths.map(|(channels, n)| Path::new(channels, n, 0.0).expect("possible"));
        let needs = |path: &Path| path.channels.iter().fold(0_u64, |set, c| set | 1 << c);
        let worth = |set: u64| {
            let enough = paths.iter().filter(|path| needs(path) & !set == 0);
            enough.map(|path| path.conversions).sum()
        };
        let game = values(4, worth, SAMPLING, &go_on).expect("few");
        for (game, credit) in game.values.iter().zip(of_paths(&paths).by_channel()) {
            assert!((game - credit).abs() < 1e-12, "{game} {credit}");
        }
    }

    #[test]
    fn nobody_one_and_too_many() {
        let nobody = values(0, |_| 3.0, SAMPLING, &go_on).expect("few");
        assert!(nobody.values.is_empty());
        let one = values(1, |set| set as f64, SAMPLING, &go_on).expect("few");
        assert_eq!(one.values, [1.0]);
        assert!(values(65, |_| 0.0, SAMPLING, &go_on).is_err());
        let none = Sampling {
            n_pairs: 0,
            ..SAMPLING
        };
        assert!(values(17, |_| 0.0, none, &go_on).is_err());
        assert_eq!(
            values(3, |_| 0.0, SAMPLING, &|| true),
            Err(Error::Cancelled)
        );
    }
}
