//! Starts the sinks that the settings ask for, and ends them.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread::JoinHandle;
use std::time::Duration;

use super::dnstap::{self, tap::Tap};
use super::entry::LogTap;
use super::lines;
use crate::net::{now, unix_micros};
use crate::observe::listen::Listen;
use crate::observe::sink::{Capacity, Drain, Item, Sink};
use crate::observe::stats::{SinkStat, SinkStats, Tallies};
use crate::settings::Settings;
use crate::upstream::Overhear;

/// How long the sinks may take to write what they have at the end.
const PATIENCE: Duration = Duration::from_secs(15);

/// The sinks of a server.
#[derive(Default)]
pub struct Sinks {
    /// Those that have not started.
    waiting: Vec<(&'static str, Work, End)>,
    threads: Vec<(End, JoinHandle<()>)>,
    overhears: Option<Arc<dyn Overhear>>,
}

/// What a thread does.
type Work = Box<dyn FnOnce() + Send>;
/// Ends a queue.
type End = Box<dyn FnOnce() + Send>;

impl Sinks {
    /// The sinks of the settings, and who must hear of each query. `tallies` tells the database how often each
    /// upstream replied. Nothing is opened before [`Sinks::start`].
    #[must_use]
    pub fn new(
        settings: &Settings,
        stats: &Arc<SinkStats>,
        tallies: Tallies,
    ) -> (Vec<Box<dyn Listen>>, Self) {
        let (mut listeners, mut sinks) = (Vec::<Box<dyn Listen>>::new(), Self::default());
        if let Some(log) = &settings.log {
            let privacy = log.privacy;
            if let Some(to) = log.lines.clone() {
                let shared = Arc::clone(stats);
                let sink = sinks.add("log-lines", &stats.lines, move |drain| lines::run(drain, &to, &shared));
                listeners.push(Box::new(LogTap { sink, privacy, clock: unix_micros }));
            }
            #[cfg(feature = "log-sqlite")]
            if let Some(store) = log.store.clone() {
                let writer = super::sqlite::Writer::new(store, now, Arc::clone(stats), tallies);
                let sink = sinks.add("log-store", &stats.log, move |drain| writer.run(drain));
                listeners.push(Box::new(LogTap { sink, privacy, clock: unix_micros }));
            }
            #[cfg(not(feature = "log-sqlite"))]
            drop(tallies);
        }
        if let Some(settings) = settings.dnstap.clone() {
            let shared = Arc::clone(stats);
            let sink =
                sinks.add("dnstap", &stats.dnstap, move |drain| dnstap::run(drain, settings, now, &shared));
            sinks.overhears = Some(Arc::new(Tap { sink: sink.clone(), clock: unix_micros }));
            listeners.push(Box::new(Tap { sink, clock: unix_micros }));
        }
        (listeners, sinks)
    }

    /// Who must hear of every exchange with the upstreams.
    #[must_use]
    pub const fn overhears(&self) -> Option<&Arc<dyn Overhear>> {
        self.overhears.as_ref()
    }

    fn add<T: Item + Send + 'static>(
        &mut self,
        name: &'static str,
        stat: &SinkStat,
        work: impl FnOnce(Drain<T>) + Send + 'static,
    ) -> Sink<T> {
        let (sink, drain) = Sink::new(Capacity::default());
        stat.add(sink.drops());
        let ended = sink.clone();
        self.waiting.push((name, Box::new(move || work(drain)), Box::new(move || ended.end())));
        sink
    }

    /// Starts the threads.
    ///
    /// # Errors
    /// A thread can't be started.
    pub fn start(&mut self) -> io::Result<()> {
        for (name, work, end) in self.waiting.drain(..) {
            self.threads.push((end, std::thread::Builder::new().name(name.to_owned()).spawn(work)?));
        }
        Ok(())
    }

    /// Ends the sinks after they have written what they have, or when that takes too long.
    pub fn stop(self) {
        if self.threads.is_empty() {
            return;
        }
        let (done, all) = channel();
        let count = self.threads.len();
        for (end, thread) in self.threads {
            let done = done.clone();
            let ending = std::thread::Builder::new().name("log-end".to_owned()).spawn(move || {
                end();
                let _ = thread.join();
                let _ = done.send(());
            });
            if let Err(error) = ending {
                tracing::error!("a log could not be ended: {error}");
            }
        }
        drop(done);
        for _ in 0..count {
            if all.recv_timeout(PATIENCE).is_err() {
                return tracing::error!("a log could not be written to its end in {} s", PATIENCE.as_secs());
            }
        }
    }
}
