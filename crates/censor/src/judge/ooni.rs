//! The rules by which OONI judges a name: those of its probe, and those of its pipeline.
//!
//! The probe's rules are the "classic" analysis of `web_connectivity` (spec `ts-017-web-connectivity`,
//! ooni/probe-cli `webconnectivitylte` and `minipipeline`); the pipeline's are `DNS_RULES` of ooni/data
//! `analysis/rules.py`. Their evidence from TLS and from web pages is not covered.

use std::net::IpAddr;

use super::bogon::is_bogon;
use super::known::{AsnMap, Fingerprint};
use super::lookup::{Failure, Lookup};
use super::probe::{Control, Known, Pair};
use portcullis_core::dns::Qtype;

/// Flags of the DNS analysis (`x_dns_flags`).
pub mod flag {
    /// One of the addresses is a bogon.
    pub const BOGON: u8 = 1;
    /// A lookup fails that succeeds at the control.
    pub const UNEXPECTED_FAILURE: u8 = 2;
    /// None of the addresses, nor of their networks, is among the control's.
    pub const UNEXPECTED_ADDRS: u8 = 4;
    /// Each flag with OONI's name for it.
    pub const NAMES: [(u8, &str); 3] = [
        (BOGON, "bogon"),
        (UNEXPECTED_FAILURE, "unexpected-failure"),
        (UNEXPECTED_ADDRS, "unexpected-addrs"),
    ];
}

/// `dns_consistency`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Consistency {
    /// Nothing unexpected, and something expected.
    Consistent,
    /// Something unexpected.
    Inconsistent,
    /// Neither.
    NotMeasured,
}

impl Consistency {
    /// OONI's word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Consistent => "consistent",
            Self::Inconsistent => "inconsistent",
            Self::NotMeasured => "not measured",
        }
    }
}

/// `blocking`, as far as it can be determined without a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blocking {
    /// `"dns"`, whatever the other measurements.
    Dns,
    /// `"dns"` unless the page is served from the returned addresses.
    DnsIfThePageFails,
    /// `false`: the name does not resolve at the control either.
    No,
    /// Not `"dns"`; possibly something else.
    NotDns,
}

/// The probe's report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Classic {
    /// `dns_consistency`.
    pub consistency: Consistency,
    /// See [`flag`].
    pub flags: u8,
    /// `blocking`.
    pub blocking: Blocking,
}

/// The probe's report for these lookups.
#[must_use]
pub fn classic(resolver: &Pair, control: Option<&Control>, asns: &AsnMap) -> Classic {
    let mut flags = 0;
    let (mut valid, mut expected_failure, mut ghost) = (false, false, false);
    for lookup in resolver.both() {
        match &lookup.result {
            Ok(addresses) => {
                if addresses.iter().any(|a| is_bogon(*a)) {
                    flags |= flag::BOGON;
                }
                let Some(control) = control else { continue };
                ghost |= control.addresses.is_empty();
                if control.shares_address(addresses) || control.shares_asn(addresses, asns) {
                    valid = true;
                } else {
                    flags |= flag::UNEXPECTED_ADDRS;
                }
            }
            Err(failure) if ignored(lookup.qtype, *failure, control) => {}
            Err(_) => match control {
                Some(control) if control.addresses.is_empty() => expected_failure = true,
                Some(_) => flags |= flag::UNEXPECTED_FAILURE,
                None => {}
            },
        }
    }
    let unexpected = flags & (flag::UNEXPECTED_FAILURE | flag::UNEXPECTED_ADDRS) != 0 || ghost;
    let consistency = match () {
        () if unexpected => Consistency::Inconsistent,
        () if valid || expected_failure => Consistency::Consistent,
        () => Consistency::NotMeasured,
    };
    let any =
        |held: fn(IpAddr) -> bool| resolver.both().into_iter().flat_map(Lookup::addresses).any(|a| held(*a));
    // The probe does not fetch pages from the local machine.
    let page = any(|a| !a.is_loopback());
    let blocking = match consistency {
        Consistency::Inconsistent if page => Blocking::DnsIfThePageFails,
        Consistency::Inconsistent => Blocking::Dns,
        Consistency::Consistent if expected_failure && !valid => Blocking::No,
        Consistency::Consistent | Consistency::NotMeasured => Blocking::NotDns,
    };
    Classic { consistency, flags, blocking }
}

/// `dns_no_answer` for AAAA only means that there is no IPv6. And the classic analysis considers both types
/// together: if the name has only AAAA, the missing A does not count.
fn ignored(qtype: Qtype, failure: Failure, control: Option<&Control>) -> bool {
    failure == Failure::NoAnswer
        && (qtype == Qtype::AAAA
            || control.is_some_and(|c| c.addresses.iter().any(IpAddr::is_ipv6) && !c.has_v4()))
}

/// A rule of the pipeline: its id, and the likelihood of each outcome.
#[derive(Debug, PartialEq)]
pub struct Rule {
    /// Its id in `rules.py`.
    pub id: &'static str,
    /// The name is blocked.
    pub blocked: f64,
    /// The name does not work anywhere.
    pub down: f64,
    /// The name works.
    pub ok: f64,
}

const fn rule(id: &'static str, blocked: f64, down: f64, ok: f64) -> Rule {
    Rule { id, blocked, down, ok }
}

static FINGERPRINT: Rule = rule("country_consistent_blockpage", 1.0, 0.0, 0.0);
static BOGON_NOT_IN_CONTROL: Rule = rule("bogon_not_in_ctrl", 0.95, 0.05, 0.0);
static BOGON_IN_CONTROL: Rule = rule("bogon_in_ctrl", 0.1, 0.9, 0.0);
static ANSWER_MATCHES: Rule = rule("answer_matches_ctrl", 0.0, 0.0, 0.9);
static ASN_MATCHES: Rule = rule("answer_asn_matches_ctrl", 0.2, 0.0, 0.8);
static CONTROL_FAILS_TOO: Rule = rule("failure_ctrl_also_failing", 0.1, 0.9, 0.0);
static CONTROL_SUCCEEDS: Rule = rule("failure_ctrl_ok", 0.9, 0.1, 0.0);
static NO_CONTROL: Rule = rule("failure_no_ctrl", 0.5, 0.5, 0.0);
static UNMATCHED: Rule = rule("answer_unmatched", 0.75, 0.0, 0.25);

/// The first rule that applies to a lookup; of two lookups the one with more evidence of blocking, as the
/// pipeline merges the rows of a measurement. The rules on TLS are not included.
#[must_use]
pub fn pipeline(resolver: &Pair, control: Option<&Control>, known: &Known<'_>) -> Option<&'static Rule> {
    let mut found: Option<&'static Rule> = None;
    for lookup in resolver.both() {
        let Some(rule) = lookup_rule(lookup, control, known) else { continue };
        if found.is_none_or(|best| rule.blocked > best.blocked) {
            found = Some(rule);
        }
    }
    found
}

fn lookup_rule(lookup: &Lookup, control: Option<&Control>, known: &Known<'_>) -> Option<&'static Rule> {
    let country = known.country;
    let at_home =
        |f: &Fingerprint| country.is_some_and(|c| f.countries.iter().any(|f| f.eq_ignore_ascii_case(c)));
    if known.fingerprints_of(lookup).any(at_home) {
        return Some(&FINGERPRINT);
    }
    match &lookup.result {
        Ok(addresses) => {
            let bogon = addresses.iter().any(|a| is_bogon(*a));
            let matches = control.is_some_and(|c| c.shares_address(addresses));
            let asn = control.is_some_and(|c| c.shares_asn(addresses, known.asns));
            Some(match (bogon, matches, asn) {
                (true, false, _) => &BOGON_NOT_IN_CONTROL,
                (true, true, _) => &BOGON_IN_CONTROL,
                (false, true, _) => &ANSWER_MATCHES,
                (false, false, true) => &ASN_MATCHES,
                (false, false, false) => &UNMATCHED,
            })
        }
        Err(failure) if ignored(lookup.qtype, *failure, control) => None,
        Err(_) => Some(match control {
            None => &NO_CONTROL,
            Some(control) if control.mostly_succeeds() => &CONTROL_SUCCEEDS,
            Some(_) => &CONTROL_FAILS_TOO,
        }),
    }
}
