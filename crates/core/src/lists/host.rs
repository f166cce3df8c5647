//! From the text of a host name to its wire format, in lower case.

use super::skip::SkipReason;
use crate::dns::{MAX_LABEL, MAX_NAME, NameBuf};

/// Octets of a host name in lower case, and the dot; 0 for all others.
static LOWER: [u8; 256] = {
    let mut lower = [0; 256];
    let mut octet = 0;
    #[expect(clippy::indexing_slicing, clippy::cast_possible_truncation, reason = "when compiled")]
    while octet < 256 {
        let byte = octet as u8;
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.') {
            lower[octet] = byte.to_ascii_lowercase();
        }
        octet += 1;
    }
    lower
};

/// Appends the wire format of a host name, in lower case.
pub(super) fn push_host(text: &str, names: &mut Vec<u8>) -> Result<(), SkipReason> {
    let bytes = text.as_bytes();
    // A final dot has no meaning.
    let bytes = bytes.strip_suffix(b".").unwrap_or(bytes);
    let start = names.len();
    if bytes.len() > MAX_NAME - 2 {
        return slow_host(text, names, start);
    }
    // The name is written after a placeholder for its first length; the dots become the lengths of the
    // labels after them.
    names.push(0);
    names.extend(bytes.iter().map(|b| LOWER.get(usize::from(*b)).copied().unwrap_or(0)));
    names.push(b'.');
    let wire = names.get_mut(start..).unwrap_or_default();
    let (mut label, mut good) = (0, true);
    for at in 1..wire.len() {
        match wire.get(at) {
            Some(b'.') => {
                let len = at - label - 1;
                good &= matches!(len, 1..=MAX_LABEL);
                if let Some(slot) = wire.get_mut(label) {
                    *slot = u8::try_from(len).unwrap_or(0);
                }
                label = at;
            }
            Some(0) => good = false,
            _ => {}
        }
    }
    if let Some(root) = wire.last_mut() {
        *root = 0;
    }
    if !good {
        return slow_host(text, names, start);
    }
    let digits = |b: Option<&u8>| b.is_some_and(u8::is_ascii_digit);
    if digits(bytes.first()) && digits(bytes.last()) && text.parse::<std::net::IpAddr>().is_ok() {
        return Err(SkipReason::Address);
    }
    Ok(())
}

/// The same for text that is not a plain host name: other scripts, or something invalid.
#[cold]
fn slow_host(text: &str, names: &mut Vec<u8>, start: usize) -> Result<(), SkipReason> {
    names.truncate(start);
    if text.parse::<std::net::IpAddr>().is_ok() {
        return Err(SkipReason::Address);
    }
    let name = NameBuf::from_text(text).map_err(SkipReason::Name)?;
    // A stray dot must not block everything, and a rule in another syntax must not be taken for a name that
    // is never queried.
    let mut bytes = name.as_name().labels().flatten();
    if name.as_name().is_root() || !bytes.all(|b| b.is_ascii_alphanumeric() || b"-_".contains(b)) {
        return Err(SkipReason::NotAHostName);
    }
    names.extend_from_slice(name.as_bytes());
    Ok(())
}
