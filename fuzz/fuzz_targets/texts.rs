//! Short texts of a configuration, and lists of addresses: no text makes their readers panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis::dns::sde;
use portcullis::lists::addresses;
use portcullis::policy::schedule::{instant, window, zone};

fuzz_target!(|text: &str| {
    let _ = zone(text);
    let _ = window(text);
    let _ = sde::contact(text);
    for name in ["Europe/Berlin", "America/New_York"] {
        if let Ok(zone) = zone(name) {
            let _ = instant(text, &zone);
        }
    }
    let list = addresses::read(text);
    let (found, rest) = addresses::split(text);
    assert_eq!(found.networks, list.networks);
    assert_eq!(rest.lines().count(), text.lines().count());
});
