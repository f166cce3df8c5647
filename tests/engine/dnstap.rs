//! dnstap to a collector that is away, comes back, and is not what it should be.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use portcullis::app::{Service, runtime};
use portcullis::settings::{DnstapSettings, DnstapTo, ServerSettings, Settings, UpstreamSettings};
use portcullis::sources::Silent;
use std::sync::atomic::Ordering::Relaxed;

use crate::common::{PATIENCE, exchange, question, until};

const CONTENT: &[u8] = b"\0\0\0\x01\0\0\0\x16protobuf:dnstap.Dnstap";

/// A frame: `None` for a control frame, whose octets follow.
fn frame(stream: &mut TcpStream) -> (bool, Vec<u8>) {
    let mut number = || {
        let mut octets = [0; 4];
        stream.read_exact(&mut octets).unwrap();
        u32::from_be_bytes(octets)
    };
    let first = number();
    let (control, length) = if first == 0 { (true, number()) } else { (false, first) };
    let mut octets = vec![0; length as usize];
    stream.read_exact(&mut octets).unwrap();
    (control, octets)
}

fn control(kind: u8, content: &[u8]) -> Vec<u8> {
    let length = u8::try_from(4 + content.len()).unwrap();
    [&[0, 0, 0, 0, 0, 0, 0, length, 0, 0, 0, kind], content].concat()
}

/// Takes a connection, and agrees on dnstap.
fn accept(listener: &TcpListener) -> TcpStream {
    let (mut stream, _) = listener.accept().unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    assert_eq!(frame(&mut stream), (true, [&[0, 0, 0, 4], CONTENT].concat()), "READY");
    stream.write_all(&control(1, CONTENT)).unwrap();
    assert_eq!(frame(&mut stream), (true, [&[0, 0, 0, 2], CONTENT].concat()), "START");
    stream
}

#[test]
fn a_collector_that_went_away_gets_what_comes_later() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let to = DnstapTo::Tcp(listener.local_addr().unwrap());
    let listen = vec!["127.0.0.1:0".parse().unwrap()];
    let settings = Settings {
        server: ServerSettings { listen, threads: 1, ..ServerSettings::default() },
        upstream: UpstreamSettings::of(Vec::new()),
        dnstap: Some(DnstapSettings { to, identity: None, version: None }),
        ..Settings::default()
    };
    let runtime = runtime().unwrap();
    let service = runtime.block_on(async { Service::start(&settings, None, &Silent) }).unwrap();
    let ask =
        |name: &str| exchange(service.addresses.dns[0], &question(name, "A"), PATIENCE).expect("a reply");
    let holds = |octets: &[u8], label: &[u8]| octets.windows(label.len()).any(|window| window == label);
    // One that speaks something else is left.
    let (mut wrong, _) = listener.accept().unwrap();
    wrong.write_all(b"220 mail.example ESMTP\r\n").unwrap();
    let stats = &service.engine.counters.sinks.dnstap;
    until("the wrong collector is noticed", || stats.failing.load(Relaxed));
    drop(wrong);
    // What comes meanwhile waits.
    ask("first.test");
    let mut stream = accept(&listener);
    let (is_control, query) = frame(&mut stream);
    assert!(!is_control && holds(&query, b"\x05first\x04test"));
    let (is_control, response) = frame(&mut stream);
    assert!(!is_control && holds(&response, b"\x05first\x04test"));
    drop(stream);
    // The kernel may take a few messages before it is known that nobody reads them.
    until("it is noticed that the collector is gone", || {
        ask("lost.test");
        stats.failing.load(Relaxed)
    });
    ask("second.test");
    let mut stream = accept(&listener);
    while !holds(&frame(&mut stream).1, b"\x06second\x04test") {}
    // At its end the server waits until the collector has everything.
    let collector = std::thread::spawn(move || {
        loop {
            if let (true, octets) = frame(&mut stream) {
                assert_eq!(octets, [0, 0, 0, 3], "STOP");
                stream.write_all(&control(5, b"")).unwrap();
                return;
            }
        }
    });
    runtime.block_on(service.stop());
    collector.join().unwrap();
}
