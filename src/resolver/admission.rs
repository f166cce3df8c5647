//! Whether a query is answered at all: the access list, the client's cookie, and the rate of replies.

use super::cookie;
use super::live::Engine;
use super::moment::Moment;
use super::outcome::Outcome;
use super::request::{Request, sent};
use super::snapshot::{Client, Snapshot};
use crate::dns::{Ede, EdeCode, MalformedCookie, Query, Rcode, Standing, Transport};
use crate::guard::ratelimit::Fate;
use crate::observe::event::{Event, Source};
use std::sync::atomic::Ordering::Relaxed;

/// The outcome for a query that is not answered, or gets no more than an error; `None`: it is answered. Notes
/// the cookie of every reply to it.
#[inline]
pub(super) fn admit(
    engine: &Engine,
    snapshot: &Snapshot,
    query: &mut Query<'_>,
    client: Client,
    now: Moment,
    out: &mut [u8],
    event: &mut Event,
) -> Option<Outcome> {
    let standing = match query.edns {
        Some(edns) if edns.has_options() => match cookie::note(snapshot, query, edns, client, now) {
            Ok(standing) => standing,
            // RFC 7873 §5.2.2.
            Err(MalformedCookie) => {
                let len = Request { query, client }.bare(out, Rcode::FORMERR, None);
                return Some(Outcome::of(sent(event, Source::Malformed, Rcode::FORMERR, len), None));
            }
        },
        _ => Standing::New,
    };
    let proven = client.transport != Transport::Udp || standing == Standing::Valid;
    let request = Request { query, client };
    if !snapshot.acl.admits(client.address.ip()) {
        return Some(refused(engine, snapshot, request, proven, now, out, event));
    }
    if snapshot.limits && !proven {
        return unproven(engine, snapshot, request, now, out, event);
    }
    None
}

/// A client that may not ask gets REFUSED with an extended error (RFC 8914 §4.19), at most at the limited rate.
#[cold]
fn refused(
    engine: &Engine,
    snapshot: &Snapshot,
    request: Request<'_, '_>,
    proven: bool,
    now: Moment,
    out: &mut [u8],
    event: &mut Event,
) -> Outcome {
    if !proven && let Some(limited) = limited(engine, snapshot, request, now, out, event) {
        return limited;
    }
    let ede = Ede::new(EdeCode::PROHIBITED, "");
    let len = request.bare(out, Rcode::REFUSED, Some(ede));
    Outcome::of(sent(event, Source::Guard, Rcode::REFUSED, len), None)
}

/// A client that might be anybody: limited, and asked for its cookie where that is required.
#[cold]
fn unproven(
    engine: &Engine,
    snapshot: &Snapshot,
    request: Request<'_, '_>,
    now: Moment,
    out: &mut [u8],
    event: &mut Event,
) -> Option<Outcome> {
    if let Some(limited) = limited(engine, snapshot, request, now, out, event) {
        return Some(limited);
    }
    let required = snapshot.cookies.as_ref().is_some_and(|cookies| cookies.required);
    (required && request.query.cookie.is_some()).then(|| bad_cookie(request, out, event))
}

/// What a query beyond the limit gets; `None`: it is not beyond.
fn limited(
    engine: &Engine,
    snapshot: &Snapshot,
    request: Request<'_, '_>,
    now: Moment,
    out: &mut [u8],
    event: &mut Event,
) -> Option<Outcome> {
    let limit = snapshot.ratelimit.as_ref()?;
    let counters = &engine.counters.ratelimit;
    match limit.take(request.client.address.ip(), now.at) {
        Fate::Pass => None,
        Fate::Drop => {
            counters.dropped.fetch_add(1, Relaxed);
            event.source = Source::Guard;
            Some(Outcome::Drop)
        }
        Fate::Slip => {
            counters.slipped.fetch_add(1, Relaxed);
            // With this reply's cookie, or over TCP, it passes.
            if request.query.cookie.is_some() {
                return Some(bad_cookie(request, out, event));
            }
            let mut reply = request.writer(out);
            reply.truncate();
            let len = reply.finish();
            Some(Outcome::of(sent(event, Source::Guard, Rcode::NOERROR, len), None))
        }
    }
}

/// The client is to ask again with the cookie of this reply (RFC 7873 §5.2.3, §5.2.4).
fn bad_cookie(request: Request<'_, '_>, out: &mut [u8], event: &mut Event) -> Outcome {
    let len = request.bare(out, Rcode::BADCOOKIE, None);
    Outcome::of(sent(event, Source::Guard, Rcode::BADCOOKIE, len), None)
}
