//! Progress on a terminal; silence where output goes to a file or a pipe.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A bar over a known number of things, or a spinner with a running count.
#[derive(Clone)]
pub struct Progress(ProgressBar);

impl Progress {
    /// `what` in front, then the bar; `total` of 0 is "not known".
    pub fn new(what: &'static str, total: u64) -> Self {
        let bar = ProgressBar::with_draw_target(
            (total > 0).then_some(total),
            if console::user_attended_stderr() {
                ProgressDrawTarget::stderr()
            } else {
                ProgressDrawTarget::hidden()
            },
        );
        let template = if total > 0 {
            "{prefix:<24} {bar:30} {human_pos}/{human_len} {msg}"
        } else {
            "{prefix:<24} {spinner} {human_pos} {msg}"
        };
        bar.set_style(ProgressStyle::with_template(template).expect("a constant template"));
        bar.set_prefix(what);
        bar.enable_steady_tick(Duration::from_millis(100));
        Self(bar)
    }

    pub fn set(&self, done: u64) {
        self.0.set_position(done);
    }

    pub fn set_total(&self, total: u64) {
        self.0.set_length(total);
    }

    pub fn say(&self, text: impl Into<String>) {
        self.0.set_message(text.into());
    }

    pub fn add(&self, done: u64) {
        self.0.inc(done);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        // Clones share the bar: it goes away with whichever is dropped first, and clearing twice is harmless.
        self.0.finish_and_clear();
    }
}
