//! Any reply of an upstream: what it leads to, and the reply without `ech`.
#![no_main]

use std::ops::ControlFlow;

use libfuzzer_sys::fuzz_target;
use portcullis::dns::{Found, MAX_ALIASES, Message, expanded_rdata, found, without_ech};

fuzz_target!(|bytes: &[u8]| {
    if let Some(message) = Message::parse(bytes) {
        let mut names = 0;
        let _: Option<()> = found(&message, |item| {
            if let Found::Name(name, _) = item {
                names += 1;
                assert!(name.as_bytes().len() <= 255);
            }
            ControlFlow::Continue(())
        });
        assert!(names <= 2 * MAX_ALIASES + usize::from(message.header.ancount));
        for record in message.records() {
            let _ = expanded_rdata(&message, &record);
        }
    }
    if let Some(out) = without_ech(bytes) {
        assert!(Message::parse(&out).is_some());
        assert_eq!(without_ech(&out), None);
    }
});
