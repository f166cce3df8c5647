//! The record of the truth: an [`Exchange`] as one line of JSON, and back for a replay.
//!
//! The octets, in hexadecimal, are authoritative. Names, types, codes and texts are derived from them for
//! people and scripts; [`from_json`] ignores these.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::exchange::{Decided, Exchange, Run, Sent};
use crate::censor::{End, Evidence, StubMode};
use crate::dns::{self, Class, Header, Message, Name, Qtype, Rcode, Record, Section, Transport};

/// The exchange as one JSON object. Fields that a broken message lacks are `null`.
#[must_use]
pub fn to_json(exchange: &Exchange) -> Value {
    let question = question(&exchange.query);
    let rule = exchange.rule.as_ref();
    json!({
        "scenario": exchange.run.scenario,
        "seed": exchange.run.seed,
        "stub_mode": stub_word(exchange.run.stubs),
        "number": exchange.number,
        "at": jiff::Timestamp::from_second(exchange.at).ok().map(|t| t.to_string()),
        "at_unix": exchange.at,
        "uptime_us": micros(exchange.uptime),
        "network": exchange.network,
        "client": exchange.client,
        "server": exchange.server,
        "transport": exchange.transport.word(),
        "name": question.map(|(name, _)| name.to_string()),
        "type": question.and_then(|(_, qtype)| qtype).map(|t| t.to_string()),
        "query": hex(&exchange.query),
        "rule": rule.map(|r| &r.id),
        "action": rule.map(|r| &r.action),
        "intent": rule.map(|r| &r.intent),
        "evidence": rule.map(|r| r.evidence.word()),
        "replies": exchange.replies.iter().map(sent).collect::<Vec<_>>(),
        "end": exchange.end.word(),
        "cut": exchange.cut,
    })
}

/// The exchange in a line of the record.
///
/// # Errors
/// The missing or invalid field.
pub fn from_json(line: &str) -> Result<Exchange, String> {
    let value: Value = serde_json::from_str(line).map_err(|e| format!("not JSON: {e}"))?;
    let fields = Fields { of: value.as_object().ok_or("not a JSON object")?, at: "" };
    let rule = match fields.optional("rule") {
        None => None,
        Some(_) => Some(Decided {
            id: fields.text("rule")?.to_owned(),
            action: fields.text("action")?.to_owned(),
            intent: fields.text("intent")?.to_owned(),
            evidence: fields.word("evidence", &EVIDENCE, Evidence::word)?,
        }),
    };
    let replies = fields.get("replies")?.as_array().ok_or("`replies` is not a list")?;
    Ok(Exchange {
        run: Arc::new(Run {
            scenario: fields.text("scenario")?.to_owned(),
            seed: fields.number("seed")?,
            stubs: fields.word("stub_mode", &StubMode::WORDS.map(|(_, mode)| mode), stub_word)?,
        }),
        number: fields.number("number")?,
        at: fields.get("at_unix")?.as_i64().ok_or("`at_unix` is not a number of seconds")?,
        uptime: fields.duration("uptime_us")?,
        network: fields.text("network")?.to_owned(),
        client: fields.address("client")?,
        server: fields.address("server")?,
        transport: fields.word("transport", &TRANSPORTS, Transport::word)?,
        query: fields.octets("query")?,
        rule,
        replies: replies.iter().enumerate().map(|(i, r)| reply(i, r)).collect::<Result<_, _>>()?,
        end: fields.word("end", &ENDS, End::word)?,
        cut: match fields.optional("cut") {
            None => false,
            Some(cut) => cut.as_bool().ok_or_else(|| fields.wrong("cut", "`true` or `false`"))?,
        },
    })
}

const TRANSPORTS: [Transport; 2] = [Transport::Udp, Transport::Tcp];
const ENDS: [End; 3] = [End::Open, End::Reset, End::Close];
const EVIDENCE: [Evidence; 2] = [Evidence::Measured, Evidence::Modelled];

const fn stub_word(mode: StubMode) -> &'static str {
    match mode {
        StubMode::Doc => "doc",
        StubMode::Loopback => "loopback",
        StubMode::Historical => "historical",
    }
}

/// The QNAME of a query, and the QTYPE if the packet is long enough. The rest may be malformed.
fn question(query: &[u8]) -> Option<(Name<'_>, Option<Qtype>)> {
    let rest = query.get(dns::HEADER_LEN..)?;
    let name = Name::parse(rest).ok()?;
    let rest = rest.get(name.as_bytes().len()..).unwrap_or_default();
    Some((name, rest.first_chunk::<2>().map(|t| Qtype(u16::from_be_bytes(*t)))))
}

fn sent(sent: &Sent) -> Value {
    let message = Message::parse(&sent.octets);
    let answers: Vec<String> = message.iter().flat_map(answers).collect();
    let mut reply = json!({
        "planned_us": micros(sent.planned),
        "after_us": micros(sent.after),
        "genuine": sent.genuine,
        "ip_ttl": sent.ip_ttl,
        "rcode": message.map(|m| m.rcode()).or_else(|| bare(&sent.octets)).map(|r| r.to_string()),
        "answers": answers,
        "octets": hex(&sent.octets),
    });
    if let (Some(message), Some(reply)) = (message, reply.as_object_mut()) {
        reply.insert("text".to_owned(), message.to_string().into());
    }
    reply
}

/// The code of a reply that is a header and nothing else, as FORMERR is.
fn bare(octets: &[u8]) -> Option<Rcode> {
    let header = Header::read(octets)?;
    let empty = [header.qdcount, header.ancount, header.nscount, header.arcount] == [0; 4];
    (empty && octets.len() == dns::HEADER_LEN).then(|| header.rcode())
}

fn answers(message: &Message<'_>) -> Vec<String> {
    let line = |r: Record<'_>| {
        let owner = message.owner_text(&r);
        format!("{owner} {} {} {} {}", r.ttl, Class(r.class), r.rtype, message.rdata_text(&r))
    };
    message.records().filter(|r| r.section == Section::Answer).map(line).collect()
}

fn reply(place: usize, value: &Value) -> Result<Sent, String> {
    let at = format!("replies[{place}].");
    let fields =
        Fields { of: value.as_object().ok_or(format!("`replies[{place}]` is not an object"))?, at: &at };
    let ip_ttl = match fields.optional("ip_ttl") {
        None => None,
        Some(_) => {
            Some(u8::try_from(fields.number("ip_ttl")?).map_err(|_| fields.wrong("ip_ttl", "an IP TTL"))?)
        }
    };
    Ok(Sent {
        planned: fields.duration("planned_us")?,
        after: fields.duration("after_us")?,
        octets: fields.octets("octets")?,
        genuine: fields
            .get("genuine")?
            .as_bool()
            .ok_or_else(|| fields.wrong("genuine", "`true` or `false`"))?,
        ip_ttl,
    })
}

/// An object of the record, and its place, for messages.
struct Fields<'v> {
    of: &'v Map<String, Value>,
    at: &'v str,
}

impl<'v> Fields<'v> {
    fn wrong(&self, key: &str, what: &str) -> String {
        format!("`{}{key}` is not {what}", self.at)
    }

    fn get(&self, key: &str) -> Result<&'v Value, String> {
        self.of.get(key).ok_or_else(|| format!("`{}{key}` is missing", self.at))
    }

    /// The value, unless it is missing or `null`.
    fn optional(&self, key: &str) -> Option<&'v Value> {
        self.of.get(key).filter(|v| !v.is_null())
    }

    fn text(&self, key: &str) -> Result<&'v str, String> {
        self.get(key)?.as_str().ok_or_else(|| self.wrong(key, "a string"))
    }

    fn number(&self, key: &str) -> Result<u64, String> {
        self.get(key)?.as_u64().ok_or_else(|| self.wrong(key, "a number from 0"))
    }

    fn duration(&self, key: &str) -> Result<Duration, String> {
        self.number(key).map(Duration::from_micros)
    }

    fn address(&self, key: &str) -> Result<std::net::SocketAddr, String> {
        self.text(key)?.parse().map_err(|_| self.wrong(key, "an address and a port"))
    }

    fn word<T: Copy>(&self, key: &str, all: &[T], word: fn(T) -> &'static str) -> Result<T, String> {
        let text = self.text(key)?;
        all.iter().copied().find(|one| word(*one) == text).ok_or_else(|| {
            let words: Vec<&str> = all.iter().map(|one| word(*one)).collect();
            self.wrong(key, &format!("one of {}", words.join(", ")))
        })
    }

    fn octets(&self, key: &str) -> Result<Vec<u8>, String> {
        unhex(self.text(key)?).ok_or_else(|| self.wrong(key, "a string of hexadecimal octets"))
    }
}

/// Microseconds, saturating.
fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

fn hex(octets: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |n: u8| DIGITS.get(usize::from(n)).map_or('0', |d| char::from(*d));
    octets.iter().flat_map(|o| [digit(o >> 4), digit(o & 15)]).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |d: u8| char::from(d).to_digit(16).and_then(|n| u8::try_from(n).ok());
    let pairs = text.as_bytes().chunks(2);
    pairs
        .map(|pair| match *pair {
            [high, low] => Some(digit(high)? << 4 | digit(low)?),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::option;
    use proptest::prelude::*;

    use super::*;

    const QUERY: &[u8] = b"\x12\x34\x01\x00\0\x01\0\0\0\0\0\0\x03www\x07example\x03net\0\0\x01\0\x01";
    const REPLY: &[u8] = b"\x12\x34\x81\x80\0\x01\0\x01\0\0\0\0\x03www\x07example\x03net\0\0\x01\0\x01\
        \xc0\x0c\0\x01\0\x01\0\0\x02\x58\0\x04\x05\x03\x03\x11";

    fn exchange(octets: &[u8]) -> Exchange {
        Exchange {
            run: Arc::default(),
            number: 12,
            at: 1_395_921_600,
            uptime: Duration::from_micros(1_500_000),
            network: "isp-a".into(),
            client: "127.0.1.5:40000".parse().unwrap(),
            server: "[::1]:5300".parse().unwrap(),
            transport: Transport::Udp,
            query: QUERY.into(),
            rule: Some(Decided {
                id: "stub".into(),
                action: "stub".into(),
                intent: "The block page".into(),
                evidence: Evidence::Measured,
            }),
            replies: vec![Sent {
                planned: Duration::from_millis(1),
                after: Duration::from_micros(1024),
                octets: octets.into(),
                genuine: false,
                ip_ttl: Some(47),
            }],
            end: End::Open,
            cut: false,
        }
    }

    #[test]
    fn a_line_says_everything() {
        let mut json = to_json(&exchange(REPLY));
        let text = json["replies"][0].as_object_mut().unwrap().remove("text").unwrap();
        assert!(text.as_str().unwrap().starts_with("status: NOERROR, flags: qr rd ra\n"), "{text}");
        let expected = json!({
            "scenario": "", "seed": 0, "stub_mode": "doc", "number": 12, "at": "2014-03-27T12:00:00Z", "at_unix": 1_395_921_600, "uptime_us": 1_500_000,
            "network": "isp-a", "client": "127.0.1.5:40000", "server": "[::1]:5300", "transport": "udp",
            "name": "www.example.net", "type": "A", "query": hex(QUERY),
            "rule": "stub", "action": "stub", "intent": "The block page", "evidence": "measured",
            "replies": [{
                "planned_us": 1000, "after_us": 1024, "genuine": false, "ip_ttl": 47, "rcode": "NOERROR",
                "answers": ["www.example.net. 600 IN A 5.3.3.17"], "octets": hex(REPLY),
            }],
            "end": "open", "cut": false,
        });
        assert_eq!(json, expected);
        assert!(!json.to_string().contains('\n'));
    }

    #[test]
    fn what_is_broken_is_recorded_all_the_same() {
        for (octets, rcode) in [
            (&REPLY[..REPLY.len() - 1], Value::Null),
            (&[], Value::Null),
            (&[0xff; 40], Value::Null),
            (b"\x12\x34\x81\x81\0\0\0\0\0\0\0\0", "FORMERR".into()),
        ] {
            let json = to_json(&exchange(octets));
            let reply = &json["replies"][0];
            assert_eq!(reply["rcode"], rcode, "{octets:?}");
            assert_eq!(reply["answers"], json!([]));
            assert_eq!(reply["octets"], hex(octets));
            assert_eq!(from_json(&json.to_string()).unwrap().replies[0].octets, octets);
        }
        for (len, name, qtype) in [(3, Value::Null, Value::Null), (29, "www.example.net".into(), Value::Null)]
        {
            let json = to_json(&Exchange { query: QUERY[..len].into(), ..exchange(REPLY) });
            assert_eq!((&json["name"], &json["type"]), (&name, &qtype), "{len}");
        }
        assert_eq!(to_json(&Exchange { at: i64::MAX, ..exchange(REPLY) })["at"], Value::Null);
    }

    #[test]
    fn errors_say_what_is_missing() {
        let good = to_json(&exchange(REPLY));
        for key in ["number", "at_unix", "uptime_us", "client", "query", "action", "replies", "end"] {
            let mut json = good.clone();
            json.as_object_mut().unwrap().remove(key);
            assert_eq!(from_json(&json.to_string()).unwrap_err(), format!("`{key}` is missing"));
        }
        for (place, wrong, says) in [
            ("/client", json!("nobody"), "`client` is not an address and a port"),
            ("/query", json!("abc"), "`query` is not a string of hexadecimal octets"),
            ("/query", json!("+1"), "`query` is not a string of hexadecimal octets"),
            ("/end", json!("later"), "`end` is not one of open, reset, close"),
            ("/number", json!(-1), "`number` is not a number from 0"),
            ("/cut", json!("yes"), "`cut` is not `true` or `false`"),
            ("/replies/0", json!(1), "`replies[0]` is not an object"),
            ("/replies/0/ip_ttl", json!(256), "`replies[0].ip_ttl` is not an IP TTL"),
            ("/replies/0/genuine", json!(1), "`replies[0].genuine` is not `true` or `false`"),
        ] {
            let mut json = good.clone();
            *json.pointer_mut(place).unwrap() = wrong;
            assert_eq!(from_json(&json.to_string()).unwrap_err(), says);
        }
        assert_eq!(from_json("[]").unwrap_err(), "not a JSON object");
        assert!(from_json("{").unwrap_err().starts_with("not JSON: "));
    }

    fn exchanges() -> impl Strategy<Value = Exchange> {
        let octets = || vec(any::<u8>(), 0..80);
        let decided = (".*", ".*", ".*", prop_oneof![Just(Evidence::Measured), Just(Evidence::Modelled)])
            .prop_map(|(id, action, intent, evidence)| Decided { id, action, intent, evidence });
        let sent = (any::<u64>(), any::<u64>(), octets(), any::<bool>(), any::<Option<u8>>()).prop_map(
            |(planned, after, octets, genuine, ip_ttl)| Sent {
                planned: Duration::from_micros(planned),
                after: Duration::from_micros(after),
                octets,
                genuine,
                ip_ttl,
            },
        );
        let who = (any::<std::net::IpAddr>(), any::<u16>()).prop_map(Into::into);
        let server = (any::<std::net::IpAddr>(), any::<u16>()).prop_map(Into::into);
        let how = prop_oneof![Just(Transport::Udp), Just(Transport::Tcp)];
        let end = (prop_oneof![Just(End::Open), Just(End::Reset), Just(End::Close)], any::<bool>());
        let numbers = (any::<u64>(), any::<i64>(), any::<u64>(), ".*");
        (numbers, (who, server, how), octets(), option::of(decided), vec(sent, 0..4), end).prop_map(
            |(
                (number, at, uptime, network),
                (client, server, transport),
                query,
                rule,
                replies,
                (end, cut),
            )| Exchange {
                run: Arc::default(),
                number,
                at,
                uptime: Duration::from_micros(uptime),
                network,
                client,
                server,
                transport,
                query,
                rule,
                replies,
                end,
                cut,
            },
        )
    }

    proptest! {
        #[test]
        fn a_story_comes_back_out_of_its_line(exchange in exchanges()) {
            let line = to_json(&exchange).to_string();
            prop_assert!(!line.contains('\n'));
            let back = from_json(&line).unwrap();
            prop_assert_eq!(format!("{back:?}"), format!("{exchange:?}"));
        }

        #[test]
        fn any_line_is_read_without_harm(line in ".*") {
            let _ = from_json(&line);
        }
    }
}
