//! The cookie of a query, and that of the reply to it.

use super::moment::Moment;
use super::snapshot::{Client, Snapshot};
use crate::dns::{Edns, MalformedCookie, Query, Standing};

/// What the cookie of a query says about its client. The reply's is noted in the query.
#[cold]
pub(super) fn note(
    snapshot: &Snapshot,
    query: &mut Query<'_>,
    edns: Edns<'_>,
    client: Client,
    now: Moment,
) -> Result<Standing, MalformedCookie> {
    let (Some(cookies), Some(cookie)) = (&snapshot.cookies, edns.cookie().transpose()?) else {
        return Ok(Standing::New);
    };
    let (standing, cookie) = cookie.check(cookies.secrets(), client.address.ip(), now.seconds());
    query.cookie = Some(cookie);
    Ok(standing)
}

/// The same for a query that was admitted before.
pub(super) fn note_again(snapshot: &Snapshot, query: &mut Query<'_>, client: Client, now: Moment) {
    if let Some(edns) = query.edns.filter(Edns::has_options) {
        // One that is malformed was answered at once.
        let _ = note(snapshot, query, edns, client, now);
    }
}
