//! What is served when the new text of a list can't be used: the rules that it gave before.

use super::lists::failure;
use super::report::{Failure, ListReport, Report};
use crate::lists::{Format, List};
use crate::policy::{Compiled, Policy, schedule::Schedule};
use crate::settings::{ListSettings, Settings};

/// A list that has been read.
pub(super) struct Loaded {
    pub(super) line: ListReport,
    /// Its rules, if it is text: those of the list itself, then those that have times of their own.
    pub(super) texts: Vec<(Option<Schedule>, List)>,
    /// Its rules, if it is a compiled file.
    pub(super) compiled: Option<Compiled>,
}

/// What was served before.
#[derive(Clone, Copy)]
pub struct LastGood<'p> {
    /// The policy.
    pub policy: &'p Policy,
    /// The settings that it was built from.
    pub settings: &'p Settings,
    /// The report on it.
    pub report: &'p Report,
}

impl<'p> LastGood<'p> {
    /// The report on a list, if the settings for reading it have not changed.
    fn of(self, list: &ListSettings) -> Option<&'p ListReport> {
        let how = |l: &ListSettings| (l.format, l.effect, l.plain, l.addresses, l.attributes.clone());
        let same = |l: &&ListSettings| l.name == list.name && l.source == list.source && how(l) == how(list);
        let at = self.settings.lists.iter().position(|l| same(&l))?;
        self.report.lists.get(at)
    }
}

/// The rules that `last` has of a list whose new text can't be used.
///
/// # Errors
/// There are none.
pub(super) fn keep(
    list: &ListSettings,
    failure: Failure,
    last: Option<LastGood<'_>>,
) -> Result<Loaded, Failure> {
    let Some((last, line)) = last.and_then(|last| Some((last, last.of(list)?))) else {
        return Err(failure);
    };
    let at = failure.line.map_or(String::new(), |line| format!("line {line}: "));
    let line = ListReport { kept: Some(at + &failure.reason), before: None, ..line.clone() };
    let (mut texts, mut compiled) = (Vec::new(), None);
    // The list, and the part of it with its own times; no other list has its name.
    let numbers = last.policy.lists.iter().zip(0u16..).filter(|(policy, _)| policy.name == list.name);
    for (nth, (policy, number)) in numbers.enumerate() {
        if line.format == Format::Index {
            compiled = compiled.or_else(|| last.policy.kept_index(number));
        } else {
            let schedule = policy.schedule.clone().filter(|_| nth > 0);
            texts.push((schedule, last.policy.kept(number, line.format)));
        }
    }
    Ok(Loaded { line, texts, compiled })
}

/// Compares a list with its bounds and with its previous version.
///
/// # Errors
/// It may not replace the previous version.
pub(super) fn accepted(
    list: &ListSettings,
    mut line: ListReport,
    last: Option<LastGood<'_>>,
) -> Result<ListReport, Failure> {
    line.before = last.and_then(|last| last.of(list)).map(|was| was.rules);
    if !line.in_file {
        return Ok(line);
    }
    let (rules, duplicates) = (line.rules, line.account.duplicate);
    let before = line.before.unwrap_or(0);
    let lost = before.saturating_sub(rules).saturating_mul(100);
    let bounds = &list.bounds;
    let reason = if duplicates > bounds.duplicates {
        let most = bounds.duplicates;
        format!("{duplicates} lines repeat an earlier one, and `max-duplicates` is {most}")
    } else if let Some(least) = bounds.min_rules.filter(|least| rules < *least as usize) {
        format!("it gives {}, and `min-rules` is {least}", plural(rules))
    } else if rules == 0 && before > 0 && bounds.min_rules.is_none() {
        "it no longer gives any rules; if that is intended, set `min-rules = 0`".to_owned()
    } else if let Some(most) = bounds.max_shrink.filter(|most| lost > before.saturating_mul((*most).into())) {
        format!("it gives {} after {before}, and `max-shrink` is {most}%", plural(rules))
    } else {
        return Ok(line);
    };
    Err(failure(list, &reason))
}

fn plural(rules: usize) -> String {
    if rules == 1 { "1 rule".to_owned() } else { format!("{rules} rules") }
}
