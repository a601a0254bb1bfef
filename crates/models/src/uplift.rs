//! Uplift: by how much addressing a customer raises the outcome, from a trial with a control group drawn by lot.
//!
//! Two models, of those who were treated and of those who were not, and their difference; or, as the X-learner, two more of
//! that difference itself. Half of the customers, by the
//! checksum (CRC-32) of their number, are learned from and the other half judged by: the Qini coefficient of the order in
//! which the model would address them. The baseline is a rule: a feature as it is, named by the option `rule`, or the
//! one that orders the customers learned from best.
//!
//! The query answers `customer_id`, `treated`, `outcome` (0 or 1) and features. Without one, the trials are the history's
//! own campaigns: rows of type `assignment` with the outcome treated or control, and a purchase within the window.

use std::{collections::BTreeMap, sync::Arc};

use arrow::array::{ArrayRef, Date32Array, Float64Array, Int32Array, RecordBatch, StringArray};
use chrono::NaiveDate;
use rapport_stats::{
    learner::{Column, Predictor, Reasons, Table},
    trial::{Effect, Trial},
    uplift::{TLearner, XLearner},
};

use crate::{
    Error, Result,
    judge::{CLEARLY, Fitted, InUse, Judgement, Measured, Scores},
    refresh::Job,
    registry::{Parameter, Parameters},
    source::Source,
    tabular::{
        Method, Model, append, batch_of, features, importance, keys_of, numbers_of, three_reasons,
    },
    work::{filled, quoted},
};

const HISTORY: &str = include_str!("uplift_history.sql");
/// Days after the assignment within which a purchase counts.
const WINDOW: i64 = 14;
const OTHERS: [&str; 5] = [
    "customer_id",
    "treated",
    "outcome",
    "campaign_id",
    "occurred_at",
];
/// A rule is a feature as it is; one with more values is cut into so many parts.
const PARTS: usize = 10;
const EXPLAINED: usize = 5_000;
const TENTHS: usize = 10;

#[derive(Default)]
struct Sample {
    names: Vec<String>,
    columns: Vec<Column>,
    outcomes: Vec<f64>,
    is_treated: Vec<bool>,
    keys: Vec<u32>,
}

/// A sample's half.
struct Half {
    table: Table,
    outcomes: Vec<f64>,
    is_treated: Vec<bool>,
}

/// One model of each group.
#[derive(serde::Serialize, serde::Deserialize)]
struct Both {
    treated: Model,
    control: Model,
    /// The X-learner's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    effects: Option<XLearner<Model>>,
}

pub(crate) async fn fit(job: &mut Job<'_>) -> Result<Fitted> {
    let definition = job.definition;
    let options = &definition.options;
    job.phase("reading the history")?;
    let history = |day: NaiveDate| {
        let window = options.days("window").unwrap_or(WINDOW).to_string();
        let campaign = match options.text("campaign") {
            Some(campaign) => format!("AND campaign_id = {}", quoted(campaign)),
            None => String::new(),
        };
        filled(
            HISTORY,
            &[
                ("as_of", &day.to_string()),
                ("window", &window),
                ("campaign", &campaign),
            ],
        )
    };
    let today = job.as_of_today();
    let mut source = Source::of(definition, job.work(), &history(today)).await?;
    let mut as_of = today;
    if definition.query.is_none() {
        as_of = job.as_of(&source).await?;
        source = Source::of(definition, job.work(), &history(as_of)).await?;
    }
    source.need(&["customer_id", "treated", "outcome"])?;
    if source.column("occurred_at").is_none() {
        source.once_each(job.work()).await?;
    }
    let rows = source.consenting(definition, job.work()).await?;
    let left_out = source.left_out(definition, job.work()).await?;
    // A customer of several trials is scored by the last one.
    let scored = match source.column("occurred_at") {
        Some(_) => format!(
            "SELECT * FROM (SELECT *, row_number() OVER (PARTITION BY customer_id ORDER BY occurred_at DESC) AS nth FROM ({rows}) AS given) AS last WHERE nth = 1"
        ),
        None => format!("SELECT * FROM ({rows}) AS given"),
    };
    let customers = job.count(&format!("({scored}) AS scored")).await?;
    let moment = match source.column("occurred_at") {
        Some(_) => ", occurred_at",
        None => "",
    };
    let sample = read(job, &rows, moment).await?;
    let (learned, held) = (sample.half(0)?, sample.half(1)?);

    job.phase("fitting")?;
    let cancel = job.cancel();
    let is_cancelled = move || cancel.is_cancelled();
    let mut tried = vec![];
    let is_x = options.word("learner", "t_learner") == "x_learner";
    for method in Method::asked(options.word("method", "auto")) {
        let model = Both::fit(method, is_x, &learned, &is_cancelled)?;
        let uplifts = model.uplifts(&held.table)?;
        tried.push((method, held.qini(&uplifts)?, model, uplifts));
        tokio::task::yield_now().await;
    }

    job.phase("judging")?;
    let mut metrics: Vec<Measured> = tried
        .iter()
        .map(|(method, qini, ..)| Measured::of(format!("qini_{}", method.name()), *qini))
        .collect();
    let best = (0..tried.len())
        .max_by(|a, b| tried[*a].1.total_cmp(&tried[*b].1))
        .unwrap_or(0);
    let (method, value, judged, uplifts) = tried.swap_remove(best);
    let (rule, of_rule) = rule(options.text("rule"), &sample.names, &learned, &held)?;
    // No order at all has 0.
    let baseline = match of_rule > 0.0 {
        true => format!("a simple rule (by {})", rule.replace('_', " ")),
        false => "addressing customers in no order".to_owned(),
    };
    let of_rule = of_rule.max(0.0);
    let in_use = in_use(job, &sample.names, &held);
    let trial = Trial::new(&held.outcomes, &held.is_treated)?;
    let average = trial.average_effect();
    let targeting = trial.targeted_by(&uplifts)?;
    let error = targeting.qini_standard_error()?;
    metrics.extend([
        Measured {
            in_use_value: in_use,
            ..Measured::of("qini", value).beside(of_rule)
        },
        Measured::of("qini_standard_error", error),
        Measured::of("auuc", targeting.auuc()?),
        Measured::of(
            "uplift_at_30_percent",
            targeting.uplift_at(0.3).unwrap_or(f64::NAN),
        ),
        Measured::of("average_effect", average.effect),
        Measured::of("average_effect_standard_error", average.standard_error),
        Measured::of("holdout_customers", held.outcomes.len() as f64),
    ]);
    let judgement = Judgement {
        metric: "qini",
        lower_is_better: false,
        value,
        baseline,
        baseline_value: of_rule,
        in_use: in_use.map(|value| InUse {
            value,
            better_by: None,
        }),
    };
    let whole = sample.whole()?;
    let model = Both::fit(method, is_x, &whole, &is_cancelled)?;
    let json = |value: serde_json::Result<String>| {
        Parameter::text(value.expect("models have text keys only"))
    };
    let parameters = Parameters::from([
        ("family".to_owned(), Parameter::text(method.name())),
        ("rule".to_owned(), Parameter::text(&*rule)),
        ("model".to_owned(), json(serde_json::to_string(&model))),
        ("judged".to_owned(), json(serde_json::to_string(&judged))),
        (
            "features".to_owned(),
            json(serde_json::to_string(&sample.names)),
        ),
    ]);
    let few: Vec<usize> = (0..whole.outcomes.len().min(EXPLAINED)).collect();
    let importance = importance(&sample.names, &model.reasons(&whole.table.select(&few), 0)?);

    job.phase("scoring")?;
    let scorer = Scorer {
        tenths: tenths(&uplifts, &held)?,
        model,
        names: sample.names.clone(),
        n_customers: customers,
        as_of,
        horizon: match definition.query {
            Some(_) => None,
            None => Some(options.days("window").unwrap_or(WINDOW) as i32),
        },
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
        objection: chance(value, error),
    })
}

/// An order of nothing but chance beats a rule that says nothing every other time.
fn chance(qini: f64, error: f64) -> Option<String> {
    (qini <= CLEARLY * error).then(|| {
        format!(
            "it orders customers no better than chance would: its qini on the holdout is {qini:.4}, give or take {:.4}",
            CLEARLY * error
        )
    })
}

/// In the order of customers, so that the same rows make the same model.
async fn read(job: &mut Job<'_>, sql: &str, moment: &str) -> Result<Sample> {
    let mut sample = Sample::default();
    job.work()
        .each(
            &format!(
                "SELECT * FROM ({sql}) AS given WHERE treated IS NOT NULL AND outcome IS NOT NULL ORDER BY customer_id{moment}"
            ),
            |batch| {
                let (names, columns) = features(&batch, &OTHERS)?;
                sample.names = names;
                append(&mut sample.columns, columns);
                sample.outcomes.extend(numbers_of(&batch, "outcome")?);
                sample.is_treated.extend(
                    numbers_of(&batch, "treated")?
                        .iter()
                        .map(|treated| *treated > 0.5),
                );
                sample.keys.extend(keys_of(&batch));
                Ok(())
            },
        )
        .await?;
    let treated = sample.is_treated.iter().filter(|treated| **treated).count();
    let control = sample.is_treated.len() - treated;
    if treated < 200 || control < 200 || sample.names.is_empty() {
        return Err(Error::Unfit {
            message: format!("{treated} treated customers and {control} in the control group are too few, or there is no feature"),
            hint: "An uplift model needs a trial with a control group drawn by lot, of some hundred customers each.".to_owned(),
        });
    }
    Ok(sample)
}

impl Sample {
    fn of(&self, rows: &[usize]) -> Result<Half> {
        Ok(Half {
            table: Table::new(self.columns.clone())?.select(rows),
            outcomes: rows.iter().map(|n| self.outcomes[*n]).collect(),
            is_treated: rows.iter().map(|n| self.is_treated[*n]).collect(),
        })
    }

    fn half(&self, half: u32) -> Result<Half> {
        let rows: Vec<usize> = (0..self.keys.len())
            .filter(|n| self.keys[*n] % 2 == half)
            .collect();
        self.of(&rows)
    }

    fn whole(&self) -> Result<Half> {
        self.of(&(0..self.keys.len()).collect::<Vec<_>>())
    }
}

impl Half {
    fn qini(&self, uplifts: &[f64]) -> Result<f64> {
        Ok(Trial::new(&self.outcomes, &self.is_treated)?
            .targeted_by(uplifts)?
            .qini()?)
    }
}

impl Both {
    fn fit(
        method: Method,
        is_x: bool,
        half: &Half,
        is_cancelled: &(dyn Fn() -> bool + Sync),
    ) -> Result<Self> {
        let trial = Trial::new(&half.outcomes, &half.is_treated)?;
        let outcomes = TLearner::fit(&method, &half.table, &trial, is_cancelled)?;
        let effects = match is_x {
            true => {
                let table = &half.table;
                let effects = XLearner::beside(&outcomes, &method, table, &trial, is_cancelled)?;
                Some(effects)
            }
            false => None,
        };
        Ok(Self {
            treated: outcomes.treated,
            control: outcomes.control,
            effects,
        })
    }

    fn uplifts(&self, table: &Table) -> Result<Vec<f64>> {
        if let Some(effects) = &self.effects {
            return Ok(effects.uplift(table)?);
        }
        let (treated, control) = (self.treated.predict(table)?, self.control.predict(table)?);
        Ok(treated
            .iter()
            .zip(control)
            .map(|(with, without)| with - without)
            .collect())
    }

    fn reasons(&self, table: &Table, n_customers: u64) -> Result<Reasons> {
        let of = |model: &Model| model.reasons_of(table, n_customers);
        let (one, other) = match &self.effects {
            Some(effects) => (of(&effects.of_treated)?, of(&effects.of_control)?),
            None => (of(&self.treated)?, of(&self.control)?),
        };
        let both = |one: f64, other: f64| match &self.effects {
            Some(effects) => effects.between(one, other),
            None => one - other,
        };
        let pairs = one.additions.iter().zip(&other.additions);
        Ok(Reasons {
            base: both(one.base, other.base),
            additions: pairs.map(|(one, other)| both(*one, *other)).collect(),
        })
    }
}

/// The rule to beat and its Qini on the holdout.
fn rule(
    asked: Option<&str>,
    names: &[String],
    learned: &Half,
    held: &Half,
) -> Result<(String, f64)> {
    if let Some(asked) = asked {
        let at = names.iter().position(|name| name == asked);
        let scores = at.and_then(|at| plain(&held.table.columns()[at]));
        let scores = scores.ok_or_else(|| Error::Invalid {
            message: format!("there is no feature \"{asked}\" that is a number"),
            hint: "OPTIONS (rule = …) names one.".to_owned(),
        })?;
        return Ok((asked.to_owned(), held.qini(&scores)?));
    }
    let mut best: Option<(f64, String, f64)> = None;
    for (n, name) in names.iter().enumerate() {
        let effects = Effects::of(&learned.table.columns()[n], learned)?;
        let seen = learned.qini(&effects.apply(&learned.table.columns()[n]))?;
        if best.as_ref().is_none_or(|best| seen > best.0) {
            let value = held.qini(&effects.apply(&held.table.columns()[n]))?;
            best = Some((seen, name.clone(), value));
        }
    }
    best.map(|(_, name, value)| (name, value))
        .ok_or_else(|| Error::Unfit {
            message: "there is no feature".to_owned(),
            hint: String::new(),
        })
}

fn plain(column: &Column) -> Option<Vec<f64>> {
    match column {
        Column::Numbers(numbers) => Some(
            numbers
                .iter()
                .map(|number| if number.is_nan() { f64::MIN } else { *number })
                .collect(),
        ),
        Column::Categories(_) => None,
    }
}

/// The mean effect of each value, or of each part of the values, of a feature.
struct Effects {
    edges: Vec<f64>,
    by_part: BTreeMap<String, f64>,
    average: f64,
}

impl Effects {
    fn of(column: &Column, half: &Half) -> Result<Self> {
        let mut edges = vec![];
        if let Column::Numbers(numbers) = column {
            let mut sorted: Vec<f64> = numbers
                .iter()
                .copied()
                .filter(|number| !number.is_nan())
                .collect();
            sorted.sort_by(f64::total_cmp);
            edges = (1..PARTS)
                .filter_map(|n| sorted.get(n * sorted.len() / PARTS).copied())
                .collect();
            edges.dedup();
        }
        let mut effects = Self {
            edges,
            by_part: BTreeMap::new(),
            average: 0.0,
        };
        let mut sums: BTreeMap<String, [f64; 4]> = BTreeMap::new();
        for (row, part) in effects.parts(column).into_iter().enumerate() {
            let sum = sums.entry(part).or_default();
            let at = usize::from(half.is_treated[row]);
            sum[at] += half.outcomes[row];
            sum[2 + at] += 1.0;
        }
        effects.average = Trial::new(&half.outcomes, &half.is_treated)?
            .average_effect()
            .effect;
        for (part, [control, treated, n_control, n_treated]) in sums {
            if n_control > 0.0 && n_treated > 0.0 {
                effects
                    .by_part
                    .insert(part, treated / n_treated - control / n_control);
            }
        }
        Ok(effects)
    }

    fn parts(&self, column: &Column) -> Vec<String> {
        match column {
            Column::Numbers(numbers) => numbers
                .iter()
                .map(|number| match number.is_nan() {
                    true => "unknown".to_owned(),
                    false => self
                        .edges
                        .iter()
                        .filter(|edge| *number >= **edge)
                        .count()
                        .to_string(),
                })
                .collect(),
            Column::Categories(words) => words
                .iter()
                .map(|word| word.clone().unwrap_or_else(|| "unknown".to_owned()))
                .collect(),
        }
    }

    fn apply(&self, column: &Column) -> Vec<f64> {
        let of = |part: String| self.by_part.get(&part).copied().unwrap_or(self.average);
        self.parts(column).into_iter().map(of).collect()
    }
}

fn in_use(job: &Job<'_>, names: &[String], held: &Half) -> Option<f64> {
    let kept = job.in_use.as_ref()?;
    let text = |name: &str| kept.get(name)?.text.as_deref();
    if serde_json::from_str::<Vec<String>>(text("features")?).ok()? != names {
        return None;
    }
    let judged: Both = serde_json::from_str(text("judged")?).ok()?;
    held.qini(&judged.uplifts(&held.table).ok()?).ok()
}

/// From which uplift on, and the effect that such customers showed in the holdout.
type Tenth = (f64, Effect);

fn tenths(uplifts: &[f64], held: &Half) -> Result<Vec<Tenth>> {
    let mut order: Vec<usize> = (0..uplifts.len()).collect();
    order.sort_by(|a, b| uplifts[*a].total_cmp(&uplifts[*b]));
    let mut tenths = vec![];
    for rows in order.chunks(order.len().div_ceil(TENTHS).max(1)) {
        let outcomes: Vec<f64> = rows.iter().map(|n| held.outcomes[*n]).collect();
        let is_treated: Vec<bool> = rows.iter().map(|n| held.is_treated[*n]).collect();
        if let Ok(trial) = Trial::new(&outcomes, &is_treated) {
            tenths.push((uplifts[rows[0]], trial.average_effect()));
        }
    }
    Ok(tenths)
}

struct Scorer {
    model: Both,
    names: Vec<String>,
    tenths: Vec<Tenth>,
    n_customers: u64,
    as_of: NaiveDate,
    /// Days.
    horizon: Option<i32>,
}

impl Scorer {
    fn score(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let mut others = OTHERS.to_vec();
        others.push("nth");
        let (_, columns) = features(batch, &others)?;
        let table = Table::new(columns)?;
        let (with, without) = (
            self.model.treated.predict(&table)?,
            self.model.control.predict(&table)?,
        );
        let uplifts = self.model.uplifts(&table)?;
        let why = self.model.reasons(&table, self.n_customers)?;
        let n = uplifts.len();
        let tenth = |uplift: &f64| {
            let of = self
                .tenths
                .iter()
                .rev()
                .find(|tenth| *uplift >= tenth.0)
                .or(self.tenths.first());
            of.map_or((f64::NAN, f64::NAN), |(_, effect)| {
                let margin = 1.96 * effect.standard_error;
                (effect.effect - margin, effect.effect + margin)
            })
        };
        let bounds: Vec<(f64, f64)> = uplifts.iter().map(tenth).collect();
        let upper_third = self
            .tenths
            .get(self.tenths.len() * 2 / 3)
            .map_or(f64::INFINITY, |tenth| tenth.0);
        let band = |uplift: &f64| match *uplift {
            uplift if uplift < 0.0 => "do not disturb",
            uplift if uplift >= upper_third => "persuadable",
            _ => "neutral",
        };
        let days = self
            .as_of
            .signed_duration_since(NaiveDate::default())
            .num_days() as i32;
        let numbers = |values: Vec<f64>| Arc::new(Float64Array::from(values)) as ArrayRef;
        let [first, second, third] = three_reasons(&self.names, &table, &why, "the effect");
        batch_of(vec![
            (
                "customer_id",
                batch
                    .column_by_name("customer_id")
                    .expect("it was looked for")
                    .clone(),
            ),
            ("as_of", Arc::new(Date32Array::from(vec![days; n]))),
            (
                "horizon_days",
                Arc::new(Int32Array::from(vec![self.horizon; n])),
            ),
            ("uplift", numbers(uplifts.clone())),
            (
                "uplift_low",
                numbers(bounds.iter().map(|bound| bound.0).collect()),
            ),
            (
                "uplift_high",
                numbers(bounds.iter().map(|bound| bound.1).collect()),
            ),
            ("p_if_treated", numbers(with)),
            ("p_if_not", numbers(without)),
            (
                "band",
                Arc::new(StringArray::from_iter_values(uplifts.iter().map(band))),
            ),
            ("reason_1", first),
            ("reason_2", second),
            ("reason_3", third),
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_within_chance_is_refused() {
        let why = chance(0.0015, 0.002).expect("refused");
        assert!(why.contains("0.0015, give or take 0.0040"), "{why}");
        assert!(chance(-0.0126, 0.0109).is_some());
        assert_eq!(chance(0.0745, 0.01), None);
    }
}
