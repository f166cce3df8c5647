//! Any packet: read, and answered as its fault calls for.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis::dns::Query;

fuzz_target!(|packet: &[u8]| {
    let mut out = [0; 1232];
    match Query::parse(packet) {
        Ok(query) => {
            assert_eq!(query.question().len(), query.qname.as_bytes().len() + 4);
            let _ = query.qname.to_string();
        }
        Err(fault) => assert_eq!(fault.reply(packet, &mut out).is_some(), fault.rcode().is_some()),
    }
});
