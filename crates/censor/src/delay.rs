//! How long something takes, and how that is drawn at random.

use std::time::Duration;

use super::draw::Draw;

/// How long something takes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Delay {
    /// The mean or the minimum, depending on `spread`.
    pub base: Duration,
    /// How much it varies.
    pub jitter: Duration,
    /// How it is distributed.
    pub spread: Spread,
}

/// The distribution of a delay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Spread {
    /// Uniform from `base - jitter` to `base + jitter`.
    #[default]
    Uniform,
    /// Around `base` with `jitter` as standard deviation, never below zero.
    Normal,
    /// `base` plus an exponentially distributed time with the mean `jitter`.
    Exponential,
}

impl Delay {
    /// Draws a duration.
    #[must_use]
    pub fn drawn(self, draw: Draw) -> Duration {
        if self.jitter.is_zero() {
            return self.base;
        }
        let (base, jitter) = (self.base.as_secs_f64(), self.jitter.as_secs_f64());
        let (one, other) = (draw.number(1).fraction(), draw.number(2).fraction());
        let seconds = match self.spread {
            Spread::Uniform => base + jitter * (2.0 * one - 1.0),
            // The Box–Muller transform; `1 - one` is never zero.
            Spread::Normal => {
                base + jitter * (-2.0 * (1.0 - one).ln()).sqrt() * (std::f64::consts::TAU * other).cos()
            }
            Spread::Exponential => base - jitter * (1.0 - one).ln(),
        };
        let drawn = Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(self.base);
        // Whole microseconds, as in a record.
        u64::try_from(drawn.as_micros()).map_or(self.base, Duration::from_micros)
    }

    /// Always this long.
    #[must_use]
    pub const fn fixed(base: Duration) -> Self {
        Self { base, jitter: Duration::ZERO, spread: Spread::Uniform }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_are_whole_microseconds_as_in_a_record() {
        for spread in [Spread::Uniform, Spread::Normal, Spread::Exponential] {
            let (base, jitter) = (Duration::from_millis(20), Duration::from_millis(7));
            let delay = Delay { base, jitter, spread };
            let drawn: Vec<_> = (0..100).map(|seed| delay.drawn(Draw::new(seed))).collect();
            assert!(drawn.iter().all(|d| d.subsec_nanos() % 1000 == 0), "{drawn:?}");
            assert!(drawn.iter().any(|d| d.as_micros() % 1000 > 0), "{drawn:?}");
        }
    }
}
