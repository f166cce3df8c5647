//! The Protocol Buffers of dnstap (dnstap.proto): the fields that a server fills.

use std::net::{IpAddr, SocketAddr};

use crate::dns::Transport;

/// The kind of a message, from this server's view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    ClientQuery = 5,
    ClientResponse = 6,
    ForwarderQuery = 7,
    ForwarderResponse = 8,
}

/// What a rule did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    NxDomain = 1,
    NoData = 2,
    Pass = 3,
    Drop = 4,
    Truncate = 5,
    LocalData = 6,
}

/// What a rule matched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Matched {
    Qname = 1,
    ResponseIp = 3,
}

/// The rule that decided.
#[derive(Clone, Debug, Default)]
pub(super) struct Policy<'m> {
    pub(super) rule: &'m str,
    pub(super) action: Option<Action>,
    pub(super) matched: Option<Matched>,
    pub(super) value: Option<String>,
}

/// One message of DNS, and what is known of it. Times are in microseconds since 1970.
pub(super) struct Message<'m> {
    pub(super) kind: Kind,
    pub(super) transport: Transport,
    pub(super) asker: Option<SocketAddr>,
    pub(super) answerer: Option<SocketAddr>,
    pub(super) asked_at: i64,
    pub(super) query: Option<&'m [u8]>,
    pub(super) answered_at: Option<i64>,
    pub(super) response: Option<&'m [u8]>,
    pub(super) policy: Option<Policy<'m>>,
}

/// What all messages of a server have.
pub(super) struct Sender {
    pub(super) identity: Option<String>,
    pub(super) version: Option<String>,
}

impl Sender {
    /// The octets of the `Dnstap` around a message.
    pub(super) fn encode(&self, message: &Message<'_>, extra: Option<&str>) -> Vec<u8> {
        let mut out = Vec::with_capacity(
            message.query.map_or(0, <[u8]>::len) + message.response.map_or(0, <[u8]>::len) + 256,
        );
        for (field, text) in [(1, self.identity.as_deref()), (2, self.version.as_deref()), (3, extra)] {
            if let Some(text) = text {
                octets(&mut out, field, text.as_bytes());
            }
        }
        octets(&mut out, 14, &message.encode());
        number(&mut out, 15, 1);
        out
    }
}

impl Message<'_> {
    fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        number(&mut out, 1, self.kind as u64);
        if let Some(address) = self.asker.or(self.answerer) {
            number(&mut out, 2, if address.ip().to_canonical().is_ipv4() { 1 } else { 2 });
        }
        number(
            &mut out,
            3,
            match self.transport {
                Transport::Udp => 1,
                Transport::Tcp => 2,
            },
        );
        for (field, address) in [(4, self.asker), (5, self.answerer)] {
            if let Some(address) = address {
                match address.ip().to_canonical() {
                    IpAddr::V4(v4) => octets(&mut out, field, &v4.octets()),
                    IpAddr::V6(v6) => octets(&mut out, field, &v6.octets()),
                }
                number(&mut out, field + 2, address.port().into());
            }
        }
        time(&mut out, 8, self.asked_at);
        if let Some(query) = self.query {
            octets(&mut out, 10, query);
        }
        if let Some(at) = self.answered_at {
            time(&mut out, 12, at);
        }
        if let Some(response) = self.response {
            octets(&mut out, 14, response);
        }
        if let Some(policy) = &self.policy {
            octets(&mut out, 15, &policy.encode());
        }
        out
    }
}

impl Policy<'_> {
    fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        octets(&mut out, 1, b"portcullis");
        octets(&mut out, 2, self.rule.as_bytes());
        if let Some(action) = self.action {
            number(&mut out, 3, action as u64);
        }
        if let Some(matched) = self.matched {
            number(&mut out, 4, matched as u64);
        }
        if let Some(value) = &self.value {
            octets(&mut out, 5, value.as_bytes());
        }
        out
    }
}

/// Seconds in one field, nanoseconds of the second in the next.
fn time(out: &mut Vec<u8>, field: u64, micros: i64) {
    let (seconds, rest) = (micros.div_euclid(1_000_000), micros.rem_euclid(1_000_000));
    number(out, field, u64::try_from(seconds).unwrap_or(0));
    // A fixed32 is little-endian.
    varint(out, (field + 1) << 3 | 5);
    out.extend(u32::try_from(rest * 1000).unwrap_or(0).to_le_bytes());
}

fn number(out: &mut Vec<u8>, field: u64, number: u64) {
    varint(out, field << 3);
    varint(out, number);
}

fn octets(out: &mut Vec<u8>, field: u64, octets: &[u8]) {
    varint(out, field << 3 | 2);
    varint(out, octets.len() as u64);
    out.extend(octets);
}

fn varint(out: &mut Vec<u8>, mut number: u64) {
    loop {
        let low = u8::try_from(number & 0x7f).unwrap_or(0);
        number >>= 7;
        if number == 0 {
            return out.push(low);
        }
        out.push(low | 0x80);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_has_the_octets_of_the_schema() {
        let message = Message {
            kind: Kind::ClientResponse,
            transport: Transport::Tcp,
            asker: Some("192.0.2.1:300".parse().unwrap()),
            answerer: None,
            asked_at: 1_000_002,
            query: None,
            answered_at: Some(2_000_000),
            response: Some(b"abc"),
            policy: Some(Policy {
                rule: "||a^",
                action: Some(Action::NxDomain),
                matched: Some(Matched::Qname),
                value: None,
            }),
        };
        let sender = Sender { identity: Some("ns".into()), version: None };
        let expected = [
            &b"\x0a\x02ns\x1a\x02{}"[..],
            b"\x72\x3a",
            b"\x08\x06\x10\x01\x18\x02\x22\x04\xc0\0\x02\x01\x30\xac\x02",
            b"\x40\x01\x4d\xd0\x07\0\0\x60\x02\x6d\0\0\0\0\x72\x03abc",
            b"\x7a\x16\x0a\x0aportcullis\x12\x04||a^\x18\x01\x20\x01",
            b"\x78\x01",
        ];
        assert_eq!(sender.encode(&message, Some("{}")), expected.concat());
    }
}
