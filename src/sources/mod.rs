//! From settings to the next snapshot: reads lists and zones, compiles them, and reports on them.

mod include;
mod lists;
mod policy;
mod progress;
mod report;
mod routes;
mod snapshot;
mod zones;
pub mod store;

pub use lists::read_text;
pub use policy::{compile, serves};
pub use progress::{Build, Progress, Silent};
pub use report::{BuildError, Failure, ListReport, ListWarning, Part, Reading, Report, ZoneReport};
pub use routes::{bootstrap, system_upstreams};
pub use snapshot::{Parts, build};
pub use zones::zones;
