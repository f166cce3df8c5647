//! The signals that a server listens to.

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// SIGHUP: read configuration, lists and zones again.
    Reload,
    /// SIGUSR1: write to the log how the server is.
    Status,
    /// SIGTERM or SIGINT: finish what is under way and end.
    Stop,
}

/// The signals of this process, taken over: none of them ends it.
pub struct Signals {
    #[cfg(unix)]
    streams: [tokio::signal::unix::Signal; 5],
}

impl Signals {
    /// Takes the signals over. Must run within a runtime.
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
                // Taken over so that it does not end the process, which is what it does otherwise.
                signal(SignalKind::user_defined2())?,
                signal(SignalKind::terminate())?,
                signal(SignalKind::interrupt())?,
            ];
            Ok(Self { streams })
        }
        #[cfg(not(unix))]
        Ok(Self {})
    }

    /// Waits for the next one that asks for something; SIGUSR2 asks for nothing.
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

    /// Waits for the one that asks to stop, whatever comes before it.
    pub async fn stop(&mut self) {
        while self.next().await != Signal::Stop {}
    }
}
