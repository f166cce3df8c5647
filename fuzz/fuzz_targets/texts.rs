//! Short texts of a configuration, and lists of addresses: no text makes their readers panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis::dns::sde;
use portcullis::lists::{Addresses, Reader};
use portcullis::policy::schedule::{instant, window, zone};
use portcullis::rule::{Effect, Format};

fuzz_target!(|text: &str| {
    let _ = zone(text);
    let _ = window(text);
    let _ = sde::contact(text);
    for name in ["Europe/Berlin", "America/New_York"] {
        if let Ok(zone) = zone(name) {
            let _ = instant(text, &zone);
        }
    }
    let mut reader = Reader::new(Format::Auto, None, Effect::Block).with_addresses(Addresses::Only);
    if reader.feed(text.as_bytes()).is_ok()
        && let Ok(list) = reader.finish()
    {
        assert!(list.addresses.iter().all(|(line, ..)| (1..=list.lines).contains(line)));
    }
});
