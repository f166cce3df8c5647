//! `[policy]`: which rule wins.

use crate::policy::Precedence;

/// Which rule wins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PolicySettings {
    /// What decides between rules of equal strength.
    pub precedence: Precedence,
    /// Whether every name that no rule lets pass is blocked, for clients whose group does not say.
    pub closed: bool,
}
