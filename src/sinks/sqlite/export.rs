//! Passes on all rows that match, the oldest first.

use std::ops::ControlFlow;
use std::path::Path;

use super::file::{LogError, files};
use super::filter::{Filter, may_have};
use super::read::{Order, Reader};
use crate::sinks::row::Row;

/// How many rows are read before they are passed on: a slow reader must not keep a file from being closed.
const SOME: usize = 4096;

/// Passes all rows that match to `to`, the oldest first, until it breaks. Returns the files that could not be read.
///
/// # Errors
/// The folder can't be read.
pub fn export(
    folder: &Path,
    filter: &Filter,
    mut to: impl FnMut(&Row) -> ControlFlow<()>,
) -> Result<Vec<LogError>, LogError> {
    let mut problems = Vec::new();
    for file in files(folder)?.into_iter().filter(|file| may_have(file, filter)) {
        let error = LogError::of(&file.path);
        let exported = Reader::open(file).and_then(|reader| {
            let Some(reader) = reader else { return Ok(ControlFlow::Continue(())) };
            (|| {
                let Some(wanted) = reader.wanted(filter)? else { return Ok(ControlFlow::Continue(())) };
                let mut from = 0;
                loop {
                    let mut raws = Vec::new();
                    let _ = reader.scan(&wanted, Order::Up, Some(from), SOME, &mut |raw| {
                        raws.push(raw);
                        if raws.len() >= SOME { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
                    })?;
                    let Some(last) = raws.last().map(|raw| raw.id) else {
                        return Ok(ControlFlow::Continue(()));
                    };
                    for raw in &raws {
                        if to(&reader.row(raw)?).is_break() {
                            return Ok(ControlFlow::Break(()));
                        }
                    }
                    from = last;
                }
            })()
            .map_err(error)
        });
        match exported {
            Ok(ControlFlow::Continue(())) => {}
            Ok(ControlFlow::Break(())) => break,
            Err(problem) => problems.push(problem),
        }
    }
    Ok(problems)
}
