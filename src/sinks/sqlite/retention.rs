//! What is too old or too much is deleted, a file at a time.

use super::file::{DayFile, LogError, files};
use crate::settings::LogStore;

/// Deletes the files that are older than the store keeps them, and then the oldest until the rest fits.
///
/// # Errors
/// The folder can't be read, or a file not be deleted.
pub(super) fn apply(store: &LogStore, open: Option<&DayFile>, today: i64) -> Result<(), LogError> {
    let mut files = files(&store.folder)?;
    files.retain(|file| Some(file) != open);
    let mut sizes: Vec<u64> = files.iter().map(DayFile::octets).collect();
    let mut total = sizes.iter().sum::<u64>() + open.map_or(0, DayFile::octets);
    for (file, size) in files.iter().zip(sizes.drain(..)) {
        let is_old = today - file.day > i64::from(store.days);
        if !is_old && total <= store.size {
            continue;
        }
        file.unlink().map_err(LogError::io(&file.path))?;
        total -= size;
        let why = if is_old { "it is older than [log] days" } else { "the log is larger than [log] size" };
        tracing::info!(file = %file.path.display(), "a file of the query log was deleted: {why}");
    }
    Ok(())
}
