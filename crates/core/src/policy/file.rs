//! A compiled list as one file: the index as served, its tables, and a footer.
//!
//! ```text
//!   index    as `trie::index` has it, so that the octets of a file are served as they are
//!   tables   [`Tables`] in the postcard format
//!   footer   length of the index u64 | of the tables u64 | checksum of the tables u64 | magic
//! ```

use bytes::Bytes;

use super::compile::{Compiled, Tables};
use crate::dns::clean;
use crate::trie::{Index, OpenError, checksum};

/// The last octets of a file.
const MAGIC: [u8; 8] = *b"PTCLTAB\x03";
const FOOTER_LEN: usize = 32;

/// Why a file is not a compiled list.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// Its index is invalid.
    #[error(transparent)]
    Index(OpenError),
    /// Its footer or its tables are truncated, damaged or of another version.
    #[error("the compiled index is truncated, damaged or of another version; compile the lists again")]
    Tables,
    /// It has a rule for every name or a whole top-level domain, which its list may not have.
    #[error(
        "it has the rule `{0}`, and the list may not have rules for every name or a whole top-level domain; add \"every-name\" to its `may`, or compile it with --may"
    )]
    EveryName(String),
}

/// True if a file that begins with these octets may be a compiled list.
#[must_use]
pub fn is_compiled(head: &[u8]) -> bool {
    head.starts_with(&crate::trie::MAGIC)
}

/// The part of the file after the index.
///
/// # Errors
/// [`FileError::Tables`] if the tables can't be written, which only a lack of memory can cause.
pub fn tail(compiled: &Compiled) -> Result<Vec<u8>, FileError> {
    let mut out = postcard::to_allocvec(&compiled.tables).map_err(|_| FileError::Tables)?;
    let (index, tables) = (compiled.index.as_bytes().len() as u64, out.len() as u64);
    let sum = checksum(&padded(&out));
    for word in [index, tables, sum] {
        out.extend_from_slice(&word.to_le_bytes());
    }
    out.extend_from_slice(&MAGIC);
    Ok(out)
}

/// Opens a compiled list after checking both checksums.
///
/// # Errors
/// See [`FileError`].
pub fn open(file: &Bytes) -> Result<Compiled, FileError> {
    // For a file of another kind, the error of the index is the clearest.
    if !is_compiled(file) {
        return Err(FileError::Index(OpenError::NotAnIndex));
    }
    let (rest, footer) = file.split_last_chunk::<FOOTER_LEN>().ok_or(FileError::Tables)?;
    let mut words = footer.as_chunks::<8>().0.iter().map(|w| u64::from_le_bytes(*w));
    let (Some(index), Some(tables), Some(sum)) = (words.next(), words.next(), words.next()) else {
        return Err(FileError::Tables);
    };
    let whole = index.checked_add(tables) == Some(rest.len() as u64) && footer.ends_with(&MAGIC);
    let split = usize::try_from(index).ok().filter(|_| whole).ok_or(FileError::Tables)?;
    let tables = rest.get(split..).ok_or(FileError::Tables)?;
    if checksum(&padded(tables)) != sum {
        return Err(FileError::Tables);
    }
    let mut tables: Tables = postcard::from_bytes(tables).map_err(|_| FileError::Tables)?;
    // The names of lists may be anything, as the file may come from anywhere.
    for source in &mut tables.sources {
        *source = clean(source).into_owned();
    }
    let index = Index::open(file.slice(..split)).map_err(FileError::Index)?;
    Ok(Compiled { index, tables })
}

/// The checksum of the index skips a header; here there is none.
fn padded(tables: &[u8]) -> Vec<u8> {
    let mut out = vec![0; crate::trie::HEADER_LEN];
    out.extend_from_slice(tables);
    out
}

#[cfg(test)]
mod tests {
    use super::super::compile::{Options, compile};
    use super::*;
    use crate::lists::parse;
    use crate::rule::{Effect, Format};

    #[test]
    fn what_is_opened_gives_the_same_file_again() {
        let text =
            "||a.test^\n@@||b.a.test^$important\n/ads[0-9]/\n||c.test^$dnsrewrite=192.0.2.1\n||c.test^\n";
        let list = parse(text.as_bytes(), Format::AdGuard, None, Effect::Block).unwrap();
        let options = Options { lines: true, left_out: false };
        let (compiled, _) = compile(&[("l".into(), list)], options).unwrap();
        let bytes = |compiled: &Compiled| [compiled.index.as_bytes(), &tail(compiled).unwrap()].concat();
        let file = bytes(&compiled);
        let opened = open(&Bytes::from(file.clone())).unwrap();
        assert_eq!(opened.tables, compiled.tables);
        assert_eq!(bytes(&opened), file);
    }
}
