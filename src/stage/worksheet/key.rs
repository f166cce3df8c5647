//! The key to a sheet: plays each question, and lists the replies with the rule behind them.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

use super::{Sheet, cell, changes, command, in_words, letter, port, question_json};
use crate::censor::{End, Expect, Scenario, Seen, describe};
use crate::dns::{Message, Qtype, Rcode, Section, Transport};
use crate::resolver::moment::Moment;
use crate::stage::censor::Observer;
use crate::stage::exchange::{Decided, Exchange};
use crate::stage::harness::time_text;
use crate::stage::world::{Setting, World, client_of};

/// The time between the two askings of a question.
const AGAIN: Duration = Duration::from_secs(2);

/// The key to a sheet.
pub struct Key<'a> {
    sheet: &'a Sheet<'a>,
    /// By round, by question, by network.
    played: Vec<Vec<Vec<Played>>>,
}

/// The result of one question in one network.
struct Played {
    rule: Option<Decided>,
    seen: Seen,
    /// The honest network's reply.
    genuine: Option<Vec<u8>>,
    /// The noticeable signs.
    signs: Vec<String>,
    /// Whether the other transport gets only the genuine answer.
    other_is_honest: bool,
    /// No resolver is there, and no reply came.
    silent: bool,
}

impl Played {
    fn honest(&self) -> bool {
        honest(&self.seen, self.genuine.as_deref())
    }

    /// True if there was no interference.
    fn untouched(&self) -> bool {
        self.silent || self.honest()
    }
}

/// True for exactly the genuine answer, at any time.
fn honest(seen: &Seen, genuine: Option<&[u8]>) -> bool {
    match seen.replies.as_slice() {
        [(_, only)] => seen.end == End::Open && Some(only.as_slice()) == genuine,
        _ => false,
    }
}

/// Keeps the last exchange, for the key.
#[derive(Default)]
struct Last(Mutex<Option<Exchange>>);

impl Observer for Last {
    fn begun(&self, exchange: &Exchange) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(exchange.clone());
    }

    fn ended(&self, _: Exchange) {}
}

impl Last {
    fn take(&self) -> Option<Exchange> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl<'a> Key<'a> {
    /// Plays all questions of a sheet. The scenario is the sheet's own, read once more.
    ///
    /// # Errors
    /// A zone of the scenario is invalid.
    pub fn new(sheet: &'a Sheet<'a>, scenario: Scenario, now: Moment) -> Result<Self, String> {
        let last = Arc::new(Last::default());
        let observer: Arc<dyn Observer> = Arc::<Last>::clone(&last);
        let setting = Setting {
            seed: Some(sheet.seed),
            by_listener: true,
            observer: Some(observer),
            ..Setting::default()
        };
        let world = World::new(scenario, &setting, now)?;
        let networks = 0..u16::try_from(sheet.scenario.networks.len()).unwrap_or(u16::MAX);
        let rounds = sheet.rounds.iter().map(|round| {
            world.censor.clock.set(now.at, round.at);
            let questions = round.questions.iter().map(|question| {
                let asked = networks.clone().map(|network| Expect { network, ..question.clone() });
                asked.map(|question| play(&world, &last, &question, now)).collect()
            });
            questions.collect()
        });
        Ok(Self { sheet, played: rounds.collect() })
    }

    /// The key as Markdown.
    #[must_use]
    pub fn text(&self) -> String {
        let (sheet, scenario) = (self.sheet, self.sheet.scenario);
        let mut text = String::new();
        let _ = writeln!(text, "# Key: {} ({})\n", scenario.title, scenario.name);
        let _ = writeln!(
            text,
            "Seed {}. Played, not looked up: each question from a fresh start. Where a pool rotates, \
             or a TTL is random or counts down, a class sees other values; the key to what it saw is made from \
             its record, with `--log`.\n",
            sheet.seed
        );
        told_networks(&mut text, scenario);
        text.push_str("\nWhat happened when:\n\n");
        let events = scenario.events.iter().map(|e| (e.at, e.text.clone()));
        let wire = changes(scenario).into_iter().map(|(at, what)| (at, format!("on the wire: {what}")));
        let mut lines: Vec<(i64, String)> = events.chain(wire).collect();
        lines.sort();
        for (at, what) in lines {
            let _ = writeln!(text, "- {}: {what}", time_text(at, scenario.offset));
        }
        let mut number = 0;
        for (place, (round, played)) in sheet.rounds.iter().zip(&self.played).enumerate() {
            let at = time_text(round.at, scenario.offset);
            let _ = writeln!(text, "\n## Round {}: {at}\n\n```sh\n{}\n```", place + 1, sheet.command(round));
            for (question, played) in round.questions.iter().zip(played) {
                number += 1;
                let _ = writeln!(text, "\n### {number}. {}\n\n`{}`\n", in_words(question), command(question));
                for (place, (network, played)) in scenario.networks.iter().zip(played).enumerate() {
                    let _ = write!(text, "- {} {}: ", letter(place), network.id);
                    write_played(&mut text, played, question.transport);
                }
                let honest = scenario.networks.iter().zip(played).filter(|(_, p)| p.honest());
                let honest: Vec<&str> = honest.map(|(n, _)| n.id.as_str()).collect();
                let honest = if honest.is_empty() { "none".into() } else { honest.join(", ") };
                let _ = writeln!(text, "\nOnly the genuine answer comes from: {honest}.");
            }
        }
        text.push_str("\n## Who lies, in these questions\n\n");
        for (place, network) in scenario.networks.iter().enumerate() {
            let _ = writeln!(text, "- {} {}: {}", letter(place), network.id, self.verdict(place));
        }
        text
    }

    /// The summary of all questions for one network.
    fn verdict(&self, place: usize) -> String {
        let all: Vec<&Played> =
            self.played.iter().flatten().filter_map(|networks| networks.get(place)).collect();
        let mut rules: Vec<String> = Vec::new();
        let (mut lies, mut helped) = (0, 0);
        for played in all.iter().filter(|p| !p.untouched()) {
            lies += 1;
            helped += usize::from(played.other_is_honest);
            let rule = played.rule.as_ref().map_or_else(|| "no rule".into(), |r| format!("`{}`", r.id));
            if !rules.contains(&rule) {
                rules.push(rule);
            }
        }
        if lies == 0 {
            let silent = all.iter().any(|p| p.silent);
            return if silent { "no resolver is there" } else { "genuine answers only" }.into();
        }
        format!(
            "interference in {lies} of {}, by {}; the other transport helps in {helped}",
            all.len(),
            rules.join(", ")
        )
    }

    /// The key as JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        let (sheet, scenario) = (self.sheet, self.sheet.scenario);
        let mut number = 0;
        let mut rounds = Vec::new();
        for (round, played) in sheet.rounds.iter().zip(&self.played) {
            let mut questions = Vec::new();
            for (question, played) in round.questions.iter().zip(played) {
                number += 1;
                let mut line = question_json(number, question);
                let networks: Vec<Value> = scenario
                    .networks
                    .iter()
                    .zip(played)
                    .enumerate()
                    .map(|(place, (network, played))| played.json(place, &network.id))
                    .collect();
                if let Some(object) = line.as_object_mut() {
                    object.insert("networks".into(), networks.into());
                }
                questions.push(line);
            }
            rounds.push(json!({
                "at": time_text(round.at, scenario.offset), "run": sheet.command(round), "questions": questions,
            }));
        }
        json!({ "scenario": scenario.name, "title": scenario.title, "seed": sheet.seed, "rounds": rounds })
    }
}

impl Played {
    fn json(&self, place: usize, id: &str) -> Value {
        let rule = self.rule.as_ref();
        let replies = self.seen.replies.iter().map(|(after, octets)| {
            json!({
                "after_us": u64::try_from(after.as_micros()).unwrap_or(u64::MAX),
                "genuine": Some(octets) == self.genuine.as_ref(), "text": describe(octets),
            })
        });
        json!({
            "network": id, "letter": letter(place), "port": port(place), "rule": rule.map(|r| &r.id),
            "action": rule.map(|r| &r.action), "intent": rule.map(|r| &r.intent),
            "evidence": rule.map(|r| r.evidence.word()), "replies": replies.collect::<Vec<_>>(),
            "end": end_word(self.seen.end), "signs": self.signs, "honest": self.honest(),
            "other_transport_honest": self.other_is_honest,
        })
    }
}

/// The letters and ports of the networks.
pub(super) fn told_networks(text: &mut String, scenario: &Scenario) {
    text.push_str("| | network | port | what it is |\n| --- | --- | --- | --- |\n");
    for (place, network) in scenario.networks.iter().enumerate() {
        let (letter, port, title) = (letter(place), port(place), cell(&network.title));
        let _ = writeln!(text, "| {letter} | {} | {port} | {title} |", network.id);
    }
}

/// The rule behind an answer, in words.
pub(super) fn told_rule(rule: Option<&Decided>) -> String {
    match rule {
        None => "no rule matches".into(),
        Some(rule) => {
            let (id, action, sure) = (&rule.id, &rule.action, rule.evidence.word());
            let intent: Vec<&str> = rule.intent.split_whitespace().collect();
            format!("rule `{id}` ({action}, {sure}). {}", intent.join(" "))
        }
    }
}

/// How a connection ended, if it did.
pub(super) const fn end_word(end: End) -> Option<&'static str> {
    match end {
        End::Open => None,
        End::Reset => Some("reset"),
        End::Close => Some("close"),
    }
}

fn write_played(text: &mut String, played: &Played, transport: Transport) {
    let _ = writeln!(text, "{}", told_rule(played.rule.as_ref()));
    for (after, octets) in &played.seen.replies {
        let kind = if Some(octets) == played.genuine.as_ref() { "genuine" } else { "forged" };
        let _ = writeln!(text, "  - {:.1} ms, {kind}: `{}`", after.as_secs_f64() * 1000.0, describe(octets));
    }
    if let Some(end) = end_word(played.seen.end) {
        let _ = writeln!(text, "  - the connection ends: {end}");
    } else if played.seen.replies.is_empty() {
        let why = if played.silent { ": no resolver is there" } else { "" };
        let _ = writeln!(text, "  - no answer{why}");
    }
    if played.untouched() {
        return;
    }
    if !played.signs.is_empty() {
        let _ = writeln!(text, "  - signs: {}", played.signs.join("; "));
    }
    let other = other(transport).word().to_uppercase();
    let _ = match played.other_is_honest {
        true => writeln!(text, "  - {other} gets only the genuine answer"),
        false => writeln!(text, "  - {other} does not help"),
    };
}

const fn other(transport: Transport) -> Transport {
    match transport {
        Transport::Udp => Transport::Tcp,
        Transport::Tcp => Transport::Udp,
    }
}

fn play(world: &World, last: &Last, question: &Expect, now: Moment) -> Played {
    let scenario = &world.censor.scenario;
    let (packet, client) = (question.query(0x5eed), client_of(scenario, question));
    world.censor.rewind();
    world.censor.clock.hold_uptime(Duration::ZERO);
    last.take();
    let seen = world.ask(&packet, client, now);
    let rule = last.take().and_then(|exchange| exchange.rule);
    let genuine = world.genuine(&packet, client, now);
    world.censor.clock.hold_uptime(AGAIN);
    let again = world.ask(&packet, client, now);
    let elsewhere = Expect { transport: other(question.transport), ..question.clone() };
    world.censor.rewind();
    world.censor.clock.hold_uptime(Duration::ZERO);
    let client = client_of(scenario, &elsewhere);
    let through = world.ask(&packet, client, now);
    let other_is_honest = honest(&through, world.genuine(&packet, client, now).as_deref());
    let injector_only = scenario.networks.get(usize::from(question.network)).is_some_and(|n| n.injector_only);
    let signs = signs(&seen, genuine.as_deref(), &again, injector_only);
    let silent = injector_only && rule.is_none() && seen.replies.is_empty();
    Played { rule, seen, genuine, signs, other_is_honest, silent }
}

/// The noticeable signs of an answer; none for the genuine one alone.
fn signs(seen: &Seen, genuine: Option<&[u8]>, again: &Seen, injector_only: bool) -> Vec<String> {
    let mut signs = Vec::new();
    if honest(seen, genuine) {
        return signs;
    }
    if injector_only && !seen.replies.is_empty() {
        signs.push("an answer from an address without a resolver".into());
    }
    if seen.replies.len() > 1 {
        let same = seen.replies.windows(2).all(|two| matches!(two, [(_, a), (_, b)] if a == b));
        let how = if same { "the same" } else { "that differ" };
        signs.push(format!("{} replies {how}", seen.replies.len()));
    }
    let Some((_, first)) = seen.replies.first() else { return signs };
    let Some(message) = Message::parse(first) else {
        signs.push("a message that cannot be read".into());
        return signs;
    };
    if let Some(genuine) = genuine.and_then(Message::parse) {
        compare(&mut signs, &message, &genuine);
    }
    for (code, _) in message.edes() {
        signs.push(format!("it says why: Extended DNS Error {}", code.0));
    }
    let ttl = |octets: &[u8]| {
        let message = Message::parse(octets)?;
        message.records().find(|r| r.section == Section::Answer).map(|r| r.ttl)
    };
    // A genuine second answer is the result of another draw: its TTL says nothing about the first answer.
    let again = again.replies.first().filter(|(_, octets)| Some(octets.as_slice()) != genuine);
    if let (Some(before), Some(after)) = (ttl(first), again.and_then(|(_, o)| ttl(o))) {
        let seconds = AGAIN.as_secs();
        if u64::from(before) == u64::from(after) + seconds {
            signs.push(format!("the TTL counts down, {seconds} s later {after}: it comes from a cache"));
        } else if before != after {
            signs.push(format!("the TTL jumps, {seconds} s later {after}: no cache does that"));
        }
    }
    signs
}

/// The differences between an answer and the genuine one.
fn compare(signs: &mut Vec<String>, message: &Message<'_>, genuine: &Message<'_>) {
    let answers = |message: &Message<'_>| {
        let answers = message.records().filter(|r| r.section == Section::Answer);
        let mut answers: Vec<(Qtype, String)> = answers.map(|r| (r.rtype, message.rdata_text(&r))).collect();
        answers.sort_by(|a, b| (a.0.0, &a.1).cmp(&(b.0.0, &b.1)));
        answers
    };
    let soa = |message: &Message<'_>| message.records().any(|r| r.rtype == Qtype::SOA);
    let (code, true_code) = (message.rcode(), genuine.rcode());
    let (has, true_has) = (answers(message), answers(genuine));
    if true_code == Rcode::NXDOMAIN && !has.is_empty() {
        signs.push("an answer for a name that does not exist".into());
    } else if code != true_code {
        signs.push(format!("{code} where the honest network says {true_code}"));
    } else if has.is_empty() && !true_has.is_empty() {
        signs.push("no records, although the honest network has some".into());
    } else if has != true_has {
        signs.push("records that differ from those of the honest network".into());
    } else if soa(genuine) && !soa(message) {
        signs.push("an empty answer without the SOA record of the honest network".into());
    }
    if message.edns().is_none() && genuine.edns().is_some() {
        signs.push("the OPT record is missing".into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::now;
    use crate::stage::shipped;

    fn key_of(name: &str, seed: u64, blind: bool) -> String {
        let scenario = shipped::load(name).unwrap();
        let sheet = Sheet::new(&scenario, name, seed, 8, blind);
        Key::new(&sheet, shipped::load(name).unwrap(), now()).unwrap().text()
    }

    #[test]
    fn the_key_is_played() {
        let text = key_of("ru-2016-linkedin", 20_161_117, false);
        for part in [
            "- A isp-auto: rule `auto-block-page` (stub, modelled). Automatic equipment polls the register",
            "0.0 ms, forged: `NOERROR 8180, linkedin.com. 300 A 192.0.2.1`",
            "1.0 ms, forged: `NOERROR 8180, www.linkedin.com. 600 AAAA 2001:db8:53::1`",
            "signs: 2 replies that differ; records that differ from those of the honest network",
            "TCP gets only the genuine answer",
            "Only the genuine answer comes from: isp-auto, isp-dpi, isp-nx, control.",
            "- D control: genuine answers only",
            "- 2016-11-17T13:00:00+03:00: on the wire: dpi-inject begins",
        ] {
            assert!(text.contains(part), "no `{part}` in\n{text}");
        }
        assert_eq!(text, key_of("ru-2016-linkedin", 20_161_117, false));
        // A blind sheet has the same questions, and its key has the names.
        let blind = key_of("ru-2016-linkedin", 20_161_117, true);
        assert_eq!(text, blind.replace(" --blind", ""));
    }

    #[test]
    fn every_scenario_has_a_key_whose_control_is_honest() {
        for (name, _) in shipped::ALL {
            for seed in 0..4 {
                let text = key_of(name, seed, false);
                assert!(text.contains(" control: genuine answers only"), "{name} {seed}\n{text}");
                let questions = text.matches("\n### ").count();
                assert!((4..=8).contains(&questions), "{name} {seed}: {questions}");
                let scenario = shipped::load(name).unwrap();
                let sheet = Sheet::new(&scenario, name, seed, 8, false);
                let key = Key::new(&sheet, shipped::load(name).unwrap(), now()).unwrap();
                let json = key.json();
                let lies = key.played.iter().flatten().flatten().filter(|p| !p.untouched()).count();
                assert!(lies > 0, "{name} {seed}");
                assert_eq!(json["rounds"].as_array().unwrap().len(), text.matches("\n## Round").count());
            }
        }
    }

    #[test]
    fn what_is_noticeable() {
        let text: String = (0..6).map(|seed| key_of("cn-gfw-injection", seed, false)).collect();
        for part in [
            "an answer from an address without a resolver",
            "no answer: no resolver is there",
            "the connection ends: reset",
            "it comes from a cache",
            "no cache does that",
            "the OPT record is missing",
            "3 replies that differ",
        ] {
            assert!(text.contains(part), "no `{part}` in\n{text}");
        }
        let text: String = (0..6).map(|seed| key_of("fr-honest-blocking", seed, false)).collect();
        assert!(text.contains("it says why: Extended DNS Error 16"), "{text}");
        assert!(text.contains("an answer for a name that does not exist"), "{text}");
    }
}
