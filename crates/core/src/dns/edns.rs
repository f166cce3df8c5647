//! EDNS: the OPT record of a query (RFC 6891 §6.1).

use super::cookie::{Cookie, MalformedCookie, OPTION_COOKIE};
use super::sde::OPTION_SDE;

/// The payload size that this server advertises and the most that it sends over UDP: what crosses the
/// internet without fragmentation (DNS flag day 2020).
pub const PAYLOAD_SIZE: u16 = 1232;
/// The option code of an Extended DNS Error (RFC 8914 §2).
pub const OPTION_EDE: u16 = 15;
/// The flag "DNSSEC OK", the top bit of the last 16 bits of the OPT TTL (RFC 3225 §3).
pub const EDNS_DO: u16 = 0x8000;

/// The contents of a client's OPT record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edns<'p> {
    /// The largest UDP reply that the client accepts, in octets, as sent.
    pub payload_size: u16,
    /// The EDNS version; this server supports 0.
    pub version: u8,
    /// The client requests DNSSEC records.
    pub dnssec_ok: bool,
    options: &'p [u8],
}

impl<'p> Edns<'p> {
    /// Reads the class, TTL and RDATA fields of an OPT record; `None` if the options do not fill
    /// the RDATA exactly.
    #[must_use]
    pub fn parse(class: u16, ttl: u32, rdata: &'p [u8]) -> Option<Self> {
        let mut rest = rdata;
        while !rest.is_empty() {
            (_, _, rest) = split_option(rest)?;
        }
        let [_, version, hi, lo] = ttl.to_be_bytes();
        Some(Self {
            payload_size: class,
            version,
            dnssec_ok: u16::from_be_bytes([hi, lo]) & EDNS_DO != 0,
            options: rdata,
        })
    }

    /// The options in order: code and data.
    pub fn options(&self) -> impl Iterator<Item = (u16, &'p [u8])> + use<'p> {
        let mut rest = self.options;
        std::iter::from_fn(move || {
            let (code, data, tail) = split_option(rest)?;
            rest = tail;
            Some((code, data))
        })
    }

    /// The first COOKIE option: others do not count (RFC 7873 §5.2). `None`: there is none.
    ///
    /// # Errors
    /// [`MalformedCookie`].
    #[must_use]
    pub fn cookie(&self) -> Option<Result<Cookie<'p>, MalformedCookie>> {
        self.options().find(|(code, _)| *code == OPTION_COOKIE).map(|(_, data)| Cookie::parse(data))
    }

    /// True if there are options.
    #[must_use]
    pub const fn has_options(&self) -> bool {
        !self.options.is_empty()
    }

    /// True if the client reads structured errors. It signals that by an empty SDE option
    /// (draft-ietf-dnsop-structured-dns-error §5.4) or, in earlier versions of the draft, by an EDE option
    /// without an error. An SDE option with data is ignored.
    #[must_use]
    pub fn wants_structured(&self) -> bool {
        self.options().any(|option| matches!(option, (OPTION_SDE, []) | (OPTION_EDE, [] | [0, 0])))
    }
}

/// Splits off one option: its code, its data, and the rest. A parameter of a service binding has the same
/// layout (RFC 9460 §2.2).
pub(super) fn split_option(bytes: &[u8]) -> Option<(u16, &[u8], &[u8])> {
    let (&[a, b, c, d], rest) = bytes.split_first_chunk::<4>()?;
    let (data, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes([c, d])))?;
    Some((u16::from_be_bytes([a, b]), data, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_must_fill_the_rdata() {
        let good = Edns::parse(4096, 0x0000_8000, b"\0\x0a\0\x02hi\0\x0c\0\0").unwrap();
        assert!(good.dnssec_ok);
        assert_eq!(good.version, 0);
        assert_eq!(good.options().collect::<Vec<_>>(), [(10, &b"hi"[..]), (12, &b""[..])]);
        for lie in [&b"\0"[..], b"\0\x0a\0\x03hi", b"\0\x0a\0\x02hi\0", b"\0\x0a\xff\xff"] {
            assert_eq!(Edns::parse(512, 0, lie), None, "{lie:?}");
        }
        assert_eq!(Edns::parse(512, 0x0001_0000, b"").unwrap().version, 1);
    }

    #[test]
    fn a_client_asks_for_structured_errors() {
        let [s0, s1] = OPTION_SDE.to_be_bytes();
        for (options, wants) in [
            (&[][..], false),
            (&[s0, s1, 0, 0], true),
            (&[s0, s1, 0, 1, 0], false),
            (&[0, 15, 0, 0], true),
            (&[0, 15, 0, 2, 0, 0], true),
            (&[0, 15, 0, 2, 0, 15], false),
            (&[0, 15, 0, 3, 0, 0, b'x'], false),
            (&[0, 10, 0, 0], false),
            (&[0, 10, 0, 1, 7, s0, s1, 0, 0], true),
        ] {
            let edns = Edns::parse(1232, 0, options).unwrap();
            assert_eq!(edns.wants_structured(), wants, "{options:?}");
        }
    }
}
