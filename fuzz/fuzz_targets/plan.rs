//! Any query, put to a scenario with every behaviour: the same plan each time, and what is not broken on
//! purpose can be read.
#![no_main]

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::LazyLock;
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use portcullis::censor::{Asked, Counter, Scenario, plan};
use portcullis::config::scenario::parse;
use portcullis::dns::{Message, Query, Transport};

static SCENARIO: LazyLock<Scenario> = LazyLock::new(|| {
    let text = include_str!("../../tests/scenarios/taxonomy.toml");
    parse(text, Path::new("taxonomy")).unwrap()
});

fuzz_target!(|input: (u8, bool, i64, u64, &[u8])| {
    let (network, tcp, unix, seed, packet) = input;
    let Ok(query) = Query::parse(packet) else { return };
    let transport = if tcp { Transport::Tcp } else { Transport::Udp };
    let client = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let network = u16::from(network % 3);
    let asked = Asked { query: &query, network, client, transport, unix, uptime: Duration::ZERO, seed };
    let same = |_: Counter| 1;
    let one = plan(&SCENARIO, asked, &same);
    assert_eq!(one, plan(&SCENARIO, asked, &same));
    let rule = one.rule.and_then(|place| SCENARIO.rules.get(usize::from(place)));
    for shot in one.forged {
        assert!(shot.octets.len() <= transport.limit(&query).max(512));
        if rule.is_some_and(|rule| !rule.id.starts_with("18") && !rule.id.starts_with("19")) {
            let message = Message::parse(&shot.octets).expect("what is not broken on purpose can be read");
            assert_eq!(message.end(), shot.octets.len());
        }
    }
});
