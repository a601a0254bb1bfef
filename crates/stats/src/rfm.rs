//! RFM: how recently, how often and for how much a customer bought, each as a score from 1 (worst) to, usually, 5 (best).
//!
//! Recency is the time since the last purchase, so the least is the best. Scores split customers into tiles of equal size.
//! Many customers have equal values (one purchase, say), and a rule must say which tile they go to:
//!
//! - [`Ties::ById`]: as SQL's `NTILE(n) OVER (ORDER BY value, id)`: all tiles have the same size, to one; the first ones have
//!   the one more. Equal customers can have different scores.
//! - [`Ties::Together`]: by the quantiles that separate the tiles (those of `quantile_cont`, interpolated): a value's tile is
//!   the number of them below it, counted from 0. Equal customers have equal scores, tiles can be empty.
//!
//! Source: Hughes (1994), "Strategic Database Marketing"; quantiles: Hyndman & Fan (1996), type 7.

use crate::error::not_negative;
use crate::{Error, Result};

/// One customer up to a day.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rfm {
    /// Since the last purchase.
    pub recency: f64,
    /// Number of purchases.
    pub frequency: f64,
    /// Spent in all; below 0 where more was given back.
    pub monetary: f64,
}

impl Rfm {
    pub fn new(recency: f64, frequency: f64, monetary: f64) -> Result<Self> {
        if !monetary.is_finite() {
            return Err(Error::Range {
                name: "monetary",
                range: "a finite number",
                value: monetary,
            });
        }
        Ok(Self {
            recency: not_negative("recency", recency)?,
            frequency: not_negative("frequency", frequency)?,
            monetary,
        })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ties {
    /// Broken by the customer's id, so that tiles are of equal size.
    ById,
    /// Equal values have equal scores.
    Together,
}

/// From 1, the worst, to the number of tiles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scores {
    pub recency: u32,
    pub frequency: u32,
    pub monetary: u32,
}

/// Of each of the customers, who are given with their ids.
pub fn scores<I: Ord>(customers: &[(I, Rfm)], tiles: u32, ties: Ties) -> Result<Vec<Scores>> {
    let ids: Vec<&I> = customers.iter().map(|(id, _)| id).collect();
    let of = |value: fn(&Rfm) -> f64| -> Result<Vec<u32>> {
        let values: Vec<f64> = customers.iter().map(|(_, rfm)| value(rfm)).collect();
        match ties {
            Ties::ById => ntile(&values, &ids, tiles),
            Ties::Together => {
                let edges = edges(&values, tiles)?;
                Ok(values.iter().map(|value| tile(*value, &edges)).collect())
            }
        }
    };
    // The most recent has the highest of the negative times.
    let recency = of(|rfm| -rfm.recency)?;
    let (frequency, monetary) = (of(|rfm| rfm.frequency)?, of(|rfm| rfm.monetary)?);
    let of_all = recency.into_iter().zip(frequency).zip(monetary);
    Ok(of_all
        .map(|((recency, frequency), monetary)| Scores {
            recency,
            frequency,
            monetary,
        })
        .collect())
}

/// The tile, from 1, of each value in the order of the values, of equal ones in the order of their ids.
pub fn ntile<I: Ord>(values: &[f64], ids: &[I], tiles: u32) -> Result<Vec<u32>> {
    let n_tiles = at_least_one(tiles)?;
    if ids.len() != values.len() {
        return Err(Error::TooLittle("each value needs an id"));
    }
    finite(values)?;
    let mut order: Vec<usize> = (0..values.len()).collect();
    // −0 and 0 are equal, as in SQL.
    let by_value = |a: usize, b: usize| (values[a] + 0.0).total_cmp(&(values[b] + 0.0));
    order.sort_by(|a, b| by_value(*a, *b).then_with(|| ids[*a].cmp(&ids[*b])));
    let (size, larger) = (values.len() / n_tiles, values.len() % n_tiles);
    let in_larger = larger * (size + 1);
    let mut result = vec![0; values.len()];
    for (rank, index) in order.into_iter().enumerate() {
        let tile = if rank < in_larger {
            rank / (size + 1)
        } else {
            larger + (rank - in_larger) / size
        };
        result[index] = tile as u32 + 1;
    }
    Ok(result)
}

/// The quantiles that separate so many tiles: one less than there are tiles.
pub fn edges(values: &[f64], tiles: u32) -> Result<Vec<f64>> {
    at_least_one(tiles)?;
    finite(values)?;
    if values.is_empty() {
        return Err(Error::TooLittle("there are no values to split"));
    }
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let of = |edge: u32| quantile(&sorted, f64::from(edge) / f64::from(tiles));
    Ok((1..tiles).map(of).collect())
}

/// Of sorted values, at least one: linear between the two that are next to it, as SQL's `percentile_cont`.
fn quantile(sorted: &[f64], p: f64) -> f64 {
    let at = p * (sorted.len() - 1) as f64;
    let (low, high) = (sorted[at.floor() as usize], sorted[at.ceil() as usize]);
    low + (high - low) * at.fract()
}

/// From 1; a value equal to an edge belongs below it.
pub fn tile(value: f64, edges: &[f64]) -> u32 {
    edges.partition_point(|edge| *edge < value) as u32 + 1
}

/// What share of the sum the highest `share` of the values has: how much of the revenue comes from the best fifth of customers.
///
/// Of n values those are the ⌊share·n⌋ highest. Needs a sum above 0.
pub fn top_share(values: &[f64], share: f64) -> Result<f64> {
    finite(values)?;
    if !(0.0..=1.0).contains(&share) {
        return Err(Error::Range {
            name: "share",
            range: "between 0 and 1",
            value: share,
        });
    }
    let mut sorted = values.to_vec();
    sorted.sort_by(|a, b| b.total_cmp(a));
    // 0.29 of 100 are 29, though the product is rounded to less.
    let top = (share * values.len() as f64 * (1.0 + 1e-12)).floor() as usize;
    let sum = sorted.iter().sum::<f64>();
    if sum <= 0.0 {
        return Err(Error::TooLittle("shares need a sum above 0"));
    }
    Ok(sorted.iter().take(top).sum::<f64>() / sum)
}

fn at_least_one(tiles: u32) -> Result<usize> {
    if tiles > 0 {
        return Ok(tiles as usize);
    }
    Err(Error::Range {
        name: "tiles",
        range: "at least 1",
        value: 0.0,
    })
}

fn finite(values: &[f64]) -> Result<()> {
    match values.iter().find(|value| !value.is_finite()) {
        None => Ok(()),
        Some(value) => Err(Error::Range {
            name: "value",
            range: "a finite number",
            value: *value,
        }),
    }
}

/// Names for scores of five tiles. A convention, to begin with: others are a CASE over the scores.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Segment {
    /// Best in all three.
    Champions,
    /// Recent (4, 5) and frequent (4, 5).
    Loyal,
    /// Recent, and bought at times (2, 3).
    Promising,
    /// Recent, and hardly ever before (1).
    New,
    /// Not quite recent (3), bought often enough (3 to 5).
    NeedAttention,
    /// Not quite recent (3), bought seldom (1, 2).
    AboutToSleep,
    /// Long away (1, 2), and was frequent and spent much (4, 5).
    CannotLose,
    /// Long away, bought often enough.
    AtRisk,
    /// Away (2), bought seldom.
    Hibernating,
    /// Longest away (1), bought seldom.
    Lost,
}

impl Segment {
    pub fn of(scores: Scores) -> Self {
        match (scores.recency, scores.frequency, scores.monetary) {
            (5.., 5.., 5..) => Self::Champions,
            (4.., 4.., _) => Self::Loyal,
            (4.., 2.., _) => Self::Promising,
            (4.., ..2, _) => Self::New,
            (3, 3.., _) => Self::NeedAttention,
            (3, ..3, _) => Self::AboutToSleep,
            (..3, 4.., 4..) => Self::CannotLose,
            (..3, 3.., _) => Self::AtRisk,
            (2, ..3, _) => Self::Hibernating,
            (..2, ..3, _) => Self::Lost,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Champions => "champions",
            Self::Loyal => "loyal",
            Self::Promising => "promising",
            Self::New => "new",
            Self::NeedAttention => "need attention",
            Self::AboutToSleep => "about to sleep",
            Self::CannotLose => "cannot lose",
            Self::AtRisk => "at risk",
            Self::Hibernating => "hibernating",
            Self::Lost => "lost",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn d5_tiles_are_of_equal_size_and_ties_go_by_id() {
        // Eleven customers in four tiles: 3, 3, 3, 2.
        let values = [1.0, 1.0, 1.0, 1.0, 2.0, 2.0, 2.0, 3.0, 3.0, 9.0, 5.0];
        let ids = [11, 1, 5, 3, 7, 8, 9, 2, 4, 6, 10];
        let got = ntile(&values, &ids, 4).expect("values");
        assert_eq!(got, [2, 1, 1, 1, 2, 2, 3, 3, 3, 4, 4]);
        let fewer = ntile(&[5.0, 4.0, 3.0], &[1, 2, 3], 5).expect("values");
        assert_eq!(fewer, [3, 2, 1]);
        assert_eq!(ntile(&[], &[0; 0], 5).expect("nothing"), [0; 0]);
    }

    #[test]
    fn d4_edges_are_interpolated() {
        let values = [10.0, 1.0, 2.0, 4.0];
        let got = edges(&values, 5).expect("values");
        for (got, expected) in got.iter().zip([1.6, 2.4, 3.6, 6.4]) {
            assert!((got - expected).abs() < 1e-12, "{got}, not {expected}");
        }
        assert_eq!(edges(&[7.0], 3).expect("one"), [7.0, 7.0]);
        assert_eq!(edges(&values, 1).expect("values"), [0.0; 0]);
    }

    #[test]
    fn equal_values_have_equal_tiles_below_their_edge() {
        let edges = [1.0, 2.0, 3.0, 6.0];
        let tiles = [0.0, 1.0, 2.0, 2.5, 6.0, 7.0].map(|value| tile(value, &edges));
        assert_eq!(tiles, [1, 1, 2, 3, 4, 5]);
        let equal = [(1, 1.0), (2, 1.0), (3, 1.0)]
            .map(|(id, f)| (id, Rfm::new(f, f, f).expect("possible")));
        let got = scores(&equal, 5, Ties::Together).expect("customers");
        assert!(got.iter().all(|scores| *scores == got[0]));
    }

    #[test]
    fn the_most_recent_scores_best() {
        let customers: Vec<(u32, Rfm)> = (0..10)
            .map(|id| {
                let n = f64::from(id);
                (
                    id,
                    Rfm::new(n, 10.0 - n, 100.0 * n - 50.0).expect("possible"),
                )
            })
            .collect();
        for ties in [Ties::ById, Ties::Together] {
            let got = scores(&customers, 5, ties).expect("customers");
            assert_eq!((got[0].recency, got[9].recency), (5, 1));
            assert_eq!((got[0].frequency, got[9].frequency), (5, 1));
            assert_eq!((got[0].monetary, got[9].monetary), (1, 5));
        }
    }

    #[test]
    fn equally_recent_customers_are_ordered_by_id() {
        let customer = |id| (id, Rfm::new(3.0, 1.0, 1.0).expect("possible"));
        let customers = [customer(2), customer(1)];
        let got = scores(&customers, 2, Ties::ById).expect("customers");
        assert_eq!((got[0].recency, got[1].recency), (2, 1));
    }

    #[test]
    fn d6_share_of_the_best() {
        let values = [1.0, 6.0, 1.0, 1.0, 1.0];
        assert_eq!(top_share(&values, 0.2).expect("a share"), 0.6);
        assert_eq!(top_share(&values, 0.39).expect("a share"), 0.6);
        assert_eq!(top_share(&values, 0.0).expect("a share"), 0.0);
        assert_eq!(top_share(&values, 1.0).expect("a share"), 1.0);
        assert_eq!(top_share(&[1.0; 100], 0.29).expect("a share"), 0.29);
        assert!(top_share(&values, 1.1).is_err());
        assert!(top_share(&[0.0, -1.0], 0.5).is_err());
        assert!(top_share(&[], 0.5).is_err());
    }

    #[test]
    fn every_score_has_one_segment() {
        let of = |recency, frequency, monetary| {
            Segment::of(Scores {
                recency,
                frequency,
                monetary,
            })
        };
        assert_eq!(of(5, 5, 5), Segment::Champions);
        assert_eq!(of(5, 5, 4), Segment::Loyal);
        assert_eq!(of(4, 1, 5), Segment::New);
        assert_eq!(of(1, 5, 5), Segment::CannotLose);
        assert_eq!(of(1, 5, 1), Segment::AtRisk);
        assert_eq!(of(2, 2, 5), Segment::Hibernating);
        assert_eq!(of(1, 1, 1), Segment::Lost);
        assert_eq!(of(3, 2, 1).name(), "about to sleep");
    }

    #[test]
    fn impossible_values_are_refused() {
        assert!(Rfm::new(-1.0, 1.0, 1.0).is_err());
        assert!(Rfm::new(1.0, f64::NAN, 1.0).is_err());
        assert!(Rfm::new(1.0, 1.0, f64::INFINITY).is_err());
        assert!(ntile(&[f64::NAN], &[1], 5).is_err());
        assert!(ntile(&[1.0], &[1], 0).is_err());
        assert!(ntile(&[1.0], &[1, 2], 5).is_err());
        assert!(edges(&[], 5).is_err());
        assert!(edges(&[1.0], 0).is_err());
    }
}
