//! The record of a scenario and the capture next to it: what is written when, and what is lost where that fails.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::cast_possible_truncation
)]

use std::fs;
use std::path::Path;

use portcullis::stage::record::{from_json, to_json};
use portcullis::stage::recorder::Recorder;

use crate::common::find;
use crate::common::recorded::{STARTED, exchanges, networks};

/// Waits until a file has so many lines.
fn lines(path: &Path, count: usize) -> Vec<String> {
    find("the lines of the record", || {
        let text = fs::read_to_string(path).unwrap();
        let whole = text.lines().count() >= count && text.ends_with('\n');
        whole.then(|| text.lines().map(Into::into).collect())
    })
}

#[test]
fn the_record_can_be_read_while_it_grows_and_again_afterwards() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("truth.log");
    let recorder = Recorder::create(&path, &networks(), STARTED).unwrap();
    assert_eq!(recorder.files(), (&*path, &*folder.path().join("truth.pcapng")));
    let sink = recorder.sink();
    for (n, exchange) in (1..).zip(exchanges()) {
        sink.push(exchange.clone());
        let lines = lines(&path, n);
        assert_eq!(lines.len(), n);
        assert_eq!(lines[n - 1], to_json(&exchange).to_string());
        assert_eq!(format!("{:?}", from_json(&lines[n - 1]).unwrap()), format!("{exchange:?}"));
    }
    assert_eq!(recorder.finish().unwrap().written, 6);
}

#[test]
fn many_threads_hand_over_and_each_story_is_written_or_counted() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("truth.jsonl");
    let recorder = Recorder::create(&path, &networks(), STARTED).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            let sink = recorder.sink();
            scope.spawn(move || {
                for exchange in exchanges().iter().filter(|s| s.number != 3).cycle().take(5000) {
                    sink.push(exchange.clone());
                }
            });
        }
    });
    let summary = recorder.finish().unwrap();
    assert_eq!((summary.written + summary.dropped, summary.problem), (20_000, None));
    assert!(summary.written > 0);
    assert_eq!(lines(&path, 1).len() as u64, summary.written);
}

#[test]
fn what_cannot_be_written_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let create = |name: &str| Recorder::create(&folder.path().join(name), &networks(), STARTED).map(|_| ());
    for (name, says) in [
        ("truth.pcapng", "the capture gets the ending .pcapng automatically"),
        ("nowhere/truth.jsonl", "cannot write "),
        ("..", "is not a file name"),
    ] {
        let problem = create(name).unwrap_err();
        assert!(problem.contains(says), "{problem}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_ends_the_record_and_nothing_else() {
    for full in ["truth.jsonl", "truth.pcapng"] {
        let folder = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/dev/full", folder.path().join(full)).unwrap();
        let recorder = Recorder::create(&folder.path().join("truth"), &networks(), STARTED).unwrap();
        let sink = recorder.sink();
        exchanges().into_iter().for_each(|s| sink.push(s));
        let summary = recorder.finish().unwrap();
        assert_eq!((summary.written, summary.dropped), (0, 6));
        assert!(summary.problem.unwrap().contains("No space left"));
    }
}
