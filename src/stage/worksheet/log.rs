//! The key to the queries that a class really sent, from the record of a scenario.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::BufRead;

use serde_json::{Value, json};

use super::key::{end_word, told_networks, told_rule};
use super::letter;
use crate::censor::{Scenario, describe};
use crate::dns::Query;
use crate::stage::exchange::{Decided, Exchange};
use crate::stage::harness::time_text;
use crate::stage::record;

/// The most kinds of answers listed for one question; the others are counted.
const ANSWERS: usize = 4;

/// A record, grouped by network and question.
pub struct Log<'a> {
    scenario: &'a Scenario,
    questions: u64,
    groups: BTreeMap<Asked, Group>,
}

/// The key of a group: the index of the network, the question, and the rule.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Asked {
    network: usize,
    question: String,
    transport: &'static str,
    rule: Option<String>,
}

/// Equal questions.
struct Group {
    rule: Option<Decided>,
    count: u64,
    first: i64,
    last: i64,
    /// The replies, in words, and how often each was sent.
    answers: BTreeMap<String, u64>,
}

impl<'a> Log<'a> {
    /// Reads a record of this scenario, which is called `file` in messages.
    ///
    /// # Errors
    /// The first line that is not a line of a record, or has a network that the scenario lacks.
    pub fn read(scenario: &'a Scenario, file: &str, lines: impl BufRead) -> Result<Self, String> {
        let mut log = Self { scenario, questions: 0, groups: BTreeMap::new() };
        for (number, line) in (1..).zip(lines.lines()) {
            let at = |problem: String| format!("{file}:{number}: {problem}");
            let line = line.map_err(|e| at(e.to_string()))?;
            if !line.trim().is_empty() {
                log.add(&record::from_json(&line).map_err(at)?).map_err(at)?;
            }
        }
        if log.questions == 0 {
            return Err(format!("{file}: the record is empty"));
        }
        Ok(log)
    }

    fn add(&mut self, exchange: &Exchange) -> Result<(), String> {
        let network = self.scenario.networks.iter().position(|n| n.id == exchange.network);
        let network = network.ok_or_else(|| {
            format!(
                "`{}` is not a network of {}; is this the record of another scenario?",
                exchange.network, self.scenario.name
            )
        })?;
        let question = Query::parse(&exchange.query)
            .map_or_else(|_| "?".into(), |q| format!("{} {}", q.qname.to_folded(), q.qtype));
        let transport = exchange.transport.word();
        let rule = exchange.rule.as_ref().map(|rule| rule.id.clone());
        let group =
            self.groups.entry(Asked { network, question, transport, rule }).or_insert_with(|| Group {
                rule: exchange.rule.clone(),
                count: 0,
                first: exchange.at,
                last: exchange.at,
                answers: BTreeMap::new(),
            });
        group.count += 1;
        group.first = group.first.min(exchange.at);
        group.last = group.last.max(exchange.at);
        *group.answers.entry(sent(exchange)).or_default() += 1;
        self.questions += 1;
        Ok(())
    }

    /// The key as Markdown.
    #[must_use]
    pub fn text(&self) -> String {
        let scenario = self.scenario;
        let mut text = format!("# Key: {} ({})\n\n", scenario.title, scenario.name);
        let _ = writeln!(text, "Made from a record of {} questions.\n", self.questions);
        told_networks(&mut text, scenario);
        for (place, network) in scenario.networks.iter().enumerate() {
            let _ = writeln!(text, "\n## {} {}: {}", letter(place), network.id, network.title);
            let groups: Vec<_> = self.groups.iter().filter(|(asked, _)| asked.network == place).collect();
            if groups.is_empty() {
                text.push_str("\nNo queries here.\n");
            }
            for (asked, group) in groups {
                let (question, transport) = (&asked.question, asked.transport.to_uppercase());
                let times = if group.count == 1 { "once".into() } else { format!("{} times", group.count) };
                let _ = writeln!(text, "\n### {question}, {transport}\n");
                let first = time_text(group.first, scenario.offset);
                let _ = match group.first == group.last {
                    true => writeln!(text, "Asked {times}, at {first}."),
                    false => {
                        let last = time_text(group.last, scenario.offset);
                        writeln!(text, "Asked {times}, from {first} to {last}.")
                    }
                };
                let _ = writeln!(text, "{}\n", sentence(&told_rule(group.rule.as_ref())));
                for (answer, count) in group.answers.iter().take(ANSWERS) {
                    let often =
                        if group.answers.len() == 1 { String::new() } else { format!("{count} ×: ") };
                    let _ = writeln!(text, "- {often}{answer}");
                }
                if let Some(more) = group.answers.len().checked_sub(ANSWERS).filter(|more| *more > 0) {
                    let _ = writeln!(text, "- and {more} more kinds");
                }
            }
        }
        text
    }

    /// The key as JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        let groups = self.groups.iter().map(|(asked, group)| {
            let rule = group.rule.as_ref();
            json!({
                "network": self.scenario.networks.get(asked.network).map(|n| &n.id), "letter": letter(asked.network),
                "question": asked.question, "transport": asked.transport, "count": group.count,
                "first": time_text(group.first, self.scenario.offset),
                "last": time_text(group.last, self.scenario.offset),
                "rule": rule.map(|r| &r.id), "action": rule.map(|r| &r.action), "intent": rule.map(|r| &r.intent),
                "evidence": rule.map(|r| r.evidence.word()),
                "sent": group.answers,
            })
        });
        json!({
            "scenario": self.scenario.name, "questions": self.questions, "asked": groups.collect::<Vec<_>>(),
        })
    }
}

/// All replies to one question, in words. Times are the planned ones: the real ones always differ.
fn sent(exchange: &Exchange) -> String {
    let mut parts: Vec<String> = Vec::new();
    for reply in &exchange.replies {
        let kind = if reply.genuine { "genuine" } else { "forged" };
        let after = reply.planned.as_secs_f64() * 1000.0;
        let ip_ttl = reply.ip_ttl.map_or_else(String::new, |ttl| format!(", IP TTL {ttl}"));
        parts.push(format!("{after:.1} ms, {kind}{ip_ttl}: `{}`", describe(&reply.octets)));
    }
    if let Some(end) = end_word(exchange.end) {
        parts.push(format!("the connection ends: {end}"));
    }
    if parts.is_empty() { "no answer".into() } else { parts.join("; then ") }
}

/// As a sentence of its own.
fn sentence(text: &str) -> String {
    let mut letters = text.trim_end_matches('.').chars();
    letters
        .next()
        .map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect::<String>() + ".")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::now;
    use crate::stage::shipped;

    /// Sends two queries through a world and writes the lines of a record.
    fn record() -> String {
        use std::sync::{Arc, Mutex};
        struct Lines(Mutex<Vec<Exchange>>);
        impl crate::stage::censor::Observer for Lines {
            fn begun(&self, exchange: &Exchange) {
                self.0.lock().unwrap().push(exchange.clone());
            }
            fn ended(&self, _: Exchange) {}
        }
        let lines = Arc::new(Lines(Mutex::new(Vec::new())));
        let scenario = shipped::load("ru-2016-linkedin").unwrap();
        let expect = scenario.expects.iter().find(|e| e.network == 2 && e.at.is_none()).unwrap().clone();
        let setting = crate::stage::world::Setting {
            by_listener: true,
            observer: Some(Arc::<Lines>::clone(&lines)),
            ..Default::default()
        };
        let world = crate::stage::world::World::new(scenario, &setting, now()).unwrap();
        let client = crate::stage::world::client_of(&world.censor.scenario, &expect);
        for _ in 0..2 {
            assert_eq!(world.ask(&expect.query(7), client, now()).replies.len(), 1);
        }
        let exchanges = lines.0.lock().unwrap();
        exchanges.iter().map(|s| record::to_json(s).to_string() + "\n").collect()
    }

    #[test]
    fn the_key_tells_what_was_asked_and_by_which_rule() {
        let scenario = shipped::load("ru-2016-linkedin").unwrap();
        let log = Log::read(&scenario, "run.jsonl", record().as_bytes()).unwrap();
        let text = log.text();
        assert!(text.contains("Made from a record of 2 questions."), "{text}");
        assert!(
            text.contains("### linkedin.com AAAA, UDP\n\nAsked 2 times, at 2016-11-18T09:00:00+03:00."),
            "{text}"
        );
        assert!(
            text.contains("Rule `nx-denied` (rcode, modelled). From 18:00 the resolver claims"),
            "{text}"
        );
        assert_eq!(text.matches("No queries here.").count(), 3);
        assert_eq!(log.json()["asked"][0]["rule"], "nx-denied");
        assert_eq!(log.json()["asked"][0]["count"], 2);
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        let scenario = shipped::load("ru-2016-linkedin").unwrap();
        let good = record();
        for (text, says) in [
            (format!("{good}\n{{\n"), "run.jsonl:4: not JSON: "),
            (format!("{good}[]\n"), "run.jsonl:3: not a JSON object"),
            (good.replace("isp-nx", "xyz"), "run.jsonl:1: `xyz` is not a network of ru-2016-linkedin; "),
            ("\n".into(), "run.jsonl: the record is empty"),
        ] {
            let error = Log::read(&scenario, "run.jsonl", text.as_bytes()).err().unwrap();
            assert!(error.starts_with(says), "{error}");
        }
    }
}
