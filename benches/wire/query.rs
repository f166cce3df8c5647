//! Queries as packets, and checks of their replies.

use crate::common::Random;

/// Octets of a header.
pub const HEADER: usize = 12;
/// An OPT record that offers 1232 octets and nothing else.
const OPT: [u8; 11] = [0, 0, 41, 0x04, 0xd0, 0, 0, 0, 0, 0, 0];
/// The longest query made here: a header, the longest name, type and class, OPT.
pub const LONGEST: usize = HEADER + 255 + 4 + OPT.len();

/// Writes a query for the address of `name`, recursion desired, with EDNS and the id 0, after the
/// existing octets.
pub fn write(name: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(&[0, 0, 0x01, 0, 0, 1, 0, 0, 0, 0, 0, 1]);
    for label in name.split('.') {
        out.push(label.len() as u8);
        out.extend_from_slice(label.as_bytes());
    }
    out.extend_from_slice(&[0, 0, 1, 0, 1]);
    out.extend_from_slice(&OPT);
}

/// The question of a query made by `write`: name, type and class.
pub fn question(query: &[u8]) -> &[u8] {
    &query[HEADER..query.len() - OPT.len()]
}

/// The offset after the question of any packet that has one.
pub fn end_of_question(packet: &[u8]) -> Option<usize> {
    let mut at = HEADER;
    loop {
        match *packet.get(at)? {
            0 => break,
            len @ 1..=63 => at += 1 + usize::from(len),
            _ => return None,
        }
    }
    Some(at + 5).filter(|&end| end <= packet.len())
}

/// Breaks the query in the first `len` octets of `packet`; returns how long it is then.
pub fn break_it(packet: &mut [u8], len: usize, random: &mut Random) -> usize {
    match random.below(3) {
        0 => return random.below(len),
        1 => {
            for _ in 0..=random.below(8) {
                packet[random.below(len)] = random.below(256) as u8;
            }
        }
        _ => packet[..len].fill_with(|| random.below(256) as u8),
    }
    len
}

/// The TTL of the first answer, whose name is a pointer to the question.
pub fn answer_ttl(query: &[u8], reply: &[u8]) -> Option<u32> {
    let answers = u16::from_be_bytes([*reply.get(6)?, *reply.get(7)?]);
    let at = HEADER + question(query).len() + 2 + 4;
    (answers > 0).then_some(u32::from_be_bytes(*reply.get(at..)?.first_chunk()?))
}

/// The expected reply.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Expect {
    /// NXDOMAIN and no answer.
    Blocked,
    /// NOERROR and one record.
    Answered,
    /// Any code, such as SERVFAIL while the upstream is dead.
    Reply,
}

impl Expect {
    /// Whether `reply` is a correct one to `query`. The id has been compared already.
    pub fn holds(self, query: &[u8], reply: &[u8]) -> bool {
        let question = question(query);
        if reply.len() < HEADER + question.len() || &reply[HEADER..HEADER + question.len()] != question {
            return false;
        }
        let (response, truncated) = (reply[2] & 0x80 != 0, reply[2] & 0x02 != 0);
        let (rcode, answers) = (reply[3] & 0x0f, u16::from_be_bytes([reply[6], reply[7]]));
        response
            && match self {
                Self::Blocked => !truncated && rcode == 3 && answers == 0,
                Self::Answered => !truncated && rcode == 0 && answers == 1,
                Self::Reply => true,
            }
    }
}
