//! What to search for.

use ipnet::IpNet;

use super::file::{DAY, DayFile};
use crate::dns::Qtype;
use crate::policy::Class;

/// What to search for; nothing set: everything.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// The name.
    pub name: Option<NameFilter>,
    /// The client, or the network that it is in.
    pub client: Option<IpNet>,
    /// The verdict.
    pub verdict: Option<Class>,
    /// The list whose rule decided.
    pub list: Option<String>,
    /// The type.
    pub qtype: Option<Qtype>,
    /// The reference of a refusal.
    pub reference: Option<u32>,
    /// From this time on, in microseconds since 1970.
    pub since: Option<i64>,
    /// Before this time.
    pub until: Option<i64>,
}

/// What a name must be; all in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NameFilter {
    /// This.
    Exact(String),
    /// This, or below it.
    Suffix(String),
    /// It has this text in it.
    Part(String),
}

/// False if the file's day lies outside the times of the filter. Rows may stand an hour outside of their day,
/// when a clock was set.
pub(super) fn may_have(file: &DayFile, filter: &Filter) -> bool {
    let hour = 3_600_000_000;
    let (begin, end) = (file.start() - hour, file.start() + DAY + hour);
    filter.since.is_none_or(|since| end > since) && filter.until.is_none_or(|until| begin < until)
}
