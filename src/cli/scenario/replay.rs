//! `portcullis scenario run --replay`: repeats the recorded queries in order, and shows which replies
//! differ.

use std::path::Path;
use std::time::Duration;

use crate::censor::{Scenario, describe};
use crate::cli::{OK, WARNED, say, say_json};
use crate::stage::exchange::Exchange;
use crate::stage::record;
use crate::stage::world::{Setting, World, client_again};

/// Replays a record. Where `setting` is open, the record's own seed and stub mode hold.
pub(super) fn run(scenario: Scenario, mut setting: Setting, file: &Path, json: bool) -> Result<u8, String> {
    let exchanges = read(&scenario, file)?;
    let first = exchanges.first().ok_or_else(|| format!("{}: the record is empty", file.display()))?;
    setting.by_listener = true;
    setting.seed.get_or_insert(first.run.seed);
    setting.stubs.get_or_insert(first.run.stubs);
    let (now, at) = (crate::cli::now(), setting.at);
    let world = World::new(scenario, &setting, now)?;
    let mut differing = 0usize;
    for exchange in &exchanges {
        world.censor.clock.set(now.at, at.unwrap_or(exchange.at));
        world.censor.clock.hold_uptime(exchange.uptime);
        let seen = world.ask(&exchange.query, client_again(&world.censor.scenario, exchange), now);
        // The record holds the packets that were sent, in the order in which they were.
        let mut before: Vec<_> = exchange.replies.iter().map(|r| (r.planned, r.octets.clone())).collect();
        before.sort();
        let mut again = seen.replies.clone();
        again.sort();
        if exchange.cut {
            // Packets that were not sent cannot be compared.
            let mut left = before.iter().peekable();
            again.retain(|reply| left.next_if(|recorded| *recorded == reply).is_some());
        }
        if before != again || exchange.end != seen.end {
            differing += 1;
            print(exchange, &before, &seen.replies, json);
        }
    }
    if json {
        say_json(&serde_json::json!({ "asked": exchanges.len(), "differing": differing }));
    } else {
        let asked = crate::cli::count(exchanges.len(), "question");
        say(&format!("{asked} asked again, {differing} answered differently."));
    }
    Ok(if differing == 0 { OK } else { WARNED })
}

/// The exchanges of a record, in the order in which the questions came.
fn read(scenario: &Scenario, file: &Path) -> Result<Vec<Exchange>, String> {
    let text = std::fs::read_to_string(file).map_err(|e| format!("{}: {e}", file.display()))?;
    let mut exchanges = Vec::new();
    for (number, line) in (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty()) {
        let wrong = |what: String| format!("{}:{number}: {what}", file.display());
        let exchange = record::from_json(line).map_err(wrong)?;
        if exchange.run.scenario != scenario.name {
            let (other, this) = (&exchange.run.scenario, &scenario.name);
            return Err(wrong(format!("this is a record of `{other}`, not of `{this}`")));
        }
        if !scenario.networks.iter().any(|n| n.id == exchange.network) {
            let (network, this) = (&exchange.network, &scenario.name);
            return Err(wrong(format!("`{this}` no longer has a network `{network}`")));
        }
        exchanges.push(exchange);
    }
    exchanges.sort_by_key(|exchange| exchange.number);
    Ok(exchanges)
}

fn print(exchange: &Exchange, before: &[(Duration, Vec<u8>)], now: &[(Duration, Vec<u8>)], json: bool) {
    let question = exchange.question();
    if json {
        let packets = |all: &[(Duration, Vec<u8>)]| -> Vec<String> {
            all.iter()
                .map(|(after, octets)| format!("{} us: {}", after.as_micros(), describe(octets)))
                .collect()
        };
        let line = serde_json::json!({
            "number": exchange.number, "question": question, "network": exchange.network,
            "recorded": packets(before), "now": packets(now),
        });
        return say_json(&line);
    }
    say(&format!("question {} in {}: {question}", exchange.number, exchange.network));
    for (sign, all) in [("-", before), ("+", now)] {
        for (after, octets) in all {
            say(&format!("  {sign} {:>8.1} ms  {}", after.as_secs_f64() * 1000.0, describe(octets)));
        }
    }
}
