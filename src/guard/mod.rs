//! Which clients may send queries, how many replies they get, and how they show that they are who they say.

pub mod acl;
pub mod cookie;
pub mod ratelimit;
