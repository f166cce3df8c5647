//! `[answers]`: how answers are written.

/// How answers are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AnswersSettings {
    /// The order of several addresses.
    pub order: Order,
}

/// The order of several addresses of one name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// As they are given.
    #[default]
    Fixed,
    /// In turn, another one is the first.
    Rotate,
}
