//! The policy as it applies to the clients of one group: their lists, and what they get.

use crate::rule::Action;

/// The policy as it applies to the clients of one group, or of none.
#[derive(Clone, Debug, Default)]
pub struct View {
    /// The number of the group; `None`: no group.
    pub group: Option<u16>,
    /// The lists that apply, a bit each: the first 64, usually all, and the others.
    pub(super) first: u64,
    pub(super) others: Box<[u64]>,
    /// What a client gets for a blocked name if its list does not say.
    pub action: Option<Action>,
    /// Block every name that no rule lets pass.
    pub closed: bool,
    /// The route of forwarded queries.
    pub route: u16,
}

impl View {
    /// True if the list with this number applies.
    #[must_use]
    #[inline]
    pub fn has(&self, list: u16) -> bool {
        let word = match usize::from(list / 64) {
            0 => Some(&self.first),
            n => self.others.get(n - 1),
        };
        word.is_some_and(|word| word >> (list % 64) & 1 == 1)
    }

    /// A number for each view, from 0: no group.
    #[must_use]
    pub fn number(&self) -> u16 {
        self.group.map_or(0, |group| group.saturating_add(1))
    }
}
