//! What a load tells about itself while it runs.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Fingerprints of the files, to know which were loaded before.
    Looking,
    /// Decoding and checking.
    Reading,
    /// Which customers and rows are known already.
    Matching,
    Writing,
    Committing,
}

/// Called from several threads, often: keep it cheap.
pub trait Progress: Send + Sync {
    fn phase(&self, phase: Phase);
    /// Bytes of all files, as they lie on disk; before `Reading`.
    fn total_bytes(&self, bytes: u64);
    /// Since the last call, in the phase that runs: rows read (`Reading`) or written (`Writing`), bytes read.
    fn advance(&self, rows: u64, bytes: u64);
}

/// Tells nothing.
pub struct Quiet;

impl Progress for Quiet {
    fn phase(&self, _: Phase) {}
    fn total_bytes(&self, _: u64) {}
    fn advance(&self, _: u64, _: u64) {}
}
