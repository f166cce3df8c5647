//! From entries to records: owners, TTLs, classes and directives, read as BIND reads them.

use super::data;
use super::generate;
use super::token::{Entries, Entry, Problem, Word, shown};
use super::value;
use super::words::rtype;
use crate::dns::name::{Name, NameBuf};
use crate::dns::types::{Class, Qtype};

/// The deepest nesting of files.
const MAX_DEPTH: usize = 16;
/// The most records that all `$GENERATE` directives of a zone make together.
const MAX_GENERATED: u64 = 1 << 20;
/// How many files all `$INCLUDE` together may read: each of them may stand in a file that is read many times.
const MAX_INCLUDED: u32 = 10_000;

/// A position: the file, by the number that [`Handler::include`] returned for it (the first is 0), and the
/// line, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub file: usize,
    /// The line.
    pub line: u32,
}

/// One record of class IN.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its owner, in its original case.
    pub owner: NameBuf,
    /// Its type.
    pub rtype: Qtype,
    /// Its time to live, in seconds.
    pub ttl: u32,
    /// Its data, uncompressed; names keep their case.
    pub rdata: Vec<u8>,
}

/// Receives the records and mistakes.
pub trait Handler {
    /// A record, in the order of the file.
    fn record(&mut self, place: Place, record: Record);

    /// A mistake. Reading continues after it.
    fn problem(&mut self, place: Place, reason: String);

    /// Fetches the file that `$INCLUDE` in file `from` names; returns its number and its octets.
    ///
    /// # Errors
    /// The reason why it can't be read.
    fn include(&mut self, path: &str, from: usize) -> Result<(usize, Vec<u8>), String>;
}

/// Reads a complete master file. `origin` is appended to names without a final dot.
pub fn read(text: &[u8], origin: Name<'_>, handler: &mut impl Handler) {
    if text.starts_with(b"\xff\xfe") || text.starts_with(b"\xfe\xff") {
        let reason = "the file is in UTF-16; save it as UTF-8 or ASCII";
        return handler.problem(Place { file: 0, line: 1 }, reason.into());
    }
    let mut reader =
        Reader { handler, default_ttl: None, last_ttl: None, depth: 1, generated: 0, included: 0 };
    reader.file(text, State { file: 0, origin: origin.to_buf(), lost: false, owner: Owner::None });
}

/// State that is kept across files.
struct Reader<'h, H> {
    handler: &'h mut H,
    /// The TTL of `$TTL`.
    default_ttl: Option<u32>,
    /// The last explicit TTL of a record.
    last_ttl: Option<u32>,
    depth: usize,
    generated: u64,
    included: u32,
}

/// State that is kept within a file.
struct State {
    file: usize,
    origin: NameBuf,
    /// True after an `$ORIGIN` that can't be read: the owner names that follow are unknown.
    lost: bool,
    owner: Owner,
}

/// The owner of an indented record.
#[derive(Clone)]
enum Owner {
    None,
    /// It is in the file but can't be read.
    Unreadable,
    Known(NameBuf),
}

/// The words between the owner and the data.
struct Head<'e, 't> {
    ttl: Option<u32>,
    rtype: Qtype,
    line: u32,
    data: &'e [Word<'t>],
}

impl<H: Handler> Reader<'_, H> {
    fn file(&mut self, text: &[u8], mut state: State) {
        for entry in Entries::new(text) {
            let result = match entry {
                Ok(entry) => self.entry(&entry, &mut state),
                Err(problem) => {
                    state.owner = Owner::Unreadable;
                    Err(problem)
                }
            };
            if let Err(problem) = result {
                self.handler.problem(Place { file: state.file, line: problem.line }, problem.reason);
            }
        }
    }

    fn entry(&mut self, entry: &Entry<'_>, state: &mut State) -> Result<(), Problem> {
        let Some((first, rest)) = entry.words.split_first() else { return Ok(()) };
        if entry.indented {
            return self.record(&entry.words, first.line, state);
        }
        if first.text.starts_with(b"$") && !first.quoted {
            return self.directive(*first, rest, state);
        }
        let wrong = |reason: String| Problem::new(first.line, reason);
        state.owner = Owner::Unreadable;
        let owner = value::name(first.text, state.origin.as_name()).map_err(wrong)?;
        state.owner = Owner::Known(owner);
        self.record(rest, first.line, state)
    }

    fn record(&mut self, words: &[Word<'_>], line: u32, state: &State) -> Result<(), Problem> {
        let head = head(words, line)?;
        let rdata = data::from_words(head.rtype, head.data, state.origin.as_name(), head.line)?;
        let ttl = self.ttl(&head, &rdata)?;
        match &state.owner {
            Owner::None => Err(Problem::new(
                line,
                "the line begins with white space, but there is no earlier record to take the owner from",
            )),
            Owner::Known(owner) if !state.lost => {
                let record = Record { owner: owner.clone(), rtype: head.rtype, ttl, rdata };
                self.handler.record(Place { file: state.file, line }, record);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// The TTL of a record: its own, else that of `$TTL` (RFC 2308 §4), else the previous one
    /// (RFC 1035 §5.1).
    fn ttl(&mut self, head: &Head<'_, '_>, rdata: &[u8]) -> Result<u32, Problem> {
        if let Some(ttl) = head.ttl {
            self.last_ttl = Some(ttl);
            return Ok(ttl);
        }
        if let Some(ttl) = self.default_ttl.or(self.last_ttl) {
            return Ok(ttl);
        }
        // As in BIND: a SOA without a TTL takes its last number, which then becomes the zone's default.
        let minimum = rdata.last_chunk::<4>().filter(|_| head.rtype == Qtype::SOA);
        let ttl = minimum.map(|octets| u32::from_be_bytes(*octets)).filter(|ttl| *ttl <= value::MAX_TTL);
        // Reported once, not for each record that follows.
        self.default_ttl = Some(ttl.unwrap_or(0));
        ttl.ok_or_else(|| {
            Problem::new(
                head.line,
                "the record has no TTL: write one before its type, or `$TTL 3600` at the top",
            )
        })
    }

    fn directive(&mut self, word: Word<'_>, rest: &[Word<'_>], state: &mut State) -> Result<(), Problem> {
        let wrong = |reason: String| Problem::new(word.line, reason);
        let bare = |word: &Word<'_>| !word.quoted;
        match (&*word.text.to_ascii_uppercase(), rest) {
            (b"$ORIGIN", [name]) if bare(name) => {
                let origin = value::name(name.text, state.origin.as_name());
                state.lost |= origin.is_err();
                state.origin = origin.map_err(wrong)?;
                state.lost = false;
                Ok(())
            }
            (b"$TTL", [ttl]) if bare(ttl) => {
                let ttl = value::ttl(ttl.text);
                self.default_ttl = Some(*ttl.as_ref().unwrap_or(&0));
                ttl.map(drop).map_err(wrong)
            }
            (b"$INCLUDE", [path]) => self.include(path, None, state),
            (b"$INCLUDE", [path, origin]) if bare(origin) => self.include(path, Some(origin), state),
            (b"$GENERATE", [range, owner, rest @ ..]) if bare(range) => {
                self.generate(*range, *owner, rest, state)
            }
            (b"$ORIGIN", _) => {
                state.lost = true;
                Err(wrong("$ORIGIN takes one name, such as `$ORIGIN sub.example.org.`".into()))
            }
            (b"$TTL", _) => {
                self.default_ttl = self.default_ttl.or(Some(0));
                Err(wrong("$TTL takes one duration, such as `$TTL 1h`".into()))
            }
            (b"$INCLUDE", _) => Err(wrong(
                "$INCLUDE takes a file, and optionally an origin: `$INCLUDE hosts.zone sub.example.org.`"
                    .into(),
            )),
            (b"$GENERATE", _) => Err(wrong(GENERATE.into())),
            _ => Err(wrong(format!(
                "`{}` is not a directive: there are $ORIGIN, $TTL, $INCLUDE and $GENERATE",
                shown(word.text)
            ))),
        }
    }

    /// Reads another file at this point. Origin and owner of this one are restored after it
    /// (RFC 1035 §5.1).
    fn include(&mut self, path: &Word<'_>, origin: Option<&Word<'_>>, state: &State) -> Result<(), Problem> {
        let wrong = |reason: String| Problem::new(path.line, reason);
        let name =
            std::str::from_utf8(path.text).map_err(|_| wrong("the file's name is not UTF-8".into()))?;
        let origin = match origin {
            None => state.origin.clone(),
            Some(word) => value::name(word.text, state.origin.as_name()).map_err(wrong)?,
        };
        if self.depth >= MAX_DEPTH {
            let reason = format!(
                "files are nested {MAX_DEPTH} deep here; does `{}` include itself?",
                shown(path.text)
            );
            return Err(wrong(reason));
        }
        if self.included >= MAX_INCLUDED {
            return Err(wrong(format!("all $INCLUDE together read {MAX_INCLUDED} files at most")));
        }
        self.included += 1;
        let (file, text) = self
            .handler
            .include(name, state.file)
            .map_err(|why| wrong(format!("`{}` can't be read: {why}", shown(path.text))))?;
        self.depth += 1;
        self.file(&text, State { file, origin, lost: state.lost, owner: state.owner.clone() });
        self.depth -= 1;
        Ok(())
    }

    fn generate(
        &mut self,
        range: Word<'_>,
        owner: Word<'_>,
        rest: &[Word<'_>],
        state: &State,
    ) -> Result<(), Problem> {
        let wrong = |reason: String| Problem::new(range.line, reason);
        let head = head(rest, range.line)?;
        let [template] = head.data else { return Err(wrong(GENERATE.into())) };
        let template = if template.quoted { unquote(template.text) } else { template.text.to_vec() };
        for number in generate::range(range.text).map_err(wrong)? {
            self.generated += 1;
            if self.generated > MAX_GENERATED {
                return Err(wrong(format!("all $GENERATE together make {MAX_GENERATED} records at most")));
            }
            let owner = generate::fill(owner.text, number).map_err(wrong)?;
            let owner = value::name(&owner, state.origin.as_name()).map_err(wrong)?;
            let text = generate::fill(&template, number).map_err(wrong)?;
            let mut entries = Entries::new(&text);
            let words = entries.next().transpose()?.map(|entry| entry.words).unwrap_or_default();
            if entries.next().is_some() {
                return Err(wrong("the data is more than one line".into()));
            }
            let words: Vec<Word<'_>> = words.into_iter().map(|w| Word { line: range.line, ..w }).collect();
            let rdata = data::from_words(head.rtype, &words, state.origin.as_name(), range.line)?;
            let ttl = self.ttl(&head, &rdata)?;
            if !state.lost {
                let place = Place { file: state.file, line: range.line };
                self.handler.record(place, Record { owner, rtype: head.rtype, ttl, rdata });
            }
        }
        Ok(())
    }
}

const GENERATE: &str = "$GENERATE takes a range, an owner, a type and data, such as \
                        `$GENERATE 1-9 host$ A 192.0.2.$`; put data of several words in quotes";

/// TTL and class, in either order, both optional; then the type (RFC 1035 §5.1).
fn head<'e, 't>(words: &'e [Word<'t>], mut line: u32) -> Result<Head<'e, 't>, Problem> {
    let (mut ttl, mut class) = (None, None);
    let mut rest = words;
    while let Some((word, after)) = rest.split_first() {
        rest = after;
        line = word.line;
        let wrong = |reason: String| Problem::new(word.line, reason);
        if word.quoted {
            return Err(wrong(format!("found `\"{}\"` where a record type is expected", shown(word.text))));
        }
        if ttl.is_none() && word.text.first().is_some_and(u8::is_ascii_digit) {
            ttl = Some(value::ttl(word.text).map_err(wrong)?);
            continue;
        }
        if let Some(named) = class_of(word.text).filter(|_| class.is_none()) {
            if named != Class::IN {
                return Err(wrong(format!("the record is of class {named}; zones are of class IN")));
            }
            class = Some(named);
            continue;
        }
        let rtype = rtype(word.text).map_err(|reason| {
            let directive = word.text.starts_with(b"$");
            let hint = if directive { "; a directive must be at the beginning of a line" } else { "" };
            wrong(reason + hint)
        })?;
        if rtype.0 == 0 || rtype.is_meta() {
            return Err(wrong(format!("a zone can't have records of type {rtype}: it is for messages only")));
        }
        return Ok(Head { ttl, rtype, line, data: rest });
    }
    Err(Problem::new(line, "the line ends where a record type is expected"))
}

fn class_of(text: &[u8]) -> Option<Class> {
    let text = std::str::from_utf8(text).ok()?;
    match text.to_ascii_uppercase().as_str() {
        "IN" | "CH" | "HS" => text.parse().ok(),
        "CHAOS" => Some(Class::CH),
        "HESIOD" => Some(Class::HS),
        generic if generic.starts_with("CLASS") => text.parse().ok(),
        _ => None,
    }
}

/// The text within quotes, to be parsed separately: escaped quotes become quotes.
fn unquote(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut octets = text.iter().copied().peekable();
    while let Some(c) = octets.next() {
        match (c, octets.peek()) {
            (b'\\', Some(b'"')) => {}
            (b'\\', Some(&next)) => {
                out.extend([c, next]);
                octets.next();
            }
            _ => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Default)]
    struct Seen {
        records: Vec<Record>,
        problems: Vec<Place>,
    }

    impl Handler for Seen {
        fn record(&mut self, _: Place, record: Record) {
            self.records.push(record);
        }

        fn problem(&mut self, place: Place, _: String) {
            self.problems.push(place);
        }

        fn include(&mut self, _: &str, _: usize) -> Result<(usize, Vec<u8>), String> {
            Ok((1, b"x 5 A 192.0.2.1\n".to_vec()))
        }
    }

    fn seen(text: &str) -> Seen {
        let mut seen = Seen::default();
        read(text.as_bytes(), Name::ROOT, &mut seen);
        seen
    }

    /// Parts of files, valid and broken.
    const PIECES: &[&str] = &[
        "\n",
        "\n",
        "\n",
        " ",
        "a ",
        "b.c. ",
        "@ ",
        "60 ",
        "IN ",
        "A 192.0.2.1",
        "A ",
        "TXT ",
        "\"x y\"",
        "\"",
        "(",
        ")",
        "; c",
        "\\",
        "\\065",
        "$ORIGIN ",
        "$TTL 5",
        "$INCLUDE f ",
        "$GENERATE 1-3 $ ",
        "MX 1 m",
        "SOA . . 1 2 3 4 5",
        "HTTPS 1 . alpn=h2",
        "\\# 1 00",
        "TYPE1 ",
        "é",
        "\r",
    ];

    proptest! {
        #[test]
        fn records_are_read_alike_from_their_octets(
            pieces in prop::collection::vec(prop::sample::select(PIECES), 0..60),
        ) {
            let text = pieces.concat();
            let first = seen(&text);
            let again: String = first.records.iter().map(|Record { owner, rtype, ttl, rdata }| {
                let hex: String = rdata.iter().map(|b| format!("{b:02x}")).collect();
                format!("{} {ttl} TYPE{} \\# {} {hex}\n", owner.as_name().dotted(), rtype.0, rdata.len())
            }).collect();
            let second = seen(&again);
            prop_assert_eq!(second.problems, []);
            prop_assert_eq!(second.records, first.records);
        }
    }

    #[test]
    fn a_mistake_does_not_end_the_reading() {
        let seen = seen(
            "a 60 A x\n 60 TXT of-a\nb 60 A 192.0.2.1\n$ORIGIN a..b\nc 60 A 192.0.2.1\n$ORIGIN .\nd A 192.0.2.1\n",
        );
        let lines: Vec<u32> = seen.problems.iter().map(|p| p.line).collect();
        assert_eq!(lines, [1, 4]);
        // The owner of a record under an unreadable origin is unknown.
        let owners: Vec<String> = seen.records.iter().map(|r| r.owner.to_string()).collect();
        assert_eq!(owners, ["a", "b", "d"]);
    }

    #[test]
    fn generated_records_are_bounded_over_all_directives() {
        let mut seen = Seen::default();
        let mut reader = Reader {
            handler: &mut seen,
            default_ttl: None,
            last_ttl: None,
            depth: 1,
            generated: MAX_GENERATED - 5,
            included: 0,
        };
        let state = State { file: 0, origin: Name::ROOT.to_buf(), lost: false, owner: Owner::None };
        reader.file(&b"$GENERATE 1-3 a$ 5 TXT x\n".repeat(3), state);
        assert_eq!(seen.records.len(), 5);
        assert_eq!(seen.problems, [Place { file: 0, line: 2 }, Place { file: 0, line: 3 }]);
    }
}
