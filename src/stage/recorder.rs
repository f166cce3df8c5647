//! Writes the record and the capture beside it, in a thread of its own: sending packets never waits for it.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

use super::capture::Capture;
use super::exchange::Exchange;
use super::record;
use crate::censor::Network;
use crate::dns::clean_json;
use crate::observe::sink::{self, Capacity, Drain};

/// A record in progress.
pub struct Recorder {
    sink: Sink,
    thread: JoinHandle<Written>,
    record: PathBuf,
    capture: PathBuf,
}

/// The sender's side for the answering threads: it drops and counts, and never blocks.
pub type Sink = sink::Sink<Exchange>;

/// The counts of the exchanges.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Exchanges that are in both files.
    pub written: u64,
    /// Exchanges that are not, or may not be: the writer was too slow, or could not write.
    pub dropped: u64,
    /// Why writing failed.
    pub problem: Option<String>,
}

impl Recorder {
    /// Begins a record in the file `path`, which gets lines of JSON, and a capture in the file of the same name
    /// that ends in `.pcapng`. Without an ending of its own, `path` gets `.jsonl`. Existing contents of
    /// the files are lost. `started_unix_us` is the real time at which the scenario's uptime was 0, as
    /// [`Capture::new`] takes it.
    ///
    /// # Errors
    /// Why the files cannot be created.
    pub fn create(path: &Path, networks: &[Network], started_unix_us: i64) -> Result<Self, String> {
        let (record, capture) = paths(path)?;
        let cannot = |path: &Path, e: io::Error| format!("cannot write {}: {e}", path.display());
        // Neither file is truncated unless both can be written.
        let open = |path: &Path| {
            let file = OpenOptions::new().write(true).create(true).truncate(false).open(path);
            file.map_err(|e| cannot(path, e))
        };
        let files = [(open(&record)?, &record), (open(&capture)?, &capture)];
        let [lines, packets] = files.map(|(file, path)| {
            // A pipe cannot be truncated.
            let cut = match file.metadata() {
                Ok(is) if is.is_file() => file.set_len(0),
                is => is.map(drop),
            };
            cut.map(|()| BufWriter::new(file)).map_err(|e| cannot(path, e))
        });
        let lines = lines?;
        let packets = Capture::new(packets?, networks, started_unix_us).map_err(|e| cannot(&capture, e))?;
        let (sink, drain) = Sink::new(Capacity::default());
        let writer = Writer { lines, packets, done: Written::default(), unsure: 0 };
        let thread = std::thread::Builder::new()
            .name("record".to_owned())
            .spawn(move || writer.run(drain))
            .map_err(|e| format!("cannot start a thread: {e}"))?;
        Ok(Self { sink, thread, record, capture })
    }

    /// A handle for exchanges; there may be any number of them, and they may outlive the record.
    #[must_use]
    pub fn sink(&self) -> Sink {
        self.sink.clone()
    }

    /// The files: the record and the capture.
    #[must_use]
    pub fn files(&self) -> (&Path, &Path) {
        (&self.record, &self.capture)
    }

    /// Writes all exchanges received so far, and ends. Later ones count as dropped, but are not in the
    /// summary.
    ///
    /// # Errors
    /// The writing thread has panicked, which no input should cause.
    pub fn finish(self) -> Result<Summary, String> {
        self.sink.end();
        let done = self.thread.join().map_err(|_| "the recording thread has failed")?;
        let dropped = self.sink.dropped() + done.lost;
        Ok(Summary { written: done.written, dropped, problem: done.problem })
    }
}

/// The files of a record: lines of JSON and packets.
fn paths(path: &Path) -> Result<(PathBuf, PathBuf), String> {
    if path.file_name().is_none() {
        return Err(format!("`{}` is not a file name", path.display()));
    }
    match path.extension() {
        Some(ending) if ending.eq_ignore_ascii_case("pcapng") => Err(format!(
            "{} is for lines of JSON; the capture gets the ending .pcapng automatically",
            path.display()
        )),
        Some(_) => Ok((path.to_owned(), path.with_extension("pcapng"))),
        None => Ok((path.with_extension("jsonl"), path.with_extension("pcapng"))),
    }
}

/// The state of the thread.
struct Writer {
    lines: BufWriter<File>,
    packets: Capture<BufWriter<File>>,
    done: Written,
    /// Exchanges that may still be in the buffers.
    unsure: u64,
}

/// What the thread has done.
#[derive(Default)]
struct Written {
    /// Exchanges that are in both files.
    written: u64,
    /// Exchanges that are not there for sure, because of the problem.
    lost: u64,
    /// Why nothing more could be written.
    problem: Option<String>,
}

impl Writer {
    fn run(mut self, mut drain: Drain<Exchange>) -> Written {
        // The header of the capture is written at once, so that the file can be opened.
        self.flush();
        // Flushed whenever the queue is empty, so that readers of the file see everything.
        while let Some(exchange) = drain.next_or(|| self.flush()) {
            self.write(&exchange);
        }
        self.flush();
        self.done
    }

    fn write(&mut self, exchange: &Exchange) {
        self.unsure += 1;
        // After a failure the file may end in half a line: nothing is appended to it.
        let done = match self.done.problem {
            Some(_) => Err(None),
            None => self.put(exchange).map_err(Some),
        };
        if let Err(problem) = done {
            self.fail(problem);
        }
    }

    fn put(&mut self, exchange: &Exchange) -> io::Result<()> {
        let mut line = clean_json(&record::to_json(exchange).to_string()).into_owned();
        line.push('\n');
        self.lines.write_all(line.as_bytes())?;
        self.packets.write(exchange)
    }

    fn flush(&mut self) {
        if self.done.problem.is_some() {
            return;
        }
        match self.lines.flush().and_then(|()| self.packets.flush()) {
            Ok(()) => self.done.written += std::mem::take(&mut self.unsure),
            Err(problem) => self.fail(Some(problem)),
        }
    }

    /// Counts the exchanges that may be missing, and logs the first problem.
    fn fail(&mut self, problem: Option<io::Error>) {
        self.done.lost += std::mem::take(&mut self.unsure);
        if let Some(problem) = problem {
            tracing::error!("the record can no longer be written: {problem}");
            self.done.problem = Some(problem.to_string());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_are_named_after_one() {
        for (path, expected) in [
            ("a/truth.jsonl", Ok(("a/truth.jsonl", "a/truth.pcapng"))),
            ("truth.log", Ok(("truth.log", "truth.pcapng"))),
            ("truth", Ok(("truth.jsonl", "truth.pcapng"))),
            (".truth", Ok((".truth.jsonl", ".truth.pcapng"))),
            ("truth.PcapNG", Err("is for lines of JSON")),
            ("a/..", Err("is not a file name")),
        ] {
            match (paths(Path::new(path)), expected) {
                (Ok((record, capture)), Ok(wanted)) => {
                    assert_eq!((record.to_str().unwrap(), capture.to_str().unwrap()), wanted);
                }
                (Err(problem), Err(wanted)) => assert!(problem.contains(wanted), "{problem}"),
                (got, _) => panic!("{path}: {got:?}"),
            }
        }
    }
}
