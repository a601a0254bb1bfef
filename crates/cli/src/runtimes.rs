//! Two runtimes: one that moves bytes and answers signals, one that computes.
//!
//! A query may keep every thread of the second busy for minutes; login, cancel and Ctrl-C live on the first and
//! answer all the same.

use tokio::runtime::{Builder, Handle, Runtime};

pub struct Runtimes {
    network: Runtime,
    compute: Runtime,
}

impl Runtimes {
    pub fn new(threads: usize) -> std::io::Result<Self> {
        Ok(Self {
            network: Builder::new_multi_thread()
                .worker_threads(2)
                .thread_name("rapport-net")
                .enable_all()
                .build()?,
            compute: Builder::new_multi_thread()
                .worker_threads(threads)
                .thread_name("rapport-cpu")
                // Plans are trees that are walked recursively; sqlparser's and DataFusion's frames are big.
                .thread_stack_size(8 << 20)
                .enable_all()
                .build()?,
        })
    }

    pub fn compute(&self) -> Handle {
        self.compute.handle().clone()
    }

    /// Runs a command to its end. What it left behind is not waited for.
    pub fn run<T>(self, work: impl Future<Output = T>) -> T {
        let result = self.network.block_on(work);
        self.compute.shutdown_background();
        self.network.shutdown_background();
        result
    }
}

/// Runs `work` on the computing runtime and waits for it here.
pub async fn on<T: Send + 'static>(
    runtime: &Handle,
    work: impl Future<Output = T> + Send + 'static,
) -> T {
    match runtime.spawn(work).await {
        Ok(done) => done,
        Err(gone) => match gone.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => std::future::pending().await,
        },
    }
}
