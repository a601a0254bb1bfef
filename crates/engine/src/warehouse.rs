//! The lake, its catalogue and the machinery that all sessions share.

use std::{
    collections::HashMap,
    num::NonZeroUsize,
    path::Path,
    pin::pin,
    sync::{Arc, Mutex, RwLock},
    time::Duration,
};

use chrono::Utc;
use datafusion::{
    catalog::TableProvider,
    execution::{
        SessionState, SessionStateBuilder, SessionStateDefaults,
        disk_manager::{DiskManagerBuilder, DiskManagerMode},
        memory_pool::{GreedyMemoryPool, TrackConsumersPool},
        object_store::ObjectStoreUrl,
        runtime_env::{RuntimeEnv, RuntimeEnvBuilder},
    },
    logical_expr::{AggregateUDF, ScalarUDF, WindowUDF, planner::ExprPlanner},
    optimizer::{Optimizer, OptimizerRule},
    prelude::{SessionConfig, SessionContext},
};
use rapport_catalog_lake::LakeTable;
use rapport_catalog_postgres::Catalogue;
use rapport_lake::{Lake, Snapshot, TableName, Txn};
use tokio::runtime::Handle;

use crate::{
    Error, Limits, Result, Session,
    array_of_query::or_empty,
    bits::{bigint_of_64_bits, bit_not},
    cancel::Guard,
    constants_last::ConstantsLast,
    cpu::{Cpu, Spent},
    domain,
    expressions::PostgresExpressions,
    keys_of_two::with_keys_of_two,
    literals::ReadMoments,
    mirror::Followed,
    model_functions,
    numbered_sessions::NumberSessions,
    numbers::PostgresNumbers,
    one_row::{one_row, value_of_one_row},
    origin::Oids,
    privilege::Privileges,
    rephrase::named_cast,
    scratch::Scratch,
    short_texts::CompareShortTexts,
    stores::{NoStores, Stores},
    table_functions, temporary,
    times::{PlanTimes, PostgresTimes},
    unions::without_type,
    view::Views,
    widen::NumbersInQuotes,
    yielding::YieldBetweenBatches,
};

/// Cheap to clone.
#[derive(Clone)]
pub struct Warehouse {
    house: Arc<Inner>,
    share: Arc<Share>,
}

/// What statements compute with.
struct Share {
    limits: Limits,
    cpu: Cpu,
    runtime: Arc<RuntimeEnv>,
    /// Cloned for each statement that is planned.
    template: SessionState,
    scratch: Scratch,
    /// Cloned for each plan that is run. Hundreds of functions more would take longer than a small statement.
    nameless: SessionState,
}

/// What all see alike.
struct Inner {
    lake: Lake,
    catalogue: Option<Catalogue>,
    main_runtime: Handle,
    store_url: ObjectStoreUrl,
    stores: Arc<Stores>,
    /// The newest version of each table that has been scanned, with what was computed from its log.
    tables: Mutex<HashMap<TableName, Arc<LakeTable>>>,
    /// What is read in the place of a table.
    shown: RwLock<HashMap<TableName, Arc<dyn TableProvider>>>,
    views: RwLock<Arc<Views>>,
    privileges: Privileges,
    oids: Oids,
    followed: tokio::sync::Mutex<Followed>,
    /// One change of definitions at a time.
    definitions: tokio::sync::Mutex<()>,
    /// One rewrite of a table at a time in this process: the mark of a rewrite tells only whether it or a later one
    /// has landed.
    rewrites: Mutex<HashMap<TableName, Arc<tokio::sync::Mutex<()>>>>,
    /// Marks this process's rewrites in the log.
    writer: String,
    /// Held for writing while the commits of a block land, so that no statement sees some of them only. The number of
    /// the last such block.
    landing: tokio::sync::RwLock<i64>,
}

impl Warehouse {
    /// Opens a lake that exists and makes the catalogue equal to it: an empty catalogue is restored from the newest
    /// dump in the lake, and tables that another process made or dropped appear or go.
    pub async fn open(
        lake: Lake,
        catalogue: Option<Catalogue>,
        limits: Limits,
    ) -> Result<Warehouse> {
        let store_url = ObjectStoreUrl::parse(lake.store_url().as_str())?;
        lake.finish_journals().await?;
        let stores = Arc::new(Stores::default());
        if let Some(host) = lake.store_url().host_str() {
            stores.add(host, lake.store());
        }
        let share = Share::new(stores.clone(), limits)?;
        let views = Views::load(&lake).await?;
        let house = Arc::new(Inner {
            lake,
            catalogue,
            main_runtime: Handle::current(),
            store_url,
            stores,
            tables: Mutex::default(),
            shown: RwLock::default(),
            views: RwLock::new(Arc::new(views)),
            privileges: Privileges::default(),
            oids: Oids::default(),
            followed: tokio::sync::Mutex::default(),
            definitions: tokio::sync::Mutex::default(),
            rewrites: Mutex::default(),
            writer: format!("rapport.rewrite.{}", uuid::Uuid::new_v4()),
            landing: tokio::sync::RwLock::default(),
        });
        let share = Arc::new(share);
        let warehouse = Self { house, share };
        temporary::remove_abandoned(&warehouse).await?;
        warehouse.declare_functions().await?;
        warehouse.restore_catalogue().await?;
        Ok(warehouse)
    }

    /// The same warehouse for work that is to leave the rest to others: with threads and memory of its own.
    pub fn beside(&self, limits: Limits) -> Result<Warehouse> {
        let share = Share::new(self.house.stores.clone(), limits)?;
        Ok(Self {
            house: self.house.clone(),
            share: Arc::new(share),
        })
    }

    pub fn lake(&self) -> &Lake {
        &self.house.lake
    }

    pub fn catalogue(&self) -> Option<&Catalogue> {
        self.house.catalogue.as_ref()
    }

    pub fn limits(&self) -> &Limits {
        &self.share.limits
    }

    pub fn session(&self, role: &str) -> Session {
        Session::new(self.clone(), role)
    }

    /// Statements at work now.
    pub fn running(&self) -> usize {
        self.share.cpu.running()
    }

    /// All our functions, no table, no store: what a source's SELECT is run in.
    pub fn bare_context(&self) -> SessionContext {
        let runtime = RuntimeEnv {
            object_store_registry: Arc::new(NoStores),
            ..self.share.runtime.as_ref().clone()
        };
        SessionContext::new_with_state(state(&self.share.limits, Arc::new(runtime), true))
    }

    /// As [`Self::bare_context`], and able to read the lake's files: for plans over [`Self::provider`].
    pub fn lake_context(&self) -> SessionContext {
        SessionContext::new_with_state(state(&self.share.limits, self.share.runtime.clone(), true))
    }

    /// The newest version of a table, to register in [`Self::lake_context`].
    pub async fn provider(&self, name: &TableName) -> Result<Arc<dyn TableProvider>> {
        let snapshot = self.lake().table(name).await?.snapshot().await?;
        Ok(self.lake_table(snapshot))
    }

    /// A version as it is scanned. The newest one that was asked for is kept.
    pub(crate) fn lake_table(&self, snapshot: Arc<Snapshot>) -> Arc<LakeTable> {
        let mut tables = self.house.tables.lock().expect("never held over a panic");
        let name = snapshot.name().clone();
        let version = snapshot.version();
        match tables.get(&name) {
            // The definition may differ at the same version if the table was dropped and made again.
            Some(known) if Arc::ptr_eq(known.snapshot(), &snapshot) => known.clone(),
            Some(known) if known.snapshot().version() > version => {
                Arc::new(LakeTable::new(snapshot, self.store_url()))
            }
            _ => {
                let table = Arc::new(LakeTable::new(snapshot, self.store_url()));
                tables.insert(name, table.clone());
                table
            }
        }
    }

    /// From now on statements read `rows` in the place of the table, which is there and has the same columns.
    pub fn show(&self, table: TableName, rows: Arc<dyn TableProvider>) {
        let mut shown = self.house.shown.write().expect("never held over a panic");
        shown.insert(table, rows);
    }

    pub(crate) fn shown(&self, table: &TableName) -> Option<Arc<dyn TableProvider>> {
        let shown = self.house.shown.read().expect("never held over a panic");
        shown.get(table).cloned()
    }

    pub(crate) fn forget_table(&self, name: &TableName) {
        self.house
            .tables
            .lock()
            .expect("never held over a panic")
            .remove(name);
    }

    pub(crate) fn stores(&self) -> &Arc<Stores> {
        &self.house.stores
    }

    /// What commits of blocks wait for, and statements that look at tables.
    pub(crate) fn landing(&self) -> &tokio::sync::RwLock<i64> {
        &self.house.landing
    }

    pub(crate) fn writer(&self) -> &str {
        &self.house.writer
    }

    pub(crate) fn store_url(&self) -> ObjectStoreUrl {
        self.house.store_url.clone()
    }

    pub(crate) fn template(&self) -> &SessionState {
        &self.share.template
    }

    /// What plans are optimised and run with: in them all functions have been found.
    pub(crate) fn nameless(&self) -> &SessionState {
        &self.share.nameless
    }

    pub(crate) fn runtime(&self) -> &Arc<RuntimeEnv> {
        &self.share.runtime
    }

    /// The folder for what statements put on this machine's disk.
    pub(crate) fn scratch(&self) -> &Path {
        self.share.scratch.path()
    }

    /// The runtime that the warehouse was opened on.
    pub(crate) fn main_runtime(&self) -> &Handle {
        &self.house.main_runtime
    }

    /// Whether a function of this name, of any kind, can be computed over the lake.
    pub fn knows_function(&self, name: &str) -> bool {
        let template = self.template();
        template.scalar_functions().contains_key(name)
            || template.aggregate_functions().contains_key(name)
            || template.window_functions().contains_key(name)
            || table_functions::find(name).is_some()
            || model_functions::find(name).is_some()
    }

    pub(crate) fn cpu(&self) -> &Cpu {
        &self.share.cpu
    }

    pub(crate) fn followed(&self) -> &tokio::sync::Mutex<Followed> {
        &self.house.followed
    }

    pub(crate) fn privileges(&self) -> &Privileges {
        &self.house.privileges
    }

    pub(crate) fn oids(&self) -> &Oids {
        &self.house.oids
    }

    pub(crate) async fn lock_definitions(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.house.definitions.lock().await
    }

    /// Waits until no other statement of this process rewrites the table.
    pub(crate) async fn turn_to_rewrite(
        &self,
        name: &TableName,
    ) -> tokio::sync::OwnedMutexGuard<()> {
        let lock = {
            let mut rewrites = self.house.rewrites.lock().expect("never held over a panic");
            rewrites.entry(name.clone()).or_default().clone()
        };
        lock.lock_owned().await
    }

    pub(crate) fn rewrite_txn(&self) -> Txn {
        Txn {
            app_id: self.house.writer.clone(),
            version: Utc::now().timestamp_micros(),
        }
    }

    pub(crate) fn views(&self) -> Arc<Views> {
        self.house
            .views
            .read()
            .expect("never held over a panic")
            .clone()
    }

    /// Looks for views of other processes. Answers whether there was any change.
    pub(crate) async fn reload_views(&self) -> Result<bool> {
        let views = Views::load(self.lake()).await?;
        let mut known = self.house.views.write().expect("never held over a panic");
        let changed = **known != views;
        if changed {
            *known = Arc::new(views);
        }
        Ok(changed)
    }

    /// Runs on the query threads, and gives up when the planning budget is spent: by work, not by waiting for files or
    /// for the catalogue, which other statements may keep busy.
    pub(crate) async fn plan_within_budget<T: Send + 'static>(
        &self,
        guard: &Guard,
        work: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        let budget = self.share.limits.planning_timeout;
        let spent = Arc::new(Spent::default());
        let metered = spent.clone().metered(work);
        let mut planning = pin!(self.share.cpu.run(guard, metered));
        loop {
            let left = budget.saturating_sub(spent.time());
            if left.is_zero() {
                return Err(Error::TooComplex {
                    what: format!("it could not be planned in {budget:?}"),
                });
            }
            let left = left.max(Duration::from_millis(10));
            if let Ok(result) = tokio::time::timeout(left, &mut planning).await {
                return result;
            }
        }
    }
}

impl Share {
    fn new(stores: Arc<Stores>, limits: Limits) -> Result<Self> {
        let scratch = Scratch::create(limits.spill_dir.as_deref())?;
        let runtime = runtime(stores, &limits, scratch.path())?;
        let cpu = Cpu::new(limits.threads).map_err(|error| Error::OutOfMemory {
            message: format!("no threads for queries: {error}"),
        })?;
        let template = state(&limits, runtime.clone(), false);
        let nameless = nameless(&template);
        Ok(Self {
            limits,
            cpu,
            runtime,
            template,
            scratch,
            nameless,
        })
    }
}

fn runtime(stores: Arc<Stores>, limits: &Limits, scratch: &Path) -> Result<Arc<RuntimeEnv>> {
    let tracked = NonZeroUsize::new(5).expect("five is not zero");
    let pool = TrackConsumersPool::new(GreedyMemoryPool::new(limits.memory_bytes), tracked);
    let spill = DiskManagerBuilder::default()
        .with_mode(DiskManagerMode::Directories(vec![scratch.to_owned()]))
        .with_max_temp_directory_size(limits.spill_bytes);
    let runtime = RuntimeEnvBuilder::new()
        .with_memory_pool(Arc::new(pool))
        .with_disk_manager_builder(spill)
        .with_metadata_cache_limit(limits.metadata_cache_bytes)
        .with_object_store_registry(Arc::new(NoStores))
        .build()?;
    Ok(Arc::new(RuntimeEnv {
        object_store_registry: stores,
        ..runtime
    }))
}

/// DataFusion's, and ours; of two with one name the last is taken.
fn scalar_functions() -> Vec<Arc<ScalarUDF>> {
    let functions = SessionStateDefaults::default_scalar_functions();
    let mut functions = rapport_udf_postgres::over_times(functions);
    functions.extend(rapport_udf_postgres::functions());
    functions.extend(domain::scalar_functions());
    functions.push(value_of_one_row());
    functions.push(or_empty());
    functions.push(named_cast());
    functions.push(bigint_of_64_bits());
    functions.push(bit_not());
    functions.push(without_type());
    functions.extend(table_functions::checks());
    functions
}

fn expr_planners(functions: &[Arc<ScalarUDF>]) -> Vec<Arc<dyn ExprPlanner>> {
    let mut planners: Vec<Arc<dyn ExprPlanner>> = vec![
        Arc::new(PostgresExpressions::new(functions)),
        Arc::new(PlanTimes::new(functions)),
        Arc::new(NumbersInQuotes),
    ];
    planners.extend(SessionStateDefaults::default_expr_planners());
    planners
}

/// DataFusion's, under all names that PostgreSQL has for them, and ours.
fn aggregate_functions() -> Vec<Arc<AggregateUDF>> {
    let mut functions = SessionStateDefaults::default_aggregate_functions();
    for function in &mut functions {
        let more: &[&str] = match function.name() {
            "bool_and" => &["every"],
            "var" => &["variance"],
            _ => continue,
        };
        *function = Arc::new(function.as_ref().clone().with_aliases(more.iter().copied()));
    }
    functions.extend(rapport_udf_postgres::aggregate_functions());
    functions.extend(domain::aggregate_functions());
    functions.push(one_row());
    functions
}

fn window_functions() -> Vec<Arc<WindowUDF>> {
    let mut functions = SessionStateDefaults::default_window_functions();
    functions.extend(domain::window_functions());
    functions
}

/// `with_tables`: tables may be registered in it. Sessions resolve names themselves.
fn state(limits: &Limits, runtime: Arc<RuntimeEnv>, with_tables: bool) -> SessionState {
    let mut config = SessionConfig::new()
        .with_create_default_catalog_and_schema(with_tables)
        .with_information_schema(false)
        .with_target_partitions(limits.threads.max(1))
        .with_batch_size(limits.batch_rows);
    let options = config.options_mut();
    options.execution.time_zone = Some("UTC".to_owned());
    options.execution.parquet.pushdown_filters = true;
    options.execution.parquet.reorder_filters = true;
    options.sql_parser.parse_float_as_decimal = true;
    // A column's PostgreSQL type is in its metadata, which a union keeps in one plan and loses in the other.
    options.execution.skip_physical_aggregate_schema_check = true;
    // A history is kept in order, and most that is asked of it needs that order.
    options.optimizer.prefer_existing_sort = true;
    let functions = scalar_functions();
    SessionStateBuilder::new()
        .with_config(config)
        .with_runtime_env(runtime)
        .with_expr_planners(expr_planners(&functions))
        .with_scalar_functions(functions)
        .with_higher_order_functions(SessionStateDefaults::default_higher_order_functions())
        .with_aggregate_functions(rapport_udf_postgres::over_frames(
            rapport_udf_postgres::over_intervals(aggregate_functions()),
        ))
        .with_window_functions(window_functions())
        .with_analyzer_rule(Arc::new(ReadMoments))
        .with_analyzer_rule(Arc::new(PostgresTimes))
        .with_analyzer_rule(Arc::new(PostgresNumbers::new()))
        .with_optimizer_rules(optimizer_rules())
        .with_physical_optimizer_rule(Arc::new(CompareShortTexts))
        .with_physical_optimizer_rule(Arc::new(NumberSessions))
        .with_physical_optimizer_rule(Arc::new(YieldBetweenBatches))
        .with_table_function_list(
            SessionStateDefaults::default_table_functions()
                .into_iter()
                .filter(|function| matches!(function.name(), "generate_series" | "range"))
                .collect(),
        )
        .build()
}

/// The same without functions, but for the one that DataFusion looks for when it plans DISTINCT ON.
fn nameless(template: &SessionState) -> SessionState {
    let first_value = template.aggregate_functions().get("first_value");
    SessionStateBuilder::new_from_existing(template.clone())
        .with_scalar_functions(vec![])
        .with_higher_order_functions(vec![])
        .with_aggregate_functions(first_value.cloned().into_iter().collect())
        .with_window_functions(vec![])
        .build()
}

/// Without the one that leaves a LEFT JOIN out where it believes that groups have one row of each of its keys
/// ([`crate::dependencies`]), with conditions written in one way before they are put together, and with keys of two inputs alone.
fn optimizer_rules() -> Vec<Arc<dyn OptimizerRule + Send + Sync>> {
    let mut rules = Optimizer::new().rules;
    rules.retain(|rule| rule.name() != "eliminate_join");
    let simplified = rules
        .iter()
        .position(|rule| rule.name() == "simplify_expressions");
    rules.insert(simplified.map_or(0, |at| at + 1), Arc::new(ConstantsLast));
    with_keys_of_two(rules)
}

/// What statements are planned with, without a lake.
#[cfg(test)]
pub(crate) fn tests_state(limits: &Limits) -> SessionState {
    state(limits, Arc::default(), false)
}
