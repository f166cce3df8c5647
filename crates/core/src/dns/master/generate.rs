//! `$GENERATE`: records that differ in a number (BIND's reference manual, "BIND Primary File Extension").

use super::token::shown;
use super::value;

/// The most records of one directive: 16 bits, as in a network of /16.
const MOST: u64 = 65_536;
/// The greatest width of a number, in characters.
const WIDEST: u64 = 255;

/// The numbers that a directive iterates over.
///
/// # Errors
/// The text is not a range, or the range is too long.
pub(crate) fn range(text: &[u8]) -> Result<impl Iterator<Item = i64> + use<>, String> {
    let bad = || format!("`{}` is not a range such as `1-254` or `0-30/2`", shown(text));
    let text_of = std::str::from_utf8(text).map_err(|_| bad())?;
    let (ends, step) = text_of.split_once('/').unwrap_or((text_of, "1"));
    let (from, to) = ends.split_once('-').ok_or_else(bad)?;
    let number = |t: &str| value::number(t.as_bytes(), 0x7fff_ffff).map_err(|_| bad());
    let (from, to, step) = (number(from)?, number(to)?, number(step)?);
    if step == 0 || to < from {
        return Err(bad());
    }
    let count = (to - from) / step + 1;
    if count > MOST {
        return Err(format!("`{}` makes {count} records; one $GENERATE makes {MOST} at most", shown(text)));
    }
    let signed = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
    Ok((0..count).map(move |i| signed(from + i * step)))
}

/// The template with each `$` replaced by the number. `$$` is a dollar sign; `\` keeps the next character
/// literally; `${offset,width,base}` formats the number.
///
/// # Errors
/// The text in braces is invalid, or the number becomes negative. Contrary to its manual, BIND also adds
/// the offset of an earlier `${…}` to a bare `$`; a template in which that would matter is refused.
pub(crate) fn fill(template: &[u8], number: i64) -> Result<Vec<u8>, String> {
    let mut out = Vec::with_capacity(template.len() + 8);
    let mut rest = template;
    let mut before = 0;
    loop {
        rest = match rest {
            [] => return Ok(out),
            [b'\\', next, rest @ ..] => {
                out.extend([b'\\', *next]);
                rest
            }
            [b'$', b'$', rest @ ..] => {
                out.push(b'$');
                rest
            }
            [b'$', b'{', inner @ ..] => {
                let end = inner.iter().position(|c| *c == b'}').ok_or("`${` without a `}`")?;
                let (format, rest) = inner.split_at(end);
                before = offset(format)?;
                out.extend(formatted(format, number + before)?.bytes());
                rest.get(1..).unwrap_or_default()
            }
            [b'$', ..] if before != 0 => {
                return Err("a bare `$` follows a `${…}` with an offset; write it as `${0}`".into());
            }
            [b'$', rest @ ..] => {
                out.extend(number.to_string().bytes());
                rest
            }
            [other, rest @ ..] => {
                out.push(*other);
                rest
            }
        }
    }
}

/// The offset to add to the number.
fn offset(format: &[u8]) -> Result<i64, String> {
    let text = format.split(|c| *c == b',').next().and_then(|t| std::str::from_utf8(t).ok());
    let offset = text.and_then(|t| t.parse::<i32>().ok()).ok_or_else(|| not_a_format(format))?;
    Ok(offset.into())
}

/// The number, formatted with the width and the base after the offset.
fn formatted(format: &[u8], value: i64) -> Result<String, String> {
    let bad = || not_a_format(format);
    let mut parts = format.split(|c| *c == b',').skip(1);
    let width = parts.next().map_or(Ok(0), |w| value::number(w, WIDEST)).map_err(|_| bad())?;
    let width = usize::try_from(width).map_err(|_| bad())?;
    let base = parts.next().unwrap_or(b"d");
    let value = u64::try_from(value)
        .map_err(|_| format!("`${{{}}}` gives {value}, a negative number", shown(format)))?;
    let written = match base {
        b"d" => format!("{value:0width$}"),
        b"o" => format!("{value:0width$o}"),
        b"x" => format!("{value:0width$x}"),
        b"X" => format!("{value:0width$X}"),
        b"n" => nibbles(value, width),
        b"N" => nibbles(value, width).to_ascii_uppercase(),
        _ => return Err(bad()),
    };
    if parts.next().is_none() { Ok(written) } else { Err(bad()) }
}

fn not_a_format(format: &[u8]) -> String {
    format!("`${{{}}}` is not `${{offset,width,base}}`, with the base d, o, x, X, n or N", shown(format))
}

/// Hexadecimal digits, the lowest first, with dots between them: the labels of ip6.arpa. The width includes
/// the dots.
fn nibbles(mut value: u64, mut width: usize) -> String {
    let mut out = String::new();
    loop {
        let digit = u32::try_from(value & 15).ok().and_then(|d| char::from_digit(d, 16));
        out.push(digit.unwrap_or('0'));
        value >>= 4;
        width = width.saturating_sub(1);
        if width == 0 && value == 0 {
            return out;
        }
        out.push('.');
        width = width.saturating_sub(1);
        if width == 0 && value == 0 {
            return out;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_take_the_place_of_dollars() {
        for (template, number, expected) in [
            ("host$", 7, "host7"),
            ("$$ \\$ a\\\\$", 7, "$ \\$ a\\\\7"),
            ("h${0,3}", 7, "h007"),
            ("h${10}", 7, "h17"),
            ("$-${1}-${0}-$", 7, "7-8-7-7"),
            ("h${-2,2,d}", 7, "h05"),
            ("${0,4,x}.${0,0,X}.${0,3,o}", 255, "00ff.FF.377"),
            ("${0,7,n}", 0x1a2, "2.a.1.0"),
            ("${0,0,N}", 0x1a2, "2.A.1"),
            ("${0,6,n}", 0, "0.0.0."),
        ] {
            assert_eq!(fill(template.as_bytes(), number).as_deref(), Ok(expected.as_bytes()), "{template}");
        }
        for template in ["${", "${}", "${1,2,z}", "${1,2,d,}", "${x}", "${0,256}", "${-8}", "${1}-$"] {
            assert!(fill(template.as_bytes(), 7).is_err(), "{template}");
        }
    }

    #[test]
    fn ranges_are_bounded() {
        let all = |text: &str| range(text.as_bytes()).map(Iterator::collect::<Vec<i64>>).ok();
        for (text, expected) in [
            ("1-3", Some(vec![1, 2, 3])),
            ("0-5/2", Some(vec![0, 2, 4])),
            ("7-7", Some(vec![7])),
            ("3-1", None),
            ("1-3/0", None),
            ("1", None),
            ("a-b", None),
            ("0-65536", None),
            ("0-4294967295", None),
        ] {
            assert_eq!(all(text), expected, "{text}");
        }
        assert_eq!(all("0-65535").map(|r| r.len()), Some(65_536));
        assert_eq!(all("0-131070/2").map(|r| r.len()), Some(65_536));
    }
}
