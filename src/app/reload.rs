//! New settings for a running server: some take effect at once, others at the next start.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use crate::net::memory;
use crate::observe::counters::CounterSet;
use crate::resolver::live::Engine;
use crate::resolver::snapshot::Snapshot;
use crate::settings::Settings;
use crate::sources::{Build, BuildError, LastGood, Parts, Progress, Report};
use crate::upstream::Overhear;

/// The result of a reload.
#[derive(Clone, Debug)]
pub struct Reloaded {
    /// What is served now.
    pub report: Arc<Report>,
    /// The keys of the configuration whose values differ from those that the sockets and threads were
    /// started with: they take effect at the next start.
    pub at_next_start: Vec<&'static str>,
}

/// What a reload needs of a server, on any thread: it may outlive the server.
pub struct Reloader {
    engine: Arc<Engine>,
    counters: Arc<CounterSet>,
    /// The settings of the start, which sockets and threads still use.
    started: Settings,
    serving: Mutex<Serving>,
    /// Who hears of every exchange with the upstreams.
    overhears: Option<Arc<dyn Overhear>>,
}

/// The settings in force, for the next reload to compare with.
struct Serving {
    settings: Settings,
    report: Arc<Report>,
}

impl Reloader {
    pub(super) fn new(
        engine: Arc<Engine>,
        counters: Arc<CounterSet>,
        started: Settings,
        report: Report,
        overhears: Option<Arc<dyn Overhear>>,
    ) -> Arc<Self> {
        let serving = Serving { settings: started.clone(), report: Arc::new(report) };
        Arc::new(Self { engine, counters, started, serving: Mutex::new(serving), overhears })
    }

    /// The engine of the server.
    #[must_use]
    pub const fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    /// Applies new settings. Only changed parts, and those that come from files, are rebuilt; queries are
    /// answered during that time. It may take long: only other reloads wait for it.
    ///
    /// # Errors
    /// The parts that cannot be built, or that `progress` no longer wants; the server continues
    /// unchanged.
    pub fn reload(&self, settings: &Settings, progress: &dyn Progress) -> Result<Reloaded, BuildError> {
        let mut serving = self.serving.lock().unwrap_or_else(PoisonError::into_inner);
        let at_next_start = at_next_start(&self.started, settings);
        // The sockets are those of the start, and so are the listeners of groups.
        let mut settings = settings.clone();
        settings.server.listen.clone_from(&self.started.server.listen);
        let how = Build { progress, left_out: false, overhears: self.overhears.as_ref() };
        let snapshot = Arc::clone(&self.engine.snapshot());
        let (policy, report) = (&snapshot.policy, &serving.report);
        let last = LastGood { policy, settings: &serving.settings, report };
        let (parts, report) = Parts::build(last, &settings, how)?;
        let put = |current: &Snapshot| parts.put_into(current, &settings, &self.counters);
        self.engine.change(crate::net::now().unix, put);
        serving.report = Arc::new(report);
        serving.settings = settings;
        memory::give_back();
        Ok(Reloaded { report: Arc::clone(&serving.report), at_next_start })
    }

    /// The report on the lists and zones that are served.
    #[must_use]
    pub fn report(&self) -> Arc<Report> {
        Arc::clone(&self.serving.lock().unwrap_or_else(PoisonError::into_inner).report)
    }
}

/// The keys whose values differ and that only a start reads.
fn at_next_start(started: &Settings, next: &Settings) -> Vec<&'static str> {
    let page = started.blockpage.is_some();
    // The order of the sockets makes no difference.
    let sockets = |s: &Settings| s.server.listen.iter().copied().collect::<BTreeSet<_>>();
    [
        ("[server] listen", sockets(started) != sockets(next)),
        ("[server] threads", started.server.threads != next.server.threads),
        ("[server] pin", started.server.pin != next.server.pin),
        ("[server] udp-batch", started.server.udp_batch != next.server.udp_batch),
        ("[server] user", started.server.user != next.server.user),
        ("[metrics]", started.metrics != next.metrics),
        ("[blockpage]", started.blockpage != next.blockpage),
        ("[block.contact] on the block page", page && started.block.contact != next.block.contact),
        ("[control]", started.control != next.control),
        ("[log]", started.log != next.log),
        ("[dnstap]", started.dnstap != next.dnstap),
    ]
    .into_iter()
    .filter_map(|(key, differs)| differs.then_some(key))
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::MetricsSettings;

    #[test]
    fn what_waits_for_the_next_start_is_told_by_what_was_started() {
        let started = Settings::default();
        let mut other = Settings {
            metrics: Some(MetricsSettings { listen: "127.0.0.1:2".parse().unwrap(), allow: None }),
            ..Settings::default()
        };
        other.server.listen = vec!["127.0.0.1:1".parse().unwrap()];
        other.cache.max_ttl = 7;
        assert_eq!(at_next_start(&started, &other), ["[server] listen", "[metrics]"]);
        assert!(at_next_start(&started, &started).is_empty());
    }
}
