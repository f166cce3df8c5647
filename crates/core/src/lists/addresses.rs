//! Addresses and networks as lines of a list: answers that hold one of them are blocked.

use super::network::network;
use super::sink::Sink;
use super::skip::SkipReason;
use crate::rule::Effect;

/// One line of a list that consists of addresses only; `@@` makes an exception. `#`, `;` and `!` begin
/// comments.
pub(super) fn line(text: &str, sink: &mut Sink<'_>) {
    let text = text.split(['#', ';', '!']).next().unwrap_or_default().trim();
    if text.is_empty() {
        return;
    }
    let mut traits = sink.traits();
    let network = match text.strip_prefix("@@") {
        Some(rest) => {
            traits.effect = Effect::Allow;
            network(rest.trim_start())
        }
        None => network(text),
    };
    match network {
        Some(network) => sink.address(network, &traits),
        None => sink.skip(SkipReason::NoNetwork),
    }
}
