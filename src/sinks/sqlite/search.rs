//! Searches the log, the newest first, a page at a time, and follows what is added.

use std::fmt;
use std::ops::ControlFlow;
use std::path::Path;
use std::str::FromStr;

use super::file::{LogError, date, files};
use super::filter::{Filter, may_have};
use super::read::{Order, Reader};
use crate::sinks::row::Row;

/// A place in the log: behind a row.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor {
    day: i64,
    part: u32,
    row: i64,
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", date(self.day), self.part, self.row)
    }
}

impl FromStr for Cursor {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parse = || {
            let (rest, row) = text.rsplit_once('.')?;
            let (day, part) = rest.rsplit_once('.')?;
            let day: jiff::civil::Date = day.parse().ok()?;
            let day = day.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_second().div_euclid(86_400);
            Some(Self { day, part: part.parse().ok()?, row: row.parse().ok()? })
        };
        parse().ok_or_else(|| "expected a place as a search prints it, such as 2026-11-27.1.500".to_owned())
    }
}

/// Some rows.
#[derive(Debug, Default)]
pub struct Page {
    /// The rows, the newest first.
    pub rows: Vec<Row>,
    /// Where the next page begins; `None`: there is no more.
    pub next: Option<Cursor>,
    /// Files that could not be read.
    pub problems: Vec<LogError>,
}

/// The newest rows that match, at most `limit`, behind `after` if it is given. Files that can't be read are
/// passed over and told.
///
/// # Errors
/// The folder can't be read.
pub fn search(
    folder: &Path,
    filter: &Filter,
    after: Option<&Cursor>,
    limit: usize,
) -> Result<Page, LogError> {
    let mut page = Page::default();
    for file in files(folder)?.into_iter().rev() {
        let at = (file.day, file.part);
        let from = match after {
            Some(after) if at > (after.day, after.part) => continue,
            Some(after) if at == (after.day, after.part) => Some(after.row),
            _ => None,
        };
        if !may_have(&file, filter) {
            continue;
        }
        let error = LogError::of(&file.path);
        let searched = Reader::open(file).and_then(|reader| match reader {
            Some(reader) => search_file(&reader, filter, from, limit, &mut page).map_err(error),
            None => Ok(ControlFlow::Continue(())),
        });
        match searched {
            Ok(ControlFlow::Continue(())) => {}
            Ok(ControlFlow::Break(())) => break,
            Err(problem) => page.problems.push(problem),
        }
    }
    Ok(page)
}

fn search_file(
    reader: &Reader,
    filter: &Filter,
    from: Option<i64>,
    limit: usize,
    page: &mut Page,
) -> rusqlite::Result<ControlFlow<()>> {
    let Some(wanted) = reader.wanted(filter)? else { return Ok(ControlFlow::Continue(())) };
    let mut raws = Vec::new();
    let room = limit.saturating_sub(page.rows.len());
    // One more, to know whether there is a next page.
    let done = reader.scan(&wanted, Order::Down, from, room + 1, &mut |raw| {
        raws.push(raw);
        if raws.len() > room { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    let is_full = raws.len() > room;
    raws.truncate(room);
    for raw in &raws {
        page.rows.push(reader.row(raw)?);
    }
    if is_full {
        let row = raws.last().map_or_else(|| from.unwrap_or(i64::MAX), |raw| raw.id);
        page.next = Some(Cursor { day: reader.file.day, part: reader.file.part, row });
    }
    Ok(done)
}

/// The rows behind a place, the oldest first, at most `limit`, and the place behind them. Without a place: none,
/// and the place behind the last row.
///
/// # Errors
/// The folder can't be read, or the file not.
pub fn follow(
    folder: &Path,
    filter: &Filter,
    after: Option<&Cursor>,
    limit: usize,
) -> Result<(Vec<Row>, Option<Cursor>), LogError> {
    let mut rows = Vec::new();
    let mut place = after.cloned();
    let all = files(folder)?;
    let Some(after) = after else {
        for file in all.into_iter().rev() {
            let (error, day, part) = (LogError::of(&file.path), file.day, file.part);
            let Some(reader) = if_readable(Reader::open(file))? else { continue };
            let last = reader.db.query_row("SELECT coalesce(max(id), 0) FROM q", [], |row| row.get(0));
            return Ok((rows, Some(Cursor { day, part, row: last.map_err(error)? })));
        }
        return Ok((rows, None));
    };
    for file in all {
        let at = (file.day, file.part);
        if at < (after.day, after.part) || rows.len() >= limit {
            continue;
        }
        let from = if at == (after.day, after.part) { after.row } else { 0 };
        let error = LogError::of(&file.path);
        let Some(reader) = if_readable(Reader::open(file))? else { continue };
        let mut last = from;
        (|| {
            last = reader.db.query_row("SELECT coalesce(max(id), 0) FROM q", [], |row| row.get(0))?;
            let Some(wanted) = reader.wanted(filter)? else { return Ok(()) };
            let mut raws = Vec::new();
            let _ = reader.scan(&wanted, Order::Up, Some(from), limit, &mut |raw| {
                raws.push(raw);
                if rows.len() + raws.len() >= limit {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                }
            })?;
            // Rows may have been added meanwhile.
            last = raws
                .last()
                .map_or(last, |raw| if rows.len() + raws.len() >= limit { raw.id } else { last.max(raw.id) });
            for raw in &raws {
                rows.push(reader.row(raw)?);
            }
            Ok::<_, rusqlite::Error>(())
        })()
        .map_err(error)?;
        place = Some(Cursor { day: at.0, part: at.1, row: last });
    }
    Ok((rows, place))
}

/// A file that will never be readable is passed over; other problems may pass.
fn if_readable(opened: Result<Option<Reader>, LogError>) -> Result<Option<Reader>, LogError> {
    match opened {
        Err(error) if error.is_final() => Ok(None),
        opened => opened,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_comes_back_from_its_text() {
        for text in ["2026-11-27.1.500", "1970-01-01.12.1"] {
            assert_eq!(text.parse::<Cursor>().unwrap().to_string(), text);
        }
        for text in ["", "2026-11-27", "2026-11-27.1", "2026-13-27.1.1", "2026-11-27.1.x", "2026-11-27.-1.1"]
        {
            assert!(text.parse::<Cursor>().is_err(), "{text}");
        }
    }
}
