//! Any reply of an upstream: walked, stored, shown.
#![no_main]

use std::time::Instant;

use libfuzzer_sys::fuzz_target;
use portcullis::cache::key::Key;
use portcullis::cache::store::Stored;
use portcullis::dns::{Message, Query, encode};

fuzz_target!(|bytes: &[u8]| {
    if let Some(message) = Message::parse(bytes) {
        let _ = message.to_string();
        // A query for what the reply says it answers.
        let mut packet = encode(portcullis::dns::Name::ROOT, portcullis::dns::Qtype::A)[..12].to_vec();
        packet[11] = 0;
        packet.extend(message.question());
        if let Ok(query) = Query::parse(&packet) {
            let _ = Stored::new(&Key::of(&query, 0), &message, Instant::now(), 86_400);
        }
    }
});
