//! Any text as the data of a record: refused, or octets that fit a record.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis::dns::{Name, Qtype, rdata};

fuzz_target!(|input: (u16, &str)| {
    if let Ok(octets) = rdata::from_text(Qtype(input.0), input.1, Name::ROOT) {
        assert!(octets.len() <= usize::from(u16::MAX));
    }
});
