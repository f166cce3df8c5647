//! Reads a list's rules, wherever its text comes from.

use std::collections::BTreeMap;
use std::fmt;
use std::io;

use super::include;
use super::progress::Progress;
use super::report::{Failure, Part, plain};
use super::store::{self, ReadError};
use crate::lists::{Attributes, Confined, Format, List, Reader};
use crate::policy::{Compiled, file, schedule::Schedule};
use crate::settings::{ListSettings, TextSource};

/// Reads a text list, for `compile`.
///
/// # Errors
/// The list can't be read, is not a list, or is already compiled.
pub fn read_text(list: &ListSettings, progress: &dyn Progress) -> Result<List, Failure> {
    // A compiled index has no times.
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

/// A list whose rules have no attributes to choose by: without the choice, more rules than wanted would apply.
fn no_attributes(list: &ListSettings, format: Format) -> Failure {
    let reason = format!("only rules of the format v2fly have `attributes`; this list is {format}");
    Failure { help: Some("set `format = \"v2fly\"`, or remove the key"), ..failure(list, &reason) }
}

/// A list whose file can't be read.
fn unread(list: &ListSettings, reason: &io::Error) -> Failure {
    Failure { help: Some("name a file that can be read"), ..failure(list, &plain(reason)) }
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
    };
    let whole = |text: &[u8]| {
        let mut reader = reader();
        reader.feed(text)?;
        reader.finish()
    };
    let mut parsed = match &list.source {
        TextSource::File(path) => {
            let unread = |e: io::Error| unread(list, &e);
            let compiled = file::is_compiled(&store::head(path).map_err(unread)?);
            match (compiled, list.format) {
                (true, Format::Auto | Format::Index) | (false, Format::Index) => {
                    if !list.attributes.is_empty() {
                        return Err(no_attributes(list, Format::Index));
                    }
                    let map = store::map(path).map_err(unread)?;
                    return match file::open(&map) {
                        Ok(mut compiled) => {
                            let confined = compiled.confine(list.may).map_err(|e| failure(list, &e))?;
                            Ok(ListText::Compiled(Box::new(compiled), confined))
                        }
                        Err(e) => Err(failure(list, &e)),
                    };
                }
                _ => store::read(path, reader(), progress).map_err(|e| match e {
                    ReadError::Io(e) => unread(e),
                    ReadError::NotAList(e) => failure(list, &e),
                })?,
            }
        }
        TextSource::Embedded(_, text) => whole(text.as_bytes()).map_err(|e| failure(list, &e))?,
        TextSource::Rewrites(rewrites) => {
            List::of_rewrites(rewrites.iter().map(|r| (r.line, r.name.as_name(), r.matching, r.traits())))
        }
        TextSource::Inline(lines) => {
            // Their indexes serve as line numbers, so none may contain a line break.
            let lines: Vec<String> = lines.iter().map(|l| l.replace('\n', " ")).collect();
            whole(lines.join("\n").as_bytes()).map_err(|e| failure(list, &e))?
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
