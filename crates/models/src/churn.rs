//! Churn: who will not come back.
//!
//! `alive` is for customers without a contract: the chance of no purchase within the horizon, after BG/NBD or MBG/NBD,
//! whichever foretells the holdout better. The baseline gives everybody the share of those who were silent in the last
//! period before.

use crate::{
    Error, Result, drift,
    families::{Family, Purchasing, every, fit_all},
    judge::{Fitted, InUse, Judgement, Measured, Scores},
    propensity,
    refresh::Job,
    registry::Parameter,
    source::{INPUTS, Source, first_day, histories, purchases, split},
    survival,
    work::{filled, number},
};

const SCORES: &str = include_str!("churn_scores.sql");
const HORIZON: i64 = 90;
const BANDS: usize = 10;

pub(crate) async fn fit(job: &mut Job<'_>) -> Result<Fitted> {
    match job.definition.options.word("method", "alive") {
        "alive" => alive(job).await,
        "survival" => survival::fit(job).await,
        method => propensity::fit(job, method).await,
    }
}

/// Whoever gives labels means another method.
fn with_method(error: Error, source: &Source) -> Error {
    let is_labelled = source.column("label").is_some() && source.column("occurred_at").is_none();
    match error {
        Error::Invalid { message, .. } if is_labelled => Error::Invalid {
            message,
            hint: "OPTIONS (method = 'auto') learns from a label and features; without a method purchases are read: \
                   customer_id, occurred_at, amount."
                .to_owned(),
        },
        other => other,
    }
}

async fn alive(job: &mut Job<'_>) -> Result<Fitted> {
    let definition = job.definition;
    let options = &definition.options;
    let horizon = options.days("horizon").unwrap_or(HORIZON);

    job.phase("reading the history")?;
    let source = Source::of(definition, job.work(), &purchases(definition)).await?;
    let needed = source.need(&["customer_id", "occurred_at", "amount"]);
    needed.map_err(|error| with_method(error, &source))?;
    let as_of = job.as_of(&source).await?;
    let rows = source.consenting(definition, job.work()).await?;
    let left_out = source.left_out(definition, job.work()).await?;
    let first = first_day(&rows, job.work()).await?.unwrap_or(as_of);
    // What is foretold is seen once a horizon is over.
    let split = split(first, as_of, options.days("holdout"), horizon)?;
    histories(job.work(), &rows, split).await?;
    let customers = job.count("histories").await?;

    job.phase("fitting")?;
    let asked = options.word("family", "auto");
    let candidates = [Family::BgNbd, Family::MbgNbd];
    let past = fit_all(job.work(), asked, &candidates, "past_", every(customers)).await?;

    job.phase("judging")?;
    let days = split.days() as f64;
    let in_use = job.in_use.as_ref().and_then(Purchasing::judged);
    let mut judged = vec![];
    for candidate in &past {
        judged.push(judge(job, candidate, in_use.as_ref(), days).await?);
    }
    let best = (0..past.len()).min_by(|a, b| judged[*a].0.value.total_cmp(&judged[*b].0.value));
    let best = best.ok_or_else(|| Error::Unfit {
        message: "there are too few purchases to learn from".to_owned(),
        hint: "A churn model needs customers who came back.".to_owned(),
    })?;
    let (judgement, mut metrics) = judged.swap_remove(best);
    let mut remarks = vec![];
    if past[best].family == Family::Nbd {
        remarks.push(
            "no sign that customers stop: the model takes everybody to stay (NBD)".to_owned(),
        );
    }
    let purchasing = match past[best].family.fit(job.work(), "", 1).await? {
        Some(purchasing) => purchasing,
        None => past[best].clone(),
    };
    let (lows, highs) = bands(job, &past[best].p_silent("past_", days)).await?;

    let mut parameters = purchasing.kept();
    past[best].keep_judged(&mut parameters);
    parameters.insert("horizon_days".to_owned(), Parameter::number(horizon as f64));
    let in_use = job.in_use.take();
    for (name, expression) in INPUTS {
        let moved = drift::of_column(
            job.work(),
            "histories",
            name,
            expression,
            in_use.as_ref(),
            &mut parameters,
        )
        .await?;
        metrics.extend(moved);
    }
    job.in_use = in_use;

    let importance = importance(job, &purchasing, horizon as f64).await?;

    job.phase("scoring")?;
    let scores = filled(
        SCORES,
        &[
            ("as_of", &as_of.to_string()),
            ("horizon", &horizon.to_string()),
            ("p_silent", &purchasing.p_silent("", horizon as f64)),
            ("p_alive", &purchasing.p_alive("")),
            ("lows", &lows),
            ("highs", &highs),
        ],
    );
    Ok(Fitted {
        judgement,
        metrics,
        parameters,
        importance,
        customers,
        left_out,
        scores: Scores::Query(scores),
        remarks,
        objection: None,
    })
}

/// Brier score of the chance of silence on the holdout, beside the baseline and the version in use.
async fn judge(
    job: &mut Job<'_>,
    candidate: &Purchasing,
    in_use: Option<&Purchasing>,
    days: f64,
) -> Result<(Judgement, Vec<Measured>)> {
    let bounded = |p: String| format!("least(1, greatest(0, {p}))");
    let p = bounded(candidate.p_silent("past_", days));
    let p_in_use = in_use.map_or("NULL::double precision".to_owned(), |in_use| {
        bounded(in_use.p_silent("past_", days))
    });
    let days = number(days);
    let row = job
        .work()
        .numbers(&format!(
            "SELECT count(*) AS n, avg(y) AS churned, brier(p, y) AS brier, auc(p, y) AS auc, log_loss(p, y) AS log_loss,
                    calibration_error(p, y, 10) AS ece, brier(p_last, y) AS brier_last, auc(silence, y) AS auc_silence,
                    brier(p_in_use, y) AS brier_in_use, auc(p_in_use, y) AS auc_in_use,
                    avg(power(p - y, 2) - power(p_in_use - y, 2)) AS better_by,
                    stddev(power(p - y, 2) - power(p_in_use - y, 2)) / sqrt(count(*)) AS better_error
             FROM (
                 SELECT (next_purchases = 0)::integer AS y, {p} AS p, {p_in_use} AS p_in_use,
                     (past_age - past_recency)::double precision AS silence,
                     avg(CASE WHEN past_age >= {days} THEN (past_age - past_recency >= {days})::integer END) OVER () AS p_last
                 FROM histories WHERE past_age IS NOT NULL
             ) AS holdout"
        ))
        .await?;
    let known = |name: &str| row.get(name).copied().unwrap_or(f64::NAN);
    let has_in_use = in_use.is_some();
    let beside = |measured: Measured, name: &str| Measured {
        in_use_value: has_in_use.then(|| known(name)),
        ..measured
    };
    let metrics = vec![
        beside(
            Measured::of("brier", known("brier")).beside(known("brier_last")),
            "brier_in_use",
        ),
        beside(
            Measured::of("auc", known("auc")).beside(known("auc_silence")),
            "auc_in_use",
        ),
        Measured::of("log_loss", known("log_loss")),
        Measured::of("calibration_error", known("ece")),
        Measured::of("holdout_customers", known("n")),
        Measured::of("holdout_churned", known("churned")),
    ];
    let judgement = Judgement {
        metric: "brier",
        lower_is_better: true,
        value: known("brier"),
        baseline: "last period's churn, the same for everybody,".to_owned(),
        baseline_value: known("brier_last"),
        in_use: has_in_use.then(|| InUse {
            value: known("brier_in_use"),
            better_by: Some((known("better_by"), known("better_error"))),
        }),
    };
    Ok((judgement, metrics))
}

/// Bounds by tenth of the probability: what share of hundredths of the holdout churned, 5th and 95th percentile.
async fn bands(job: &mut Job<'_>, p: &str) -> Result<(String, String)> {
    let rows = job
        .work()
        .ask(&format!(
            "SELECT min(least) AS least, min(churned) AS low, max(churned) AS high FROM (
                 SELECT band, ntile, min(p) AS least, avg(y) AS churned FROM (
                     SELECT p, y, ntile({BANDS}) OVER (ORDER BY p) AS band, ntile(100) OVER (ORDER BY p) AS ntile
                     FROM (SELECT least(1, greatest(0, {p})) AS p, (next_purchases = 0)::integer AS y
                           FROM histories WHERE past_age IS NOT NULL) AS holdout) AS banded
                 GROUP BY band, ntile) AS hundredths
             GROUP BY band ORDER BY least DESC"
        ))
        .await?;
    let (least, low, high) = (
        rows.numbers("least"),
        rows.numbers("low"),
        rows.numbers("high"),
    );
    let (mut lows, mut highs) = (String::new(), String::new());
    for n in 0..rows.len() {
        let from = if n + 1 == rows.len() { -1.0 } else { least[n] };
        lows.push_str(&format!(
            "WHEN p_churn >= {} THEN {} ",
            number(from),
            number(low[n])
        ));
        highs.push_str(&format!(
            "WHEN p_churn >= {} THEN {} ",
            number(from),
            number(high[n])
        ));
    }
    if lows.is_empty() {
        (lows, highs) = (
            "WHEN true THEN 0.0".to_owned(),
            "WHEN true THEN 1.0".to_owned(),
        );
    }
    Ok((lows, highs))
}

/// Who comes back is still there, and buys often enough: shares of the variance of the two logarithms.
async fn importance(
    job: &mut Job<'_>,
    purchasing: &Purchasing,
    days: f64,
) -> Result<Vec<(String, f64)>> {
    let (alive, silent) = (purchasing.p_alive(""), purchasing.p_silent("", days));
    let row = job
        .work()
        .numbers(&format!(
            "SELECT var_pop(ln(greatest(alive, 1e-9))) AS alive, var_pop(ln(greatest((1 - silent) / greatest(alive, 1e-9), 1e-9))) AS rate
             FROM (SELECT {alive} AS alive, {silent} AS silent FROM histories) AS expected"
        ))
        .await?;
    let total = row.values().sum::<f64>().max(f64::MIN_POSITIVE);
    let share = |name: &str| row.get(name).copied().unwrap_or(0.0) / total;
    Ok(vec![
        (
            "how long the silence is, for such a customer".to_owned(),
            share("alive"),
        ),
        ("how often the customer bought".to_owned(), share("rate")),
    ])
}
