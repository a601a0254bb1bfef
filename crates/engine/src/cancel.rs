//! Ending a statement: a cancel request, a vanished client, a deadline.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use tokio_util::sync::CancellationToken;

use crate::Error;

/// Ends what one session is doing, from any task. Work that has not started when it is cancelled never starts.
#[derive(Clone, Debug, Default)]
pub struct Cancel(CancellationToken);

impl Cancel {
    /// Ends planning and execution of the statement that runs now: it fails with [`crate::Error::Cancelled`].
    pub fn cancel(&self) {
        self.0.cancel();
    }

    pub fn is_cancelled(&self) -> bool {
        self.0.is_cancelled()
    }

    pub async fn cancelled(&self) {
        self.0.cancelled().await;
    }
}

/// What may end one statement.
#[derive(Clone, Debug, Default)]
pub(crate) struct Guard {
    pub cancel: Cancel,
    pub deadline: Option<Instant>,
    /// Nobody wants the rest of the answer.
    abandoned: Arc<AtomicBool>,
}

impl Guard {
    pub(crate) fn new(cancel: Cancel, deadline: Option<Instant>) -> Self {
        Self {
            cancel,
            deadline,
            abandoned: Arc::default(),
        }
    }

    /// A part of the statement, which may be abandoned by itself.
    pub(crate) fn apart(&self) -> Self {
        Self::new(self.cancel.clone(), self.deadline)
    }

    pub(crate) fn abandon(&self) {
        self.abandoned.store(true, Ordering::Relaxed);
    }

    /// For those who compute and can't wait for [`Self::ended`].
    pub(crate) fn is_over(&self) -> bool {
        self.abandoned.load(Ordering::Relaxed)
            || self.cancel.is_cancelled()
            || self
                .deadline
                .is_some_and(|deadline| Instant::now() > deadline)
    }

    /// Why it is over, once it is.
    pub(crate) fn why(&self) -> Error {
        let is_late = self
            .deadline
            .is_some_and(|deadline| Instant::now() > deadline);
        if is_late && !self.cancel.is_cancelled() {
            Error::TimedOut
        } else {
            Error::Cancelled
        }
    }

    /// Returns when the statement must end, and why.
    pub(crate) async fn ended(&self) -> Error {
        let deadline = async {
            match self.deadline {
                Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = self.cancel.cancelled() => Error::Cancelled,
            () = deadline => Error::TimedOut,
        }
    }

    /// Runs until it is done or must end; what is not done is dropped.
    pub(crate) async fn bound<T>(
        &self,
        work: impl Future<Output = crate::Result<T>>,
    ) -> crate::Result<T> {
        tokio::select! {
            biased;
            error = self.ended() => Err(error),
            result = work => result,
        }
    }
}
