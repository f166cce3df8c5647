//! The characteristics of a forged answer on the wire, which reveal the forger.

use portcullis_core::dns::{EdeCode, NameBuf, Qtype};

/// The characteristics of a forged answer on the wire.
#[derive(Clone, Debug, PartialEq)]
pub struct Shape {
    /// The flags, without the response code; `None`: QR, RA, and RD as in the query.
    pub flags: Option<Flags>,
    /// Whether AD is copied from the query.
    pub echo_ad: bool,
    /// The handling of EDNS.
    pub edns: EdnsManner,
    /// Whether the question is returned in lower case.
    pub lower_case: bool,
    /// A fault in the packet.
    pub malform: Malform,
    /// TTL of the answer, in seconds.
    pub ttl: u32,
    /// How the TTL changes.
    pub ttl_mode: TtlMode,
    /// TTL of the IP packet, for UDP over IPv4 and IPv6; `None`: the system's.
    pub ip_ttl: Option<u8>,
    /// An Extended DNS Error, for clients that sent EDNS.
    pub ede: Option<(EdeCode, String)>,
    /// Further records, which reveal the forger or tell the truth.
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

/// Header flags, including the response code, depending on the query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flags {
    /// If RD was set.
    pub rd: u16,
    /// If RD was not set.
    pub no_rd: u16,
}

/// The handling of the client's EDNS in a forged answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum EdnsManner {
    /// An OPT record of the server's own, for clients that sent one.
    #[default]
    Keep,
    /// None.
    Strip,
    /// The client's own OPT record, octet for octet.
    Echo,
}

/// The fault in a forged answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Malform {
    /// Nothing.
    #[default]
    No,
    /// The answer follows the client's OPT record, so that the OPT is read as the answer.
    AppendAfterOpt,
    /// The question lacks its class, over TCP only.
    NoQclassTcp,
    /// Four octets follow the message.
    ExtraBytes,
    /// The id differs from the query's.
    WrongId,
    /// The RDATA of the answer is one octet short.
    ShortRdata,
}

/// How the TTL of a forged answer changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum TtlMode {
    /// Always the same.
    #[default]
    Static,
    /// Counts down and restarts, as in a cache.
    Tick,
    /// Anything from this value up to the TTL.
    Random(u32),
}

/// A record in addition to the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extra {
    /// Its owner; `None`: the query name.
    pub owner: Option<NameBuf>,
    /// Its type.
    pub rtype: Qtype,
    /// Its TTL in seconds.
    pub ttl: u32,
    /// RDATA in wire format, names uncompressed.
    pub rdata: Vec<u8>,
}
