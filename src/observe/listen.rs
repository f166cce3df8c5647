//! Who hears of each query after its reply has been sent.

use super::event::{Event, Line};
use super::sink::Sink;
use crate::dns::Query;
use crate::policy::{Reference, RuleText};

/// One query and what became of it, borrowed.
#[derive(Clone, Copy)]
pub struct Heard<'h> {
    /// What happened.
    pub event: &'h Event,
    /// The octets of the query, well-formed or not.
    pub packet: &'h [u8],
    /// The query, if it is one.
    pub query: Option<&'h Query<'h>>,
    /// The octets of the reply as sent to the client; empty if nothing was sent.
    pub reply: &'h [u8],
    /// The rule that decided, if one did.
    pub rule: Option<&'h RuleText>,
    /// The reference of the refusal, if the name was refused.
    pub reference: Option<Reference>,
}

/// Who hears of each query. It is called on the thread that answered, so it copies what it needs into a
/// bounded queue: it must neither wait nor fail.
pub trait Listen: Send + Sync {
    /// Hears of one query.
    fn hear(&self, heard: &Heard<'_>);
}

/// A sink takes everything as it is.
impl Listen for Sink<Line> {
    fn hear(&self, heard: &Heard<'_>) {
        self.push(Line {
            event: *heard.event,
            query: heard.packet.into(),
            reply: heard.reply.into(),
            rule: heard.rule.cloned(),
        });
    }
}
