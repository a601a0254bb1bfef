//! `session_id` over rows that come customer by customer, whole batches at a time.
//!
//! DataFusion's window operator keeps a state for each customer and asks the function row by row, because it knows of no
//! function that goes on from batch to batch; this one does, with nothing to be kept but the last row.

use std::{
    fmt,
    ops::Range,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use arrow::{
    array::{ArrayRef, RecordBatch, new_empty_array},
    compute::{concat, kernels::cmp::not_distinct, partition},
    datatypes::SchemaRef,
};
use datafusion::{
    common::{
        Result,
        tree_node::{Transformed, TreeNode, TreeNodeRecursion},
    },
    config::ConfigOptions,
    execution::{RecordBatchStream, SendableRecordBatchStream, TaskContext},
    logical_expr::PartitionEvaluator,
    physical_expr::{
        PhysicalExpr,
        window::{StandardWindowExpr, StandardWindowFunctionExpr, WindowExpr},
    },
    physical_optimizer::PhysicalOptimizerRule,
    physical_plan::{
        ChildrenPropertiesMode, DisplayAs, DisplayFormatType, ExecutionPlan, InputOrderMode,
        PlanProperties, ReplaceChildrenOptions,
        metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet},
        windows::{BoundedWindowAggExec, WindowUDFExpr},
    },
};
use futures::{Stream, StreamExt};

/// Puts the operator where nothing but sessions is numbered, in the order of the rows.
#[derive(Debug)]
pub(crate) struct NumberSessions;

impl PhysicalOptimizerRule for NumberSessions {
    fn name(&self) -> &str {
        "NumberSessions"
    }

    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _config: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let numbered = plan.transform_up(|node| {
            Ok(match NumberedSessions::of(&node) {
                Some(numbered) => Transformed::yes(Arc::new(numbered) as _),
                None => Transformed::no(node),
            })
        });
        Ok(numbered?.data)
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// An operator that is known and shown as the one in whose place it stands.
#[derive(Debug)]
struct NumberedSessions {
    window: Arc<dyn ExecutionPlan>,
    input: Arc<dyn ExecutionPlan>,
    partition_by: Vec<Arc<dyn PhysicalExpr>>,
    functions: Vec<Arc<dyn StandardWindowFunctionExpr>>,
    metrics: ExecutionPlanMetricsSet,
}

impl NumberedSessions {
    fn of(node: &Arc<dyn ExecutionPlan>) -> Option<Self> {
        let window = node.downcast_ref::<BoundedWindowAggExec>()?;
        if window.input_order_mode != InputOrderMode::Sorted {
            return None;
        }
        let functions = window.window_expr().iter().map(numbers_sessions);
        Some(Self {
            window: Arc::clone(node),
            input: Arc::clone(window.input()),
            partition_by: window.window_expr().first()?.partition_by().to_vec(),
            functions: functions.collect::<Option<_>>()?,
            metrics: ExecutionPlanMetricsSet::new(),
        })
    }
}

fn numbers_sessions(expr: &Arc<dyn WindowExpr>) -> Option<Arc<dyn StandardWindowFunctionExpr>> {
    let expr = expr.as_any().downcast_ref::<StandardWindowExpr>()?;
    let function = expr.get_standard_func_expr();
    let called = function.as_any().downcast_ref::<WindowUDFExpr>()?;
    (called.fun().name() == "session_id").then(|| Arc::clone(function))
}

impl DisplayAs for NumberedSessions {
    fn fmt_as(&self, format: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.window.fmt_as(format, f)
    }
}

impl ExecutionPlan for NumberedSessions {
    fn name(&self) -> &str {
        self.window.name()
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.window.properties()
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        self.window.children()
    }

    fn replace_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
        options: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let window = Arc::clone(&self.window).replace_children(children, options)?;
        Ok(match Self::of(&window) {
            Some(numbered) => Arc::new(numbered),
            None => window,
        })
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        self.replace_children(
            children,
            ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute),
        )
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        self.window.apply_expressions(f)
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        Ok(Box::pin(Numbered {
            rows: self.input.execute(partition, context)?,
            schema: self.window.schema(),
            partition_by: self.partition_by.clone(),
            functions: self.functions.clone(),
            of_customer: vec![],
            last: None,
            metrics: BaselineMetrics::new(&self.metrics, partition),
        }))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}

struct Numbered {
    rows: SendableRecordBatchStream,
    schema: SchemaRef,
    partition_by: Vec<Arc<dyn PhysicalExpr>>,
    functions: Vec<Arc<dyn StandardWindowFunctionExpr>>,
    /// One for each function, of the customer whose rows came last.
    of_customer: Vec<Box<dyn PartitionEvaluator>>,
    /// Who that is: arrays of one value.
    last: Option<Vec<ArrayRef>>,
    metrics: BaselineMetrics,
}

impl Numbered {
    fn number(&mut self, batch: &RecordBatch) -> Result<RecordBatch> {
        let n = batch.num_rows();
        let mut columns = batch.columns().to_vec();
        let customers = self.partition_by.iter().map(|expr| of_rows(expr, batch));
        let customers = customers.collect::<Result<Vec<_>>>()?;
        let ranges = match (n, customers.as_slice()) {
            (0, _) => vec![],
            (_, []) => std::iter::once(0..n).collect(),
            _ => partition(&customers)?.ranges(),
        };
        let arguments = self.functions.iter().map(|of| of.evaluate_args(batch));
        let arguments = arguments.collect::<Result<Vec<_>>>()?;
        let mut numbers: Vec<Vec<ArrayRef>> = vec![vec![]; self.functions.len()];
        for Range { start, end } in ranges {
            if start > 0 || !self.goes_on(&customers)? {
                let new = self.functions.iter().map(|of| of.create_evaluator());
                self.of_customer = new.collect::<Result<_>>()?;
            }
            for (n, evaluator) in self.of_customer.iter_mut().enumerate() {
                let rows = arguments[n].iter().map(|all| all.slice(start, end - start));
                let rows: Vec<ArrayRef> = rows.collect();
                numbers[n].push(evaluator.evaluate_all(&rows, end - start)?);
            }
        }
        if n > 0 {
            let last = customers.iter().map(|column| column.slice(n - 1, 1));
            self.last = Some(last.collect());
        }
        for (function, numbers) in self.functions.iter().zip(numbers) {
            columns.push(match numbers.as_slice() {
                [] => new_empty_array(function.field()?.data_type()),
                [all] => Arc::clone(all),
                parts => concat(&parts.iter().map(AsRef::as_ref).collect::<Vec<_>>())?,
            });
        }
        Ok(RecordBatch::try_new(Arc::clone(&self.schema), columns)?)
    }

    /// Whether the first of these rows is of the customer whose rows came last.
    fn goes_on(&self, customers: &[ArrayRef]) -> Result<bool> {
        let Some(last) = &self.last else {
            return Ok(false);
        };
        for (last, column) in last.iter().zip(customers) {
            if !not_distinct(last, &column.slice(0, 1))?.value(0) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

fn of_rows(expr: &Arc<dyn PhysicalExpr>, batch: &RecordBatch) -> Result<ArrayRef> {
    expr.evaluate(batch)?.into_array(batch.num_rows())
}

impl Stream for Numbered {
    type Item = Result<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let numbered = match self.rows.poll_next_unpin(context) {
            Poll::Ready(Some(Ok(batch))) => Poll::Ready(Some(self.number(&batch))),
            other => other,
        };
        self.metrics.record_poll(numbered)
    }
}

impl RecordBatchStream for Numbered {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }
}
