//! Expected replies: `[[expect]]`.

use toml::Spanned;

use super::super::check::Check;
use super::super::error::{KeyPath, expected};
use super::super::table::{MAX_TTL, Table};
use super::matching::TRANSPORTS;
use super::{line_of, word16};
use crate::censor::{End, Expect, Network, Wanted, WantedMessage, WantedRecord, WantedReply};
use crate::dns::{Class, Message, Name, NameBuf, Qtype, Transport, flag, rdata};

/// The context for the replies to one query.
#[derive(Clone, Copy)]
struct Question {
    class: Class,
    edns: bool,
    rd: bool,
}

impl Check<'_> {
    pub(super) fn expect(&mut self, mut table: Table<'_>, networks: &[Network]) -> Option<Expect> {
        let line = line_of(self, &table.span);
        let network = match table.text(self, "network") {
            Some(id) => self.network_id(&table.key("network"), &id, networks),
            None => Some(0),
        };
        let at = table.time(self, "at").map(|at| at.get_ref().unix);
        let client = table.text(self, "client").and_then(|text| self.address(&table.key("client"), &text));
        let qname = table.needed(self, "name");
        let qname =
            qname.and_then(|text| Some(in_letters_of(self.name(&table.key("name"), &text)?, text.get_ref())));
        let qtype = match table.text(self, "type") {
            Some(text) => self.question_type(&table.key("type"), &text),
            None => Some(Qtype::A),
        };
        let classes = [("IN", Class::IN), ("CH", Class::CH), ("HS", Class::HS), ("ANY", Class::ANY)];
        let qclass = table.word(self, "class", &classes).unwrap_or(Class::IN);
        let transport = table.word(self, "transport", &TRANSPORTS).unwrap_or(Transport::Udp);
        let edns = table.flag(self, "edns").unwrap_or(false);
        let rd = table.flag(self, "rd").unwrap_or(true);
        let ad = table.flag(self, "ad").unwrap_or(false);
        let end = table.word(self, "end", &[("reset", End::Reset), ("close", End::Close)]);
        if table.has("end") && transport == Transport::Udp {
            let problem = "UDP has no connection that could end".to_owned();
            self.wrong(&table.key("end"), &table.place("end"), problem, "give transport = \"tcp\" too");
        }
        if !table.has("replies") && !table.has("end") {
            table.missing(self, "replies", "describe the replies; [] is silence");
        }
        let question = Question { class: qclass, edns, rd };
        let replies = table.tables(self, "replies", "").unwrap_or_default();
        let replies = replies.into_iter().filter_map(|reply| self.wanted(reply, question)).collect();
        table.done(self, "", &[]);
        Some(Expect {
            line,
            network: network?,
            at,
            client,
            qname: qname?,
            qtype: qtype?,
            qclass,
            transport,
            edns,
            rd,
            ad,
            replies,
            end: end.unwrap_or_default(),
        })
    }

    fn wanted(&mut self, mut table: Table<'_>, question: Question) -> Option<Wanted> {
        let after = self.short(&mut table, "after").unwrap_or_default();
        let genuine = table.flag(self, "genuine") == Some(true);
        let hex = if table.has("hex") { self.hex(&mut table) } else { table.value("hex").and(None) };
        let message = self.message(&mut table, question);
        let ways = [
            ("`genuine`", genuine),
            ("`hex`", table.has("hex")),
            ("what is in a message", MESSAGE.iter().any(|key| table.has(key))),
        ];
        let given: Vec<&str> = ways.iter().filter(|(_, given)| *given).map(|(name, _)| *name).collect();
        if let [first, second, ..] = given[..] {
            let problem = format!("{first} is given together with {second}");
            self.wrong(&table.path, &table.span, problem, "describe the reply in one way");
        }
        let octets = table.has("hex");
        table.done(self, "", &[]);
        let what = match (genuine, octets) {
            (true, _) => WantedReply::Genuine,
            (false, true) => WantedReply::Octets(hex?),
            (false, false) => WantedReply::Message(message),
        };
        Some(Wanted { after, what })
    }

    fn message(&mut self, table: &mut Table<'_>, question: Question) -> WantedMessage {
        let default = flag::QR | flag::RA | if question.rd { flag::RD } else { 0 };
        let flags = table.text(self, "flags").and_then(|text| {
            let flags = word16(text.get_ref());
            if flags.is_none() {
                let problem = format!("`{}` is not a set of flags", text.get_ref());
                let remedy = expected("four hexadecimal digits").such_as("\"8180\"");
                self.wrong(&table.key("flags"), &text.span(), problem, remedy);
            }
            flags
        });
        let mut records = |key| {
            let texts = table.texts(self, key).map(Spanned::into_inner).unwrap_or_default();
            let key = table.key(key);
            texts.iter().filter_map(|text| self.record(&key, text, question.class)).collect()
        };
        let (answer, authority, additional) =
            (records("answer"), records("authority"), records("additional"));
        let opt = table.flag(self, "opt").unwrap_or(question.edns);
        let texts = table.texts(self, "ede").map(Spanned::into_inner).unwrap_or_default();
        let key = table.key("ede");
        let mut edes = Vec::new();
        for ede in &texts {
            let (code, text) = ede.get_ref().split_once(' ').unwrap_or((ede.get_ref(), ""));
            match code.parse() {
                Ok(code) => edes.push((code, text.trim().to_owned())),
                Err(_) => {
                    let problem = format!("`{code}` is not a code");
                    self.wrong(
                        &key,
                        &ede.span(),
                        problem,
                        expected("a number and a text").such_as("\"16 text\""),
                    );
                }
            }
        }
        if !texts.is_empty() && !opt {
            let problem = "errors need an OPT record, and there is none".to_owned();
            self.wrong(&key, &table.place("ede"), problem, "give edns = true, or opt = true in the reply");
        }
        let wrong_id = table.word(self, "id", &[("wrong", true)]).unwrap_or(false);
        let lower_case = table.word(self, "case", &[("keep", false), ("lower", true)]).unwrap_or(false);
        let flags = flags.unwrap_or(default);
        WantedMessage { flags, answer, authority, additional, opt, edes, wrong_id, lower_case }
    }

    fn record(&mut self, key: &KeyPath, text: &Spanned<String>, class: Class) -> Option<WantedRecord> {
        match record(text.get_ref(), class) {
            Ok(record) => Some(record),
            Err(problem) => {
                let remedy =
                    expected("\"owner. TTL IN TYPE data\", the TTL a number or a range").such_as("1-600");
                self.wrong(key, &text.span(), problem, remedy);
                None
            }
        }
    }
}

/// Keys for the contents of a message.
const MESSAGE: [&str; 8] = ["flags", "answer", "authority", "additional", "opt", "ede", "id", "case"];

/// A name in its original letter case, which queries keep. Escapes and other scripts stay in
/// lower case.
fn in_letters_of(name: NameBuf, text: &str) -> NameBuf {
    let letters = text.bytes().filter(|b| *b != b'.');
    let mut octets = Vec::from(name.clone());
    let (mut at, mut slots) = (0, Vec::new());
    while let Some(len) = octets.get(at).map(|len| usize::from(*len)).filter(|len| *len > 0) {
        slots.extend(at + 1..=at + len);
        at += len + 1;
    }
    for (slot, letter) in slots.into_iter().zip(letters) {
        match octets.get_mut(slot) {
            Some(octet) if octet.eq_ignore_ascii_case(&letter) => *octet = letter,
            _ => return name,
        }
    }
    NameBuf::try_from(octets).unwrap_or(name)
}

/// One record from its line.
fn record(text: &str, class: Class) -> Result<WantedRecord, String> {
    let mut rest = text.trim();
    let mut word = || {
        let (word, tail) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        rest = tail.trim_start();
        word
    };
    let (owner, ttl, in_class, rtype) = (word(), word(), word(), word());
    if rtype.is_empty() {
        return Err(format!("`{text}` is not a record"));
    }
    let owner = NameBuf::from_text(owner).map_err(|e| format!("`{owner}` is not a domain name: {e}"))?;
    let (least, most) = ttl.split_once('-').unwrap_or((ttl, ttl));
    let number = |text: &str| {
        let digits = text.bytes().all(|b| b.is_ascii_digit());
        text.parse().ok().filter(|seconds| digits && *seconds <= MAX_TTL)
    };
    let least: u32 = number(least).ok_or_else(|| format!("`{ttl}` is not a TTL"))?;
    let most: u32 = number(most).ok_or_else(|| format!("`{ttl}` is not a TTL"))?;
    if least > most {
        return Err(format!("`{ttl}` ends before it starts"));
    }
    // The class is that of the query, unless that is ANY, which no record has.
    let class = if class == Class::ANY { Class::IN } else { class };
    if in_class.parse() != Ok(class) {
        return Err(format!("`{in_class}` is given where the class {class} must"));
    }
    let rtype: Qtype = rtype
        .parse()
        .ok()
        .filter(|t: &Qtype| !t.is_meta() && t.0 != 0)
        .ok_or_else(|| format!("`{rtype}` is not a record type"))?;
    let rdata = rdata::from_text(rtype, rest, Name::ROOT).map_err(|e| e.to_string())?;
    let data = as_printed(rtype, &rdata).ok_or("the data is too long")?;
    Ok(WantedRecord { owner, ttl: (least, most), rtype, data })
}

/// Data as it is printed in a reply, in whichever form it was written.
fn as_printed(rtype: Qtype, rdata: &[u8]) -> Option<String> {
    let len = u16::try_from(rdata.len()).ok()?;
    // A header with one question and one answer, the question, and the record at the root.
    let mut message = vec![0, 0, 0x80, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0, 1, 0, 1, 0];
    for word in [rtype.0, Class::IN.0, 0, 0, len] {
        message.extend(word.to_be_bytes());
    }
    message.extend(rdata);
    let message = Message::parse(&message)?;
    message.records().next().map(|record| message.rdata_text(&record))
}
