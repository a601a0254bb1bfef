//! Lets what an operator computes ask whether its answer is still wanted: while its stream is polled, the thread knows.

use std::{
    fmt,
    future::poll_fn,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
};

use arrow::{array::RecordBatch, datatypes::SchemaRef};
use datafusion::{
    common::{Result, tree_node::TreeNodeRecursion},
    execution::{RecordBatchStream, SendableRecordBatchStream, TaskContext},
    physical_expr::PhysicalExpr,
    physical_plan::{
        ChildrenPropertiesMode, DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties,
        ReplaceChildrenOptions, metrics::MetricsSet,
    },
};
use futures::{Stream, StreamExt};
use rapport_udf_face::cancel::{self, IsCancelled};

use crate::cancel::Guard;

/// An operator that is known and shown as the one within.
#[derive(Debug)]
pub(crate) struct Asking {
    inner: Arc<dyn ExecutionPlan>,
    guard: Guard,
}

impl Asking {
    pub(crate) fn new(inner: Arc<dyn ExecutionPlan>, guard: &Guard) -> Self {
        Self {
            inner,
            guard: guard.clone(),
        }
    }
}

impl DisplayAs for Asking {
    fn fmt_as(&self, format: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt_as(format, f)
    }
}

impl ExecutionPlan for Asking {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn downcast_delegate(&self) -> Option<&dyn ExecutionPlan> {
        Some(self.inner.as_ref())
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.inner.properties()
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        self.inner.children()
    }

    fn replace_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
        options: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let inner = self.inner.clone().replace_children(children, options)?;
        Ok(Arc::new(Self::new(inner, &self.guard)))
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
        self.inner.apply_expressions(f)
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let guard = self.guard.clone();
        Ok(Box::pin(Asked {
            inner: self.inner.execute(partition, context)?,
            is_cancelled: Arc::new(move || guard.is_over()),
            guard: self.guard.clone(),
        }))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        self.inner.metrics()
    }
}

/// The same work, which may ask while it is polled.
pub(crate) async fn asking<T>(guard: Guard, work: impl Future<Output = T>) -> T {
    let is_cancelled: IsCancelled = Arc::new(move || guard.is_over());
    let mut work = pin!(work);
    poll_fn(|context| cancel::with(&is_cancelled, || work.as_mut().poll(context))).await
}

struct Asked {
    inner: SendableRecordBatchStream,
    is_cancelled: IsCancelled,
    guard: Guard,
}

impl Stream for Asked {
    type Item = Result<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let is_cancelled = self.is_cancelled.clone();
        let polled = cancel::with(&is_cancelled, || self.inner.poll_next_unpin(context));
        match polled {
            Poll::Ready(Some(Err(_))) if self.guard.is_over() => {
                Poll::Ready(Some(Err(self.guard.why().into())))
            }
            polled => polled,
        }
    }
}

impl RecordBatchStream for Asked {
    fn schema(&self) -> SchemaRef {
        self.inner.schema()
    }
}
