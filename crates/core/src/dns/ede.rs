//! Extended DNS Errors (RFC 8914): the reason for a reply.

use std::fmt;

/// An INFO-CODE of the registry "Extended DNS Error Codes".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EdeCode(pub u16);

impl EdeCode {
    /// A cached answer past its TTL (§4.4).
    pub const STALE_ANSWER: Self = Self(3);
    /// The answer was forged by policy; sent with one of the codes that say whose (§4.5).
    pub const FORGED_ANSWER: Self = Self(4);
    /// A failure that is remembered (§4.14).
    pub const CACHED_ERROR: Self = Self(13);
    /// The operator's own policy (§4.16).
    pub const BLOCKED: Self = Self(15);
    /// A demand from outside, such as a court's (§4.17).
    pub const CENSORED: Self = Self(16);
    /// The client's own choice (§4.18).
    pub const FILTERED: Self = Self(17);
    /// The client is not authorised (§4.19).
    pub const PROHIBITED: Self = Self(18);
    /// A cached NXDOMAIN past its TTL (§4.20).
    pub const STALE_NXDOMAIN: Self = Self(19);
    /// The server is neither authoritative nor recursive for the name (§4.21).
    pub const NOT_AUTHORITATIVE: Self = Self(20);
    /// No upstream answered (§4.23).
    pub const NO_REACHABLE_AUTHORITY: Self = Self(22);
    /// An upstream could not be reached at all (§4.24).
    pub const NETWORK_ERROR: Self = Self(23);

    /// The registered name, or "Other" for a code without a name here.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self.0 {
            1 => "Unsupported DNSKEY Algorithm",
            2 => "Unsupported DS Digest Type",
            3 => "Stale Answer",
            4 => "Forged Answer",
            5 => "DNSSEC Indeterminate",
            6 => "DNSSEC Bogus",
            7 => "Signature Expired",
            8 => "Signature Not Yet Valid",
            9 => "DNSKEY Missing",
            10 => "RRSIGs Missing",
            11 => "No Zone Key Bit Set",
            12 => "NSEC Missing",
            13 => "Cached Error",
            14 => "Not Ready",
            15 => "Blocked",
            16 => "Censored",
            17 => "Filtered",
            18 => "Prohibited",
            19 => "Stale NXDOMAIN Answer",
            20 => "Not Authoritative",
            21 => "Not Supported",
            22 => "No Reachable Authority",
            23 => "Network Error",
            24 => "Invalid Data",
            _ => "Other",
        }
    }
}

impl fmt::Display for EdeCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.0, self.name())
    }
}

/// One error with its EXTRA-TEXT (UTF-8, may be empty).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ede<'t> {
    /// The INFO-CODE.
    pub code: EdeCode,
    /// The EXTRA-TEXT, for people.
    pub text: &'t str,
    /// The text to use if the full one does not fit.
    pub brief: &'t str,
}

impl<'t> Ede<'t> {
    /// A code and its text.
    #[must_use]
    pub const fn new(code: EdeCode, text: &'t str) -> Self {
        Self { code, text, brief: "" }
    }
}
