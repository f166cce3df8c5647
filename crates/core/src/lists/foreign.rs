//! Recognises input that is not a list, and says what to do with it.

/// Input that is not a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotAList {
    /// A web page, usually an error page of the server that should have sent a list.
    #[error("this is a web page, not a list; fetch the list itself")]
    Html,
    /// An XML document.
    #[error("this is an XML document, not a list; fetch the list as text")]
    Xml,
    /// JSON, usually the answer of an API.
    #[error("this is JSON, not a list; fetch or export the list as text, one rule per line")]
    Json,
    /// A document for people.
    #[error("this is a {0} document, not a list; save its names as plain text, one per line")]
    Document(&'static str),
    /// Several files in one.
    #[error("this is a {0} archive, not a list; unpack it ({1}) and name a file in it")]
    Archive(&'static str, &'static str),
    /// Packed by a program other than gzip and zstd.
    #[error(
        "this file is packed with {0}; unpack it ({1}), or pack it with gzip or zstd, which are read as they are"
    )]
    Packed(&'static str, &'static str),
    /// Packed more than once, or packed where only text is expected.
    #[error("this is still packed with {0}; unpack it once more ({1})")]
    StillPacked(&'static str, &'static str),
    /// Text in an encoding of 16 or 32 bits.
    #[error("this text is in UTF-16 or UTF-32; save it as UTF-8")]
    Utf16,
    /// A database of another program.
    #[error("this is an SQLite database, not a list; export its names as text, one per line")]
    Database,
    /// Compiled by `portcullis compile`, where text is expected.
    #[error("this is a compiled index, not text; name it as the `source` of a list with format = \"index\"")]
    Compiled,
    /// Many octets near the beginning that do not occur in text.
    #[error("this is a binary file, not a list; name a text file with one rule per line")]
    Binary,
}

/// How many octets are examined.
const HEAD: usize = 1024;

/// The first octets of files that are not text. Gzip and zstd are unpacked before this is asked.
const MAGIC: &[(&[u8], NotAList)] = &[
    (b"PK\x03\x04", NotAList::Archive("zip", "unzip FILE")),
    (b"PK\x05\x06", NotAList::Archive("zip", "unzip FILE")),
    (b"7z\xbc\xaf\x27\x1c", NotAList::Archive("7z", "7z x FILE")),
    (b"Rar!\x1a\x07", NotAList::Archive("rar", "unrar x FILE")),
    (b"!<arch>\n", NotAList::Archive("ar", "ar x FILE")),
    (b"070701", NotAList::Archive("cpio", "cpio -i < FILE")),
    (b"\xfd7zXZ\0", NotAList::Packed("xz", "xz -d FILE")),
    (b"BZh", NotAList::Packed("bzip2", "bzip2 -d FILE")),
    (b"\x5d\0\0", NotAList::Packed("lzma", "xz --format=lzma -d FILE")),
    (b"LZIP", NotAList::Packed("lzip", "lzip -d FILE")),
    (b"\x04\x22\x4d\x18", NotAList::Packed("lz4", "lz4 -d FILE")),
    (b"\x1f\x9d", NotAList::Packed("compress", "uncompress FILE")),
    (b"\x1f\x8b", NotAList::StillPacked("gzip", "gzip -d FILE")),
    (b"\x28\xb5\x2f\xfd", NotAList::StillPacked("zstd", "zstd -d FILE")),
    (b"%PDF-", NotAList::Document("PDF")),
    (b"{\\rtf", NotAList::Document("RTF")),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", NotAList::Document("Microsoft Office")),
    (b"SQLite format 3\0", NotAList::Database),
    (b"\xff\xfe", NotAList::Utf16),
    (b"\xfe\xff", NotAList::Utf16),
    (b"\0\0\xfe\xff", NotAList::Utf16),
    (&crate::trie::MAGIC, NotAList::Compiled),
];

/// Rejects input that is not a list, by its first octets.
///
/// # Errors
/// [`NotAList`]
pub(super) fn refuse(bytes: &[u8]) -> Result<(), NotAList> {
    let head = bytes.get(..bytes.len().min(HEAD)).unwrap_or_default();
    // The digit after BZh is the size of a block; a list may begin with a name such as bzhost.test.
    let packed = |magic: &[u8]| {
        head.starts_with(magic) && (magic != b"BZh" || head.get(4..10) == Some(b"1AY&SY".as_slice()))
    };
    if let Some((_, what)) = MAGIC.iter().find(|(magic, _)| packed(magic)) {
        return Err(*what);
    }
    // POSIX tar has this after the first file's name, mode, owner and size.
    if head.get(257..262) == Some(b"ustar".as_slice()) {
        return Err(NotAList::Archive("tar", "tar -xf FILE"));
    }
    markup(head.trim_ascii_start())?;
    // Text without a mark for its encoding: every other octet is zero.
    let every_other = |at: usize| head.iter().skip(at).step_by(2);
    let wide = |zero: usize| {
        let text = every_other(1 - zero).all(|b| b.is_ascii_graphic() || b.is_ascii_whitespace());
        text && every_other(zero).all(|b| *b == 0)
    };
    if head.len() >= 8 && (wide(0) || wide(1)) {
        return Err(NotAList::Utf16);
    }
    // A stray NUL costs only its line; in binary data at least every tenth octet is not text.
    let text = |b: &u8| *b >= b' ' || b.is_ascii_whitespace() || *b == 0x1b;
    let others = head.iter().filter(|b| !text(b)).count();
    if others * 50 > head.len() { Err(NotAList::Binary) } else { Ok(()) }
}

/// Markup and JSON. No rule of any format begins with `<`, nor with `{`.
fn markup(text: &[u8]) -> Result<(), NotAList> {
    let (first, rest) = text.split_first().map_or((0, text), |(first, rest)| (*first, rest));
    let next = rest.trim_ascii_start().first().copied().unwrap_or(0);
    match first {
        b'<' if rest.starts_with(b"?xml") => {
            let page = text.windows(5).any(|w| w.eq_ignore_ascii_case(b"<html"));
            Err(if page { NotAList::Html } else { NotAList::Xml })
        }
        b'<' if next.is_ascii_alphabetic() || next == b'!' => Err(NotAList::Html),
        b'{' if next == b'"' => Err(NotAList::Json),
        // `[Adblock Plus 2.0]` is the first line of a filter, and an expression may begin with a class.
        b'[' if matches!(next, b'"' | b'{') => Err(NotAList::Json),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_a_list_is_named_with_a_remedy() {
        let mut tar = vec![0; 600];
        tar[..5].copy_from_slice(b"names");
        tar[257..262].copy_from_slice(b"ustar");
        let utf16: Vec<u8> = "0.0.0.0 a.test\r\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
        for (bytes, says) in [
            (&b"\n<!DOCTYPE html><p>404"[..], "web page"),
            (b"<HTML><body>", "web page"),
            (b"<!-- cached -->\n<html>", "web page"),
            (b"<head>", "web page"),
            (b"<?xml version='1.0'?><!DOCTYPE html><html>", "web page"),
            (b"<?xml version='1.0'?><rss/>", "XML"),
            (b"{\"message\": \"Not Found\"}", "JSON"),
            (b" [\n {\"domain\": \"a.test\"}]", "JSON"),
            (b"[\"a.test\"]", "JSON"),
            (b"PK\x03\x04\x14\0", "unzip"),
            (b"7z\xbc\xaf\x27\x1c\0\x04", "7z x"),
            (b"Rar!\x1a\x07\x01\0", "unrar"),
            (b"\xfd7zXZ\0\0\x04", "xz -d"),
            (b"BZh91AY&SY", "bzip2 -d"),
            (b"\x1f\x8b\x08\0", "still packed"),
            (b"\x1f\x9d\x90", "uncompress"),
            (b"\x04\x22\x4d\x18", "lz4 -d"),
            (b"%PDF-1.7\n", "PDF"),
            (b"{\\rtf1\\ansi", "RTF"),
            (b"SQLite format 3\0\x10\0", "SQLite"),
            (b"\xff\xfea\0.\0", "UTF-8"),
            (&utf16, "UTF-8"),
            (&tar, "tar -xf"),
            (b"\x7fELF\x02\x01\x01\0\0\0\0\0", "binary"),
        ] {
            let error = refuse(bytes).unwrap_err().to_string();
            assert!(error.contains(says), "{error}: {says}");
        }
        for text in [
            "[Adblock Plus 2.0]\n||a.test^\n",
            "bzhost.test\n",
            "pk.test\n",
            "[::1] a.test\n",
            "",
            "# <html>\na.test\n",
            "rar.test",
            "[[:digit:]]ads",
        ] {
            assert_eq!(refuse(text.as_bytes()), Ok(()), "{text}");
        }
    }
}
