//! Where the answer to a question comes from: this server, the cache or the upstreams, if from anywhere.
//!
//! The only place that decides this, both for a client's question and for each alias that is followed.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use super::authority::{Authority, exists, route};
use super::live::Engine;
use super::snapshot::Snapshot;
use super::waiting::Permit;
use crate::answer::special;
use crate::cache::key::Key;
use crate::cache::stale::Age;
use crate::cache::store::{Failed, Stored};
use crate::dns::{FoundSpecial, Name, Qtype, Query, ReplyWriter, flag};
use crate::observe::event::Source;
use crate::policy::View;
use crate::upstream::Question;
use crate::upstream::Upstream;
use crate::zones::answer::{self as zone, Answer};

/// Where the answer comes from.
pub(super) enum Lookup<'a> {
    /// This server, with a complete answer.
    Local(Local<'a>),
    /// The zones of this server begin with aliases; the last target is outside them.
    Aliases(Answer<'a>),
    /// A cached reply, fresh or stale. If it is in demand and about to expire, it comes with the query that
    /// refreshes it, so that the next client need not wait.
    Cached {
        stored: Stored,
        /// In seconds.
        age: u32,
        source: Source,
        refresh: Option<Box<Ask>>,
    },
    /// The upstreams must be queried.
    Ask(Box<Ask>),
    /// The upstreams could not answer it a moment ago.
    Failed(Failed),
    /// None for this client: it gets only what this server knows itself.
    Forbidden,
    /// None: there is no upstream, or recursion was not desired.
    NoSource,
    /// None now: too many queries are waiting for the upstreams.
    Full,
}

/// An answer of this server's own.
#[expect(clippy::large_enum_variant, reason = "it stays on the stack: a box would be an allocation")]
pub(super) enum Local<'a> {
    /// By its zones.
    Zone(Answer<'a>),
    /// For a special name, which may exist because of a zone or a forward below it.
    Special(FoundSpecial<'a>, bool),
}

impl<'a> Local<'a> {
    pub(super) fn write(&self, snapshot: &'a Snapshot, query: &Query<'_>, reply: &mut ReplyWriter<'_, '_>) {
        match self {
            Self::Zone(answer) => answer.write(&snapshot.zones, query, reply),
            Self::Special(found, exists) => special(reply, query, *found, *exists),
        }
        if !snapshot.authority {
            reply.flags(flag::AA, false);
        }
    }
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

/// Looks up where the answer comes from.
pub(super) fn lookup<'a>(
    engine: &Engine,
    snapshot: &'a Snapshot,
    view: Option<&View>,
    query: &Query<'a>,
    client: IpAddr,
    now: Instant,
) -> Lookup<'a> {
    let served = snapshot.recurses_for(client);
    let recursion = served && query.header.has(flag::RD);
    let route = route(snapshot, view, query.qname, query.qtype);
    let upstream = snapshot.routes.get(route);
    let mut authority = Authority::of(snapshot, query.qname, query.qtype);
    // The parent's data about a name of this server, which is all that can be said without the parent.
    if query.qtype == Qtype::DS && authority.is_elsewhere() && !(recursion && upstream.is_some()) {
        authority = Authority::of(snapshot, query.qname, Qtype::ANY);
    }
    match authority {
        Authority::Zone(zone) => {
            let find = |name: Name<'_>| match Authority::of(snapshot, name, query.qtype) {
                Authority::Zone(zone) => Some(zone),
                _ => None,
            };
            let answer = zone::answer(zone, find, |name| exists(snapshot, name), query.qname, query.qtype);
            // A client that desires recursion gets no referral (RFC 1034 §4.3.1), and the target of an alias
            // too (§4.3.2, step 3a).
            if !recursion || !answer.leads_out() {
                return Lookup::Local(Local::Zone(answer));
            }
            if answer.is_alias() {
                return Lookup::Aliases(answer);
            }
            if upstream.is_none() {
                return Lookup::Local(Local::Zone(answer));
            }
        }
        Authority::Special(found) => {
            return Lookup::Local(Local::Special(found, exists(snapshot, query.qname)));
        }
        Authority::Forward(_) | Authority::Upstreams => {}
    }
    if !served {
        return Lookup::Forbidden;
    }
    // ANY gets a minimal answer (RFC 8482 §4.2), but not from whoever validates: it is not signed.
    if query.qtype == Qtype::ANY && !query.dnssec_ok() {
        return Lookup::NoSource;
    }
    // A reply to the same question from the same upstreams: fresh, or stale while they fail (RFC 8767).
    let key = Key::of(query, route);
    let kept = snapshot.cache.get(&key);
    let age = kept.as_ref().map_or(0, |stored| stored.age(now));
    let judged = kept.as_ref().map_or(Age::Dead, |stored| snapshot.aging.judge(stored, age));
    let cached = |stored, source, refresh| Lookup::Cached { stored, age, source, refresh };
    let ask = |upstream: &Arc<dyn Upstream>, stale: Option<Stored>| {
        let _permit = engine.waiting.permit(query.qname, client, snapshot.queue.limit)?;
        let (upstream, question) = (Arc::clone(upstream), question(query));
        Some(Box::new(Ask { upstream, question, key, stale, _permit }))
    };
    match (kept, judged) {
        (Some(stored), Age::Fresh) => cached(stored, Source::Cache, None),
        (Some(stored), Age::StaleNow) => cached(stored, Source::Stale, None),
        (Some(stored), Age::Ending) => {
            cached(stored, Source::Cache, upstream.and_then(|upstream| ask(upstream, None)))
        }
        (kept, _) => {
            let Some(upstream) = upstream.filter(|_| recursion) else { return Lookup::NoSource };
            let stale = kept.filter(|_| judged == Age::Stale);
            // A stale reply is better than the memory of a failure.
            if stale.is_none()
                && let Some(failed) = snapshot.cache.failures.get(&key, upstream.revivals(), now)
            {
                return Lookup::Failed(failed);
            }
            match (ask(upstream, stale.clone()), stale) {
                (Some(ask), _) => Lookup::Ask(ask),
                // A stale reply is better than none.
                (None, Some(stale)) => cached(stale, Source::Stale, None),
                (None, None) => Lookup::Full,
            }
        }
    }
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
