//! What the targets of the list formats share.

use portcullis::lists::{List, Reader, parse};
use portcullis::rule::{Effect, Format};

/// Reads the octets as a list of a format, whole and in pieces of the length that the first octet says:
/// both must give the same, and every line must be one of the list.
pub fn read(format: Format, bytes: &[u8]) {
    let Some((step, bytes)) = bytes.split_first() else { return };
    let whole = parse(bytes, format, None, Effect::Block);
    let mut reader = Reader::new(format, None, Effect::Block);
    let fed = bytes.chunks(usize::from(*step) + 1).try_for_each(|piece| reader.feed(piece));
    let pieces = fed.and_then(|()| reader.finish());
    match (&whole, &pieces) {
        (Ok(whole), Ok(pieces)) => assert_eq!(show(whole), show(pieces)),
        _ => assert_eq!(whole.is_err(), pieces.is_err()),
    }
}

fn show(list: &List) -> Vec<String> {
    let known = |line: u32| assert!((1..=list.lines).contains(&line));
    let names = list.rules().map(|rule| {
        known(rule.line);
        format!("{rule:?} {:?}", list.traits.get(rule.traits as usize))
    });
    let patterns = list.patterns.iter().map(|pattern| {
        known(pattern.0);
        format!("{pattern:?}")
    });
    let skipped = list.skipped.iter().map(|skipped| {
        known(skipped.line);
        format!("{skipped:?}")
    });
    let rest = format!("{} {} {:?}", list.lines, list.blank, list.format);
    names.chain(patterns).chain(skipped).chain([rest]).collect()
}
