//! The door: a statement in, its answer out.

use std::time::Duration;

use arrow::{array::AsArray, datatypes::Int64Type};
use chrono::{DateTime, Utc};
use futures::future::BoxFuture;

use rapport_catalog_postgres::{Catalogue, Request};
use rapport_engine::{Cancel, Warehouse};

use crate::{
    Answer, Error, Progress, Result, Shape, Statement, Verb,
    answer::Cell,
    options::{Kind, Options},
    refresh::{self, Refreshed, day, retried},
    registry::{self, Definition, own_work},
    source::Source,
    statement::{Create, Order},
    work::{Work, quoted, quoted_or_null},
};

/// Models of one warehouse. Cheap to clone.
#[derive(Clone)]
pub struct Models {
    pub(crate) warehouse: Warehouse,
    pub(crate) limits: Limits,
    /// Told to those who come too late.
    pub(crate) who: String,
}

/// What a refresh may use, and how long it may be silent before another process may take over.
#[derive(Clone, Debug)]
pub struct Limits {
    pub lease: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            lease: Duration::from_secs(30),
        }
    }
}

/// When a model is to be refreshed by itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Scheduled {
    pub model: String,
    /// The lease that every refresh of the model takes.
    pub lease: String,
    /// As cron says it.
    pub refresh: String,
    /// An IANA name; `None` is the server's.
    pub time_zone: Option<String>,
    pub max_run_time: Option<String>,
}

impl Models {
    pub fn new(warehouse: Warehouse, limits: Limits) -> Self {
        Self {
            warehouse,
            limits,
            who: "rapport".to_owned(),
        }
    }

    /// `who` does the work, in words: "rapport serve".
    pub fn named(mut self, who: &str) -> Self {
        who.clone_into(&mut self.who);
        self
    }

    /// Carries a statement out in the name of a role. It is its own transaction.
    ///
    /// `parameters` are texts. `tell` is called often, from any thread. After `cancel` it ends within a second, with
    /// [`rapport_engine::Error::Cancelled`], and nothing is published.
    pub async fn run(
        &self,
        role: &str,
        statement: &Statement,
        parameters: &[Option<String>],
        tell: &(dyn Fn(Progress) + Send + Sync),
        cancel: &Cancel,
    ) -> Result<Answer> {
        let order = statement.order(parameters)?;
        let mut own = own_work(&self.warehouse, cancel)?;
        match order {
            Order::Create(create) => {
                let Some((definition, before)) = self.create(&mut own, role, &create).await? else {
                    let why = format!("model \"{}\" already exists, skipping", create.model);
                    return Ok(Answer::skipped(Verb::Create, why));
                };
                if !create.with_data {
                    return Ok(Answer::rows(
                        Verb::Create,
                        &[not_refreshed(&definition)],
                        vec![],
                    ));
                }
                let refreshed = Box::pin(self.refresh(&definition, None, tell, cancel)).await;
                if let Err(error) = &refreshed
                    && !matches!(error, Error::Busy { .. })
                {
                    self.take_back(&definition, before.as_ref()).await;
                }
                Ok(Answer::refreshed(&[(definition.model, refreshed?)]))
            }
            Order::Refresh { model, as_of } => {
                let as_of = as_of.as_deref().map(day).transpose()?;
                let definition = self.owned(&mut own, role, &model).await?;
                let refreshed = Box::pin(self.refresh(&definition, as_of, tell, cancel)).await?;
                Ok(Answer::refreshed(&[(model, refreshed)]))
            }
            Order::RefreshAll => Box::pin(self.refresh_all(&mut own, role, tell, cancel)).await,
            Order::Show => show(&mut own).await,
            Order::Describe { model } => describe(&mut own, &model).await,
            Order::Promote {
                model,
                version,
                because,
            } => {
                self.promote(&mut own, role, &model, version, because.as_deref())
                    .await
            }
            Order::Drop {
                model,
                cascade,
                if_exists,
            } => {
                self.drop_model(&mut own, role, &model, cascade, if_exists)
                    .await
            }
        }
    }

    /// Models that say when they are to be refreshed.
    pub async fn scheduled(&self) -> Result<Vec<Scheduled>> {
        let mut own = own_work(&self.warehouse, &Cancel::default())?;
        let definitions = registry::definitions(&mut own, None).await?;
        let scheduled = definitions.into_iter().filter_map(|definition| {
            let option = |name: &str| definition.options.text(name).map(str::to_owned);
            Some(Scheduled {
                refresh: option("refresh")?,
                time_zone: option("time_zone"),
                max_run_time: option("max_run_time"),
                lease: refresh::lease_of(&definition.model),
                model: definition.model.clone(),
            })
        });
        Ok(scheduled.collect())
    }

    /// Refreshes a model for whoever holds its lease, with that lease's token, and keeps it up.
    pub fn refresh_holding_lease<'a>(
        &'a self,
        model: &'a str,
        token: i64,
        tell: &'a (dyn Fn(Progress) + Send + Sync),
        cancel: &'a Cancel,
    ) -> BoxFuture<'a, Result<Answer>> {
        Box::pin(async move {
            let mut own = own_work(&self.warehouse, cancel)?;
            let definition = registry::definition(&mut own, model).await?;
            let refreshed = self
                .refresh_holding(&definition, token, None, tell, cancel)
                .await?;
            Ok(Answer::refreshed(&[(definition.model, refreshed)]))
        })
    }

    /// When the scores that are in use were computed, by model.
    pub async fn published(&self) -> Result<Vec<(String, DateTime<Utc>)>> {
        let mut own = own_work(&self.warehouse, &Cancel::default())?;
        if !registry::exists(&mut own).await? {
            return Ok(vec![]);
        }
        let rows = own
            .ask("SELECT model, created_at FROM models.versions WHERE status = 'in use' ORDER BY model")
            .await?;
        let moments = rows.wholes("created_at").into_iter();
        let models = rows.texts("model").into_iter();
        let pairs = models.zip(moments);
        Ok(pairs
            .filter_map(|(model, micros)| Some((model?, DateTime::from_timestamp_micros(micros?)?)))
            .collect())
    }

    async fn is_admin(&self, role: &str) -> Result<bool> {
        if role == Catalogue::OWNER {
            return Ok(true);
        }
        let Some(catalogue) = self.warehouse.catalogue() else {
            return Ok(true);
        };
        let roles = catalogue
            .list_roles()
            .await
            .map_err(rapport_engine::Error::from)?;
        Ok(roles
            .iter()
            .any(|known| known.name == role && known.is_admin))
    }

    /// The model, if the role may change it: its owner and administrators may.
    async fn owned(&self, own: &mut Work, role: &str, model: &str) -> Result<Definition> {
        let definition = registry::definition(own, model).await?;
        match definition.owner == role || self.is_admin(role).await? {
            true => Ok(definition),
            false => Err(Error::NotOwner(model.to_owned())),
        }
    }

    /// Administrators make models, and whoever was granted CREATE on the schema `models`; the first one, who may make
    /// schemas.
    async fn may_create(&self, role: &str, is_first: bool) -> Result<()> {
        let Some(catalogue) = self.warehouse.catalogue() else {
            return Ok(());
        };
        let may = match is_first {
            true => "has_database_privilege(pg_catalog.current_database(), 'CREATE')",
            false => "has_schema_privilege('models', 'CREATE')",
        };
        let request = Request::Extended {
            sql: format!("SELECT pg_catalog.{may}"),
            param_types: vec![],
            params: vec![],
            param_formats: vec![],
            result_formats: vec![],
        };
        let settings = rapport_catalog_postgres::Settings::new();
        let asked = catalogue.relay(role, &settings, request).await;
        let rows = asked.map_err(rapport_engine::Error::from)?.rows;
        let may = rows.first().is_some_and(|row| row.ends_with(b"t"));
        match may || self.is_admin(role).await? {
            true => Ok(()),
            false => Err(Error::MayNotCreate),
        }
    }

    /// Makes the model and its tables; with the definition that was there before. `None` if it is there and that is no
    /// error.
    async fn create(
        &self,
        own: &mut Work,
        role: &str,
        create: &Create,
    ) -> Result<Option<(Definition, Option<Definition>)>> {
        let kind = Kind::read(&create.kind)?;
        let options = Options::check(kind, create.options.clone())?;
        if create.model.is_empty() || create.model.len() > LONGEST_NAME {
            return Err(too_long("a model's name"));
        }
        let is_first = !registry::exists(own).await?;
        self.may_create(role, is_first).await?;
        registry::set_up(own).await?;
        let known = registry::definitions(own, None).await?;
        let before = known.iter().find(|known| known.model == create.model);
        match before {
            Some(_) if create.if_not_exists => return Ok(None),
            Some(_) if !create.or_replace => return Err(Error::Exists(create.model.clone())),
            Some(before) if before.owner != role && !self.is_admin(role).await? => {
                return Err(Error::NotOwner(create.model.clone()));
            }
            _ => {}
        }
        let mut definition = Definition {
            model: create.model.clone(),
            kind,
            scores: scores_of(create, kind, &options, &known)?,
            options,
            query: create.query.clone(),
            owner: before.map_or_else(|| role.to_owned(), |before| before.owner.clone()),
            version: None,
        };
        let Some(before) = before else {
            self.define(own, &definition, None).await?;
            return Ok(Some((definition, None)));
        };
        if before.kind != kind || before.scores != definition.scores {
            return Err(Error::Invalid {
                message: format!(
                    "model \"{}\" is of type {} and publishes to scores.{}: that can't be replaced",
                    create.model,
                    before.kind.name(),
                    before.scores
                ),
                hint: "DROP MODEL drops it first, with its versions and scores.".to_owned(),
            });
        }
        // Nobody refreshes what is replaced.
        let lease = self.take(&before.model).await?;
        let defined = async {
            let before = registry::definition(own, &before.model).await?;
            definition.version = before.version;
            self.define(own, &definition, Some(&before)).await?;
            Ok(before)
        }
        .await;
        refresh::released(lease).await;
        defined.map(|before| Some((definition, Some(before))))
    }

    /// What was made by a statement that failed is as it was before.
    async fn take_back(&self, definition: &Definition, before: Option<&Definition>) {
        let sql = match before {
            Some(before) => before.put(),
            None => forgotten(definition, false),
        };
        let done = async {
            let lease = self.take(&definition.model).await?;
            // A cancelled statement's session does nothing any more.
            let mut own = own_work(&self.warehouse, &Cancel::default())?;
            let done = retried(&mut own, &sql).await;
            refresh::released(lease).await;
            done
        }
        .await;
        if let Err(error) = done {
            tracing::warn!(%error, model = definition.model, "what a failed statement made could not be taken back");
        }
    }

    /// Puts a definition in the place of the one `before`.
    async fn define(
        &self,
        own: &mut Work,
        definition: &Definition,
        before: Option<&Definition>,
    ) -> Result<()> {
        // What it reads is judged now, with the owner's rights.
        let history = crate::history_of(definition);
        let source = Source::of(definition, own, &history).await?;
        let key = source.key_type()?;
        if let Some(before) = before {
            check_key(own, before, key).await?;
            return retried(own, &definition.put()).await;
        }
        let sql = format!(
            "{}
             INSERT INTO models.models (model, type, options, query, owner, scores, version, refresh, time_zone, created_at)
             VALUES ({}, {}, {}, {}, {}, {}, NULL, {}, {}, now());",
            definition.make_tables(key),
            quoted(&definition.model),
            quoted(definition.kind.name()),
            quoted(&definition.options.to_json()),
            quoted_or_null(definition.query.as_deref()),
            quoted(&definition.owner),
            quoted(&definition.scores),
            quoted_or_null(definition.options.text("refresh")),
            quoted_or_null(definition.options.text("time_zone")),
        );
        retried(own, &sql).await
    }

    async fn refresh_all(
        &self,
        own: &mut Work,
        role: &str,
        tell: &(dyn Fn(Progress) + Send + Sync),
        cancel: &Cancel,
    ) -> Result<Answer> {
        let is_admin = self.is_admin(role).await?;
        let mut done = vec![];
        let mut failed = vec![];
        for definition in registry::definitions(own, None).await? {
            if definition.owner != role && !is_admin {
                continue;
            }
            match Box::pin(self.refresh(&definition, None, tell, cancel)).await {
                Ok(refreshed) => done.push((definition.model, refreshed)),
                Err(error @ Error::Engine(rapport_engine::Error::Cancelled)) => return Err(error),
                // The others are refreshed all the same, and the failure is not lost.
                Err(error) => failed.push((definition.model, error)),
            }
        }
        let mut answer = Answer::refreshed(&done);
        if failed.len() == 1 && done.is_empty() {
            return Err(failed.remove(0).1);
        }
        answer.failures = failed
            .iter()
            .map(|(model, error)| format!("{model}: {error}"))
            .collect();
        answer.warnings.extend(answer.failures.clone());
        answer.is_published &= failed.is_empty();
        Ok(answer)
    }

    async fn promote(
        &self,
        own: &mut Work,
        role: &str,
        model: &str,
        version: i64,
        because: Option<&str>,
    ) -> Result<Answer> {
        let definition = self.owned(own, role, model).await?;
        let rows = own
            .ask(&format!(
                "SELECT * FROM models.versions WHERE model = {} AND version = {version}",
                quoted(model)
            ))
            .await?;
        if rows.len() == 0 {
            return Err(Error::NoSuchVersion {
                model: model.to_owned(),
                version,
            });
        }
        let kept = own
            .numbers(&format!(
                "SELECT count(*) AS n FROM {} WHERE version = {version}",
                definition.history()
            ))
            .await?;
        if kept.get("n").is_none_or(|n| *n == 0.0) {
            return Err(Error::Invalid {
                message: format!("the scores of version {version} are no longer kept"),
                hint:
                    "REFRESH MODEL fits it anew; OPTIONS (keep = …) keeps more than five versions."
                        .to_owned(),
            });
        }
        let text = |name: &str| rows.texts(name).pop().flatten();
        let was_refused = text("status").as_deref() == Some("refused");
        if was_refused && because.is_none_or(|because| because.trim().is_empty()) {
            return Err(Error::Invalid {
                message: format!(
                    "version {version} was judged and not published: {}",
                    text("why").unwrap_or_default()
                ),
                hint:
                    "PROMOTE MODEL … BECAUSE '…' publishes it all the same, and keeps the reason."
                        .to_owned(),
            });
        }
        let because = because.filter(|because| !because.trim().is_empty());
        let lease = self.take(model).await?;
        let token = lease.token();
        let done = async {
            self.fence(&definition, token).await?;
            // Whoever has refused since the version was scored is left out.
            let consenting = crate::source::consenting(&definition, "text", own).await?;
            let sql = refresh::in_use_now(&definition, version, &consenting, Some((role, because)));
            refresh::commit(own, &definition, &definition.score_table(), token, &sql).await
        }
        .await;
        refresh::released(lease).await;
        done?;
        let number = |name: &str| {
            rows.numbers(name)
                .first()
                .copied()
                .filter(|value| value.is_finite())
        };
        let cell = |value: Option<f64>| value.map_or(Cell::Null, Cell::Number);
        let whole =
            |value: Option<f64>| value.map_or(Cell::Null, |value| Cell::Whole(value as i64));
        let row = vec![
            Cell::Text(model.to_owned()),
            Cell::Whole(version),
            whole(number("customers")),
            whole(number("left_out")),
            cell(number("seconds")),
            text("metric").as_deref().into(),
            cell(number("value")),
            text("baseline").as_deref().into(),
            cell(number("baseline_value")),
            text("grade").as_deref().into(),
            Cell::Truth(true),
            Cell::Text(because.map_or_else(
                || "promoted".to_owned(),
                |because| format!("promoted: {because}"),
            )),
        ];
        Ok(Answer::rows(Verb::Promote, &[row], vec![]))
    }

    async fn drop_model(
        &self,
        own: &mut Work,
        role: &str,
        model: &str,
        cascade: bool,
        if_exists: bool,
    ) -> Result<Answer> {
        let definition = match self.owned(own, role, model).await {
            Err(Error::NoSuchModel(_)) if if_exists => {
                let why = format!("model \"{model}\" does not exist, skipping");
                return Ok(Answer::skipped(Verb::Drop, why));
            }
            found => found?,
        };
        let lease = self.take(model).await?;
        let done = retried(own, &forgotten(&definition, cascade)).await;
        refresh::released(lease).await;
        done?;
        let scores = &definition.scores;
        let tables = format!("scores.{scores}, scores.{scores}_history");
        let row = vec![Cell::Text(model.to_owned()), Cell::Text(tables)];
        Ok(Answer::rows(Verb::Drop, &[row], vec![]))
    }
}

/// Fails if the model's scores are keyed by another type.
async fn check_key(own: &mut Work, before: &Definition, key: &str) -> Result<()> {
    let sql = format!("SELECT customer_id FROM {}", before.table());
    let session = own.session();
    let statement = session.parse(&sql)?.remove(0);
    let prepared = session.prepare(&statement, &[]).await?;
    let columns = prepared.columns.unwrap_or_default();
    match (Source { sql, columns }).key_type()? == key {
        true => Ok(()),
        false => Err(Error::Invalid {
            message: format!(
                "the query of model \"{}\" has customer_id of another type",
                before.model
            ),
            hint: "DROP MODEL first: its scores are keyed by the other type.".to_owned(),
        }),
    }
}

/// The table that a new model publishes to: the one that was asked for, the one of its type if that is free, or one of
/// the model's own name.
fn scores_of(
    create: &Create,
    kind: Kind,
    options: &Options,
    known: &[Definition],
) -> Result<String> {
    let others = || known.iter().filter(|known| known.model != create.model);
    let is_taken = |table: &str| {
        others().any(|known| known.scores == table || format!("{}_history", known.scores) == table)
    };
    if let Some(asked) = options.text("scores") {
        if asked.len() > LONGEST_NAME {
            return Err(too_long("the name of a table of scores"));
        }
        return match is_taken(asked) {
            false => Ok(asked.to_owned()),
            true => Err(Error::Invalid {
                message: format!("scores.{asked} belongs to another model"),
                hint: "SHOW MODELS tells to which.".to_owned(),
            }),
        };
    }
    if let Some(before) = known
        .iter()
        .find(|known| known.model == create.model && known.kind == kind)
    {
        return Ok(before.scores.clone());
    }
    let usual = kind.scores();
    Ok(if is_taken(usual) {
        create.model.clone()
    } else {
        usual.to_owned()
    })
}

/// Statements that leave nothing of a model but the history of its runs.
fn forgotten(definition: &Definition, cascade: bool) -> String {
    let cascade = if cascade { " CASCADE" } else { "" };
    format!(
        "DROP TABLE {}{cascade}; DROP TABLE {}{cascade}; {} DELETE FROM models.models WHERE model = {};",
        definition.table(),
        definition.history(),
        registry::forgotten(&definition.model, None),
        quoted(&definition.model)
    )
}

/// PostgreSQL's 63 bytes without those of `_history`.
const LONGEST_NAME: usize = 55;

fn too_long(what: &str) -> Error {
    Error::Invalid {
        message: format!("{what} has 1 to {LONGEST_NAME} bytes"),
        hint: "A table of this name and \"_history\" keeps what earlier versions said.".to_owned(),
    }
}

async fn show(own: &mut Work) -> Result<Answer> {
    if !registry::exists(own).await? {
        return Ok(Answer::rows(Verb::Show, &[], vec![]));
    }
    let rows = own
        .ask(
            "SELECT m.model, m.type, m.version, v.grade, v.metric, v.value, v.baseline_value,
                 v.as_of, v.published_at, 'scores.' || m.scores AS scores, m.refresh, m.owner, r.last_run
             FROM models.models AS m
             LEFT JOIN models.versions AS v ON v.model = m.model AND v.version = m.version
             LEFT JOIN (
                 SELECT model, status || CASE WHEN message IS NULL THEN '' ELSE ': ' || message END AS last_run,
                     row_number() OVER (PARTITION BY model ORDER BY started_at DESC) AS n FROM models.runs
             ) AS r ON r.model = m.model AND r.n = 1
             ORDER BY m.model",
        )
        .await?;
    Ok(Answer::of(Verb::Show, &rows))
}

async fn describe(own: &mut Work, model: &str) -> Result<Answer> {
    let definition = registry::definition(own, model).await?;
    let mut rows: Vec<Vec<Cell>> = vec![];
    let mut say = |part: &str, name: &str, value: Option<String>| {
        rows.push(vec![
            Cell::Text(part.to_owned()),
            Cell::Text(name.to_owned()),
            value.as_deref().into(),
        ]);
    };
    say("model", "type", Some(definition.kind.name().to_owned()));
    say("model", "owner", Some(definition.owner.clone()));
    say(
        "model",
        "scores",
        Some(format!("scores.{}", definition.scores)),
    );
    say("model", "query", definition.query.clone());
    say(
        "model",
        "version in use",
        definition.version.map(|version| version.to_string()),
    );
    for (name, value) in definition.options.iter() {
        say("option", name, Some(value.to_owned()));
    }
    for (part, sql) in [
        (
            "version",
            "SELECT 'version ' || version AS name, status || coalesce(', grade ' || grade, '') || ', as of ' || as_of || coalesce(': ' || why, '') AS value
             FROM models.versions WHERE model = {model} ORDER BY version DESC",
        ),
        (
            "metric",
            "SELECT metric AS name, value || coalesce(' (baseline ' || baseline_value || ')', '') AS value FROM models.metrics
             WHERE model = {model} AND version = {version} ORDER BY metric",
        ),
        (
            "parameter",
            "SELECT name, coalesce(text, value || coalesce(' ± ' || standard_error, '')) AS value FROM models.parameters
             WHERE model = {model} AND version = {version} AND name NOT LIKE 'distribution_%'
                 AND name NOT IN ('definition', 'judged', 'model') ORDER BY name",
        ),
        (
            "feature",
            "SELECT feature AS name, round(100 * importance) || ' %' AS value FROM models.feature_importance
             WHERE model = {model} AND version = {version} ORDER BY rank",
        ),
    ] {
        let sql = sql
            .replace("{model}", &quoted(model))
            .replace("{version}", &definition.version.unwrap_or(0).to_string());
        let told = own.ask(&sql).await?;
        for (name, value) in told.texts("name").into_iter().zip(told.texts("value")) {
            rows.push(vec![
                Cell::Text(part.to_owned()),
                name.as_deref().into(),
                value.as_deref().into(),
            ]);
        }
    }
    Ok(Answer::rows(Verb::Describe, &rows, vec![]))
}

fn not_refreshed(definition: &Definition) -> Vec<Cell> {
    let mut row = vec![Cell::Text(definition.model.clone())];
    row.extend((0..9).map(|_| Cell::Null));
    row.push(Cell::Truth(false));
    row.push(Cell::Text("made, and not refreshed yet".to_owned()));
    row
}

impl Answer {
    /// Of one refresh: how many customers, and why it is published or not.
    pub fn told(&self) -> (u64, String) {
        let rows = self.batch.column_by_name("rows");
        let rows = rows.and_then(|rows| rows.as_primitive_opt::<Int64Type>()?.iter().next()?);
        let why = self.batch.column_by_name("why");
        let why = why.and_then(|why| why.as_string_opt::<i32>()?.iter().next()?);
        (
            rows.unwrap_or(0).unsigned_abs(),
            why.unwrap_or_default().to_owned(),
        )
    }

    /// Nothing was to be done.
    fn skipped(verb: Verb, why: String) -> Self {
        Self {
            notices: vec![why],
            ..Self::rows(verb, &[], vec![])
        }
    }

    pub(crate) fn rows(verb: Verb, rows: &[Vec<Cell>], warnings: Vec<String>) -> Self {
        Self {
            batch: Shape::of(verb).batch(rows),
            warnings,
            notices: vec![],
            failures: vec![],
            is_published: true,
        }
    }

    fn refreshed(done: &[(String, Refreshed)]) -> Self {
        let mut warnings = vec![];
        let mut rows = vec![];
        for (model, refreshed) in done {
            let Refreshed {
                version, judgement, ..
            } = refreshed;
            if !refreshed.is_published {
                warnings.push(format!(
                    "version {version} of model \"{model}\" is not published: {}",
                    refreshed.why
                ));
            }
            warnings.extend(
                refreshed
                    .remarks
                    .iter()
                    .map(|remark| format!("model \"{model}\": {remark}")),
            );
            rows.push(vec![
                Cell::Text(model.clone()),
                Cell::Whole(*version),
                Cell::Whole(refreshed.customers as i64),
                Cell::Whole(refreshed.left_out as i64),
                Cell::Number((refreshed.seconds * 1000.0).round() / 1000.0),
                Cell::Text(judgement.metric.to_owned()),
                Cell::Number(judgement.value),
                Cell::Text(judgement.baseline_name().to_owned()),
                Cell::Number(judgement.baseline_value),
                Cell::Text(judgement.grade().name().to_owned()),
                Cell::Truth(refreshed.is_published),
                Cell::Text(refreshed.why.clone()),
            ]);
        }
        Self {
            is_published: done.iter().all(|(_, refreshed)| refreshed.is_published),
            ..Self::rows(Verb::Refresh, &rows, warnings)
        }
    }
}
