//! `unbound`: `local-zone:` and `local-data:`.

use super::{Sink, SkipReason};

/// What is remembered from line to line.
#[derive(Default)]
pub struct State {}

impl State {
    /// One line.
    pub fn line(&mut self, _text: &str, sink: &mut Sink<'_>) {
        sink.skip(SkipReason::Syntax("not yet".into()));
    }

    /// The end of the list.
    pub fn finish(&mut self, _sink: &mut Sink<'_>) {}
}
