//! HTTP: the metrics page for now.

pub mod metrics;
