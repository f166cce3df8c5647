//! Any reply of an upstream: walked, stored, shown.
#![no_main]

use std::time::Instant;

use libfuzzer_sys::fuzz_target;
use portcullis::cache::store::Stored;
use portcullis::dns::Message;

fuzz_target!(|bytes: &[u8]| {
    if let Some(message) = Message::parse(bytes) {
        let _ = message.to_string();
        let _ = Stored::new(message.question(), &message, Instant::now(), 86_400);
    }
});
