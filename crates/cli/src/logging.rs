//! Logs go to stderr; panics are a line of the log and never a backtrace in the operator's face.

use std::io::IsTerminal;
use std::panic::Location;
use std::sync::Mutex;

use tracing_subscriber::EnvFilter;

use crate::failure::{Failure, Result};

/// Where the last panic happened, for the message of a command that ends by one.
static LAST: Mutex<Option<String>> = Mutex::new(None);

/// A level applies to our own crates; what others have to say is shown from `warn` on. A filter with `=` or `,`
/// is taken as it is.
pub fn start(level: Option<&str>, is_server: bool) -> Result {
    let level = level.unwrap_or(if is_server { "info" } else { "warn" });
    let directives = if level.contains(['=', ',']) {
        level.to_owned()
    } else {
        let others = if matches!(level, "error" | "off") {
            level
        } else {
            "warn"
        };
        format!("{others},rapport={level}")
    };
    let filter = EnvFilter::try_new(&directives).map_err(|error| {
        Failure::usage(format!("log.level {level:?}: {error}")).hint(
            "use error, warn, info, debug, trace, or a filter such as info,rapport_lake=debug",
        )
    })?;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
    Ok(())
}

/// A panic's message may hold a value from a row, so only its place is told.
pub fn quiet_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic
            .location()
            .map(Location::to_string)
            .unwrap_or_default();
        let thread = std::thread::current();
        tracing::error!(
            place,
            thread = thread.name().unwrap_or("unnamed"),
            "internal error (panic)"
        );
        if let Ok(mut last) = LAST.lock() {
            *last = Some(place);
        }
    }));
}

pub fn panic_place() -> String {
    let place = LAST.lock().ok().and_then(|last| last.clone());
    place
        .map(|place| format!(" at {place}"))
        .unwrap_or_default()
}
