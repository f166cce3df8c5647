//! `portcullis scenario judge`: judges a resolver's replies as censorship probes would.

use std::collections::BTreeMap;
use std::io::{BufRead, ErrorKind, IsTerminal};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::app::runtime;
use crate::censor::End;
use crate::censor::judge::{
    AsnMap, Failure, Fingerprint, Judgement, Known, Lookup, Pair, Probe, Question, Reply, Verdict, judge,
    ooni::Blocking, ooni::flag, satellite::Outcome,
};
use crate::cli::progress::Bar;
use crate::cli::{FAILED, OK, WARNED, count, say, say_coloured, say_error, say_json};
use crate::config::value::duration_of;
use crate::dns::clean;
use crate::dns::{NameBuf, Qtype};
use crate::stage::collect::{self, Patience};

/// Names that are looked up at the same time.
const AT_ONCE: usize = 16;

/// Options of `scenario judge`.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  portcullis scenario judge --resolver 127.0.0.1:5301 --control 127.0.0.1:5300 linkedin.com wikipedia.org\n  \
    portcullis scenario judge --resolver 127.0.0.1:5301 --control 127.0.0.1:5300 --json - < names.txt\n\n\
    Verdicts: injected, ghost, dns-interference, suspect; ok, down; no-control.\n\
    Exit codes: 0 nothing found; 1 interference found for some name; 2 an error, or an unreachable server."
)]
pub(in crate::cli) struct Args {
    /// The resolver to test, such as 127.0.0.1:5301; the default port is 53
    #[arg(long, value_name = "ADDR:PORT", value_parser = server)]
    resolver: SocketAddr,
    /// A trusted resolver to compare with
    #[arg(long, value_name = "ADDR:PORT", value_parser = server)]
    control: SocketAddr,
    /// The names; - reads them from standard input, one a line
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,
    /// Query over TCP; OONI and Satellite query over UDP
    #[arg(long)]
    tcp: bool,
    /// Send an OPT record, which permits Extended DNS Errors in replies; OONI's probe sends none
    #[arg(long)]
    edns: bool,
    /// The source address of queries to the resolver; it may select the network of a scenario
    #[arg(long, value_name = "IP")]
    from: Option<IpAddr>,
    /// How long to wait for further replies, up to 1m
    #[arg(long, value_name = "TIME", default_value = "500ms", value_parser = time)]
    wait: Duration,
    /// How long to wait for the first reply, up to 1m
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = time)]
    timeout: Duration,
    /// How many times to query the control
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=10))]
    tries: u8,
    /// Networks, one a line: a prefix and the number of its autonomous system
    #[arg(long, value_name = "FILE")]
    asn: Option<PathBuf>,
    /// Known answers of censors, in the format of OONI's fingerprints_dns.csv
    #[arg(long, value_name = "FILE")]
    fingerprints: Option<PathBuf>,
    /// The country of the resolver, such as RU: fingerprints expected in that country are proof
    #[arg(long, value_name = "CC", value_parser = country)]
    country: Option<String>,
    /// Print the whole record even for names where nothing was found
    #[arg(short, long)]
    verbose: bool,
    /// Print a line of JSON for each name
    #[arg(long)]
    json: bool,
}

/// Reads an option: a server, by default at port 53.
pub(super) fn server(text: &str) -> Result<SocketAddr, String> {
    let with_port = text.parse().ok();
    let bare = || text.parse::<IpAddr>().ok().map(|ip| SocketAddr::new(ip, 53));
    with_port.or_else(bare).ok_or_else(|| "expected an address and a port, such as 127.0.0.1:5301".into())
}

fn time(text: &str) -> Result<Duration, String> {
    let time = duration_of(text).filter(|t| *t <= Duration::from_secs(60));
    time.ok_or_else(|| "expected a time up to a minute, such as 500ms or 5s".into())
}

fn country(text: &str) -> Result<String, String> {
    let letters = text.len() == 2 && text.bytes().all(|b| b.is_ascii_alphabetic());
    letters.then(|| text.to_ascii_uppercase()).ok_or_else(|| "expected two letters, such as RU".into())
}

/// Runs the command.
pub(super) fn run(args: &Args) -> Result<u8, String> {
    let read = |path: &PathBuf| std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()));
    let mut asns = AsnMap::default();
    if let Some(path) = &args.asn {
        asns = AsnMap::read(&read(path)?).map_err(|e| format!("{}: {e}", path.display()))?;
    }
    let mut fingerprints = Vec::new();
    if let Some(path) = &args.fingerprints {
        let (all, left_out) =
            Fingerprint::read(&read(path)?).map_err(|e| format!("{}: {e}", path.display()))?;
        if left_out > 0 {
            let rows = count(left_out, "row");
            say_error(&format!("{}: {rows} left out: patterns of an unknown kind", path.display()));
        }
        fingerprints = all;
    }
    let known = Known { asns: &asns, fingerprints: &fingerprints, country: args.country.as_deref() };
    let names = names(args)?;
    let mut tally = Tally::default();
    let bar = Bar::default();
    runtime().map_err(|e| e.to_string())?.block_on(ask_all(args, &names, |done, name, probe| {
        let judgement = judge(probe, &known);
        tally.add(probe, &judgement);
        let colour = std::io::stdout().is_terminal();
        bar.aside(|| match (args.json, colour) {
            (true, _) => say_json(&record(name, probe, &judgement)),
            (_, true) => say_coloured(&plain(args, name, probe, &judgement, true)),
            (_, false) => say(&plain(args, name, probe, &judgement, false)),
        });
        bar.count("asking", done, names.len());
    }));
    drop(bar);
    tally.end(args)
}

fn names(args: &Args) -> Result<Vec<NameBuf>, String> {
    let mut texts = Vec::new();
    for name in &args.names {
        if name != "-" {
            texts.push(name.clone());
            continue;
        }
        for line in std::io::stdin().lock().lines() {
            let line = line.map_err(|e| format!("standard input: {e}"))?;
            let line = line.split('#').next().unwrap_or_default().trim();
            if !line.is_empty() {
                texts.push(line.to_owned());
            }
        }
    }
    let name =
        |text: &String| NameBuf::from_text(text).map_err(|e| format!("`{text}` is not a domain name: {e}"));
    let names: Vec<NameBuf> = texts.iter().map(name).collect::<Result<_, _>>()?;
    if names.is_empty() {
        return Err("no names were given".into());
    }
    Ok(names)
}

/// How a server is queried.
#[derive(Clone, Copy)]
struct How {
    server: SocketAddr,
    local: Option<IpAddr>,
    tcp: bool,
    edns: bool,
    patience: Patience,
}

/// Looks up all names, some at a time, and reports each in order.
async fn ask_all(args: &Args, names: &[NameBuf], mut report: impl FnMut(usize, &NameBuf, &Probe)) {
    let patience = Patience { timeout: args.timeout, wait: args.wait };
    let how = |server, local| How { server, local, tcp: args.tcp, edns: args.edns, patience };
    let resolver = how(args.resolver, args.from);
    let control = how(args.control, None);
    let mut waiting = names.iter().cloned().enumerate();
    let mut under_way = JoinSet::new();
    let mut ready: BTreeMap<usize, Probe> = BTreeMap::new();
    let mut next = names.iter().enumerate().peekable();
    loop {
        while under_way.len() < AT_ONCE {
            let Some((place, name)) = waiting.next() else { break };
            under_way.spawn(one(place, Arc::new(name), resolver, control, args.tries));
        }
        let Some(done) = under_way.join_next().await else { break };
        if let Ok((place, probe)) = done {
            ready.insert(place, probe);
        }
        while let Some((place, name)) = next.peek().copied() {
            let Some(probe) = ready.remove(&place) else { break };
            report(place + 1, name, &probe);
            next.next();
        }
    }
}

async fn one(place: usize, name: Arc<NameBuf>, resolver: How, control: How, tries: u8) -> (usize, Probe) {
    let believed = async {
        let mut pairs = Vec::new();
        for _ in 0..tries {
            pairs.push(both(&name, control).await);
        }
        pairs
    };
    let (resolver_said, control_said) = tokio::join!(both(&name, resolver), believed);
    let probe =
        Probe { resolver: resolver_said, control: control_said, udp: !resolver.tcp, edns: resolver.edns };
    (place, probe)
}

async fn both(name: &NameBuf, how: How) -> Pair {
    let (a, aaaa) = tokio::join!(look_up(name, Qtype::A, how), look_up(name, Qtype::AAAA, how));
    Pair { a, aaaa }
}

async fn look_up(name: &NameBuf, qtype: Qtype, how: How) -> Lookup {
    let mut id = [0; 2];
    if getrandom::fill(&mut id).is_err() {
        return Lookup::failed(qtype, Failure::Unreachable);
    }
    let question = Question { name: name.clone(), qtype, id: u16::from_be_bytes(id), edns: how.edns };
    let octets = question.octets();
    let seen = if how.tcp {
        collect::tcp(how.server, how.local, &octets, how.patience).await
    } else {
        collect::udp(how.server, how.local, &octets, how.patience).await
    };
    match seen {
        Ok(seen) => Lookup::read(&question, &seen),
        Err(error) => Lookup::failed(
            qtype,
            match error.kind() {
                ErrorKind::ConnectionRefused => Failure::ConnectionRefused,
                ErrorKind::ConnectionReset => Failure::Reset,
                ErrorKind::TimedOut => Failure::Timeout,
                _ => Failure::Unreachable,
            },
        ),
    }
}

/// How often each verdict occurred.
#[derive(Default)]
struct Tally {
    verdicts: BTreeMap<Verdict, usize>,
    names: usize,
    /// Names for which the system reported the resolver as unreachable.
    absent: usize,
    /// Names for which it sent no reply.
    silent: usize,
}

impl Tally {
    fn add(&mut self, probe: &Probe, judgement: &Judgement) {
        *self.verdicts.entry(judgement.verdict).or_default() += 1;
        self.names += 1;
        let lookups = probe.resolver.both();
        let gone = |l: &&Lookup| matches!(l.result, Err(Failure::ConnectionRefused | Failure::Unreachable));
        self.absent += usize::from(lookups.iter().all(gone));
        self.silent += usize::from(lookups.iter().all(|l| l.replies.is_empty()));
    }

    /// Prints the summary; returns the exit code.
    fn end(&self, args: &Args) -> Result<u8, String> {
        if !args.json && self.names > 1 {
            let parts = Verdict::ALL.iter().rev();
            let parts = parts.filter_map(|v| Some(format!("{} {}", self.verdicts.get(v)?, v.word())));
            say(&format!("{} names: {}", self.names, parts.collect::<Vec<_>>().join(", ")));
        }
        let without = self.verdicts.get(&Verdict::NoControl).copied().unwrap_or(0);
        if without == self.names {
            return Err(format!("the control {} sent no reply", args.control));
        }
        if self.absent == self.names {
            return Err(format!(
                "the resolver {} is unreachable: nothing listens there, or there is no route to it",
                args.resolver
            ));
        }
        if self.silent == self.names && self.names > 1 {
            say_error(&format!("the resolver {} sent no reply for any name; is it running?", args.resolver));
        }
        Ok(match () {
            () if self.verdicts.keys().any(|v| v.is_found()) => WARNED,
            () if without > 0 => {
                say_error(&format!(
                    "the control {} sent no reply for {}",
                    args.control,
                    count(without, "name")
                ));
                FAILED
            }
            () => OK,
        })
    }
}

/// The judgement for people: a line where nothing was found, else a block.
fn plain(args: &Args, name: &NameBuf, probe: &Probe, judgement: &Judgement, colour: bool) -> String {
    let verdict = judgement.verdict;
    let word = verdict.word();
    let (on, off) = match verdict {
        _ if !colour => ("", ""),
        Verdict::Ok => ("\x1b[32m", "\x1b[0m"),
        Verdict::Down | Verdict::NoControl => ("\x1b[2m", "\x1b[0m"),
        _ => ("\x1b[31m", "\x1b[0m"),
    };
    let head = format!("{name}: {on}{word}{off}");
    if !args.verbose && matches!(verdict, Verdict::Ok | Verdict::Down) {
        let addresses: Vec<String> = probe.resolver.addresses().map(|a| a.to_string()).collect();
        let dash = if addresses.is_empty() { "" } else { "; " };
        return format!("{head} ({}{dash}{})", addresses.join(", "), clean(&judgement.why));
    }
    let mut lines = vec![head];
    let mut line =
        |key: &str, text: &str| lines.push(format!("  {key:<10} {}", clean(text)).trim_end().to_owned());
    line("why", &judgement.why);
    for (key, pair) in
        std::iter::once(("resolver", &probe.resolver)).chain(probe.control.last().map(|p| ("control", p)))
    {
        let mut key = key;
        for lookup in pair.both() {
            for text in replies(lookup) {
                line(key, &text);
                key = "";
            }
        }
    }
    if let Some(control) = judgement.control.as_ref().filter(|c| c.tries > 1) {
        line("", &format!("{} of {} tries gave an address", control.successes, control.tries));
    }
    line("OONI", &ooni(probe, judgement));
    if let Some(rule) = judgement.pipeline {
        let (blocked, down, ok) = (rule.blocked, rule.down, rule.ok);
        line("pipeline", &format!("{}: blocked {blocked}, down {down}, ok {ok}", rule.id));
    }
    line(
        "Satellite",
        &match judgement.satellite {
            Some(Outcome::Anomaly) => "anomaly: Satellite would now fetch the page".to_owned(),
            Some(outcome) => outcome.to_string(),
            None if !probe.udp => "- (Satellite queries over UDP)".to_owned(),
            None => "-".to_owned(),
        },
    );
    for sign in judgement.signs.iter().map(ToString::to_string).filter(|s| *s != judgement.why) {
        line("sign", &sign);
    }
    lines.join("\n")
}

fn ooni(probe: &Probe, judgement: &Judgement) -> String {
    let classic = &judgement.classic;
    let mut text = format!("{}, flags {}", classic.consistency.word(), classic.flags);
    let names: Vec<&str> = flag_names(classic.flags).collect();
    if !names.is_empty() {
        text.push_str(&format!(" ({})", names.join(", ")));
    }
    text.push_str(match classic.blocking {
        Blocking::Dns => ", blocking \"dns\"",
        Blocking::DnsIfThePageFails => ", blocking \"dns\" if the page fails",
        Blocking::No => ", blocking false",
        Blocking::NotDns => "",
    });
    let duplicates: usize = probe.resolver.both().iter().map(|l| l.duplicates).sum();
    if duplicates > 0 {
        text.push_str(&format!(", duplicate responses {duplicates}"));
    }
    text
}

fn flag_names(flags: u8) -> impl Iterator<Item = &'static str> {
    flag::NAMES.into_iter().filter(move |(bit, _)| flags & bit != 0).map(|(_, name)| name)
}

/// A line for each reply of a lookup, at least one.
fn replies(lookup: &Lookup) -> Vec<String> {
    let failure = lookup.result.as_ref().err().map_or("", |f| f.word());
    let mut lines: Vec<String> = lookup
        .replies
        .iter()
        .enumerate()
        .map(|(place, reply)| {
            let (key, dash) = match (place, failure) {
                (0, "") => (lookup.qtype.to_string(), String::new()),
                (0, word) => (lookup.qtype.to_string(), format!("{word}: ")),
                _ => (String::new(), "then ".to_owned()),
            };
            format!("{key:<5} {dash}{} after {:.1} ms", reply_text(reply), ms(reply))
        })
        .collect();
    if lines.is_empty() {
        lines.push(format!("{:<5} {failure}", lookup.qtype.to_string()));
    }
    match lookup.end {
        End::Open => {}
        End::Reset => lines.push(format!("{:<5} then RST", "")),
        End::Close => lines.push(format!("{:<5} then FIN", "")),
    }
    lines
}

fn reply_text(reply: &Reply) -> String {
    let Some(said) = &reply.said else { return "not a DNS message".to_owned() };
    let mut text = if said.ours { String::new() } else { "(another id) ".to_owned() };
    text.push_str(&said.rcode.to_string());
    for alias in &said.aliases {
        text.push_str(&format!(" CNAME {alias}"));
    }
    let addresses: Vec<String> = said.addresses.iter().map(ToString::to_string).collect();
    if !addresses.is_empty() {
        text.push_str(&format!(" {}", addresses.join(", ")));
    }
    if let Some(ttl) = said.ttl {
        text.push_str(&format!(" (TTL {ttl})"));
    }
    for (code, words) in &said.edes {
        let dash = if words.is_empty() { "" } else { ": " };
        text.push_str(&format!(" [EDE {code}{dash}{}]", words.escape_debug()));
    }
    text
}

fn ms(reply: &Reply) -> f64 {
    reply.after.as_secs_f64() * 1e3
}

/// The judgement as JSON.
fn record(name: &NameBuf, probe: &Probe, judgement: &Judgement) -> Value {
    let classic = &judgement.classic;
    let control = judgement.control.as_ref();
    let (blocking, if_page_fails) = match classic.blocking {
        Blocking::Dns => (json!("dns"), false),
        Blocking::DnsIfThePageFails => (json!("dns"), true),
        Blocking::No => (json!(false), false),
        Blocking::NotDns => (Value::Null, false),
    };
    json!({
        "name": name.to_string(),
        "verdict": judgement.verdict.word(),
        "why": judgement.why,
        "resolver": pair_record(&probe.resolver),
        "control": probe.control.last().map(pair_record),
        "control_addresses": control.map(|c| &c.addresses),
        "control_tries": probe.control.len(),
        "control_successes": control.map_or(0, |c| c.successes),
        "ooni": {
            "dns_consistency": classic.consistency.word(),
            "flags": classic.flags,
            "flag_names": flag_names(classic.flags).collect::<Vec<_>>(),
            "blocking": blocking,
            "blocking_only_if_the_page_fails": if_page_fails,
        },
        "pipeline": judgement.pipeline.map(|r| {
            json!({ "rule": r.id, "blocked": r.blocked, "down": r.down, "ok": r.ok })
        }),
        "satellite": judgement.satellite.map(|s| s.to_string()),
        "signs": judgement.signs.iter().map(ToString::to_string).collect::<Vec<_>>(),
    })
}

fn pair_record(pair: &Pair) -> Value {
    json!({ "a": lookup_record(&pair.a), "aaaa": lookup_record(&pair.aaaa) })
}

fn lookup_record(lookup: &Lookup) -> Value {
    let replies = lookup.replies.iter().map(|reply| {
        let said = reply.said.as_ref();
        json!({
            "milliseconds": (ms(reply) * 1e3).round() / 1e3,
            "message": said.is_some(),
            "id_fits": said.is_some_and(|s| s.ours),
            "rcode": said.map(|s| s.rcode.to_string()),
            "addresses": said.map(|s| &s.addresses),
            "aliases": said.map(|s| s.aliases.iter().map(ToString::to_string).collect::<Vec<_>>()),
            "ttl": said.and_then(|s| s.ttl),
            "truncated": said.is_some_and(|s| s.truncated),
            "edns": said.is_some_and(|s| s.opt),
            "edes": said.map(|s| s.edes.iter().map(|(code, text)| json!({ "code": code.0, "text": text })).collect::<Vec<_>>()),
        })
    });
    json!({
        "failure": lookup.result.as_ref().err().map(|f| f.word()),
        "addresses": lookup.addresses(),
        "duplicates": lookup.duplicates,
        "end": match lookup.end {
            End::Open => "open",
            End::Reset => "reset",
            End::Close => "close",
        },
        "replies": replies.collect::<Vec<_>>(),
    })
}
