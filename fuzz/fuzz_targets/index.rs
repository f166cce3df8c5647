//! Any octets as an index: refused, or safe to look names up in.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis::dns::NameBuf;
use portcullis::trie::Index;

fuzz_target!(|bytes: &[u8]| {
    if let (Ok(index), Ok(name)) = (Index::open(bytes), NameBuf::from_text("www.linkedin.com")) {
        index.lookup(name.as_name(), |_| ());
    }
});
