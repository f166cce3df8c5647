//! Which clients may send queries.

pub mod acl;
