//! Numbers with names: types, classes, response codes, opcodes (IANA "DNS Parameters").

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A record type or question type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Qtype(pub u16);

/// A record class.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Class(pub u16);

/// A response code, including the extended ones of EDNS (12 bits).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rcode(pub u16);

/// A kind of query (4 bits).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Opcode(pub u8);

macro_rules! numbers {
    ($type:ident, $generic:literal, $($konst:ident = $value:literal $name:literal),+ $(,)?) => {
        impl $type {
            $(#[doc = concat!($name, " (", stringify!($value), ")")]
            pub const $konst: Self = Self($value);)+

            const NAMES: &'static [(Self, &'static str)] = &[$((Self($value), $name)),+];

            /// The registered mnemonic, if there is one.
            #[must_use]
            pub fn mnemonic(self) -> Option<&'static str> {
                Self::NAMES.iter().find(|(n, _)| *n == self).map(|(_, s)| *s)
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self.mnemonic() {
                    Some(name) => f.write_str(name),
                    None => write!(f, concat!($generic, "{}"), self.0),
                }
            }
        }

        impl FromStr for $type {
            type Err = UnknownMnemonic;

            fn from_str(text: &str) -> Result<Self, UnknownMnemonic> {
                if let Some((n, _)) = Self::NAMES.iter().find(|(_, s)| s.eq_ignore_ascii_case(text)) {
                    return Ok(*n);
                }
                let unknown = || UnknownMnemonic(text.to_owned());
                let prefix = text.get(..$generic.len()).ok_or_else(unknown)?;
                if !prefix.eq_ignore_ascii_case($generic) {
                    return Err(unknown());
                }
                let digits = text.get($generic.len()..).ok_or_else(unknown)?;
                digits.parse().map(Self).map_err(|_| unknown())
            }
        }
    };
}

/// A word that names no type, class or code.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a known mnemonic")]
pub struct UnknownMnemonic(pub String);

numbers!(Qtype, "TYPE",
    A = 1 "A", NS = 2 "NS", CNAME = 5 "CNAME", SOA = 6 "SOA", NULL = 10 "NULL", PTR = 12 "PTR",
    HINFO = 13 "HINFO", MX = 15 "MX", TXT = 16 "TXT", RP = 17 "RP", AFSDB = 18 "AFSDB",
    SIG = 24 "SIG", KEY = 25 "KEY", AAAA = 28 "AAAA", LOC = 29 "LOC", SRV = 33 "SRV",
    NAPTR = 35 "NAPTR", CERT = 37 "CERT", DNAME = 39 "DNAME", OPT = 41 "OPT", DS = 43 "DS",
    SSHFP = 44 "SSHFP", RRSIG = 46 "RRSIG", NSEC = 47 "NSEC", DNSKEY = 48 "DNSKEY",
    NSEC3 = 50 "NSEC3", NSEC3PARAM = 51 "NSEC3PARAM", TLSA = 52 "TLSA", SMIMEA = 53 "SMIMEA",
    CDS = 59 "CDS", CDNSKEY = 60 "CDNSKEY", OPENPGPKEY = 61 "OPENPGPKEY", CSYNC = 62 "CSYNC",
    ZONEMD = 63 "ZONEMD", SVCB = 64 "SVCB", HTTPS = 65 "HTTPS", SPF = 99 "SPF", TKEY = 249 "TKEY",
    TSIG = 250 "TSIG", IXFR = 251 "IXFR", AXFR = 252 "AXFR", ANY = 255 "ANY", URI = 256 "URI",
    CAA = 257 "CAA",
);
numbers!(Class, "CLASS", IN = 1 "IN", CH = 3 "CH", HS = 4 "HS", NONE = 254 "NONE", ANY = 255 "ANY");
numbers!(Rcode, "RCODE",
    NOERROR = 0 "NOERROR", FORMERR = 1 "FORMERR", SERVFAIL = 2 "SERVFAIL", NXDOMAIN = 3 "NXDOMAIN",
    NOTIMP = 4 "NOTIMP", REFUSED = 5 "REFUSED", YXDOMAIN = 6 "YXDOMAIN", YXRRSET = 7 "YXRRSET",
    NXRRSET = 8 "NXRRSET", NOTAUTH = 9 "NOTAUTH", NOTZONE = 10 "NOTZONE", BADVERS = 16 "BADVERS",
    BADCOOKIE = 23 "BADCOOKIE",
);
numbers!(Opcode, "OPCODE", QUERY = 0 "QUERY", IQUERY = 1 "IQUERY", STATUS = 2 "STATUS",
    NOTIFY = 4 "NOTIFY", UPDATE = 5 "UPDATE", DSO = 6 "DSO");

impl Qtype {
    /// A type that only a question may carry (RFC 6895 §3.1): OPT, and 128 to 255.
    #[must_use]
    pub const fn is_meta(self) -> bool {
        self.0 == 41 || (self.0 >= 128 && self.0 <= 255)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mnemonics_go_both_ways() {
        for (text, number) in [("A", 1), ("aaaa", 28), ("HTTPS", 65), ("TYPE65280", 65280), ("type1", 1)] {
            assert_eq!(text.parse::<Qtype>(), Ok(Qtype(number)), "{text}");
        }
        assert_eq!(Qtype(65280).to_string(), "TYPE65280");
        for bad in ["", "TYPE", "TYPE70000", "BOGUS", "TYPEé"] {
            assert!(bad.parse::<Qtype>().is_err(), "{bad}");
        }
    }
}
