//! Segments: which customers are alike.
//!
//! Recency, frequency and money within a window, by default the last year. `rfm` gives scores of one to five and the
//! names that are usual; `kmeans` and `mixture` look for groups in ln(1 + x), brought to one scale. A segmentation is
//! judged by what it says of the time after: the share of the differences in the next period's spend, ln(1 + spend),
//! that go with the segment. The baseline takes everybody to be alike.

use crate::{
    Result, drift,
    judge::{Fitted, InUse, Judgement, Measured, Scores},
    refresh::Job,
    registry::{Parameter, Parameters},
    source::{Source, check_currency, first_day, purchases, split},
    work::{filled, number, quoted},
};

const FEATURES: &str = include_str!("segmentation_features.sql");
const WINDOW: i64 = 365;
/// The next period that a segmentation should say something of.
const NEXT: i64 = 90;
const TILES: usize = 5;
/// Numbers of clusters that are tried where none is asked for.
const MOST_CLUSTERS: usize = 8;

const NAMES: [&str; 3] = ["recency", "frequency", "monetary"];

/// How customers are told apart: an expression for the number of the segment, over columns of a table of features.
#[derive(Clone)]
struct Scheme {
    segment: String,
    name: String,
    p_segment: String,
    distance: String,
    kept: Parameters,
}

pub(crate) async fn fit(job: &mut Job<'_>) -> Result<Fitted> {
    let definition = job.definition;
    let options = &definition.options;
    let window = options.days("window").unwrap_or(WINDOW);
    let method = options.word("method", "rfm").to_owned();

    job.phase("reading the history")?;
    let source = Source::of(definition, job.work(), &purchases(definition)).await?;
    let has_features = NAMES.iter().all(|name| source.column(name).is_some());
    let (as_of, left_out);
    if has_features {
        source.once_each(job.work()).await?;
        as_of = job.as_of_today();
        let rows = source.consenting(definition, job.work()).await?;
        left_out = source.left_out(definition, job.work()).await?;
        // Halves of the customers, one to learn from and one to judge by: there is no time to split.
        job.work()
            .run(&format!(
                "CREATE TEMPORARY TABLE features AS SELECT customer_id, recency::double precision AS recency,
                     frequency::double precision AS frequency, monetary::double precision AS monetary FROM ({rows}) AS given
                 WHERE recency IS NOT NULL AND frequency IS NOT NULL AND monetary IS NOT NULL;
                 CREATE TEMPORARY TABLE halves AS
                 SELECT *, row_number() OVER (ORDER BY customer_id) % 2 AS half FROM features;
                 CREATE TEMPORARY TABLE past_features AS SELECT * FROM halves WHERE half = 0;
                 CREATE TEMPORARY TABLE held_features AS SELECT * FROM halves WHERE half = 1;"
            ))
            .await?;
    } else {
        source.need(&["customer_id", "occurred_at", "amount"])?;
        check_currency(&source, job.work()).await?;
        as_of = job.as_of(&source).await?;
        let rows = source.consenting(definition, job.work()).await?;
        left_out = source.left_out(definition, job.work()).await?;
        let first = first_day(&rows, job.work()).await?.unwrap_or(as_of);
        let split = split(first, as_of, options.days("holdout"), NEXT)?;
        for (table, day) in [("features", split.as_of), ("past_features", split.cutoff)] {
            let (day, window) = (day.to_string(), window.to_string());
            let values = [
                ("table", table),
                ("as_of", &day),
                ("window", &window),
                ("purchases", &rows),
            ];
            job.work().run(&filled(FEATURES, &values)).await?;
        }
        let (cutoff, end) = (split.cutoff, split.as_of);
        job.work()
            .run(&format!(
                "CREATE TEMPORARY TABLE next_spend AS SELECT customer_id, sum(amount)::double precision AS spend FROM ({rows}) AS purchases
                 WHERE occurred_at >= DATE '{cutoff}' + 1 AND occurred_at < DATE '{end}' + 1 GROUP BY customer_id"
            ))
            .await?;
    }
    let customers = job.count("features").await?;

    job.phase("fitting")?;
    let k = options.whole("segments").map(|k| k as usize);
    let past = scheme(job, &method, k, "past_features").await?;
    let now = scheme(job, &method, k, "features").await?;

    job.phase("judging")?;
    // What the version in use had learned when it was judged, and not yet seen what came then.
    let judged = job
        .in_use
        .as_ref()
        .and_then(|kept| serde_json::from_str(kept.get("judged")?.text.as_deref()?).ok());
    let in_use = judged.as_ref().and_then(stored);
    let metric = match has_features {
        true => "share_of_features_explained",
        false => "share_of_next_spend_explained",
    };
    let value = explained(job, &past, has_features).await?;
    let in_use_value = match &in_use {
        Some(scheme) => Some(explained(job, scheme, has_features).await?),
        None => None,
    };
    let judgement = Judgement {
        metric,
        lower_is_better: false,
        value,
        baseline: "taking everybody to be alike".to_owned(),
        baseline_value: 0.0,
        in_use: in_use_value.map(|value| InUse {
            value,
            better_by: None,
        }),
    };
    let mut metrics = vec![Measured {
        in_use_value,
        ..Measured::of(metric, value).beside(0.0)
    }];
    for (name, parameter) in &now.kept {
        if let (true, Some(value)) = (
            ["inertia", "silhouette", "bic", "segments"].contains(&name.as_str()),
            parameter.value,
        ) {
            metrics.push(Measured::of(name.clone(), value));
        }
    }
    let mut parameters = now.kept.clone();
    parameters.insert("window_days".to_owned(), Parameter::number(window as f64));
    parameters.insert("method".to_owned(), Parameter::text(&*method));
    let mut judged = past.kept.clone();
    judged.insert("method".to_owned(), Parameter::text(&*method));
    let judged = serde_json::to_string(&judged).expect("names are texts");
    parameters.insert("judged".to_owned(), Parameter::text(judged));
    let earlier = job.in_use.take();
    for name in NAMES {
        let moved = drift::of_column(
            job.work(),
            "features",
            name,
            name,
            earlier.as_ref(),
            &mut parameters,
        )
        .await?;
        metrics.extend(moved);
    }
    job.in_use = earlier;

    job.phase("scoring")?;
    let importance = importance(job, &now).await?;
    let scores = scores(&now, &as_of.to_string(), window);
    Ok(Fitted {
        judgement,
        metrics,
        parameters,
        importance,
        customers,
        left_out,
        scores: Scores::Query(scores),
        remarks: vec![],
        objection: None,
    })
}

/// Learns how to tell the customers of a table apart.
async fn scheme(job: &mut Job<'_>, method: &str, k: Option<usize>, table: &str) -> Result<Scheme> {
    match method {
        "rfm" => rfm(job, table).await,
        "kmeans" => kmeans(job, k, table).await,
        _ => mixture(job, k, table).await,
    }
}

async fn rfm(job: &mut Job<'_>, table: &str) -> Result<Scheme> {
    let tiles = TILES.to_string();
    let edges: Vec<String> = NAMES
        .iter()
        .map(|name| {
            let quantiles: Vec<String> = (1..TILES)
                .map(|n| {
                    format!(
                        "percentile_cont({}) WITHIN GROUP (ORDER BY {name}) AS {name}_{n}",
                        n as f64 / TILES as f64
                    )
                })
                .collect();
            quantiles.join(", ")
        })
        .collect();
    let row = job
        .work()
        .numbers(&format!("SELECT {} FROM {table}", edges.join(", ")))
        .await?;
    let mut kept = Parameters::new();
    for name in NAMES {
        for n in 1..TILES {
            let edge = row.get(&format!("{name}_{n}")).copied().unwrap_or(0.0);
            kept.insert(format!("edge_{name}_{n}"), Parameter::number(edge));
        }
    }
    kept.insert("tiles".to_owned(), Parameter::text(tiles));
    kept.insert("segments".to_owned(), Parameter::number(10.0));
    Ok(rfm_of(kept))
}

fn rfm_of(kept: Parameters) -> Scheme {
    let edges = |name: &str| {
        let edges: Vec<String> = (1..TILES)
            .map(|n| {
                kept.get(&format!("edge_{name}_{n}"))
                    .and_then(|edge| edge.value)
                    .unwrap_or(0.0)
            })
            .map(number)
            .collect();
        format!("ARRAY[{}]", edges.join(", "))
    };
    let scores = format!(
        "rfm_recency_score(recency, {}), rfm_score(frequency, {}), rfm_score(monetary, {})",
        edges("recency"),
        edges("frequency"),
        edges("monetary")
    );
    let name = format!("rfm_segment({scores})");
    let numbered: Vec<String> = RFM_NAMES
        .iter()
        .enumerate()
        .map(|(n, segment)| format!("WHEN {} THEN {}", quoted(segment), n + 1))
        .collect();
    Scheme {
        segment: format!("CASE {name} {} END", numbered.join(" ")),
        name,
        p_segment: "1::double precision".to_owned(),
        distance: "NULL::double precision".to_owned(),
        kept,
    }
}

/// From the best to the lost.
const RFM_NAMES: [&str; 10] = [
    "champions",
    "loyal",
    "promising",
    "new",
    "need attention",
    "about to sleep",
    "cannot lose",
    "at risk",
    "hibernating",
    "lost",
];

/// ln(1 + x), less the mean, by the deviation: expressions with the numbers in them.
async fn scaled(job: &mut Job<'_>, table: &str, kept: &mut Parameters) -> Result<()> {
    let asked: Vec<String> = NAMES
        .iter()
        .map(|name| {
            let x = logarithm(name);
            format!("avg({x}) AS mean_{name}, stddev_pop({x}) AS deviation_{name}")
        })
        .collect();
    let row = job
        .work()
        .numbers(&format!("SELECT {} FROM {table}", asked.join(", ")))
        .await?;
    for name in NAMES {
        let mean = row.get(&format!("mean_{name}")).copied().unwrap_or(0.0);
        let deviation = row
            .get(&format!("deviation_{name}"))
            .copied()
            .unwrap_or(0.0);
        kept.insert(format!("mean_{name}"), Parameter::number(mean));
        let deviation = if deviation > 0.0 { deviation } else { 1.0 };
        kept.insert(format!("deviation_{name}"), Parameter::number(deviation));
    }
    Ok(())
}

fn logarithm(name: &str) -> String {
    format!("ln(1 + greatest({name}, 0))")
}

fn features(kept: &Parameters) -> Vec<String> {
    let known = |key: String| {
        kept.get(&key)
            .and_then(|parameter| parameter.value)
            .unwrap_or(1.0)
    };
    NAMES
        .iter()
        .map(|name| {
            let (mean, deviation) = (
                known(format!("mean_{name}")),
                known(format!("deviation_{name}")),
            );
            format!(
                "(({}) - {}) / {}",
                logarithm(name),
                number(mean),
                number(deviation)
            )
        })
        .collect()
}

async fn kmeans(job: &mut Job<'_>, k: Option<usize>, table: &str) -> Result<Scheme> {
    let mut kept = Parameters::new();
    scaled(job, table, &mut kept).await?;
    let columns = features(&kept).join(", ");
    let tried: Vec<usize> = match k {
        Some(k) => vec![k],
        None => (3..=MOST_CLUSTERS).collect(),
    };
    let mut best: Option<(f64, Vec<Vec<f64>>, f64)> = None;
    for k in tried {
        let rows = job
            .work()
            .ask(&format!(
                "SELECT (model).inertia AS inertia, array_to_json((model).centres)::text AS centres
                 FROM (SELECT kmeans_fit({k}, {columns}) AS model FROM {table}) AS fitted"
            ))
            .await?;
        let centres = rows.texts("centres").pop().flatten().unwrap_or_default();
        let centres: Vec<Vec<f64>> = serde_json::from_str(&centres).unwrap_or_default();
        let inertia = rows.numbers("inertia").first().copied().unwrap_or(f64::NAN);
        let assigned = assign(&centres, &columns);
        let row = job
            .work()
            .numbers(&format!(
                "SELECT silhouette({assigned}, {columns}) AS silhouette FROM {table}"
            ))
            .await?;
        let silhouette = row.get("silhouette").copied().unwrap_or(-1.0);
        if best.as_ref().is_none_or(|best| silhouette > best.2) {
            best = Some((inertia, centres, silhouette));
        }
    }
    let (inertia, centres, silhouette) = best.unwrap_or_default();
    kept.insert("inertia".to_owned(), Parameter::number(inertia));
    kept.insert("silhouette".to_owned(), Parameter::number(silhouette));
    kept.insert(
        "segments".to_owned(),
        Parameter::number(centres.len() as f64),
    );
    kept.insert(
        "centres".to_owned(),
        Parameter::text(serde_json::to_string(&centres).expect("numbers")),
    );
    Ok(kmeans_of(kept, &centres))
}

fn literal(rows: &[Vec<f64>]) -> String {
    let rows: Vec<String> = rows
        .iter()
        .map(|row| {
            let values: Vec<String> = row.iter().map(|value| number(*value)).collect();
            format!("ARRAY[{}]", values.join(", "))
        })
        .collect();
    format!("ARRAY[{}]", rows.join(", "))
}

fn assign(centres: &[Vec<f64>], columns: &str) -> String {
    format!("kmeans_assign({}, ARRAY[{columns}])", literal(centres))
}

fn kmeans_of(kept: Parameters, centres: &[Vec<f64>]) -> Scheme {
    let columns = features(&kept);
    let segment = assign(centres, &columns.join(", "));
    let distances: Vec<String> = centres
        .iter()
        .enumerate()
        .map(|(n, centre)| {
            let squares: Vec<String> = columns
                .iter()
                .zip(centre)
                .map(|(x, c)| format!("power({x} - {}, 2)", number(*c)))
                .collect();
            format!("WHEN {} THEN sqrt({})", n + 1, squares.join(" + "))
        })
        .collect();
    Scheme {
        name: named(&segment, centres),
        distance: format!("CASE {segment} {} END", distances.join(" ")),
        p_segment: "1::double precision".to_owned(),
        segment,
        kept,
    }
}

async fn mixture(job: &mut Job<'_>, k: Option<usize>, table: &str) -> Result<Scheme> {
    let mut kept = Parameters::new();
    scaled(job, table, &mut kept).await?;
    let columns = features(&kept).join(", ");
    let tried: Vec<usize> = match k {
        Some(k) => vec![k],
        None => (2..=MOST_CLUSTERS).collect(),
    };
    let mut best: Option<(f64, [String; 3])> = None;
    for k in tried {
        let rows = job
            .work()
            .ask(&format!(
                "SELECT (model).bic AS bic, array_to_json((model).weights)::text AS weights, array_to_json((model).means)::text AS means,
                     array_to_json((model).covariances)::text AS covariances
                 FROM (SELECT gmm_fit({k}, {columns}) AS model FROM {table}) AS fitted"
            ))
            .await?;
        let bic = rows
            .numbers("bic")
            .first()
            .copied()
            .unwrap_or(f64::INFINITY);
        let text = |name: &str| {
            rows.texts(name)
                .pop()
                .flatten()
                .unwrap_or_else(|| "[]".to_owned())
        };
        if best.as_ref().is_none_or(|best| bic < best.0) {
            best = Some((bic, [text("weights"), text("means"), text("covariances")]));
        }
    }
    let (bic, [weights, means, covariances]) = best.unwrap_or_default();
    kept.insert("bic".to_owned(), Parameter::number(bic));
    kept.insert("weights".to_owned(), Parameter::text(weights));
    kept.insert("means".to_owned(), Parameter::text(means));
    kept.insert("covariances".to_owned(), Parameter::text(covariances));
    Ok(mixture_of(kept))
}

fn mixture_of(mut kept: Parameters) -> Scheme {
    let read = |name: &str| -> Vec<Vec<f64>> {
        let text = kept
            .get(name)
            .and_then(|parameter| parameter.text.clone())
            .unwrap_or_default();
        serde_json::from_str(&text).unwrap_or_default()
    };
    let weights = kept
        .get("weights")
        .and_then(|parameter| parameter.text.clone())
        .unwrap_or_default();
    let weights: Vec<f64> = serde_json::from_str(&weights).unwrap_or_default();
    let (means, covariances) = (read("means"), read("covariances"));
    let columns = features(&kept);
    let weights: Vec<String> = weights.iter().map(|weight| number(*weight)).collect();
    let model = format!(
        "ARRAY[{}], {}, {}, ARRAY[{}]",
        weights.join(", "),
        literal(&means),
        literal(&covariances),
        columns.join(", ")
    );
    let segment = format!("gmm_assign({model})");
    kept.insert("segments".to_owned(), Parameter::number(means.len() as f64));
    Scheme {
        name: named(&segment, &means),
        p_segment: format!("list_max(gmm_probabilities({model}))"),
        distance: "NULL::double precision".to_owned(),
        segment,
        kept,
    }
}

/// Names by what sets a centre apart, in standard deviations: `recent, frequent, high spend`.
fn named(segment: &str, centres: &[Vec<f64>]) -> String {
    let words = [
        ("recent", "long away"),
        ("frequent", "seldom"),
        ("high spend", "low spend"),
    ];
    let mut used: Vec<String> = vec![];
    let names: Vec<String> = centres
        .iter()
        .enumerate()
        .map(|(n, centre)| {
            let mut said: Vec<&str> = vec![];
            for (axis, (value, (good, bad))) in centre.iter().zip(words).enumerate() {
                // Few days since the last purchase are recent.
                let value = if axis == 0 { -value } else { *value };
                match value {
                    value if value > 0.5 => said.push(good),
                    value if value < -0.5 => said.push(bad),
                    _ => {}
                }
            }
            let name = match said.as_slice() {
                [] => "average".to_owned(),
                said => said.join(", "),
            };
            used.push(name.clone());
            let nth = used.iter().filter(|used| **used == name).count();
            let name = if nth > 1 {
                format!("{name} ({nth})")
            } else {
                name
            };
            format!("WHEN {} THEN {}", n + 1, quoted(&name))
        })
        .collect();
    format!("CASE {segment} {} END", names.join(" "))
}

/// The scheme of a version that was kept.
fn stored(kept: &Parameters) -> Option<Scheme> {
    match kept.get("method")?.text.as_deref()? {
        "rfm" => Some(rfm_of(kept.clone())),
        "kmeans" => {
            let centres =
                serde_json::from_str::<Vec<Vec<f64>>>(kept.get("centres")?.text.as_deref()?)
                    .ok()?;
            Some(kmeans_of(kept.clone(), &centres))
        }
        _ => Some(mixture_of(kept.clone())),
    }
}

/// Share of the variance of what came next that lies between segments and not within them; where no time is known, of
/// the features themselves.
async fn explained(job: &mut Job<'_>, scheme: &Scheme, of_features: bool) -> Result<f64> {
    let segment = &scheme.segment;
    let (targets, from): (Vec<String>, &str) = match of_features {
        true => (
            NAMES.iter().map(|name| logarithm(name)).collect(),
            "held_features",
        ),
        false => (
            vec!["ln(1 + greatest(coalesce(spend, 0), 0))".to_owned()],
            "past_features LEFT JOIN next_spend USING (customer_id)",
        ),
    };
    let mut shares = vec![];
    for target in targets {
        let row = job
            .work()
            .numbers(&format!(
                "SELECT 1 - sum(within) / nullif(max(total), 0) AS share FROM (
                     SELECT var_pop(y) * count(*) AS within, max(whole) AS total FROM (
                         SELECT {segment} AS segment, {target} AS y, var_pop({target}) OVER () * count(*) OVER () AS whole FROM {from}
                     ) AS seen GROUP BY segment
                 ) AS groups"
            ))
            .await?;
        shares.push(row.get("share").copied().unwrap_or(0.0));
    }
    Ok(shares.iter().sum::<f64>() / shares.len() as f64)
}

/// How far the segments go apart in each feature: shares of the explained variance.
async fn importance(job: &mut Job<'_>, scheme: &Scheme) -> Result<Vec<(String, f64)>> {
    let mut shares = vec![];
    for name in NAMES {
        let (segment, x) = (&scheme.segment, logarithm(name));
        let row = job
            .work()
            .numbers(&format!(
                "SELECT 1 - sum(within) / nullif(max(total), 0) AS share FROM (
                     SELECT var_pop(x) * count(*) AS within, max(whole) AS total FROM (
                         SELECT {segment} AS segment, {x} AS x, var_pop({x}) OVER () * count(*) OVER () AS whole FROM features
                     ) AS seen GROUP BY segment
                 ) AS groups"
            ))
            .await?;
        shares.push((name.to_owned(), row.get("share").copied().unwrap_or(0.0)));
    }
    let total: f64 = shares.iter().map(|(_, share)| share).sum();
    for (_, share) in &mut shares {
        *share /= total.max(f64::MIN_POSITIVE);
    }
    Ok(shares)
}

fn scores(scheme: &Scheme, as_of: &str, window: i64) -> String {
    let Scheme {
        segment,
        name,
        p_segment,
        distance,
        ..
    } = scheme;
    format!(
        "SELECT customer_id, DATE '{as_of}' AS as_of, {window} AS horizon_days, ({segment})::bigint AS segment, {name} AS segment_name,
             {p_segment} AS p_segment, {distance} AS distance, recency AS recency_days, frequency, monetary,
             'last purchase ' || recency::bigint || ' days ago, ' || CASE WHEN recency <= middle_recency THEN 'sooner' ELSE 'longer' END
                 || ' than the middle of all (' || middle_recency::bigint || ')' AS reason_1,
             'bought on ' || frequency::bigint || CASE WHEN frequency = 1 THEN ' day' ELSE ' days' END || ', the middle of all is ' || middle_frequency::bigint AS reason_2,
             'spent ' || round(monetary::numeric, 2) || ', the middle of all is ' || round(middle_monetary::numeric, 2) AS reason_3
         FROM features, (
             SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY recency) AS middle_recency,
                 percentile_cont(0.5) WITHIN GROUP (ORDER BY frequency) AS middle_frequency,
                 percentile_cont(0.5) WITHIN GROUP (ORDER BY monetary) AS middle_monetary
             FROM features) AS middle"
    )
}
