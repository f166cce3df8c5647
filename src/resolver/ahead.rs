//! Before a batch of packets is resolved one by one: begin all their waits for memory together.

use super::snapshot::Snapshot;
use crate::dns::{self, Name};
use crate::policy::Begun;

/// Below so many packets there is not enough to do in between.
const WORTHWHILE: usize = 4;

/// Reads ahead for `count` packets. It changes no answer, only how long they take; `room` is used again
/// and again, so that nothing is allocated.
pub fn read_ahead<'p>(
    snapshot: &Snapshot,
    count: usize,
    packet: impl Fn(usize) -> Option<&'p [u8]>,
    room: &mut Vec<Begun>,
) {
    if count < WORTHWHILE || !snapshot.blocking {
        return;
    }
    room.clear();
    for slot in 0..count {
        let name = packet(slot).and_then(|p| Name::parse(p.get(dns::HEADER_LEN..)?).ok());
        room.extend(name.map(|name| snapshot.policy.ahead(name)));
    }
    for begun in &*room {
        snapshot.policy.further(begun);
    }
}
