//! What came back for one question, and whether it is what was expected.

use std::fmt::Write as _;
use std::time::Duration;

use super::End;
use super::expect::{Expect, Wanted, WantedMessage, WantedRecord, WantedReply};
use crate::dns::header::{Header, flag};
use crate::dns::message::Message;
use crate::dns::reply::Section;
use crate::dns::types::{Class, Qtype};

/// All that came back for one query, in its order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// The packets, each with how long after the query it came.
    pub replies: Vec<(Duration, Vec<u8>)>,
    /// How the TCP connection ended; over UDP it is open.
    pub end: End,
}

/// What the packets of a test may differ by.
#[derive(Clone, Copy, Debug)]
pub struct Slack {
    /// So much later than it was planned a packet may come.
    pub late: Duration,
}

impl Expect {
    /// The question as it is asked: with this id, and an OPT record of 1232 octets if one is wanted.
    #[must_use]
    pub fn query(&self, id: u16) -> Vec<u8> {
        let mut flags = 0;
        for (wanted, bit) in [(self.rd, flag::RD), (self.ad, flag::AD)] {
            if wanted {
                flags |= bit;
            }
        }
        let header = Header { id, flags, qdcount: 1, ancount: 0, nscount: 0, arcount: self.edns.into() };
        let mut packet = header.to_bytes().to_vec();
        packet.extend_from_slice(self.qname.as_bytes());
        packet.extend(self.qtype.0.to_be_bytes());
        packet.extend(self.qclass.0.to_be_bytes());
        if self.edns {
            packet.extend(b"\0\0\x29\x04\xd0\0\0\0\0\0\0");
        }
        packet
    }

    /// Whether what was seen is what must come: exactly these packets. `genuine` is what the honest
    /// network says to the same query.
    ///
    /// # Errors
    /// The first difference, in words.
    pub fn holds(
        &self,
        query: &[u8],
        seen: &Seen,
        genuine: Option<&[u8]>,
        slack: Slack,
    ) -> Result<(), String> {
        for (number, pair) in (1..).zip(zip_longest(&self.replies, &seen.replies)) {
            match pair {
                (Some(wanted), Some((after, octets))) => {
                    let differs = |why: String| format!("reply {number}: {why}");
                    let late = wanted.after + slack.late;
                    if *after < wanted.after || *after > late {
                        let (came, wanted) = (millis(*after), millis(wanted.after));
                        return Err(differs(format!("expected after {wanted}, it came after {came}")));
                    }
                    wanted.is(query, octets, genuine).map_err(differs)?;
                }
                (Some(_), None) => return Err(format!("reply {number} did not come")),
                (None, Some((_, octets))) => {
                    return Err(format!("reply {number} was not expected: {}", describe(octets)));
                }
                (None, None) => {}
            }
        }
        if self.end != seen.end {
            return Err(format!("the connection: expected {:?}, it was {:?}", self.end, seen.end));
        }
        Ok(())
    }
}

fn zip_longest<'a, A, B>(a: &'a [A], b: &'a [B]) -> impl Iterator<Item = (Option<&'a A>, Option<&'a B>)> {
    (0..a.len().max(b.len())).map(|i| (a.get(i), b.get(i)))
}

fn millis(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1000.0)
}

impl Wanted {
    fn is(&self, query: &[u8], octets: &[u8], genuine: Option<&[u8]>) -> Result<(), String> {
        match &self.what {
            WantedReply::Genuine if genuine == Some(octets) => Ok(()),
            WantedReply::Genuine => Err(format!(
                "expected the genuine one ({}), it is {}",
                genuine.map_or_else(|| "there is none".into(), describe),
                describe(octets)
            )),
            WantedReply::Octets(wanted) => {
                if octets.get(..2) == query.get(..2) && octets.get(2..) == Some(wanted) {
                    return Ok(());
                }
                Err(format!("expected the octets {} behind the id, it is {}", hex(wanted), describe(octets)))
            }
            WantedReply::Message(wanted) => wanted.is(query, octets),
        }
    }
}

impl WantedMessage {
    fn is(&self, query: &[u8], octets: &[u8]) -> Result<(), String> {
        let broken = || format!("it can't be read: {}", hex(octets));
        let message = Message::parse(octets).ok_or_else(broken)?;
        if message.end() != octets.len() {
            return Err(format!("octets follow the message: {}", hex(octets)));
        }
        let same_id = octets.get(..2) == query.get(..2);
        if same_id == self.wrong_id {
            return Err(if same_id { "its id is right" } else { "its id is wrong" }.into());
        }
        let question = Message::parse(query).map(|q| q.question().to_vec()).unwrap_or_default();
        if !message.question().eq_ignore_ascii_case(&question) {
            return Err("it repeats another question".into());
        }
        let class = question.last_chunk().map_or(Class::IN.0, |class| u16::from_be_bytes(*class));
        if message.header.flags != self.flags {
            let (wanted, flags) = (self.flags, message.header.flags);
            return Err(format!(
                "expected the flags {wanted:04x}, they are {flags:04x}: {}",
                describe(octets)
            ));
        }
        for (section, wanted, name) in [
            (Section::Answer, &self.answer, "answer"),
            (Section::Authority, &self.authority, "authority section"),
            (Section::Additional, &self.additional, "additional section"),
        ] {
            let found: Vec<_> =
                message.records().filter(|r| r.section == section && r.rtype != Qtype::OPT).collect();
            let fits = found.len() == wanted.len()
                && found.iter().zip(wanted).all(|(record, wanted)| {
                    let owner = message.name_at(record.start);
                    owner.as_ref() == Some(&wanted.owner)
                        && record.class == class
                        && record.rtype == wanted.rtype
                        && (wanted.ttl.0..=wanted.ttl.1).contains(&record.ttl)
                        && message.rdata_text(record).eq_ignore_ascii_case(&wanted.data)
                });
            if !fits {
                let wanted: Vec<String> = wanted.iter().map(WantedRecord::to_string).collect();
                let wanted = if wanted.is_empty() { "nothing".into() } else { wanted.join(", ") };
                return Err(format!("expected in the {name}: {wanted}; it is {}", describe(octets)));
            }
        }
        if message.edns().is_some() != self.opt {
            return Err(if self.opt { "it has no OPT record" } else { "it has an OPT record" }.into());
        }
        let edes: Vec<(u16, String)> = message.edes().map(|(code, text)| (code.0, text)).collect();
        if edes != self.edes {
            return Err(format!("expected the errors {:?}, they are {edes:?}", self.edes));
        }
        Ok(())
    }
}

impl std::fmt::Display for WantedRecord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (least, most) = self.ttl;
        let ttl = if least == most { least.to_string() } else { format!("{least}-{most}") };
        write!(f, "{}. {ttl} IN {} {}", self.owner, self.rtype, self.data)
    }
}

/// One packet on one line, as a person reads it.
#[must_use]
pub fn describe(octets: &[u8]) -> String {
    let Some(message) = Message::parse(octets) else { return format!("broken: {}", hex(octets)) };
    let mut text = format!("{} {:04x}", message.rcode(), message.header.flags);
    for record in message.records().filter(|r| r.rtype != Qtype::OPT) {
        let owner = message.owner_text(&record);
        let (ttl, rtype, data) = (record.ttl, record.rtype, message.rdata_text(&record));
        let _ = write!(text, ", {owner} {ttl} {rtype} {data}");
    }
    for (code, said) in message.edes() {
        let blank = if said.is_empty() { "" } else { " " };
        let _ = write!(text, ", EDE {}{blank}{said}", code.0);
    }
    text
}

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|o| format!("{o:02x}")).collect()
}

#[cfg(test)]
#[allow(clippy::cast_possible_truncation, reason = "tests make small numbers")]
mod tests {
    use super::describe;

    #[test]
    fn a_packet_is_one_line() {
        let head = b"\0\0\x81\x80\0\x01\0\x01\0\0\0\x01\0\0\x0f\0\x01";
        let mx = b"\0\0\x0f\0\x01\0\0\0\x09\0\x03\0\0\0";
        let opt = |option: &[u8]| {
            let (length, option_length) = (option.len() as u8 + 4, option.len() as u8);
            [&b"\0\0\x29\x04\xd0\0\0\0\0\0"[..], &[length, 0, 15, 0, option_length], option].concat()
        };
        for (option, said) in [(&b"\0\x10"[..], "EDE 16"), (b"\0\x0ftext", "EDE 15 text")] {
            let packet = [&head[..], mx, &opt(option)].concat();
            assert_eq!(describe(&packet), format!("NOERROR 8180, . 9 MX 0 ., {said}"));
        }
        assert_eq!(describe(b"\x01"), "broken: 01");
    }
}
