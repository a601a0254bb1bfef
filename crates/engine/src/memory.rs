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
/// that the one that needs much gets it. Two rules keep a statement that can spill from failing instead:
///
/// - What can spill may together hold a third of the share. The rest is for what can't, above all the merges of what is
///   being spilled, which hold as much again, and would find no memory if those that spill had taken it.
/// - Each of those that can spill may hold its part of another eighth, whatever the others hold: one that has nothing
///   has nothing to spill either, and would fail at its first batch.
#[derive(Debug)]
pub(crate) struct StatementPool {
    shared: Arc<dyn MemoryPool>,
    limit: usize,
    held: AtomicUsize,
    /// The part of it that could be spilled, and how many hold it.
    spillable: AtomicUsize,
    spillers: AtomicUsize,
    guard: Guard,
}

impl StatementPool {
    pub(crate) fn new(shared: Arc<dyn MemoryPool>, limit: usize, guard: Guard) -> Self {
        Self {
            shared,
            limit,
            held: AtomicUsize::new(0),
            spillable: AtomicUsize::new(0),
            spillers: AtomicUsize::new(0),
            guard,
        }
    }

    /// Whether one that can spill should rather do so than hold this much more.
    fn is_to_spill(&self, reservation: &MemoryReservation, additional: usize) -> bool {
        let together = self.spillable.load(Ordering::Relaxed) + additional;
        let alone = reservation.size() + additional;
        let part = self.limit / 8 / self.spillers.load(Ordering::Relaxed).max(1);
        together > self.limit / 3 && alone > part
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
        if consumer.can_spill() {
            self.spillers.fetch_add(1, Ordering::Relaxed);
        }
        self.shared.register(consumer);
    }

    fn unregister(&self, consumer: &MemoryConsumer) {
        if consumer.can_spill() {
            self.spillers.fetch_sub(1, Ordering::Relaxed);
        }
        self.shared.unregister(consumer);
    }

    fn grow(&self, reservation: &MemoryReservation, additional: usize) {
        self.held.fetch_add(additional, Ordering::Relaxed);
        if reservation.consumer().can_spill() {
            self.spillable.fetch_add(additional, Ordering::Relaxed);
        }
        self.shared.grow(reservation, additional);
    }

    fn shrink(&self, reservation: &MemoryReservation, shrink: usize) {
        self.held.fetch_sub(shrink, Ordering::Relaxed);
        if reservation.consumer().can_spill() {
            self.spillable.fetch_sub(shrink, Ordering::Relaxed);
        }
        self.shared.shrink(reservation, shrink);
    }

    /// A statement that is over gets no more: a sort that merges what it holds for seconds, without giving the thread
    /// back, ends here.
    fn try_grow(&self, reservation: &MemoryReservation, additional: usize) -> Result<()> {
        if self.guard.is_over() {
            return Err(self.guard.why().into());
        }
        let can_spill = reservation.consumer().can_spill();
        if can_spill && self.is_to_spill(reservation, additional) {
            return Err(resources_datafusion_err!(
                "what the statement could put on disk is a third of its limit of {} bytes",
                self.limit
            ));
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
            })?;
        if can_spill {
            self.spillable.fetch_add(additional, Ordering::Relaxed);
        }
        Ok(())
    }

    fn reserved(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }

    fn memory_limit(&self) -> MemoryLimit {
        MemoryLimit::Finite(self.limit)
    }
}
