//! Where the answer to a question comes from: the zones of this server, the cache or the upstreams, if from
//! anywhere.
//!
//! The only place that decides this, both for a client's question and for each alias that is followed.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use super::live::Engine;
use super::snapshot::Snapshot;
use super::waiting::Permit;
use crate::cache::key::Key;
use crate::cache::stale::Age;
use crate::cache::store::{Failed, Stored};
use crate::dns::{Name, Qtype, Query, flag};
use crate::observe::event::Source;
use crate::policy::View;
use crate::upstream::Question;
use crate::upstream::Upstream;
use crate::zones::answer::{self as zone, Answer};
use crate::zones::zone::Zone;

/// Where the answer comes from.
pub(super) enum Lookup<'a> {
    /// The zones of this server, with a complete answer.
    Local(Answer<'a>),
    /// The zones of this server begin with aliases; the last target is outside them.
    Aliases(Answer<'a>),
    /// A cached reply, fresh or stale. If it is in demand and about to expire, it comes with the query that
    /// refreshes it, so that the next client need not wait.
    Cached(Stored, Source, Option<Box<Ask>>),
    /// The upstreams must be queried.
    Ask(Box<Ask>),
    /// The upstreams could not answer it a moment ago.
    Failed(Failed),
    /// None: there is no upstream, or recursion was not desired.
    NoSource,
    /// None now: too many queries are waiting for the upstreams.
    Full,
}

/// A query to the upstreams, with the permit to wait for it.
pub(super) struct Ask {
    pub(super) upstream: Arc<dyn Upstream>,
    pub(super) question: Question,
    /// The cache key of the reply.
    pub(super) key: Key,
    /// The reply to serve if no fresh one arrives, or none in time.
    pub(super) stale: Option<Stored>,
    _permit: Permit,
}

/// Looks up where the answer comes from. The longest suffix wins among zones and forwards; for the same
/// suffix, a zone takes precedence over a forward.
pub(super) fn lookup<'a>(
    engine: &Engine,
    snapshot: &'a Snapshot,
    view: Option<&View>,
    query: &Query<'a>,
    client: IpAddr,
    now: Instant,
) -> Lookup<'a> {
    let recursion = query.header.has(flag::RD);
    let route = route(snapshot, view, query.qname, query.qtype);
    let upstream = snapshot.routes.get(route);
    if let Some(zone) = zone_of(snapshot, query.qname, query.qtype) {
        let find = |name: Name<'_>| zone_of(snapshot, name, query.qtype);
        let answer = zone::answer(zone, find, query.qname, query.qtype);
        // A client that desires recursion gets no referral (RFC 1034 §4.3.1), and the target of an alias too
        // (§4.3.2, step 3a).
        let parents = query.qtype == Qtype::DS && zone.origin() == query.qname;
        if !recursion || !(answer.leads_out() || parents) {
            return Lookup::Local(answer);
        }
        if answer.aliases().next().is_some() {
            return Lookup::Aliases(answer);
        }
        if upstream.is_none() {
            return Lookup::Local(answer);
        }
    }
    // ANY gets a minimal answer (RFC 8482 §4.2).
    if query.qtype == Qtype::ANY {
        return Lookup::NoSource;
    }
    // A reply to the same question from the same upstreams: fresh, or stale while they fail (RFC 8767).
    let key = Key::of(query, route);
    let kept = snapshot.cache.get(&key);
    let age = kept.as_ref().map_or(Age::Dead, |stored| snapshot.aging.judge(stored, stored.age(now)));
    let ask = |upstream: &Arc<dyn Upstream>, stale: Option<Stored>| {
        let _permit = engine.waiting.permit(query.qname, client, snapshot.queue.limit)?;
        let (upstream, question) = (Arc::clone(upstream), question(query));
        Some(Box::new(Ask { upstream, question, key, stale, _permit }))
    };
    match (kept, age) {
        (Some(stored), Age::Fresh) => Lookup::Cached(stored, Source::Cache, None),
        (Some(stored), Age::StaleNow) => Lookup::Cached(stored, Source::Stale, None),
        (Some(stored), Age::Ending) => {
            Lookup::Cached(stored, Source::Cache, upstream.and_then(|upstream| ask(upstream, None)))
        }
        (kept, _) => {
            let Some(upstream) = upstream.filter(|_| recursion) else { return Lookup::NoSource };
            let stale = kept.filter(|_| age == Age::Stale);
            // A stale reply is better than the memory of a failure.
            if stale.is_none()
                && let Some(failed) = snapshot.cache.failures.get(&key, upstream.revivals(), now)
            {
                return Lookup::Failed(failed);
            }
            match (ask(upstream, stale.clone()), stale) {
                (Some(ask), _) => Lookup::Ask(ask),
                // A stale reply is better than none.
                (None, Some(stale)) => Lookup::Cached(stale, Source::Stale, None),
                (None, None) => Lookup::Full,
            }
        }
    }
}

/// The route of a question: that of the longest suffix with upstreams of its own, else the client's. DS
/// belongs to the parent (RFC 4035 §3.1.4.1).
pub(super) fn route(snapshot: &Snapshot, view: Option<&View>, qname: Name<'_>, qtype: Qtype) -> u16 {
    snapshot.routes.route(asked_of(qname, qtype), view.map_or(0, |v| v.route))
}

/// The zone that answers a question, unless a forward has a longer suffix of the name.
fn zone_of<'s>(snapshot: &'s Snapshot, qname: Name<'_>, qtype: Qtype) -> Option<&'s Zone> {
    let zone = zone::of(&snapshot.zones, qname, qtype)?;
    let forward = snapshot.routes.forward(asked_of(qname, qtype));
    forward.is_none_or(|(_, len)| len <= zone.origin().as_bytes().len()).then_some(zone)
}

/// The name whose servers are responsible.
fn asked_of(qname: Name<'_>, qtype: Qtype) -> Name<'_> {
    if qtype == Qtype::DS { qname.parent().unwrap_or(qname) } else { qname }
}

fn question(query: &Query<'_>) -> Question {
    Question {
        // In lower case, so that the cache does not reveal the 0x20 case pattern of another client.
        qname: query.qname.to_folded(),
        qtype: query.qtype,
        qclass: query.qclass,
        dnssec_ok: query.dnssec_ok(),
        checking_disabled: query.header.has(flag::CD),
        // AD is always requested, so that one cached reply serves clients that want it and those that do
        // not (RFC 6840 §5.7).
        authentic_data: true,
    }
}
