//! Uplift: whom a campaign moves, rather than who would have bought anyway.
//!
//! Nobody is seen both with and without the campaign; a [`Trial`] tells what became of some of each. The two-model learner
//! foretells the outcome from each group and takes the difference. The X-learner then learns the difference itself: what each
//! treated customer did beyond what the other group's model says of them, and the reverse.
//!
//! Source: Künzel et al. (2019), "Metalearners for estimating heterogeneous treatment effects", PNAS 116(10).

use serde::{Deserialize, Serialize};

use crate::fit::IsCancelled;
use crate::learner::{Learner, Predictor, Table};
use crate::trial::Trial;
use crate::{Error, Result};

/// Two models: one of the treated and one of those left alone.
#[derive(Clone, Debug, PartialEq)]
pub struct TLearner<M> {
    pub treated: M,
    pub control: M,
}

impl<M: Predictor> TLearner<M> {
    pub fn fit<L: Learner<Model = M>>(
        learner: &L,
        table: &Table,
        trial: &Trial,
        is_cancelled: IsCancelled,
    ) -> Result<Self> {
        if table.n_rows() != trial.n_customers() {
            return Err(Error::TooLittle("each customer needs features"));
        }
        let of = |is_treated: bool| {
            let (rows, outcomes) = trial.select(is_treated);
            let weights = vec![1.0; rows.len()];
            learner.fit(&table.select(&rows), &outcomes, &weights, is_cancelled)
        };
        Ok(Self {
            treated: of(true)?,
            control: of(false)?,
        })
    }

    pub fn uplift(&self, table: &Table) -> Result<Vec<f64>> {
        let (treated, control) = (self.treated.predict(table)?, self.control.predict(table)?);
        Ok(treated.iter().zip(control).map(|(a, b)| a - b).collect())
    }
}

/// Two models of the effect, weighted by how many stand behind the outcomes that each compares with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct XLearner<M> {
    pub of_treated: M,
    pub of_control: M,
    pub share_treated: f64,
}

impl<M: Predictor> XLearner<M> {
    /// `outcome` learns what customers do, `effect` (a mean) how much more they do if treated.
    pub fn fit<O: Learner, E: Learner<Model = M>>(
        outcome: &O,
        effect: &E,
        table: &Table,
        trial: &Trial,
        is_cancelled: IsCancelled,
    ) -> Result<Self> {
        let outcomes = TLearner::fit(outcome, table, trial, is_cancelled)?;
        Self::beside(&outcomes, effect, table, trial, is_cancelled)
    }

    /// As [`Self::fit`], where what customers do has been learned already.
    pub fn beside<P: Predictor, E: Learner<Model = M>>(
        outcomes: &TLearner<P>,
        effect: &E,
        table: &Table,
        trial: &Trial,
        is_cancelled: IsCancelled,
    ) -> Result<Self> {
        if table.n_rows() != trial.n_customers() {
            return Err(Error::TooLittle("each customer needs features"));
        }
        let of = |is_treated: bool| {
            let (rows, seen) = trial.select(is_treated);
            let (table, weights) = (table.select(&rows), vec![1.0; rows.len()]);
            let effects: Vec<f64> = if is_treated {
                let without = outcomes.control.predict(&table)?;
                seen.iter()
                    .zip(without)
                    .map(|(y, other)| y - other)
                    .collect()
            } else {
                let with = outcomes.treated.predict(&table)?;
                seen.iter().zip(with).map(|(y, other)| other - y).collect()
            };
            effect.fit(&table, &effects, &weights, is_cancelled)
        };
        Ok(Self {
            of_treated: of(true)?,
            of_control: of(false)?,
            share_treated: trial.share_treated(),
        })
    }

    /// Where most were treated, those left alone compare with the better known model: they count the more.
    pub fn uplift(&self, table: &Table) -> Result<Vec<f64>> {
        let (treated, control) = (
            self.of_treated.predict(table)?,
            self.of_control.predict(table)?,
        );
        let pairs = treated.into_iter().zip(control);
        Ok(pairs.map(|(a, b)| self.between(a, b)).collect())
    }

    /// What the model of the treated says, and that of those left alone, in one.
    pub fn between(&self, of_treated: f64, of_control: f64) -> f64 {
        self.share_treated * of_control + (1.0 - self.share_treated) * of_treated
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::boosting::Boosting;
    use crate::learner::{Column, Goal};
    use crate::regression::Regression;

    /// The campaign moves customers whose feature is above one half, and nobody else.
    fn campaign(n: usize) -> (Table, Vec<f64>, Vec<bool>) {
        let at = |row: usize, step: f64| (row as f64 * step).fract();
        let xs: Vec<f64> = (0..n).map(|row| at(row, 0.618_033_988_749)).collect();
        let is_treated: Vec<bool> = (0..n).map(|row| at(row, 0.324_717_957_245) < 0.5).collect();
        let buys = |row: usize| {
            let p = if is_treated[row] && xs[row] > 0.5 {
                0.6
            } else {
                0.2
            };
            f64::from(u8::from(at(row, 0.414_213_562_373) < p))
        };
        let outcomes = (0..n).map(buys).collect();
        let table = Table::new(vec![Column::Numbers(xs)]).expect("a table");
        (table, outcomes, is_treated)
    }

    fn asked() -> Table {
        Table::new(vec![Column::Numbers(vec![0.1, 0.9])]).expect("a table")
    }

    #[test]
    fn both_learners_find_whom_the_campaign_moves() {
        let (table, outcomes, is_treated) = campaign(4_000);
        let trial = Trial::new(&outcomes, &is_treated).expect("a trial");
        let (learner, effect) = (Boosting::new(Goal::Probability), Boosting::new(Goal::Mean));
        let t = TLearner::fit(&learner, &table, &trial, &|| false).expect("fitted");
        let x = XLearner::fit(&learner, &effect, &table, &trial, &|| false).expect("fitted");
        for uplifts in [t.uplift(&asked()), x.uplift(&asked())] {
            let uplifts = uplifts.expect("foretold");
            assert!(uplifts[0].abs() < 0.05, "{uplifts:?}");
            assert!((uplifts[1] - 0.4).abs() < 0.05, "{uplifts:?}");
        }
    }

    #[test]
    fn a_table_of_others_is_refused() {
        let (_, outcomes, is_treated) = campaign(40);
        let trial = Trial::new(&outcomes, &is_treated).expect("a trial");
        let learner = Regression::new(Goal::Probability);
        assert!(TLearner::fit(&learner, &asked(), &trial, &|| false).is_err());
    }

    #[test]
    fn straight_lines_learn_spend_as_well() {
        let (table, outcomes, is_treated) = campaign(4_000);
        let spend: Vec<f64> = outcomes.iter().map(|outcome| outcome * 10.0).collect();
        let trial = Trial::new(&spend, &is_treated).expect("a trial");
        let learner = Regression::new(Goal::Mean);
        let x = XLearner::fit(&learner, &learner, &table, &trial, &|| false).expect("fitted");
        let uplifts = x.uplift(&asked()).expect("foretold");
        assert!(uplifts[0] < 0.5 && uplifts[1] > 3.0, "{uplifts:?}");
    }
}
