//! Any octets as a master file: mistakes have lines of the file, and each record is read again alike from its
//! octets (RFC 3597).
#![no_main]

use std::fmt::Write;

use libfuzzer_sys::fuzz_target;
use portcullis::dns::{Name, master::Handler, master::Place, master::Record, master::check, master::read};

#[derive(Default)]
struct Seen {
    records: Vec<Record>,
    lines: Vec<u32>,
}

impl Handler for Seen {
    fn record(&mut self, place: Place, record: Record) {
        assert_eq!(check(record.rtype, &record.rdata), Ok(()));
        self.lines.push(place.line);
        self.records.push(record);
    }

    fn problem(&mut self, place: Place, reason: String) {
        assert!(!reason.is_empty());
        self.lines.push(place.line);
    }

    fn include(&mut self, _: &str, _: usize) -> Result<(usize, Vec<u8>), String> {
        Err("there are no files here".into())
    }
}

fuzz_target!(|text: &[u8]| {
    // A line of $GENERATE is cheap to write and dear to read.
    if text.windows(9).filter(|w| w.eq_ignore_ascii_case(b"$GENERATE")).count() > 1 {
        return;
    }
    let mut first = Seen::default();
    read(text, Name::ROOT, &mut first);
    let count = text.iter().filter(|c| matches!(c, b'\n' | b'\r')).count() + 1;
    assert!(first.lines.iter().all(|line| (1..=count).contains(&(*line as usize))));
    let mut again = String::new();
    for Record { owner, rtype, ttl, rdata } in &first.records {
        let _ = write!(again, "{} {ttl} IN TYPE{} \\# {} ", owner.as_name().dotted(), rtype.0, rdata.len());
        for octet in rdata {
            let _ = write!(again, "{octet:02x}");
        }
        again.push('\n');
    }
    let mut second = Seen::default();
    read(again.as_bytes(), Name::ROOT, &mut second);
    assert_eq!(first.records, second.records);
});
