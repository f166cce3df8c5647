//! The outcome of a lookup according to Censored Planet's Satellite (censoredplanet-analysis,
//! `docs/outcome.md`).
//!
//! Satellite queries for A over UDP and considers only the first reply. It then fetches a page from each
//! address; where it would, the outcome here is `anomaly`, as in its raw data.

use std::fmt;
use std::net::IpAddr;

use super::known::AsnMap;
use super::lookup::{Failure, Lookup};
use super::probe::{Control, Pair};
use portcullis_core::dns::Rcode;

/// An outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// An unsuccessful response code.
    Error(Rcode),
    /// The port is closed.
    ConnRefused,
    /// The resolver cannot be reached.
    HostUnreach,
    /// No reply.
    TimedOut,
    /// NOERROR without an address.
    Empty,
    /// An address is of `0.0.0.0/8`.
    Zero,
    /// An address is of `127.0.0.0/8`.
    LocalHost,
    /// An address is private.
    LocalNet,
    /// An address is the control's.
    MatchIp,
    /// The network of an address is the control's.
    MatchAsn,
    /// None of these; the next step would be to fetch a page.
    Anomaly,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Error(rcode) => match rcode_word(*rcode) {
                Some(word) => write!(f, "dns.error:{word}"),
                None => write!(f, "dns.unknown_rcode:{}", rcode.0),
            },
            Self::ConnRefused => f.write_str("dns.connrefused"),
            Self::HostUnreach => f.write_str("dns.hostunreach"),
            Self::TimedOut => f.write_str("dns.timedout"),
            Self::Empty => f.write_str("ip.empty"),
            Self::Zero => f.write_str("ip.invalid:zero"),
            Self::LocalHost => f.write_str("ip.invalid:local_host"),
            Self::LocalNet => f.write_str("ip.invalid:local_net"),
            Self::MatchIp => f.write_str("ip.matchip"),
            Self::MatchAsn => f.write_str("ip.matchasn"),
            Self::Anomaly => f.write_str("anomaly"),
        }
    }
}

/// The outcome for the lookup of A; `None`: the documentation does not define it, or the query was not sent
/// over UDP.
#[must_use]
pub fn outcome(resolver: &Pair, control: Option<&Control>, asns: &AsnMap, udp: bool) -> Option<Outcome> {
    let lookup: &Lookup = &resolver.a;
    if !udp {
        return None;
    }
    match &lookup.result {
        Ok(addresses) => Some(addressed(addresses, control, asns)),
        Err(Failure::Timeout) => Some(Outcome::TimedOut),
        Err(Failure::ConnectionRefused) => Some(Outcome::ConnRefused),
        Err(Failure::Unreachable) => Some(Outcome::HostUnreach),
        Err(Failure::NoAnswer) => Some(Outcome::Empty),
        Err(Failure::NxDomain | Failure::Refused | Failure::ServFail | Failure::Misbehaving) => {
            lookup.first().map(|said| Outcome::Error(said.rcode))
        }
        Err(Failure::WrongId | Failure::Undecodable | Failure::Reset | Failure::Eof) => None,
    }
}

fn addressed(addresses: &[IpAddr], control: Option<&Control>, asns: &AsnMap) -> Outcome {
    let invalid = addresses.iter().find_map(|address| match address {
        IpAddr::V4(v4) if v4.octets().starts_with(&[0]) => Some(Outcome::Zero),
        IpAddr::V4(v4) if v4.is_loopback() => Some(Outcome::LocalHost),
        IpAddr::V4(v4) if v4.is_private() => Some(Outcome::LocalNet),
        _ => None,
    });
    match (invalid, control) {
        (Some(invalid), _) => invalid,
        (None, Some(control)) if control.shares_address(addresses) => Outcome::MatchIp,
        (None, Some(control)) if control.shares_asn(addresses, asns) => Outcome::MatchAsn,
        (None, _) => Outcome::Anomaly,
    }
}

fn rcode_word(rcode: Rcode) -> Option<&'static str> {
    Some(match rcode {
        Rcode::FORMERR => "FormErr",
        Rcode::SERVFAIL => "ServFail",
        Rcode::NXDOMAIN => "NXDomain",
        Rcode::NOTIMP => "NotImp",
        Rcode::REFUSED => "Refused",
        Rcode::YXDOMAIN => "YXDomain",
        Rcode::YXRRSET => "YXRRSet",
        Rcode::NXRRSET => "NXRRSet",
        Rcode::NOTAUTH => "NotAuth",
        Rcode::NOTZONE => "NotZone",
        Rcode::BADVERS => "BadVers",
        Rcode::BADCOOKIE => "BadCookie",
        _ => return None,
    })
}
