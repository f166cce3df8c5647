//! Every wait of the tests has a limit, and a failure names the awaited event.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, ChildStdin, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

/// How long a test waits for an expected event. Only a failing test waits this long, so the limit leaves
/// room for a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// How long a program may run that ends by itself.
pub const RUN: Duration = Duration::from_secs(120);

/// Polls until there is a value.
#[track_caller]
pub fn find<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    find_within(what, PATIENCE, &mut look)
}

/// Polls until a condition holds.
#[track_caller]
pub fn until(what: &str, mut so: impl FnMut() -> bool) {
    find_within(what, PATIENCE, &mut || so().then_some(()));
}

#[track_caller]
fn find_within<T>(what: &str, limit: Duration, look: &mut dyn FnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begin.elapsed() < limit, "waited {limit:?} for this: {what}");
        // Yields the processor to the awaited work.
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// A connection on which no read and no write waits longer than [`PATIENCE`].
#[track_caller]
pub fn connect(server: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect_timeout(&server, PATIENCE).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// A gate that blocks others until it is opened.
#[derive(Clone, Default)]
pub struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Gate {
    /// Waits until it is open.
    pub fn pass(&self, what: &str) {
        let (open, change) = &*self.0;
        let (open, _) = change.wait_timeout_while(open.lock().unwrap(), PATIENCE, |open| !*open).unwrap();
        assert!(*open, "waited {PATIENCE:?} behind a gate for this: {what}");
    }

    pub fn open(&self) {
        *self.0.0.lock().unwrap() = true;
        self.0.1.notify_all();
    }
}

/// Programs that end by themselves.
pub trait Run {
    /// Runs it to its end and returns its output; panics if it takes longer than [`RUN`].
    fn run(&mut self) -> Output;

    /// The same with this standard input.
    fn run_with(&mut self, input: &str) -> Output;

    /// The same for a program that may not be installed.
    fn try_run(&mut self, input: &str) -> std::io::Result<Output>;
}

impl Run for Command {
    #[track_caller]
    fn run(&mut self) -> Output {
        self.run_with("")
    }

    #[track_caller]
    fn run_with(&mut self, input: &str) -> Output {
        self.try_run(input).unwrap_or_else(|error| panic!("{self:?}: {error}"))
    }

    #[track_caller]
    fn try_run(&mut self, input: &str) -> std::io::Result<Output> {
        let what = format!("{self:?}");
        let mut child = self.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let (out, err) = (collect(child.stdout.take().unwrap()), collect(child.stderr.take().unwrap()));
        let mut process = Process {
            stdin: child.stdin.take(),
            child,
            what,
            lines: Mutex::new(channel().1),
            log: Log::default(),
        };
        // It may end without reading all of it.
        let _ = process.stdin.take().unwrap().write_all(input.as_bytes());
        let status = process.ended();
        // Its children may still hold the pipes.
        let take = |octets: Receiver<Vec<u8>>| {
            octets
                .recv_timeout(PATIENCE)
                .unwrap_or_else(|_| panic!("{}: its output does not end", process.what))
        };
        Ok(Output { status, stdout: take(out), stderr: take(err) })
    }
}

/// Reads all of a pipe, on a thread of its own.
fn collect(mut pipe: impl Read + Send + 'static) -> Receiver<Vec<u8>> {
    let (sender, octets) = channel();
    std::thread::spawn(move || {
        let mut all = Vec::new();
        let _ = pipe.read_to_end(&mut all);
        let _ = sender.send(all);
    });
    octets
}

/// The end of a program's standard error.
type Log = Arc<Mutex<String>>;

/// A program that runs until it is stopped or dropped.
pub struct Process {
    child: Child,
    pub stdin: Option<ChildStdin>,
    what: String,
    lines: Mutex<Receiver<String>>,
    log: Log,
}

impl Process {
    /// Starts it. Its output is read continuously, so that no pipe fills up.
    #[track_caller]
    pub fn start(command: &mut Command) -> Self {
        let what = format!("{command:?}");
        let started = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut child = started.unwrap_or_else(|error| panic!("{what}: {error}"));
        let (sender, lines) = channel();
        let out = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || out.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        let log = Log::default();
        let (err, kept) = (BufReader::new(child.stderr.take().unwrap()), Arc::clone(&log));
        std::thread::spawn(move || {
            for line in err.lines().map_while(Result::ok) {
                let mut kept = kept.lock().unwrap();
                if kept.len() < 100_000 {
                    *kept += &format!("{line}\n");
                }
            }
        });
        Self { stdin: child.stdin.take(), child, what, lines: Mutex::new(lines), log }
    }

    /// The next line of its standard output; `None` at its end.
    #[track_caller]
    pub fn line(&self) -> Option<String> {
        match self.lines.lock().unwrap().recv_timeout(PATIENCE) {
            Ok(line) => Some(line),
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => {
                panic!("{}: waited {PATIENCE:?} for its next line\n{}", self.what, self.log())
            }
        }
    }

    /// All further lines of its standard output.
    pub fn lines(&self) -> impl Iterator<Item = String> {
        std::iter::from_fn(|| self.line())
    }

    /// Its standard error so far.
    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal, such as `-TERM`.
    #[track_caller]
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([name, &self.id().to_string()]).run();
        assert!(sent.status.success(), "{sent:?}");
    }

    /// Waits for its end.
    #[track_caller]
    pub fn ended(&mut self) -> ExitStatus {
        let what = format!("the end of {}", self.what);
        find_within(&what, RUN, &mut || self.child.try_wait().unwrap())
    }

    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}
