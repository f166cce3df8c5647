//! Any octets as a compiled file: refused, or safe to serve. The target mends the checksums, so that
//! damage gets past them.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use portcullis::dns::{NameBuf, Qtype};
use portcullis::lists::parse;
use portcullis::policy::{Asker, ListPolicy, Options, Policy, compile, decide, file};
use portcullis::rule::{Action, Effect, Format};
use portcullis::trie::{HEADER_LEN, checksum};

fuzz_target!(|input: (&str, Vec<(u16, u8)>, &str)| {
    let (text, damage, question) = input;
    let Ok(list) = parse(text.as_bytes(), Format::AdGuard, None, Effect::Block) else { return };
    let options = Options { lines: true, left_out: false };
    let Ok((compiled, _)) = compile(&[("l".into(), list)], options) else { return };
    let mut index = compiled.index.as_bytes().to_vec();
    let mut tail = file::tail(&compiled).unwrap();
    let footer = tail.len() - 32;
    for (at, octet) in damage {
        let at = usize::from(at) % (index.len() + footer);
        *index.get_mut(at).unwrap_or_else(|| &mut tail[at - compiled.index.as_bytes().len()]) = octet;
    }
    let sum = checksum(&index).to_le_bytes();
    index[HEADER_LEN - 8..HEADER_LEN].copy_from_slice(&sum);
    let sum = checksum(&[&[0; HEADER_LEN][..], &tail[..footer]].concat()).to_le_bytes();
    tail[footer + 16..footer + 24].copy_from_slice(&sum);
    let Ok(opened) = file::open(&Bytes::from([index, tail].concat())) else { return };
    let lists = vec![ListPolicy::new("l".into(), Action::NxDomain, 60, None)];
    let sources = vec![0; opened.tables.sources.len()];
    let (Ok(policy), Ok(name)) =
        (Policy::new(lists, Vec::new(), vec![(opened, sources)]), NameBuf::from_text(question))
    else {
        return;
    };
    let asker = Asker { client: [127, 0, 0, 1].into(), qtype: Qtype::A, view: None };
    let _ = decide(&policy, name.as_name(), asker);
    policy.for_each_name(&mut |_, _| ());
});
