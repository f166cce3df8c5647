//! A worksheet for a class, chosen by a seed from a scenario's expectations; its key is in [`key`], and the
//! key to a class's own queries in [`log`].

pub mod key;
pub mod log;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr};

use serde_json::{Value, json};

use super::harness::time_text;
use crate::censor::{Draw, Expect, Scenario, WantedReply};
use crate::dns::{Class, Transport};

/// The most moments in a sheet at which the clock stands.
const ROUNDS: usize = 3;
/// The port before that of the first network, as in `scenario run`.
const PORT: u16 = 5300;

/// The questions of a sheet, and their scenario.
pub struct Sheet<'a> {
    /// The scenario.
    pub scenario: &'a Scenario,
    /// Its name for `scenario run`.
    pub name: &'a str,
    /// The seed of the choice and of all random draws.
    pub seed: u64,
    /// Hides the names of the scenario and the networks.
    pub blind: bool,
    /// The questions, in the order of their times.
    pub rounds: Vec<Round>,
}

/// The questions that are asked while the clock stands at one moment.
pub struct Round {
    /// The moment, in seconds since 1970 (UTC).
    pub at: i64,
    /// The questions, as `dig` asks them.
    pub questions: Vec<Expect>,
}

/// Network number 0 is A, and so on.
#[must_use]
pub fn letter(place: usize) -> String {
    let first = char::from(b'A' + u8::try_from(place % 26).unwrap_or(0));
    if place < 26 { first.to_string() } else { format!("{first}{}", place / 26) }
}

/// The moments at which rules begin and end.
#[must_use]
pub fn changes(scenario: &Scenario) -> BTreeSet<(i64, String)> {
    let mut all = BTreeSet::new();
    for rule in &scenario.rules {
        if let Some(from) = rule.when.from {
            all.insert((from, format!("{} begins", rule.id)));
        }
        if let Some(until) = rule.when.until {
            all.insert((until, format!("{} ends", rule.id)));
        }
    }
    all
}

/// The port of a network under `scenario run --port-per-network`.
fn port(place: usize) -> u16 {
    u16::try_from(place).map_or(PORT, |place| PORT.saturating_add(1).saturating_add(place))
}

impl<'a> Sheet<'a> {
    /// Chooses at most this many questions: the same for the same seed.
    #[must_use]
    pub fn new(scenario: &'a Scenario, name: &'a str, seed: u64, most: usize, blind: bool) -> Self {
        let asked = askable(scenario);
        let times = times(scenario, &asked, seed, most);
        let mut rest: Vec<&Expect> = asked.iter().filter(|e| times.contains(&moment(scenario, e))).collect();
        let mut chosen: Vec<&Expect> = Vec::new();
        // Greedily: the question that shows most that is new to the sheet; the seed decides ties.
        while chosen.len() < most {
            let best = (0..rest.len()).max_by_key(|place| {
                let expect = rest.get(*place).copied();
                (expect.map(|e| worth(scenario, e, &chosen)), drawn(seed, *place))
            });
            let Some(best) = best else { break };
            let best = rest.swap_remove(best);
            // A question worth nothing is on the sheet already: every question is asked in all networks.
            if worth(scenario, best, &chosen) > 0 {
                chosen.push(best);
            }
        }
        let rounds = times.iter().map(|at| Round {
            at: *at,
            questions: chosen.iter().filter(|e| moment(scenario, e) == *at).map(|e| (*e).clone()).collect(),
        });
        let rounds = rounds.filter(|round| !round.questions.is_empty()).collect();
        Self { scenario, name, seed, blind, rounds }
    }

    /// The command that plays a round.
    #[must_use]
    pub fn command(&self, round: &Round) -> String {
        let mut command = format!("portcullis scenario run {} --port-per-network", self.name);
        if round.at != self.scenario.last_state() {
            let _ = write!(command, " --at {}", time_text(round.at, self.scenario.offset));
        }
        if self.seed != self.scenario.seed {
            let _ = write!(command, " --seed {}", self.seed);
        }
        if self.blind {
            command.push_str(" --blind");
        }
        command
    }

    fn shown_seed(&self) -> Option<u64> {
        (!self.blind || self.seed != self.scenario.seed).then_some(self.seed)
    }

    fn heading(&self, place: usize, round: &Round) -> String {
        if self.blind {
            return format!("Round {}", place + 1);
        }
        format!("Round {}: {}", place + 1, time_text(round.at, self.scenario.offset))
    }

    /// The sheet as Markdown.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        let title = if self.blind { "a censored network" } else { &self.scenario.title };
        // A scenario's own seed would reveal it.
        let seed = match self.shown_seed() {
            Some(seed) => format!("Seed {seed}. "),
            None => String::new(),
        };
        let _ = writeln!(text, "# Worksheet: {title}\n\n{seed}Name: ____________________\n");
        self.known(&mut text);
        text.push_str(
            "\n## Ask and write down\n\n\
            Ask every question in every network: replace PORT by its port. `dig` shows the first reply \
            and leaves. Whether there are more says, for A and AAAA,\n\n\
            ```sh\nportcullis scenario judge --resolver 127.0.0.1:PORT --control 127.0.0.1:OTHER NAME\n```\n\n\
            with the port of a network that you believe in the place of OTHER.\n",
        );
        let mut number = 0;
        for (place, round) in self.rounds.iter().enumerate() {
            let _ = writeln!(text, "\n### {}\n", self.heading(place, round));
            if self.blind {
                text.push_str("Your teacher starts this round.\n\n");
            } else {
                let _ = writeln!(text, "```sh\n{}\n```\n", self.command(round));
            }
            text.push_str("```sh\n");
            for (number, question) in (number + 1..).zip(&round.questions) {
                let _ = writeln!(text, "{}   # {number}", command(question));
            }
            text.push_str("```\n\n| # | question | network | code | answers | TTL | replies | ms |\n");
            text.push_str("| --- | --- | --- | --- | --- | --- | --- | --- |\n");
            for question in &round.questions {
                number += 1;
                for place in 0..self.scenario.networks.len() {
                    let (number, question) = if place == 0 {
                        (number.to_string(), in_words(question))
                    } else {
                        Default::default()
                    };
                    let _ =
                        writeln!(text, "| {number} | {question} | {} | | | | | |", self.network_name(place));
                }
            }
        }
        text.push_str("\n## Think\n\n");
        for (number, question) in (1..).zip(self.open_questions()) {
            let _ = writeln!(text, "{number}. {question}");
        }
        text
    }

    fn network_name(&self, place: usize) -> String {
        match self.scenario.networks.get(place) {
            Some(network) if !self.blind => network.id.clone(),
            _ => letter(place),
        }
    }

    fn known(&self, text: &mut String) {
        let scenario = self.scenario;
        text.push_str("## What is known\n\n");
        if self.blind {
            let count = scenario.networks.len();
            let _ = writeln!(text, "Somebody tampers with the DNS in some of {count} networks.\n");
        } else {
            let summary: Vec<&str> = scenario.summary.split_whitespace().collect();
            let _ = writeln!(text, "{}\n", summary.join(" "));
            for event in &scenario.events {
                let _ = writeln!(text, "- {}: {}", time_text(event.at, scenario.offset), event.text);
            }
            if !scenario.events.is_empty() {
                text.push('\n');
            }
        }
        let (third, line) = if self.blind { ("", "") } else { (" what it is |", " --- |") };
        let _ = writeln!(text, "| network | port |{third}\n| --- | --- |{line}");
        for (place, network) in scenario.networks.iter().enumerate() {
            let title = if self.blind { String::new() } else { format!(" {} |", cell(&network.title)) };
            let _ = writeln!(text, "| {} | {} |{title}", self.network_name(place), port(place));
        }
    }

    fn open_questions(&self) -> Vec<&'static str> {
        let mut all = vec![
            "Who lies? In which networks, and about which names?",
            "How can you tell? Give for each network the one observation that proves most, and one that proves \
             nothing.",
            "Where in the network must the liar be: in the resolver, or on the path to it?",
            "Which counter-measure would help in which network: another resolver, TCP, DoT or DoH, DNSSEC \
             validation?",
            "Are there names or people affected that were not meant?",
            "Does any answer say why it is as it is?",
        ];
        if self.rounds.len() > 1 {
            all.push("What changed from one round to the next, and what did not?");
        }
        if self.blind {
            all.push("In which country could this be, and what on the wire makes you think so?");
        } else if !self.scenario.events.is_empty() {
            all.push("What did each of the dates above change on the wire? What follows from a law or a ruling alone?");
        }
        all
    }

    /// The sheet as JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        let mut sheet = json!({
            "seed": self.shown_seed(),
            "networks": (0..self.scenario.networks.len()).map(|place| json!({
                "network": self.network_name(place), "port": port(place),
            })).collect::<Vec<_>>(),
            "think": self.open_questions(),
        });
        let mut number = 0;
        let mut rounds = Vec::new();
        for round in &self.rounds {
            let mut questions = Vec::new();
            for question in &round.questions {
                number += 1;
                questions.push(question_json(number, question));
            }
            let mut round_json = json!({ "questions": questions });
            if let (false, Some(object)) = (self.blind, round_json.as_object_mut()) {
                object.insert("at".into(), time_text(round.at, self.scenario.offset).into());
                object.insert("run".into(), self.command(round).into());
            }
            rounds.push(round_json);
        }
        if let Some(object) = sheet.as_object_mut() {
            object.insert("rounds".into(), rounds.into());
            if !self.blind {
                object.insert("scenario".into(), self.scenario.name.clone().into());
                object.insert("title".into(), self.scenario.title.clone().into());
            }
        }
        sheet
    }
}

fn question_json(number: usize, question: &Expect) -> Value {
    json!({
        "number": number, "name": question.qname.to_string(), "type": question.qtype.to_string(),
        "transport": question.transport.word(), "edns": question.edns, "rd": question.rd,
        "dig": command(question),
    })
}

/// All questions of a scenario, each once, as a class asks them with dig from loopback.
fn askable(scenario: &Scenario) -> Vec<Expect> {
    let mut seen = BTreeSet::new();
    let mut all = Vec::new();
    for expect in &scenario.expects {
        // dig sets AD by default, and here that makes no difference.
        let asked = Expect { client: Some(IpAddr::V4(Ipv4Addr::LOCALHOST)), ad: true, ..expect.clone() };
        let at = moment(scenario, &asked);
        if seen.insert((at, command(&asked), asked.network)) {
            all.push(asked);
        }
    }
    all
}

fn moment(scenario: &Scenario, expect: &Expect) -> i64 {
    expect.at.unwrap_or_else(|| scenario.last_state())
}

/// The moments at which a sheet asks: the last state, and some before.
fn times(scenario: &Scenario, asked: &[Expect], seed: u64, most: usize) -> BTreeSet<i64> {
    let last = scenario.last_state();
    let mut all: BTreeMap<i64, u64> = BTreeMap::new();
    for expect in asked {
        *all.entry(moment(scenario, expect)).or_default() += 1;
    }
    let last = all.remove_entry(&last);
    let mut others: Vec<(i64, u64)> = all.into_iter().collect();
    // A moment with more questions is more likely.
    others.sort_by_key(|(at, count)| {
        Draw::new(seed).octets(b"time").octets(&at.to_be_bytes()).finish() / count
    });
    // As many as the questions need; for few questions one is enough.
    let (mut chosen, mut given) = (BTreeSet::new(), 0);
    for (at, _) in last.into_iter().chain(others) {
        if chosen.len() < ROUNDS && (given < most || chosen.len() < most.div_ceil(3)) {
            chosen.insert(at);
            let there = asked.iter().filter(|e| moment(scenario, e) == at);
            given += there.map(command).collect::<BTreeSet<_>>().len();
        }
    }
    chosen
}

fn drawn(seed: u64, place: usize) -> u64 {
    Draw::new(seed).octets(b"question").number(place as u64).finish()
}

/// How much a question shows beyond the chosen ones.
fn worth(scenario: &Scenario, expect: &Expect, chosen: &[&Expect]) -> u32 {
    let fresh = |worth: u32, same: &dyn Fn(&Expect) -> bool| {
        if chosen.iter().any(|c| same(c)) { 0 } else { worth }
    };
    if chosen.iter().any(|c| moment(scenario, c) == moment(scenario, expect) && command(c) == command(expect))
    {
        return 0;
    }
    let honest = expect.replies.iter().all(|r| matches!(r.what, WantedReply::Genuine));
    1 + fresh(8, &|c| moment(scenario, c) == moment(scenario, expect))
        + fresh(6, &|c| c.network == expect.network)
        + fresh(4, &|c| c.transport == expect.transport)
        + fresh(3, &|c| c.qtype == expect.qtype)
        + fresh(2, &|c| c.qname == expect.qname)
        + u32::from(!honest || expect.replies.is_empty()) * 2
}

/// The question in words.
fn in_words(question: &Expect) -> String {
    let mut text = format!("{} {}", question.qname, question.qtype);
    if question.qclass != Class::IN {
        let _ = write!(text, " (class {})", question.qclass);
    }
    let transport = match question.transport {
        Transport::Udp => "UDP",
        Transport::Tcp => "TCP",
    };
    let _ = write!(text, ", {transport}");
    if question.edns {
        text.push_str(", EDNS");
    }
    if !question.rd {
        text.push_str(", no RD");
    }
    cell(&text)
}

/// The question as a command.
fn command(question: &Expect) -> String {
    let mut command = String::from("dig @127.0.0.1 -p PORT +tries=1 +time=2");
    // Without +ignore, dig retries truncated answers over TCP.
    command.push_str(match question.transport {
        Transport::Udp => " +ignore",
        Transport::Tcp => " +tcp",
    });
    command.push_str(if question.edns { " +nocookie" } else { " +noedns" });
    if !question.rd {
        command.push_str(" +norecurse");
    }
    let _ = write!(command, " {}", in_shell(&question.qname.to_string()));
    if question.qclass != Class::IN {
        let _ = write!(command, " -c {}", question.qclass);
    }
    let _ = write!(command, " {}", question.qtype);
    command
}

/// A name for `dig` in a shell: quoted where the shell would change it.
#[must_use]
pub fn in_shell(name: &str) -> String {
    let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'));
    match plain && !name.starts_with('-') {
        true => name.to_owned(),
        false => format!("-q '{}'", name.replace('\'', r"\039")),
    }
}

/// Text without characters that end a table cell.
fn cell(text: &str) -> String {
    text.replace('|', r"\|")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stage::shipped;

    const QUESTIONS: usize = 8;

    fn of(name: &str, seed: u64, blind: bool) -> String {
        Sheet::new(&shipped::load(name).unwrap(), name, seed, QUESTIONS, blind).text()
    }

    #[test]
    fn the_seed_decides() {
        for (name, _) in shipped::ALL {
            assert_eq!(of(name, 7, false), of(name, 7, false));
            let sheets: BTreeSet<String> =
                (0..10).map(|seed| of(name, seed, false).replace(&format!("Seed {seed}."), "")).collect();
            assert!(sheets.len() > 3, "{name}: {}", sheets.len());
        }
    }

    #[test]
    fn a_sheet_covers_networks_types_and_transports() {
        for seed in 0..10 {
            let scenario = shipped::load("ru-2016-linkedin").unwrap();
            let sheet = Sheet::new(&scenario, "ru-2016-linkedin", seed, QUESTIONS, false);
            let all: Vec<&Expect> = sheet.rounds.iter().flat_map(|r| &r.questions).collect();
            assert_eq!(all.len(), QUESTIONS);
            let networks: BTreeSet<u16> = all.iter().map(|e| e.network).collect();
            let types: BTreeSet<u16> = all.iter().map(|e| e.qtype.0).collect();
            let transports: BTreeSet<&str> = all.iter().map(|e| e.transport.word()).collect();
            assert_eq!((networks.len(), transports.len()), (4, 2), "{seed}");
            assert!(types.len() >= 4, "{seed}: {types:?}");
            assert_eq!(sheet.rounds.last().unwrap().at, scenario.last_state());
            let commands: BTreeSet<(i64, String)> =
                sheet.rounds.iter().flat_map(|r| r.questions.iter().map(|q| (r.at, command(q)))).collect();
            assert_eq!(commands.len(), QUESTIONS, "{seed}: a question stands twice");
        }
    }

    #[test]
    fn a_short_sheet_has_few_rounds() {
        for (name, _) in shipped::ALL {
            let scenario = shipped::load(name).unwrap();
            let sheet = Sheet::new(&scenario, name, 7, 3, false);
            assert_eq!(sheet.rounds.iter().map(|r| r.questions.len()).sum::<usize>(), 3, "{name}");
            assert!(sheet.rounds.len() == 1 || *name == "tr-2014-twitter", "{name}");
        }
    }

    #[test]
    fn a_blind_sheet_does_not_tell() {
        for (name, _) in shipped::ALL {
            let scenario = shipped::load(name).unwrap();
            let sheet = Sheet::new(&scenario, name, 3, QUESTIONS, true);
            for text in [sheet.text(), sheet.json().to_string()] {
                for secret in [name, scenario.title.as_str(), "--at", "Roskomnadzor", "201", "202"] {
                    assert!(!text.contains(secret), "{name}: {secret} in\n{text}");
                }
                for network in &scenario.networks {
                    assert!(!text.contains(&network.title), "{name}: {}", network.title);
                    // `resolver` is also a word in the open questions.
                    for told in [format!("| {} |", network.id), format!("\"{}\"", network.id)] {
                        assert!(!text.contains(&told), "{name}: {told} in\n{text}");
                    }
                }
            }
        }
        assert!(!of("ru-2016-linkedin", 20_161_117, true).contains("Seed"));
        let text = of("ru-2016-linkedin", 1, true);
        assert!(text.contains("linkedin.com") && !text.contains("LinkedIn"), "{text}");
        assert!(text.contains("| A | 5301 |\n| B | 5302 |"), "{text}");
    }

    #[test]
    fn an_open_sheet_says_how_to_start() {
        let text = of("ru-2016-linkedin", 20_161_117, false);
        for part in [
            "# Worksheet: Russia, 2016: the day LinkedIn disappeared",
            "- 2016-08-04T12:00:00+03:00: The Tagansky District Court of Moscow rules that LinkedIn be blocked",
            "\nportcullis scenario run ru-2016-linkedin --port-per-network\n",
            " --port-per-network --at 2016-",
            "\ndig @127.0.0.1 -p PORT +tries=1 +time=2 +tcp ",
            "What did each of the dates above change on the wire?",
        ] {
            assert!(text.contains(part), "no `{part}` in\n{text}");
        }
        assert!(of("ru-2016-linkedin", 5, false).contains("--seed 5\n"));
    }

    #[test]
    fn names_are_quoted_for_a_shell() {
        let scenario = shipped::load("cn-gfw-injection").unwrap();
        let all: Vec<String> = scenario.expects.iter().map(command).collect();
        assert!(all.iter().any(|c| c.ends_with(r" -q 'www\.facebook.com' AAAA")), "{all:?}");
        assert!(all.iter().any(|c| c.ends_with(r" -q 'facebook.com\000.example.org' AAAA")), "{all:?}");
    }
}
