//! How much memory one statement may hold, within what all may hold.

use std::{
    fmt::{self, Display},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use datafusion::{
    common::{Result, resources_datafusion_err},
    execution::memory_pool::{MemoryConsumer, MemoryLimit, MemoryPool, MemoryReservation},
};

use crate::cancel::Guard;

/// One statement's share of the warehouse's pool. Greedy: no part of a statement is promised a part of the share, so
/// that the one that needs much gets it.
#[derive(Debug)]
pub(crate) struct StatementPool {
    shared: Arc<dyn MemoryPool>,
    limit: usize,
    held: AtomicUsize,
    guard: Guard,
}

impl StatementPool {
    pub(crate) fn new(shared: Arc<dyn MemoryPool>, limit: usize, guard: Guard) -> Self {
        Self {
            shared,
            limit,
            held: AtomicUsize::new(0),
            guard,
        }
    }
}

impl Display for StatementPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "statement pool of {} bytes", self.limit)
    }
}

impl MemoryPool for StatementPool {
    fn name(&self) -> &str {
        "statement"
    }

    fn register(&self, consumer: &MemoryConsumer) {
        self.shared.register(consumer);
    }

    fn unregister(&self, consumer: &MemoryConsumer) {
        self.shared.unregister(consumer);
    }

    fn grow(&self, reservation: &MemoryReservation, additional: usize) {
        self.held.fetch_add(additional, Ordering::Relaxed);
        self.shared.grow(reservation, additional);
    }

    fn shrink(&self, reservation: &MemoryReservation, shrink: usize) {
        self.held.fetch_sub(shrink, Ordering::Relaxed);
        self.shared.shrink(reservation, shrink);
    }

    /// A statement that is over gets no more: a sort that merges what it holds for seconds, without giving the thread
    /// back, ends here.
    fn try_grow(&self, reservation: &MemoryReservation, additional: usize) -> Result<()> {
        if self.guard.is_over() {
            return Err(self.guard.why().into());
        }
        let take = |held: usize| {
            held.checked_add(additional)
                .filter(|held| *held <= self.limit)
        };
        self.held.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).map_err(|held| {
            resources_datafusion_err!(
                "the statement holds {held} bytes and asks for {additional} more, over its limit of {}",
                self.limit
            )
        })?;
        self.shared
            .try_grow(reservation, additional)
            .inspect_err(|_| {
                self.held.fetch_sub(additional, Ordering::Relaxed);
            })
    }

    fn reserved(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }

    fn memory_limit(&self) -> MemoryLimit {
        MemoryLimit::Finite(self.limit)
    }
}
