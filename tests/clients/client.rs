//! The programs of others that tests need: whether they are here, and are what they are taken for.
//!
//! A test whose programs are not here is shown as ignored, with the reason. Where `PORTCULLIS_CLIENTS=required`
//! is set, as in `.ci/run`, it fails.

use std::path::PathBuf;
use std::process::Command;

use libtest_mimic::{Completion, Failed, Trial};

use crate::common::Run;

/// The system's Python has the packages of the system, which another one before it on the path has not.
const PYTHONS: &[&str] = &["python3", "/usr/bin/python3"];

/// A program that a test needs.
pub struct Client {
    /// Where it is looked for, the best place first.
    programs: &'static [&'static str],
    /// A variable that names another place.
    variable: Option<&'static str>,
    /// What makes it say its name and version.
    asked: &'static [&'static str],
    /// What it then says before its version.
    says: &'static str,
    /// The oldest version that shows what the tests look at.
    oldest: (u32, u32),
    /// Where to get it.
    source: &'static str,
}

/// Older ones don't show extended errors.
pub const DIG: Client =
    Client { oldest: (9, 16), ..Client::new(&["dig"], &["-v"], "DiG ", "Debian: bind9-dnsutils") };
pub const KDIG: Client = Client {
    oldest: (3, 1),
    ..Client::new(&["kdig"], &["-V"], "kdig (Knot DNS), version ", "Debian: knot-dnsutils")
};
pub const DNSPING: Client = Client {
    variable: Some("PORTCULLIS_DNSPING"),
    oldest: (2, 10),
    ..Client::new(&["dnsping"], &["-h"], "dnsping version ", "pip: dnsdiag")
};
pub const TSHARK: Client = Client::new(&["tshark"], &["-v"], "TShark (Wireshark) ", "Debian: tshark");
pub const TCPDUMP: Client = Client::new(&["tcpdump"], &["--version"], "tcpdump version ", "Debian: tcpdump");
pub const CHROMIUM: Client = Client::new(&["chromium"], &["--version"], "Chromium ", "Debian: chromium");
pub const UNSHARE: Client =
    Client::new(&["unshare"], &["-V"], "unshare from util-linux ", "Debian: util-linux");
pub const NSENTER: Client =
    Client::new(&["nsenter"], &["-V"], "nsenter from util-linux ", "Debian: util-linux");
/// That of BusyBox knows no namespaces.
pub const IP: Client = Client::new(&["ip"], &["-V"], "ip utility, iproute2-", "Debian: iproute2");
pub const NAMED_COMPILEZONE: Client =
    Client { oldest: (9, 16), ..Client::new(&["named-compilezone"], &["-v"], "", "Debian: bind9-utils") };
pub const NAMED: Client = Client {
    oldest: (9, 16),
    ..Client::new(&["named", "/usr/sbin/named"], &["-V"], "BIND ", "Debian: bind9")
};
pub const DNSSEC_KEYGEN: Client = Client {
    oldest: (9, 16),
    ..Client::new(&["dnssec-keygen"], &["-V"], "dnssec-keygen ", "Debian: bind9-utils")
};
pub const DNSSEC_SIGNZONE: Client = Client {
    oldest: (9, 16),
    ..Client::new(&["dnssec-signzone"], &["-V"], "dnssec-signzone ", "Debian: bind9-utils")
};
pub const DELV: Client =
    Client { oldest: (9, 16), ..Client::new(&["delv"], &["-v"], "delv ", "Debian: bind9-dnsutils") };
pub const UNBOUND: Client = Client {
    oldest: (1, 13),
    ..Client::new(&["unbound", "/usr/sbin/unbound"], &["-V"], "Version ", "Debian: unbound")
};
pub const DNSPYTHON: Client = Client::new(
    PYTHONS,
    &["-c", "import dns.resolver, dns.version; print('dnspython', dns.version.version)"],
    "dnspython ",
    "Debian: python3-dnspython",
);
pub const PYTEST: Client = Client::new(
    PYTHONS,
    &["-c", "import pytest, dns.resolver; print('pytest', pytest.__version__)"],
    "pytest ",
    "Debian: python3-pytest python3-dnspython",
);
/// Older ones have no test runner.
pub const NODE: Client =
    Client { oldest: (18, 0), ..Client::new(&["node"], &["--version"], "v", "Debian: nodejs") };

/// It does not tell its version, nor does the next.
pub const FSTRM_CAPTURE: Client = Client::new(
    &["sh"],
    &["-c", "command -v fstrm_capture >/dev/null && echo fstrm_capture 0.0"],
    "fstrm_capture ",
    "Debian: fstrm-bin",
);
pub const DNSTAP: Client = Client::new(
    &["sh"],
    &["-c", "command -v dnstap >/dev/null && echo dnstap 0.0"],
    "dnstap ",
    "Debian: golang-github-dnstap-golang-dnstap-cli",
);
pub const DNSTAP_PB: Client = Client {
    variable: Some("PORTCULLIS_DNSTAP_PYTHON"),
    ..Client::new(
        PYTHONS,
        &["-c", "import dnstap_pb, importlib.metadata as m; print('dnstap-pb', m.version('dnstap-pb'))"],
        "dnstap-pb ",
        "pip: dnstap-pb",
    )
};
pub const DNSTAP_RECEIVER: Client = Client {
    variable: Some("PORTCULLIS_DNSTAP_PYTHON"),
    ..Client::new(
        PYTHONS,
        &[
            "-c",
            "import dnstap_receiver, importlib.metadata as m; print('dnstap-receiver', m.version('dnstap-receiver'))",
        ],
        "dnstap-receiver ",
        "pip: dnstap-receiver",
    )
};

impl Client {
    const fn new(
        programs: &'static [&'static str],
        asked: &'static [&'static str],
        says: &'static str,
        source: &'static str,
    ) -> Self {
        Self { programs, variable: None, asked, says, oldest: (0, 0), source }
    }

    /// Where it is, or why it can't be used.
    fn find(&self) -> Result<PathBuf, String> {
        let named = self.variable.and_then(std::env::var_os).map(PathBuf::from);
        let places = named.into_iter().chain(self.programs.iter().map(PathBuf::from));
        let mut problem = format!("{} is not installed; {}", self.programs[0], self.source);
        for place in places {
            let Ok(done) = Command::new(&place).args(self.asked).try_run("") else { continue };
            let said = [done.stdout, done.stderr].concat();
            let said = String::from_utf8_lossy(&said);
            if version(&said, self.says).is_some_and(|version| version >= self.oldest) {
                return Ok(place);
            }
            let (major, minor) = self.oldest;
            problem = format!(
                "`{} {}` says `{}`, expected `{}` and at least {major}.{minor}; {}",
                place.display(),
                self.asked.join(" "),
                said.lines().last().unwrap_or_default(),
                self.says.trim_end(),
                self.source
            );
        }
        Err(problem)
    }

    /// Where it is, for a test that needs it.
    pub fn path(&self) -> PathBuf {
        self.find().unwrap_or_else(|problem| panic!("{problem}"))
    }
}

/// The version that a line of a text has behind these words.
fn version(text: &str, words: &str) -> Option<(u32, u32)> {
    let rest = text.lines().find_map(|line| line.strip_prefix(words))?;
    let mut numbers = rest.split(|c: char| !c.is_ascii_digit()).map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next().and_then(Result::ok).unwrap_or(0)))
}

/// A test that needs these programs.
pub fn test(name: &str, needs: &'static [Client], run: fn()) -> Trial {
    test_if(name, needs, || Ok(()), run)
}

/// A test that needs these programs, and something of the system that nobody can install: without it, the test
/// is ignored everywhere.
pub fn test_if(
    name: &str,
    needs: &'static [Client],
    possible: fn() -> Result<(), String>,
    run: fn(),
) -> Trial {
    Trial::ignorable_test(name, move || {
        let required = match std::env::var("PORTCULLIS_CLIENTS").as_deref() {
            Err(_) => false,
            Ok("required") => true,
            Ok(other) => return Err(format!("PORTCULLIS_CLIENTS is `{other}`, expected `required`").into()),
        };
        if let Err(problem) = needs.iter().try_for_each(|client| client.find().map(drop)) {
            return if required { Err(Failed::from(problem)) } else { Ok(Completion::ignored_with(problem)) };
        }
        if let Err(problem) = possible() {
            return Ok(Completion::ignored_with(problem));
        }
        run();
        Ok(Completion::Completed)
    })
}

/// Whether a user may make namespaces here.
pub fn namespaces() -> Result<(), String> {
    let done = Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount", "--net", "mount", "-t", "tmpfs", "none", "/run"])
        .run();
    let why = String::from_utf8_lossy(&done.stderr).trim().to_owned();
    done.status.success().then_some(()).ok_or(format!("no namespaces for users here: {why}"))
}

pub fn tests() -> Vec<Trial> {
    vec![test("client::versions_are_read", &[], versions_are_read)]
}

fn versions_are_read() {
    for (text, words, expected) in [
        ("DiG 9.18.49-1~deb12u3-Debian", "DiG ", Some((9, 18))),
        ("DiG 9.9.5", "DiG ", Some((9, 9))),
        ("kdig (Knot DNS), version 3.2.6", "kdig (Knot DNS), version ", Some((3, 2))),
        (
            "Running as user \"root\".\nTShark (Wireshark) 4.0.17 (Git v4)",
            "TShark (Wireshark) ",
            Some((4, 0)),
        ),
        ("v20", "v", Some((20, 0))),
        ("BusyBox v1.36", "DiG ", None),
        ("DiG", "DiG ", None),
        ("DiG of my own", "DiG ", None),
        ("", "v", None),
    ] {
        assert_eq!(version(text, words), expected, "{text}");
    }
    let absent = Client::new(&["portcullis-no-such-program"], &["-v"], "DiG ", "Debian: nowhere");
    let problem = absent.find().unwrap_err();
    assert_eq!(problem, "portcullis-no-such-program is not installed; Debian: nowhere");
    // Another program under the name, and one that is too old.
    let other = Client::new(&["sh"], &["-c", "echo BusyBox"], "DiG ", "Debian: bind9-dnsutils");
    let problem = other.find().unwrap_err();
    assert!(problem.starts_with("`sh -c echo BusyBox` says `BusyBox`, expected `DiG`"), "{problem}");
    let old = Client::new(&["sh"], &["-c", "echo DiG 9.10"], "DiG ", "Debian: bind9-dnsutils");
    assert!(Client { oldest: (9, 16), ..old }.find().is_err());
}
