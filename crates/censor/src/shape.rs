//! How a forged answer looks: what gives the forger away.

use portcullis_core::dns::{EdeCode, NameBuf, Qtype};

/// How a forged answer looks.
#[derive(Clone, Debug, PartialEq)]
pub struct Shape {
    /// The flags, the code left out; `None`: QR, RA, and RD as it was sent.
    pub flags: Option<Flags>,
    /// AD is copied from the query.
    pub echo_ad: bool,
    /// What becomes of EDNS.
    pub edns: EdnsManner,
    /// The question comes back in lower case.
    pub lower_case: bool,
    /// A fault in the packet.
    pub malform: Malform,
    /// TTL of the answer, in seconds.
    pub ttl: u32,
    /// How the TTL goes on.
    pub ttl_mode: TtlMode,
    /// TTL of the IP packet, for UDP over IPv4 and IPv6; `None`: the system's.
    pub ip_ttl: Option<u8>,
    /// An Extended DNS Error, for those who sent EDNS.
    pub ede: Option<(EdeCode, String)>,
    /// Records that give the forger away, or tell the truth.
    pub extra: Vec<Extra>,
}

impl Default for Shape {
    fn default() -> Self {
        Self {
            flags: None,
            echo_ad: false,
            edns: EdnsManner::Keep,
            lower_case: false,
            malform: Malform::No,
            ttl: 300,
            ttl_mode: TtlMode::Static,
            ip_ttl: None,
            ede: None,
            extra: Vec::new(),
        }
    }
}

/// Header flags, code and all, by what the query had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flags {
    /// If it desired recursion.
    pub rd: u16,
    /// If it did not.
    pub no_rd: u16,
}

/// What becomes of the client's EDNS in a forged answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum EdnsManner {
    /// An OPT record of the server's own, for those who sent one.
    #[default]
    Keep,
    /// None.
    Strip,
    /// The client's own OPT record, octet for octet.
    Echo,
}

/// What is broken in a forged answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Malform {
    /// Nothing.
    #[default]
    No,
    /// The answer stands after the client's OPT record, so that the OPT is read as the answer.
    AppendAfterOpt,
    /// The question lacks its class, over TCP alone.
    NoQclassTcp,
    /// Four octets follow the message.
    ExtraBytes,
    /// The id is another one.
    WrongId,
    /// The RDATA of the answer is one octet short.
    ShortRdata,
}

/// How the TTL of a forged answer goes on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum TtlMode {
    /// Always the same.
    #[default]
    Static,
    /// Counts down and begins anew, as out of a cache.
    Tick,
    /// Anything from here up to the TTL.
    Random(u32),
}

/// A record beside the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extra {
    /// Its owner; `None`: the name that was asked for.
    pub owner: Option<NameBuf>,
    /// Its type.
    pub rtype: Qtype,
    /// Its TTL in seconds.
    pub ttl: u32,
    /// Wire RDATA, names uncompressed.
    pub rdata: Vec<u8>,
}
