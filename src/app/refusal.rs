//! The block page's reasons for a refused name, from `explain` with the current time.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use crate::dns::{NameBuf, Qtype, Transport};
use crate::resolver::explain::{self, Question};
use crate::resolver::live::Engine;
use crate::resolver::snapshot::Client;
use crate::settings::Contact;
use crate::web::block_page;

/// Why a client is refused a name; `None`: it is not. The listener and type of the client's query are not
/// known, so the first combination that is refused counts.
pub(super) fn refusal(
    engine: &Arc<Engine>,
    contact: &Contact,
    client: IpAddr,
    name: &NameBuf,
) -> Option<block_page::Refusal> {
    let now = crate::net::now();
    let snapshot = engine.snapshot_at(now.unix);
    let listeners = u16::try_from(snapshot.policy.groups.tables().len()).unwrap_or(u16::MAX).max(1);
    let asks = (0..listeners).flat_map(|l| [Qtype::A, Qtype::AAAA, Qtype::HTTPS].map(|t| (l, t)));
    let mut records = asks.map(|(listener, qtype)| {
        let client = Client { address: SocketAddr::new(client, 0), transport: Transport::Udp, listener };
        let question = Question { name: name.clone(), qtype, client, answer: Vec::new() };
        explain::explain(engine, &snapshot, &question, now)
    });
    let record = records.find(|record| record.refusal.is_some())?;
    let refusal = record.refusal?;
    Some(block_page::Refusal {
        name: name.to_string(),
        list: refusal.list,
        reason: refusal.reason,
        authority: refusal.authority,
        blocked_by: contact.blocked_by.clone(),
        since: refusal.since,
        contact: contact.uris.clone(),
        organization: contact.organization.clone(),
        id: record.id?,
    })
}
