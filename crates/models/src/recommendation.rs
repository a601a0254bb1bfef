//! Recommendation: the items that each customer is likeliest to take next, of those that are new to them.
//!
//! `items` goes by what others took together (cosine), `als` by implicit factors; whichever foretells better what
//! customers took after the cut-off, by nDCG at 10. The baseline recommends to everybody what is most popular.
//!
//! The query answers `customer_id`, `item_id` and, where it is known, `occurred_at` and `strength`. Without one, items are
//! the products that customers bought within the window.

use std::{collections::HashMap, sync::Arc};

use arrow::{
    array::{
        Array, ArrayRef, AsArray, Date32Array, Float64Array, Int32Array, Int64Array, RecordBatch,
        StringArray,
    },
    compute::cast,
    datatypes::DataType,
};
use chrono::NaiveDate;
use rapport_stats::{
    als,
    interactions::Interactions,
    item_similarity::{self, ItemSimilarity, Measure},
    ranking,
    recommendation::{Recommendation, popular},
};

use crate::{
    Error, Result,
    judge::{Fitted, InUse, Judgement, Measured, Scores},
    refresh::Job,
    registry::{Parameter, Parameters},
    source::{Source, first_day, split},
    tabular::{batch_of, numbers_of},
    work::quoted,
};

const WINDOW: i64 = 365;
/// Days that are foretold.
const NEXT: i64 = 60;
const TOP: i64 = 10;
const K: usize = 10;
/// Neighbours of an item that are looked at.
const NEIGHBOURS: usize = 50;

/// Who had what: customers and items by number.
#[derive(Default)]
struct Known {
    customers: HashMap<String, u32>,
    items: HashMap<String, u32>,
    item_names: Vec<String>,
}

/// What recommends.
enum Recommender {
    Items(ItemSimilarity),
    Factors(Box<als::Als>),
}

pub(crate) async fn fit(job: &mut Job<'_>) -> Result<Fitted> {
    let definition = job.definition;
    let options = &definition.options;
    job.phase("reading the history")?;
    let events = options.word("events", "purchase");
    let history = format!(
        "SELECT customer_id, product_id AS item_id, occurred_at FROM interactions WHERE interaction_type = {} AND product_id IS NOT NULL",
        quoted(events)
    );
    let source = Source::of(definition, job.work(), &history).await?;
    source.need(&["customer_id", "item_id"])?;
    let has_time = source.column("occurred_at").is_some();
    let strength = if source.column("strength").is_some() {
        "sum(strength)"
    } else {
        "count(*)"
    };
    let rows = source.consenting(definition, job.work()).await?;
    let left_out = source.left_out(definition, job.work()).await?;
    let of = |filter: &str| {
        format!(
            "SELECT customer_id, item_id::text AS item_id, ({strength})::double precision AS strength FROM ({rows}) AS given
             WHERE item_id IS NOT NULL {filter} GROUP BY customer_id, item_id ORDER BY customer_id, item_id"
        )
    };
    let as_of;
    let (past, next, whole);
    let mut horizon = None;
    if has_time {
        as_of = job.as_of(&source).await?;
        let first = first_day(&rows, job.work()).await?.unwrap_or(as_of);
        let split = split(first, as_of, options.days("holdout"), NEXT)?;
        let window = options.days("window").unwrap_or(WINDOW);
        horizon = Some(split.days() as i32);
        let (cutoff, end) = (split.cutoff, split.as_of);
        past = of(&format!(
            "AND occurred_at >= DATE '{cutoff}' - {window} + 1 AND occurred_at < DATE '{cutoff}' + 1"
        ));
        next = of(&format!(
            "AND occurred_at >= DATE '{cutoff}' + 1 AND occurred_at < DATE '{end}' + 1"
        ));
        whole = of(&format!(
            "AND occurred_at >= DATE '{end}' - {window} + 1 AND occurred_at < DATE '{end}' + 1"
        ));
    } else {
        as_of = job.as_of_today();
        // A fifth of what each customer had, by checksum, is held back.
        let part = "abs(('x' || substr(md5(customer_id::text || ' ' || item_id::text), 1, 7))::bit(28)::integer) % 5";
        past = of(&format!("AND {part} <> 0"));
        next = of(&format!("AND {part} = 0"));
        whole = of("");
    }
    let mut known = Known::default();
    let past = known.read(job, &past).await?;
    let next = known.read(job, &next).await?;
    let whole = known.read(job, &whole).await?;
    let customers = known.customers.len() as u64;
    let (n_customers, n_items) = (known.customers.len(), known.items.len());
    let interactions =
        |entries: &[(u32, u32, f64)]| Interactions::new(n_customers, n_items, entries);
    let (past, next, whole) = (
        interactions(&past)?,
        interactions(&next)?,
        interactions(&whole)?,
    );
    if past.n_entries() < 100 || n_items < 3 {
        return Err(Error::Unfit {
            message: format!(
                "{} pairs of a customer and an item, of {n_items} items, are too few",
                past.n_entries()
            ),
            hint: "Look at what the model's query answers: customer_id and item_id.".to_owned(),
        });
    }

    job.phase("fitting")?;
    let cancel = job.cancel();
    let is_cancelled = move || cancel.is_cancelled();
    let asked = options.word("method", "auto").to_owned();
    let methods: Vec<&'static str> = ["items", "als"]
        .into_iter()
        .filter(|method| asked == "auto" || asked == *method)
        .collect();
    let mut tried = vec![];
    for method in methods {
        let recommender = Recommender::fit(method, &past, &is_cancelled)?;
        let lists: Vec<Vec<u32>> = (0..n_customers)
            .map(|customer| {
                match past.items(customer).is_empty() || next.items(customer).is_empty() {
                    true => vec![],
                    false => recommender
                        .of(customer, &past, K)
                        .into_iter()
                        .map(|found| found.item)
                        .collect(),
                }
            })
            .collect();
        tried.push((method, lists));
        tokio::task::yield_now().await;
    }

    job.phase("judging")?;
    // What was had before is not recommended, and does not count when it is taken again.
    let taken: Vec<Vec<u32>> = (0..n_customers)
        .map(|customer| {
            let had = past.items(customer);
            next.items(customer)
                .iter()
                .copied()
                .filter(|item| had.binary_search(item).is_err())
                .collect()
        })
        .collect();
    let popularity = past.popularity();
    let of_popularity: Vec<Vec<u32>> = (0..n_customers)
        .map(
            |customer| match past.items(customer).is_empty() || taken[customer].is_empty() {
                true => vec![],
                false => popular(&popularity, past.items(customer), K)
                    .into_iter()
                    .map(|found| found.item)
                    .collect(),
            },
        )
        .collect();
    let baseline = ranking::evaluate(&of_popularity, &taken, K)?;
    let mut metrics = vec![];
    let mut judged = vec![];
    for (method, lists) in &tried {
        let value = ranking::evaluate(lists, &taken, K)?;
        metrics.push(Measured::of(format!("ndcg_at_10_{method}"), value.ndcg));
        judged.push(value);
    }
    let best = (0..judged.len())
        .max_by(|a, b| judged[*a].ndcg.total_cmp(&judged[*b].ndcg))
        .unwrap_or(0);
    let (method, value) = (tried[best].0, judged[best]);
    // What recommends has no parameters to keep; the method in use learns anew from the same past.
    let in_use = job
        .in_use
        .as_ref()
        .and_then(|kept| kept.get("family")?.text.clone())
        .and_then(|family| tried.iter().position(|(method, _)| *method == family))
        .map(|at| judged[at].ndcg);
    metrics.extend([
        Measured {
            in_use_value: in_use,
            ..Measured::of("ndcg_at_10", value.ndcg).beside(baseline.ndcg)
        },
        Measured::of("precision_at_10", value.precision).beside(baseline.precision),
        Measured::of("recall_at_10", value.recall).beside(baseline.recall),
        Measured::of("holdout_customers", value.n_customers as f64),
    ]);
    let judgement = Judgement {
        metric: "ndcg_at_10",
        lower_is_better: false,
        value: value.ndcg,
        baseline: "recommending to everybody what is most popular".to_owned(),
        baseline_value: baseline.ndcg,
        in_use: in_use.map(|value| InUse {
            value,
            better_by: None,
        }),
    };
    let recommender = Recommender::fit(method, &whole, &is_cancelled)?;
    let reasons = match &recommender {
        Recommender::Items(_) => None,
        Recommender::Factors(_) => Some(item_similarity::fit(
            &whole,
            Measure::Cosine,
            NEIGHBOURS,
            &is_cancelled,
        )?),
    };

    job.phase("scoring")?;
    let top = options.whole("top").unwrap_or(TOP) as usize;
    let parameters = Parameters::from([
        ("family".to_owned(), Parameter::text(method)),
        ("items".to_owned(), Parameter::number(n_items as f64)),
        (
            "pairs".to_owned(),
            Parameter::number(whole.n_entries() as f64),
        ),
    ]);
    let scorer = Scorer {
        popularity: whole.popularity(),
        numbers: known.customers,
        names: known.item_names,
        whole,
        recommender,
        reasons,
        top,
        as_of,
        horizon,
    };
    Ok(Fitted {
        judgement,
        metrics,
        parameters,
        importance: vec![],
        customers,
        left_out,
        scores: Scores::Computed {
            query: format!("SELECT DISTINCT customer_id FROM ({rows}) AS given"),
            compute: Box::new(move |batch| scorer.score(batch)),
        },
        remarks: vec![],
        objection: None,
    })
}

impl Known {
    /// Numbers customers and items as they come.
    async fn read(&mut self, job: &mut Job<'_>, sql: &str) -> Result<Vec<(u32, u32, f64)>> {
        let mut entries = vec![];
        job.work()
            .each(sql, |batch| {
                let texts = |name: &str| {
                    let array = batch.column_by_name(name).expect("it was looked for");
                    cast(array, &DataType::Utf8).expect("numbers and texts")
                };
                let (customers, items) = (texts("customer_id"), texts("item_id"));
                let strengths = numbers_of(&batch, "strength")?;
                let (customers, items) = (customers.as_string::<i32>(), items.as_string::<i32>());
                for (n, strength) in strengths.into_iter().enumerate() {
                    let next = self.customers.len() as u32;
                    let customer = *self
                        .customers
                        .entry(customers.value(n).to_owned())
                        .or_insert(next);
                    let next = self.items.len() as u32;
                    let name = items.value(n);
                    let item = *self.items.entry(name.to_owned()).or_insert(next);
                    if item == next {
                        self.item_names.push(name.to_owned());
                    }
                    entries.push((customer, item, strength.max(0.0)));
                }
                Ok(())
            })
            .await?;
        Ok(entries)
    }
}

impl Recommender {
    fn fit(
        method: &str,
        past: &Interactions,
        is_cancelled: &(dyn Fn() -> bool + Sync),
    ) -> Result<Self> {
        Ok(match method {
            "items" => Self::Items(item_similarity::fit(
                past,
                Measure::Cosine,
                NEIGHBOURS,
                is_cancelled,
            )?),
            _ => Self::Factors(Box::new(als::fit(
                past,
                als::Settings::default(),
                is_cancelled,
            )?)),
        })
    }

    fn of(&self, customer: usize, past: &Interactions, n: usize) -> Vec<Recommendation> {
        match self {
            Self::Items(items) => items.recommend(past.items(customer), n),
            Self::Factors(factors) => {
                factors.recommend(factors.vector(customer), past.items(customer), n)
            }
        }
    }
}

struct Scorer {
    numbers: HashMap<String, u32>,
    names: Vec<String>,
    whole: Interactions,
    popularity: Vec<u32>,
    recommender: Recommender,
    reasons: Option<ItemSimilarity>,
    top: usize,
    as_of: NaiveDate,
    /// Days.
    horizon: Option<i32>,
}

impl Scorer {
    fn score(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let key = batch
            .column_by_name("customer_id")
            .expect("it was looked for");
        let texts = cast(key, &DataType::Utf8).expect("numbers and texts");
        let texts = texts.as_string::<i32>();
        let (mut rows, mut ranks, mut items, mut scores) = (vec![], vec![], vec![], vec![]);
        let mut reasons: [Vec<Option<String>>; 2] = Default::default();
        for row in 0..texts.len() {
            let Some(customer) = self
                .numbers
                .get(texts.value(row))
                .map(|customer| *customer as usize)
            else {
                continue;
            };
            let had = self.whole.items(customer);
            let mut found = self.recommender.of(customer, &self.whole, self.top);
            if found.len() < self.top {
                // Of whom too little is known, what is most popular.
                let more = popular(&self.popularity, had, self.top);
                let more = more
                    .into_iter()
                    .filter(|more| found.iter().all(|found| found.item != more.item));
                let more: Vec<Recommendation> = more.collect();
                found.extend(more);
                found.truncate(self.top);
            }
            for (n, found) in found.iter().enumerate() {
                rows.push(row as u64);
                ranks.push(n as i64 + 1);
                items.push(self.names[found.item as usize].as_str());
                scores.push(found.score);
                let similar = match (&self.recommender, &self.reasons) {
                    (Recommender::Items(items), _) => items.reason(had, found.item),
                    (_, Some(items)) => items.reason(had, found.item),
                    _ => None,
                };
                reasons[0].push(similar.map(|similar| {
                    format!(
                        "often taken by those who took {}",
                        self.names[similar.item as usize]
                    )
                }));
                reasons[1].push(Some(format!(
                    "taken by {} customers",
                    self.popularity[found.item as usize]
                )));
            }
        }
        let n = rows.len();
        let rows = arrow::array::UInt64Array::from(rows);
        let customers =
            arrow::compute::take(key, &rows, None).map_err(rapport_engine::Error::from)?;
        let days = self
            .as_of
            .signed_duration_since(NaiveDate::default())
            .num_days() as i32;
        let [first, second] =
            reasons.map(|reasons| Arc::new(StringArray::from(reasons)) as ArrayRef);
        batch_of(vec![
            ("customer_id", customers),
            ("rank", Arc::new(Int64Array::from(ranks))),
            ("item_id", Arc::new(StringArray::from(items))),
            ("as_of", Arc::new(Date32Array::from(vec![days; n]))),
            (
                "horizon_days",
                Arc::new(Int32Array::from(vec![self.horizon; n])),
            ),
            ("score", Arc::new(Float64Array::from(scores))),
            ("reason_1", first),
            ("reason_2", second),
            ("reason_3", Arc::new(StringArray::new_null(n))),
        ])
    }
}
