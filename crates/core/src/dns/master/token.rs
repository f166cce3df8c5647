//! From the octets of a master file to entries: the words of one record or directive (RFC 1035 §5.1).
//!
//! Parentheses join lines, `;` begins a comment, quotes keep white space, and a backslash escapes the next
//! character. Escapes stay in the words; [`unescape`] resolves them later, because the meaning of a dot or
//! a comma depends on the field that the word belongs to.

/// One word of an entry, as in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Word<'t> {
    /// Its octets, escapes unresolved, without the quotes.
    pub text: &'t [u8],
    /// True if it was in quotes.
    pub quoted: bool,
    /// True if no white space separates it from the word before, as in `alpn="h2"`.
    pub joined: bool,
    /// Its line, counted from 1.
    pub line: u32,
}

/// One record or directive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry<'t> {
    /// True if it begins with white space: it has the owner of the record before.
    pub indented: bool,
    /// Its words; at least one.
    pub words: Vec<Word<'t>>,
}

/// A mistake in plain words, and its line, counted from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The line.
    pub line: u32,
    /// What was found, and what was expected.
    pub reason: String,
}

impl Problem {
    pub(crate) fn new(line: u32, reason: impl Into<String>) -> Self {
        Self { line, reason: reason.into() }
    }
}

/// The entries of a master file. A malformed one is a [`Problem`]; the entries after it follow.
pub struct Entries<'t> {
    text: &'t [u8],
    at: usize,
    line: u32,
    /// How many more times the text after an unclosed parenthesis may be re-read.
    retries: u8,
}

/// An unclosed parenthesis takes in the rest of the file, so the text after it is re-read without it: at
/// most this many times.
const RETRIES: u8 = 20;

/// The state of the entry that is being read.
#[derive(Default)]
struct Open {
    depth: u32,
    /// The line of the outermost open parenthesis.
    opened: u32,
    /// Offset and line of the next line that may begin a new entry.
    resume: Option<(usize, u32)>,
    problem: Option<Problem>,
}

impl<'t> Entries<'t> {
    /// Starts at the beginning; skips a byte order mark.
    #[must_use]
    pub fn new(text: &'t [u8]) -> Self {
        let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
        Self { text, at: 0, line: 1, retries: RETRIES }
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    /// Up to the end of a word: white space, the end of the line, or a special character.
    fn word(&mut self) -> &'t [u8] {
        let start = self.at;
        while let Some(c) = self.peek() {
            match c {
                b' ' | b'\t' | b'\n' | b'\r' | b'(' | b')' | b'"' | b';' => break,
                b'\\' if !matches!(self.text.get(self.at + 1), None | Some(b'\n' | b'\r')) => self.at += 2,
                _ => self.at += 1,
            }
        }
        self.text.get(start..self.at).unwrap_or_default()
    }

    /// Up to the closing quote; `None` if the line ends first. The opening quote has been read.
    fn quoted(&mut self) -> Option<&'t [u8]> {
        let start = self.at;
        while let Some(c) = self.peek() {
            match c {
                b'"' => {
                    self.at += 1;
                    return self.text.get(start..self.at - 1);
                }
                b'\n' | b'\r' => return None,
                b'\\' if !matches!(self.text.get(self.at + 1), None | Some(b'\n' | b'\r')) => self.at += 2,
                _ => self.at += 1,
            }
        }
        None
    }

    /// The next line, unless it looks like the middle of a record.
    fn fresh_line(&self) -> Option<(usize, u32)> {
        let middle = matches!(self.peek(), None | Some(b' ' | b'\t' | b'\n' | b'\r' | b'(' | b')' | b';'));
        (!middle).then_some((self.at, self.line))
    }
}

impl<'t> Iterator for Entries<'t> {
    type Item = Result<Entry<'t>, Problem>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut words: Vec<Word<'t>> = Vec::new();
        let mut open = Open::default();
        let (mut indented, mut begin, mut word_end) = (false, true, usize::MAX);
        while let Some(c) = self.peek() {
            let (line, joined) = (self.line, word_end == self.at);
            match c {
                b' ' | b'\t' => {
                    indented |= begin;
                    self.at += 1;
                }
                b'\n' | b'\r' => {
                    let pair = c == b'\r' && self.text.get(self.at + 1) == Some(&b'\n');
                    self.at += if pair { 2 } else { 1 };
                    self.line += 1;
                    if open.depth == 0 {
                        if let Some(problem) = open.problem {
                            return Some(Err(problem));
                        }
                        if !words.is_empty() {
                            return Some(Ok(Entry { indented, words }));
                        }
                        (indented, begin) = (false, true);
                        continue;
                    }
                    open.resume = open.resume.or_else(|| self.fresh_line());
                }
                b';' => {
                    let rest = self.text.get(self.at..).unwrap_or_default();
                    self.at += memchr::memchr2(b'\n', b'\r', rest).unwrap_or(rest.len());
                }
                b'(' => {
                    if open.depth == 0 {
                        open.opened = line;
                    }
                    open.depth += 1;
                    self.at += 1;
                }
                b')' => {
                    self.at += 1;
                    match open.depth.checked_sub(1) {
                        Some(depth) => open.depth = depth,
                        None => open.wrong(line, "a `)` without a `(` before it"),
                    }
                }
                b'"' => {
                    self.at += 1;
                    match self.quoted() {
                        Some(text) => words.push(Word { text, quoted: true, joined, line }),
                        None => open.wrong(line, "a quote is not closed: write `\"` where the text ends"),
                    }
                    word_end = self.at;
                }
                _ => {
                    words.push(Word { text: self.word(), quoted: false, joined, line });
                    word_end = self.at;
                }
            }
            begin = false;
        }
        if open.depth > 0 {
            if let Some(resume) = open.resume.filter(|_| self.retries > 0) {
                self.retries -= 1;
                (self.at, self.line) = resume;
            }
            let reason = "a `(` is not closed: write `)` where the record ends";
            return Some(Err(Problem::new(open.opened, reason)));
        }
        match open.problem {
            Some(problem) => Some(Err(problem)),
            None => (!words.is_empty()).then_some(Ok(Entry { indented, words })),
        }
    }
}

impl Open {
    /// Only the first mistake in an entry is reported: the others may be its consequences.
    fn wrong(&mut self, line: u32, reason: &str) {
        self.problem.get_or_insert_with(|| Problem::new(line, reason));
    }
}

/// Resolves the escapes of a text: `\DDD` is the octet with that number, `\X` is X itself.
///
/// # Errors
/// A backslash at the end, or before a number that is not three digits up to 255.
pub fn unescape(text: &[u8]) -> Result<Vec<u8>, String> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((octet, after)) = escaped(rest)? {
        out.push(octet.0);
        rest = after;
    }
    Ok(out)
}

/// An octet, and whether it was escaped.
pub(crate) type Octet = (u8, bool);

/// Splits off the first octet of a text.
pub(crate) fn escaped(text: &[u8]) -> Result<Option<(Octet, &[u8])>, String> {
    match text {
        [] => Ok(None),
        [b'\\'] => Err("the backslash at the end has nothing after it".into()),
        [b'\\', a @ b'0'..=b'9', rest @ ..] => match rest {
            [b @ b'0'..=b'9', c @ b'0'..=b'9', rest @ ..] => {
                let value = u16::from(a - b'0') * 100 + u16::from(b - b'0') * 10 + u16::from(c - b'0');
                let octet = u8::try_from(value)
                    .map_err(|_| format!("`\\{value}` is above 255, the largest octet"))?;
                Ok(Some(((octet, true), rest)))
            }
            _ => Err("a backslash before a digit takes three digits, such as `\\009`".into()),
        },
        [b'\\', octet, rest @ ..] => Ok(Some(((*octet, true), rest))),
        [octet, rest @ ..] => Ok(Some(((*octet, false), rest))),
    }
}

/// The word as shown in an error: printable, and not too long.
pub(crate) fn shown(text: &[u8]) -> String {
    const MOST: usize = 60;
    let mut out = String::new();
    for c in String::from_utf8_lossy(text.get(..MOST).unwrap_or(text)).chars() {
        if c.is_control() { out.extend(c.escape_unicode()) } else { out.push(c) }
    }
    if text.len() > MOST {
        out.push('…');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One line for each entry: `>` for an indented one, words in brackets if quoted, `+` before a joined
    /// one.
    fn entries(text: &str) -> Vec<String> {
        let word = |w: &Word<'_>| {
            let joined = if w.joined { "+" } else { "" };
            let text = std::str::from_utf8(w.text).unwrap();
            if w.quoted { format!("{joined}[{text}]") } else { format!("{joined}{text}") }
        };
        let entry = |e: Entry<'_>| {
            let words: Vec<String> = e.words.iter().map(word).collect();
            format!("{}{}{}", e.words[0].line, if e.indented { ">" } else { ":" }, words.join(" "))
        };
        Entries::new(text.as_bytes())
            .map(|e| e.map_or_else(|p| format!("{}! {}", p.line, p.reason), entry))
            .collect()
    }

    #[test]
    fn text_is_cut_into_entries() {
        for (text, expected) in [
            ("", &[][..]),
            ("\u{feff}a A 1\n", &["1:a A 1"]),
            ("\n ; comment\n\t\na\tA 1 ; more\n", &["4:a A 1"]),
            ("a A 1\r\n  A 2\rb A 3", &["1:a A 1", "2>A 2", "3:b A 3"]),
            ("a (b ; c )\n\n d)e\nf", &["1:a b d e", "4:f"]),
            ("( \na ) b\n", &["2:a b"]),
            ("a ( \"x ; ( y\" ; \" )\n z )\n", &["1:a [x ; ( y] z"]),
            (r#"a\;b "c\"d" e\"f g\ h"#, &[r#"1:a\;b [c\"d] e\"f g\ h"#]),
            (r#"k="v w" "a""b"c;d"#, &[r#"1:k= +[v w] [a] +[b] +c"#]),
            (
                "a )\nb \"x\nc",
                &[
                    "1! a `)` without a `(` before it",
                    "2! a quote is not closed: write `\"` where the text ends",
                    "3:c",
                ],
            ),
            // The text after an unclosed parenthesis is still read.
            ("a (b\n  c\nd\ne\n", &["1! a `(` is not closed: write `)` where the record ends", "3:d", "4:e"]),
            ("a (b ) (\n", &["1! a `(` is not closed: write `)` where the record ends"]),
        ] {
            assert_eq!(entries(text), expected, "{text:?}");
        }
    }

    #[test]
    fn escapes_stand_for_octets() {
        for (text, octets) in [
            (r"a\.b", Ok(&b"a.b"[..])),
            (r"\000\255\\", Ok(b"\0\xff\\")),
            (r"\256", Err(())),
            (r"\25", Err(())),
            ("\\", Err(())),
        ] {
            assert_eq!(unescape(text.as_bytes()).as_deref().map_err(|_| ()), octets, "{text}");
        }
    }
}
