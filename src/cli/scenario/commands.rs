//! Commands on standard input to a running scenario: its clock, and its draws.

use std::io::BufRead;
use std::sync::Weak;

use crate::cli::{say, say_json};
use crate::stage::censor::Censor;
use crate::stage::harness::{time_text, unix};

/// Executes one command a line until the input ends, and prints the clock after each, as text or JSON.
pub(super) fn take(input: impl BufRead, censor: &Weak<Censor>, json: bool) {
    for line in input.lines().map_while(Result::ok) {
        let command = line.trim();
        if command.is_empty() {
            continue;
        }
        let Some(censor) = censor.upgrade() else { return };
        let done = execute(command, &censor);
        let (now, _) = censor.clock.read(crate::cli::now().at);
        let at = time_text(now, censor.scenario.offset);
        match (json, done) {
            (true, done) => {
                let problem = done.as_ref().err();
                say_json(&serde_json::json!({ "ok": done.is_ok(), "at": at, "problem": problem }));
            }
            (false, Ok(())) => say(&format!("The clock shows {at}.")),
            (false, Err(problem)) => say(&format!("{problem}. The clock shows {at}.")),
        }
    }
}

fn execute(command: &str, censor: &Censor) -> Result<(), String> {
    let now = crate::cli::now().at;
    let (word, rest) = command.split_once(char::is_whitespace).unwrap_or((command, ""));
    match (word, rest.trim()) {
        ("at", time) => censor.clock.set(now, unix(time)?),
        ("speed", times) => censor.clock.run(now, speed(times)?),
        ("rewind", "") => censor.rewind(),
        ("now", "") => {}
        _ => {
            return Err(format!(
                "`{command}` is not a command; expected `at TIME`, `speed TIMES`, `rewind` (restart draws and pools) or `now`"
            ));
        }
    }
    Ok(())
}

/// Reads a speed of the clock: how many seconds pass in one.
pub(super) fn speed(text: &str) -> Result<f64, String> {
    let speed: f64 = text.parse().map_err(|_| "expected a number".to_owned())?;
    if (0.0..=1e9).contains(&speed) { Ok(speed) } else { Err("expected 0 to 1000000000".into()) }
}
