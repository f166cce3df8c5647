//! Lists that the program carries with it, for `source = "builtin:…"` and for options.

/// Names by which browsers and phones ask whether the network filters.
pub const CANARIES: &str = include_str!("../../blocklists/canaries.txt");
/// What people are told about them.
pub const CANARIES_REASON: &str = "This network filters names and asks programs to use its resolver";

/// Lists by name: the name, the file that it comes from, its text.
pub const LISTS: [(&str, &str, &str); 3] = [
    ("canaries", "blocklists/canaries.txt", CANARIES),
    ("resolvers", "blocklists/resolvers.txt", include_str!("../../blocklists/resolvers.txt")),
    ("safe-search", "blocklists/safe-search.txt", include_str!("../../blocklists/safe-search.txt")),
];
