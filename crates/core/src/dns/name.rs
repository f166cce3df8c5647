//! Domain names: a checked name in wire format, its labels from the root down, and its text.
//!
//! A [`Name`] borrows octets in wire format that have been checked once: no compression pointer, labels of
//! 1 to 63 octets, at most 255 octets in total, ended by the root (RFC 1035 §2.3.4, §3.1). A [`NameBuf`]
//! owns such octets. Names compare case-insensitively for ASCII (RFC 4343).

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The most octets of a name in wire format, including the root's zero.
pub const MAX_NAME: usize = 255;
/// The most octets in one label.
pub const MAX_LABEL: usize = 63;
/// The most labels of a name, not counting the root.
pub const MAX_LABELS: usize = 127;

/// A checked, uncompressed name in wire format, borrowed.
#[derive(Clone, Copy)]
pub struct Name<'a>(&'a [u8]);

/// A checked, uncompressed name in wire format, owned.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "Vec<u8>", into = "Vec<u8>")]
pub struct NameBuf(Vec<u8>);

/// How a rule's name is matched against a question's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Match {
    /// The name itself only.
    Exact,
    /// The name and its subdomains.
    Suffix,
    /// The subdomains, but not the name itself (`*.example.org`).
    Subdomains,
}

/// Why octets or text are not a domain name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// The bytes end before the name does.
    #[error("the name is cut off")]
    Short,
    /// A compression pointer where none is allowed.
    #[error("a compression pointer is not allowed here")]
    Pointer,
    /// A label of over 63 octets, or a length octet of a reserved type.
    #[error("a label is longer than 63 octets")]
    LabelTooLong,
    /// Over 255 octets in total.
    #[error("the name is longer than 255 octets")]
    NameTooLong,
    /// Two dots with nothing between them, or no text at all.
    #[error("a label is empty")]
    EmptyLabel,
    /// A backslash that is not followed by a character or three digits up to 255.
    #[error("a backslash must be followed by a character or by three digits up to 255")]
    BadEscape,
    /// Not ASCII, and not convertible by UTS 46.
    #[error("the name is not a valid internationalised name")]
    BadIdna,
    /// White space or a control character in a name for a list.
    #[error("white space and control characters are not part of a name")]
    BadCharacter,
}

impl<'a> Name<'a> {
    /// The root.
    pub const ROOT: Name<'static> = Name(&[0]);

    /// Checks the name that starts at `bytes[0]`; the result borrows only the name's octets.
    ///
    /// # Errors
    /// [`NameError::Short`], [`NameError::Pointer`], [`NameError::LabelTooLong`] or
    /// [`NameError::NameTooLong`].
    pub fn parse(bytes: &'a [u8]) -> Result<Self, NameError> {
        let mut at = 0;
        loop {
            let len = *bytes.get(at).ok_or(NameError::Short)?;
            match len {
                0 => {
                    let whole = bytes.get(..=at).ok_or(NameError::Short)?;
                    return if whole.len() > MAX_NAME {
                        Err(NameError::NameTooLong)
                    } else {
                        Ok(Name(whole))
                    };
                }
                1..=63 => at += 1 + usize::from(len),
                0xc0.. => return Err(NameError::Pointer),
                _ => return Err(NameError::LabelTooLong),
            }
            if at >= MAX_NAME {
                return Err(NameError::NameTooLong);
            }
        }
    }

    /// A name whose octets were checked when they were stored; the root if there are none.
    pub(crate) const fn stored(bytes: &'a [u8]) -> Self {
        if bytes.is_empty() { Self::ROOT } else { Name(bytes) }
    }

    /// The octets in wire format, ending with the root's zero.
    #[must_use]
    pub const fn as_bytes(self) -> &'a [u8] {
        self.0
    }

    /// True for the root itself.
    #[must_use]
    pub fn is_root(self) -> bool {
        self.0 == [0]
    }

    /// The labels in wire order, leftmost first, without the root.
    #[must_use]
    pub fn labels(self) -> Labels<'a> {
        Labels(self.0)
    }

    /// The offset of each label, so that the name can be walked from the root down.
    #[must_use]
    pub fn offsets(self) -> Offsets<'a> {
        let mut offsets = Offsets { name: self.0, at: [0; MAX_LABELS], len: 0 };
        let mut at = 0u8;
        for label in self.labels() {
            if let Some(slot) = offsets.at.get_mut(usize::from(offsets.len)) {
                *slot = at;
                offsets.len += 1;
            }
            at = at.wrapping_add(u8::try_from(label.len() + 1).unwrap_or(0));
        }
        offsets
    }

    /// The name without its leftmost label; `None` for the root.
    #[must_use]
    pub fn parent(self) -> Option<Self> {
        let len = usize::from(*self.0.first()?);
        if len == 0 { None } else { self.0.get(1 + len..).map(Name) }
    }

    /// True if this name is `other` or a subdomain of it.
    #[must_use]
    pub fn is_within(self, other: Name<'_>) -> bool {
        let mut name = Some(self);
        while let Some(n) = name {
            if n.0.len() <= other.0.len() {
                return n == other;
            }
            name = n.parent();
        }
        false
    }

    /// The canonical order of names (RFC 4034 §6.1).
    #[must_use]
    pub fn canonical_cmp(self, other: Name<'_>) -> Ordering {
        let (own, others) = (self.offsets(), other.offsets());
        for depth in 1.. {
            let order = match (own.from_root(depth), others.from_root(depth)) {
                (None, None) => return Ordering::Equal,
                (None, Some(_)) => Ordering::Less,
                (Some(_), None) => Ordering::Greater,
                (Some(a), Some(b)) => {
                    a.iter().map(u8::to_ascii_lowercase).cmp(b.iter().map(u8::to_ascii_lowercase))
                }
            };
            if order.is_ne() {
                return order;
            }
        }
        Ordering::Equal
    }

    /// An owned copy in lower case, the form in which names are stored and compared.
    #[must_use]
    pub fn to_folded(self) -> NameBuf {
        NameBuf(self.0.to_ascii_lowercase())
    }

    /// An owned copy in the original case.
    #[must_use]
    pub fn to_buf(self) -> NameBuf {
        NameBuf(self.0.to_vec())
    }
}

/// A name and all names above it, down to the root.
pub fn ancestors(name: Name<'_>) -> impl Iterator<Item = Name<'_>> {
    std::iter::successors(Some(name), |name| name.parent())
}

/// A name in lower case on the stack: the key for tables of lower-case names.
pub struct Folded {
    bytes: [u8; MAX_NAME],
    len: usize,
}

impl Folded {
    /// Copies and folds a name.
    #[must_use]
    pub fn new(name: Name<'_>) -> Self {
        let mut folded = Self { bytes: [0; MAX_NAME], len: name.0.len() };
        if let Some(slot) = folded.bytes.get_mut(..name.0.len()) {
            slot.copy_from_slice(name.0);
            // Length octets are at most 63, below any letter.
            slot.make_ascii_lowercase();
        }
        folded
    }

    /// The octets from `start` on: the whole name, or one of its suffixes.
    #[must_use]
    pub fn from(&self, start: usize) -> &[u8] {
        self.bytes.get(start..self.len).unwrap_or_default()
    }

    /// The whole name.
    #[must_use]
    pub fn as_name(&self) -> Name<'_> {
        Name(self.from(0))
    }
}

impl PartialEq for Name<'_> {
    // Length octets are at most 63 and so never change under ASCII case folding.
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(other.0)
    }
}

impl Eq for Name<'_> {}

/// An iterator over labels; see [`Name::labels`].
#[derive(Clone, Debug)]
pub struct Labels<'a>(&'a [u8]);

impl<'a> Iterator for Labels<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let (&len, rest) = self.0.split_first()?;
        if len == 0 {
            return None;
        }
        let (label, rest) = rest.split_at_checked(usize::from(len))?;
        self.0 = rest;
        Some(label)
    }
}

/// The labels of a name by position; see [`Name::offsets`].
pub struct Offsets<'a> {
    name: &'a [u8],
    at: [u8; MAX_LABELS],
    len: u8,
}

impl<'a> Offsets<'a> {
    /// The number of labels, not counting the root.
    #[must_use]
    pub fn count(&self) -> usize {
        usize::from(self.len)
    }

    /// The label at `depth` below the root: 1 is the top-level domain.
    #[must_use]
    pub fn from_root(&self, depth: usize) -> Option<&'a [u8]> {
        let index = self.count().checked_sub(depth)?;
        let start = usize::from(*self.at.get(index)?);
        let len = usize::from(*self.name.get(start)?);
        self.name.get(start + 1..start + 1 + len)
    }

    /// True if the label at `depth` below the root is this one, whatever its case.
    #[must_use]
    pub fn is(&self, depth: usize, label: &[u8]) -> bool {
        self.from_root(depth).is_some_and(|own| own.eq_ignore_ascii_case(label))
    }

    /// The last `depth` labels of the name; 0 is the root.
    #[must_use]
    pub fn suffix(&self, depth: usize) -> Option<Name<'a>> {
        if depth == 0 {
            return self.name.last_chunk::<1>().map(|b| Name(b));
        }
        let start = usize::from(*self.at.get(self.count().checked_sub(depth)?)?);
        self.name.get(start..).map(Name)
    }
}

impl NameBuf {
    /// The name, borrowed.
    #[must_use]
    pub fn as_name(&self) -> Name<'_> {
        Name(&self.0)
    }

    /// The octets in wire format, ending with the root's zero.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Reads presentation format (RFC 1035 §5.1): labels separated by dots, `\X` and `\DDD` escapes, an
    /// optional final dot without meaning. Text that is not ASCII becomes A-labels by UTS 46. The result is
    /// in lower case.
    ///
    /// # Errors
    /// What is wrong with the text.
    pub fn from_text(text: &str) -> Result<Self, NameError> {
        if text.is_ascii() {
            return Self::from_ascii(text.as_bytes());
        }
        let ascii = idna::domain_to_ascii(text).map_err(|_| NameError::BadIdna)?;
        Self::from_ascii(ascii.as_bytes())
    }

    fn from_ascii(text: &[u8]) -> Result<Self, NameError> {
        if text == b"." {
            return Ok(NameBuf(vec![0]));
        }
        let mut wire = Vec::with_capacity(text.len() + 2);
        wire.push(0);
        let mut start = 0;
        let mut bytes = text.iter().copied();
        let mut ended = false;
        while let Some(byte) = bytes.next() {
            ended = false;
            match byte {
                b'.' => {
                    close_label(&mut wire, start)?;
                    start = wire.len();
                    wire.push(0);
                    ended = true;
                }
                b'\\' => wire.push(unescape(&mut bytes)?),
                0..=b' ' | 0x7f => return Err(NameError::BadCharacter),
                other => wire.push(other.to_ascii_lowercase()),
            }
            if wire.len() > MAX_NAME + 1 {
                return Err(NameError::NameTooLong);
            }
        }
        if !ended {
            close_label(&mut wire, start)?;
            wire.push(0);
        }
        if wire.len() > MAX_NAME {
            return Err(NameError::NameTooLong);
        }
        Ok(NameBuf(wire))
    }
}

fn close_label(wire: &mut [u8], start: usize) -> Result<(), NameError> {
    match wire.len() - start - 1 {
        0 => Err(NameError::EmptyLabel),
        len @ 1..=MAX_LABEL => {
            if let (Some(slot), Ok(len)) = (wire.get_mut(start), u8::try_from(len)) {
                *slot = len;
            }
            Ok(())
        }
        _ => Err(NameError::LabelTooLong),
    }
}

fn unescape(bytes: &mut impl Iterator<Item = u8>) -> Result<u8, NameError> {
    let first = bytes.next().ok_or(NameError::BadEscape)?;
    if !first.is_ascii_digit() {
        return Ok(first.to_ascii_lowercase());
    }
    let mut value = u16::from(first - b'0');
    for _ in 0..2 {
        let digit = bytes.next().filter(u8::is_ascii_digit).ok_or(NameError::BadEscape)?;
        value = value * 10 + u16::from(digit - b'0');
    }
    u8::try_from(value).map(|b| b.to_ascii_lowercase()).map_err(|_| NameError::BadEscape)
}

impl FromStr for NameBuf {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::from_text(text)
    }
}

impl From<NameBuf> for Vec<u8> {
    fn from(name: NameBuf) -> Self {
        name.0
    }
}

impl TryFrom<Vec<u8>> for NameBuf {
    type Error = NameError;

    /// Takes octets in wire format that are exactly one name.
    fn try_from(bytes: Vec<u8>) -> Result<Self, NameError> {
        let whole = Name::parse(&bytes)?.as_bytes().len() == bytes.len();
        if whole { Ok(Self(bytes)) } else { Err(NameError::EmptyLabel) }
    }
}

impl Borrow<[u8]> for NameBuf {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

impl Name<'_> {
    /// Presentation format with the final dot, as in a master file: `www.example.org.`, and `.` for the root.
    #[must_use]
    pub fn dotted(self) -> String {
        if self.is_root() { ".".into() } else { format!("{self}.") }
    }
}

impl fmt::Display for Name<'_> {
    /// Presentation format, without the final dot except for the root itself.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_root() {
            return f.write_str(".");
        }
        for (i, label) in self.labels().enumerate() {
            if i > 0 {
                f.write_str(".")?;
            }
            for &byte in label {
                match byte {
                    b'.' | b'\\' | b'"' | b'(' | b')' | b';' | b'@' | b'$' => {
                        write!(f, "\\{}", char::from(byte))?;
                    }
                    0x21..=0x7e => write!(f, "{}", char::from(byte))?,
                    _ => write!(f, "\\{byte:03}")?,
                }
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Name({self})")
    }
}

impl fmt::Display for NameBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_name().fmt(f)
    }
}

impl fmt::Debug for NameBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_name().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_becomes_wire_and_text_again() {
        for (text, shown) in [
            ("example.org", "example.org"),
            ("Example.ORG.", "example.org"),
            (".", "."),
            ("a\\.b.c", "a\\.b.c"),
            ("a\\000b.c", "a\\000b.c"),
            ("_dmarc.x", "_dmarc.x"),
            ("bücher.example", "xn--bcher-kva.example"),
            ("пример.рф", "xn--e1afmkfd.xn--p1ai"),
        ] {
            let name = NameBuf::from_text(text).unwrap();
            assert_eq!(name.to_string(), shown, "{text}");
            assert_eq!(Name::parse(name.as_bytes()).unwrap(), name.as_name());
            assert_eq!(NameBuf::from_text(&name.to_string()).unwrap(), name);
        }
    }

    #[test]
    fn bad_text_is_refused_with_its_reason() {
        let label = "a".repeat(64);
        let long = [&*"a".repeat(63); 4].join(".");
        for (text, error) in [
            ("", NameError::EmptyLabel),
            ("a..b", NameError::EmptyLabel),
            (".a", NameError::EmptyLabel),
            (&*label, NameError::LabelTooLong),
            (&*long, NameError::NameTooLong),
            ("a\\", NameError::BadEscape),
            ("a\\25", NameError::BadEscape),
            ("a\\256", NameError::BadEscape),
            ("a b", NameError::BadCharacter),
        ] {
            assert_eq!(NameBuf::from_text(text), Err(error), "{text}");
        }
        let longest = format!("{0}.{0}.{0}.{1}", "a".repeat(63), "b".repeat(61));
        assert_eq!(NameBuf::from_text(&longest).unwrap().as_bytes().len(), MAX_NAME);
    }

    #[test]
    fn wire_names_are_checked() {
        assert_eq!(Name::parse(b"\x01a\x00rest").unwrap().as_bytes(), b"\x01a\x00");
        for (bytes, error) in [
            (&b""[..], NameError::Short),
            (b"\x01", NameError::Short),
            (b"\x01a", NameError::Short),
            (b"\xc0\x0c", NameError::Pointer),
            (b"\x01a\xc0\x0c", NameError::Pointer),
            (b"\x40", NameError::LabelTooLong),
        ] {
            assert_eq!(Name::parse(bytes), Err(error), "{bytes:?}");
        }
        assert_eq!(Name::parse(&[1; 300]), Err(NameError::NameTooLong));
    }

    #[test]
    fn walks_from_the_root_down() {
        let name = NameBuf::from_text("www.linkedin.com").unwrap();
        let offsets = name.as_name().offsets();
        assert_eq!(offsets.count(), 3);
        assert_eq!(offsets.from_root(1), Some(&b"com"[..]));
        assert_eq!(offsets.from_root(3), Some(&b"www"[..]));
        assert_eq!(offsets.from_root(4), None);
        assert_eq!(offsets.suffix(2).unwrap().to_string(), "linkedin.com");
        assert_eq!(offsets.suffix(0).unwrap(), Name::ROOT);
        let most = NameBuf(vec![1; 254].into_iter().chain([0]).collect());
        assert_eq!(most.as_name().offsets().count(), MAX_LABELS);
    }

    #[test]
    fn the_canonical_order_is_that_of_rfc_4034() {
        let sorted = [
            "example",
            "a.example",
            "yljkjljk.a.example",
            "Z.a.example",
            "zABC.a.EXAMPLE",
            "z.example",
            "\\001.z.example",
            "*.z.example",
            "\\200.z.example",
        ];
        let names = sorted.map(|text| NameBuf::from_text(text).unwrap());
        for (i, a) in names.iter().enumerate() {
            for (j, b) in names.iter().enumerate() {
                assert_eq!(a.as_name().canonical_cmp(b.as_name()), i.cmp(&j), "{a} {b}");
            }
        }
    }

    #[test]
    fn within_respects_label_boundaries() {
        let name = |t: &str| NameBuf::from_text(t).unwrap();
        for (a, b, yes) in [
            ("a.b", "b", true),
            ("b", "b", true),
            ("ab", "b", false),
            ("b", "a.b", false),
            ("x.y", ".", true),
            (".", ".", true),
        ] {
            assert_eq!(name(a).as_name().is_within(name(b).as_name()), yes, "{a} {b}");
        }
    }
}
