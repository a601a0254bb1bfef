//! The threads that plan and run queries, apart from those that serve connections.
//!
//! Their stacks are big, so that a plan as deep as the limits allow can be walked; only what is used is ever touched.

use std::{
    future::poll_fn,
    pin::pin,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::{
    runtime::{Builder, Runtime},
    task::JoinHandle,
};

use crate::{Error, Result, asking::asking, cancel::Guard};

const STACK_BYTES: usize = 64 << 20;

pub(crate) struct Cpu {
    /// Taken when it is dropped, because a runtime may not be dropped where futures run.
    runtime: Option<Runtime>,
    running: Arc<AtomicUsize>,
}

impl Cpu {
    pub(crate) fn new(threads: usize) -> std::io::Result<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(threads.max(1))
            .thread_name("rapport-query")
            .thread_stack_size(STACK_BYTES)
            .enable_all()
            .build()?;
        Ok(Self {
            runtime: Some(runtime),
            running: Arc::default(),
        })
    }

    /// Statements at work, for tests and metrics.
    pub(crate) fn running(&self) -> usize {
        self.running.load(Ordering::Relaxed)
    }

    pub(crate) fn spawn<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Task<T> {
        let counted = Counted::enter(self.running.clone());
        let work = async move {
            let _counted = counted;
            work.await
        };
        let runtime = self.runtime.as_ref().expect("taken only when dropped");
        Task(runtime.spawn(work))
    }

    /// Runs on these threads until it is done or the guard ends it. The caller gets its answer at once; the work stops
    /// when it next yields, or asks.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        guard: &Guard,
        work: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        let part = Part(guard.apart());
        let mut task = self.spawn(asking(part.0.clone(), work));
        guard
            .bound(async {
                match (&mut task.0).await {
                    Ok(result) => result,
                    Err(error) => Err(lost(error)),
                }
            })
            .await
    }
}

impl Drop for Cpu {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Abandoned when nobody waits for it any more.
struct Part(Guard);

impl Drop for Part {
    fn drop(&mut self) {
        self.0.abandon();
    }
}

/// The time that a future has been at work, without the time that it waited.
#[derive(Default)]
pub(crate) struct Spent(Mutex<Clock>);

#[derive(Default)]
struct Clock {
    before: Duration,
    /// When it went to work, if it is at work.
    since: Option<Instant>,
}

impl Spent {
    pub(crate) async fn metered<T>(self: Arc<Self>, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        poll_fn(|context| {
            self.clock().since = Some(Instant::now());
            let polled = work.as_mut().poll(context);
            let mut clock = self.clock();
            if let Some(since) = clock.since.take() {
                clock.before += since.elapsed();
            }
            polled
        })
        .await
    }

    pub(crate) fn time(&self) -> Duration {
        let clock = self.clock();
        clock.before + clock.since.map_or(Duration::ZERO, |since| since.elapsed())
    }

    fn clock(&self) -> MutexGuard<'_, Clock> {
        self.0.lock().expect("never held over a panic")
    }
}

/// Dropping it ends the work.
pub(crate) struct Task<T>(JoinHandle<T>);

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl<T> Task<T> {
    pub(crate) async fn join(mut self) -> Result<T> {
        (&mut self.0).await.map_err(lost)
    }
}

fn lost(error: tokio::task::JoinError) -> Error {
    match error.try_into_panic() {
        Ok(panic) => panicked(panic),
        Err(_) => Error::Cancelled,
    }
}

/// Arrow panics rather than make an array that its offsets can't count.
pub(crate) fn panicked(panic: Box<dyn std::any::Any + Send>) -> Error {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    let message = text.unwrap_or_else(|| "a part of the statement failed".to_owned());
    if message.contains("overflow") {
        return Error::OutOfMemory {
            message: "a value or an array of values is too large".to_owned(),
        };
    }
    Error::Panic { message }
}

struct Counted(Arc<AtomicUsize>);

impl Counted {
    fn enter(count: Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
