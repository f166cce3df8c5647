//! What probes for censorship would say of a name, by their published rules.
//!
//! A probe asks the resolver and a control for A and AAAA and keeps everything that comes back. From that
//! follow OONI's verdict in its two forms ([`ooni`]), that of Satellite ([`satellite`]), some signs of
//! injection that neither of them counts ([`Sign`]), and one word over all of it ([`Verdict`]).
//! No page is fetched and no certificate seen, so what they learn from those is left open.

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
