//! The state of each list that is served, for operators.

/// The state of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListState {
    /// Its name in the configuration.
    pub name: String,
    /// Its rules.
    pub rules: usize,
    /// Its malformed lines.
    pub invalid: u32,
    /// What it deserves a warning for, as kind and text; see [`ALARMS`].
    pub alarms: Vec<(&'static str, String)>,
}

/// The kinds of alarms: many invalid lines, no rules, far fewer rules than before, and a new text that was
/// not taken.
pub const ALARMS: [&str; 4] = ["invalid", "empty", "shrank", "kept"];
