//! Lists that are built into the program, for `source = "builtin:…"` and for options.

/// Names that browsers and phones look up to detect a filtering network.
pub const CANARIES: &str = include_str!("../../blocklists/canaries.txt");
/// The reason that is shown to users for them.
pub const CANARIES_REASON: &str = "This network filters names and asks programs to use its resolver";

/// The built-in lists: name, original file, text.
pub const LISTS: [(&str, &str, &str); 3] = [
    ("canaries", "blocklists/canaries.txt", CANARIES),
    ("resolvers", "blocklists/resolvers.txt", include_str!("../../blocklists/resolvers.txt")),
    ("safe-search", "blocklists/safe-search.txt", include_str!("../../blocklists/safe-search.txt")),
];
