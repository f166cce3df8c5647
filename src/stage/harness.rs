//! A censored network inside a test: sockets on free ports, a clock that the test sets, and all received
//! queries.
//!
//! ```no_run
//! use portcullis::stage::Harness;
//!
//! let censor = Harness::new("ru-2016-linkedin")?.at("2016-11-18T00:00:00+03:00")?.start()?;
//! let resolver = censor.address("isp-auto").ok_or("no such network")?;
//! // Point the program under test at `resolver`, then:
//! assert!(censor.queries().iter().all(|query| query.network == "isp-auto"));
//! # Ok::<(), String>(())
//! ```

use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};

use super::censor::Observer;
use super::exchange::Exchange;
use super::play::Player;
use super::shipped;
use super::world::{Setting, World};
use crate::censor::{Scenario, StubMode};
use crate::config::scenario as config;
use crate::server::{self, Running};

/// A scenario to be started.
pub struct Harness {
    scenario: Scenario,
    setting: Setting,
}

/// A running scenario, which ends when dropped.
pub struct Playing {
    runtime: Option<Runtime>,
    running: Option<Running>,
    player: Arc<Player>,
    world: World,
    addresses: Vec<SocketAddr>,
    observed: Arc<Observed>,
}

impl Harness {
    /// A scenario by name: one that comes with the program, or a file.
    ///
    /// # Errors
    /// There is no such scenario, or it is invalid: each mistake with its line.
    pub fn new(name: &str) -> Result<Self, String> {
        Ok(Self { scenario: shipped::load(name)?, setting: Setting::default() })
    }

    /// A scenario from text.
    ///
    /// # Errors
    /// Each mistake with its line.
    pub fn of_text(text: &str) -> Result<Self, String> {
        let scenario = config::parse(text, "scenario".as_ref()).map_err(|e| e.to_string())?;
        Ok(Self { scenario, setting: Setting::default() })
    }

    /// Sets the clock before the start, to a time as in RFC 3339.
    ///
    /// # Errors
    /// It is not such a time.
    pub fn at(mut self, time: &str) -> Result<Self, String> {
        self.setting.at = Some(unix(time)?);
        Ok(self)
    }

    /// Runs the clock at this multiple of real time; by default it stands still.
    #[must_use]
    pub fn speed(mut self, speed: f64) -> Self {
        self.setting.speed = speed;
        self
    }

    /// Sets the seed of all random draws, instead of the scenario's.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.setting.seed = Some(seed);
        self
    }

    /// Chooses the addresses in forged answers; the default is those for documentation.
    #[must_use]
    pub fn stubs(mut self, mode: StubMode) -> Self {
        self.setting.stubs = Some(mode);
        self
    }

    /// Binds one free port on 127.0.0.1 for each network, UDP and TCP, and serves there.
    ///
    /// # Errors
    /// No port could be bound, or no thread started.
    pub fn start(self) -> Result<Playing, String> {
        let observed = Arc::new(Observed::default());
        let observer: Arc<dyn Observer> = Arc::<Observed>::clone(&observed);
        let setting = Setting { by_listener: true, observer: Some(observer), ..self.setting };
        let world = World::new(self.scenario, &setting, crate::net::now())?;
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let runtime = runtime.map_err(|e| format!("cannot start the runtime: {e}"))?;
        let wanted: Vec<_> =
            world.censor.scenario.networks.iter().map(|_| SocketAddr::from(([127, 0, 0, 1], 0))).collect();
        let (started, addresses) = {
            let _runtime = runtime.enter();
            let bound = server::bind(&wanted, 1).map_err(|e| e.to_string())?;
            let addresses = bound.addresses.clone();
            let started = Player::start(&world, bound, crate::net::now, None);
            (started.map_err(|e| format!("cannot start a thread: {e}"))?, addresses)
        };
        let (player, running) = started;
        Ok(Playing { runtime: Some(runtime), running: Some(running), player, world, addresses, observed })
    }
}

impl Playing {
    /// The address of a network, UDP and TCP.
    #[must_use]
    pub fn address(&self, network: &str) -> Option<SocketAddr> {
        let place = self.world.censor.scenario.networks.iter().position(|n| n.id == network)?;
        self.addresses.get(place).copied()
    }

    /// All networks: id and address.
    pub fn networks(&self) -> impl Iterator<Item = (&str, SocketAddr)> {
        self.world.censor.scenario.networks.iter().map(|n| n.id.as_str()).zip(self.addresses.iter().copied())
    }

    /// The scenario, with the addresses in its forged answers.
    #[must_use]
    pub fn scenario(&self) -> &Scenario {
        &self.world.censor.scenario
    }

    /// Sets the clock, to a time as in RFC 3339.
    ///
    /// # Errors
    /// It is not such a time.
    pub fn set_clock(&self, time: &str) -> Result<(), String> {
        self.set_clock_unix(unix(time)?);
        Ok(())
    }

    /// Sets the clock, to seconds since 1970 (UTC).
    pub fn set_clock_unix(&self, unix: i64) {
        self.world.censor.clock.set(crate::net::now().at, unix);
    }

    /// Runs the clock at this speed from now on; 0: it stands still.
    pub fn run_clock(&self, speed: f64) {
        self.world.censor.clock.run(crate::net::now().at, speed);
    }

    /// Fixes the uptime that TTLs which count down depend on.
    pub fn hold_uptime(&self, uptime: Duration) {
        self.world.censor.clock.hold_uptime(uptime);
    }

    /// Restarts all draws and pools.
    pub fn rewind(&self) {
        self.world.censor.rewind();
    }

    /// Every query so far, in order of arrival; the replies are in
    /// [`Playing::exchanges`].
    #[must_use]
    pub fn queries(&self) -> Vec<Exchange> {
        self.observed.lock().begun.clone()
    }

    /// Every query whose replies have all been sent, with the replies.
    #[must_use]
    pub fn exchanges(&self) -> Vec<Exchange> {
        self.observed.lock().ended.clone()
    }

    /// Waits until the exchanges satisfy a condition; `None`: they did not in time.
    pub fn wait(&self, patience: Duration, wanted: impl Fn(&[Exchange]) -> bool) -> Option<Vec<Exchange>> {
        let end = crate::net::now().at + patience;
        let mut observed = self.observed.lock();
        loop {
            if wanted(&observed.ended) {
                return Some(observed.ended.clone());
            }
            let left = end.checked_duration_since(crate::net::now().at)?;
            observed =
                self.observed.more.wait_timeout(observed, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// How many packets were sent early because too many were delayed.
    #[must_use]
    pub fn hurried(&self) -> u64 {
        self.player.hurried()
    }
}

impl Drop for Playing {
    fn drop(&mut self) {
        if let (Some(runtime), Some(running)) = (self.runtime.take(), self.running.take()) {
            // A runtime that is dropped within another one panics, so a thread does it.
            let stopped = std::thread::spawn(move || runtime.block_on(running.stop())).join();
            if stopped.is_err() {
                tracing::error!("the scenario ended by a panic");
            }
        }
    }
}

/// A time as in RFC 3339, in seconds since 1970 (UTC).
///
/// # Errors
/// It is not such a time.
pub fn unix(time: &str) -> Result<i64, String> {
    let parsed = time.parse::<jiff::Timestamp>().map(jiff::Timestamp::as_second);
    parsed.map_err(|_| match time.parse::<jiff::civil::DateTime>() {
        Ok(_) => format!("`{time}` has no time zone; add an offset, as in 2016-11-17T12:00:00+03:00"),
        Err(_) => format!("`{time}` is not a time; expected one such as 2016-11-17T12:00:00+03:00"),
    })
}

/// Seconds since 1970 (UTC) as RFC 3339 text, at an offset from UTC in seconds.
#[must_use]
pub fn time_text(unix: i64, ahead: i32) -> String {
    let offset = jiff::tz::Offset::from_seconds(ahead).unwrap_or(jiff::tz::Offset::UTC);
    let time = jiff::Timestamp::from_second(unix).unwrap_or_default().to_zoned(offset.to_time_zone());
    time.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()
}

#[derive(Default)]
struct Observed {
    exchanges: Mutex<Exchanges>,
    more: Condvar,
}

#[derive(Default)]
struct Exchanges {
    begun: Vec<Exchange>,
    ended: Vec<Exchange>,
}

impl Observed {
    fn lock(&self) -> MutexGuard<'_, Exchanges> {
        self.exchanges.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observer for Observed {
    fn begun(&self, exchange: &Exchange) {
        self.lock().begun.push(exchange.clone());
    }

    fn ended(&self, exchange: Exchange) {
        self.lock().ended.push(exchange);
        self.more.notify_all();
    }
}
