//! Which names a rule matches, including the bugs of real censors' matching.

use portcullis_core::dns::{MAX_NAME, Name};

use super::expression::Expression;

/// Represents a dot within a label where labels are kept separate: no pattern contains it.
const INNER_DOT: u8 = 0xff;

/// Patterns; a name matches if any of them matches.
#[derive(Clone, Debug, Default)]
pub struct Names {
    /// The patterns, in lower case, without a final dot; complete names as printed by `NameBuf`.
    pub patterns: Vec<Pattern>,
    /// Names that do not match, nor their subdomains, in lower case.
    pub except: Vec<String>,
    /// Whether labels are joined with dots and the name is cut at the first NUL before matching.
    pub flattened: bool,
}

/// One pattern.
#[derive(Clone, Debug)]
pub enum Pattern {
    /// Every name.
    Any,
    /// The name itself.
    Exact(String),
    /// The name and its subdomains.
    Suffix(String),
    /// The end of the name, starting at any label.
    EndsWith(String),
    /// The start of the name.
    Prefix(String),
    /// Anywhere.
    Substring(String),
    /// Anywhere the expression matches.
    Regex(Expression),
}

impl Names {
    /// A name and its subdomains.
    #[must_use]
    pub fn suffix(name: &str) -> Self {
        Self { patterns: vec![Pattern::Suffix(name.to_ascii_lowercase())], ..Self::default() }
    }

    /// True if a rule with these patterns matches the name.
    #[must_use]
    pub fn take(&self, qname: Name<'_>) -> bool {
        let joined = Joined::new(qname, self.flattened);
        let text = joined.text();
        self.patterns.iter().any(|p| p.takes(text)) && !self.except.iter().any(|s| is_within(text, s))
    }

    /// True if these patterns match every name that the others match. False means unknown.
    #[must_use]
    pub fn covers(&self, others: &Self) -> bool {
        let same_view = self.flattened == others.flattened;
        self.except.is_empty()
            && !others.patterns.is_empty()
            && (self.patterns.iter().any(|p| matches!(p, Pattern::Any))
                || same_view
                    && others.patterns.iter().all(|other| self.patterns.iter().any(|p| p.covers(other))))
    }
}

impl Pattern {
    fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Any, _) => true,
            (Self::Suffix(a), Self::Suffix(b) | Self::Exact(b)) => is_within(b.as_bytes(), a),
            (Self::Exact(a), Self::Exact(b))
            | (Self::EndsWith(a), Self::EndsWith(b))
            | (Self::Prefix(a), Self::Prefix(b))
            | (Self::Substring(a), Self::Substring(b)) => a == b,
            (Self::Regex(a), Self::Regex(b)) => a.as_str() == b.as_str(),
            _ => false,
        }
    }

    fn takes(&self, text: &[u8]) -> bool {
        match self {
            Self::Any => true,
            // The root, which is written as a dot, has no labels.
            Self::Exact(name) => text == name.strip_prefix('.').unwrap_or(name).as_bytes(),
            Self::Suffix(suffix) => is_within(text, suffix),
            Self::EndsWith(end) => text.ends_with(end.as_bytes()),
            Self::Prefix(start) => text.starts_with(start.as_bytes()),
            Self::Substring(part) => memchr::memmem::find(text, part.as_bytes()).is_some(),
            Self::Regex(expression) => expression.is_match(text),
        }
    }
}

fn is_within(text: &[u8], suffix: &str) -> bool {
    // The root is written as a dot.
    let suffix = if suffix == "." { "" } else { suffix };
    match text.strip_suffix(suffix.as_bytes()) {
        Some(before) => suffix.is_empty() || before.is_empty() || before.ends_with(b"."),
        None => false,
    }
}

/// The labels of a name in lower case, separated by dots, on the stack.
struct Joined {
    octets: [u8; MAX_NAME],
    len: usize,
}

impl Joined {
    fn new(name: Name<'_>, flattened: bool) -> Self {
        let mut joined = Self { octets: [0; MAX_NAME], len: 0 };
        for label in name.labels() {
            if joined.len > 0 {
                joined.push(b'.');
            }
            for octet in label {
                match octet {
                    0 if flattened => return joined,
                    b'.' if !flattened => joined.push(INNER_DOT),
                    other => joined.push(other.to_ascii_lowercase()),
                }
            }
        }
        joined
    }

    fn push(&mut self, octet: u8) {
        // The joined labels are never longer than the name in wire format.
        if let Some(slot) = self.octets.get_mut(self.len) {
            *slot = octet;
            self.len += 1;
        }
    }

    fn text(&self) -> &[u8] {
        self.octets.get(..self.len).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use portcullis_core::dns::NameBuf;
    use proptest::prelude::*;

    fn takes(pattern: Pattern, flattened: bool, name: &str) -> bool {
        let names = Names { patterns: vec![pattern], except: vec!["free.test".into()], flattened };
        names.take(NameBuf::from_text(name).unwrap().as_name())
    }

    #[test]
    fn names_match_as_censors_match_them() {
        let text = str::to_owned;
        let regex = |e: &str| Pattern::Regex(Expression::new(e).unwrap());
        for (pattern, flattened, name, taken) in [
            (Pattern::Any, false, "anything.at.all", true),
            (Pattern::Any, false, "free.test", false),
            (Pattern::Any, false, "is.free.test", false),
            (Pattern::Any, false, "notfree.test", true),
            (Pattern::Exact(text("twitter.com")), false, "Twitter.COM", true),
            (Pattern::Exact(text("twitter.com")), false, "www.twitter.com", false),
            (Pattern::Suffix(text("twitter.com")), false, "twitter.com", true),
            (Pattern::Suffix(text("twitter.com")), false, "a.b.twitter.com", true),
            (Pattern::Suffix(text("twitter.com")), false, "xtwitter.com", false),
            (Pattern::Suffix(text("")), false, "anything", true),
            (Pattern::Suffix(text(".")), false, "anything", true),
            (Pattern::Exact(text(".")), false, ".", true),
            (Pattern::Exact(text(".")), true, "anything", false),
            (Pattern::EndsWith(text("twitter.com")), false, "xtwitter.com", true),
            (Pattern::EndsWith(text("twitter.com")), false, "twitter.comx", false),
            (Pattern::Prefix(text("shadowvpn.com")), false, "shadowvpn.company.example", true),
            (Pattern::Prefix(text("shadowvpn.com")), false, "www.shadowvpn.com", false),
            (Pattern::Substring(text("69.mu")), false, "www.a69.museum", true),
            (Pattern::Substring(text("69.mu")), false, "69mu.example", false),
            (regex(r"(^|\.)facebook\.com$"), false, "www.facebook.com", true),
            (regex(r"(^|\.)facebook\.com$"), false, "notfacebook.com", false),
            (regex(r"FaceBook"), false, "www.faceBOOK.com", true),
            // A dot within a label is a boundary only for censors that join labels first.
            (Pattern::Suffix(text("facebook.com")), false, r"www\.facebook.com", false),
            (Pattern::Suffix(text("facebook.com")), true, r"www\.facebook.com", true),
            (Pattern::Exact(text("facebook.com")), true, r"facebook\.com", true),
            // Likewise, a NUL is the end.
            (Pattern::Suffix(text("facebook.com")), true, r"facebook.com\000.example.org", true),
            (Pattern::Suffix(text("facebook.com")), false, r"facebook.com\000.example.org", false),
        ] {
            assert_eq!(takes(pattern.clone(), flattened, name), taken, "{pattern:?} {flattened} {name}");
        }
    }

    proptest! {
        #[test]
        fn a_suffix_is_what_the_labels_say(
            name in r"[ab]{1,2}(\.[ab]{1,2}){0,3}", suffix in r"[ab]{1,2}(\.[ab]{1,2}){0,1}",
        ) {
            let within = NameBuf::from_text(&name).unwrap().as_name()
                .is_within(NameBuf::from_text(&suffix).unwrap().as_name());
            for flattened in [false, true] {
                prop_assert_eq!(takes(Pattern::Suffix(suffix.clone()), flattened, &name), within);
            }
        }
    }
}
