//! Watches a server that may be in trouble: probes it, and says so once if it fails.
//!
//! No query of a client condemns a server: its name may be one that nobody can answer, and errors from the
//! network can be forged. Only a probe does, a query for a name that every resolver knows, and only while no
//! reply to any other query arrives.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::timeout;

use super::Question;
use super::deadline::clock;
use super::flights::Missed;
use super::name_server::{Limits, NameServer};
use super::race::Rank;
use super::servers::{Came, Servers};
use crate::dns::{Class, Message, Name, Qtype};

/// How often a probe is sent over UDP.
const SENDS: u32 = 3;
/// Pause after a probe has failed; doubled each time, up to [`MAX_PAUSE`].
const PAUSE: Duration = Duration::from_secs(1);
/// The longest pause.
const MAX_PAUSE: Duration = Duration::from_secs(10);
/// How long a reply may take that comes in spite of errors from the network.
const GRACE: Duration = Duration::from_millis(250);
/// How often it is checked whether another query got a reply.
const CHECK: Duration = Duration::from_millis(50);

/// What seems to be wrong with a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// It does not reply.
    Silent,
    /// Its replies can't be used.
    Poor,
}

/// Probes a server until it is well, unless that is done already. Returns at once.
pub(super) fn watch(servers: &Arc<Servers>, index: usize, trouble: Trouble) {
    let Some(server) = servers.all.get(index) else { return };
    if server.suspect(trouble == Trouble::Poor) {
        tokio::spawn(run(Arc::downgrade(servers), index));
    }
}

async fn run(servers: Weak<Servers>, index: usize) {
    let mut pause = PAUSE;
    loop {
        {
            let Some(servers) = servers.upgrade() else { return };
            let Some(server) = servers.all.get(index) else { return };
            if server.rank() == Rank::Up {
                return server.unwatched();
            }
            if let Err(why) = probe(&servers, index).await
                && server.rank() != Rank::Up
            {
                if server.is_down() {
                    tell(&servers, server, &why);
                }
                server.move_on(clock());
            }
            if server.rank() == Rank::Up {
                return server.unwatched();
            }
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(MAX_PAUSE);
    }
}

fn tell(servers: &Servers, server: &NameServer, why: &str) {
    let at = &server.server.at;
    if servers.all.iter().all(|server| server.rank() == Rank::Down) {
        tracing::warn!(upstream = %at, reason = %why, "the upstream fails, and so does every other");
    } else {
        tracing::info!(upstream = %at, reason = %why, "the upstream fails; others are asked first");
    }
}

/// Queries the server for the NS records of the root. `Ok` if it replied to this or any other query, and
/// well if that is what it takes.
///
/// # Errors
/// What is wrong.
async fn probe(servers: &Arc<Servers>, index: usize) -> Result<(), String> {
    let Some(server) = servers.all.get(index) else { return Ok(()) };
    let limit = servers.timeout;
    let begun = clock();
    let end = begun + limit + limit / 2;
    let question = Question {
        qname: Name::ROOT.to_buf(),
        qtype: Qtype::NS,
        qclass: Class::IN,
        dnssec_ok: false,
        checking_disabled: false,
        authentic_data: false,
    };
    let mut way = server.way(servers.millis(begun));
    let (sender, mut told) = mpsc::unbounded_channel();
    let (mut sends, mut next, mut errors) = (0, begun, 0);
    let mut end = if way.tcp { begun + limit } else { end };
    let mut why = format!("no reply within {limit:?}");
    loop {
        let now = clock();
        if server.rank() == Rank::Up {
            return Ok(());
        }
        if now >= end {
            return Err(why);
        }
        if now >= next && sends < if way.tcp { 1 } else { SENDS } {
            (sends, next) = (sends + 1, now + limit / 4);
            let transports = match timeout(limit, server.find()).await {
                Ok(Ok(transports)) => transports,
                Ok(Err(missed)) => return Err(missed.to_string()),
                Err(_) => return Err("its address could not be found in time".to_owned()),
            };
            let (sent, sender) = (clock(), sender.clone());
            let on_reply = Box::new(move |reply: Result<&[u8], Missed>| {
                // The receiver is gone if the probe is over.
                let _ = sender.send((way, reply.map(<[u8]>::to_vec)));
            });
            let limits = Limits { slow: None, wait: limit, exact: false };
            NameServer::send(&transports, &question, way, sent, limits, on_reply);
        }
        let Ok(Some((sent_way, reply))) = timeout(CHECK.min(limit / 8), told.recv()).await else {
            continue;
        };
        match reply {
            Ok(bytes) => match servers.judge(index, sent_way, None, Ok(&bytes)) {
                Came::Poor(reply) => {
                    let rcode = Message::parse(&reply).map(|reply| reply.rcode().to_string());
                    return Err(rcode.unwrap_or_default());
                }
                // It may know the root's servers without EDNS.
                Came::Plain(..) => (way.edns, next, sends) = (false, clock(), 0),
                Came::OverTcp(Some(text)) | Came::Ended(Missed::Unusable(text)) => return Err(text),
                _ => {}
            },
            Err(Missed::NoQuestion(rcode)) => {
                let _ = servers.judge(index, sent_way, None, Err(Missed::NoQuestion(rcode)));
            }
            Err(Missed::Error(error)) => {
                errors += 1;
                why = error.to_string();
                next = clock();
                if errors >= SENDS {
                    end = end.min(clock() + GRACE);
                }
            }
            Err(missed @ (Missed::Network(_) | Missed::Local(_))) => return Err(missed.to_string()),
            Err(_) => {}
        }
    }
}
