//! The 12-octet header of every message (RFC 1035 §4.1.1).

use super::types::{Opcode, Rcode};

/// Octets in a header.
pub const HEADER_LEN: usize = 12;
/// The largest message, in octets: a stream gives its length in 16 bits (RFC 1035 §4.2.2).
pub const MAX_MESSAGE: usize = 65_535;

/// Flag bits within the header's second 16-bit word.
pub mod flag {
    /// A response, not a query.
    pub const QR: u16 = 0x8000;
    /// Authoritative answer.
    pub const AA: u16 = 0x0400;
    /// Truncated.
    pub const TC: u16 = 0x0200;
    /// Recursion desired.
    pub const RD: u16 = 0x0100;
    /// Recursion available.
    pub const RA: u16 = 0x0080;
    /// Authentic data (RFC 4035 §3.1.6).
    pub const AD: u16 = 0x0020;
    /// Checking disabled (RFC 4035 §3.1.6).
    pub const CD: u16 = 0x0010;
}

/// The low four bits of a message's response code; `None` if it is shorter than a header.
#[must_use]
pub fn rcode(message: &[u8]) -> Option<Rcode> {
    Header::read(message).map(Header::rcode)
}

/// A decoded header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The message's id, chosen by the client.
    pub id: u16,
    /// The raw flags word: QR, opcode, AA, TC, RD, RA, Z, AD, CD, rcode.
    pub flags: u16,
    /// Entries in the question section.
    pub qdcount: u16,
    /// Records in the answer section.
    pub ancount: u16,
    /// Records in the authority section.
    pub nscount: u16,
    /// Records in the additional section.
    pub arcount: u16,
}

impl Header {
    /// Reads a header from the first 12 octets; `None` if there are fewer.
    #[must_use]
    pub fn read(packet: &[u8]) -> Option<Self> {
        let [a, b, c, d, e, f, g, h, i, j, k, l] = *packet.first_chunk::<HEADER_LEN>()?;
        let word = |hi, lo| u16::from_be_bytes([hi, lo]);
        Some(Self {
            id: word(a, b),
            flags: word(c, d),
            qdcount: word(e, f),
            ancount: word(g, h),
            nscount: word(i, j),
            arcount: word(k, l),
        })
    }

    /// The 12 octets of this header.
    #[must_use]
    pub fn to_bytes(self) -> [u8; HEADER_LEN] {
        let [a, b] = self.id.to_be_bytes();
        let [c, d] = self.flags.to_be_bytes();
        let [e, f] = self.qdcount.to_be_bytes();
        let [g, h] = self.ancount.to_be_bytes();
        let [i, j] = self.nscount.to_be_bytes();
        let [k, l] = self.arcount.to_be_bytes();
        [a, b, c, d, e, f, g, h, i, j, k, l]
    }

    /// True if every bit of `mask` is set; see [`flag`].
    #[must_use]
    pub const fn has(self, mask: u16) -> bool {
        self.flags & mask == mask
    }

    /// The kind of query.
    #[must_use]
    pub const fn opcode(self) -> Opcode {
        Opcode(((self.flags >> 11) & 0xf) as u8)
    }

    /// The low four bits of the response code.
    #[must_use]
    pub const fn rcode(self) -> Rcode {
        Rcode(self.flags & 0xf)
    }
}

/// Clears RA in a finished message: the client is offered no recursion (RFC 1035 §4.1.1).
pub fn clear_ra(message: &mut [u8]) {
    let [_, low] = flag::RA.to_be_bytes();
    if let Some(octet) = message.get_mut(3) {
        *octet &= !low;
    }
}
