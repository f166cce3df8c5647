//! Writes a reply in place, in the caller's buffer.
//!
//! Space for the OPT record is reserved before the first record is written, so a long answer never
//! displaces EDNS. A reply that exceeds the client's payload size becomes the question and OPT with TC set
//! (RFC 2181 §9); EXTRA-TEXT that does not fit is dropped before its code is.

use super::cookie::{COOKIE_LEN, OPTION_COOKIE};
use super::ede::Ede;
use super::edns::{self, OPTION_EDE, PAYLOAD_SIZE};
use super::header::{self, Header, flag};
use super::name::Name;
use super::query::Query;
use super::types::{Class, Qtype, Rcode};

/// Octets of an OPT record without options.
const OPT_LEN: usize = 11;
/// Octets of a COOKIE option.
const COOKIE_OPTION_LEN: usize = 4 + COOKIE_LEN;
/// The most EDE options in one reply: whose policy it was, and that the answer is forged.
pub const MAX_EDE: usize = 2;

/// A section for records; sections are written in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Section {
    /// The answer to the question.
    Answer,
    /// SOA of a negative answer, or the NS of a referral.
    Authority,
    /// Glue and other additional records.
    Additional,
}

/// The transport of a reply, which limits its length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// One datagram, bounded by the client's payload size.
    Udp,
    /// A stream with 16-bit lengths.
    Tcp,
}

impl Transport {
    /// The word for it in logs and records.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
        }
    }

    /// The longest reply that this client accepts, in octets: over UDP 512 without EDNS, else what it
    /// advertised, limited to between 512 and [`PAYLOAD_SIZE`] (RFC 6891 §6.2.5).
    #[must_use]
    pub fn limit(self, query: &Query<'_>) -> usize {
        match (self, query.edns) {
            (Self::Tcp, _) => header::MAX_MESSAGE,
            (Self::Udp, None) => 512,
            (Self::Udp, Some(edns)) => usize::from(edns.payload_size.clamp(512, PAYLOAD_SIZE)),
        }
    }
}

/// The record did not fit; the reply will be truncated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// A reply under construction. Dropping it sends nothing; [`ReplyWriter::finish`] returns its length.
pub struct ReplyWriter<'b, 't> {
    buf: &'b mut [u8],
    len: usize,
    question_end: usize,
    header: Header,
    rcode: Rcode,
    opt: Option<u16>,
    cookie: Option<[u8; COOKIE_LEN]>,
    /// Octets kept for OPT and the cookie.
    reserved: usize,
    edes: [Option<Ede<'t>>; MAX_EDE],
    truncated: bool,
}

impl<'b, 't> ReplyWriter<'b, 't> {
    /// Starts the reply to `query` in `buf`, at most `limit` octets long: id, opcode, RD, CD and the
    /// question as sent, RA set.
    #[must_use]
    pub fn new(query: &Query<'_>, buf: &'b mut [u8], limit: usize) -> Self {
        let limit = limit.min(buf.len());
        let (buf, _) = buf.split_at_mut_checked(limit).unwrap_or_default();
        let header = Header {
            id: query.header.id,
            flags: flag::QR | flag::RA | (query.header.flags & (flag::RD | flag::CD)),
            qdcount: 1,
            ancount: 0,
            nscount: 0,
            arcount: 0,
        };
        let mut writer = Self {
            buf,
            len: header::HEADER_LEN,
            question_end: 0,
            header,
            rcode: Rcode::NOERROR,
            opt: query.edns.map(|e| if e.dnssec_ok { edns::EDNS_DO } else { 0 }),
            cookie: query.cookie,
            reserved: match (query.edns, query.cookie) {
                (None, _) => 0,
                (Some(_), None) => OPT_LEN,
                (Some(_), Some(_)) => OPT_LEN + COOKIE_OPTION_LEN,
            },
            edes: [None; MAX_EDE],
            truncated: false,
        };
        writer.truncated = writer.put(query.question()).is_err();
        writer.question_end = writer.len;
        writer
    }

    /// Sets the response code, extended ones included.
    pub fn rcode(&mut self, rcode: Rcode) {
        self.rcode = rcode;
    }

    /// Sets or clears header bits; see [`flag`].
    pub fn flags(&mut self, mask: u16, on: bool) {
        if on {
            self.header.flags |= mask;
        } else {
            self.header.flags &= !mask;
        }
    }

    /// Attaches an Extended DNS Error, sent only to a client with EDNS (RFC 8914 §2).
    pub fn ede(&mut self, ede: Ede<'t>) {
        if let Some(slot) = self.edes.iter_mut().find(|s| s.is_none()) {
            *slot = Some(ede);
        }
    }

    /// Removes all records written so far.
    pub fn clear(&mut self) {
        self.len = self.question_end;
        [self.header.ancount, self.header.nscount, self.header.arcount] = [0; 3];
    }

    /// Marks the reply as truncated, even if everything fits.
    pub fn truncate(&mut self) {
        self.truncated = true;
    }

    /// Adds one record; `rdata` is complete RDATA in wire format. `owner: None` is the question's name.
    ///
    /// # Errors
    /// [`Full`] if it does not fit; the reply is then truncated, and further records have no effect.
    pub fn record(
        &mut self,
        section: Section,
        owner: Option<Name<'_>>,
        rtype: Qtype,
        ttl: u32,
        rdata: &[&[u8]],
    ) -> Result<(), Full> {
        self.record_in(section, owner, (rtype, Class::IN), ttl, rdata)
    }

    /// Like [`ReplyWriter::record`], for a record of any class.
    ///
    /// # Errors
    /// [`Full`] if it does not fit.
    pub fn record_in(
        &mut self,
        section: Section,
        owner: Option<Name<'_>>,
        kind: (Qtype, Class),
        ttl: u32,
        rdata: &[&[u8]],
    ) -> Result<(), Full> {
        if self.truncated {
            return Err(Full);
        }
        let start = self.len;
        let written = self.put_record(owner, kind, ttl, rdata);
        if written.is_err() {
            self.len = start;
            // RFC 2181 §9: omitting additional records is not truncation.
            self.truncated = section != Section::Additional;
            return Err(Full);
        }
        let count = match section {
            Section::Answer => &mut self.header.ancount,
            Section::Authority => &mut self.header.nscount,
            Section::Additional => &mut self.header.arcount,
        };
        *count = count.saturating_add(1);
        Ok(())
    }

    /// How many octets of records still fit.
    #[must_use]
    pub const fn room(&self) -> usize {
        self.buf.len().saturating_sub(self.len + self.reserved)
    }

    /// Copies prepared sections that start right after the question, with their counts. Their compression
    /// pointers must be those of a message whose question has the same length.
    ///
    /// # Errors
    /// [`Full`] if they do not fit; the reply is then truncated.
    pub fn sections(&mut self, bytes: &[u8], counts: [u16; 3]) -> Result<&mut [u8], Full> {
        let start = self.len;
        if self.truncated || self.put(bytes).is_err() {
            self.truncated = true;
            return Err(Full);
        }
        [self.header.ancount, self.header.nscount, self.header.arcount] = counts;
        self.buf.get_mut(start..self.len).ok_or(Full)
    }

    fn put_record(
        &mut self,
        owner: Option<Name<'_>>,
        (rtype, class): (Qtype, Class),
        ttl: u32,
        rdata: &[&[u8]],
    ) -> Result<(), Full> {
        match owner {
            None => self.put(&[0xc0, 12])?,
            Some(name) => self.put(name.as_bytes())?,
        }
        let rdlen = u16::try_from(rdata.iter().map(|part| part.len()).sum::<usize>()).map_err(|_| Full)?;
        self.put(&rtype.0.to_be_bytes())?;
        self.put(&class.0.to_be_bytes())?;
        self.put(&ttl.to_be_bytes())?;
        self.put(&rdlen.to_be_bytes())?;
        rdata.iter().try_for_each(|part| self.put(part))
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), Full> {
        let end = self.len + bytes.len();
        if end + self.reserved > self.buf.len() {
            return Err(Full);
        }
        self.buf.get_mut(self.len..end).ok_or(Full)?.copy_from_slice(bytes);
        self.len = end;
        Ok(())
    }

    /// Completes the reply and returns its length in octets; 0 if not even the question fits.
    // By reference: a writer that is moved into a function is copied.
    #[must_use]
    pub fn finish(&mut self) -> usize {
        if self.question_end <= header::HEADER_LEN {
            return 0;
        }
        if self.truncated {
            self.len = self.question_end;
            self.header.flags |= flag::TC;
            self.header.ancount = 0;
            self.header.nscount = 0;
            self.header.arcount = 0;
        }
        let with_opt = self.opt.is_some();
        if let Some(flags) = self.opt {
            self.reserved = 0;
            let [high, _] = (self.rcode.0 << 4).to_be_bytes();
            let [f0, f1] = flags.to_be_bytes();
            let [p0, p1] = PAYLOAD_SIZE.to_be_bytes();
            let opt = self.len;
            if self.put(&[0, 0, 41, p0, p1, high, 0, f0, f1, 0, 0]).is_ok() {
                self.header.arcount = self.header.arcount.saturating_add(1);
                if let Some(cookie) = self.cookie {
                    self.put_cookie(cookie);
                }
                for ede in self.edes.into_iter().flatten() {
                    self.put_ede(ede);
                }
                let rdlen = u16::try_from(self.len - opt - OPT_LEN).unwrap_or(0);
                if let Some(slot) = self.buf.get_mut(opt + OPT_LEN - 2..opt + OPT_LEN) {
                    slot.copy_from_slice(&rdlen.to_be_bytes());
                }
            }
        }
        // Without OPT the upper bits can't be sent, and dropping them could turn an error into a success.
        let rcode = if self.rcode.0 > 0xf && !with_opt { Rcode::SERVFAIL } else { self.rcode };
        self.header.flags |= rcode.0 & 0xf;
        if let Some(slot) = self.buf.get_mut(..header::HEADER_LEN) {
            slot.copy_from_slice(&self.header.to_bytes());
        }
        self.len
    }

    #[cold]
    fn put_cookie(&mut self, cookie: [u8; COOKIE_LEN]) {
        let [o0, o1] = OPTION_COOKIE.to_be_bytes();
        let mut option = [0; COOKIE_OPTION_LEN];
        let (head, data) = option.split_at_mut(4);
        head.copy_from_slice(&[o0, o1, 0, 24]);
        data.copy_from_slice(&cookie);
        // There is room: it was reserved, unless not even the question fits.
        let _ = self.put(&option);
    }

    fn put_ede(&mut self, ede: Ede<'_>) {
        let room = self.buf.len().saturating_sub(self.len + 6);
        let text = [ede.text, ede.brief].into_iter().find(|text| text.len() <= room).unwrap_or_default();
        let [n0, n1] = u16::try_from(text.len() + 2).unwrap_or(2).to_be_bytes();
        let [o0, o1] = OPTION_EDE.to_be_bytes();
        let [c0, c1] = ede.code.0.to_be_bytes();
        // A code that does not fit even without its text is dropped.
        if self.put(&[o0, o1, n0, n1, c0, c1]).is_ok() {
            let _ = self.put(text.as_bytes());
        }
    }
}
