//! Any text in every list format, whole and in pieces.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis::lists::parse;
use portcullis::rule::{Effect, Format};

fuzz_target!(|bytes: &[u8]| {
    for (_, format) in Format::WORDS {
        if let Ok(parsed) = parse(bytes, format, None, Effect::Block) {
            assert!(parsed.rules().all(|rule| (1..=parsed.lines).contains(&rule.line)));
        }
    }
});
