//! The clock of a scenario, which may differ from real time.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The scenario's clock: it stands still, or runs at a multiple of real time.
pub struct Clock {
    started: Instant,
    state: Mutex<State>,
}

#[derive(Clone, Copy)]
struct State {
    /// When it was set, and the time it was set to.
    at: Instant,
    unix: i64,
    speed: f64,
    /// The uptime that it reports; `None`: the true one.
    uptime: Option<Duration>,
}

impl Clock {
    /// A clock that shows `unix` at `now`, and from then on runs at `speed`; 0: it stands still.
    #[must_use]
    pub fn new(now: Instant, unix: i64, speed: f64) -> Self {
        Self { started: now, state: Mutex::new(State { at: now, unix, speed, uptime: None }) }
    }

    /// Sets it.
    pub fn set(&self, now: Instant, unix: i64) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        (state.at, state.unix) = (now, unix);
    }

    /// Changes its speed from now on.
    pub fn run(&self, now: Instant, speed: f64) {
        let (unix, _) = self.read(now);
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        (state.at, state.unix, state.speed) = (now, unix, speed);
    }

    /// Reports this uptime from now on: TTLs that count down stand still.
    pub fn hold_uptime(&self, uptime: Duration) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).uptime = Some(uptime);
    }

    /// The time that it shows, in seconds since 1970 (UTC), and how long the scenario has run.
    #[must_use]
    pub fn read(&self, now: Instant) -> (i64, Duration) {
        let State { at, unix, speed, uptime } = *self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let gone = now.saturating_duration_since(at).as_secs_f64() * speed;
        // A cast from a float never overflows: it stays at the ends.
        #[expect(clippy::cast_possible_truncation, reason = "whole seconds are meant")]
        let unix = unix.saturating_add(gone as i64);
        (unix, uptime.unwrap_or_else(|| now.saturating_duration_since(self.started)))
    }
}
