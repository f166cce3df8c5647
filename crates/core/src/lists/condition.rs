//! Comments of AdGuard's filters that make the rules after them conditional: `!#if`, and hints such as
//! `!+ PLATFORM(windows)`. The conditions name browsers and other programs, never this one.

use super::detect::is_comment;
use super::skip::SkipReason;
use crate::rule::Format;

/// The conditions that the next line is under.
#[derive(Default)]
pub(super) struct Conditions {
    /// How many `!#if` are open.
    depth: u32,
    /// A hint that applies only to the next rule.
    next: bool,
}

impl Conditions {
    /// Why a line gives no rule, if these comments are the reason.
    pub(super) fn line(&mut self, text: &[u8]) -> Option<SkipReason> {
        let feature = |what: &str| Some(SkipReason::Feature(what.into()));
        match text {
            [b'!', b'#', rest @ ..] => {
                let word = rest.split(|b| !b.is_ascii_alphabetic()).next().unwrap_or_default();
                match word {
                    b"if" => self.depth = self.depth.saturating_add(1),
                    b"endif" => self.depth = self.depth.saturating_sub(1),
                    b"include" => return feature("`!#include`, the rules of another file"),
                    _ => {}
                }
                None
            }
            // `NOT_PLATFORM` excludes some programs, but not this one.
            [b'!', b'+', rest @ ..] => {
                let mut words = rest.split(u8::is_ascii_whitespace);
                self.next |= words.any(|word| word.starts_with(b"PLATFORM("));
                None
            }
            _ if self.depth == 0 && !self.next => None,
            _ if text.is_empty() || is_comment(text, Format::AdGuard) => None,
            _ => {
                self.next = false;
                feature("a rule for some programs only (`!#if` or `!+ PLATFORM`)")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::reader::tests::read;
    use crate::rule::Format;

    #[test]
    fn a_rule_for_other_programs_is_no_rule_here() {
        let other = "! not supported: a rule for some programs only (`!#if` or `!+ PLATFORM`)";
        let text = "||a.org^\n!#if (adguard_app_ios && !cap_x)\n||b.org^\n! why\n!#if adguard\n@@||c.org^\n!#endif\n\
                    !#else\n||d.org^\n!#endif\n||e.org^\n!+ PLATFORM(windows, mac)\n||f.org^\n||g.org^\n\
                    !+ NOT_OPTIMIZED NOT_PLATFORM(ext_ublock)\n||h.org^\n!#include more.txt\n!#endif\n||i.org^";
        assert_eq!(
            read(text, Format::AdGuard),
            [
                "1:||a.org^".to_owned(),
                format!("3:{other}"),
                format!("6:{other}"),
                format!("9:{other}"),
                "11:||e.org^".into(),
                format!("13:{other}"),
                "14:||g.org^".into(),
                "16:||h.org^".into(),
                "17:! not supported: `!#include`, the rules of another file".into(),
                "19:||i.org^".into(),
            ]
        );
        // Elsewhere these are comments.
        assert_eq!(read("!#if x\na.org", Format::Domains), ["2:||a.org^"]);
    }
}
