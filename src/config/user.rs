//! The user that the program runs as, for errors about unreadable files.

use std::io::{Error, ErrorKind};

/// The remedy for a file that this user may not read; `None` for other errors.
pub(super) fn permission(error: &Error) -> Option<String> {
    (error.kind() == ErrorKind::PermissionDenied)
        .then(|| format!("allow {} to read it and to enter the folders above it", me()))
}

/// The user of this process, by name if the system's user file has it.
#[cfg(unix)]
fn me() -> String {
    let id = rustix::process::geteuid().as_raw();
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    match name_of(id, &users) {
        Some(name) => format!("the user `{name}`"),
        None => format!("the user with the id {id}"),
    }
}

#[cfg(not(unix))]
fn me() -> String {
    "the user that the program runs as".into()
}

/// The name of a user in the text of a file of users (passwd(5)).
#[cfg(unix)]
fn name_of(id: u32, users: &str) -> Option<&str> {
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (name, number) = (fields.next()?, fields.nth(1)?);
        (number.parse() == Ok(id)).then_some(name)
    })
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn users_have_names() {
        let users = "root:x:0:0:root:/root:/bin/sh\nbroken\n\ndns:x:953:953::/:/bin/false\n";
        for (id, name) in [(0, Some("root")), (953, Some("dns")), (1, None)] {
            assert_eq!(name_of(id, users), name, "{id}");
        }
        let denied = permission(&ErrorKind::PermissionDenied.into()).unwrap();
        assert!(denied.starts_with("allow the user "), "{denied}");
        assert_eq!(permission(&ErrorKind::NotFound.into()), None);
    }
}
