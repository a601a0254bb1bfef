//! Implicit ALS: tastes and items as points in a few dimensions, where what suits lies in the same direction.
//!
//! What a customer had is a sign that they like it (p = 1), surer the more they had it; what they had not is a weak sign that
//! they do not (p = 0). With the strength r of an interaction, α its weight, and the customer's and the item's vectors x and y,
//! the loss
//!
//! Σ_all pairs (1 + α·r_ui) (p_ui − x_u·y_i)² + λ (Σ|x_u|² + Σ|y_i|²)
//!
//! is made small by solving for all x with y held, then for all y, in turn. Each is a linear system of as many unknowns as
//! there are factors; what all customers share of it, Σ y·yᵀ, is added up once, so that a round takes as long as there are
//! interactions, not pairs. Solved exactly (Cholesky), so the loss falls in each half of a round. The same seed gives the same
//! bits on any number of threads. Holds (customers + items) × factors numbers.
//!
//! Source: Hu, Koren & Volinsky (2008), "Collaborative Filtering for Implicit Feedback Datasets", doi 10.1109/ICDM.2008.22.

mod system;

use rayon::prelude::*;

use self::system::{System, gram};
use crate::error::{not_negative, positive};
use crate::fit::IsCancelled;
use crate::interactions::Interactions;
use crate::random::Random;
use crate::recommendation::{Recommendation, best};
use crate::{Error, Result};

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    pub factors: usize,
    /// λ
    pub regularisation: f64,
    /// α: how much surer one more unit of strength makes.
    pub confidence: f64,
    pub iterations: usize,
    pub seed: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            factors: 32,
            regularisation: 0.1,
            confidence: 10.0,
            iterations: 15,
            seed: 0,
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct Als {
    pub settings: Settings,
    /// A vector for each, row by row; 0 for who has had nothing.
    pub customers: Vec<f64>,
    pub items: Vec<f64>,
    /// At the end.
    pub loss: f64,
}

pub fn fit(
    interactions: &Interactions,
    settings: Settings,
    is_cancelled: IsCancelled,
) -> Result<Als> {
    positive("regularisation", settings.regularisation)?;
    not_negative("confidence", settings.confidence)?;
    if settings.factors == 0 || interactions.n_entries() == 0 {
        return Err(Error::TooLittle(
            "recommendations need interactions, and at least one factor",
        ));
    }
    let by_item = interactions.by_item();
    let mut als = Als {
        settings,
        customers: vec![0.0; interactions.n_customers() * settings.factors],
        items: start(interactions.n_items(), settings),
        loss: f64::NAN,
    };
    for _ in 0..settings.iterations {
        solve(
            &settings,
            interactions,
            &als.items,
            &mut als.customers,
            is_cancelled,
        )?;
        solve(
            &settings,
            &by_item,
            &als.customers,
            &mut als.items,
            is_cancelled,
        )?;
    }
    als.loss = als.loss(interactions, is_cancelled);
    match is_cancelled() {
        true => Err(Error::Cancelled),
        false => Ok(als),
    }
}

/// Small and different from each other.
fn start(n: usize, settings: Settings) -> Vec<f64> {
    let f = settings.factors;
    let of = |row: usize| {
        let mut random = Random::part(settings.seed, row as u64);
        (0..f).map(move |_| (random.unit() - 0.5) / f as f64)
    };
    (0..n).flat_map(of).collect()
}

/// The vectors of all of one side, by those of the other.
fn solve(
    settings: &Settings,
    interactions: &Interactions,
    others: &[f64],
    own: &mut [f64],
    is_cancelled: IsCancelled,
) -> Result<()> {
    let system = System::new(settings, others, is_cancelled);
    let rows = own.par_chunks_mut(settings.factors).enumerate();
    rows.try_for_each_init(
        || vec![0.0; settings.factors * settings.factors],
        |matrix, (row, vector)| {
            let entries = interactions.items(row).iter().copied();
            let entries = entries.zip(interactions.strengths(row).iter().copied());
            system.solve(entries, matrix, vector)
        },
    )
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

impl Als {
    /// For customers whom the fit did not know, or who have had more since.
    pub fn newcomers(&self) -> Newcomers<'_> {
        Newcomers {
            n_items: self.items.len() / self.settings.factors,
            system: System::new(&self.settings, &self.items, &|| false),
        }
    }

    /// The best `n` for a customer's vector, of those that are new to them (`had` is sorted).
    ///
    /// A score of 0 says nothing (of whom or of what nothing is known), and is none: then take what is popular.
    pub fn recommend(&self, customer: &[f64], had: &[u32], n: usize) -> Vec<Recommendation> {
        let items = self.items.chunks_exact(self.settings.factors).enumerate();
        let candidates = items.filter_map(|(item, vector)| {
            let item = u32::try_from(item).ok()?;
            let score = dot(customer, vector);
            let is_candidate = score != 0.0 && had.binary_search(&item).is_err();
            is_candidate.then_some(Recommendation { item, score })
        });
        best(candidates, n)
    }

    /// As [`Self::recommend`], to each of the fit's own customers what is new to them.
    pub fn recommend_to_all(
        &self,
        interactions: &Interactions,
        n: usize,
        is_cancelled: IsCancelled,
    ) -> Result<Vec<Vec<Recommendation>>> {
        let customers = (0..interactions.n_customers()).into_par_iter();
        let of = |customer: usize| match is_cancelled() {
            true => Err(Error::Cancelled),
            false => Ok(self.recommend(self.vector(customer), interactions.items(customer), n)),
        };
        customers.map(of).collect()
    }

    /// Of the fit's own customers.
    pub fn vector(&self, customer: usize) -> &[f64] {
        let f = self.settings.factors;
        &self.customers[customer * f..(customer + 1) * f]
    }

    /// Over all pairs, without visiting them: those of strength 0 by the sums of products.
    fn loss(&self, interactions: &Interactions, is_cancelled: IsCancelled) -> f64 {
        let (f, alpha) = (self.settings.factors, self.settings.confidence);
        let (of_customers, of_items) = (
            gram(&self.customers, f, is_cancelled),
            gram(&self.items, f, is_cancelled),
        );
        let all: f64 = (0..f)
            .flat_map(|i| (0..=i).map(move |j| (i, j)))
            .map(|(i, j)| {
                let both = of_customers[i * f + j] * of_items[i * f + j];
                if i == j { both } else { 2.0 * both }
            })
            .sum();
        let of_customer = |customer: usize| -> f64 {
            let entries = interactions.items(customer).iter();
            let entries = entries.zip(interactions.strengths(customer));
            let of = |(item, strength): (&u32, &f64)| {
                let item = &self.items[*item as usize * f..][..f];
                let score = dot(self.vector(customer), item);
                (1.0 + alpha * strength) * (1.0 - score).powi(2) - score * score
            };
            entries.map(of).sum()
        };
        let had: f64 = (0..interactions.n_customers()).map(of_customer).sum();
        let lengths = dot(&self.customers, &self.customers) + dot(&self.items, &self.items);
        all + had + self.settings.regularisation * lengths
    }
}

/// The items of a fit, made ready once for any number of customers.
pub struct Newcomers<'a> {
    n_items: usize,
    system: System<'a>,
}

impl Newcomers<'_> {
    /// The vector that a customer of the fit would get who has had these items, of these strengths.
    ///
    /// Items that the fit did not know say nothing.
    pub fn vector(&self, had: &[(u32, f64)]) -> Result<Vec<f64>> {
        for (_, strength) in had {
            not_negative("strength", *strength)?;
        }
        let is_known =
            |(item, strength): &(u32, f64)| *strength > 0.0 && (*item as usize) < self.n_items;
        let f = self.system.n_factors();
        let (mut matrix, mut vector) = (vec![0.0; f * f], vec![0.0; f]);
        let entries = had.iter().copied().filter(is_known);
        self.system.solve(entries, &mut matrix, &mut vector)?;
        Ok(vector)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FEW: Settings = Settings {
        factors: 3,
        regularisation: 0.1,
        confidence: 10.0,
        iterations: 15,
        seed: 1,
    };

    fn shop() -> Interactions {
        let pairs = (0..12).flat_map(|customer| (0..10).map(move |item| (customer, item)));
        let has =
            |(customer, item): &(u32, u32)| (customer * 7 + item * 3 + customer * item) % 5 < 2;
        let strength = |customer: u32, item: u32| f64::from(1 + (customer + item) % 3);
        let entries: Vec<(u32, u32, f64)> = pairs
            .filter(has)
            .map(|(customer, item)| (customer, item, strength(customer, item)))
            .collect();
        Interactions::new(13, 11, &entries).expect("possible")
    }

    fn fitted(settings: Settings) -> Als {
        fit(&shop(), settings, &|| false).expect("fitted")
    }

    #[test]
    fn f5_scores_are_those_of_implicit() {
        // implicit 0.7.3, exact solver, from the same start; its confidence is what is here 1 + α·r.
        let als = fitted(FEW);
        assert!((als.loss - 19.319925342391).abs() < 1e-9, "{}", als.loss);
        for (customer, item, expected) in [
            (0, 0, 1.000269555),
            (0, 1, 0.005805127),
            (0, 9, 0.001662437),
            (3, 1, -0.004991815),
            (3, 4, 0.996440232),
        ] {
            let got = dot(als.vector(customer), &als.items[item * 3..][..3]);
            assert!((got - expected).abs() < 1e-9, "{got}, not {expected}");
        }
    }

    #[test]
    fn the_loss_is_that_of_all_pairs() {
        let (als, shop) = (fitted(FEW), shop());
        let mut loss = 0.1 * (dot(&als.customers, &als.customers) + dot(&als.items, &als.items));
        for customer in 0..13 {
            for item in 0..11_u32 {
                let at = shop.items(customer).binary_search(&item);
                let strength = at.map_or(0.0, |at| shop.strengths(customer)[at]);
                let wanted = f64::from(u8::from(strength > 0.0));
                let score = dot(als.vector(customer), &als.items[item as usize * 3..][..3]);
                loss += (1.0 + 10.0 * strength) * (wanted - score).powi(2);
            }
        }
        assert!((als.loss - loss).abs() < 1e-9 * loss, "{} {loss}", als.loss);
    }

    #[test]
    fn the_loss_falls_in_each_round() {
        let losses: Vec<f64> = (1..10)
            .map(|iterations| fitted(Settings { iterations, ..FEW }).loss)
            .collect();
        assert!(
            losses.windows(2).all(|pair| pair[1] <= pair[0]),
            "{losses:?}"
        );
    }

    #[test]
    fn what_was_had_scores_higher_than_what_was_not() {
        let (als, shop) = (fitted(FEW), shop());
        let (mut had, mut not) = (vec![], vec![]);
        for customer in 0..12 {
            for found in als.recommend(als.vector(customer), &[], 11) {
                let is_had = shop.items(customer).binary_search(&found.item).is_ok();
                if is_had { &mut had } else { &mut not }.push(found.score);
            }
        }
        let mean = |scores: &[f64]| scores.iter().sum::<f64>() / scores.len() as f64;
        assert!(mean(&had) > 0.8 && mean(&not) < 0.5, "{had:?} {not:?}");
    }

    #[test]
    fn a_newcomer_with_the_same_history_gets_the_same_vector() {
        let (als, shop) = (fitted(FEW), shop());
        let had: Vec<(u32, f64)> = shop
            .items(3)
            .iter()
            .copied()
            .zip(shop.strengths(3).iter().copied())
            .collect();
        // The next round starts with the customers, by the items as they are.
        let next = fitted(Settings {
            iterations: FEW.iterations + 1,
            ..FEW
        });
        assert_eq!(
            als.newcomers().vector(&had).expect("possible"),
            next.vector(3)
        );
        let unknown = als.newcomers().vector(&[(99, 1.0)]);
        assert_eq!(unknown.expect("nothing"), [0.0; 3]);
        assert!(als.newcomers().vector(&[(0, -1.0)]).is_err());
    }

    #[test]
    fn who_has_had_nothing_has_no_direction() {
        let als = fitted(FEW);
        assert_eq!(als.vector(12), [0.0; 3]);
        assert_eq!(als.items[30..], [0.0; 3]);
        assert_eq!(als.recommend(als.vector(12), &[], 5), []);
        let all = als.recommend(als.vector(0), &[2], 20);
        assert!(all.iter().all(|found| found.item != 2 && found.item < 10));
    }

    #[test]
    fn any_number_of_threads_gives_the_same_bits() {
        let on = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
            pool.expect("threads").install(|| fitted(FEW))
        };
        assert_eq!(on(1), on(3));
    }

    #[test]
    fn what_cannot_be_fitted_is_refused() {
        let refused = |settings| fit(&shop(), settings, &|| false).is_err();
        assert!(refused(Settings { factors: 0, ..FEW }));
        assert!(refused(Settings {
            regularisation: 0.0,
            ..FEW
        }));
        assert!(refused(Settings {
            confidence: f64::NAN,
            ..FEW
        }));
        let nothing = Interactions::new(2, 2, &[]).expect("nothing");
        assert!(fit(&nothing, FEW, &|| false).is_err());
        let huge = Interactions::new(1, 1, &[(0, 0, 1e308)]).expect("possible");
        assert!(fit(&huge, FEW, &|| false).is_err());
        assert_eq!(fit(&shop(), FEW, &|| true), Err(Error::Cancelled));
    }
}
