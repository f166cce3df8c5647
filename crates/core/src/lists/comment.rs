//! Comments after a rule on the same line.

/// The text before a comment, which begins with a `#` after white space.
pub(super) fn without(text: &str) -> &str {
    match start(text) {
        Some(at) => text.get(..at).unwrap_or(text).trim_end(),
        None => text,
    }
}

/// Where a comment begins.
pub(super) fn start(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    memchr::memchr_iter(b'#', bytes).find(|at| {
        at.checked_sub(1).and_then(|before| bytes.get(before)).is_some_and(u8::is_ascii_whitespace)
    })
}
