//! How long a server takes from its start to the first correct answer.

use std::io;
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use clap::Args;
use serde::Serialize;

use crate::batch::{self, Batch, Wait};
use crate::machine;
use crate::query::{self, Expect};

#[derive(Args)]
pub struct First {
    /// Address of the server
    #[arg(long)]
    server: SocketAddr,
    /// A blocked name
    #[arg(long)]
    name: String,
    /// When the server was started, in seconds of the epoch (`$EPOCHREALTIME` of bash)
    #[arg(long)]
    since: f64,
    /// Seconds to wait for it at most
    #[arg(long, default_value_t = 60.0)]
    within: f64,
    /// Process of the server, for its memory
    #[arg(long)]
    pid: Option<u32>,
    /// Copied into the JSON
    #[arg(long, default_value = "")]
    label: String,
}

/// The server answers.
#[derive(Serialize)]
struct Report<'a> {
    label: &'a str,
    first_answer_s: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    memory_mb: Option<f64>,
}

/// Between two queries to a server that does not answer yet.
const PAUSE: Duration = Duration::from_millis(1);

pub fn run(first: &First) -> io::Result<()> {
    let mut packet = Vec::new();
    query::write(&first.name, &mut packet);
    let mut out = Batch::new(1, query::LONGEST, false);
    out.space(0)[..packet.len()].copy_from_slice(&packet);
    out.set_len(0, packet.len());
    let mut inbox = Batch::new(1, 4096, false);
    let socket = batch::connect(first.server)?;
    socket.set_read_timeout(Some(PAUSE))?;
    let end = Instant::now() + Duration::from_secs_f64(first.within);
    while Instant::now() < end {
        out.send(&socket, &[0])?;
        let came = inbox.receive(&socket, Wait::First)?;
        if came > 0 && Expect::Blocked.holds(&packet, inbox.received(0)) {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            let report = Report {
                label: &first.label,
                first_answer_s: now.as_secs_f64() - first.since,
                memory_mb: first.pid.and_then(machine::memory_of),
            };
            println!("{}", serde_json::to_string(&report)?);
            return Ok(());
        }
        // Nothing listens yet, or a wrong answer arrived: neither takes time.
        thread::sleep(PAUSE);
    }
    Err(io::Error::other(format!("{}: no correct answer from {} in time", first.label, first.server)))
}
