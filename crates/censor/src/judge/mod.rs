//! The conclusions of censorship probes about a name, by their published rules.
//!
//! A probe queries the resolver and a control for A and AAAA and keeps all replies. From these follow
//! OONI's verdict in its two forms ([`ooni`]), that of Satellite ([`satellite`]), some signs of injection
//! that neither counts ([`Sign`]), and one overall verdict ([`Verdict`]). No page is fetched and no
//! certificate is inspected, so conclusions from those are left open.

mod bogon;
mod judgement;
mod known;
mod lookup;
pub mod ooni;
mod probe;
pub mod satellite;

pub use self::bogon::is_bogon;
pub use self::judgement::{Judgement, Sign, Verdict, judge};
pub use self::known::{AsnMap, Fingerprint, KnownError};
pub use self::lookup::{Failure, Lookup, Question, Reply, Said};
pub use self::probe::{Control, Known, Pair, Probe};

#[cfg(test)]
mod tests;
