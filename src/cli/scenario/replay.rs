//! `portcullis scenario run --replay`: asks again what was recorded, in the order in which it came, and
//! shows what is answered otherwise.

use std::path::Path;
use std::time::Duration;

use crate::censor::Scenario;
use crate::censor::seen::describe;
use crate::cli::{OK, WARNED, say};
use crate::observe::story::Story;
use crate::stage::record;
use crate::stage::world::{Setting, World, client_again};

/// Replays a record. What `setting` leaves open is as it was when it was recorded.
pub(super) fn run(scenario: Scenario, mut setting: Setting, file: &Path, json: bool) -> Result<u8, String> {
    let stories = read(&scenario, file)?;
    let first = stories.first().ok_or_else(|| format!("{}: nothing was recorded", file.display()))?;
    setting.by_listener = true;
    setting.seed.get_or_insert(first.staged.seed);
    setting.stubs.get_or_insert(first.staged.stubs);
    let (now, at) = (crate::cli::now(), setting.at);
    let world = World::new(scenario, &setting, now)?;
    let mut differing = 0usize;
    for story in &stories {
        world.censor.clock.set(now.at, at.unwrap_or(story.at));
        world.censor.clock.hold_uptime(story.uptime);
        let seen = world.ask(&story.query, client_again(&world.censor.scenario, story), now);
        // Recorded are the packets that left, in whatever order they did.
        let mut before: Vec<_> = story.replies.iter().map(|r| (r.planned, r.octets.clone())).collect();
        before.sort();
        let mut again = seen.replies.clone();
        again.sort();
        if story.cut {
            // What did not leave can't be compared.
            let mut left = before.iter().peekable();
            again.retain(|reply| left.next_if(|recorded| *recorded == reply).is_some());
        }
        if before != again || story.end != seen.end {
            differing += 1;
            tell(story, &before, &seen.replies, json);
        }
    }
    if json {
        say(&serde_json::json!({ "asked": stories.len(), "differing": differing }).to_string());
    } else {
        let asked = crate::cli::count(stories.len(), "question");
        say(&format!("{asked} asked again, {differing} answered otherwise."));
    }
    Ok(if differing == 0 { OK } else { WARNED })
}

/// The stories of a record, in the order in which the questions came.
fn read(scenario: &Scenario, file: &Path) -> Result<Vec<Story>, String> {
    let text = std::fs::read_to_string(file).map_err(|e| format!("{}: {e}", file.display()))?;
    let mut stories = Vec::new();
    for (number, line) in (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty()) {
        let wrong = |what: String| format!("{}:{number}: {what}", file.display());
        let story = record::from_json(line).map_err(wrong)?;
        if story.staged.scenario != scenario.name {
            let (other, this) = (&story.staged.scenario, &scenario.name);
            return Err(wrong(format!("this is a record of `{other}`, not of `{this}`")));
        }
        if !scenario.networks.iter().any(|n| n.id == story.network) {
            let (network, this) = (&story.network, &scenario.name);
            return Err(wrong(format!("`{network}` is no network of `{this}` any more")));
        }
        stories.push(story);
    }
    stories.sort_by_key(|story| story.number);
    Ok(stories)
}

fn tell(story: &Story, before: &[(Duration, Vec<u8>)], now: &[(Duration, Vec<u8>)], json: bool) {
    let question = story.question();
    if json {
        let packets = |all: &[(Duration, Vec<u8>)]| -> Vec<String> {
            all.iter()
                .map(|(after, octets)| format!("{} us: {}", after.as_micros(), describe(octets)))
                .collect()
        };
        let line = serde_json::json!({
            "number": story.number, "question": question, "network": story.network,
            "recorded": packets(before), "now": packets(now),
        });
        return say(&line.to_string());
    }
    say(&format!("question {} in {}: {question}", story.number, story.network));
    for (sign, all) in [("-", before), ("+", now)] {
        for (after, octets) in all {
            say(&format!("  {sign} {:>8.1} ms  {}", after.as_secs_f64() * 1000.0, describe(octets)));
        }
    }
}
