//! Who answers for a name: a zone of this server, the servers of a forward, this server because the name is
//! special, or the upstreams.

use super::snapshot::Snapshot;
use crate::dns::{FoundSpecial, Name, Qtype, ancestors};
use crate::policy::View;
use crate::zones::zone::Zone;

/// Who answers for a name.
#[derive(Clone, Copy)]
pub(super) enum Authority<'s, 'n> {
    /// A zone of this server.
    Zone(&'s Zone),
    /// The servers of a forward: the length of its suffix on the wire, in octets.
    Forward(usize),
    /// This server, because the name is special.
    Special(FoundSpecial<'n>),
    /// The upstreams of the client.
    Upstreams,
}

impl<'s, 'n> Authority<'s, 'n> {
    /// Who answers a question. The longest suffix wins among zones and forwards; of the same suffix, the zone.
    /// Both take precedence over a special name, unless their suffix is the root. DS at an apex belongs to
    /// the parent (RFC 4035 §3.1.4.1).
    #[inline]
    pub(super) fn of(snapshot: &'s Snapshot, qname: Name<'n>, qtype: Qtype) -> Self {
        if qtype == Qtype::DS { Self::of_ds(snapshot, qname) } else { Self::longest(snapshot, qname) }
    }

    #[cold]
    fn of_ds(snapshot: &'s Snapshot, qname: Name<'n>) -> Self {
        let authority = Self::longest(snapshot, qname);
        if authority.apex_len() != Some(qname.as_bytes().len()) {
            return authority;
        }
        match authority {
            // Nobody delegates these: what is above them is not to be asked.
            Self::Special(found) if !found.special.is_delegated() => authority,
            _ => qname.parent().map_or(authority, |parent| Self::longest(snapshot, parent)),
        }
    }

    /// In words for people.
    pub(super) fn text(&self, qname: Name<'_>) -> String {
        match self {
            Self::Zone(zone) => format!("the zone {}", zone.origin()),
            Self::Forward(len) => {
                let suffix = ancestors(qname).find(|name| name.as_bytes().len() == *len);
                format!("the servers of the forward {}", suffix.unwrap_or(Name::ROOT))
            }
            Self::Special(found) => format!(
                "this server, because {} is a special name ({}; [special] {})",
                found.apex,
                found.special.rfc(),
                found.special.word()
            ),
            Self::Upstreams => "the upstreams".to_owned(),
        }
    }

    /// True if other servers answer.
    pub(super) const fn is_elsewhere(&self) -> bool {
        matches!(self, Self::Forward(_) | Self::Upstreams)
    }

    #[inline]
    fn longest(snapshot: &'s Snapshot, name: Name<'n>) -> Self {
        let zone = snapshot.zones.find(name);
        let forward = snapshot.routes.forward(name).map(|(_, len)| len);
        let of_zone = zone.map_or(0, |zone| zone.origin().as_bytes().len());
        let own = match (zone, forward) {
            (_, Some(len)) if len > of_zone => Self::Forward(len),
            (Some(zone), _) => Self::Zone(zone),
            (None, _) => Self::Upstreams,
        };
        // One octet is the root.
        if own.apex_len().is_some_and(|len| len > 1) {
            return own;
        }
        snapshot.special.find(name).map_or(own, Self::Special)
    }

    /// The length of the apex on the wire, in octets.
    fn apex_len(&self) -> Option<usize> {
        match self {
            Self::Zone(zone) => Some(zone.origin().as_bytes().len()),
            Self::Forward(len) => Some(*len),
            Self::Special(found) => Some(found.apex.as_bytes().len()),
            Self::Upstreams => None,
        }
    }
}

/// The route of a question: that of the longest suffix with upstreams of its own, else the client's.
pub(super) fn route(snapshot: &Snapshot, view: Option<&View>, qname: Name<'_>, qtype: Qtype) -> u16 {
    let name = if qtype == Qtype::DS { qname.parent().unwrap_or(qname) } else { qname };
    snapshot.routes.route(name, view.map_or(0, |v| v.route))
}

/// True if a zone or a forward of this server lies at a name or below it, so that the name exists.
pub(super) fn exists(snapshot: &Snapshot, name: Name<'_>) -> bool {
    snapshot.zones.is_at_or_below(name) || snapshot.routes.is_at_or_below(name)
}
