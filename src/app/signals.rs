//! The signals that a server handles.

/// The request of a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// SIGHUP: read configuration, lists and zones again.
    Reload,
    /// SIGUSR1: log the server's status.
    Status,
    /// SIGTERM or SIGINT: finish the queries in progress and end.
    Stop,
}

/// Handlers for the signals of this process: none of these ends it.
pub struct Signals {
    #[cfg(unix)]
    streams: [tokio::signal::unix::Signal; 5],
}

impl Signals {
    /// Installs the handlers. Must run within a runtime.
    ///
    /// # Errors
    /// The kernel's.
    pub fn new() -> std::io::Result<Self> {
        #[cfg(unix)]
        {
            use tokio::signal::unix::{SignalKind, signal};
            let streams = [
                signal(SignalKind::hangup())?,
                signal(SignalKind::user_defined1())?,
                // Handled because by default it ends the process.
                signal(SignalKind::user_defined2())?,
                signal(SignalKind::terminate())?,
                signal(SignalKind::interrupt())?,
            ];
            Ok(Self { streams })
        }
        #[cfg(not(unix))]
        Ok(Self {})
    }

    /// Waits for the next request; SIGUSR2 is ignored.
    pub async fn next(&mut self) -> Signal {
        #[cfg(unix)]
        loop {
            let [hangup, user1, user2, terminate, interrupt] = &mut self.streams;
            return tokio::select! {
                _ = hangup.recv() => Signal::Reload,
                _ = user1.recv() => Signal::Status,
                _ = user2.recv() => continue,
                _ = terminate.recv() => Signal::Stop,
                _ = interrupt.recv() => Signal::Stop,
            };
        }
        #[cfg(not(unix))]
        {
            let _ = tokio::signal::ctrl_c().await;
            Signal::Stop
        }
    }

    /// Waits for the request to stop, and ignores all others.
    pub async fn stop(&mut self) {
        while self.next().await != Signal::Stop {}
    }
}
