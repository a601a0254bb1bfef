//! One refresh, from the lease to the publication.
//!
//! What is fitted is first kept beside what is in use: its scores in `…_history`, its numbers in the schema `models`.
//! Publishing puts them in the place of those that are read, in one commit of the score table, which lands only while
//! the lease is still ours.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use arrow::{
    array::{Int64Array, RecordBatch, StringArray},
    datatypes::{DataType, Field, FieldRef, Schema},
};
use chrono::{NaiveDate, NaiveTime, TimeDelta, Utc};
use futures::future::BoxFuture;
use rapport_engine::Cancel;
use rapport_lake::{Lease, TableName, Taken};
use tracing::{info, warn};

use crate::{
    Error, Models, Progress, Result, churn, clv, drift,
    judge::{Fitted, Judgement, Measured, Scores},
    options::Kind,
    recommendation,
    registry::{self, Definition, Parameter, Parameters, own_work},
    segmentation,
    source::Source,
    uplift,
    work::{Work, number, quoted, quoted_or_null},
};

/// Phases of every refresh.
pub(crate) const PHASES: [&str; 6] = [
    "reading the history",
    "fitting",
    "judging",
    "scoring",
    "publishing",
    "done",
];
/// How often a commit that somebody else's came before is tried again.
const ATTEMPTS: usize = 20;
/// Versions whose scores are kept: of those that were published, and of those that were refused.
const KEPT: i64 = 5;
/// Bytes that a customer takes while a model is fitted, at most: features, sums, a sort.
const BYTES_PER_CUSTOMER: u64 = 400;

/// What a type's fit is given.
pub(crate) struct Job<'a> {
    pub definition: &'a Definition,
    /// Of the version in use.
    pub in_use: Option<Parameters>,
    work: &'a mut Work,
    asked: Option<NaiveDate>,
    as_of: Option<NaiveDate>,
    /// What is to be said beside the judgement.
    remarks: Vec<String>,
    said: &'a Said<'a>,
    limit_bytes: u64,
}

/// What is said of the refresh while it runs.
pub(crate) struct Said<'a> {
    model: &'a str,
    tell: &'a (dyn Fn(Progress) + Send + Sync),
    now: Mutex<Progress>,
    since: Instant,
    /// How long the last run of the model took.
    usual: Option<Duration>,
}

/// What came of a refresh.
#[derive(Clone, Debug)]
pub(crate) struct Refreshed {
    pub version: i64,
    pub customers: u64,
    pub left_out: u64,
    pub seconds: f64,
    pub judgement: Judgement,
    pub is_published: bool,
    pub why: String,
    pub remarks: Vec<String>,
}

impl Job<'_> {
    pub fn work(&mut self) -> &mut Work {
        self.work
    }

    pub fn phase(&mut self, phase: &'static str) -> Result<()> {
        self.said.phase(phase, None);
        Ok(())
    }

    /// The day up to which the model knows anything: what was asked for, or the newest that is there.
    pub async fn as_of(&mut self, source: &Source) -> Result<NaiveDate> {
        let newest = source
            .newest_day(self.work, Utc::now().date_naive())
            .await?;
        let as_of = self.asked.unwrap_or(newest);
        if as_of > newest {
            self.remarks.push(format!(
                "the history ends on {newest}: the {} days from then to {as_of} count as silence",
                (as_of - newest).num_days()
            ));
        }
        self.as_of = Some(as_of);
        Ok(as_of)
    }

    /// The same where the model's query knows no time: the day that was asked for, or today.
    pub fn as_of_today(&mut self) -> NaiveDate {
        let as_of = self.asked.unwrap_or_else(|| Utc::now().date_naive());
        self.as_of = Some(as_of);
        as_of
    }

    /// Told when the refresh is to end.
    pub fn cancel(&self) -> Cancel {
        self.work.cancel()
    }

    /// How many customers a table has, if so many can be fitted.
    pub async fn count(&mut self, table: &str) -> Result<u64> {
        let counted = self
            .work
            .numbers(&format!("SELECT count(*) AS n FROM {table}"))
            .await?;
        let n_customers = counted.get("n").copied().unwrap_or(0.0) as u64;
        let needed_bytes = n_customers * BYTES_PER_CUSTOMER;
        if needed_bytes > self.limit_bytes {
            return Err(Error::TooBig {
                n_customers,
                needed_bytes,
                limit_bytes: self.limit_bytes,
            });
        }
        self.said.rows(n_customers);
        Ok(n_customers)
    }
}

impl<'a> Said<'a> {
    fn new(
        model: &'a str,
        tell: &'a (dyn Fn(Progress) + Send + Sync),
        usual: Option<Duration>,
    ) -> Self {
        let first = Progress {
            left: usual,
            ..Progress::first(model)
        };
        Self {
            model,
            tell,
            now: Mutex::new(first),
            since: Instant::now(),
            usual,
        }
    }

    fn phase(&self, phase: &'static str, rows: Option<u64>) {
        let at = PHASES.iter().position(|known| *known == phase).unwrap_or(0);
        info!(model = self.model, phase, "refreshing");
        self.change(|now| {
            now.phase = phase;
            now.done = at as u32;
            now.rows = rows.or(now.rows);
        });
    }

    fn rows(&self, rows: u64) {
        self.change(|now| now.rows = Some(rows));
    }

    fn change(&self, change: impl FnOnce(&mut Progress)) {
        let told = {
            let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
            change(&mut now);
            let spent = self.since.elapsed();
            now.left = match (self.usual, now.done) {
                (_, done) if done + 1 == PHASES.len() as u32 => None,
                (Some(usual), _) => Some(usual.saturating_sub(spent)),
                (None, 0) => None,
                (None, done) => Some(spent / done * (now.total - done)),
            };
            now.clone()
        };
        (self.tell)(told);
    }
}

impl Models {
    /// Refreshes one model, unless somebody else does.
    pub(crate) async fn refresh(
        &self,
        definition: &Definition,
        asked: Option<NaiveDate>,
        tell: &(dyn Fn(Progress) + Send + Sync),
        cancel: &Cancel,
    ) -> Result<Refreshed> {
        let lease = self.take(&definition.model).await?;
        let token = lease.token();
        let now = Arc::new(Mutex::new(Progress::first(&definition.model)));
        let beating = self.beat(lease, now.clone());
        let told = move |progress: Progress| {
            *now.lock().unwrap_or_else(PoisonError::into_inner) = progress.clone();
            tell(progress);
        };
        // Its state is big, and would be carried by each of its callers.
        let done = Box::pin(self.refresh_holding(definition, token, asked, &told, cancel)).await;
        beating.end().await;
        done
    }

    /// The same for whoever holds the lease already, and keeps it up.
    pub(crate) async fn refresh_holding(
        &self,
        definition: &Definition,
        token: i64,
        asked: Option<NaiveDate>,
        tell: &(dyn Fn(Progress) + Send + Sync),
        cancel: &Cancel,
    ) -> Result<Refreshed> {
        let mut own = own_work(&self.warehouse, cancel)?;
        let run = uuid::Uuid::new_v4();
        let usual = usual(&mut own, &definition.model).await?;
        let said = Said::new(&definition.model, tell, usual);
        let started = Instant::now();
        let done = async {
            self.fence(definition, token).await?;
            begin_run(&mut own, definition, token, run).await?;
            let mut run_of = Run {
                models: self,
                definition,
                own: &mut own,
                token,
                run,
                started,
            };
            // Boxed, or the future of a refresh is too deep for the compiler.
            let going: BoxFuture<'_, Result<Refreshed>> = Box::pin(run_of.go(asked, &said, cancel));
            going.await
        }
        .await;
        if let Err(error) = &done {
            // A cancelled statement's session does nothing any more.
            match own_work(&self.warehouse, &Cancel::default()) {
                Ok(mut own) => end_run(&mut own, run, error, started.elapsed()).await,
                Err(error) => warn!(%error, "a failed run could not be noted"),
            }
        }
        done
    }

    pub(crate) async fn take(&self, model: &str) -> Result<Lease> {
        let lake = self.warehouse.lake();
        match lake
            .lease(&lease_of(model), &self.who, self.limits.lease)
            .await?
        {
            Taken::Mine(lease) => Ok(lease),
            Taken::Held(holder) => Err(Error::Busy {
                model: model.to_owned(),
                holder: format!(
                    "{} (process {} on {}) since {}",
                    holder.who,
                    holder.pid,
                    holder.host,
                    holder.since.format("%Y-%m-%d %H:%M:%S UTC")
                ),
            }),
        }
    }

    /// From now on nobody with an older token publishes to the tables.
    pub(crate) async fn fence(&self, definition: &Definition, token: i64) -> Result<()> {
        for name in [definition.score_table(), definition.history_table()] {
            let table = self.warehouse.lake().table(&name).await?;
            table.fence(&app_id(&definition.model), token).await?;
        }
        Ok(())
    }

    /// Says often enough that we are still there, and what we do.
    fn beat(&self, lease: Lease, now: Arc<Mutex<Progress>>) -> Beating {
        let (stop, mut stopped) = tokio::sync::oneshot::channel::<()>();
        let every = self.limits.lease / 6;
        let task = tokio::spawn(async move {
            loop {
                let said = now.lock().unwrap_or_else(PoisonError::into_inner).to_json();
                match lease.beat(said.as_bytes()).await {
                    Ok(()) => {}
                    // The fence keeps us from publishing; there is nothing to be given back.
                    Err(error @ rapport_lake::Error::LeaseLost { .. }) => {
                        warn!(%error, "a refresh was overtaken");
                        let _ = stopped.await;
                        return;
                    }
                    Err(error) => warn!(%error, "a lease could not be kept up"),
                }
                tokio::select! {
                    _ = &mut stopped => break,
                    () = tokio::time::sleep(every) => {}
                }
            }
            released(lease).await;
        });
        Beating { stop, task }
    }
}

struct Beating {
    stop: tokio::sync::oneshot::Sender<()>,
    task: tokio::task::JoinHandle<()>,
}

impl Beating {
    async fn end(self) {
        let _ = self.stop.send(());
        let _ = self.task.await;
    }
}

pub(crate) async fn released(lease: Lease) {
    if let Err(error) = lease.release().await {
        warn!(%error, "a lease could not be released; it ends by itself");
    }
}

/// The lease of whoever refreshes a model, changes which version is in use, replaces or drops it.
pub(crate) fn lease_of(model: &str) -> String {
    format!("model.{model}")
}

/// Names the leases of a model in the log of its score table.
fn app_id(model: &str) -> String {
    format!("rapport.model.{model}")
}

struct Run<'a> {
    models: &'a Models,
    definition: &'a Definition,
    own: &'a mut Work,
    token: i64,
    run: uuid::Uuid,
    started: Instant,
}

impl Run<'_> {
    async fn go(
        &mut self,
        asked: Option<NaiveDate>,
        said: &Said<'_>,
        cancel: &Cancel,
    ) -> Result<Refreshed> {
        let definition = self.definition;
        let version = next_version(self.own, &definition.model).await?;
        if let Some(day) = asked.filter(|day| *day > Utc::now().date_naive()) {
            return Err(Error::Invalid {
                message: format!("{day} is in the future"),
                hint: "AS OF names a day up to which the history is known.".to_owned(),
            });
        }
        let mut in_use = match definition.version {
            Some(version) => {
                Some(registry::parameters(self.own, &definition.model, version).await?)
            }
            None => None,
        };
        let made_of = Parameter::text(definition.fingerprint());
        let is_changed = in_use
            .as_ref()
            .is_some_and(|known| known.get("definition") != Some(&made_of));
        if is_changed {
            in_use = None;
        }
        let limits = self.models.warehouse.limits();
        // Its temporary tables go with it.
        let mut work = own_work(&self.models.warehouse, cancel)?;
        let mut job = Job {
            definition,
            in_use,
            work: &mut work,
            asked,
            as_of: None,
            remarks: vec![],
            said,
            limit_bytes: limits.query_memory_bytes as u64,
        };
        let mut fitted = match definition.kind {
            Kind::Clv => clv::fit(&mut job).await?,
            Kind::Churn => churn::fit(&mut job).await?,
            Kind::Segmentation => segmentation::fit(&mut job).await?,
            Kind::Uplift => uplift::fit(&mut job).await?,
            Kind::Recommendation => recommendation::fit(&mut job).await?,
        };
        let as_of = job.as_of.unwrap_or_else(|| Utc::now().date_naive());
        let in_use = job.in_use.take();
        fitted.remarks.append(&mut job.remarks);
        if is_changed {
            fitted.remarks.push(
                "the model is another one since the version in use, which is not compared"
                    .to_owned(),
            );
        }
        fitted.parameters.insert("definition".to_owned(), made_of);
        keep_scores(
            &mut work,
            definition,
            self.token,
            version,
            &mut fitted.scores,
        )
        .await?;
        watch_scores(&mut work, definition, version, in_use.as_ref(), &mut fitted).await?;
        for metric in &fitted.metrics {
            if metric.metric.starts_with("drift_") && metric.value >= drift::MUCH {
                let what = metric.metric.trim_start_matches("drift_").replace('_', " ");
                fitted.remarks.push(format!(
                    "{what}: drifted since the version in use (PSI {:.2})",
                    metric.value
                ));
            }
        }

        said.phase("publishing", Some(fitted.customers));
        let objection = fitted
            .objection
            .clone()
            .or_else(|| fitted.judgement.objection());
        let is_published = objection.is_none();
        let why = objection.unwrap_or_else(|| fitted.judgement.praise());
        let seconds = self.started.elapsed().as_secs_f64();
        self.publish(version, as_of, &fitted, is_published, &why, seconds)
            .await?;
        said.phase("done", Some(fitted.customers));
        info!(
            model = definition.model,
            version,
            n_customers = fitted.customers,
            is_published,
            seconds,
            "refreshed"
        );
        Ok(Refreshed {
            version,
            customers: fitted.customers,
            left_out: fitted.left_out,
            seconds,
            judgement: fitted.judgement,
            is_published,
            why,
            remarks: fitted.remarks,
        })
    }

    /// One transaction: the version's numbers, and its scores in the place of those in use if it is published.
    async fn publish(
        &mut self,
        version: i64,
        as_of: NaiveDate,
        fitted: &Fitted,
        is_published: bool,
        why: &str,
        seconds: f64,
    ) -> Result<()> {
        let definition = self.definition;
        let mut sql = noted(
            definition,
            version,
            as_of,
            fitted,
            is_published,
            why,
            seconds,
        );
        sql.push_str(&format!(
            "UPDATE models.runs SET finished_at = now(), status = '{}', version = {version}, as_of = DATE '{as_of}',
                 phase = 'done', customers = {}, left_out = {}, seconds = {}, message = {} WHERE run = '{}';",
            if is_published { "published" } else { "refused" },
            fitted.customers,
            fitted.left_out,
            number(seconds),
            quoted(why),
            self.run,
        ));
        if is_published {
            sql.push_str(&in_use_now(definition, version, "", None));
        }
        sql.push_str(&outlived(definition));
        let table = definition.score_table();
        match commit(self.own, definition, &table, self.token, &sql).await {
            Err(error) if !self.has_landed().await => Err(error),
            _ => Ok(()),
        }
    }

    /// Whether a publication whose commit failed has become visible all the same: what was begun is finished.
    async fn has_landed(&mut self) -> bool {
        if let Err(error) = self.models.warehouse.lake().finish_journals().await {
            warn!(%error, "it is not known whether a version is published");
            return false;
        }
        let sql = format!(
            "SELECT version FROM models.runs WHERE run = '{}' AND status IN ('published', 'refused')",
            self.run
        );
        let told = self.own.ask(&sql).await;
        told.is_ok_and(|rows| rows.len() > 0)
    }
}

/// Commits statements under the fence of a table; tries again where another model's commit came first.
pub(crate) async fn commit(
    own: &mut Work,
    definition: &Definition,
    table: &TableName,
    token: i64,
    sql: &str,
) -> Result<()> {
    for attempt in 1.. {
        match commit_once(own, definition, table, token, async |own| {
            own.run(sql).await
        })
        .await
        {
            Err(Error::Engine(rapport_engine::Error::Conflict { .. })) if attempt < ATTEMPTS => {
                tokio::time::sleep(Duration::from_millis(20 * attempt as u64)).await;
            }
            done => return done,
        }
    }
    unreachable!("the last attempt returns")
}

/// Commits what is done to a table, and whatever else, unless somebody with a newer token has taken the table over.
async fn commit_once<T>(
    own: &mut Work,
    definition: &Definition,
    table: &TableName,
    token: i64,
    work: impl AsyncFnOnce(&mut Work) -> Result<T>,
) -> Result<()> {
    own.begin()?;
    let done = async {
        work(own).await?;
        let app_id = app_id(&definition.model);
        own.session().fence(table, &app_id, token).await?;
        own.commit().await
    }
    .await;
    let Err(error) = done else { return Ok(()) };
    own.roll_back().await;
    Err(match error {
        Error::Engine(rapport_engine::Error::Lake(rapport_lake::Error::Fenced { .. }))
        | Error::Lake(rapport_lake::Error::Fenced { .. }) => Error::Overtaken {
            model: definition.model.clone(),
        },
        error => error,
    })
}

/// Statements that make a version the one in use, of customers for whom the condition `consenting` holds.
pub(crate) fn in_use_now(
    definition: &Definition,
    version: i64,
    consenting: &str,
    by: Option<(&str, Option<&str>)>,
) -> String {
    let model = quoted(&definition.model);
    let published_by = quoted_or_null(by.map(|(role, _)| role));
    let because = match by.and_then(|(_, because)| because) {
        Some(because) => format!(
            ", why = coalesce(why || '; ', '') || {}",
            quoted(&format!("promoted: {because}"))
        ),
        None => String::new(),
    };
    format!(
        "{}
         UPDATE models.versions SET status = 'replaced' WHERE model = {model} AND status = 'in use' AND version <> {version};
         UPDATE models.versions SET status = 'in use', published_at = now(), published_by = {published_by}{because}
             WHERE model = {model} AND version = {version};
         UPDATE models.models SET version = {version} WHERE model = {model};",
        definition.publish(version, consenting)
    )
}

/// The statement that throws away the scores of old versions. The refused ones are counted apart, or many of them would
/// leave nothing to go back to.
fn outlived(definition: &Definition) -> String {
    format!(
        "DELETE FROM {history} WHERE version IN (
             SELECT version FROM (
                 SELECT version, status, row_number() OVER (PARTITION BY status = 'refused' ORDER BY version DESC) AS n
                 FROM models.versions WHERE model = {model}
             ) AS newest
             WHERE n > {kept} AND status <> 'in use'
         );",
        history = definition.history(),
        model = quoted(&definition.model),
        kept = definition.options.whole("keep").unwrap_or(KEPT),
    )
}

/// Statements that keep a version's numbers.
fn noted(
    definition: &Definition,
    version: i64,
    as_of: NaiveDate,
    fitted: &Fitted,
    is_published: bool,
    why: &str,
    seconds: f64,
) -> String {
    let model = quoted(&definition.model);
    let judgement = &fitted.judgement;
    let mut told = vec![why.to_owned()];
    told.extend(fitted.remarks.iter().cloned());
    // What an attempt before has left, of which only a part had landed.
    let mut sql = registry::forgotten(&definition.model, Some(version));
    sql += &format!(
        "INSERT INTO models.versions (model, version, as_of, status, grade, metric, value, baseline, baseline_value,
             in_use_value, customers, left_out, seconds, created_at, published_at, published_by, why)
         VALUES ({model}, {version}, DATE '{as_of}', '{}', '{}', {}, {}, {}, {}, {}, {}, {}, {}, now(), NULL, NULL, {});",
        if is_published { "in use" } else { "refused" },
        judgement.grade().name(),
        quoted(judgement.metric),
        number(judgement.value),
        quoted(judgement.baseline_name()),
        number(judgement.baseline_value),
        number(judgement.in_use.map_or(f64::NAN, |in_use| in_use.value)),
        fitted.customers,
        fitted.left_out,
        number(seconds),
        quoted(&told.join("; ")),
    );
    let or_null = |value: Option<f64>| number(value.unwrap_or(f64::NAN));
    let metrics: Vec<String> = fitted
        .metrics
        .iter()
        .map(|metric: &Measured| {
            format!(
                "({model}, {version}, {}, {}, {}, {})",
                quoted(&metric.metric),
                number(metric.value),
                or_null(metric.baseline_value),
                or_null(metric.in_use_value)
            )
        })
        .collect();
    let parameters: Vec<String> = fitted
        .parameters
        .iter()
        .map(|(name, parameter)| {
            format!(
                "({model}, {version}, {}, {}, {}, {}::text)",
                quoted(name),
                or_null(parameter.value),
                or_null(parameter.standard_error),
                quoted_or_null(parameter.text.as_deref())
            )
        })
        .collect();
    let mut importance = fitted.importance.clone();
    importance.sort_by(|a, b| b.1.total_cmp(&a.1));
    let importance: Vec<String> = importance
        .iter()
        .enumerate()
        .map(|(n, (feature, share))| {
            format!(
                "({model}, {version}, {}, {}, {})",
                quoted(feature),
                number(*share),
                n + 1
            )
        })
        .collect();
    for (table, columns, rows) in [
        (
            "metrics",
            "model, version, metric, value, baseline_value, in_use_value",
            metrics,
        ),
        (
            "parameters",
            "model, version, name, value, standard_error, text",
            parameters,
        ),
        (
            "feature_importance",
            "model, version, feature, importance, rank",
            importance,
        ),
    ] {
        if !rows.is_empty() {
            sql.push_str(&format!(
                "INSERT INTO models.{table} ({columns}) VALUES {};",
                rows.join(", ")
            ));
        }
    }
    sql
}

/// The scores of a version, beside those of the others; not yet what anybody reads.
async fn keep_scores(
    work: &mut Work,
    definition: &Definition,
    token: i64,
    version: i64,
    scores: &mut Scores,
) -> Result<()> {
    let (columns, history) = (definition.score_columns(), definition.history());
    let table = definition.history_table();
    commit_once(work, definition, &table, token, async |work| match scores {
        Scores::Query(query) => {
            work.run(&format!(
                "INSERT INTO {history} ({columns}, model, version)
                 SELECT {columns}, {} AS model, {version} AS version FROM ({query}) AS scored",
                quoted(&definition.model),
            ))
            .await
        }
        Scores::Computed { query, compute } => {
            let target = format!("{history} ({columns}, model, version)");
            let whose = |batch: &RecordBatch| -> Result<RecordBatch> {
                let made = compute(batch)?;
                let n = made.num_rows();
                let mut fields: Vec<FieldRef> = made.schema().fields().iter().cloned().collect();
                fields.push(Arc::new(Field::new("model", DataType::Utf8, false)));
                fields.push(Arc::new(Field::new("version", DataType::Int64, false)));
                let mut arrays = made.columns().to_vec();
                arrays.push(Arc::new(StringArray::from(vec![
                    definition.model.as_str();
                    n
                ])));
                arrays.push(Arc::new(Int64Array::from(vec![version; n])));
                Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)
                    .map_err(rapport_engine::Error::from)?)
            };
            work.write(&target, query, whose).await
        }
    })
    .await
}

/// How far the scores have moved since the version in use.
async fn watch_scores(
    work: &mut Work,
    definition: &Definition,
    version: i64,
    in_use: Option<&Parameters>,
    fitted: &mut Fitted,
) -> Result<()> {
    let Some(score) = definition.kind.score() else {
        return Ok(());
    };
    let relation = format!(
        "(SELECT * FROM {} WHERE version = {version}) AS scored",
        definition.history()
    );
    let moved = drift::of_column(
        work,
        &relation,
        "scores",
        score,
        in_use,
        &mut fitted.parameters,
    )
    .await?;
    fitted.metrics.extend(moved);
    Ok(())
}

async fn next_version(own: &mut Work, model: &str) -> Result<i64> {
    let row = own
        .numbers(&format!(
            "SELECT max(version) AS v FROM models.versions WHERE model = {}",
            quoted(model)
        ))
        .await?;
    Ok(row.get("v").copied().unwrap_or(0.0) as i64 + 1)
}

/// How long the last run of the model took.
async fn usual(own: &mut Work, model: &str) -> Result<Option<Duration>> {
    let row = own
        .numbers(&format!(
            "SELECT seconds FROM models.runs WHERE model = {} AND seconds IS NOT NULL AND status IN ('published', 'refused')
             ORDER BY started_at DESC LIMIT 1",
            quoted(model)
        ))
        .await?;
    Ok(row
        .get("seconds")
        .map(|seconds| Duration::from_secs_f64(seconds.max(0.0))))
}

/// Notes that the run has begun, what became of those that ended without a word, and throws away what they left: we
/// hold the lease.
async fn begin_run(
    own: &mut Work,
    definition: &Definition,
    token: i64,
    run: uuid::Uuid,
) -> Result<()> {
    let model = quoted(&definition.model);
    let holder = quoted(&format!("process {} on {}", std::process::id(), host()));
    let sql = format!(
        "UPDATE models.runs SET status = 'lost', finished_at = now(), message = 'the process ended before the run did'
             WHERE model = {model} AND status = 'running';
         DELETE FROM {} WHERE version > (SELECT coalesce(max(version), 0) FROM models.versions WHERE model = {model});
         INSERT INTO models.runs (run, model, started_at, status, phase, holder)
             VALUES ('{run}', {model}, now(), 'running', 'reading the history', {holder});",
        definition.history()
    );
    commit(own, definition, &definition.history_table(), token, &sql).await
}

async fn end_run(own: &mut Work, run: uuid::Uuid, error: &Error, took: Duration) {
    let status = match error {
        Error::Engine(rapport_engine::Error::Cancelled) => "cancelled",
        Error::Overtaken { .. } => "overtaken",
        _ => "failed",
    };
    let sql = format!(
        "UPDATE models.runs SET status = '{status}', finished_at = now(), seconds = {}, message = {}
             WHERE run = '{run}' AND status NOT IN ('published', 'refused')",
        number(took.as_secs_f64()),
        quoted(&error.to_string())
    );
    if let Err(error) = retried(own, &sql).await {
        warn!(%error, "a failed run could not be noted");
    }
}

/// Runs statements in one transaction, again where somebody else's commit came first.
pub(crate) async fn retried(own: &mut Work, sql: &str) -> Result<()> {
    for attempt in 1.. {
        own.begin()?;
        let done = async {
            own.run(sql).await?;
            own.commit().await
        }
        .await;
        let Err(error) = done else { return Ok(()) };
        own.roll_back().await;
        match &error {
            Error::Engine(rapport_engine::Error::Conflict { .. }) if attempt < ATTEMPTS => {
                tokio::time::sleep(Duration::from_millis(20 * attempt as u64)).await;
            }
            _ => return Err(error),
        }
    }
    unreachable!("the last attempt returns")
}

fn host() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname")
        .map_or_else(|_| "this machine".to_owned(), |name| name.trim().to_owned())
}

/// The whole day that a text names; of a moment its day in UTC.
pub(crate) fn day(text: &str) -> Result<NaiveDate> {
    let text = text.trim();
    day_of(text).ok_or_else(|| Error::Invalid {
        message: format!("\"{text}\" is no day"),
        hint: "AS OF takes a date, such as '2026-01-31': the whole day counts.".to_owned(),
    })
}

/// `2026-01-31`, with a time and a zone or without. A date is the same in each zone, and pgjdbc sends it with one.
fn day_of(text: &str) -> Option<NaiveDate> {
    let (day, rest) = text.split_at_checked(10)?;
    let day = Some(day).filter(|day| has_shape(day, "0000-00-00"))?;
    let day: NaiveDate = day.parse().ok()?;
    let (time, zone) = rest.split_at(rest.find(['+', '-', 'Z']).unwrap_or(rest.len()));
    let offset = offset_of(zone)?;
    if time.trim().is_empty() {
        return Some(day);
    }
    let moment = day.and_time(time_of(time)?);
    Some(moment.checked_sub_signed(offset)?.date())
}

/// `T12:00`, ` 12:00:00.5`
fn time_of(text: &str) -> Option<NaiveTime> {
    let text = text.strip_prefix(['T', ' '])?.trim();
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let is_whole = has_shape(whole, "00:00:00") || (whole == text && has_shape(whole, "00:00"));
    let is_fraction = (1..=9).contains(&fraction.len()) && is_digits(fraction);
    let format = match whole.len() {
        5 => "%H:%M",
        _ => "%H:%M:%S",
    };
    let time = NaiveTime::parse_from_str(whole, format).ok();
    time.filter(|_| is_whole && is_fraction)
}

/// Nothing, `Z`, `+02`, `-05:30`
fn offset_of(text: &str) -> Option<TimeDelta> {
    let Some(zone) = text.strip_prefix(['+', '-']) else {
        return ["", "Z"].contains(&text).then(TimeDelta::zero);
    };
    if !has_shape(zone, "00") && !has_shape(zone, "00:00") {
        return None;
    }
    let (hours, minutes) = zone.split_once(':').unwrap_or((zone, "00"));
    let (hours, minutes): (i64, i64) = (hours.parse().ok()?, minutes.parse().ok()?);
    let offset = TimeDelta::minutes(60 * hours + minutes);
    let offset = if text.starts_with('-') {
        -offset
    } else {
        offset
    };
    (hours < 16 && minutes < 60).then_some(offset)
}

fn is_digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

/// As long as `shape`, with a digit wherever that has a 0.
fn has_shape(text: &str, shape: &str) -> bool {
    let fits = |(byte, like): (u8, u8)| match like {
        b'0' => byte.is_ascii_digit(),
        _ => byte == like,
    };
    text.len() == shape.len() && text.bytes().zip(shape.bytes()).all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        assert_eq!(day(text).expect(text).to_string(), expected, "{text}");
    }

    #[test]
    fn a_date_is_a_day() {
        check("2026-01-31", "2026-01-31");
        check(" 2026-01-31 +00", "2026-01-31");
        check("2026-01-31 +02", "2026-01-31");
        check("2026-01-31Z", "2026-01-31");
    }

    #[test]
    fn a_moment_is_of_its_day_in_utc() {
        check("2026-01-31 00:00", "2026-01-31");
        check("2026-01-31T23:59:59.999999", "2026-01-31");
        check("2026-01-31 23:59:59Z", "2026-01-31");
        check("2026-01-31 00:30:00+01", "2026-01-30");
        check("2026-01-31 23:00:00.5-05:30", "2026-02-01");
        check("2026-01-31 12:00:00 +05:30", "2026-01-31");
    }

    #[test]
    fn anything_else_is_no_day() {
        for text in [
            "",
            "today",
            "2026-1-31",
            "2026-02-30",
            "31.01.2026",
            "2026-01-31T",
            "2026-01-31 bogus",
            "2026-01-3112:00",
            "2026-01-31 12:00 bogus",
            "2026-01-31 25:00",
            "2026-01-31 12:60",
            "2026-01-31 12:00.5",
            "2026-01-31 12:00:00.",
            "2026-01-31 12: 00",
            "2026-01-31 12:00 +1",
            "2026-01-31 12:00 +99",
            "2026-01-31 12:00 +01:60",
            "2026-01-31 12:00 -",
            "2026-01-31 12:00Zulu",
            "2026-01-31 12:00Z00",
            "2026-01-31 12:00 +999999999999999999",
            "2026-01-31 ąę",
        ] {
            assert!(day(text).is_err(), "{text}");
        }
    }
}
