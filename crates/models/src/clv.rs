//! Customer lifetime value: purchases after BG/NBD, MBG/NBD or Pareto/NBD, whichever foretells the holdout best, times
//! the spend per purchase after gamma-gamma, in money of today.
//!
//! The baseline is the customer's own past rate: so many purchases a day as up to now. Low and high bound are what nine
//! of ten customers with a value like this one's came to in the holdout, relative to what was expected of them.

use crate::{
    Result, drift,
    families::{Family, Purchasing, every, fit_all, fit_spend},
    judge::{Fitted, InUse, Judgement, Measured, Scores},
    refresh::Job,
    registry::Parameter,
    source::{INPUTS, Source, check_currency, first_day, histories, purchases, split},
    work::{filled, number},
};

const SCORES: &str = include_str!("clv_scores.sql");
/// Beyond a year nobody has seen much of, and discounting makes little of it.
const HORIZON: i64 = 365;
const YEAR: f64 = 365.25;
/// Discounting does not look closer.
const STEP_DAYS: f64 = 92.0;
const BANDS: usize = 10;

pub(crate) async fn fit(job: &mut Job<'_>) -> Result<Fitted> {
    let definition = job.definition;
    let options = &definition.options;
    let horizon = options.days("horizon").unwrap_or(HORIZON);

    job.phase("reading the history")?;
    let source = Source::of(definition, job.work(), &purchases(definition)).await?;
    source.need(&["customer_id", "occurred_at", "amount"])?;
    check_currency(&source, job.work()).await?;
    let as_of = job.as_of(&source).await?;
    let rows = source.consenting(definition, job.work()).await?;
    let left_out = source.left_out(definition, job.work()).await?;
    let first = first_day(&rows, job.work()).await?.unwrap_or(as_of);
    let split = split(first, as_of, options.days("holdout"), horizon)?;
    histories(job.work(), &rows, split).await?;
    let customers = job.count("histories").await?;

    job.phase("fitting")?;
    let asked = options.word("family", "auto");
    let candidates = [Family::BgNbd, Family::MbgNbd, Family::ParetoNbd];
    let past = fit_all(job.work(), asked, &candidates, "past_", every(customers)).await?;

    job.phase("judging")?;
    let days = split.days() as f64;
    let in_use = job.in_use.as_ref().and_then(Purchasing::judged);
    let holdout = judged(job, &past, in_use.as_ref(), days).await?;
    let best = holdout.best;
    let (judgement, mut metrics) = holdout.told();
    let mut remarks = vec![];
    if past[best].family == Family::Nbd && asked != "nbd" {
        remarks.push(
            "no sign that customers stop: the model takes everybody to stay (NBD), and P(alive) is 1".to_owned(),
        );
    }

    // The same model once more, of all that is known now.
    let purchasing = match past[best].family.fit(job.work(), "", 1).await? {
        Some(purchasing) => purchasing,
        None => fit_all(job.work(), "auto", &candidates, "", 1)
            .await?
            .pop()
            .unwrap_or_else(|| past[best].clone()),
    };
    let spend = fit_spend(job.work(), "").await?;
    if spend.is_none() {
        remarks.push(
            "spend per purchase could not be told apart: the customer's own mean is taken"
                .to_owned(),
        );
    }
    let average = job
        .work()
        .numbers("SELECT avg(spend) AS spend, avg((repeats + 1)::double precision / (age + 30)) AS rate,
                         percentile_cont(0.8) WITHIN GROUP (ORDER BY repeats) AS often FROM histories")
        .await?;
    let average_spend = average.get("spend").copied().unwrap_or(1.0);
    let per_purchase = |prefix: &str| match &spend {
        Some(model) => format!(
            "gamma_gamma_expected_value({}, {}, {}, CASE WHEN {prefix}spend > 0 THEN {prefix}repeats ELSE 0 END, coalesce({prefix}spend, 0))",
            number(model["p"]),
            number(model["q"]),
            number(model["v"])
        ),
        None => format!("coalesce({prefix}spend, {})", number(average_spend)),
    };

    let bands = bands(
        job,
        &past[best].expected("past_", days),
        &per_purchase("past_"),
    )
    .await?;
    let money = job
        .work()
        .numbers(&format!(
            "SELECT avg(abs(expected - next_spend)) AS mae, sum(expected) / nullif(sum(next_spend), 0) AS total,
                    avg(abs(own - next_spend)) AS baseline
             FROM (SELECT {} * {} AS expected, next_spend,
                          coalesce(past_spend, {}) * coalesce(past_repeats / nullif(past_age, 0)::double precision, 0) * {days} AS own
                   FROM histories WHERE past_age IS NOT NULL) AS holdout",
            past[best].expected("past_", days),
            per_purchase("past_"),
            number(average_spend),
        ))
        .await?;
    let known = |name: &str| money.get(name).copied().unwrap_or(f64::NAN);
    metrics.push(Measured::of("spend_mae", known("mae")).beside(known("baseline")));
    metrics.push(Measured::of(
        "spend_total_foretold_of_actual",
        known("total"),
    ));

    job.phase("scoring")?;
    let discount = options.number("discount", 0.1);
    let (steps, value) = discounted(&purchasing, horizon as f64, discount);
    let p_alive = purchasing.p_alive("");
    let average_alive = job
        .work()
        .numbers(&format!("SELECT avg({p_alive}) AS alive FROM histories"))
        .await?;
    let inner = filled(
        SCORES,
        &[
            ("as_of", &as_of.to_string()),
            ("horizon", &horizon.to_string()),
            ("p_alive", &p_alive),
            ("purchases", &purchasing.expected("", horizon as f64)),
            ("steps", &steps),
            ("per_purchase", &per_purchase("")),
            ("value", &value),
            (
                "average_alive",
                &number(average_alive.get("alive").copied().unwrap_or(1.0).max(1e-6)),
            ),
            (
                "average_rate",
                &number(average.get("rate").copied().unwrap_or(1.0)),
            ),
            ("average_spend", &number(average_spend)),
            (
                "often",
                &number(average.get("often").copied().unwrap_or(0.0).max(1.0)),
            ),
            ("lows", &bands.lows),
            ("highs", &bands.highs),
        ],
    );
    let edges = job
        .work()
        .numbers(&format!(
            "SELECT percentile_cont(0.95) WITHIN GROUP (ORDER BY value) AS very_high,
                    percentile_cont(0.8) WITHIN GROUP (ORDER BY value) AS high,
                    percentile_cont(0.5) WITHIN GROUP (ORDER BY value) AS medium
             FROM (SELECT {value} AS value FROM (SELECT {steps}, {} AS per_purchase FROM histories) AS expected) AS valued",
            per_purchase("")
        ))
        .await?;
    let edge = |name: &str| number(edges.get(name).copied().unwrap_or(0.0));
    let scores = filled(
        &inner,
        &[
            ("very_high", &edge("very_high")),
            ("high", &edge("high")),
            ("medium", &edge("medium")),
        ],
    );

    let mut parameters = purchasing.kept();
    past[best].keep_judged(&mut parameters);
    if let Some(model) = &spend {
        for name in ["p", "q", "v"] {
            let parameter = Parameter {
                value: Some(model[name]),
                standard_error: model.get(&format!("{name}_standard_error")).copied(),
                text: None,
            };
            parameters.insert(name.to_owned(), parameter);
        }
    }
    parameters.insert("average_spend".to_owned(), Parameter::number(average_spend));
    parameters.insert("horizon_days".to_owned(), Parameter::number(horizon as f64));
    parameters.insert("discount".to_owned(), Parameter::number(discount));
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
    let importance = importance(job, &purchasing, &per_purchase("")).await?;
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

/// What came out of the holdout: the candidates, the baseline and the version in use, in columns by number.
struct Holdout {
    best: usize,
    names: Vec<&'static str>,
    row: std::collections::BTreeMap<String, f64>,
    has_in_use: bool,
}

async fn judged(
    job: &mut Job<'_>,
    candidates: &[Purchasing],
    in_use: Option<&Purchasing>,
    days: f64,
) -> Result<Holdout> {
    let mut expected = vec![format!(
        "coalesce(past_repeats / nullif(past_age, 0)::double precision, 0) * {days} AS e_own"
    )];
    let mut asked = vec!["count(*) AS n, sum(next_purchases) AS actual".to_owned()];
    let mut measured = vec!["own".to_owned()];
    for (n, candidate) in candidates.iter().enumerate() {
        expected.push(format!("{} AS e_{n}", candidate.expected("past_", days)));
        measured.push(n.to_string());
    }
    if let Some(in_use) = in_use {
        expected.push(format!("{} AS e_in_use", in_use.expected("past_", days)));
        measured.push("in_use".to_owned());
        for n in 0..candidates.len() {
            let better_by = format!("abs(e_{n} - next_purchases) - abs(e_in_use - next_purchases)");
            asked.push(format!(
                "avg({better_by}) AS better_{n}, stddev({better_by}) / sqrt(count(*)) AS better_error_{n}"
            ));
        }
    }
    for name in measured {
        asked.push(format!(
            "avg(abs(e_{name} - next_purchases)) AS mae_{name}, sqrt(avg(power(e_{name} - next_purchases, 2))) AS rmse_{name},
             sum(e_{name}) AS total_{name}"
        ));
    }
    let row = job
        .work()
        .numbers(&format!(
            "SELECT {} FROM (SELECT next_purchases, {} FROM histories WHERE past_age IS NOT NULL) AS holdout",
            asked.join(", "),
            expected.join(", ")
        ))
        .await?;
    let error = |n: &usize| {
        row.get(&format!("mae_{n}"))
            .copied()
            .unwrap_or(f64::INFINITY)
    };
    let best = (0..candidates.len()).min_by(|a, b| error(a).total_cmp(&error(b)));
    Ok(Holdout {
        best: best.unwrap_or(0),
        names: candidates
            .iter()
            .map(|candidate| candidate.family.name())
            .collect(),
        has_in_use: in_use.is_some(),
        row,
    })
}

impl Holdout {
    fn value(&self, what: &str, of: &str) -> f64 {
        self.row
            .get(&format!("{what}_{of}"))
            .copied()
            .unwrap_or(f64::NAN)
    }

    fn told(&self) -> (Judgement, Vec<Measured>) {
        let best = self.best.to_string();
        let in_use = |what: &str| self.has_in_use.then(|| self.value(what, "in_use"));
        let mut metrics = vec![];
        for (metric, what) in [("purchases_mae", "mae"), ("purchases_rmse", "rmse")] {
            metrics.push(Measured {
                in_use_value: in_use(what),
                ..Measured::of(metric, self.value(what, &best)).beside(self.value(what, "own"))
            });
        }
        let actual = self.row.get("actual").copied().unwrap_or(f64::NAN);
        let share = |of: &str| self.value("total", of) / actual;
        metrics.push(
            Measured::of("purchases_total_foretold_of_actual", share(&best)).beside(share("own")),
        );
        metrics.push(Measured::of("holdout_purchases", actual));
        metrics.push(Measured::of(
            "holdout_customers",
            self.row.get("n").copied().unwrap_or(f64::NAN),
        ));
        for (n, name) in self.names.iter().enumerate() {
            metrics.push(Measured::of(
                format!("purchases_mae_{name}"),
                self.value("mae", &n.to_string()),
            ));
        }
        let judgement = Judgement {
            metric: "purchases_mae",
            lower_is_better: true,
            value: self.value("mae", &best),
            baseline: "the customer's own past rate".to_owned(),
            baseline_value: self.value("mae", "own"),
            in_use: self.has_in_use.then(|| InUse {
                value: self.value("mae", "in_use"),
                better_by: Some((
                    self.value("better", &best),
                    self.value("better_error", &best),
                )),
            }),
        };
        (judgement, metrics)
    }
}

/// Expressions for purchases up to the ends of some steps, and for the value: what each step brings, in money of today.
fn discounted(purchasing: &Purchasing, horizon: f64, discount: f64) -> (String, String) {
    let n_steps = (horizon / STEP_DAYS).ceil().clamp(1.0, 20.0) as usize;
    let step = horizon / n_steps as f64;
    let factor = |n: usize| (1.0 + discount).powf(-(n as f64 + 0.5) * step / YEAR);
    let (mut ends, mut worth) = (vec![], vec![]);
    for n in 0..n_steps {
        let end = (n + 1) as f64 * step;
        ends.push(format!("{} AS step_{n}", purchasing.expected("", end)));
        let next = if n + 1 < n_steps { factor(n + 1) } else { 0.0 };
        worth.push(format!("step_{n} * {}", number(factor(n) - next)));
    }
    (
        ends.join(", "),
        format!("per_purchase * ({})", worth.join(" + ")),
    )
}

/// CASE branches that give a value its bounds, relative to it.
struct Bands {
    lows: String,
    highs: String,
}

async fn bands(job: &mut Job<'_>, purchases: &str, spend: &str) -> Result<Bands> {
    let rows = job
        .work()
        .ask(&format!(
            "SELECT min(expected) AS least,
                    percentile_cont(0.05) WITHIN GROUP (ORDER BY actual / expected) AS low,
                    percentile_cont(0.95) WITHIN GROUP (ORDER BY actual / expected) AS high
             FROM (SELECT expected, actual, ntile({BANDS}) OVER (ORDER BY expected) AS band
                   FROM (SELECT {purchases} * {spend} AS expected, next_spend AS actual
                         FROM histories WHERE past_age IS NOT NULL) AS holdout
                   WHERE expected > 0) AS banded
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
        // What lies below the lowest is like the lowest.
        let from = if n + 1 == rows.len() {
            f64::MIN
        } else {
            least[n]
        };
        lows.push_str(&format!(
            "WHEN value >= {} THEN {} ",
            number(from),
            number(low[n])
        ));
        highs.push_str(&format!(
            "WHEN value >= {} THEN {} ",
            number(from),
            number(high[n])
        ));
    }
    if lows.is_empty() {
        (lows, highs) = (
            "WHEN true THEN 0.0".to_owned(),
            "WHEN true THEN 2.0".to_owned(),
        );
    }
    Ok(Bands { lows, highs })
}

/// How much of the differences between customers goes back to what: shares of the variance of the logarithms.
async fn importance(
    job: &mut Job<'_>,
    purchasing: &Purchasing,
    per_purchase: &str,
) -> Result<Vec<(String, f64)>> {
    let row = job
        .work()
        .numbers(&format!(
            "SELECT var_pop(ln(greatest({}, 1e-6))) AS alive,
                    var_pop(ln((repeats + 1)::double precision / (age + 30))) AS rate,
                    var_pop(ln(greatest({per_purchase}, 1e-6))) AS spend FROM histories",
            purchasing.p_alive("")
        ))
        .await?;
    let total: f64 = row.values().sum();
    let names = [
        (
            "alive",
            "how long ago the last purchase was, for such a customer",
        ),
        ("rate", "how often"),
        ("spend", "how much a purchase"),
    ];
    let share = |name: &str| row.get(name).copied().unwrap_or(0.0) / total.max(f64::MIN_POSITIVE);
    Ok(names
        .iter()
        .map(|(name, words)| ((*words).to_owned(), share(name)))
        .collect())
}
