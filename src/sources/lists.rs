//! Reads a list's rules, wherever its text comes from.

use std::collections::BTreeMap;
use std::fmt;

use super::include;
use super::progress::Progress;
use super::report::{Failure, Part, plain};
use super::store::{self, ReadError, Stored};
use crate::lists::{self, Attributes, Confined, Format, List, Reader};
use crate::policy::{Compiled, file, schedule::Schedule};
use crate::settings::{ListSettings, TextSource};

/// Reads a text list, for `compile`.
///
/// # Errors
/// The list can't be read, is not a list, or is already compiled.
pub fn read_text(list: &ListSettings, progress: &dyn Progress) -> Result<List, Failure> {
    // A compiled index can't hold rules with times.
    match read_list(list, &BTreeMap::new(), progress)? {
        ListText::Text(text) => Ok(*text),
        ListText::Compiled(..) => {
            let help = Some("compile the lists that it was made from");
            Err(Failure { help, ..failure(list, &"it is already a compiled index") })
        }
    }
}

/// A list that can't be used as it is.
pub(super) fn failure(list: &ListSettings, reason: &dyn fmt::Display) -> Failure {
    let what = Part::List { name: list.name.clone(), source: list.source.describe() };
    let file = match &list.source {
        TextSource::File(path) => Some(path.clone()),
        _ => None,
    };
    Failure { what, file, line: None, reason: reason.to_string(), help: None }
}

/// The failure for `attributes` in a format without them: ignoring the key would apply more rules than wanted.
fn no_attributes(list: &ListSettings, format: Format) -> Failure {
    let reason = format!("only rules of the format v2fly have `attributes`; this list is {format}");
    Failure { help: Some("set `format = \"v2fly\"`, or remove the key"), ..failure(list, &reason) }
}

/// A list whose file can't be read, or is not read to its end.
fn unread(list: &ListSettings, reason: &ReadError) -> Failure {
    let more = |what: &str, key: &str| {
        let reason = format!("{what}; if that is intended, raise `{key}`");
        failure(list, &reason)
    };
    match reason {
        ReadError::Io(error) => {
            Failure { help: Some("name a file that can be read"), ..failure(list, &plain(error)) }
        }
        ReadError::List(lists::ReadError::TooMuch(exceeded)) => {
            Failure { line: Some(exceeded.line), ..failure(list, exceeded) }
        }
        ReadError::List(error) => failure(list, error),
        ReadError::TooLarge(most) => more(&format!("the file is larger than {most} octets"), "max-packed"),
        ReadError::Bomb(ratio) => {
            more(&format!("the file unpacks to more than {ratio} times its size"), "max-ratio")
        }
    }
}

/// Reads a text in memory; a second time if the whole shows a different format from its beginning.
fn read_all(text: &[u8], reader: &dyn Fn() -> Reader) -> Result<List, lists::ReadError> {
    let once = |mut reader: Reader| {
        reader.feed(text)?;
        reader.finish()
    };
    match once(reader()) {
        Err(lists::ReadError::OtherFormat(detected)) => once(reader().detected(detected)),
        read => read,
    }
}

pub(super) enum ListText {
    Text(Box<List>),
    /// With the rules that the list may not have.
    Compiled(Box<Compiled>, Vec<Confined>),
}

/// Reads a list; `schedules` are those to which its lines can refer.
pub(super) fn read_list(
    list: &ListSettings,
    schedules: &BTreeMap<String, Schedule>,
    progress: &dyn Progress,
) -> Result<ListText, Failure> {
    let reader = || {
        Reader::new(list.format, list.plain, list.effect)
            .with_addresses(list.addresses)
            .with_schedules(schedules.keys().cloned())
            .with_attributes(Attributes::of(list.attributes.iter().map(String::as_str)))
            .within(list.bounds.budget)
    };
    let whole = |text: &[u8]| read_all(text, &reader).map_err(|e| failure(list, &e));
    let mut parsed = match &list.source {
        TextSource::File(path) => {
            let unread = |e: ReadError| unread(list, &e);
            let mut stored = Stored::open(path, list.bounds.packed).map_err(unread)?;
            match (file::is_compiled(&stored.head), list.format) {
                (true, Format::Auto | Format::Index) | (false, Format::Index) => {
                    if !list.attributes.is_empty() {
                        return Err(no_attributes(list, Format::Index));
                    }
                    if stored.spooled {
                        return Err(failure(list, &"a compiled index must be a file"));
                    }
                    let octets = store::whole(path).map_err(|e| unread(ReadError::Io(e)))?;
                    return match file::open(&octets) {
                        Ok(mut compiled) => {
                            let confined = compiled.confine(list.may).map_err(|e| failure(list, &e))?;
                            Ok(ListText::Compiled(Box::new(compiled), confined))
                        }
                        Err(e) => Err(failure(list, &e)),
                    };
                }
                _ => stored.read(reader, &list.bounds, progress).map_err(unread)?,
            }
        }
        TextSource::Embedded(_, text) => whole(text.as_bytes())?,
        TextSource::Rewrites(rewrites) => {
            List::of_rewrites(rewrites.iter().map(|r| (r.line, r.name.as_name(), r.matching, r.traits())))
        }
        TextSource::Inline(lines) => {
            // Their indexes serve as line numbers, so none may contain a line break.
            let lines: Vec<String> = lines.iter().map(|l| l.replace('\n', " ")).collect();
            whole(lines.join("\n").as_bytes())?
        }
    };
    if !list.attributes.is_empty() && parsed.format != Format::V2fly {
        return Err(no_attributes(list, parsed.format));
    }
    if let TextSource::File(path) = &list.source {
        include::read(&mut parsed, path, list);
    }
    parsed.confine(list.may);
    Ok(ListText::Text(Box::new(parsed)))
}
