//! Reads a list's rules, wherever its text comes from.

use std::borrow::Cow;
use std::fmt;
use std::io;

use super::progress::Progress;
use super::report::{Failure, Part, plain};
use super::store::{self, ReadError};
use crate::lists::addresses::{self, AddressList};
use crate::lists::{Format, List, Reader};
use crate::policy::{Compiled, file};
use crate::settings::{Addresses, ListSettings, TextSource};

/// Reads a text list, for `compile`.
///
/// # Errors
/// The list can't be read, is not a list, or is already compiled.
pub fn read_text(list: &ListSettings, progress: &dyn Progress) -> Result<List, Failure> {
    match read_list(list, progress)? {
        ListText::Text(text) => Ok(*text),
        ListText::Compiled(_) => {
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

/// A list whose file can't be read.
fn unread(list: &ListSettings, reason: &io::Error) -> Failure {
    Failure { help: Some("name a file that can be read"), ..failure(list, &plain(reason)) }
}

pub(super) enum ListText {
    Text(Box<List>),
    Compiled(Box<Compiled>),
}

pub(super) fn read_list(list: &ListSettings, progress: &dyn Progress) -> Result<ListText, Failure> {
    let reader = || Reader::new(list.format, list.plain, list.effect);
    let whole = |text: &[u8]| {
        let mut reader = reader();
        reader.feed(text)?;
        reader.finish()
    };
    let parsed = match &list.source {
        TextSource::File(path) => {
            let unread = |e: io::Error| unread(list, &e);
            let compiled = file::is_compiled(&store::head(path).map_err(unread)?);
            match (compiled, list.format) {
                (true, Format::Auto | Format::Index) | (false, Format::Index) => {
                    let octets = store::whole(path).map_err(unread)?;
                    return match file::open(&octets) {
                        Ok(compiled) => Ok(ListText::Compiled(Box::new(compiled))),
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
        TextSource::Rewrites(rewrites) => List::of_rewrites(
            rewrites.iter().map(|r| (r.line, r.name.as_name(), r.matching, r.action.clone())),
        ),
        TextSource::Inline(lines) => {
            // Their indexes serve as line numbers, so none may contain a line break.
            let lines: Vec<String> = lines.iter().map(|l| l.replace('\n', " ")).collect();
            whole(lines.join("\n").as_bytes()).map_err(|e| failure(list, &e))?
        }
    };
    Ok(ListText::Text(Box::new(parsed)))
}

/// Extracts the addresses from a list that has some; the rest is read as text.
pub(super) fn without_addresses(
    list: &ListSettings,
) -> Result<(Option<Cow<'_, ListSettings>>, Option<AddressList>), Failure> {
    if list.addresses == Addresses::AsRules {
        return Ok((Some(Cow::Borrowed(list)), None));
    }
    let text = match &list.source {
        TextSource::File(path) => store::text(path).map_err(|e| unread(list, &e))?,
        TextSource::Embedded(_, text) => (*text).to_owned(),
        TextSource::Rewrites(_) => String::new(),
        TextSource::Inline(lines) => {
            lines.iter().map(|l| l.replace('\n', " ")).collect::<Vec<_>>().join("\n")
        }
    };
    if list.addresses == Addresses::Only {
        return Ok((None, Some(addresses::read(&text))));
    }
    let (found, rest) = addresses::split(&text);
    let source = TextSource::Inline(rest.lines().map(str::to_owned).collect());
    let format = if list.format == Format::Auto { Format::Domains } else { list.format };
    Ok((Some(Cow::Owned(ListSettings { source, format, ..list.clone() })), Some(found)))
}
