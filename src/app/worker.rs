//! Long work on a thread of its own, once for each request; nothing waits for it, not even the end of the program.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Sender, channel};

/// A thread that runs its work whenever it is requested.
pub struct Worker {
    asked: Arc<AtomicU64>,
    wake: Sender<()>,
}

/// One run of the work.
pub struct Turn {
    asked: Arc<AtomicU64>,
    /// The number of the newest request when the run began.
    mine: u64,
    /// Its predecessor was superseded. This run goes to its end; otherwise frequent requests would never be served.
    ends: bool,
}

impl Turn {
    /// True if a newer request makes this run useless.
    #[must_use]
    pub fn is_superseded(&self) -> bool {
        !self.ends && self.asked.load(Relaxed) != self.mine
    }
}

impl Worker {
    /// Starts the thread. `work` is called for the first request, and again after its end if others came
    /// meanwhile. It checks [`Turn::is_superseded`], and returns true if it gave up because of that.
    ///
    /// # Errors
    /// The kernel's, when a thread cannot be started.
    pub fn start(name: &str, mut work: impl FnMut(&Turn) -> bool + Send + 'static) -> io::Result<Self> {
        let (asked, (wake, wakes)) = (Arc::<AtomicU64>::default(), channel());
        let newest = Arc::clone(&asked);
        std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            let (mut done, mut ends) = (0, false);
            while wakes.recv().is_ok() {
                let mine = newest.load(Relaxed);
                if mine != done {
                    ends = work(&Turn { asked: Arc::clone(&newest), mine, ends });
                    done = mine;
                }
            }
        })?;
        Ok(Self { asked, wake })
    }

    /// Asks for a run and returns at once.
    pub fn ask(&self) {
        self.asked.fetch_add(1, Relaxed);
        // The thread ends only with this.
        let _ = self.wake.send(());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_newer_request_ends_one_run_but_not_two_in_a_row() {
        const PATIENT: Duration = Duration::from_secs(30);
        let ((began, begins), (go, goes)) = (channel(), channel());
        let worker = Worker::start("test", move |turn| {
            began.send(()).unwrap();
            goes.recv_timeout(PATIENT).unwrap();
            let superseded = turn.is_superseded();
            began.send(()).unwrap();
            superseded
        });
        let worker = worker.unwrap();
        let (told, tells) = channel();
        worker.ask();
        for (asked_meanwhile, again) in [(3, true), (1, true), (1, true), (0, false)] {
            begins.recv_timeout(PATIENT).unwrap();
            for _ in 0..asked_meanwhile {
                worker.ask();
            }
            go.send(()).unwrap();
            begins.recv_timeout(PATIENT).unwrap();
            told.send(again).unwrap();
        }
        assert!(
            begins.recv_timeout(Duration::from_millis(50)).is_err(),
            "what is asked together is done once"
        );
        drop((worker, told));
        assert_eq!(tells.iter().count(), 4);
    }
}
