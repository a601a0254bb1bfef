//! How good recommendations are: what customers really took afterwards, among the first k that were recommended to them.
//!
//! With hits h_1, h_2, … (1 where the item at rank r was taken), and t the number of items taken:
//!
//! - precision@k = Σ_{r≤k} h_r / k, also where fewer than k were recommended;
//! - recall@k = Σ_{r≤k} h_r / t;
//! - nDCG@k = Σ_{r≤k} h_r / log(1+r), divided by the best possible, Σ_{r ≤ min(k,t)} 1 / log(1+r);
//! - average precision = Σ_{r≤k} h_r · precision@r, divided by t ("MAP") or by the most hits possible, min(k, t) ("MAP@k").
//!
//! Each is the mean over the customers who took something and were recommended something; the others say nothing.
//!
//! Source: the definitions of the recommenders team (github.com/recommenders-team/recommenders, `python_evaluation`).

use crate::{Error, Result};

#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Ranking {
    pub precision: f64,
    pub recall: f64,
    pub ndcg: f64,
    /// Divided by the number of items taken.
    pub mean_average_precision: f64,
    /// Divided by the most hits possible among k.
    pub mean_average_precision_at_k: f64,
    /// Over whom the means are.
    pub n_customers: usize,
}

/// Of the items recommended to each customer, the best first, and of those taken. Repetitions do not count.
pub fn evaluate<R: AsRef<[u32]>, T: AsRef<[u32]>>(
    recommended: &[R],
    taken: &[T],
    k: usize,
) -> Result<Ranking> {
    if recommended.len() != taken.len() {
        return Err(Error::TooLittle(
            "each customer needs what was recommended and what was taken",
        ));
    }
    if k == 0 {
        return Err(Error::Range {
            name: "k",
            range: "at least 1",
            value: 0.0,
        });
    }
    let mut sum = Ranking::default();
    for (recommended, taken) in recommended.iter().zip(taken) {
        let (recommended, mut taken) = (recommended.as_ref(), taken.as_ref().to_vec());
        if recommended.is_empty() || taken.is_empty() {
            continue;
        }
        taken.sort_unstable();
        taken.dedup();
        sum.add(of_one(recommended, &taken, k));
    }
    if sum.n_customers == 0 {
        return Err(Error::TooLittle(
            "nobody was recommended something and took something",
        ));
    }
    Ok(sum.mean())
}

/// `taken` is sorted.
fn of_one(recommended: &[u32], taken: &[u32], k: usize) -> Ranking {
    let (mut hits, mut gain, mut precisions) = (0.0, 0.0, 0.0);
    for (rank, item) in recommended.iter().take(k).enumerate() {
        let is_first = !recommended[..rank].contains(item);
        if is_first && taken.binary_search(item).is_ok() {
            hits += 1.0;
            precisions += hits / (rank as f64 + 1.0);
            gain += discount(rank);
        }
    }
    let possible = taken.len().min(k);
    Ranking {
        precision: hits / k as f64,
        recall: hits / taken.len() as f64,
        ndcg: gain / (0..possible).map(discount).sum::<f64>(),
        mean_average_precision: precisions / taken.len() as f64,
        mean_average_precision_at_k: precisions / possible as f64,
        n_customers: 1,
    }
}

/// Of the rank, counted from 0; the base of the logarithm cancels.
fn discount(rank: usize) -> f64 {
    1.0 / (rank as f64 + 2.0).log2()
}

impl Ranking {
    fn add(&mut self, other: Self) {
        self.precision += other.precision;
        self.recall += other.recall;
        self.ndcg += other.ndcg;
        self.mean_average_precision += other.mean_average_precision;
        self.mean_average_precision_at_k += other.mean_average_precision_at_k;
        self.n_customers += other.n_customers;
    }

    fn mean(self) -> Self {
        let n = self.n_customers as f64;
        Self {
            precision: self.precision / n,
            recall: self.recall / n,
            ndcg: self.ndcg / n,
            mean_average_precision: self.mean_average_precision / n,
            mean_average_precision_at_k: self.mean_average_precision_at_k / n,
            n_customers: self.n_customers,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(recommended: &[&[u32]], taken: &[&[u32]], k: usize) -> Ranking {
        evaluate(recommended, taken, k).expect("somebody took something")
    }

    #[test]
    fn one_customer_worked_by_hand() {
        // Hits at ranks 1 and 3, of four taken.
        let got = of(&[&[7, 1, 5, 2]], &[&[5, 7, 8, 9]], 3);
        assert!((got.precision - 2.0 / 3.0).abs() < 1e-15);
        assert!((got.recall - 0.5).abs() < 1e-15);
        let ndcg = 1.5 / (1.0 + 1.0 / 3.0_f64.log2() + 0.5);
        assert!((got.ndcg - ndcg).abs() < 1e-15);
        let precisions = 1.0 + 2.0 / 3.0;
        assert!((got.mean_average_precision - precisions / 4.0).abs() < 1e-15);
        assert!((got.mean_average_precision_at_k - precisions / 3.0).abs() < 1e-15);
    }

    #[test]
    fn a_perfect_list_has_1_in_all_but_precision() {
        let got = of(&[&[1, 2, 3]], &[&[2, 1]], 10);
        assert_eq!((got.recall, got.ndcg), (1.0, 1.0));
        assert_eq!(got.mean_average_precision, 1.0);
        assert_eq!(got.mean_average_precision_at_k, 1.0);
        assert_eq!(got.precision, 0.2);
    }

    #[test]
    fn customers_without_either_do_not_count() {
        let got = of(&[&[1], &[], &[3], &[4]], &[&[1], &[2], &[], &[5]], 1);
        assert_eq!(got.n_customers, 2);
        assert_eq!(got.precision, 0.5);
        assert!(evaluate(&[[1_u32; 0]], &[[1]], 1).is_err());
        assert!(evaluate(&[[1_u32]], &[[1_u32; 0]], 1).is_err());
    }

    #[test]
    fn what_is_recommended_twice_hits_once() {
        let got = of(&[&[1, 1, 1]], &[&[1, 1]], 3);
        assert_eq!(got.recall, 1.0);
        assert!((got.precision - 1.0 / 3.0).abs() < 1e-15);
    }

    #[test]
    fn lists_must_match() {
        assert!(evaluate(&[[1_u32]], &[[1], [2]], 1).is_err());
        assert!(evaluate(&[[1_u32]], &[[1]], 0).is_err());
    }
}
