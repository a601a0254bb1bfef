//! Which channels conversions would be lost without: attribution by a Markov chain.
//!
//! A journey moves from contact to contact until it converts or ends. The next contact depends on the last `order` ones
//! (1 to 4; before the first there is nothing). Transition probabilities are the observed frequencies:
//!
//!   P(s → s′) = n(s → s′) / n(s).
//!
//! The base conversion is the probability to convert from the start, which is conversions / journeys in any order. To
//! *remove* a channel is to end every journey that gets to it; the removal effect is 1 − conversion without it / base
//! conversion, and conversions are attributed in proportion to the effects. Source: Anderl, Becker, von Wangenheim &
//! Schumann (2016), "Mapping the customer journey", Int. J. of Research in Marketing 33(3).
//!
//! Small chains are solved by taking state after state out (Grassmann, Taksar & Heyman 1985), large ones by Gauss-Seidel
//! sweeps: the probabilities of converting and of not converting are both approached from below, so what they lack of 1
//! bounds the error.

use std::collections::BTreeMap;

use rayon::prelude::*;

use crate::attribution::Path;
use crate::fit::IsCancelled;
use crate::{Error, Result};

const MOST_ORDER: usize = 4;
/// States up to which elimination, whose work grows as their cube, is the quicker way.
const MOST_ELIMINATED: usize = 128;
const PRECISION: f64 = 1e-12;
const NOTHING: u32 = u32::MAX;

/// The last contacts, the latest first.
type State = [u32; MOST_ORDER];

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Next {
    Channel(u32),
    Conversion,
    End,
}

/// Counts of transitions: what is observed, to which paths are added and which is merged.
#[derive(Clone, Debug, PartialEq)]
pub struct Transitions {
    order: usize,
    counts: BTreeMap<State, BTreeMap<Next, f64>>,
    conversions: f64,
}

impl Transitions {
    pub fn new(order: usize) -> Result<Self> {
        if !(1..=MOST_ORDER).contains(&order) {
            return Err(Error::Range {
                name: "order",
                range: "1 to 4",
                value: order as f64,
            });
        }
        Ok(Self {
            order,
            counts: BTreeMap::new(),
            conversions: 0.0,
        })
    }

    pub fn add(&mut self, path: &Path) {
        let mut state = [NOTHING; MOST_ORDER];
        for channel in &path.channels {
            self.count(
                state,
                Next::Channel(*channel),
                path.conversions + path.misses,
            );
            state.copy_within(0..self.order - 1, 1);
            state[0] = *channel;
        }
        self.count(state, Next::Conversion, path.conversions);
        self.count(state, Next::End, path.misses);
        self.conversions += path.conversions;
    }

    /// Both have to be of one order.
    pub fn merge(&mut self, other: &Self) -> Result<()> {
        if self.order != other.order {
            return Err(Error::Contradiction(
                "transitions of different orders do not add up",
            ));
        }
        for (state, row) in &other.counts {
            for (next, count) in row {
                self.count(*state, *next, *count);
            }
        }
        self.conversions += other.conversions;
        Ok(())
    }

    fn count(&mut self, state: State, next: Next, weight: f64) {
        if weight > 0.0 {
            *self
                .counts
                .entry(state)
                .or_default()
                .entry(next)
                .or_default() += weight;
        }
    }

    /// Without a single journey there is no chain.
    pub fn attribute(&self, is_cancelled: IsCancelled) -> Result<Attribution> {
        let chain = Chain::new(self)?;
        if is_cancelled() {
            return Err(Error::Cancelled);
        }
        let base_conversion = chain.conversion(None, is_cancelled)?;
        let removal_effects: Vec<f64> = (0..chain.n_channels)
            .into_par_iter()
            .map(|channel| {
                let left = chain.conversion(Some(channel), is_cancelled)?;
                let effect = 1.0 - left / base_conversion;
                Ok(if base_conversion > 0.0 {
                    effect.max(0.0)
                } else {
                    0.0
                })
            })
            .collect::<Result<_>>()?;
        let total: f64 = removal_effects.iter().sum();
        let share = |effect: &f64| match total > 0.0 {
            true => self.conversions * effect / total,
            false => 0.0,
        };
        Ok(Attribution {
            base_conversion,
            conversions: removal_effects.iter().map(share).collect(),
            removal_effects,
        })
    }
}

/// By the channel's number.
#[derive(Clone, Debug, PartialEq)]
pub struct Attribution {
    /// Probability that a journey converts.
    pub base_conversion: f64,
    /// Share of the conversions that would be lost without the channel.
    pub removal_effects: Vec<f64>,
    /// They sum to the conversions observed.
    pub conversions: Vec<f64>,
}

/// The transition matrix, of states numbered in their order; the start comes last, as nothing sorts behind all channels.
struct Chain {
    rows: Vec<Row>,
    n_channels: u32,
}

struct Row {
    /// The next state, the channel arrived at, the probability.
    moves: Vec<(usize, u32, f64)>,
    conversion: f64,
    end: f64,
}

impl Chain {
    fn new(transitions: &Transitions) -> Result<Self> {
        let counts = &transitions.counts;
        if counts.is_empty() {
            return Err(Error::TooLittle("there is no journey to learn from"));
        }
        let number: BTreeMap<&State, usize> = counts.keys().zip(0..).collect();
        let row = |(state, row): (&State, &BTreeMap<Next, f64>)| {
            let total: f64 = row.values().sum();
            let of = |next| row.get(&next).map_or(0.0, |count| count / total);
            let moves = row.iter().filter_map(|(next, count)| match next {
                Next::Channel(channel) => {
                    let mut after = *state;
                    after.copy_within(0..transitions.order - 1, 1);
                    after[0] = *channel;
                    Some((number[&after], *channel, count / total))
                }
                Next::Conversion | Next::End => None,
            });
            Row {
                moves: moves.collect(),
                conversion: of(Next::Conversion),
                end: of(Next::End),
            }
        };
        let rows: Vec<Row> = counts.iter().map(row).collect();
        let channels = rows.iter().flat_map(|row| &row.moves);
        let n_channels = channels.map(|(_, channel, _)| channel + 1).max();
        Ok(Self {
            rows,
            n_channels: n_channels.unwrap_or(0),
        })
    }

    /// Probability to convert from the start, if journeys end at the `removed` channel.
    fn conversion(&self, removed: Option<u32>, is_cancelled: IsCancelled) -> Result<f64> {
        match self.rows.len() <= MOST_ELIMINATED {
            true => Ok(self.eliminate(removed)),
            false => self.sweep(removed, is_cancelled),
        }
    }

    /// State after state is taken out, its arrivals passed on to where it leads, until the start leads to the two ends.
    fn eliminate(&self, removed: Option<u32>) -> f64 {
        let n = self.rows.len();
        let mut rows: Vec<Vec<f64>> = self.rows.iter().map(|row| row.dense(n, removed)).collect();
        for state in 0..n - 1 {
            let (before, after) = rows.split_at_mut(state + 1);
            let out = &before[state][state + 1..];
            // A sum and no difference: nothing cancels, however seldom journeys end.
            let leaving: f64 = out.iter().sum();
            for row in after {
                let passed = row[state] / leaving;
                if passed > 0.0 {
                    let rest = row[state + 1..].iter_mut();
                    rest.zip(out).for_each(|(to, from)| *to += passed * from);
                }
            }
        }
        let start = &rows[n - 1];
        start[n] / (start[n] + start[n + 1])
    }

    fn sweep(&self, removed: Option<u32>, is_cancelled: IsCancelled) -> Result<f64> {
        let mut known = vec![(0.0, 0.0); self.rows.len()];
        let mut last = f64::INFINITY;
        loop {
            if is_cancelled() {
                return Err(Error::Cancelled);
            }
            let mut unknown = 0.0;
            for (n, row) in self.rows.iter().enumerate() {
                known[n] = row.outcome(n, removed, &known);
                unknown += 1.0 - known[n].0 - known[n].1;
            }
            // What is left when it does not shrink any more is rounding.
            if unknown < PRECISION || unknown >= last {
                return Ok(known[known.len() - 1].0);
            }
            last = unknown;
        }
    }
}

impl Row {
    /// Probabilities of the `n` states, of conversion and of the end.
    fn dense(&self, n: usize, removed: Option<u32>) -> Vec<f64> {
        let mut dense = vec![0.0; n + 2];
        for (to, channel, probability) in &self.moves {
            let is_removed = Some(*channel) == removed;
            dense[if is_removed { n + 1 } else { *to }] += probability;
        }
        dense[n] += self.conversion;
        dense[n + 1] += self.end;
        dense
    }

    /// Probabilities to convert and not to, from what is known of the next states; staying is solved for.
    fn outcome(&self, own: usize, removed: Option<u32>, known: &[(f64, f64)]) -> (f64, f64) {
        let (mut conversion, mut end, mut leaving) = (self.conversion, self.end, 1.0);
        for (to, channel, probability) in &self.moves {
            if Some(*channel) == removed {
                end += probability;
            } else if *to == own {
                leaving -= probability;
            } else {
                conversion += probability * known[*to].0;
                end += probability * known[*to].1;
            }
        }
        (conversion / leaving, end / leaving)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn go_on() -> bool {
        false
    }

    fn of(order: usize, paths: &[(&[u32], f64, f64)]) -> Transitions {
        let mut transitions = Transitions::new(order).expect("an order");
        for (channels, conversions, misses) in paths {
            let path = Path::new(channels.to_vec(), *conversions, *misses);
            transitions.add(&path.expect("possible"));
        }
        transitions
    }

    /// Channels C1, C2, C3: the example of the literature with a base conversion of 1/3.
    const EXAMPLE: [(&[u32], f64, f64); 3] = [
        (&[0, 1, 2], 1.0, 0.0),
        (&[0], 0.0, 1.0),
        (&[1, 2], 0.0, 1.0),
    ];

    #[test]
    fn an_example_by_hand() {
        let got = of(1, &EXAMPLE).attribute(&go_on).expect("journeys");
        assert!((got.base_conversion - 1.0 / 3.0).abs() < 1e-11, "{got:?}");
        // Without C1 half of what begins with C2 converts: 1/3 · 1 · 1/2.
        let expected = [0.5, 1.0, 1.0];
        for (got, expected) in got.removal_effects.iter().zip(expected) {
            assert!((got - expected).abs() < 1e-11, "{got}, not {expected}");
        }
    }

    #[test]
    fn more_memory_tells_histories_apart() {
        let got = of(3, &EXAMPLE).attribute(&go_on).expect("journeys");
        // Who came by C1 and C2 converts, who came by C2 alone does not: now C1 is as needed as the others.
        for effect in &got.removal_effects {
            assert!((effect - 1.0).abs() < 1e-11, "{got:?}");
        }
        assert!((got.base_conversion - 1.0 / 3.0).abs() < 1e-11);
    }

    #[test]
    fn g6_staying_at_a_channel_does_not_change_anything() {
        let stays: [(&[u32], f64, f64); 3] = [
            (&[0, 0, 0, 1, 2], 1.0, 0.0),
            (&[0], 0.0, 1.0),
            (&[1, 2, 2], 0.0, 1.0),
        ];
        let (a, b) = (of(1, &EXAMPLE), of(1, &stays));
        let (a, b) = (a.attribute(&go_on), b.attribute(&go_on));
        let (a, b) = (a.expect("journeys"), b.expect("journeys"));
        for (a, b) in a.conversions.iter().zip(&b.conversions) {
            assert!((a - b).abs() < 1e-9, "{a} {b}");
        }
    }

    #[test]
    fn merging_counts_is_counting_together() {
        for order in 1..=4 {
            let mut merged = of(order, &EXAMPLE[..1]);
            merged.merge(&of(order, &EXAMPLE[1..])).expect("one order");
            assert_eq!(merged, of(order, &EXAMPLE));
        }
        assert!(of(1, &EXAMPLE).merge(&of(2, &EXAMPLE)).is_err());
    }

    #[test]
    fn g8_attributed_conversions_sum_to_the_observed() {
        for order in 1..=4 {
            let got = of(order, &EXAMPLE).attribute(&go_on).expect("journeys");
            assert!((got.conversions.iter().sum::<f64>() - 1.0).abs() < 1e-9);
        }
    }

    #[test]
    fn nothing_converts_or_nothing_is_there() {
        let got = of(1, &[(&[0, 1], 0.0, 5.0)]).attribute(&go_on);
        let got = got.expect("journeys");
        assert_eq!(
            (got.base_conversion, got.conversions),
            (0.0, vec![0.0, 0.0])
        );
        assert!(of(1, &[]).attribute(&go_on).is_err());
        assert!(of(1, &[(&[], 0.0, 3.0)]).attribute(&go_on).is_ok());
    }

    #[test]
    fn a_journey_of_100_000_contacts() {
        let long: Vec<u32> = (0..100_000).map(|n| n % 7 * (n % 7) % 7 % 3).collect();
        let got = of(1, &[(&long, 1.0, 0.0), (&[0], 0.0, 1.0)]).attribute(&go_on);
        let got = got.expect("journeys");
        assert!((got.base_conversion - 0.5).abs() < 1e-9, "{got:?}");
    }

    #[test]
    fn sweeping_and_eliminating_agree() {
        let paths: Vec<Vec<u32>> = (1..60_u32)
            .map(|n| (0..n % 9 + 1).map(|at| (n * n + at * at * 3) % 7).collect())
            .collect();
        for order in 1..=2 {
            let mut transitions = Transitions::new(order).expect("an order");
            for (n, path) in (0..).zip(&paths) {
                let path = Path::new(path.clone(), f64::from(n % 3), 1.0);
                transitions.add(&path.expect("possible"));
            }
            let chain = Chain::new(&transitions).expect("journeys");
            for removed in [None, Some(0), Some(3), Some(9)] {
                let swept = chain.sweep(removed, &go_on).expect("not cancelled");
                let eliminated = chain.eliminate(removed);
                assert!((swept - eliminated).abs() < 1e-11, "{swept} {eliminated}");
            }
        }
    }

    #[test]
    fn what_is_not_wanted_any_more_is_cancelled() {
        let got = of(1, &EXAMPLE).attribute(&|| true);
        assert_eq!(got, Err(Error::Cancelled));
        assert!(Transitions::new(0).is_err() && Transitions::new(5).is_err());
    }
}
