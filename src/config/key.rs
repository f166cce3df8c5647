//! The tables and keys of the configuration as data, for the reader, its errors and
//! `docs/configuration.md`.

use super::error::{Remedy, expected};

/// A table: its header, what it is for, and its keys.
pub(super) struct Form {
    /// `[server]`, or `[[list]]` for one that may occur several times.
    pub(super) header: &'static str,
    pub(super) meaning: &'static str,
    pub(super) keys: &'static [Key],
    /// Words that people may try, and the key for each.
    pub(super) also: &'static [(&'static str, &'static str)],
}

impl Form {
    /// The key in the table around it: `list` for `[[list]]`, `contact` for `[block.contact]`.
    pub(super) fn name(&self) -> &'static str {
        let path = self.header.trim_matches(['[', ']']);
        path.rsplit_once('.').map_or(path, |(_, last)| last)
    }

    /// The key that another word stands for.
    pub(super) fn meant(&self, word: &str) -> Option<&'static Key> {
        let (_, means) = self.also.iter().find(|(also, _)| *also == word)?;
        self.keys.iter().find(|key| key.name == *means)
    }

    /// True if the table may occur several times.
    pub(super) fn is_list(&self) -> bool {
        self.header.starts_with("[[")
    }
}

/// A key of a table.
#[derive(Clone, Copy)]
pub(super) struct Key {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) without: Without,
    /// A value, as it is written.
    pub(super) example: &'static str,
    pub(super) meaning: &'static str,
}

/// The value of a key that is not given.
#[derive(Clone, Copy)]
pub(super) enum Without {
    /// It must be given.
    Required,
    /// This value, as it would be written.
    Value(&'static str),
    /// A default described in words.
    Words(&'static str),
}

/// The kind of a value.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    /// Described by the code that reads it.
    Unsaid,
    /// Any text.
    Text,
    /// A text of some form: `an address with a port`.
    TextOf(&'static str),
    /// A list of texts of some form: `addresses with a port`.
    Texts(&'static str),
    /// One of some words.
    Word(fn() -> Vec<&'static str>),
    /// True or false.
    Flag,
    /// A whole number within bounds.
    Number(u64, u64),
    /// A time span.
    Duration,
    /// A number of octets.
    Size,
    /// The answer for a blocked name.
    Action,
    /// A value of several forms: `a list of rules`.
    Other(&'static str),
    /// A table with a header of its own.
    Table,
}

impl Kind {
    /// The kind, as the documentation prints it.
    pub(super) fn word(self) -> String {
        match self {
            Self::Unsaid => String::new(),
            Self::Text => "string".into(),
            Self::TextOf(what) | Self::Other(what) => plain(what).into(),
            Self::Texts(what) => format!("list of {what}"),
            Self::Word(words) => {
                words().iter().map(|word| format!("`\"{word}\"`")).collect::<Vec<_>>().join(", ")
            }
            Self::Flag => "`true` or `false`".into(),
            Self::Number(least, most) => format!("number from {least} to {most}"),
            Self::Duration => "duration".into(),
            Self::Size => "size".into(),
            Self::Action => "[action](#actions)".into(),
            Self::Table => "table".into(),
        }
    }

    /// The expected value; `unsaid` where the kind does not determine it.
    pub(super) fn expected(self, unsaid: &str) -> String {
        match self {
            Self::Unsaid => unsaid.to_owned(),
            Self::Text => "a string in quotes".into(),
            Self::TextOf(what) => format!("{what}, in quotes"),
            Self::Texts(what) => format!("a list of {what}, in brackets"),
            Self::Word(words) => format!("one of {}, in quotes", words().join(", ")),
            Self::Flag => "true or false".into(),
            Self::Number(least, most) => format!("a whole number from {least} to {most}"),
            Self::Duration => "a duration, in quotes: a number with ms, s, m, h or d".into(),
            Self::Size => "a size, in quotes: a number with KiB, MiB or GiB".into(),
            Self::Other(what) => what.into(),
            Self::Action => {
                r#"a word such as "nxdomain", { address = ["192.0.2.1"] } or { cname = "blocked.example" }"#
                    .into()
            }
            Self::Table => "a table".into(),
        }
    }
}

impl Key {
    const fn new(name: &'static str, kind: Kind, without: Without) -> Self {
        Self { name, kind, without, example: "", meaning: "" }
    }

    /// A key that must be given.
    pub(super) const fn required(name: &'static str, kind: Kind) -> Self {
        Self::new(name, kind, Without::Required)
    }

    /// A key with a default value.
    pub(super) const fn with(name: &'static str, kind: Kind, default: &'static str) -> Self {
        Self { example: default, ..Self::new(name, kind, Without::Value(default)) }
    }

    /// A key that may be left out, and the meaning of that.
    pub(super) const fn optional(name: &'static str, kind: Kind, without: &'static str) -> Self {
        Self::new(name, kind, Without::Words(without))
    }

    /// With a value as an example.
    pub(super) const fn like(self, example: &'static str) -> Self {
        Self { example, ..self }
    }

    /// With its meaning.
    pub(super) const fn means(self, meaning: &'static str) -> Self {
        Self { meaning, ..self }
    }

    pub(super) const fn is_required(&self) -> bool {
        matches!(self.without, Without::Required)
    }

    /// The line of a file that gives it this value.
    pub(super) fn line(&self, value: &str) -> String {
        format!("{} = {value}", self.name)
    }

    /// The expected value; `unsaid` where the key does not determine it.
    pub(super) fn remedy(&self, unsaid: &str) -> Remedy {
        let remedy = expected(self.kind.expected(unsaid));
        if self.example.is_empty() || matches!(self.kind, Kind::Action) {
            remedy
        } else {
            remedy.such_as(self.line(self.example))
        }
    }
}

/// A key without a declaration: the code that reads it supplies the expected value.
impl From<&'static str> for Key {
    fn from(name: &'static str) -> Self {
        Self::optional(name, Kind::Unsaid, "")
    }
}

/// A noun without its article.
fn plain(what: &str) -> &str {
    what.strip_prefix("a ")
        .or_else(|| what.strip_prefix("an "))
        .or_else(|| what.strip_prefix("the "))
        .unwrap_or(what)
}

/// The words of a list of words and meanings.
pub(super) fn words<T>(known: &[(&'static str, T)]) -> Vec<&'static str> {
    known.iter().map(|(word, _)| *word).collect()
}
