//! Ctrl-C: the first asks the command to stop cleanly, the second ends it at once.

use tokio_util::sync::CancellationToken;

use crate::failure::{Failure, INTERRUPTED};

/// Cancelled at the first SIGINT or SIGTERM.
#[derive(Clone)]
pub struct Interrupt {
    pub token: CancellationToken,
    by_user: CancellationToken,
}

impl Interrupt {
    /// Watches from now on; must be called inside a runtime.
    pub fn watch() -> Self {
        let interrupt = Self {
            token: CancellationToken::new(),
            by_user: CancellationToken::new(),
        };
        let watched = interrupt.clone();
        tokio::spawn(async move {
            watched.next().await;
            eprintln!("\nstopping; once more to stop at once");
            watched.token.cancel();
            watched.next().await;
            std::process::exit(i32::from(INTERRUPTED));
        });
        interrupt
    }

    #[cfg(unix)]
    async fn next(&self) {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate()).expect("SIGTERM can be watched");
        tokio::select! {
            _ = tokio::signal::ctrl_c() => self.by_user.cancel(),
            _ = terminate.recv() => {}
        }
    }

    #[cfg(not(unix))]
    async fn next(&self) {
        let _ = tokio::signal::ctrl_c().await;
        self.by_user.cancel();
    }

    /// Whether somebody pressed Ctrl-C, rather than a service manager saying "stop".
    pub fn is_by_user(&self) -> bool {
        self.by_user.is_cancelled()
    }

    /// Runs `work` until it ends or is interrupted. Dropping it must be harmless.
    pub async fn or<T>(&self, work: impl Future<Output = T>) -> Result<T, Failure> {
        tokio::select! {
            done = work => Ok(done),
            () = self.token.cancelled() => Err(Failure::interrupted()),
        }
    }
}
