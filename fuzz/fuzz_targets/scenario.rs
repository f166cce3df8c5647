//! Scenario files: no text makes the reader panic, and what it takes can be asked anything.
#![no_main]

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use portcullis::censor::{self, Asked, Counter, StubMode, Turns, plan};
use portcullis::config::scenario::parse;
use portcullis::dns::{Query, Transport};

struct None;

impl Turns for None {
    fn turn(&self, _: Counter) -> u64 {
        3
    }
}

const PACKET: &[u8] =
    b"\x12\x34\x01\x20\0\x01\0\0\0\0\0\x01\x03www\x07Example\x03org\0\0\x01\0\x01\0\0\x29\x10\0\0\0\x80\0\0\0";

fuzz_target!(|text: &str| {
    let Ok(mut scenario) = parse(text, Path::new("fuzz")) else { return };
    censor::apply_stubs(&mut scenario, StubMode::Doc);
    let query = Query::parse(PACKET).unwrap();
    for transport in [Transport::Udp, Transport::Tcp] {
        let client = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let (unix, uptime) = (1_500_000_000, Duration::from_secs(9));
        let asked = Asked { query: &query, network: 0, client, transport, unix, uptime, seed: 1 };
        let _ = plan(&scenario, asked, &None);
    }
});
