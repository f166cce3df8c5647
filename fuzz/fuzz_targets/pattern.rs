//! Any expression or glob: refused, or the automata say the same as one at a time.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis::dns::{Pattern, Start};
use portcullis::trie::Patterns;

fuzz_target!(|input: (Vec<(String, Option<(u8, bool)>)>, String)| {
    let (texts, name) = input;
    let name = name.to_ascii_lowercase();
    let patterns: Vec<Pattern> = texts
        .into_iter()
        .take(6)
        .map(|(text, glob)| match glob {
            None => Pattern::Regex(text),
            Some((start, end)) => {
                let start = [Start::Name, Start::Label, Start::Anywhere][usize::from(start % 3)];
                Pattern::Glob { text: text.to_ascii_lowercase(), start, end }
            }
        })
        .collect();
    let told = |patterns: &[Pattern]| {
        let numbered: Vec<_> = patterns.iter().cloned().zip(0u32..).collect();
        let mut all = Vec::new();
        Patterns::build(&numbered).map(|built| {
            built.matches(name.as_bytes(), |id| all.push(id));
            all.sort_unstable();
            all
        })
    };
    if let Ok(together) = told(&patterns) {
        let alone = (0u32..)
            .zip(&patterns)
            .filter(|(_, pattern)| told(std::slice::from_ref(pattern)).is_ok_and(|found| !found.is_empty()));
        assert_eq!(together, alone.map(|(number, _)| number).collect::<Vec<_>>());
    }
});
