//! A histogram of durations with buckets less than one percent wide.

use std::time::Duration;

/// Each power of two is divided into this many buckets.
const FINE: u32 = 7;

#[derive(Clone)]
pub struct Histogram {
    buckets: Box<[u64]>,
    total: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { buckets: vec![0; (65 - FINE as usize) << FINE].into(), total: 0 }
    }
}

impl Histogram {
    pub fn record(&mut self, took: Duration) {
        self.buckets[bucket(took.as_nanos() as u64)] += 1;
        self.total += 1;
    }

    pub fn add(&mut self, other: &Self) {
        self.buckets.iter_mut().zip(&other.buckets).for_each(|(a, b)| *a += b);
        self.total += other.total;
    }

    /// The duration, in microseconds, that a share of all did not exceed.
    pub fn quantile(&self, share: f64) -> f64 {
        let wanted = (self.total as f64 * share).ceil() as u64;
        let mut seen = 0;
        let at = self.buckets.iter().position(|count| {
            seen += count;
            seen >= wanted
        });
        at.map_or(0.0, |at| middle(at) / 1000.0)
    }
}

fn bucket(nanos: u64) -> usize {
    let shift = (64 - FINE).saturating_sub(nanos.leading_zeros() + 1);
    ((shift as usize) << FINE) + (nanos >> shift) as usize
}

/// The middle of a bucket, in nanoseconds.
fn middle(bucket: usize) -> f64 {
    let shift = (bucket >> FINE).saturating_sub(1);
    let rest = bucket - (shift << FINE);
    (rest as f64 + 0.5) * (1u64 << shift) as f64
}
