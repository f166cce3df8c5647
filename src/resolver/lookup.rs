//! Who answers for a name: the zones of this server, the cache, the upstreams, or nobody.
//!
//! The one place that knows, for the question that a client asks and for each alias that is followed.

use std::sync::Arc;
use std::time::Instant;

use super::live::Engine;
use super::snapshot::Snapshot;
use super::waiting::Permit;
use crate::cache::key::Key;
use crate::cache::stale::Age;
use crate::cache::store::Stored;
use crate::dns::{Name, Qtype, Query, flag};
use crate::observe::event::Source;
use crate::policy::View;
use crate::upstream::Question;
use crate::upstream::Upstream;
use crate::zones::answer::{self as zone, Answer};
use crate::zones::zone::Zone;

/// Who answers.
pub(super) enum Lookup<'a> {
    /// The zones of this server, with all that there is to say.
    Local(Answer<'a>),
    /// The zones of this server begin with aliases, whose end somebody else must say.
    Aliases(Answer<'a>),
    /// A reply is kept, fresh or stale. If it is asked for and about to expire, then the next one who asks
    /// should not have to wait: it is to be fetched anew.
    Kept(Stored, Source, Option<Box<Ask>>),
    /// The upstreams, who must be asked.
    Ask(Box<Ask>),
    /// Nobody: there is no upstream, or recursion was not desired.
    Nobody,
    /// Nobody now: too many queries wait for the upstreams already.
    Full,
}

/// What is to be asked of the upstreams, with the permit to wait for it.
pub(super) struct Ask {
    pub(super) upstream: Arc<dyn Upstream>,
    pub(super) question: Question,
    /// Where the reply is kept.
    pub(super) key: Key,
    /// What is served if no fresh answer comes, or none in time.
    pub(super) stale: Option<Stored>,
    _permit: Permit,
}

/// Looks up who answers. The longest suffix wins, over zones and forwards alike; a zone goes before a
/// forward with the same suffix.
pub(super) fn lookup<'a>(
    engine: &Engine,
    snapshot: &'a Snapshot,
    view: Option<&View>,
    query: &Query<'a>,
    now: Instant,
) -> Lookup<'a> {
    let recursion = query.header.has(flag::RD);
    let route = route(snapshot, view, query.qname, query.qtype);
    let upstream = snapshot.routes.get(route);
    if let Some(zone) = zone_of(snapshot, query.qname, query.qtype) {
        let find = |name: Name<'_>| zone_of(snapshot, name, query.qtype);
        let answer = zone::answer(zone, find, query.qname, query.qtype);
        // Whoever desires recursion gets no referral (RFC 1034 §4.3.1), and the end of an alias too
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
    // ANY is answered with as little as can be (RFC 8482 §4.2).
    if query.qtype == Qtype::ANY {
        return Lookup::Nobody;
    }
    // A reply to the same question of the same upstreams: fresh, or stale while they fail (RFC 8767).
    let key = Key::of(query, route);
    let kept = snapshot.cache.get(&key);
    let age = kept.as_ref().map_or(Age::Dead, |stored| snapshot.aging.judge(stored, stored.age(now)));
    let ask = |upstream: &Arc<dyn Upstream>, stale: Option<Stored>| {
        let _permit = engine.waiting.permit(query.qname, snapshot.queue.limit)?;
        let (upstream, question) = (Arc::clone(upstream), question(query));
        Some(Box::new(Ask { upstream, question, key, stale, _permit }))
    };
    match (kept, age) {
        (Some(stored), Age::Fresh) => Lookup::Kept(stored, Source::Cache, None),
        (Some(stored), Age::StaleNow) => Lookup::Kept(stored, Source::Stale, None),
        (Some(stored), Age::Ending) => {
            Lookup::Kept(stored, Source::Cache, upstream.and_then(|upstream| ask(upstream, None)))
        }
        (kept, _) => {
            let Some(upstream) = upstream.filter(|_| recursion) else { return Lookup::Nobody };
            let stale = kept.filter(|_| age == Age::Stale);
            match (ask(upstream, stale.clone()), stale) {
                (Some(ask), _) => Lookup::Ask(ask),
                // Better old than none.
                (None, Some(stale)) => Lookup::Kept(stale, Source::Stale, None),
                (None, None) => Lookup::Full,
            }
        }
    }
}

/// The upstreams that a question goes to, by their number: those of the longest suffix that has its own,
/// else the client's. DS is a matter of the parent (RFC 4035 §3.1.4.1).
pub(super) fn route(snapshot: &Snapshot, view: Option<&View>, qname: Name<'_>, qtype: Qtype) -> u16 {
    snapshot.routes.route(asked_of(qname, qtype), view.map_or(0, |v| v.route))
}

/// The zone that answers a question, unless a forward has a longer suffix of the name.
fn zone_of<'s>(snapshot: &'s Snapshot, qname: Name<'_>, qtype: Qtype) -> Option<&'s Zone> {
    let zone = zone::of(&snapshot.zones, qname, qtype)?;
    let forward = snapshot.routes.forward(asked_of(qname, qtype));
    forward.is_none_or(|(_, len)| len <= zone.origin().as_bytes().len()).then_some(zone)
}

/// The name whose servers are asked.
fn asked_of(qname: Name<'_>, qtype: Qtype) -> Name<'_> {
    if qtype == Qtype::DS { qname.parent().unwrap_or(qname) } else { qname }
}

fn question(query: &Query<'_>) -> Question {
    Question {
        // In lower case, so that what is cached shows nobody's mixture of cases (0x20).
        qname: query.qname.to_folded(),
        qtype: query.qtype,
        qclass: query.qclass,
        dnssec_ok: query.dnssec_ok(),
        checking_disabled: query.header.has(flag::CD),
        // AD is always asked for, so that one cached reply serves those who want it and those who
        // do not (RFC 6840 §5.7).
        authentic_data: true,
    }
}
