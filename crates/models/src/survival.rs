//! Churn of customers under contract: how long they stay, after a Weibull accelerated failure time model.
//!
//! The query answers `customer_id`, `tenure` (days since the contract began, or until it ended), `churned` and features.
//! Who is still there is scored: 1 - S(tenure + horizon) / S(tenure). Judged by the mean logarithm of the likelihood of
//! what happened, in five folds by the checksum of the customer; the baseline is the same model without any feature.

use std::sync::Arc;

use arrow::{
    array::{BooleanArray, Date32Array, Float64Array, Int32Array, RecordBatch, StringArray},
    compute::filter_record_batch,
};
use chrono::NaiveDate;
use rapport_stats::{
    encoding::{Encoding, Missing},
    learner::{Column, Reasons, Table},
    survival::Duration,
    weibull_aft,
};
use serde::{Deserialize, Serialize};

use crate::{
    Error, Result,
    judge::{Fitted, InUse, Judgement, Measured, Scores},
    refresh::Job,
    registry::{Parameter, Parameters},
    source::{Source, purchases},
    tabular::{append, batch_of, features, importance, keys_of, numbers_of, three_reasons},
};

const HORIZON: i64 = 90;
const FOLDS: u32 = 5;
const OTHERS: [&str; 3] = ["customer_id", "tenure", "churned"];
/// What is left of a column beside the others must be more than this share of it, or it says nothing of its own.
const OWN_SHARE: f64 = 1e-6;

/// A fitted model with how features become numbers. Kept as JSON.
#[derive(Serialize, Deserialize)]
struct Staying {
    encoding: Encoding,
    /// Those of the encoded columns that say something of their own.
    chosen: Vec<usize>,
    means: Vec<f64>,
    intercept: f64,
    coefficients: Vec<f64>,
    log_shape: f64,
}

#[derive(Default)]
struct Sample {
    names: Vec<String>,
    columns: Vec<Column>,
    durations: Vec<Duration>,
    keys: Vec<u32>,
}

pub(crate) async fn fit(job: &mut Job<'_>) -> Result<Fitted> {
    let definition = job.definition;
    let horizon = definition.options.days("horizon").unwrap_or(HORIZON);
    job.phase("reading the history")?;
    if definition.query.is_none() {
        return Err(Error::Invalid {
            message: "churn by survival needs a query: contracts are not in the history".to_owned(),
            hint: "AS SELECT customer_id, tenure (in days), churned, and features.".to_owned(),
        });
    }
    let source = Source::of(definition, job.work(), &purchases(definition)).await?;
    source.need(&OTHERS)?;
    source.once_each(job.work()).await?;
    source.truths("churned", job.work()).await?;
    source.never_below_0("tenure", job.work()).await?;
    let as_of = job.as_of_today();
    let rows = source.consenting(definition, job.work()).await?;
    let left_out = source.left_out(definition, job.work()).await?;
    let scored =
        format!("SELECT * FROM ({rows}) AS given WHERE tenure IS NOT NULL AND churned IS NOT NULL");
    let customers = job.count(&format!("({scored}) AS scored")).await?;
    // In the order of customers, so that the same rows make the same model.
    let sample = read(job, &format!("{scored} ORDER BY customer_id")).await?;
    let table = Table::new(sample.columns.clone())?;

    job.phase("fitting")?;
    let cancel = job.cancel();
    let is_cancelled = move || cancel.is_cancelled();
    let none = Table::new(vec![Column::Numbers(vec![0.0; sample.durations.len()])])?;
    let (mut judged, mut losses, mut alike, mut held) = (vec![], vec![], vec![], vec![]);
    for fold in 0..FOLDS {
        let (out, learned): (Vec<usize>, Vec<usize>) =
            (0..sample.keys.len()).partition(|n| sample.keys[*n] % FOLDS == fold);
        let of = |rows: &[usize]| -> Vec<Duration> {
            rows.iter().map(|n| sample.durations[*n]).collect()
        };
        let model = Staying::fit(&table.select(&learned), &of(&learned), &is_cancelled)?;
        let plain = Staying::fit(&none.select(&learned), &of(&learned), &is_cancelled)?;
        losses.extend(model.losses(&table.select(&out), &of(&out))?);
        alike.extend(plain.losses(&none.select(&out), &of(&out))?);
        judged.push(model);
        held.push(out);
        tokio::task::yield_now().await;
    }

    job.phase("judging")?;
    let in_use = in_use(job, &sample, &table, &held);
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len().max(1) as f64;
    let better_by = in_use.as_ref().map(|in_use| {
        let gains: Vec<f64> = losses
            .iter()
            .zip(in_use)
            .map(|(own, other)| own - other)
            .collect();
        let average = mean(&gains);
        let variance = mean(
            &gains
                .iter()
                .map(|gain| (gain - average).powi(2))
                .collect::<Vec<_>>(),
        );
        (average, (variance / gains.len() as f64).sqrt())
    });
    let judgement = Judgement {
        metric: "time_log_loss",
        lower_is_better: true,
        value: mean(&losses),
        baseline: "taking all customers to stay alike".to_owned(),
        baseline_value: mean(&alike),
        in_use: in_use.as_ref().map(|in_use| InUse {
            value: mean(in_use),
            better_by,
        }),
    };
    let metrics = vec![
        Measured {
            in_use_value: judgement.in_use.map(|in_use| in_use.value),
            ..Measured::of("time_log_loss", judgement.value).beside(judgement.baseline_value)
        },
        Measured::of("holdout_customers", losses.len() as f64),
    ];

    let model = Staying::fit(&table, &sample.durations, &is_cancelled)?;
    let json = |value: serde_json::Result<String>| {
        Parameter::text(value.expect("models have text keys only"))
    };
    let parameters = Parameters::from([
        ("family".to_owned(), Parameter::text("weibull_aft")),
        ("model".to_owned(), json(serde_json::to_string(&model))),
        ("judged".to_owned(), json(serde_json::to_string(&judged))),
        (
            "features".to_owned(),
            json(serde_json::to_string(&sample.names)),
        ),
        ("intercept".to_owned(), Parameter::number(model.intercept)),
        ("log_shape".to_owned(), Parameter::number(model.log_shape)),
        ("horizon_days".to_owned(), Parameter::number(horizon as f64)),
    ]);
    let importance = importance(&sample.names, &model.reasons(&table)?);

    job.phase("scoring")?;
    let names = sample.names.clone();
    Ok(Fitted {
        judgement,
        metrics,
        parameters,
        importance,
        customers,
        left_out,
        scores: Scores::Computed {
            query: scored,
            compute: Box::new(move |batch| model.score(batch, &names, as_of, horizon)),
        },
        remarks: vec![],
        objection: None,
    })
}

async fn read(job: &mut Job<'_>, sql: &str) -> Result<Sample> {
    let mut sample = Sample::default();
    job.work()
        .each(sql, |batch| {
            let (names, columns) = features(&batch, &OTHERS)?;
            let (tenure, churned) = (
                numbers_of(&batch, "tenure")?,
                numbers_of(&batch, "churned")?,
            );
            for (time, churned) in tenure.iter().zip(churned) {
                // Whoever left on the first day was there for half of it.
                sample
                    .durations
                    .push(Duration::new(time.max(0.5), churned > 0.5, 1.0)?);
            }
            sample.names = names;
            append(&mut sample.columns, columns);
            sample.keys.extend(keys_of(&batch));
            Ok(())
        })
        .await?;
    match sample.names.is_empty() {
        true => Err(Error::Unfit {
            message: "there is no feature to learn from, or no row".to_owned(),
            hint: "The model's query needs columns beside customer_id, tenure and churned."
                .to_owned(),
        }),
        false => Ok(sample),
    }
}

fn in_use(job: &Job<'_>, sample: &Sample, table: &Table, held: &[Vec<usize>]) -> Option<Vec<f64>> {
    let kept = job.in_use.as_ref()?;
    let text = |name: &str| kept.get(name)?.text.as_deref();
    if serde_json::from_str::<Vec<String>>(text("features")?).ok()? != sample.names {
        return None;
    }
    let models: Vec<Staying> = serde_json::from_str(text("judged")?).ok()?;
    let mut losses = vec![];
    for (model, rows) in models.iter().zip(held) {
        let durations: Vec<Duration> = rows.iter().map(|n| sample.durations[*n]).collect();
        losses.extend(model.losses(&table.select(rows), &durations).ok()?);
    }
    Some(losses)
}

impl Staying {
    fn fit(
        table: &Table,
        durations: &[Duration],
        is_cancelled: &(dyn Fn() -> bool + Sync),
    ) -> Result<Self> {
        let weights = vec![1.0; durations.len()];
        let encoding = Encoding::new(table, &weights, Missing::Replaced, is_cancelled)?;
        let columns = encoding.apply(table, is_cancelled)?.columns;
        let chosen = independent(&columns);
        let rows = rows(&columns, &chosen, durations.len());
        let fitted = weibull_aft::fit(durations, &rows, chosen.len(), is_cancelled)?;
        let mean = |n: &usize| columns[*n].iter().sum::<f64>() / durations.len() as f64;
        Ok(Self {
            means: chosen.iter().map(mean).collect(),
            encoding,
            chosen,
            intercept: fitted.intercept,
            coefficients: fitted.coefficients,
            log_shape: fitted.log_shape,
        })
    }

    /// ln λ of each row.
    fn log_scales(&self, table: &Table) -> Result<Vec<f64>> {
        let columns = self.encoding.apply(table, &|| false)?.columns;
        let of = |row: usize| {
            let pairs = self.chosen.iter().zip(&self.coefficients);
            self.intercept + pairs.map(|(n, b)| b * columns[*n][row]).sum::<f64>()
        };
        Ok((0..table.n_rows()).map(of).collect())
    }

    /// ln of the hazard summed up to a time, -ln S.
    fn log_cumulative(&self, log_scale: f64, time: f64) -> f64 {
        self.log_shape.exp() * (time.ln() - log_scale)
    }

    /// Less the logarithm of the likelihood of each row.
    fn losses(&self, table: &Table, durations: &[Duration]) -> Result<Vec<f64>> {
        let scales = self.log_scales(table)?;
        let of = |(scale, duration): (f64, &Duration)| {
            let u = self.log_cumulative(scale, duration.time);
            let left = if duration.is_event {
                self.log_shape + u - duration.time.ln()
            } else {
                0.0
            };
            u.exp() - left
        };
        Ok(scales.into_iter().zip(durations).map(of).collect())
    }

    /// What each feature adds to the logarithm of the hazard.
    fn reasons(&self, table: &Table) -> Result<Reasons> {
        let numbers = self.encoding.apply(table, &|| false)?;
        let n = table.columns().len();
        let mut additions = vec![0.0; table.n_rows() * n];
        for ((column, b), mean) in self.chosen.iter().zip(&self.coefficients).zip(&self.means) {
            for (row, value) in numbers.columns[*column].iter().enumerate() {
                additions[row * n + numbers.origins[*column]] -=
                    b * (value - mean) * self.log_shape.exp();
            }
        }
        Ok(Reasons {
            base: 0.0,
            additions,
        })
    }

    fn score(
        &self,
        batch: &RecordBatch,
        names: &[String],
        as_of: NaiveDate,
        horizon: i64,
    ) -> Result<RecordBatch> {
        let churned = numbers_of(batch, "churned")?;
        let is_there = BooleanArray::from_iter(churned.iter().map(|churned| Some(*churned < 0.5)));
        let batch = &filter_record_batch(batch, &is_there).map_err(rapport_engine::Error::from)?;
        let (_, columns) = features(batch, &OTHERS)?;
        let (table, tenure) = (Table::new(columns)?, numbers_of(batch, "tenure")?);
        let scales = self.log_scales(&table)?;
        let leaves = |scale: f64, time: f64| {
            let time = time.max(0.5);
            let more = self.log_cumulative(scale, time + horizon as f64).exp()
                - self.log_cumulative(scale, time).exp();
            1.0 - (-more).exp()
        };
        let told: Vec<f64> = scales
            .iter()
            .zip(&tenure)
            .map(|(scale, time)| leaves(*scale, *time))
            .collect();
        let why = self.reasons(&table)?;
        let level = |p: &f64| match *p {
            p if p >= 0.7 => "high",
            p if p >= 0.4 => "medium",
            _ => "low",
        };
        let n = told.len();
        let days = as_of.signed_duration_since(NaiveDate::default()).num_days() as i32;
        let customer = batch
            .column_by_name("customer_id")
            .expect("it was looked for")
            .clone();
        let [first, second, third] = three_reasons(names, &table, &why, "the risk");
        batch_of(vec![
            ("customer_id", customer),
            ("as_of", Arc::new(Date32Array::from(vec![days; n]))),
            (
                "horizon_days",
                Arc::new(Int32Array::from(vec![horizon as i32; n])),
            ),
            ("p_churn", Arc::new(Float64Array::from(told.clone()))),
            ("p_low", Arc::new(Float64Array::new_null(n))),
            ("p_high", Arc::new(Float64Array::new_null(n))),
            ("p_alive", Arc::new(Float64Array::new_null(n))),
            (
                "band",
                Arc::new(StringArray::from_iter_values(told.iter().map(level))),
            ),
            ("reason_1", first),
            ("reason_2", second),
            ("reason_3", third),
        ])
    }
}

/// Row by row.
fn rows(columns: &[Vec<f64>], chosen: &[usize], n_rows: usize) -> Vec<f64> {
    (0..n_rows)
        .flat_map(|row| chosen.iter().map(move |n| columns[*n][row]))
        .collect()
}

/// Columns that do not follow from a constant and those before them: what is left of each when the others are taken out
/// (Gram-Schmidt) is more than rounding.
fn independent(columns: &[Vec<f64>]) -> Vec<usize> {
    let n_rows = columns.first().map_or(0, Vec::len);
    let mut basis: Vec<Vec<f64>> = vec![vec![1.0 / (n_rows.max(1) as f64).sqrt(); n_rows]];
    let mut chosen = vec![];
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    for (n, column) in columns.iter().enumerate() {
        let whole = dot(column, column);
        let mut rest = column.clone();
        for direction in &basis {
            let along = dot(&rest, direction);
            for (value, direction) in rest.iter_mut().zip(direction) {
                *value -= along * direction;
            }
        }
        let left = dot(&rest, &rest);
        if whole > 0.0 && left > OWN_SHARE * whole {
            let length = left.sqrt();
            rest.iter_mut().for_each(|value| *value /= length);
            basis.push(rest);
            chosen.push(n);
        }
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_that_follow_from_others_are_left_out() {
        let one: Vec<f64> = (0..10).map(f64::from).collect();
        let other: Vec<f64> = (0..10).map(|n| f64::from(n * n % 7)).collect();
        let both: Vec<f64> = one
            .iter()
            .zip(&other)
            .map(|(a, b)| 2.0 * a - b + 3.0)
            .collect();
        assert_eq!(independent(&[vec![5.0; 10], one, other, both]), [1, 2]);
    }
}
