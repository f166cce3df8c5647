//! The program's log: lines on standard error, and a budget for those that repeat.

use std::fmt::Write;
use std::sync::LazyLock;
use std::time::Duration;

use tracing::callsite::Identifier;
use tracing::{Event, Subscriber};
use tracing_subscriber::field::MakeExt;
use tracing_subscriber::fmt::format;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

use crate::dns::clean_lines;
use crate::observe::throttle::Throttle;

/// How often the log reports what was left out.
const PERIOD: Duration = Duration::from_secs(10);

static THROTTLE: LazyLock<Throttle<Identifier>> = LazyLock::new(Throttle::default);

/// Logs to standard error; `RUST_LOG` sets the level. Text from outside, such as a name or a line of a list, is
/// written without control characters.
pub fn start() {
    use std::io::IsTerminal;
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn,hickory_net=error,portcullis=info"));
    let fields = format::debug_fn(|writer, field, value| {
        let text = format!("{value:?}");
        match field.name() {
            "message" => write!(writer, "{}", clean_lines(&text)),
            name => write!(writer, "{name}={}", clean_lines(&text)),
        }
    });
    // A second server in the same process keeps the first one's log.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .fmt_fields(fields.delimited(" "))
        .finish()
        .with(Budget)
        .try_init();
}

/// Reports at intervals, without end, how many lines were left out. Must run within a runtime.
pub async fn sum_up() {
    loop {
        tokio::time::sleep(PERIOD).await;
        said();
    }
}

fn said() {
    let counts = THROTTLE.take();
    let all: u64 = counts.iter().map(|(_, count)| count).sum();
    if all == 0 {
        return;
    }
    let mut kinds = String::new();
    for (name, count) in counts.iter().take(5) {
        let comma = if kinds.is_empty() { "" } else { ", " };
        // Writing to a string does not fail.
        let _ = write!(kinds, "{comma}{count} from {name}");
    }
    tracing::warn!("{all} repeated lines were left out of this log: {kinds}");
}

/// Leaves repeated lines out, except those of the command line: the operator's lists bound their number.
struct Budget;

impl<S: Subscriber> Layer<S> for Budget {
    fn event_enabled(&self, event: &Event<'_>, _: Context<'_, S>) -> bool {
        let metadata = event.metadata();
        let own = ["portcullis::cli", module_path!()];
        own.iter().any(|own| metadata.target().starts_with(own))
            || THROTTLE.admits(metadata.callsite(), metadata.target(), crate::net::now().at)
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use super::*;

    /// Lines of a log that a test reads.
    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(octets)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_flood_is_cut_and_summed_up_and_other_lines_are_written() {
        let lines = Lines::default();
        let to = lines.clone();
        let log = tracing_subscriber::fmt().with_writer(move || to.clone()).finish().with(Budget);
        tracing::subscriber::with_default(log, || {
            for n in 0..5000 {
                tracing::warn!(target: "flood", n, "something from outside");
            }
            tracing::warn!(target: "other", "once");
            said();
        });
        let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        let count = |part: &str| text.lines().filter(|line| line.contains(part)).count();
        let flood = count("something from outside");
        assert!((50..5000).contains(&flood), "{flood}");
        assert_eq!(count("once"), 1);
        let expected = format!("{} from flood", 5000 - flood);
        assert_eq!(count(&expected), 1, "{expected}: {text}");
    }
}
