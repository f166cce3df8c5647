//! Labels of rules, by which a list takes only some of them.

/// The rules that a list takes, by their labels. The default takes all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    /// Only rules with all of these.
    pub with: Vec<String>,
    /// Only rules with none of these.
    pub without: Vec<String>,
}

impl Attributes {
    /// From words such as `ads` and, for a label that a rule must not have, `-ads`.
    #[must_use]
    pub fn of<'w>(words: impl IntoIterator<Item = &'w str>) -> Self {
        let mut all = Self::default();
        for word in words {
            match word.strip_prefix('-') {
                Some(word) => all.without.push(word.to_ascii_lowercase()),
                None => all.with.push(word.to_ascii_lowercase()),
            }
        }
        all
    }

    /// The rules that both selections take.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        let both = |a: &[String], b: &[String]| [a, b].concat();
        Self { with: both(&self.with, &other.with), without: both(&self.without, &other.without) }
    }

    pub(super) fn take(&self, labels: &[String]) -> bool {
        self.with.iter().all(|label| labels.contains(label))
            && !self.without.iter().any(|label| labels.contains(label))
    }
}
