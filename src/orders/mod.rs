//! Orders at run time: pause, allow, block. The control socket, the API and the page call the same functions.
//!
//! An order (see [`Orders`](crate::policy::Orders)) has a number and, most often, an end. [`Operator`] gives and
//! revokes orders; those that are to be kept are written to a file, which the next start reads.

pub mod json;
pub mod kept;
#[expect(clippy::module_inception, reason = "the room has the name of what it holds")]
mod orders;
mod status;

pub use json::{Asked, MAX_SECONDS};
pub use orders::{Operator, OrderError};
pub use status::Status;
