//! Orders at run time: pause, allow, block. The control socket, the API and the page call the same functions.

mod status;

pub use status::Status;
