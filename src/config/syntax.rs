//! A file that is not TOML: what is wrong with it, in plain words.
//!
//! The parser reports where it stopped. The mistake itself is found from the text, because an unclosed
//! bracket or quote stops the parser only lines later.

use std::ops::Range;

use super::check::Check;
use super::error::{KeyPath, Remedy};

/// A mistake at a place.
struct Broken {
    place: Range<usize>,
    problem: String,
    help: String,
}

impl Broken {
    fn new(place: Range<usize>, problem: impl Into<String>, help: impl Into<String>) -> Self {
        Self { place, problem: problem.into(), help: help.into() }
    }
}

impl Check<'_> {
    /// Mistakes for what the parser could not read: one a line, and none after an unclosed bracket.
    pub(super) fn syntax(&mut self, errors: &[toml::de::Error]) {
        let text = self.text;
        let open = unclosed(text);
        let mut places: Vec<(Range<usize>, &str)> =
            errors.iter().map(|e| (e.span().unwrap_or(0..0), e.message())).collect();
        places.sort_by_key(|(span, _)| span.start);
        let (mut last_line, mut skipped) = (0, 0..0);
        for (span, message) in places {
            if open.as_ref().is_some_and(|open| open.place.start < span.start) {
                break;
            }
            let line = self.line(&span);
            if line == last_line || skipped.contains(&line) {
                continue;
            }
            last_line = line;
            if self.is_one_too_many() {
                continue;
            }
            if self.line_text(line).is_some_and(|text| header(text).is_some()) {
                // Without it the lines below would belong to another table.
                let below = self.text.lines().skip(line).take_while(|text| header(text).is_none());
                skipped = line..line + 1 + below.count();
            }
            let broken = self.broken(line, &span).unwrap_or_else(|| {
                Broken::new(span, format!("this is not TOML: {}", message.trim()), "see https://toml.io")
            });
            self.not_toml(broken);
        }
        if let Some(open) = open {
            self.not_toml(open);
        }
    }

    fn not_toml(&mut self, broken: Broken) {
        let key = self.header_above(broken.place.start);
        let remedy = Remedy { help: Some(broken.help), ..Remedy::default() };
        self.wrong(&key, &broken.place, broken.problem, remedy);
    }

    /// The table in which a place is.
    fn header_above(&self, at: usize) -> KeyPath {
        let before = self.text.get(..at).unwrap_or_default();
        let header = before.lines().rev().find_map(|line| header(line).filter(|h| h.closed));
        header.map_or_else(KeyPath::default, |header| KeyPath::table(&header.shown()))
    }

    /// The mistake in a line.
    fn broken(&self, number: usize, span: &Range<usize>) -> Option<Broken> {
        let line = self.line_text(number)?;
        let start = self.text.get(..span.start)?.rfind('\n').map_or(0, |at| at + 1);
        if let Some(header) = header(line) {
            return Some(self.broken_header(number, span, &header));
        }
        let (key, value_at) = match split_key(line) {
            Some((key, at)) => (key, start + at),
            None if in_list(self.text, start) => ("", start),
            None => return Some(no_value(line, start)),
        };
        if span.start + 1 < value_at && span.start < value_at {
            return Some(self.broken_key(number, key, span));
        }
        self.broken_value(key, value_at, span, start + line.len())
    }

    fn broken_header(&self, number: usize, span: &Range<usize>, header: &Header<'_>) -> Broken {
        let form = self.forms.iter().find(|form| form.header.trim_matches(['[', ']']) == header.name);
        let right = form.map_or_else(|| header.right(), |form| form.header.to_owned());
        if !header.closed {
            let problem = format!("the bracket of `{}` is not closed", header.text);
            return Broken::new(span.clone(), problem, format!("write `{right}`"));
        }
        if header.name.is_empty() {
            return Broken::new(span.clone(), "the table has no name", "write one such as `[server]`");
        }
        if !header.rest.is_empty() {
            let problem = format!("`{}` is on the line of a table's header", header.rest);
            return Broken::new(span.clone(), problem, "put it on a line of its own");
        }
        let name = header.name;
        let same = |line: &&str| self::header(line).is_some_and(|other| other.name == name);
        let first = self.text.lines().zip(1..number).find(|(line, _)| same(line)).map(|(_, number)| number);
        let problem = match first {
            Some(first) => format!("`{name}` has a table in line {first} already"),
            None => format!("`{name}` is given already"),
        };
        let help = match form {
            Some(form) if form.is_list() => format!("write `{right}` each time: there can be several"),
            _ => "put all its keys into one table".to_owned(),
        };
        Broken::new(span.clone(), problem, help)
    }

    fn broken_key(&self, number: usize, key: &str, span: &Range<usize>) -> Broken {
        let is_key = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
        if !key.chars().all(is_key) && !key.starts_with(['"', '\'']) {
            let problem = format!("`{key}` is not a key");
            return Broken::new(span.clone(), problem, "write `key = value`, the key without spaces");
        }
        let above: Vec<(usize, &str)> = self.text.lines().zip(1..number).map(|(l, n)| (n, l)).collect();
        let table = above.into_iter().rev().take_while(|(_, line)| header(line).is_none());
        let first = table.filter(|(_, line)| split_key(line).is_some_and(|(k, _)| k == key)).last();
        let problem = match first {
            Some((first, _)) => format!("`{key}` is given already in line {first}"),
            None => format!("`{key}` is given already"),
        };
        Broken::new(span.clone(), problem, "keep one of the two")
    }

    fn broken_value(&self, key: &str, value_at: usize, span: &Range<usize>, end: usize) -> Option<Broken> {
        let line = |value: &str| if key.is_empty() { value.to_owned() } else { format!("{key} = {value}") };
        let value = self.text.get(value_at..end)?;
        let trimmed = value.trim_start();
        if trimmed.is_empty() || trimmed.starts_with('#') {
            let help = format!("write one such as `{key} = \"…\"`");
            return Some(Broken::new(span.clone(), format!("`{key}` has no value"), help));
        }
        let pieces = pieces(value, value_at);
        if let Some(more) = self.behind(&pieces).filter(|more| !key.is_empty() && more.start <= span.start) {
            let rest = self.text.get(more.start..end)?.trim_end();
            let help = match rest.starts_with(',') {
                true => format!("put several values in brackets: {}", line(&format!("[{}]", value.trim()))),
                false => "put it on a line of its own".to_owned(),
            };
            let problem = format!("`{rest}` does not belong after the value");
            return Some(Broken::new(more, problem, help));
        }
        let piece = pieces.iter().rev().find(|piece| piece.start <= span.start).or(pieces.first())?;
        let word = self.text.get(piece.clone())?;
        if word.starts_with(['"', '\'']) {
            return Some(self.broken_text(word, piece, span));
        }
        if word.starts_with([',', ']', '}']) {
            let problem = format!("a value is missing before `{word}`");
            return Some(Broken::new(piece.clone(), problem, format!("add one, or remove `{word}`")));
        }
        if word.starts_with(['[', '{']) {
            return None;
        }
        let lower = word.to_ascii_lowercase();
        if matches!(lower.as_str(), "true" | "yes" | "on" | "false" | "no" | "off") {
            let right = matches!(lower.as_str(), "true" | "yes" | "on");
            let problem = format!("`{word}` is not a value");
            return Some(Broken::new(piece.clone(), problem, format!("write {}", line(&right.to_string()))));
        }
        if word.bytes().all(|b| b.is_ascii_digit()) {
            let problem = format!("`{word}` is not a number");
            let right = word.trim_start_matches('0');
            let right = if right.is_empty() { "0" } else { right };
            return Some(Broken::new(piece.clone(), problem, format!("write {}", line(right))));
        }
        let problem = format!("`{word}` is not in quotes");
        Some(Broken::new(piece.clone(), problem, format!("write \"{word}\"")))
    }

    /// The first piece that is not part of the value.
    fn behind(&self, pieces: &[Range<usize>]) -> Option<Range<usize>> {
        let mut depth = 0usize;
        let ends = pieces.iter().position(|piece| {
            match self.text.get(piece.clone()) {
                Some("[" | "{") => depth += 1,
                Some("]" | "}") => depth = depth.saturating_sub(1),
                _ => {}
            }
            depth == 0
        })?;
        pieces.get(ends + 1).cloned()
    }

    /// The mistake in a string in quotes, or around it.
    fn broken_text(&self, word: &str, piece: &Range<usize>, span: &Range<usize>) -> Broken {
        let quote = word.chars().next().unwrap_or('"');
        let closed = word.len() > 1 && word.ends_with(quote) && !word.ends_with("\\\"");
        if !closed || word.starts_with("\"\"\"") || word.starts_with("'''") {
            return Broken::new(
                piece.clone(),
                "the string is not closed",
                format!("end it with the quote that opens it: {quote}"),
            );
        }
        if span.start > piece.start && span.start < piece.end && word.contains('\\') {
            let problem = format!("a backslash in {word} starts an unknown escape sequence");
            let help = "write two backslashes, or put the string in single quotes";
            return Broken::new(piece.clone(), problem, help);
        }
        Broken::new(piece.clone(), format!("a comma is missing before {word}"), "add one")
    }
}

/// A line without a key and a value.
fn no_value(line: &str, start: usize) -> Broken {
    let word = line.trim();
    let place = start..start + line.len();
    if word.starts_with('{') {
        let help = "write tables such as `[server]`, with lines of `key = value` below";
        return Broken::new(place, "a file in TOML does not begin with a bracket `{`", help);
    }
    match word.split_once(':') {
        Some((key, value)) => {
            let (key, value) = (key.trim(), value.trim());
            let help = match value {
                "" => format!("write `[{key}]` for a table"),
                value => format!("write `{key} = {value}`, with strings in quotes"),
            };
            Broken::new(place, "TOML does not assign values with a colon", help)
        }
        None => Broken::new(place, format!("`{word}` has no value"), format!("write `{word} = …`")),
    }
}

/// The header of a table.
struct Header<'t> {
    /// With those of its brackets that are there.
    text: &'t str,
    name: &'t str,
    brackets: usize,
    closed: bool,
    /// What follows on the line.
    rest: &'t str,
}

impl Header<'_> {
    /// As it should be.
    fn right(&self) -> String {
        let name = self.name;
        if self.brackets == 2 { format!("[[{name}]]") } else { format!("[{name}]") }
    }

    fn shown(&self) -> String {
        self.right()
    }
}

/// A line that is the header of a table, or was meant to be one.
fn header(line: &str) -> Option<Header<'_>> {
    let text = line.trim();
    let inner = text.strip_prefix('[')?;
    let (brackets, inner) = inner.strip_prefix('[').map_or((1, inner), |inner| (2, inner));
    let is_name = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | ' ');
    let end = inner.find(|c| !is_name(c)).unwrap_or(inner.len());
    let (name, tail) = inner.split_at_checked(end)?;
    let closing = if brackets == 2 { "]]" } else { "]" };
    let after = tail.strip_prefix(closing);
    let rest = after.map_or("", |rest| rest.split('#').next().unwrap_or_default().trim());
    // A list within a list has commas, quotes, or numbers.
    let is_header = after.is_some() || tail.is_empty() || tail.starts_with([']', '#']);
    let starts_well = name.trim().is_empty() || name.trim_start().starts_with(|c: char| c.is_alphabetic());
    (is_header && starts_well).then_some(Header {
        text: text.split('#').next().unwrap_or_default().trim_end(),
        name: name.trim(),
        brackets,
        closed: after.is_some(),
        rest,
    })
}

/// The key of a line, and where what follows its `=` begins.
fn split_key(line: &str) -> Option<(&str, usize)> {
    let at = line.find('=')?;
    let key = line.get(..at)?;
    let quoted = |c: char| matches!(c, '"' | '\'' | '[' | '{' | '#');
    (!key.trim_start().starts_with(quoted) || key.trim_end().ends_with(['"', '\'']))
        .then(|| (key.trim(), at + 1))
}

/// The values, commas and brackets of a line, without its comment.
fn pieces(text: &str, start: usize) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut rest = text.char_indices().peekable();
    while let Some((at, c)) = rest.next() {
        let mut end = at + c.len_utf8();
        match c {
            '#' => break,
            c if c.is_whitespace() => continue,
            '"' | '\'' => {
                let mut escaped = false;
                for (i, d) in rest.by_ref() {
                    end = i + d.len_utf8();
                    if d == c && !escaped {
                        break;
                    }
                    escaped = c == '"' && d == '\\' && !escaped;
                }
            }
            ',' | '[' | ']' | '{' | '}' => {}
            _ => {
                let stops =
                    |d: char| d.is_whitespace() || matches!(d, ',' | '[' | ']' | '{' | '}' | '#' | '"');
                while let Some((i, d)) = rest.next_if(|(_, d)| !stops(*d)) {
                    end = i + d.len_utf8();
                }
            }
        }
        found.push(start + at..start + end);
    }
    found
}

/// True if a list is open at a place.
fn in_list(text: &str, at: usize) -> bool {
    let mut open = Vec::new();
    brackets(text.get(..at).unwrap_or_default(), &mut open);
    matches!(open.last(), Some(('[' | '{', _)))
}

/// The bracket that is not closed, if one is not: another statement begins, or the file ends, within it.
fn unclosed(text: &str) -> Option<Broken> {
    let mut open = Vec::new();
    let stopped = brackets(text, &mut open);
    let (bracket, at) = open.last().copied()?;
    if matches!(bracket, '"' | '\'') {
        let (quotes, place) = (bracket.to_string().repeat(3), at..at + 3);
        let problem = format!("the string that begins here with {quotes} is not closed");
        return Some(Broken::new(place, problem, format!("add {quotes} where it ends")));
    }
    let closing = if bracket == '[' { ']' } else { '}' };
    let how = match stopped {
        Some(stop) if text.get(at..stop).is_some_and(|between| between.contains('\n')) => {
            let line = 1 + text.get(..stop).unwrap_or_default().matches('\n').count();
            format!("add `{closing}` before line {line}")
        }
        _ => format!("add `{closing}` where it ends"),
    };
    Some(Broken::new(at..at + 1, format!("the bracket `{bracket}` that opens here is not closed"), how))
}

/// Follows the brackets of values and the quotes of multi-line strings; returns where a statement begins
/// inside one.
fn brackets(text: &str, open: &mut Vec<(char, usize)>) -> Option<usize> {
    let (mut at, mut long) = (0, None);
    for whole in text.split_inclusive('\n') {
        let (start, line) = (at, whole.trim_end());
        at += whole.len();
        if let Some(quotes) = long {
            if line.contains(quotes) {
                long = None;
                open.pop();
            }
            continue;
        }
        let is_header = header(line).is_some_and(|header| header.closed && !header.name.is_empty());
        let is_key = split_key(line).is_some_and(|(key, _)| key.starts_with(|c: char| c.is_alphabetic()));
        if let Some((bracket, _)) = open.last()
            && (is_header || is_key && *bracket == '[')
        {
            return Some(start);
        }
        let value = match split_key(line) {
            _ if !open.is_empty() => 0,
            _ if header(line).is_some() => continue,
            Some((_, at)) => at,
            None => continue,
        };
        for piece in pieces(line.get(value..).unwrap_or_default(), start + value) {
            let word = text.get(piece.clone()).unwrap_or_default();
            // A multi-line string that ends in a later line.
            if let Some(quotes) = ["\"\"\"", "'''"]
                .into_iter()
                .find(|q| text.get(piece.start..).is_some_and(|t| t.starts_with(q)))
            {
                let rest = text.get(piece.start + 3..start + line.len()).unwrap_or_default();
                if !rest.contains(quotes) {
                    long = Some(quotes);
                    open.push((if quotes == "\"\"\"" { '"' } else { '\'' }, piece.start));
                }
                break;
            }
            match (word, open.last()) {
                ("[", _) => open.push(('[', piece.start)),
                ("{", _) => open.push(('{', piece.start)),
                ("]", Some(('[', _))) | ("}", Some(('{', _))) => {
                    open.pop();
                }
                // The one that should have been closed is within the other.
                ("]" | "}", Some(_)) => return Some(piece.start),
                _ => {}
            }
        }
    }
    None
}
