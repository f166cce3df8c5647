//! Each query as a line of JSON, on standard output or at the end of a file.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use super::entry::Entry;
use super::row::Row;
use super::trouble::Trouble;
use crate::dns::clean_json;
use crate::observe::sink::{Drain, Wait};
use crate::observe::stats::SinkStats;
use crate::settings::LogLines;

/// How often a file is looked at: was it moved away, can it be written again?
const LOOK: Duration = Duration::from_secs(1);

/// Writes what comes until the end.
pub(super) fn run(mut drain: Drain<Entry>, to: &LogLines, stats: &Arc<SinkStats>) {
    let mut out = Out::new(to);
    loop {
        match drain.next_within(LOOK) {
            Wait::End => break,
            Wait::Idle => out.look(),
            Wait::Item(entry) => {
                out.look();
                out.put(&entry);
                // Readers see everything as soon as nothing more is waiting; but not each line costs a call.
                let mut more = 0;
                while more < 1000
                    && let Wait::Item(entry) = drain.next_within(Duration::ZERO)
                {
                    out.put(&entry);
                    more += 1;
                }
                match out.flush() {
                    Ok(lines) => stats.lines.wrote(lines),
                    Err(lines) => stats.lines.lose(lines),
                }
                stats.lines.failing.store(out.trouble.is_there(), Relaxed);
            }
        }
    }
}

struct Out {
    /// The file; `None`: standard output.
    path: Option<PathBuf>,
    to: Option<BufWriter<Box<dyn Write>>>,
    file: Option<File>,
    unsure: u64,
    trouble: Trouble,
}

impl Out {
    fn new(to: &LogLines) -> Self {
        let path = match to {
            LogLines::Output => None,
            LogLines::File(path) => Some(path.clone()),
        };
        let mut out =
            Self { path, to: None, file: None, unsure: 0, trouble: Trouble::new("the query log in JSON") };
        out.open();
        out
    }

    fn open(&mut self) {
        let Some(path) = &self.path else {
            self.to = Some(BufWriter::new(Box::new(io::stdout())));
            return;
        };
        let open = || {
            let file = OpenOptions::new().append(true).create(true).open(path)?;
            Ok((file.try_clone()?, file))
        };
        match open() {
            Ok((clone, file)) => {
                self.to = Some(BufWriter::new(Box::new(clone)));
                self.file = Some(file);
            }
            Err(error) => self.failed(&error),
        }
    }

    fn put(&mut self, entry: &Entry) {
        self.unsure += 1;
        if self.to.is_none() {
            self.open();
        }
        let Some(to) = &mut self.to else { return };
        let line = Row::from(entry).json().to_string();
        if let Err(error) = writeln!(to, "{}", clean_json(&line)) {
            self.failed(&error);
        }
    }

    /// The number of lines that were written, or were not.
    fn flush(&mut self) -> Result<u64, u64> {
        let lines = std::mem::take(&mut self.unsure);
        let Some(to) = &mut self.to else { return Err(lines) };
        if let Err(error) = to.flush() {
            self.failed(&error);
            return Err(lines);
        }
        self.trouble.works();
        Ok(lines)
    }

    /// Opens the file again if it was moved away, as programs do that rotate logs.
    fn look(&mut self) {
        let (Some(path), Some(file)) = (&self.path, &self.file) else { return };
        if !is_same(path, file) {
            self.to = None;
            self.file = None;
            self.open();
        }
    }

    fn failed(&mut self, error: &io::Error) {
        let place =
            self.path.as_ref().map_or_else(|| "standard output".into(), |path| path.display().to_string());
        self.trouble.failed(format!("{place}: {error}"));
        if let Some(to) = self.to.take() {
            // What could not be written must not be tried once more when it is dropped.
            let _ = to.into_parts();
        }
        self.file = None;
    }
}

#[cfg(unix)]
fn is_same(path: &Path, file: &File) -> bool {
    use std::os::unix::fs::MetadataExt;
    let id = |is: io::Result<std::fs::Metadata>| is.map(|is| (is.dev(), is.ino()));
    matches!((id(std::fs::metadata(path)), id(file.metadata())), (Ok(one), Ok(other)) if one == other)
}

#[cfg(not(unix))]
fn is_same(path: &Path, _: &File) -> bool {
    path.exists()
}
