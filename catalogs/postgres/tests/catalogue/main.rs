//! The catalogue with its real child process, which is this very binary: started as `main __catalogue <dir>`, the test
//! harness takes the first argument for the name of a test, and that test is the child.

use std::io::Write;

mod house;

mod definitions;
mod mirror;
mod relay;
mod roles;
mod safety;
mod server;
mod sharing;

#[test]
fn __catalogue() {
    let mut args = std::env::args().skip(1);
    let is_child = args.next().is_some_and(|first| first == "__catalogue");
    let dir = args.next().filter(|second| second.starts_with('/'));
    if let (true, Some(dir)) = (is_child, dir) {
        if let Err(error) = rapport_catalog_postgres::child_main(dir.as_ref()) {
            // The harness would keep what `eprintln!` says.
            let _ = writeln!(std::io::stderr(), "error: {error}");
            std::process::exit(1);
        }
        std::process::exit(0);
    }
}
