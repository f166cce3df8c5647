//! The secrets behind this server's cookies (RFC 7873).

use crate::dns::{CookieSecret, SECRET_LEN};

/// How this server makes cookies and what it accepts.
#[derive(Clone, Debug)]
pub struct Cookies {
    secrets: Box<[CookieSecret]>,
    /// Nobody configured the secret.
    random: bool,
    /// A client that sends cookies must return this server's over UDP.
    pub required: bool,
}

impl Cookies {
    /// With these secrets: the first makes cookies, all are accepted. Without any, a random one; `None` if the
    /// system has no random numbers.
    #[must_use]
    pub fn new(secrets: &[CookieSecret], required: bool) -> Option<Self> {
        let random = secrets.is_empty();
        let secrets = if random { [random_secret()?].into() } else { secrets.into() };
        Some(Self { secrets, random, required })
    }

    /// The next generation. A random secret stays, so that the clients' cookies remain valid.
    #[must_use]
    pub fn next(before: Option<&Self>, secrets: &[CookieSecret], required: bool) -> Option<Self> {
        match before {
            Some(before) if before.random && secrets.is_empty() => Some(Self { required, ..before.clone() }),
            _ => Self::new(secrets, required),
        }
    }

    /// The secrets; the first makes cookies.
    #[must_use]
    pub fn secrets(&self) -> &[CookieSecret] {
        &self.secrets
    }
}

fn random_secret() -> Option<CookieSecret> {
    let mut octets = [0; SECRET_LEN];
    getrandom::fill(&mut octets).ok()?;
    Some(CookieSecret::new(octets))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_random_secret_outlives_a_reload_and_a_configured_one_replaces_it() {
        let given = [CookieSecret::new([7; SECRET_LEN])];
        let start = Cookies::new(&[], false).unwrap();
        let again = Cookies::next(Some(&start), &[], true).unwrap();
        assert_eq!((again.secrets(), again.required), (start.secrets(), true));
        assert_ne!(Cookies::new(&[], false).unwrap().secrets(), start.secrets());
        let configured = Cookies::next(Some(&start), &given, false).unwrap();
        assert_eq!(configured.secrets(), given);
        // The old secret is not secret any more to who reads the configuration.
        assert_ne!(Cookies::next(Some(&configured), &[], false).unwrap().secrets(), given);
    }
}
