//! The thread that sends: it connects, and connects again.

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use super::frame::{self, Control};
use super::message::Sender;
use super::tap::Tapped;
use crate::observe::sink::{Drain, Wait};
use crate::observe::stats::SinkStats;
use crate::resolver::moment::Clock;
use crate::settings::{DnstapSettings, DnstapTo};
use crate::sinks::trouble::Trouble;

/// How long a collector may take for anything.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long until the first attempt to connect again; doubled each time.
const PAUSE: Duration = Duration::from_secs(1);
/// The longest pause.
const MAX_PAUSE: Duration = Duration::from_secs(30);
/// Octets that are written at once.
const BATCH: usize = 64 << 10;
/// Octets that wait while there is no collector; what comes beyond is lost.
const KEEP: usize = 1 << 20;

/// Sends what comes until the end.
pub(in crate::sinks) fn run(
    mut drain: Drain<Tapped>,
    settings: DnstapSettings,
    clock: Clock,
    stats: &Arc<SinkStats>,
) {
    let DnstapSettings { to, identity, version } = settings;
    let sender = Sender { identity, version };
    let mut line = Line {
        to,
        clock,
        stats: Arc::clone(stats),
        open: None,
        waiting: Vec::new(),
        messages: 0,
        retry: None,
        failures: 0,
        trouble: Trouble::new("dnstap"),
    };
    line.connect();
    loop {
        // Waiting in between, it connects again when that is due.
        match drain.next_within(if line.waiting.is_empty() { PAUSE } else { Duration::ZERO }) {
            Wait::End => break,
            Wait::Item(tapped) => {
                for message in tapped.encode(&sender) {
                    line.put(&message);
                }
                if line.waiting.len() >= BATCH {
                    line.flush();
                }
            }
            Wait::Idle => {
                line.flush();
                if line.open.is_none() && !line.waiting.is_empty() {
                    // Nothing to send it to: no hurry.
                    match drain.next_within(PAUSE / 4) {
                        Wait::End => break,
                        Wait::Idle => {}
                        Wait::Item(tapped) => {
                            tapped.encode(&sender).iter().for_each(|message| line.put(message));
                        }
                    }
                }
            }
        }
    }
    line.flush();
    line.end();
}

/// A connection, or a file.
trait Open: Read + Write + Send {}
impl<T: Read + Write + Send> Open for T {}

/// The way to the collector.
struct Line {
    to: DnstapTo,
    clock: Clock,
    stats: Arc<SinkStats>,
    open: Option<Box<dyn Open>>,
    /// Frames that are not sent yet.
    waiting: Vec<u8>,
    /// Their number.
    messages: u64,
    retry: Option<Instant>,
    failures: u32,
    trouble: Trouble,
}

impl Line {
    fn put(&mut self, message: &[u8]) {
        if self.waiting.len() + message.len() > KEEP {
            return self.stats.dnstap.lose(1);
        }
        frame::data(message, &mut self.waiting);
        self.messages += 1;
    }

    /// Sends what waits, if there is a connection, or one can be made.
    fn flush(&mut self) {
        if self.open.is_none() {
            self.connect();
        }
        let Some(open) = &mut self.open else { return };
        if self.waiting.is_empty() {
            return;
        }
        let sent = open.write_all(&self.waiting).and_then(|()| open.flush());
        let messages = std::mem::take(&mut self.messages);
        self.waiting.clear();
        match sent {
            Ok(()) => self.stats.dnstap.wrote(messages),
            Err(error) => {
                // How many of them arrived is not known.
                self.stats.dnstap.lose(messages);
                self.failed(&error);
            }
        }
    }

    fn connect(&mut self) {
        let now = (self.clock)().at;
        if self.retry.is_some_and(|retry| now < retry) {
            return;
        }
        match open(&self.to) {
            Ok(open) => {
                self.open = Some(open);
                self.retry = None;
                self.failures = 0;
                self.trouble.works();
                self.stats.dnstap.failing.store(false, Relaxed);
            }
            Err(error) => self.failed(&error),
        }
    }

    fn failed(&mut self, error: &io::Error) {
        self.open = None;
        self.stats.dnstap.failing.store(true, Relaxed);
        let place = match &self.to {
            DnstapTo::Unix(path) | DnstapTo::File(path) => path.display().to_string(),
            DnstapTo::Tcp(address) => address.to_string(),
        };
        self.trouble.failed(format!("{place}: {error}; it is tried again"));
        let pause = PAUSE.saturating_mul(1 << self.failures.min(5)).min(MAX_PAUSE);
        self.failures += 1;
        // So that not all servers come back to a collector at once: between half of the pause and all of it.
        let mut random = [0; 1];
        let part = getrandom::fill(&mut random).map_or(255, |()| u32::from(random[0]));
        self.retry = Some((self.clock)().at + pause / 2 + pause / 510 * part);
    }

    /// Ends the stream, and waits until the collector has everything.
    fn end(mut self) {
        self.stats.dnstap.lose(self.messages);
        let Some(open) = &mut self.open else { return };
        let ended = open.write_all(&Control::Stop.octets()).and_then(|()| open.flush());
        if !matches!(self.to, DnstapTo::File(_)) {
            // Some collectors just close the connection.
            let _ = ended.and_then(|()| frame::expect(Control::Finish, open));
        }
    }
}

/// Opens the file, or connects and agrees on the content.
fn open(to: &DnstapTo) -> io::Result<Box<dyn Open>> {
    let mut open: Box<dyn Open> = match to {
        DnstapTo::File(path) => {
            keep_old(path)?;
            let mut file = File::create(path)?;
            file.write_all(&Control::Start.octets())?;
            return Ok(Box::new(file));
        }
        DnstapTo::Tcp(address) => {
            let stream = TcpStream::connect_timeout(address, PATIENCE)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            stream.set_write_timeout(Some(PATIENCE))?;
            Box::new(stream)
        }
        #[cfg(unix)]
        DnstapTo::Unix(path) => {
            let stream = std::os::unix::net::UnixStream::connect(path)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            stream.set_write_timeout(Some(PATIENCE))?;
            Box::new(stream)
        }
        #[cfg(not(unix))]
        DnstapTo::Unix(_) => return Err(io::ErrorKind::Unsupported.into()),
    };
    open.write_all(&Control::Ready.octets())?;
    open.flush()?;
    frame::expect(Control::Accept, &mut open)?;
    open.write_all(&Control::Start.octets())?;
    open.flush()?;
    Ok(open)
}

/// Keeps the file of the last start beside the new one: a stream begins at the beginning of a file.
fn keep_old(path: &Path) -> io::Result<()> {
    match std::fs::metadata(path) {
        Ok(is) if is.is_file() && is.len() > 0 => {
            let mut old = path.to_owned().into_os_string();
            old.push(".1");
            std::fs::rename(path, old)
        }
        _ => Ok(()),
    }
}
