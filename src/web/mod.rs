//! HTTP: the metrics page, and the block page.

pub mod block_page;
pub mod listener;
pub mod metrics;
