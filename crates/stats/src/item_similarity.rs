//! Item to item: who has had this also had that.
//!
//! Two items are alike when the same customers have had them; how much of an item somebody has had does not count. With c_ij
//! the customers who have had both and n_i those who have had i, the similarity is c_ij / √(n_i n_j) (cosine) or
//! c_ij / (n_i + n_j − c_ij) (Jaccard). Each item keeps its nearest neighbours, of equally near ones those with the lower
//! number. A customer's score for an item is the sum of its similarities to what they have had, as far as it is a neighbour
//! of that; the explanation of a recommendation is the largest of them.
//!
//! Takes as many steps as there are pairs of items within customers, so leave out robots and resellers, who have had
//! everything. Holds one count per item and thread, and the neighbours.
//!
//! Source: Sarwar, Karypis, Konstan & Riedl (2001), "Item-based collaborative filtering recommendation algorithms".

use rayon::prelude::*;

use crate::fit::IsCancelled;
use crate::interactions::Interactions;
use crate::recommendation::{Recommendation, best};
use crate::{Error, Result};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    Cosine,
    Jaccard,
}

impl Measure {
    fn of(self, both: u32, one: u32, other: u32) -> f64 {
        let (both, one, other) = (f64::from(both), f64::from(one), f64::from(other));
        match self {
            Self::Cosine => both / (one * other).sqrt(),
            Self::Jaccard => both / (one + other - both),
        }
    }
}

/// The neighbours of each item, the nearest first, by their similarity as the score.
#[derive(Clone, Debug, PartialEq)]
pub struct ItemSimilarity {
    neighbours: Vec<Vec<Recommendation>>,
}

/// At most `most_neighbours` of each item, itself not counted.
pub fn fit(
    interactions: &Interactions,
    measure: Measure,
    most_neighbours: usize,
    is_cancelled: IsCancelled,
) -> Result<ItemSimilarity> {
    let pairs = Pairs {
        interactions,
        customers: interactions.by_item(),
        popularity: interactions.popularity(),
        measure,
    };
    let counts = || vec![0_u32; interactions.n_items()];
    let of = |counts: &mut Vec<u32>, item: usize| {
        if is_cancelled() {
            return Err(Error::Cancelled);
        }
        Ok(pairs.neighbours(item, most_neighbours, counts))
    };
    let items = (0..interactions.n_items()).into_par_iter();
    Ok(ItemSimilarity {
        neighbours: items.map_init(counts, of).collect::<Result<_>>()?,
    })
}

struct Pairs<'a> {
    interactions: &'a Interactions,
    /// By item.
    customers: Interactions,
    popularity: Vec<u32>,
    measure: Measure,
}

impl Pairs<'_> {
    /// `counts` are all 0, before and after.
    fn neighbours(&self, item: usize, most: usize, counts: &mut [u32]) -> Vec<Recommendation> {
        let mut met = vec![];
        for customer in self.customers.items(item) {
            for other in self.interactions.items(*customer as usize) {
                let count = &mut counts[*other as usize];
                if *count == 0 {
                    met.push(*other);
                }
                *count += 1;
            }
        }
        let own = self.popularity[item];
        let others = met.iter().filter(|other| **other as usize != item);
        let candidates = others.map(|other| {
            let (both, theirs) = (counts[*other as usize], self.popularity[*other as usize]);
            Recommendation {
                item: *other,
                score: self.measure.of(both, own, theirs),
            }
        });
        let nearest = best(candidates, most);
        for other in met {
            counts[other as usize] = 0;
        }
        nearest
    }
}

impl ItemSimilarity {
    /// Those of an item, the nearest first.
    pub fn neighbours(&self, item: u32) -> &[Recommendation] {
        self.neighbours
            .get(item as usize)
            .map_or(&[], Vec::as_slice)
    }

    /// The best `n` for one who has had the items `had` (sorted), of those that are new to them.
    pub fn recommend(&self, had: &[u32], n: usize) -> Vec<Recommendation> {
        let mut found: Vec<Recommendation> = vec![];
        for item in had {
            let neighbours = self.neighbours(*item).iter();
            found.extend(neighbours.filter(|found| had.binary_search(&found.item).is_err()));
        }
        // Stable: similarities of an item are added in the order of `had`.
        found.sort_by_key(|found| found.item);
        let same = found.chunk_by(|a, b| a.item == b.item);
        let candidates = same.map(|same| Recommendation {
            item: same[0].item,
            score: same.iter().map(|found| found.score).sum(),
        });
        best(candidates, n)
    }

    /// Of what somebody has had, the item that speaks most for a recommendation.
    pub fn reason(&self, had: &[u32], item: u32) -> Option<Recommendation> {
        let of = |had: &u32| {
            let found = self
                .neighbours(*had)
                .iter()
                .find(|found| found.item == item);
            found.map(|found| Recommendation {
                item: *had,
                score: found.score,
            })
        };
        best(had.iter().filter_map(of), 1).pop()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Items 0 and 1 are had together twice; 4 by nobody.
    fn shop() -> Interactions {
        let baskets: [&[u32]; 4] = [&[0, 1], &[0, 1, 2], &[2, 3], &[0]];
        let entries: Vec<(u32, u32, f64)> = (0..4_u32)
            .flat_map(|customer| {
                let basket = baskets[customer as usize].iter();
                basket.map(move |item| (customer, *item, f64::from(customer + 1)))
            })
            .collect();
        Interactions::new(4, 5, &entries).expect("possible")
    }

    fn fitted(measure: Measure, most: usize) -> ItemSimilarity {
        fit(&shop(), measure, most, &|| false).expect("not cancelled")
    }

    fn check(got: &[Recommendation], expected: &[(u32, f64)]) {
        assert_eq!(got.len(), expected.len(), "{got:?}");
        for (got, (item, score)) in got.iter().zip(expected) {
            assert_eq!(got.item, *item);
            assert!((got.score - score).abs() < 1e-15, "{got:?}");
        }
    }

    #[test]
    fn f6_neighbours_by_cosine_worked_by_hand() {
        let model = fitted(Measure::Cosine, 10);
        check(
            model.neighbours(0),
            &[(1, 2.0 / 6.0_f64.sqrt()), (2, 1.0 / 6.0_f64.sqrt())],
        );
        check(
            model.neighbours(2),
            &[(3, 0.5_f64.sqrt()), (1, 0.5), (0, 1.0 / 6.0_f64.sqrt())],
        );
        check(model.neighbours(4), &[]);
        check(model.neighbours(99), &[]);
    }

    #[test]
    fn f4_neighbours_by_jaccard_worked_by_hand() {
        let model = fitted(Measure::Jaccard, 10);
        check(model.neighbours(0), &[(1, 2.0 / 3.0), (2, 0.25)]);
        check(model.neighbours(2), &[(3, 0.5), (1, 1.0 / 3.0), (0, 0.25)]);
    }

    #[test]
    fn f2_recommendations_worked_by_hand() {
        let model = fitted(Measure::Cosine, 10);
        let root = 6.0_f64.sqrt();
        check(
            &model.recommend(&[0], 5),
            &[(1, 2.0 / root), (2, 1.0 / root)],
        );
        check(&model.recommend(&[0, 1], 5), &[(2, 1.0 / root + 0.5)]);
        check(&model.recommend(&[], 5), &[]);
        check(&model.recommend(&[4], 5), &[]);
        check(&model.recommend(&[0], 1), &[(1, 2.0 / root)]);
    }

    #[test]
    fn f3_only_the_nearest_neighbours_are_kept() {
        let model = fitted(Measure::Jaccard, 1);
        check(model.neighbours(2), &[(3, 0.5)]);
        check(&model.recommend(&[2], 5), &[(3, 0.5)]);
    }

    #[test]
    fn a_recommendation_has_a_reason() {
        let model = fitted(Measure::Cosine, 10);
        check(model.reason(&[0, 1], 2).as_slice(), &[(1, 0.5)]);
        assert_eq!(model.reason(&[0, 1], 3), None);
    }

    #[test]
    fn similarity_is_symmetric_and_at_most_1() {
        for measure in [Measure::Cosine, Measure::Jaccard] {
            let model = fitted(measure, 10);
            for item in 0..5 {
                for near in model.neighbours(item) {
                    assert!(near.score > 0.0 && near.score <= 1.0);
                    let back = model.neighbours(near.item);
                    assert!(back.iter().any(|b| b.item == item && b.score == near.score));
                }
            }
        }
    }

    #[test]
    fn a_fit_can_be_cancelled() {
        let got = fit(&shop(), Measure::Cosine, 1, &|| true);
        assert_eq!(got, Err(Error::Cancelled));
    }
}
