//! Whether an answer is still wanted. An aggregate does not know its statement; the thread that polls it for the answer does,
//! for as long as it polls.

use std::cell::RefCell;
use std::sync::Arc;

/// True once nobody wants the answer any more.
pub type IsCancelled = Arc<dyn Fn() -> bool + Send + Sync>;

thread_local! {
    static ASKED: RefCell<Option<IsCancelled>> = const { RefCell::new(None) };
}

/// Work that is done here and now, of which `is_cancelled` may be asked.
pub fn with<T>(is_cancelled: &IsCancelled, work: impl FnOnce() -> T) -> T {
    let before = ASKED.replace(Some(is_cancelled.clone()));
    let _restored = Restored(before);
    work()
}

/// Also after a panic.
struct Restored(Option<IsCancelled>);

impl Drop for Restored {
    fn drop(&mut self) {
        ASKED.set(self.0.take());
    }
}

/// Who is to be asked by the work that begins here, on whatever threads it goes on: nobody outside of [`with`].
pub fn asked() -> impl Fn() -> bool + Send + Sync {
    let asked = ASKED.with_borrow(Option::clone);
    move || asked.as_ref().is_some_and(|is_cancelled| is_cancelled())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn says(answer: bool) -> IsCancelled {
        Arc::new(move || answer)
    }

    #[test]
    fn who_is_asked_goes_along_to_other_threads() {
        let asked = with(&says(true), asked);
        assert!(std::thread::spawn(asked).join().expect("no panic"));
    }

    #[test]
    fn outside_nobody_is_asked() {
        assert!(!asked()());
        with(&says(true), || {
            with(&says(false), || assert!(!asked()()));
            assert!(asked()());
        });
        let panics = std::panic::catch_unwind(|| with(&says(true), || panic!("on purpose")));
        assert!(panics.is_err() && !asked()());
    }
}
