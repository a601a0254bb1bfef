//! Churn from features: logistic regression or boosted trees, whichever foretells better who was not learned from.
//!
//! With a query of one's own, `customer_id`, `label` and whatever else it answers are looked at as they are: five folds by
//! the checksum (CRC-32) of the customer, each foretold by what was learned from the other four. Without one, features
//! are taken from the history as of a day and the label is no purchase within the horizon after it: learned one horizon
//! earlier than judged, and judged one horizon before the end.

use arrow::array::{Date32Array, Float64Array, Int32Array, RecordBatch, StringArray};
use chrono::{Days, NaiveDate};
use std::sync::Arc;

use rapport_stats::{
    learner::{Column, Predictor, Table},
    metrics::{Forecast, Ranking},
};

use crate::{
    Error, Result, drift,
    judge::{Fitted, InUse, Judgement, Measured, Scores},
    refresh::Job,
    registry::{Parameter, Parameters},
    source::{Source, first_day, purchases},
    tabular::{
        Method, Model, append, batch_of, features, importance, keys_of, leak, numbers_of,
        three_reasons,
    },
    work::filled,
};

const FEATURES: &str = include_str!("propensity_features.sql");
const HORIZON: i64 = 90;
const FOLDS: u32 = 5;
/// More rows than this make no better model; those with the smallest checksums are taken.
const MOST_LEARNED: u64 = 400_000;
/// Rows whose reasons are looked at for the importance of features.
const EXPLAINED: usize = 5_000;
/// Rows to learn from or to judge by.
#[derive(Default)]
struct Sample {
    names: Vec<String>,
    columns: Vec<Column>,
    labels: Vec<f64>,
    keys: Vec<u32>,
}

/// What is learned from, what is judged by.
struct Trial {
    learned: (Table, Vec<f64>),
    held: (Table, Vec<f64>),
}

pub(crate) async fn fit(job: &mut Job<'_>, method: &str) -> Result<Fitted> {
    let definition = job.definition;
    let horizon = definition.options.days("horizon").unwrap_or(HORIZON);
    job.phase("reading the history")?;
    let source = Source::of(definition, job.work(), &purchases(definition)).await?;
    let is_own = definition.query.is_some();
    let as_of = match is_own {
        true => job.as_of_today(),
        false => job.as_of(&source).await?,
    };
    let rows = source.consenting(definition, job.work()).await?;
    let left_out = source.left_out(definition, job.work()).await?;
    let sample;
    let (trials, all, scored) = if is_own {
        source.need(&["customer_id", "label"])?;
        source.once_each(job.work()).await?;
        source.truths("label", job.work()).await?;
        let counted = job.count(&format!("({rows}) AS given")).await?;
        sample = read(
            job,
            &format!(
                "SELECT * FROM ({rows}) AS given WHERE label IS NOT NULL ORDER BY customer_id"
            ),
            counted,
        )
        .await?;
        let all = (sample.table()?, sample.labels.clone());
        (
            folds(&sample, &all),
            all,
            format!("SELECT * FROM ({rows}) AS given"),
        )
    } else {
        let first = first_day(&rows, job.work()).await?.unwrap_or(as_of);
        let back = |n: u64| as_of - Days::new(n * horizon.unsigned_abs());
        if first > back(3) {
            return Err(Error::Unfit {
                message: format!(
                    "the history must be three times as long as the horizon of {horizon} days"
                ),
                hint: "OPTIONS (horizon = …) takes a shorter one.".to_owned(),
            });
        }
        events(job, definition).await?;
        let counted = job
            .count("(SELECT DISTINCT customer_id FROM events) AS customers")
            .await?;
        let learned = read(job, &labelled(back(2), back(1)), counted).await?;
        sample = read(job, &labelled(back(1), as_of), counted).await?;
        let held = (sample.table()?, sample.labels.clone());
        let trial = Trial {
            learned: (learned.table()?, learned.labels.clone()),
            held: held.clone(),
        };
        (
            vec![trial],
            held,
            filled(
                FEATURES,
                &[("as_of", &as_of.to_string()), ("events", "events")],
            ),
        )
    };
    let customers = job.count(&format!("({scored}) AS scored")).await?;

    job.phase("fitting")?;
    let cancel = job.cancel();
    let is_cancelled = move || cancel.is_cancelled();
    let mut tried = vec![];
    for method in Method::asked(method) {
        let mut models = vec![];
        for trial in &trials {
            models.push(method.fit(&trial.learned.0, &trial.learned.1, &is_cancelled)?);
            tokio::task::yield_now().await;
        }
        let told = foretold(&models, &trials)?;
        tried.push((method, models, told));
    }

    job.phase("judging")?;
    let labels: Vec<f64> = trials
        .iter()
        .flat_map(|trial| trial.held.1.iter().copied())
        .collect();
    let is_true: Vec<bool> = labels.iter().map(|label| *label > 0.5).collect();
    let error = |told: &[f64]| brier(told, &labels);
    let names: Vec<String> = tried
        .iter()
        .map(|(method, ..)| method.name().to_owned())
        .collect();
    let mut metrics: Vec<Measured> = vec![];
    for (name, (_, _, told)) in names.iter().zip(&tried) {
        metrics.push(Measured::of(format!("auc_{name}"), auc(&is_true, told)));
        metrics.push(Measured::of(format!("brier_{name}"), error(told)));
    }
    let best = (0..tried.len()).min_by(|a, b| error(&tried[*a].2).total_cmp(&error(&tried[*b].2)));
    let (method, judged, told) = tried.swap_remove(best.unwrap_or(0));
    let shares: Vec<f64> = trials.iter().map(|trial| mean(&trial.learned.1)).collect();
    let alike: Vec<f64> = trials
        .iter()
        .zip(&shares)
        .flat_map(|(trial, share)| vec![*share; trial.held.1.len()])
        .collect();
    let in_use = in_use(job, &sample.names, &trials);
    let better_by = in_use.as_ref().map(|in_use| paired(&told, in_use, &labels));
    let judgement = Judgement {
        metric: "brier",
        lower_is_better: true,
        value: error(&told),
        baseline: if is_own {
            "giving everybody the same probability"
        } else {
            "last period's churn, the same for everybody,"
        }
        .to_owned(),
        baseline_value: error(&alike),
        in_use: in_use.as_ref().map(|in_use| InUse {
            value: error(in_use),
            better_by,
        }),
    };
    metrics.extend(measured(&is_true, &told, in_use.as_deref())?);
    metrics.push(Measured {
        in_use_value: judgement.in_use.map(|in_use| in_use.value),
        ..Measured::of("brier", judgement.value).beside(judgement.baseline_value)
    });
    let suspicious = leak(&sample.names, &all.0, &all.1);
    let objection = suspicious.as_ref().map(|(name, auc)| {
        format!(
            "\"{name}\" alone tells who churns almost without an error (AUC {auc:.3}): most likely it is known only afterwards. \
             Leave it out of the model's query"
        )
    });
    metrics.extend(suspicious.map(|(name, auc)| Measured::of(format!("leak_{name}"), auc)));

    let model = method.fit(&all.0, &all.1, &is_cancelled)?;
    let mut parameters = kept(&model, &judged, method, &sample.names);
    parameters.insert("horizon_days".to_owned(), Parameter::number(horizon as f64));
    let few: Vec<usize> = (0..all.1.len().min(EXPLAINED)).collect();
    let importance = importance(&sample.names, &model.reasons_of(&all.0.select(&few), 0)?);
    let earlier = job.in_use.take();
    for name in numeric(&sample).into_iter().take(20) {
        let relation = format!("({scored}) AS seen");
        let column = crate::work::named(&name);
        let moved = drift::of_column(
            job.work(),
            &relation,
            &name,
            &column,
            earlier.as_ref(),
            &mut parameters,
        )
        .await?;
        metrics.extend(moved);
    }
    job.in_use = earlier;

    job.phase("scoring")?;
    let scorer = Scorer {
        bands: bands(&told, &labels),
        names: sample.names.clone(),
        model,
        as_of,
        horizon: if is_own { None } else { Some(horizon as i32) },
        n_customers: customers,
    };
    Ok(Fitted {
        judgement,
        metrics,
        parameters,
        importance,
        customers,
        left_out,
        scores: Scores::Computed {
            query: scored,
            compute: Box::new(move |batch| scorer.score(batch)),
        },
        remarks: vec![],
        objection,
    })
}

/// The events of those who consent, as the features see them.
async fn events(job: &mut Job<'_>, definition: &crate::registry::Definition) -> Result<()> {
    let has_refused = definition.options.word("consent", "unless_refused") != "ignored";
    let consenting = match has_refused {
        true => {
            "AND NOT EXISTS (SELECT 1 FROM without_consent AS refused WHERE refused.customer_id = i.customer_id)"
        }
        false => "",
    };
    // A table of its own would hold the whole history: it is a name for the query.
    job.work()
        .run(&format!(
            "CREATE TEMPORARY VIEW events AS SELECT customer_id, occurred_at, interaction_type, outcome, channel, amount, sentiment, survey, score
             FROM interactions AS i WHERE customer_id IS NOT NULL {consenting}"
        ))
        .await?;
    Ok(())
}

/// Features as of a day, and whether nothing was bought from then to the end.
fn labelled(as_of: NaiveDate, end: NaiveDate) -> String {
    let features = filled(
        FEATURES,
        &[("as_of", &as_of.to_string()), ("events", "events")],
    );
    format!(
        "SELECT known.*, (next.customer_id IS NULL)::integer AS label FROM ({features}) AS known
         LEFT JOIN (
             SELECT DISTINCT customer_id FROM events
             WHERE interaction_type = 'purchase' AND occurred_at >= DATE '{as_of}' + 1 AND occurred_at < DATE '{end}' + 1
         ) AS next ON next.customer_id = known.customer_id
         ORDER BY known.customer_id"
    )
}

/// Reads rows, in the order of customers so that the same rows make the same model; but of very many only those whose checksums are small.
async fn read(job: &mut Job<'_>, sql: &str, counted: u64) -> Result<Sample> {
    let share = MOST_LEARNED as f64 / counted.max(1) as f64;
    let most = if share >= 1.0 {
        u32::MAX
    } else {
        (share * f64::from(u32::MAX)) as u32
    };
    let mut sample = Sample::default();
    job.work()
        .each(sql, |batch| {
            let keys = keys_of(&batch);
            let taken: Vec<usize> = (0..keys.len()).filter(|n| keys[*n] <= most).collect();
            let (names, columns) = features(&batch, &["customer_id", "label"])?;
            let labels = numbers_of(&batch, "label")?;
            let table = Table::new(columns)?.select(&taken);
            sample.names = names;
            append(&mut sample.columns, table.columns().to_vec());
            sample.labels.extend(taken.iter().map(|n| labels[*n]));
            sample.keys.extend(taken.iter().map(|n| keys[*n]));
            Ok(())
        })
        .await?;
    if sample.names.is_empty() {
        return Err(Error::Unfit {
            message: "there is no feature to learn from, or no row".to_owned(),
            hint: "The model's query needs columns beside customer_id and label.".to_owned(),
        });
    }
    let n_true = sample.labels.iter().filter(|label| **label > 0.5).count();
    let least = 50;
    if n_true < least || sample.labels.len() - n_true < least {
        return Err(Error::Unfit {
            message: format!(
                "{n_true} of {} customers churned: at least {least} who did and as many who did not are needed",
                sample.labels.len()
            ),
            hint: "Give the model more customers, or a longer horizon.".to_owned(),
        });
    }
    Ok(sample)
}

impl Sample {
    fn table(&self) -> Result<Table> {
        Ok(Table::new(self.columns.clone())?)
    }
}

fn folds(sample: &Sample, all: &(Table, Vec<f64>)) -> Vec<Trial> {
    let part = |rows: &[usize]| (all.0.select(rows), rows.iter().map(|n| all.1[*n]).collect());
    (0..FOLDS)
        .map(|fold| {
            let (held, learned): (Vec<usize>, Vec<usize>) =
                (0..sample.keys.len()).partition(|n| sample.keys[*n] % FOLDS == fold);
            Trial {
                learned: part(&learned),
                held: part(&held),
            }
        })
        .collect()
}

fn foretold(models: &[Model], trials: &[Trial]) -> Result<Vec<f64>> {
    let mut told = vec![];
    for (model, trial) in models.iter().zip(trials) {
        told.extend(model.predict(&trial.held.0)?);
    }
    Ok(told)
}

/// What the version in use says of the same rows, by what it had learned when it was judged itself: then it had not seen
/// them either.
fn in_use(job: &Job<'_>, names: &[String], trials: &[Trial]) -> Option<Vec<f64>> {
    let kept = job.in_use.as_ref()?;
    let text = |name: &str| kept.get(name)?.text.as_deref();
    if serde_json::from_str::<Vec<String>>(text("features")?).ok()? != names {
        return None;
    }
    let models: Vec<Model> = serde_json::from_str(text("judged")?).ok()?;
    if models.len() != trials.len() {
        return None;
    }
    foretold(&models, trials).ok()
}

fn kept(model: &Model, judged: &[Model], method: Method, names: &[String]) -> Parameters {
    let json = |value: serde_json::Result<String>| {
        Parameter::text(value.expect("models have text keys only"))
    };
    Parameters::from([
        ("family".to_owned(), Parameter::text(method.name())),
        ("model".to_owned(), json(serde_json::to_string(model))),
        ("judged".to_owned(), json(serde_json::to_string(judged))),
        ("features".to_owned(), json(serde_json::to_string(names))),
    ])
}

fn measured(is_true: &[bool], told: &[f64], in_use: Option<&[f64]>) -> Result<Vec<Measured>> {
    let forecast = Forecast::new(is_true, told)?;
    let ranking = Ranking::new(is_true, told)?;
    Ok(vec![
        Measured {
            in_use_value: in_use.map(|in_use| auc(is_true, in_use)),
            ..Measured::of("auc", ranking.auc()).beside(0.5)
        },
        Measured::of("log_loss", forecast.log_loss()),
        Measured::of(
            "calibration_error",
            forecast.expected_calibration_error(10)?,
        ),
        Measured::of("average_precision", ranking.average_precision()),
        Measured::of("lift_at_10_percent", ranking.lift(0.1)?),
        Measured::of("holdout_customers", told.len() as f64),
        Measured::of(
            "holdout_churned",
            is_true.iter().filter(|is| **is).count() as f64 / told.len() as f64,
        ),
    ])
}

fn auc(is_true: &[bool], told: &[f64]) -> f64 {
    Ranking::new(is_true, told).map_or(f64::NAN, |ranking| ranking.auc())
}

fn brier(told: &[f64], labels: &[f64]) -> f64 {
    let squares = told.iter().zip(labels).map(|(p, y)| (p - y).powi(2));
    squares.sum::<f64>() / labels.len() as f64
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

/// By how much another forecast is better, and the standard error of that.
pub(crate) fn paired(told: &[f64], other: &[f64], labels: &[f64]) -> (f64, f64) {
    let gains: Vec<f64> = (0..labels.len())
        .map(|n| (told[n] - labels[n]).powi(2) - (other[n] - labels[n]).powi(2))
        .collect();
    let average = mean(&gains);
    let variance = mean(
        &gains
            .iter()
            .map(|gain| (gain - average).powi(2))
            .collect::<Vec<_>>(),
    );
    (average, (variance / gains.len() as f64).sqrt())
}

fn numeric(sample: &Sample) -> Vec<String> {
    let pairs = sample.names.iter().zip(&sample.columns);
    pairs
        .filter(|(_, column)| matches!(column, Column::Numbers(_)))
        .map(|(name, _)| name.clone())
        .collect()
}

/// From which probability on, and the least and the greatest share that churned in hundredths of such customers.
type Band = (f64, f64, f64);

fn bands(told: &[f64], labels: &[f64]) -> Vec<Band> {
    let mut order: Vec<usize> = (0..told.len()).collect();
    order.sort_by(|a, b| told[*a].total_cmp(&told[*b]));
    let tenth = order.len().div_ceil(10).max(1);
    order
        .chunks(tenth)
        .map(|rows| {
            let from = told[rows[0]];
            let parts = rows.chunks(rows.len().div_ceil(10).max(1));
            let shares: Vec<f64> = parts
                .map(|part| mean(&part.iter().map(|n| labels[*n]).collect::<Vec<_>>()))
                .collect();
            let least = shares.iter().copied().fold(1.0, f64::min);
            let most = shares.iter().copied().fold(0.0, f64::max);
            (from, least, most)
        })
        .collect()
}

/// Computes the scores of a batch of customers.
struct Scorer {
    model: Model,
    names: Vec<String>,
    bands: Vec<Band>,
    as_of: NaiveDate,
    horizon: Option<i32>,
    n_customers: u64,
}

impl Scorer {
    fn score(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let (_, columns) = features(batch, &["customer_id", "label"])?;
        let table = Table::new(columns)?;
        let told = self.model.predict(&table)?;
        let why = self.model.reasons_of(&table, self.n_customers)?;
        let band = |p: &f64| {
            self.bands
                .iter()
                .rev()
                .find(|band| *p >= band.0)
                .or(self.bands.first())
                .copied()
        };
        let bounds: Vec<Band> = told
            .iter()
            .map(|p| band(p).unwrap_or((0.0, 0.0, 1.0)))
            .collect();
        let level = |p: &f64| match *p {
            p if p >= 0.7 => "high",
            p if p >= 0.4 => "medium",
            _ => "low",
        };
        let n = told.len();
        let days = self
            .as_of
            .signed_duration_since(NaiveDate::default())
            .num_days() as i32;
        let customer = batch
            .column_by_name("customer_id")
            .expect("it was looked for")
            .clone();
        let [first, second, third] = three_reasons(&self.names, &table, &why, "the risk");
        batch_of(vec![
            ("customer_id", customer),
            ("as_of", Arc::new(Date32Array::from(vec![days; n]))),
            (
                "horizon_days",
                Arc::new(Int32Array::from(vec![self.horizon; n])),
            ),
            ("p_churn", Arc::new(Float64Array::from(told.clone()))),
            (
                "p_low",
                Arc::new(Float64Array::from_iter_values(
                    told.iter().zip(&bounds).map(|(p, band)| p.min(band.1)),
                )),
            ),
            (
                "p_high",
                Arc::new(Float64Array::from_iter_values(
                    told.iter().zip(&bounds).map(|(p, band)| p.max(band.2)),
                )),
            ),
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
