//! From settings to the next snapshot: reads lists and zones, compiles them, and reports on them.

mod include;
mod last_good;
mod lists;
mod patterns;
mod policy;
mod progress;
mod report;
mod routes;
mod snapshot;
mod zones;
pub mod store;

pub use last_good::LastGood;
pub use lists::read_text;
pub use patterns::{pattern_time, slow_patterns};
pub use policy::{compile, serves};
pub use progress::{Build, Progress, Silent};
pub use report::{BuildError, Failure, ListReport, ListWarning, Part, Reading, Report, ZoneReport};
pub use routes::{bootstrap, system_upstreams};
pub use snapshot::{Parts, build};
pub use zones::zones;
