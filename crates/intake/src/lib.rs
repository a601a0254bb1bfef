//! Bytes of any supported format → checked rows → one commit; refused rows → quarantine.
//!
//! A load goes through the files in this order: `source` (what the file means), `input` (paths → files, each with
//! the hash of its bytes), `decode` (bytes → raw batches), `select` (the source's SELECT), `conform` (types, time
//! zones, money; refusals), `key` (who is the row? seen before?), `identities` (whose is it?), `held` (rows
//! waiting, then sorted) and `commit`. `load` leads through them; `preview` stops after the first rows.
//!
//! What makes a load exactly-once is told in `commit`, what makes a row the same row in `key`.

mod check;
mod commit;
mod conform;
mod decode;
mod error;
mod gather;
mod held;
mod identities;
mod input;
mod key;
mod load;
mod merge;
mod preview;
mod progress;
mod properties;
mod quarantine;
mod raw;
mod select;
mod shipped;
mod source;
mod stored;
mod table;
mod text;

pub use error::{Error, Result};
pub use load::{FileLoaded, LoadOptions, Loaded, TableLoaded, load};
pub use preview::{Preview, PreviewTable, preview};
pub use progress::{Phase, Progress, Quiet};
pub use quarantine::Refusal;
pub use source::{Format, Source, SourceSummary, Target};
