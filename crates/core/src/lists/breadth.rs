//! How many names a pattern matches: every name, nearly every name, or a whole top-level domain. Sample names
//! decide this, because the same pattern can be written in many ways.

use crate::dns::Pattern;
use crate::trie::Patterns;

/// Names with nothing in common. A pattern that matches all of them is taken to match every name.
const EVERY: [&str; 12] = [
    "a",
    "0",
    "z-9",
    "_x._y.q",
    "com",
    "7.7.7",
    "xn--p1ai",
    "www.example.com",
    "a.b.c.d.e.f.g",
    "k",
    "printer.lan",
    "qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq",
];

/// Names as people look them up. A pattern that matches half of them is hardly meant for one site.
const ORDINARY: [&str; 16] = [
    "www.google.com",
    "a.example.org",
    "mail.yahoo.co.jp",
    "news.bbc.co.uk",
    "de.wikipedia.org",
    "vk.com",
    "qq.com",
    "x.y.z.test",
    "1.0.0.10.in-addr.arpa",
    "xn--e1afmkfd.xn--p1ai",
    "static.k8s.io",
    "login.bank.de",
    "fb.me",
    "u.nu",
    "portal.gov.br",
    "printer.lan",
];

/// Some large top-level domains.
const TOP: [&str; 16] =
    ["com", "net", "org", "de", "uk", "ru", "cn", "io", "br", "info", "fr", "eu", "nl", "us", "arpa", "lan"];

/// True if a pattern matches every name.
pub(super) fn is_every(pattern: &Pattern) -> bool {
    matched(pattern, &EVERY.map(str::to_owned)) == EVERY.len()
}

/// True if a pattern matches nearly every name.
pub(super) fn is_wide(pattern: &Pattern) -> bool {
    matched(pattern, &ORDINARY.map(str::to_owned)) * 2 >= ORDINARY.len()
}

/// True if a pattern matches a whole top-level domain: a large one, or the one at its end.
pub(super) fn is_wide_allow(pattern: &Pattern) -> bool {
    let (Pattern::Glob { text, .. } | Pattern::Regex(text)) = pattern;
    let end = text.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
    let from = end.rfind(|c: char| !c.is_ascii_alphanumeric() && c != '-').map_or(0, |at| at + 1);
    let last = end.get(from..).unwrap_or_default().to_ascii_lowercase();
    let mut all = TOP.iter().copied().chain(Some(&*last).filter(|last| !last.is_empty()));
    all.any(|top| {
        let names = ["q7x", "m0.zz-9a", "jkl"].map(|below| format!("{below}.{top}"));
        matched(pattern, &names) == names.len()
    })
}

fn matched(pattern: &Pattern, names: &[String]) -> usize {
    let Ok(built) = Patterns::build(&[(pattern.clone(), 0)]) else { return 0 };
    let matches = |name: &&String| {
        let mut found = false;
        built.matches(name.as_bytes(), |_| found = true);
        found
    };
    names.iter().filter(matches).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::Start;

    #[test]
    fn patterns_by_their_breadth() {
        let regex = |text: &str| Pattern::Regex(text.into());
        let glob = |text: &str| Pattern::Glob { text: text.into(), start: Start::Anywhere, end: true };
        for (pattern, expected) in [
            (regex(".*"), (true, true, true)),
            (regex("^.*$"), (true, true, true)),
            (regex("^(.+)$"), (true, true, true)),
            (regex("[^!]"), (true, true, true)),
            (regex("x?"), (true, true, true)),
            (glob("*"), (true, true, true)),
            (regex("\\."), (false, true, true)),
            (regex("[a-z]\\.[a-z]"), (false, true, true)),
            (regex("\\.(com|net|org)$"), (false, false, true)),
            (regex("\\.zip$"), (false, false, true)),
            (glob(".com"), (false, false, true)),
            (regex("^ads?[0-9]*\\."), (false, false, false)),
            (glob("ads.example.com"), (false, false, false)),
            (regex("(^|\\.)example\\.com$"), (false, false, false)),
        ] {
            let got = (is_every(&pattern), is_wide(&pattern), is_wide_allow(&pattern));
            assert_eq!(got, expected, "{pattern}");
        }
    }
}
