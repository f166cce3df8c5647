//! Numbers with mnemonics: types, classes, response codes, opcodes (IANA "DNS Parameters").

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

/// A word that is not a known mnemonic.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a known mnemonic")]
pub struct UnknownMnemonic(pub String);

numbers!(Qtype, "TYPE",
    A = 1 "A", NS = 2 "NS", MD = 3 "MD", MF = 4 "MF", CNAME = 5 "CNAME", SOA = 6 "SOA", MB = 7 "MB",
    MG = 8 "MG", MR = 9 "MR", NULL = 10 "NULL", WKS = 11 "WKS", PTR = 12 "PTR", HINFO = 13 "HINFO",
    MINFO = 14 "MINFO", MX = 15 "MX", TXT = 16 "TXT", RP = 17 "RP", AFSDB = 18 "AFSDB",
    X25 = 19 "X25", ISDN = 20 "ISDN", RT = 21 "RT", NSAP = 22 "NSAP", NSAP_PTR = 23 "NSAP-PTR",
    SIG = 24 "SIG", KEY = 25 "KEY", PX = 26 "PX", GPOS = 27 "GPOS", AAAA = 28 "AAAA",
    LOC = 29 "LOC", NXT = 30 "NXT", EID = 31 "EID", NIMLOC = 32 "NIMLOC", SRV = 33 "SRV",
    ATMA = 34 "ATMA", NAPTR = 35 "NAPTR", KX = 36 "KX", CERT = 37 "CERT", A6 = 38 "A6",
    DNAME = 39 "DNAME", SINK = 40 "SINK", OPT = 41 "OPT", APL = 42 "APL", DS = 43 "DS",
    SSHFP = 44 "SSHFP", IPSECKEY = 45 "IPSECKEY", RRSIG = 46 "RRSIG", NSEC = 47 "NSEC",
    DNSKEY = 48 "DNSKEY", DHCID = 49 "DHCID", NSEC3 = 50 "NSEC3", NSEC3PARAM = 51 "NSEC3PARAM",
    TLSA = 52 "TLSA", SMIMEA = 53 "SMIMEA", HIP = 55 "HIP", NINFO = 56 "NINFO", RKEY = 57 "RKEY",
    TALINK = 58 "TALINK", CDS = 59 "CDS", CDNSKEY = 60 "CDNSKEY", OPENPGPKEY = 61 "OPENPGPKEY",
    CSYNC = 62 "CSYNC", ZONEMD = 63 "ZONEMD", SVCB = 64 "SVCB", HTTPS = 65 "HTTPS",
    DSYNC = 66 "DSYNC", HHIT = 67 "HHIT", BRID = 68 "BRID", SPF = 99 "SPF", UINFO = 100 "UINFO",
    UID = 101 "UID", GID = 102 "GID", UNSPEC = 103 "UNSPEC", NID = 104 "NID", L32 = 105 "L32",
    L64 = 106 "L64", LP = 107 "LP", EUI48 = 108 "EUI48", EUI64 = 109 "EUI64", NXNAME = 128 "NXNAME",
    TKEY = 249 "TKEY", TSIG = 250 "TSIG", IXFR = 251 "IXFR", AXFR = 252 "AXFR", MAILB = 253 "MAILB",
    MAILA = 254 "MAILA", ANY = 255 "ANY", URI = 256 "URI", CAA = 257 "CAA", AVC = 258 "AVC",
    DOA = 259 "DOA", AMTRELAY = 260 "AMTRELAY", RESINFO = 261 "RESINFO", WALLET = 262 "WALLET",
    CLA = 263 "CLA", IPN = 264 "IPN", TA = 32768 "TA", DLV = 32769 "DLV",
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
    /// A type that only a question may have (RFC 6895 §3.1): OPT, and 128 to 255.
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
