//! Whether an answer is still wanted. An aggregate does not know its statement; the thread that polls it for the answer does,
//! for as long as it polls. So does a function of one row, of which many come at once.

use std::cell::RefCell;
use std::sync::Arc;

use datafusion_common::Result;
use rapport_stats::Error;

use crate::refused;

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

/// As [`asked`], here and now.
pub fn is_cancelled() -> bool {
    ASKED.with_borrow(|asked| asked.as_ref().is_some_and(|is_cancelled| is_cancelled()))
}

/// Rows, or pieces of a long one, between two looks.
const OFTEN: usize = 16;

/// To be called by a function of one row for each `row` from 0, or for each piece of a long one: fails soon after nobody wants
/// the answer any more. Most calls cost nothing.
pub fn check(row: usize) -> Result<()> {
    match row.is_multiple_of(OFTEN) && is_cancelled() {
        true => Err(refused(Error::Cancelled)),
        false => Ok(()),
    }
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
    fn a_function_of_one_row_ends_within_a_few() {
        let rows = || (0..100).try_for_each(check);
        assert!(rows().is_ok());
        with(&says(true), || assert!(rows().is_err() && is_cancelled()));
        with(&says(false), || assert!(rows().is_ok() && !is_cancelled()));
        let count = std::sync::atomic::AtomicUsize::new(0);
        let count = Arc::new(count);
        let counted = count.clone();
        let later: IsCancelled =
            Arc::new(move || counted.fetch_add(1, std::sync::atomic::Ordering::Relaxed) > 2);
        with(&later, || assert!(rows().is_err()));
        assert_eq!(count.load(std::sync::atomic::Ordering::Relaxed), 4);
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
