//! Text from outside, made safe to show: in a terminal, a log, a page, JSON.
//!
//! A name of a list, a reason, a record or a file may hold escape sequences, which move the cursor or
//! change the title of a terminal, and marks that turn the direction of writing and thus disguise what a
//! line says. All code that shows text from outside passes it through here.

use std::borrow::Cow;

/// What stands for a character that can't be shown.
const REPLACEMENT: char = char::REPLACEMENT_CHARACTER;

/// True for a character that acts on a terminal, a log or the order of a line and is not shown itself: C0
/// and C1 controls, DEL, line and paragraph separators, marks for the direction of writing (UAX #9),
/// annotation marks and tags.
#[must_use]
pub fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{61c}'
                | '\u{200e}'
                | '\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2066}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

/// The text on one line: a tab becomes a space, any other character that [`is_unsafe`] becomes U+FFFD.
#[must_use]
pub fn clean(text: &str) -> Cow<'_, str> {
    replaced(text, |c| match c {
        '\t' => Some(' '),
        c => is_unsafe(c).then_some(REPLACEMENT),
    })
}

/// The text on the lines that it has: like [`clean`], but line feeds stay.
#[must_use]
pub fn clean_lines(text: &str) -> Cow<'_, str> {
    replaced(text, |c| match c {
        '\n' => None,
        '\t' => Some(' '),
        c => is_unsafe(c).then_some(REPLACEMENT),
    })
}

/// JSON with every character that [`is_unsafe`] in its strings as an escape (RFC 8259 §7): the same value
/// to a parser. Line feeds and tabs, which stand only between values, stay.
#[must_use]
pub fn clean_json(json: &str) -> Cow<'_, str> {
    let unsafe_here = |c: char| is_unsafe(c) && !matches!(c, '\n' | '\t');
    if !json.contains(unsafe_here) {
        return Cow::Borrowed(json);
    }
    let mut out = String::with_capacity(json.len() + 16);
    for c in json.chars() {
        if unsafe_here(c) {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                out.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

fn replaced(text: &str, by: impl Fn(char) -> Option<char>) -> Cow<'_, str> {
    if text.chars().all(|c| by(c).is_none()) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.chars().map(|c| by(c).unwrap_or(c)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_acts_stays() {
        for (text, line, lines) in [
            ("ads", "ads", "ads"),
            ("Bücher für Kinder", "Bücher für Kinder", "Bücher für Kinder"),
            ("\u{1b}[31mred\u{1b}[0m", "\u{fffd}[31mred\u{fffd}[0m", "\u{fffd}[31mred\u{fffd}[0m"),
            ("a\nb\tc\r", "a\u{fffd}b c\u{fffd}", "a\nb c\u{fffd}"),
            ("\u{9b}2J\u{7f}", "\u{fffd}2J\u{fffd}", "\u{fffd}2J\u{fffd}"),
            ("\u{202e}moc.elgoog\u{2066}", "\u{fffd}moc.elgoog\u{fffd}", "\u{fffd}moc.elgoog\u{fffd}"),
            ("\u{2028}\u{feff}\u{e0041}", "\u{fffd}\u{fffd}\u{fffd}", "\u{fffd}\u{fffd}\u{fffd}"),
        ] {
            assert_eq!((&*clean(text), &*clean_lines(text)), (line, lines), "{text:?}");
        }
    }

    #[test]
    fn json_keeps_its_value() {
        let text = "\u{7f}\u{9b}2J \u{202e}x\u{e0041}";
        let json = clean_json(&format!("{{\n\t\"{text}\": 1}}")).into_owned();
        assert_eq!(json, "{\n\t\"\\u007f\\u009b2J \\u202ex\\udb40\\udc41\": 1}");
        assert_eq!(clean_json("{\"a\": \"ü\"}"), "{\"a\": \"ü\"}");
    }
}
