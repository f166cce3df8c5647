//! The actual replies to one question, and their comparison with the expected ones.

use std::fmt::Write as _;
use std::time::Duration;

use super::action::End;
use super::expect::{Expect, Wanted, WantedMessage, WantedRecord, WantedReply};
use portcullis_core::dns::{Class, Header, Message, Qtype, Record, Section, flag};

/// All replies to one query, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// The packets, each with its delay after the query.
    pub replies: Vec<(Duration, Vec<u8>)>,
    /// How the TCP connection ended; over UDP it is open.
    pub end: End,
}

/// The first difference between the actual and the expected replies, in words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Difference(pub String);

/// The tolerance for the packets of a test.
#[derive(Clone, Copy, Debug)]
pub struct Slack {
    /// How much later than planned a packet may arrive.
    pub late: Duration,
}

impl Expect {
    /// The query to send: with this id, and with an OPT record of 1232 octets if requested.
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

    /// Compares the actual replies with the expected ones: they must be exactly these packets. `genuine` is
    /// the honest network's reply to the same query.
    ///
    /// # Errors
    /// The first [`Difference`].
    pub fn holds(
        &self,
        query: &[u8],
        seen: &Seen,
        genuine: Option<&[u8]>,
        slack: Slack,
    ) -> Result<(), Difference> {
        self.compare(query, seen, genuine, slack).map_err(Difference)
    }

    fn compare(&self, query: &[u8], seen: &Seen, genuine: Option<&[u8]>, slack: Slack) -> Result<(), String> {
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
                Err(format!("expected the octets {} after the id, it is {}", hex(wanted), describe(octets)))
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
        let mut wanted = question.clone();
        if self.lower_case {
            // Type and class stay unchanged.
            let name = wanted.len().saturating_sub(4);
            wanted.get_mut(..name).unwrap_or_default().make_ascii_lowercase();
        }
        if message.question() != wanted {
            let other = !message.question().eq_ignore_ascii_case(&question);
            let what = if other { "another question" } else { "the question in different case" };
            return Err(format!("it repeats {what}: {}", hex(message.question())));
        }
        let class = question.last_chunk().map_or(Class::IN.0, |class| u16::from_be_bytes(*class));
        if message.header.flags != self.flags {
            let (wanted, flags) = (self.flags, message.header.flags);
            return Err(format!(
                "expected the flags {wanted:04x}, they are {flags:04x}: {}",
                describe(octets)
            ));
        }
        // Anywhere else it is not an OPT record but a mistake (RFC 6891 §6.1.1).
        let is_opt = |r: &Record<'_>| r.section == Section::Additional && r.rtype == Qtype::OPT;
        for (section, wanted, name) in [
            (Section::Answer, &self.answer, "answer"),
            (Section::Authority, &self.authority, "authority section"),
            (Section::Additional, &self.additional, "additional section"),
        ] {
            let found: Vec<_> = message.records().filter(|r| r.section == section && !is_opt(r)).collect();
            let fits = found.len() == wanted.len()
                && found.iter().zip(wanted).all(|(record, wanted)| {
                    let owner = message.name_at(record.start);
                    owner.is_some_and(|owner| owner.as_name() == wanted.owner.as_name())
                        && record.class == class
                        && record.rtype == wanted.rtype
                        && (wanted.ttl.0..=wanted.ttl.1).contains(&record.ttl)
                        && same_data(record.rtype, &message.rdata_text(record), &wanted.data)
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

/// Names compare case-insensitively, text does not.
fn same_data(rtype: Qtype, a: &str, b: &str) -> bool {
    if rtype == Qtype::TXT { a == b } else { a.eq_ignore_ascii_case(b) }
}

impl std::fmt::Display for WantedRecord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (least, most) = self.ttl;
        let ttl = if least == most { least.to_string() } else { format!("{least}-{most}") };
        write!(f, "{}. {ttl} IN {} {}", self.owner, self.rtype, self.data)
    }
}

/// One packet on one line, for people.
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
    use super::*;
    use portcullis_core::dns::{NameBuf, Transport};

    fn record(owner: &str, ttl: (u32, u32), rtype: Qtype, data: &str) -> WantedRecord {
        WantedRecord { owner: NameBuf::from_text(owner).unwrap(), ttl, rtype, data: data.into() }
    }

    /// A row whose reply has something in every section, and that reply.
    fn row() -> (Expect, Seen) {
        let message = WantedMessage {
            flags: 0x8180,
            answer: vec![
                record("a.test", (5, 9), Qtype::CNAME, "b.test."),
                record("b.test", (7, 7), Qtype::A, "192.0.2.1"),
            ],
            authority: vec![record("test", (1, 1), Qtype::NS, "ns.test.")],
            additional: vec![record("a.test", (0, 0), Qtype::TXT, "\"Why\"")],
            opt: true,
            edes: vec![(16, "x".into())],
            wrong_id: false,
            lower_case: false,
        };
        let expect = Expect {
            line: 1,
            network: 0,
            at: None,
            client: None,
            qname: NameBuf::try_from(b"\x01A\x04Test\0".to_vec()).unwrap(),
            qtype: Qtype::A,
            qclass: Class::IN,
            transport: Transport::Tcp,
            edns: true,
            rd: true,
            ad: false,
            replies: vec![Wanted { after: Duration::from_millis(2), what: WantedReply::Message(message) }],
            end: End::Close,
        };
        let octets = [
            &b"\x00\x07\x81\x80\0\x01\0\x02\0\x01\0\x02\x01A\x04Test\0\0\x01\0\x01"[..],
            b"\xc0\x0c\0\x05\0\x01\0\0\0\x06\0\x08\x01b\x04test\0",
            b"\x01b\x04test\0\0\x01\0\x01\0\0\0\x07\0\x04\xc0\0\x02\x01",
            b"\x04test\0\0\x02\0\x01\0\0\0\x01\0\x09\x02ns\x04test\0",
            b"\xc0\x0c\0\x10\0\x01\0\0\0\0\0\x04\x03Why",
            b"\0\0\x29\x04\xd0\0\0\0\0\0\x07\0\x0f\0\x03\0\x10x",
        ]
        .concat();
        (expect, Seen { replies: vec![(Duration::from_millis(3), octets)], end: End::Close })
    }

    fn held(expect: &Expect, seen: &Seen) -> Result<(), String> {
        let slack = Slack { late: Duration::from_millis(1) };
        expect.holds(&expect.query(7), seen, None, slack).map_err(|Difference(why)| why)
    }

    /// Any change of the expectation makes the same reply wrong.
    #[test]
    fn nothing_that_is_wanted_is_overlooked() {
        type InMessage = fn(&mut WantedMessage);
        type Around = fn(&mut Expect, &mut Seen);
        let (expect, seen) = row();
        assert_eq!(held(&expect, &seen), Ok(()));
        let in_message: [(&str, InMessage); 19] = [
            ("the flags 8580", |m| m.flags = 0x8580),
            ("in the answer", |m| m.answer.reverse()),
            ("in the answer", |m| m.answer.truncate(1)),
            ("in the answer", |m| m.answer[0].ttl = (7, 9)),
            ("in the answer", |m| m.answer[0].ttl = (1, 5)),
            ("in the answer", |m| m.answer[0].data = "c.test.".into()),
            ("in the answer", |m| m.answer[1].owner = NameBuf::from_text("c.test").unwrap()),
            ("in the answer", |m| m.answer[1].rtype = Qtype::AAAA),
            ("in the answer", |m| m.answer[1].data = "192.0.2.2".into()),
            ("in the authority section", |m| m.authority.clear()),
            ("in the authority section", |m| m.authority[0].ttl = (2, 2)),
            ("in the additional section", |m| m.additional.clear()),
            ("in the additional section", |m| m.additional[0].data = "\"why\"".into()),
            ("it has an OPT record", |m| m.opt = false),
            ("expected the errors", |m| m.edes.clear()),
            ("expected the errors", |m| m.edes[0].0 = 17),
            ("expected the errors", |m| m.edes[0].1 = "y".into()),
            ("its id is right", |m| m.wrong_id = true),
            ("the question in different case", |m| m.lower_case = true),
        ];
        for (expected, change) in in_message {
            let (mut expect, seen) = row();
            let WantedReply::Message(message) = &mut expect.replies[0].what else { panic!() };
            change(message);
            let why = held(&expect, &seen).unwrap_err();
            assert!(why.contains(expected), "{expected}: {why}");
        }
        let around: [(&str, Around); 10] = [
            ("the connection", |e, _| e.end = End::Reset),
            ("the connection", |_, s| s.end = End::Open),
            ("reply 1 was not expected", |e, _| e.replies.clear()),
            ("reply 1 did not come", |_, s| s.replies.clear()),
            ("reply 2 was not expected", |_, s| s.replies.push(s.replies[0].clone())),
            ("expected after 4.0 ms", |e, _| e.replies[0].after = Duration::from_millis(4)),
            ("expected after 1.0 ms", |e, _| e.replies[0].after = Duration::from_millis(1)),
            ("expected the genuine one", |e, _| e.replies[0].what = WantedReply::Genuine),
            ("expected the octets", |e, _| e.replies[0].what = WantedReply::Octets(vec![0x81])),
            ("octets follow", |_, s| s.replies[0].1.push(0)),
        ];
        for (expected, change) in around {
            let (mut expect, mut seen) = row();
            change(&mut expect, &mut seen);
            let why = held(&expect, &seen).unwrap_err();
            assert!(why.contains(expected), "{expected}: {why}");
        }
    }

    #[test]
    fn an_opt_record_among_the_answers_is_none() {
        let (mut expect, mut seen) = row();
        let WantedReply::Message(message) = &mut expect.replies[0].what else { panic!() };
        *message = WantedMessage { flags: 0x8180, ..WantedMessage::default() };
        seen.replies[0].1 = [
            &b"\x00\x07\x81\x80\0\x01\0\x01\0\0\0\0\x01A\x04Test\0\0\x01\0\x01"[..],
            b"\0\0\x29\x04\xd0\0\0\0\0\0\0",
        ]
        .concat();
        assert!(held(&expect, &seen).unwrap_err().contains("expected in the answer: nothing"));
    }

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
