//! The query log in its files: what is written is found, counted, kept and deleted.

use std::collections::HashMap;
use std::net::IpAddr;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use ipnet::IpNet;
use portcullis::dns::{NameBuf, Qtype, Rcode, Transport};
use portcullis::net::{now, unix_micros};
use portcullis::observe::event::Source;
use portcullis::observe::sink::{Capacity, Sink};
use portcullis::observe::stats::SinkStats;
use portcullis::policy::{Class, RuleText};
use portcullis::settings::LogStore;
use portcullis::sinks::entry::{Entry, client_text};
use portcullis::sinks::row::Row;
use portcullis::sinks::sqlite::{Filter, NameFilter, What, Writer, export, purge, search, top};
use tempfile::TempDir;

use crate::common::until;

const SECOND: i64 = 1_000_000;
const DAY: i64 = 86_400 * SECOND;
/// 1 November 2020, midnight.
const START: i64 = 1_604_188_800 * SECOND;

/// A log, and the thread that writes it.
struct Log {
    store: LogStore,
    stats: Arc<SinkStats>,
    writer: Option<(Sink<Entry>, JoinHandle<()>)>,
}

impl Log {
    fn new(folder: &Path) -> Self {
        let store = LogStore {
            folder: folder.join("log"),
            days: 36_500,
            size: 1 << 40,
            commit_every: Duration::from_millis(100),
        };
        Self { store, stats: Arc::default(), writer: None }
    }

    fn folder(&self) -> &Path {
        &self.store.folder
    }

    fn start(&mut self) {
        let (sink, drain) = Sink::new(Capacity { items: 2_000_000, octets: 1 << 30 });
        let tallies = Box::new(|| vec![("192.0.2.53".to_owned(), 7, 2)]);
        let writer = Writer::new(self.store.clone(), now, Arc::clone(&self.stats), tallies);
        self.writer = Some((sink, std::thread::spawn(move || writer.run(drain))));
    }

    fn push(&self, entries: &[Entry]) {
        let (sink, _) = self.writer.as_ref().unwrap();
        entries.iter().for_each(|entry| sink.push(entry.clone()));
    }

    fn stop(&mut self) {
        let (sink, thread) = self.writer.take().unwrap();
        sink.end();
        thread.join().unwrap();
    }

    /// Writes entries from a start to a stop.
    fn write(&mut self, entries: &[Entry]) {
        self.start();
        self.push(entries);
        self.stop();
    }

    /// Starts a writer and waits until it has closed the files of earlier days.
    fn close(&mut self) {
        self.start();
        until("the files of earlier days are closed", || {
            let closed = |file: &PathBuf| {
                let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
                // It may have been deleted meanwhile, and must not come back.
                let Ok(db) = rusqlite::Connection::open_with_flags(file, flags) else { return false };
                let sql = "SELECT value FROM meta WHERE key = 'closed'";
                db.query_row(sql, [], |row| row.get::<_, i64>(0)) == Ok(1)
            };
            files(self.folder()).iter().filter(|file| is_old(file)).all(closed)
        });
        self.stop();
    }
}

/// Whether a file is one of the days that the tests write of.
fn is_old(file: &Path) -> bool {
    file.file_name().unwrap().to_str().unwrap().starts_with("2020")
}

/// The databases of a folder, in order.
fn files(folder: &Path) -> Vec<PathBuf> {
    let all = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = all.filter(|path| path.extension().is_some_and(|e| e == "db")).collect();
    files.sort();
    files
}

/// Numbers that look random, the same each time.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % below
    }

    /// Small numbers far more often than large ones, as names are asked for.
    fn skewed(&mut self, below: u64) -> u64 {
        let limit = self.next(below) + 1;
        let limit = self.next(limit) + 1;
        self.next(limit)
    }
}

fn entry(at: i64, numbers: &mut Numbers, names: u64) -> Entry {
    let name = numbers.skewed(names);
    let blocked = name % 5 == 3;
    let list = ["ads", "trackers", "school"][(name % 3) as usize];
    let rule = blocked.then(|| rule_of(list, u32::try_from(name).unwrap() + 1, name));
    Entry {
        at,
        client: Some(IpAddr::from([192, 0, 2, u8::try_from(numbers.skewed(40)).unwrap()]).into()),
        transport: if numbers.next(10) == 0 { Transport::Tcp } else { Transport::Udp },
        name: Some(name_of(name)),
        qtype: Some([Qtype::A, Qtype::AAAA, Qtype::HTTPS][numbers.next(3) as usize]),
        rcode: Some(if blocked { Rcode::NXDOMAIN } else { Rcode::NOERROR }),
        verdict: if blocked { Class::Blocked } else { Class::Pass },
        source: if blocked { Source::Policy } else { Source::Cache },
        rule,
        reference: blocked.then_some(u32::try_from(name).unwrap().wrapping_mul(0x9e37_79b9)),
        micros: u32::try_from(numbers.next(5000)).unwrap(),
    }
}

fn rule_of(list: &str, line: u32, name: u64) -> RuleText {
    RuleText::new(format!("||{}^", name_of(name)), list.to_owned(), line)
}

fn name_of(number: u64) -> NameBuf {
    NameBuf::from_text(&format!("host{number}.site{}.test", number % 97)).unwrap()
}

/// As many entries, evenly over so many days.
fn entries(count: usize, days: i64, names: u64) -> Vec<Entry> {
    let mut numbers = Numbers(88_172_645_463_325_252);
    let step = days * DAY / i64::try_from(count).unwrap();
    // In milliseconds, as the log keeps times.
    (0..).take(count).map(|n| entry((START + n * step) / 1000 * 1000, &mut numbers, names)).collect()
}

fn filters() -> Vec<(&'static str, Filter)> {
    let all = Filter::default();
    let client = |text: &str| text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from)).ok();
    vec![
        ("all", all.clone()),
        ("a part", Filter { name: Some(NameFilter::Part("st40".into())), ..all.clone() }),
        (
            "a rare name",
            Filter { name: Some(NameFilter::Exact("host1500.site45.test".into())), ..all.clone() },
        ),
        (
            "a frequent name",
            Filter { name: Some(NameFilter::Exact("host0.site0.test".into())), ..all.clone() },
        ),
        ("a suffix", Filter { name: Some(NameFilter::Suffix("site7.test".into())), ..all.clone() }),
        ("no suffix", Filter { name: Some(NameFilter::Suffix("ite7.test".into())), ..all.clone() }),
        ("a client", Filter { client: client("192.0.2.31"), ..all.clone() }),
        ("a network", Filter { client: client("192.0.2.16/28"), ..all.clone() }),
        ("a verdict", Filter { verdict: Some(Class::Blocked), ..all.clone() }),
        ("a list", Filter { list: Some("school".into()), ..all.clone() }),
        ("no list", Filter { list: Some("scho".into()), ..all.clone() }),
        ("a type", Filter { qtype: Some(Qtype::HTTPS), ..all.clone() }),
        ("a reference", Filter { reference: Some(13_u32.wrapping_mul(0x9e37_79b9)), ..all.clone() }),
        (
            "some time",
            Filter { since: Some(START + DAY / 2), until: Some(START + DAY + DAY / 3), ..all.clone() },
        ),
        (
            "everything at once",
            Filter {
                name: Some(NameFilter::Part("host".into())),
                client: client("192.0.2.0/27"),
                verdict: Some(Class::Blocked),
                list: Some("ads".into()),
                qtype: Some(Qtype::A),
                since: Some(START + DAY / 3),
                ..all
            },
        ),
    ]
}

/// Whether an entry matches, in the simplest way.
fn matches(filter: &Filter, entry: &Entry) -> bool {
    let name = entry.name.as_ref().unwrap().to_string();
    filter.name.as_ref().is_none_or(|wanted| match wanted {
        NameFilter::Exact(text) => name == *text,
        NameFilter::Suffix(text) => name == *text || name.ends_with(&format!(".{text}")),
        NameFilter::Part(text) => name.contains(text.as_str()),
    }) && filter.client.is_none_or(|network| network.contains(&entry.client.unwrap()))
        && filter.verdict.is_none_or(|verdict| entry.verdict == verdict)
        && filter.list.as_ref().is_none_or(|list| entry.rule.as_ref().is_some_and(|rule| rule.list == *list))
        && filter.qtype.is_none_or(|qtype| entry.qtype == Some(qtype))
        && filter.reference.is_none_or(|reference| entry.reference == Some(reference))
        && filter.since.is_none_or(|since| entry.at >= since)
        && filter.until.is_none_or(|until| entry.at < until)
}

/// Searches page by page, and exports, and compares with the entries that match.
fn compare(log: &Log, entries: &[Entry], when: &str) {
    for (what, filter) in filters() {
        let expected: Vec<Row> = entries.iter().filter(|e| matches(&filter, e)).map(Row::from).collect();
        let mut found: Vec<Row> = Vec::new();
        let mut after = None;
        loop {
            let page = search(log.folder(), &filter, after.as_ref(), 1000).unwrap();
            assert!(page.problems.is_empty() && page.rows.len() <= 1000, "{what} {when}");
            assert!(page.next.is_none() || page.rows.len() == 1000, "{what} {when}: a page that is not full");
            found.extend(page.rows);
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(found.len(), expected.len(), "{what} {when}");
        assert!(found.iter().rev().eq(&expected), "{what} {when}: other rows, or another order");
        let mut exported = Vec::new();
        let problems = export(log.folder(), &filter, |row| {
            exported.push(row.clone());
            ControlFlow::Continue(())
        });
        assert!(problems.unwrap().is_empty() && exported == expected, "{what} {when}: exported");
    }
}

/// Compares the top lists with sums of the entries.
fn compare_tops(log: &Log, entries: &[Entry], when: &str) {
    let of = |what, entry: &Entry| match what {
        What::Names => entry.name.as_ref().map(ToString::to_string),
        What::Clients => entry.client.map(client_text),
        _ => entry.rule.as_ref().map(|rule| rule.list.clone()),
    };
    for what in [What::Names, What::Clients, What::Lists] {
        for since in
            [i64::MIN / 2, START, START + DAY, START + DAY + 7_777_777_000, START + 3 * DAY - DAY / 24]
        {
            for blocked in [false, true] {
                let mut sums: HashMap<String, (u64, u64)> = HashMap::new();
                for entry in entries.iter().filter(|entry| entry.at >= since) {
                    if let Some(key) = of(what, entry) {
                        let (n, b) = sums.entry(key).or_default();
                        *n += 1;
                        *b += u64::from(entry.verdict == Class::Blocked);
                    }
                }
                let weight = |(n, b): &(u64, u64)| if blocked { *b } else { *n };
                let mut best: Vec<_> = sums.into_iter().filter(|(_, sums)| weight(sums) > 0).collect();
                best.sort_by(|(a, one), (b, other)| weight(other).cmp(&weight(one)).then_with(|| a.cmp(b)));
                best.truncate(10);
                let found = top(log.folder(), what, since, blocked, 10).unwrap();
                assert!(found.problems.is_empty());
                let found: Vec<_> = found.keys.into_iter().map(|c| (c.key, (c.queries, c.blocked))).collect();
                assert_eq!(found, best, "{what:?} since {since} blocked: {blocked}, {when}");
            }
        }
    }
}

#[test]
fn what_is_written_is_found_and_counted() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = Log::new(folder.path());
    let entries = entries(30_000, 3, 2000);
    // In parts, between which the writer forgets what the dictionaries of the file hold.
    for part in entries.chunks(7001) {
        log.write(part);
    }
    compare(&log, &entries, "while the files are open");
    compare_tops(&log, &entries, "while the files are open");
    log.close();
    assert!(files(log.folder()).len() >= 4, "one a day, and today's");
    compare(&log, &entries, "when they are closed");
    compare_tops(&log, &entries, "when they are closed");
    let upstreams = top(log.folder(), What::Upstreams, 0, false, 10).unwrap().keys;
    assert!(upstreams.iter().all(|c| c.key == "192.0.2.53" && c.queries % 7 == 0 && c.blocked % 2 == 0));
    assert_eq!(log.stats.log.written.load(Relaxed), 30_000);
    assert_eq!(log.stats.log.lost.load(Relaxed), 0);
}

#[test]
fn the_views_have_the_rows_in_words() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = Log::new(folder.path());
    let entries = entries(9000, 1, 200);
    log.write(&entries);
    log.close();
    let db = rusqlite::Connection::open(&files(log.folder())[0]).unwrap();
    let mut queries = db.prepare("SELECT * FROM queries").unwrap();
    let columns: Vec<String> = queries.column_names().into_iter().map(str::to_owned).collect();
    assert_eq!(columns, Row::COLUMNS);
    let mut rows = queries.query([]).unwrap();
    for entry in &entries {
        let row = rows.next().unwrap().unwrap();
        let text = |column: usize| -> Option<String> { row.get(column).unwrap() };
        let (expected, line) = (Row::from(entry), row.get::<_, Option<u32>>(10).unwrap());
        let found = Row {
            at: entry.at,
            client: text(1),
            name: text(2),
            qtype: text(3),
            verdict: text(4).unwrap(),
            answered_by: text(5).unwrap(),
            rcode: text(6),
            transport: text(7).unwrap(),
            rule: text(8),
            list: text(9),
            line,
            reference: text(11)
                .filter(|_| entry.reference.is_some())
                .map(|r| u32::from_str_radix(&r, 16).unwrap()),
            micros: row.get(12).unwrap(),
        };
        assert_eq!(found, expected);
        assert_eq!(text(0), expected.json()["time"].as_str().map(str::to_owned));
    }
    let sum: i64 =
        db.query_row("SELECT sum(queries) FROM hours WHERE kind = 'client'", [], |row| row.get(0)).unwrap();
    assert_eq!(sum, 9000);
}

#[test]
fn a_purged_client_is_gone_from_every_file() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = Log::new(folder.path());
    let mut all = entries(20_000, 2, 500);
    log.write(&all);
    log.close();
    // Into today's file, which stays open.
    let mut today = entries(10_000, 1, 500);
    let now = unix_micros() / 1000 * 1000;
    today.iter_mut().for_each(|entry| entry.at = now);
    all.extend(today.iter().cloned());
    log.start();
    log.push(&today);
    until("today's rows are written", || log.stats.log.written.load(Relaxed) == 30_000);
    let client: IpAddr = [192, 0, 2, 3].into();
    let theirs = |entry: &Entry| entry.client.unwrap().addr() == client;
    let (deleted, problems) = purge(log.folder(), &client.into()).unwrap();
    assert!(problems.is_empty(), "{problems:?}");
    assert_eq!(deleted as usize, all.iter().filter(|entry| theirs(entry)).count());
    // The server goes on.
    log.push(&today[..100]);
    until("more rows are written", || log.stats.log.written.load(Relaxed) == 30_100);
    log.stop();
    all.retain(|entry| !theirs(entry));
    all.extend(today[..100].iter().cloned());
    compare(&log, &all, "after the purge");
    compare_tops(&log, &all, "after the purge");
}

#[test]
fn a_clock_that_is_set_back_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = Log::new(folder.path());
    let mut all = entries(3000, 3, 50);
    // A day forward, two back, a little back over midnight.
    all[1000..].rotate_left(1000);
    all.push(Entry { at: START + 2 * DAY - SECOND, ..all[0].clone() });
    all.push(Entry { at: START + 2 * DAY, ..all[0].clone() });
    all.push(Entry { at: START + 2 * DAY - SECOND, ..all[0].clone() });
    for part in all.chunks(500) {
        log.write(part);
    }
    let page = search(log.folder(), &Filter::default(), None, 10_000).unwrap();
    let key = |row: &Row| (row.at, row.name.clone(), row.client.clone(), row.micros);
    let mut found: Vec<_> = page.rows.iter().map(key).collect();
    let mut expected: Vec<_> = all.iter().map(Row::from).map(|row| key(&row)).collect();
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
}

#[test]
fn a_damaged_file_is_left_and_another_begun() {
    for damage in [&b"this is not a database"[..], &[0; 9000]] {
        let folder = tempfile::tempdir().unwrap();
        let mut log = Log::new(folder.path());
        let entries = entries(500, 1, 50);
        std::fs::create_dir_all(log.folder()).unwrap();
        let mut octets = damage.to_vec();
        octets.resize(20_000, 0x55);
        std::fs::write(log.folder().join("2020-11-01.db"), octets).unwrap();
        log.write(&entries);
        let page = search(log.folder(), &Filter::default(), None, 1000).unwrap();
        assert_eq!(page.rows.len(), 500);
        assert_eq!(page.problems.len(), 1, "{:?}", page.problems);
        let told = page.problems[0].to_string();
        assert!(told.contains("2020-11-01.db") && told.contains("damaged"), "{told}");
        assert!(log.folder().join("2020-11-01.2.db").exists());
    }
}

#[test]
fn a_file_that_breaks_while_it_is_written_costs_no_later_row() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = Log::new(folder.path());
    let entries = entries(20_000, 1, 500);
    log.write(&entries[..10_000]);
    let file = files(log.folder()).remove(0);
    // All but the first pages.
    let mut octets = std::fs::read(&file).unwrap();
    octets[16_384..].fill(0xa5);
    std::fs::write(&file, octets).unwrap();
    log.write(&entries[10_000..]);
    let found = search(log.folder(), &Filter::default(), None, 20_000).unwrap();
    let later: Vec<Row> = entries[10_000..].iter().rev().map(Row::from).collect();
    assert_eq!(found.rows.get(..10_000), Some(&later[..]), "{:?}", found.problems);
}

#[test]
fn one_server_writes_into_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let (mut one, mut other) = (Log::new(folder.path()), Log::new(folder.path()));
    let entries = entries(20, 1, 50);
    one.start();
    one.push(&entries[..10]);
    until("the first writes", || one.stats.log.written.load(Relaxed) == 10);
    other.start();
    other.push(&entries[10..]);
    until("the second can't write", || other.stats.log.failing.load(Relaxed));
    assert_eq!(other.stats.log.written.load(Relaxed), 0);
    one.stop();
    // The second takes over with what it kept.
    until("the second writes", || other.stats.log.written.load(Relaxed) == 10);
    assert!(!other.stats.log.failing.load(Relaxed));
    other.stop();
    assert_eq!(search(one.folder(), &Filter::default(), None, 100).unwrap().rows.len(), 20);
}

#[test]
fn a_folder_that_cannot_be_made_is_told_and_costs_no_memory() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = Log::new(folder.path());
    std::fs::write(log.folder(), "a file").unwrap();
    log.start();
    log.push(&entries(30_000, 1, 50));
    until("what does not fit is lost", || log.stats.log.lost.load(Relaxed) == 20_000);
    assert!(log.stats.log.failing.load(Relaxed));
    log.stop();
    assert_eq!(log.stats.log.lost.load(Relaxed), 30_000);
}

#[test]
fn the_oldest_files_go_when_the_log_is_too_large_or_too_old() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = Log::new(folder.path());
    let old = entries(20_000, 4, 3000);
    log.write(&old);
    log.close();
    let total = |log: &Log| files(log.folder()).iter().map(|f| f.metadata().unwrap().len()).sum::<u64>();
    let before = files(log.folder());
    log.store.size = total(&log) - 1;
    log.close();
    assert!(total(&log) <= log.store.size);
    assert_eq!(files(log.folder()), before[1..], "the oldest, and no more than must");
    (log.store.days, log.store.size) = (1, 1 << 40);
    log.start();
    until("the old files are gone", || !files(log.folder()).iter().any(|file| is_old(file)));
    log.stop();
}

/// What the log costs: rows a second, octets a row, and how long searches take. Takes minutes:
/// `cargo test --release --test engine -- --ignored --nocapture the_cost`.
#[test]
#[ignore = "measures"]
fn the_cost_of_ten_million_rows() {
    let count: usize = std::env::var("ROWS").map_or(10_000_000, |rows| rows.parse().unwrap());
    for (days, what) in [(1, "one open file"), (30, "thirty days")] {
        let folder: TempDir = tempfile::tempdir().unwrap();
        let mut log = Log::new(folder.path());
        let mut numbers = Numbers(88_172_645_463_325_252);
        let step = days * DAY / i64::try_from(count).unwrap();
        log.start();
        let begin = Instant::now();
        let mut pushed = 0;
        for n in 0..count {
            log.push(&[entry(START + i64::try_from(n).unwrap() * step, &mut numbers, 50_000)]);
            pushed += 1;
            if pushed % 100_000 == 0 {
                until("the writer keeps up", || pushed - log.stats.log.written.load(Relaxed) < 500_000);
            }
        }
        until("all is written", || log.stats.log.written.load(Relaxed) == count as u64);
        let took = begin.elapsed();
        let octets: u64 = files(log.folder()).iter().map(|f| f.metadata().unwrap().len()).sum();
        println!(
            "{what}: {:.0} rows a second, {:.1} octets a row",
            count as f64 / took.as_secs_f64(),
            octets as f64 / count as f64
        );
        log.stop();
        let measure = |log: &Log, when: &str| {
            for part in ["host49", "host4999", "host31337", "nowhere"] {
                let filter = Filter { name: Some(NameFilter::Part(part.into())), ..Filter::default() };
                let begin = Instant::now();
                let page = search(log.folder(), &filter, None, 50).unwrap();
                println!("{what}, {when}: `{part}` {} rows in {:?}", page.rows.len(), begin.elapsed());
            }
            for kind in [What::Names, What::Clients, What::Lists] {
                let begin = Instant::now();
                top(log.folder(), kind, START - DAY, true, 10).unwrap();
                println!("{what}, {when}: top of {kind:?} in {:?}", begin.elapsed());
            }
        };
        measure(&log, "open");
        let begin = Instant::now();
        log.close();
        println!("{what}: closed in {:?}", begin.elapsed());
        let octets: u64 = files(log.folder()).iter().map(|f| f.metadata().unwrap().len()).sum();
        println!("{what}: {:.1} octets a row when closed", octets as f64 / count as f64);
        measure(&log, "closed");
    }
}
