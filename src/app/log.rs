//! The program's log.

use tracing_subscriber::field::MakeExt;
use tracing_subscriber::fmt::format;

use crate::dns::clean_lines;

/// Logs to standard error; `RUST_LOG` sets the level. What others wrote, such as a name or a line of a list, comes
/// without control characters.
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
        .try_init();
}
