//! One task that reads all ports of a server.
//!
//! With a task for each port, the replies that arrive together wake as many tasks, and the runtime wakes
//! another of its threads to help with them: that costs more than reading does. Here they wake one task,
//! which polls the ports that have something to read and no others.

use std::future::poll_fn;
use std::mem;
use std::pin::Pin;
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering::AcqRel};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

use super::flights::lock;

/// Reads a port, until it is dropped.
type Reading = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The ports that one task reads.
#[derive(Default)]
pub(super) struct Reader {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    ports: Vec<Arc<Port>>,
    /// Those to be polled.
    woken: Vec<Arc<Port>>,
    /// Wakes the task, while it waits.
    task: Option<Waker>,
    /// The task has ended.
    has_ended: bool,
}

/// The reading of one port, until it is stopped.
pub(super) struct Port {
    reading: Mutex<Option<Reading>>,
    /// It is among those to be polled.
    is_woken: AtomicBool,
    reader: Arc<Reader>,
}

impl Reader {
    /// Reads a port too.
    pub(super) fn add(self: &Arc<Self>, reading: impl Future<Output = ()> + Send + 'static) -> Arc<Port> {
        let port = Arc::new(Port {
            reading: Mutex::new(Some(Box::pin(reading))),
            is_woken: AtomicBool::new(false),
            reader: Arc::clone(self),
        });
        let has_ended = {
            let mut state = lock(&self.state);
            if !state.has_ended {
                state.ports.push(Arc::clone(&port));
            }
            state.has_ended
        };
        if has_ended {
            port.stop();
        } else {
            port.wake_by_ref();
        }
        port
    }

    /// Reads the ports until it is dropped.
    pub(super) async fn run(self: Arc<Self>) {
        let _end = End(Arc::clone(&self));
        let mut woken = Vec::new();
        poll_fn(|cx| {
            mem::swap(&mut lock(&self.state).woken, &mut woken);
            for port in woken.drain(..) {
                port.poll();
            }
            let mut state = lock(&self.state);
            // Others get their turn before those that were woken meanwhile.
            if state.woken.is_empty() {
                state.task = Some(cx.waker().clone());
            } else {
                cx.waker().wake_by_ref();
            }
            Poll::Pending
        })
        .await
    }
}

/// Stops the reading of all ports when the task ends: of itself each would keep its port, and the port it.
struct End(Arc<Reader>);

impl Drop for End {
    fn drop(&mut self) {
        let ports = {
            let mut state = lock(&self.0.state);
            state.has_ended = true;
            state.woken.clear();
            mem::take(&mut state.ports)
        };
        for port in ports {
            port.stop();
        }
    }
}

impl Port {
    fn poll(self: Arc<Self>) {
        // What was written before the wake is seen below.
        self.is_woken.swap(false, AcqRel);
        let waker = Waker::from(Arc::clone(&self));
        let mut reading = lock(&self.reading);
        if let Some(running) = reading.as_mut()
            && running.as_mut().poll(&mut Context::from_waker(&waker)).is_ready()
        {
            *reading = None;
        }
    }

    /// Stops the reading. Must not be called by it.
    pub(super) fn stop(&self) {
        let reading = lock(&self.reading).take();
        drop(reading);
        lock(&self.reader.state).ports.retain(|port| !ptr::eq(&raw const **port, self));
    }
}

impl Wake for Port {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.is_woken.swap(true, AcqRel) {
            return;
        }
        let task = {
            let mut state = lock(&self.reader.state);
            if !state.has_ended {
                state.woken.push(Arc::clone(self));
            }
            state.task.take()
        };
        if let Some(task) = task {
            task.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

    use tokio::sync::Notify;
    use tokio::task::yield_now;

    use super::*;

    /// A port to which the first part is an arrival; the second counts its reads.
    fn port(reader: &Arc<Reader>) -> (Arc<Notify>, Arc<AtomicUsize>, Arc<Port>) {
        let (arrival, reads) = (Arc::new(Notify::new()), Arc::new(AtomicUsize::new(0)));
        let (arrives, counts) = (Arc::clone(&arrival), Arc::clone(&reads));
        let port = reader.add(async move {
            loop {
                arrives.notified().await;
                counts.fetch_add(1, SeqCst);
            }
        });
        (arrival, reads, port)
    }

    #[tokio::test]
    async fn each_port_is_read_when_something_arrives_until_it_is_stopped() {
        let reader = Arc::new(Reader::default());
        let task = tokio::spawn(Arc::clone(&reader).run());
        let ports = [port(&reader), port(&reader)];
        let counts = || ports.each_ref().map(|(_, reads, _)| reads.load(SeqCst));
        yield_now().await;
        for (arrivals, expected) in [([0, 0], [2, 0]), ([1, 0], [3, 1]), ([1, 1], [3, 3])] {
            for at in arrivals {
                ports[at].0.notify_one();
                yield_now().await;
                yield_now().await;
            }
            assert_eq!(counts(), expected);
        }
        ports[1].2.stop();
        for (arrival, _, _) in &ports {
            arrival.notify_one();
        }
        yield_now().await;
        yield_now().await;
        assert_eq!(counts(), [4, 3]);
        assert_eq!(Arc::strong_count(&ports[1].1), 1, "what reads it is gone");
        task.abort();
        assert!(task.await.is_err());
        assert_eq!(Arc::strong_count(&ports[0].1), 1, "what reads it ends with the task");
        let (_, late, _) = port(&reader);
        assert_eq!(Arc::strong_count(&late), 1, "nobody would read it");
    }
}
