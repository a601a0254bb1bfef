//! Choosing what to recommend: the items with the highest scores, of equal ones the one with the lower number.

use std::cmp::Ordering;

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Recommendation {
    pub item: u32,
    pub score: f64,
}

impl Recommendation {
    /// The better one first.
    fn order(&self, other: &Self) -> Ordering {
        // −0 and 0 are equal scores.
        let by_score = (other.score + 0.0).total_cmp(&(self.score + 0.0));
        by_score.then(self.item.cmp(&other.item))
    }
}

/// The best `n` of the candidates, the best first; holds no more than twice as many at a time.
pub fn best(candidates: impl Iterator<Item = Recommendation>, n: usize) -> Vec<Recommendation> {
    let mut kept: Vec<Recommendation> = vec![];
    let room = n.saturating_mul(2).max(64);
    for candidate in candidates {
        kept.push(candidate);
        if kept.len() >= room {
            kept.select_nth_unstable_by(n, Recommendation::order);
            kept.truncate(n);
        }
    }
    kept.sort_unstable_by(Recommendation::order);
    kept.truncate(n);
    kept
}

/// Of what a customer has not had (`had` is sorted) the `n` items that most customers have had; what nobody has had is none.
///
/// What every recommender must beat, and what to show to those who have had nothing.
pub fn popular(popularity: &[u32], had: &[u32], n: usize) -> Vec<Recommendation> {
    let candidates = popularity.iter().enumerate().filter_map(|(item, count)| {
        let item = u32::try_from(item).ok()?;
        let is_candidate = *count > 0 && had.binary_search(&item).is_err();
        is_candidate.then_some(Recommendation {
            item,
            score: f64::from(*count),
        })
    });
    best(candidates, n)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_equal_scores_the_lower_number_comes_first() {
        let candidates = (0..1_000).rev().map(|item| Recommendation {
            item,
            score: f64::from(item % 10),
        });
        let got: Vec<u32> = best(candidates, 5).iter().map(|best| best.item).collect();
        assert_eq!(got, [9, 19, 29, 39, 49]);
        let zeros = [-0.0, 0.0].iter().zip([7, 3]);
        let zeros = zeros.map(|(score, item)| Recommendation {
            item,
            score: *score,
        });
        assert_eq!(best(zeros, 1)[0].item, 3);
        assert_eq!(best(std::iter::empty(), 5), []);
        let one = Recommendation {
            item: 1,
            score: 1.0,
        };
        assert_eq!(best(std::iter::repeat_n(one, 200), 0), []);
    }

    #[test]
    fn f1_popular_items_that_are_new_to_the_customer() {
        let got = popular(&[3, 9, 0, 3, 5], &[1], 10);
        let got: Vec<(u32, f64)> = got.iter().map(|best| (best.item, best.score)).collect();
        assert_eq!(got, [(4, 5.0), (0, 3.0), (3, 3.0)]);
    }
}
