//! Reads zones from master files, including `$INCLUDE`d ones, and reports all mistakes at once.

use std::fmt;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::build::{Fault, build};
use super::zone::Zone;
use crate::dns::{NameBuf, master::Handler, master::Place, master::Record, master::read};

/// How many mistakes of a zone are listed; the others are only counted.
const MOST: usize = 20;

/// The mistakes in the files of a zone, one per line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ZoneErrors {
    /// The first mistakes, in the order of the files.
    pub list: Vec<ZoneError>,
    /// How many more there are.
    pub more: usize,
}

/// One mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZoneError {
    /// The file; `None` for text that does not come from one.
    pub file: Option<PathBuf>,
    /// The line, counted from 1; `None` if something is missing.
    pub line: Option<u32>,
    /// What the line has and what was expected, in plain words.
    pub reason: String,
}

impl fmt::Display for ZoneError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.file, self.line) {
            (Some(file), Some(line)) => write!(f, "{}:{line}: {}", file.display(), self.reason),
            (Some(file), None) => write!(f, "{}: {}", file.display(), self.reason),
            (None, Some(line)) => write!(f, "line {line}: {}", self.reason),
            (None, None) => f.write_str(&self.reason),
        }
    }
}

impl fmt::Display for ZoneErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, error) in self.list.iter().enumerate() {
            let end = if i > 0 { "\n" } else { "" };
            write!(f, "{end}{error}")?;
        }
        if self.more > 0 { write!(f, "\nand {} more", self.more) } else { Ok(()) }
    }
}

impl std::error::Error for ZoneErrors {}

/// The most octets of a zone's file and all files that it includes, together.
pub const MAX_OCTETS: u64 = 256 << 20;
/// The most files that a zone includes.
const MAX_FILES: usize = 4096;

/// Reads a zone from the octets of a master file. `path` is the file's path: errors name it, and `$INCLUDE`
/// is relative to its folder. Only regular files in that folder, and in folders within it, are included.
///
/// # Errors
/// See [`ZoneErrors`].
pub fn parse(text: &[u8], origin: &NameBuf, path: Option<&Path>) -> Result<Zone, ZoneErrors> {
    let folder = path.and_then(Path::parent);
    parse_within(text, origin, path, folder)
}

/// Like [`parse`]; files within `folder` are included.
///
/// # Errors
/// See [`ZoneErrors`].
pub fn parse_within(
    text: &[u8],
    origin: &NameBuf,
    path: Option<&Path>,
    folder: Option<&Path>,
) -> Result<Zone, ZoneErrors> {
    let mut reading = Reading {
        files: vec![path.map(Path::to_path_buf)],
        folder: folder.map(Path::to_path_buf),
        room: MAX_OCTETS,
        records: Vec::new(),
        errors: ZoneErrors::default(),
    };
    read(text, origin.as_name(), &mut reading);
    let Reading { files, records, mut errors, .. } = reading;
    let unread = errors.list.len();
    match build(origin, records) {
        Ok(zone) if unread == 0 => Ok(zone),
        Ok(_) => Err(errors),
        Err(faults) => {
            // A record that seems to be missing may be on a line that can't be read.
            for fault in faults.into_iter().filter(|fault| unread == 0 || fault.place.is_some()) {
                errors.add(&files, fault);
            }
            Err(errors)
        }
    }
}

/// What has been read from the files so far.
struct Reading {
    files: Vec<Option<PathBuf>>,
    /// Files outside of it are not included.
    folder: Option<PathBuf>,
    /// Octets that further included files may have.
    room: u64,
    records: Vec<(Place, Record)>,
    errors: ZoneErrors,
}

impl Handler for Reading {
    fn record(&mut self, place: Place, record: Record) {
        self.records.push((place, record));
    }

    fn problem(&mut self, place: Place, reason: String) {
        self.errors.add(&self.files, Fault { place: Some(place), reason });
    }

    fn include(&mut self, path: &str, from: usize) -> Result<(usize, Vec<u8>), String> {
        let beside = self.files.get(from).and_then(|f| f.as_deref()?.parent());
        let (Some(beside), Some(folder)) = (beside, &self.folder) else {
            return Err("this text is not in a file, so it can't include one".into());
        };
        if self.files.len() > MAX_FILES {
            return Err(format!("the zone includes more than {MAX_FILES} files"));
        }
        let path = beside.join(path);
        let found = path.canonicalize().map_err(|e| e.to_string())?;
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        // A link may lead elsewhere.
        if !found.starts_with(folder.canonicalize().map_err(|e| e.to_string())?) {
            return Err(format!("it is not below {}", folder.display()));
        }
        if !fs::metadata(&found).map_err(|e| e.to_string())?.is_file() {
            return Err("it is not a file".into());
        }
        let mut text = Vec::new();
        let file = fs::File::open(&found).map_err(|e| e.to_string())?;
        let len = file.take(self.room + 1).read_to_end(&mut text).map_err(|e| e.to_string())? as u64;
        self.room = self
            .room
            .checked_sub(len)
            .ok_or_else(|| format!("the files that the zone includes have more than {MAX_OCTETS} octets"))?;
        self.files.push(Some(path));
        Ok((self.files.len() - 1, text))
    }
}

impl ZoneErrors {
    fn add(&mut self, files: &[Option<PathBuf>], fault: Fault) {
        if self.list.len() >= MOST {
            self.more += 1;
            return;
        }
        let file = files.get(fault.place.map_or(0, |p| p.file)).cloned().flatten();
        self.list.push(ZoneError { file, line: fault.place.map(|p| p.line), reason: fault.reason });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::Qtype;

    const SOA: &str = "@ 60 IN SOA ns. host. 1 2 3 4 5\n";

    fn origin() -> NameBuf {
        NameBuf::from_text("school.test").unwrap()
    }

    fn errors(text: &str) -> Vec<String> {
        let errors = parse(text.as_bytes(), &origin(), None).map(|_| ()).unwrap_err().to_string();
        errors.lines().map(str::to_owned).collect()
    }

    #[test]
    fn all_mistakes_of_a_file_are_reported_at_once() {
        let text = "\
@ IN SOA ns hostmaster 1 2 3 4
www 60 A 192.0.2.300
    60 AAAA 192.0.2.1
a..b 60 A 192.0.2.1
    TXT \"not closed
mail 60 MX mail
old 60 CH A 192.0.2.1
new 60 HTTP 1 .
far.example. 60 A 192.0.2.1
$ORIGEN sub
$TTL soon
key 60 TXT v=DKIM1 ( \"k=rsa; \" ; a comment
";
        assert_eq!(
            errors(text),
            [
                "line 1: the record ends where a duration is expected; SOA is written like \
                 `ns1.example.org. hostmaster.example.org. 1 3600 600 86400 300`",
                "line 2: `192.0.2.300` is not an IPv4 address; A is written like `192.0.2.1`",
                "line 3: `192.0.2.1` is not an IPv6 address; AAAA is written like `2001:db8::1`",
                "line 4: `a..b` is not a domain name: a label is empty",
                "line 5: a quote is not closed: write `\"` where the text ends",
                "line 6: `mail` is not a number from 0 to 65535; MX is written like `10 mail.example.org.`",
                "line 7: the record is of class CH; zones are of class IN",
                "line 8: `HTTP` is not a record type",
                "line 10: `$ORIGEN` is not a directive: there are $ORIGIN, $TTL, $INCLUDE and $GENERATE",
                "line 11: `soon` is not a TTL: expected seconds up to 2147483647, or a duration such as `1h30m`",
                "line 12: a `(` is not closed: write `)` where the record ends",
                "line 9: far.example. lies outside the zone school.test.",
            ]
        );
    }

    #[test]
    fn unsupported_records_are_refused_with_their_line() {
        for (text, expected) in [
            (
                "a A 192.0.2.1\n",
                "line 2: the record has no TTL: write one before its type, or `$TTL 3600` at the top",
            ),
            (
                "a 60 TYPE65280 x\n",
                "line 2: the data of TYPE65280 are written as `\\# LENGTH HEXADECIMAL` (RFC 3597 §5)",
            ),
            ("a 60 A \\# 3 010203\n", "line 2: these octets are not the data of a record of type A"),
            ("a 60 AXFR x\n", "line 2: a zone can't have records of type AXFR: it is for messages only"),
            (
                " $TTL 5\n",
                "line 2: `$TTL` is not a record type; a directive must be at the beginning of a line",
            ),
            (
                "$GENERATE 0-65536 a$ TXT x\n",
                "line 2: `0-65536` makes 65537 records; one $GENERATE makes 65536 at most",
            ),
            (
                "$INCLUDE x\n",
                "line 2: `x` can't be read: this text is not in a file, so it can't include one",
            ),
            (
                "a 60 LOC 0 N 0 E 0 25m\n",
                "line 2: `25m` can't be kept: a size in LOC is one digit and zeros, up to 90000000m; \
                 LOC is written like `52 22 23.000 N 4 53 32.000 E -2.00m 0.00m 10000m 10m`",
            ),
            (
                "bücher 60 A 192.0.2.1\n",
                "line 2: `bücher` is not a domain name: write `xn--bcher-kva`, or each octet that is not ASCII as `\\DDD`",
            ),
        ] {
            // The TTL of the SOA would apply to the first record.
            let soa = if text.starts_with("a A") { "; no TTL yet\n" } else { SOA };
            assert_eq!(errors(&format!("{soa}{text}"))[0], expected, "{text}");
        }
        assert_eq!(errors("  60 A 192.0.2.1\n").len(), 1);
        assert!(errors("\u{fffe}").len() == 1);
    }

    #[test]
    fn many_mistakes_are_counted() {
        let text = format!("{SOA}{}", "a 60 A x\n".repeat(50));
        let errors = errors(&text);
        assert_eq!((errors.len(), &*errors[20]), (21, "and 30 more"));
    }

    #[test]
    fn included_files_are_found_beside_the_file_and_named_in_errors() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        let path = folder.path().join("zone");
        write("hosts", "www 60 A 192.0.2.1\n$ORIGIN deeper\nx 60 CNAME WWW\n");
        let text = format!("{SOA}$INCLUDE hosts sub\nmail 60 A 192.0.2.2\n");
        let zone = parse(text.as_bytes(), &origin(), Some(&path)).unwrap();
        for (name, rtype) in [
            ("www.sub.school.test", Qtype::A),
            ("x.deeper.sub.school.test", Qtype::CNAME),
            ("mail.school.test", Qtype::A),
        ] {
            let name = NameBuf::from_text(name).unwrap();
            assert!(zone.rrset(name.as_name(), rtype).is_some(), "{name}");
        }
        // Only what is below the folder is included, unless a wider one is given.
        fs::create_dir(folder.path().join("sub")).unwrap();
        let inner = folder.path().join("sub/zone");
        let text = format!("{SOA}$INCLUDE ../hosts sub\n");
        let error = parse(text.as_bytes(), &origin(), Some(&inner)).map(|_| ()).unwrap_err().to_string();
        assert!(error.contains("it is not below"), "{error}");
        parse_within(text.as_bytes(), &origin(), Some(&inner), Some(folder.path())).unwrap();
        // A file that includes itself, a folder, a missing file, and a file with a mistake.
        write("loop", "$INCLUDE loop\n");
        write("bad", "\n\na 60 A x\n");
        let text = format!("{SOA}$INCLUDE loop\n$INCLUDE .\n$INCLUDE none\n$INCLUDE bad\n");
        let errors = parse(text.as_bytes(), &origin(), Some(&path)).map(|_| ()).unwrap_err().list;
        let lines: Vec<String> =
            errors.iter().map(|e| e.to_string()[folder.path().as_os_str().len() + 1..].to_owned()).collect();
        assert_eq!(
            lines,
            [
                "loop:1: files are nested 16 deep here; does `loop` include itself?",
                "zone:3: `.` can't be read: it is not a file",
                "zone:4: `none` can't be read: No such file or directory (os error 2)",
                "bad:3: `x` is not an IPv4 address; A is written like `192.0.2.1`",
            ]
        );
    }

    #[test]
    fn files_that_include_one_another_over_and_over_come_to_an_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("zone");
        let text = format!("{SOA}{}", "$INCLUDE zone\n".repeat(100));
        fs::write(&path, &text).unwrap();
        let errors = parse(text.as_bytes(), &origin(), Some(&path)).map(|_| ()).unwrap_err().to_string();
        assert!(errors.contains("does `zone` include itself?"), "{errors}");
    }
}
