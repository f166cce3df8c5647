//! The rule index: a frozen trie over the labels of names, root first. It maps names to ids.
//!
//! A node with few descendants holds them inline, one after the other; a node with many is a *hub*, and
//! each of its children, with its own inlined descendants, is a *cluster* found by hash. So `com` is a hub,
//! `linkedin.com` one of its clusters, and `www.linkedin.com` is inlined in that:
//!
//! ```text
//!   www.linkedin.com
//!       com ──► top-level labels: │ com: hub 7 │ …                               always cached
//!       hub 7 + hash(linkedin) ──► bucket ──► │ …│ linkedin │ www │ mail │ │ …   one line or two
//!
//!   header 64 octets: version, counts, seed, checksum; see [`index::Header`]
//!   lines  64 octets for 15 buckets: where the first begins, and for each of them
//!          20 bits of signature │ 12 bits: its offset from the first
//!   tops   16 octets for each slot of a hash table: a top-level label of up to seven octets with its
//!          length as one word, its hub, its set; compared in one step. A longer one is a child of hub 0
//!   sets   12 octets: the ids for exact, suffix, subdomains. Few differ, so a node has their number
//!   far     8 octets for each bucket that 12 bits do not reach: bucket, where it begins
//!   nodes  bucket after bucket, cluster after cluster; see [`node::Node`]
//!   ranks   4 octets for each line: names before it   ┐ read only to explain
//!   aside   4 octets for each name                    ┘
//! ```
//!
//! Why it is fast: a name that is absent costs the read of one line (the lines of a million names are 1.5
//! MB, which the caches mostly hold); a name that is present costs one more read, of the nodes. Why it is
//! small: three letters in two octets, no pointers or hashes beside labels, ids by number. Why it is exact:
//! the label is compared as a whole, and the hub, though not stored, is compared too: for one label each
//! hub has a different bucket (`index`).

mod ahead;
mod build;
mod index;
mod node;
mod pattern;

pub use self::ahead::Ahead;
pub use self::build::{Plain, Source, Stored, TooLarge, build, build_with};
pub(crate) use self::index::MAGIC;
pub use self::index::{HEADER_LEN, checksum};
pub use self::index::{Hit, Index, OpenError};
pub(crate) use self::node::{NONE, Values, place};
pub use self::pattern::{BuildError, PatternError, Patterns, text_of};
pub(crate) use self::pattern::{cost_of, is_filtered};
