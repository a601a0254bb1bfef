//! Ending a statement from outside: a cancel request, a vanished client, a shutdown.

use tokio_util::sync::CancellationToken;

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
