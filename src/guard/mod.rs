//! May this client ask at all?

pub mod acl;
