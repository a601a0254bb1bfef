//! A plan becomes a stream: on the query threads, within a memory share, until it is done or must end.

use std::{
    collections::HashMap,
    panic::AssertUnwindSafe,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use arrow::{
    array::RecordBatch,
    datatypes::{DataType, SchemaRef},
};
use datafusion::{
    common::{
        Result as PlanResult, ScalarValue,
        tree_node::{TreeNode, TreeNodeRecursion},
    },
    datasource::{memory::DataSourceExec, physical_plan::FileScanConfig},
    error::DataFusionError,
    execution::{
        RecordBatchStream, SendableRecordBatchStream, SessionState, TaskContext,
        runtime_env::RuntimeEnv,
    },
    logical_expr::{ExprSchemable, LogicalPlan},
    physical_plan::{
        ChildrenPropertiesMode, Distribution, ExecutionPlan, ExecutionPlanProperties, Partitioning,
        ReplaceChildrenOptions, execute_stream, repartition::RepartitionExec,
        sorts::sort_preserving_merge::SortPreservingMergeExec,
    },
};
use futures::{FutureExt, Stream, StreamExt, future::BoxFuture};
use rapport_udf_postgres::json;
use tokio::sync::mpsc;

use crate::{
    Error, Result, Warehouse,
    cancel::Guard,
    cpu::{self, Task},
    interrupt::interruptible,
    memory::StatementPool,
    oid,
    plan::{Planned, Scope},
    stores::SCHEME,
    told_apart::tell_apart,
};

/// Batches computed ahead of the client.
const AHEAD: usize = 2;

/// Runs a planned query. Planning of the physical kind is part of it, so that all of it is bounded by the guard.
pub(crate) async fn rows(
    scope: &Scope,
    planned: &Planned,
    params: Vec<ScalarValue>,
    guard: &Guard,
) -> Result<SendableRecordBatchStream> {
    let logical = bind(planned, params)?;
    let warehouse = scope.warehouse.clone();
    let state = scope.state_to_run();
    let physical = physical(&warehouse, state.clone(), logical, guard).await?;
    Ok(stream(&warehouse, &state, physical, guard))
}

/// Puts the parameters' values in.
pub(crate) fn bind(planned: &Planned, params: Vec<ScalarValue>) -> Result<LogicalPlan> {
    if params.len() != planned.param_types.len() {
        return Err(Error::ParameterCount {
            given: params.len(),
            wanted: planned.param_types.len(),
        });
    }
    if params.is_empty() {
        return Ok(planned.plan.clone());
    }
    let types = planned.param_types.iter().zip(&planned.params);
    let values = params.iter().zip(types);
    let values = values.map(|(value, (data_type, oid))| bound(value, data_type, *oid));
    let values = values.collect::<PlanResult<Vec<_>>>()?;
    Ok(planned.plan.clone().with_param_values(values)?)
}

fn bound(value: &ScalarValue, data_type: &DataType, oid: u32) -> PlanResult<ScalarValue> {
    match (oid, value.try_as_str().flatten()) {
        (oid::JSONB, Some(text)) => Ok(ScalarValue::Utf8View(Some(json::canonical(text)?))),
        (oid::JSON, Some(text)) => {
            json::check(text)?;
            value.cast_to(data_type)
        }
        _ => value.cast_to(data_type),
    }
}

/// Optimises and plans on the query threads, within the planning budget.
pub(crate) async fn physical(
    warehouse: &Warehouse,
    state: SessionState,
    logical: LogicalPlan,
    guard: &Guard,
) -> Result<Arc<dyn ExecutionPlan>> {
    let work = {
        let guard = guard.clone();
        async move {
            let mut state = state;
            let logical = state.optimize(&logical).map_err(of_subqueries)?;
            let logical = tell_apart(logical)?;
            if joins_by_arrays(&logical)? {
                let options = state.config_mut().options_mut();
                options.optimizer.enable_join_dynamic_filter_pushdown = false;
            }
            let planner = state.query_planner().clone();
            let plan = planner.create_physical_plan(&logical, &state).await;
            let plan = plan.map_err(of_subqueries)?;
            let plan = match is_sorted(&logical) {
                true => in_order(plan)?,
                false => plan,
            };
            check_sources(&plan)?;
            Ok(interruptible(plan, &guard)?)
        }
    };
    warehouse.plan_within_budget(guard, work).await
}

/// Whether its rows are to come in an order.
fn is_sorted(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Sort(_) => true,
        LogicalPlan::Projection(projection) => is_sorted(&projection.input),
        LogicalPlan::SubqueryAlias(alias) => is_sorted(&alias.input),
        LogicalPlan::Limit(limit) => is_sorted(&limit.input),
        _ => false,
    }
}

/// DataFusion asks for the order below the last projection, whose rows it may then deal out to the threads.
fn in_order(plan: Arc<dyn ExecutionPlan>) -> PlanResult<Arc<dyn ExecutionPlan>> {
    let plan = not_dealt_out(plan)?;
    let order = plan.output_ordering().cloned();
    Ok(match order {
        Some(order) if plan.output_partitioning().partition_count() > 1 => {
            Arc::new(SortPreservingMergeExec::new(order, plan))
        }
        _ => plan,
    })
}

fn not_dealt_out(plan: Arc<dyn ExecutionPlan>) -> PlanResult<Arc<dyn ExecutionPlan>> {
    let [child] = plan.children()[..] else {
        return Ok(plan);
    };
    let child = Arc::clone(child);
    let is_one = child.output_partitioning().partition_count() == 1;
    if let Some(dealt) = plan.downcast_ref::<RepartitionExec>() {
        let is_dealt = matches!(dealt.partitioning(), Partitioning::RoundRobinBatch(_));
        return match is_dealt && is_one {
            true => not_dealt_out(child),
            false => Ok(plan),
        };
    }
    let asked = plan.input_distribution_requirements();
    let is_free = matches!(
        asked.child_distribution(0),
        None | Some(Distribution::UnspecifiedDistribution)
    );
    match is_free && plan.maintains_input_order()[..] == [true] {
        true => plan.replace_children(
            vec![not_dealt_out(child)?],
            ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute),
        ),
        false => Ok(plan),
    }
}

/// All names have been found by now: one that is missing was lost on the way of a sub-query to a join.
fn of_subqueries(error: DataFusionError) -> Error {
    tracing::debug!(%error, "cannot be joined");
    match error.into() {
        // The statement's own names have been found before.
        Error::UndefinedColumn { .. } | Error::AmbiguousColumn { .. } | Error::Syntax { .. } => {
            Error::not_supported(
                "a sub-query that names columns of the queries around it in this way is not supported",
                "Join its tables instead, or compute it by a WITH of its own.",
            )
        }
        other => other,
    }
}

/// Bounds of such keys are compared as arrays are not joined: a NULL among the elements loses rows.
fn joins_by_arrays(plan: &LogicalPlan) -> Result<bool> {
    let mut found = false;
    plan.apply_with_subqueries(|node| {
        if let LogicalPlan::Join(join) = node {
            let mut keys = join
                .on
                .iter()
                .map(|(key, _)| key.get_type(join.left.schema()));
            found |= keys.any(|key| key.is_ok_and(|key| key.is_nested()));
        }
        Ok(match found {
            true => TreeNodeRecursion::Stop,
            false => TreeNodeRecursion::Continue,
        })
    })?;
    Ok(found)
}

/// Every file that the plan reads is the lake's or the session's own, and it writes none.
fn check_sources(plan: &Arc<dyn ExecutionPlan>) -> Result<()> {
    let mut refused = None;
    plan.apply(|node| {
        let scan = node.downcast_ref::<DataSourceExec>();
        let files = scan.and_then(|scan| scan.data_source().downcast_ref::<FileScanConfig>());
        let foreign = files.is_some_and(|files| {
            let url: &url::Url = files.object_store_url.as_ref();
            url.scheme() != SCHEME
        });
        if foreign || node.name() == "DataSinkExec" {
            refused = Some(node.name().to_owned());
            return Ok(TreeNodeRecursion::Stop);
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    match refused {
        Some(node) => Err(Error::Denied {
            what: format!("a file outside of the lake ({node})"),
        }),
        None => Ok(()),
    }
}

/// What the plan's operators get: the session's settings, and memory up to the statement's share.
pub(crate) fn task_context(
    warehouse: &Warehouse,
    state: &SessionState,
    guard: &Guard,
) -> Arc<TaskContext> {
    let shared = warehouse.runtime();
    let pool = StatementPool::new(
        shared.memory_pool.clone(),
        warehouse.limits().query_memory_bytes,
        guard.clone(),
    );
    let runtime = RuntimeEnv {
        memory_pool: Arc::new(pool),
        ..shared.as_ref().clone()
    };
    // Nothing looks for a function by its name any more, and copies of the hundreds that there are take their time.
    Arc::new(TaskContext::new(
        None,
        state.session_id().to_owned(),
        state.config().clone(),
        HashMap::new(),
        HashMap::new(),
        HashMap::new(),
        HashMap::new(),
        Arc::new(runtime),
    ))
}

/// Starts the plan on the query threads.
pub(crate) fn stream(
    warehouse: &Warehouse,
    state: &SessionState,
    plan: Arc<dyn ExecutionPlan>,
    guard: &Guard,
) -> SendableRecordBatchStream {
    let schema = plan.schema();
    let context = task_context(warehouse, state, guard);
    let (sender, receiver) = mpsc::channel(AHEAD);
    let inner = guard.clone();
    let work = async move {
        let pumped = AssertUnwindSafe(pump(plan, context, &inner, &sender))
            .catch_unwind()
            .await;
        let error = match pumped {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error,
            Err(panic) => cpu::panicked(panic),
        };
        // Nobody to tell it to if the client has gone.
        let _ = sender.send(Err(error)).await;
    };
    let task = warehouse.cpu().spawn(work);
    let ended = guard.clone();
    Box::pin(Rows {
        schema,
        receiver,
        guard: guard.clone(),
        ended: async move { ended.ended().await }.boxed(),
        task: Some(task),
    })
}

async fn pump(
    plan: Arc<dyn ExecutionPlan>,
    context: Arc<TaskContext>,
    guard: &Guard,
    sender: &mpsc::Sender<Result<RecordBatch>>,
) -> Result<()> {
    let mut stream = execute_stream(plan, context)?;
    loop {
        let next = guard
            .bound(async { stream.next().await.transpose().map_err(Error::from) })
            .await?;
        let Some(batch) = next else { return Ok(()) };
        if sender.send(Ok(batch)).await.is_err() {
            return Ok(());
        }
    }
}

/// The client's end. Dropping it ends the work; so does the guard, even while an operator computes without yielding.
struct Rows {
    schema: SchemaRef,
    receiver: mpsc::Receiver<Result<RecordBatch>>,
    ended: BoxFuture<'static, Error>,
    task: Option<Task<()>>,
    guard: Guard,
}

impl Drop for Rows {
    fn drop(&mut self) {
        self.guard.abandon();
    }
}

impl Stream for Rows {
    type Item = PlanResult<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.task.is_none() {
            return Poll::Ready(None);
        }
        if let Poll::Ready(error) = self.ended.poll_unpin(context) {
            self.task = None;
            self.guard.abandon();
            return Poll::Ready(Some(Err(DataFusionError::from(error))));
        }
        let next = std::task::ready!(self.receiver.poll_recv(context));
        if !matches!(next, Some(Ok(_))) {
            self.task = None;
        }
        Poll::Ready(next.map(|batch| batch.map_err(DataFusionError::from)))
    }
}

impl RecordBatchStream for Rows {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }
}
