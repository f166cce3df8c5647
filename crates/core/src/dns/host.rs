//! Names as people type them, and what they type or paste instead: URLs, patterns, rules of a list.

use std::net::IpAddr;

use super::name::{NameBuf, NameError};

/// Why a text is not a name that a host or a domain of hosts has. Reads on from "`TEXT` is".
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HostError {
    /// It is not a domain name at all.
    #[error("not a domain name: {0}")]
    NotAName(NameError),
    /// A URL.
    #[error("a URL, not a name")]
    Url,
    /// An IP address.
    #[error("an address, not a name")]
    Address,
    /// It begins with `*.`.
    #[error("a pattern, not a name")]
    Pattern,
    /// It has a character that no host name has.
    #[error("not a name: no host name has `{0}`")]
    Character(char),
}

impl NameBuf {
    /// Reads a name of letters, digits, hyphens and underscores (RFC 952, RFC 8552), and in reverse zones
    /// slashes (RFC 2317 §4). Any other character must be written as an escape, `\*` or `\042`.
    ///
    /// # Errors
    /// What the text is instead; [`host_in`] finds the name that was meant.
    pub fn from_host(text: &str) -> Result<Self, HostError> {
        if text.contains("://") {
            return Err(HostError::Url);
        }
        if text.parse::<IpAddr>().is_ok() {
            return Err(HostError::Address);
        }
        if text.starts_with("*.") {
            return Err(HostError::Pattern);
        }
        let name = Self::from_text(text).map_err(HostError::NotAName)?;
        let reverse = name.as_bytes().ends_with(b"\x07in-addr\x04arpa\0");
        let mut labels = name.as_name().labels().flatten();
        let strange = labels
            .find(|b| !(b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_') || **b == b'/' && reverse));
        match strange {
            Some(byte) if !text.contains('\\') => Err(HostError::Character(char::from(*byte))),
            _ => Ok(name),
        }
    }
}

/// The name in a URL, a pattern, a rule of a list, or a host with a port; `None` if none is evident.
#[must_use]
pub fn host_in(text: &str) -> Option<&str> {
    let is_address = text.parse::<IpAddr>().is_ok();
    let text = match text.split_once("://") {
        Some((_, rest)) => {
            let authority = rest.split(['/', '?', '#']).next()?;
            authority.rsplit('@').next()?
        }
        None => text.trim_start_matches(['@', '|', '*', '.']),
    };
    let (host, rest) = match text.find(['^', '/', ':', '?', '#', '$', '|', ',']) {
        Some(at) => text.split_at_checked(at)?,
        None => (text, ""),
    };
    let only_an_end = !rest.contains('*') && !host.is_empty() && host != ".";
    (only_an_end && !is_address && NameBuf::from_host(host).is_ok()).then_some(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_host_is_named_is_told_and_the_name_within_it_is_found() {
        for (text, problem, meant) in [
            ("https://www.x.test/feed?a=b", "a URL, not a name", Some("www.x.test")),
            ("http://me:pw@x.test:8080/", "a URL, not a name", Some("x.test")),
            ("https://192.0.2.1/", "a URL, not a name", None),
            ("*.x.test", "a pattern, not a name", Some("x.test")),
            ("||x.test^", "not a name: no host name has `|`", Some("x.test")),
            ("@@||x.test^$important", "not a name: no host name has `@`", Some("x.test")),
            ("x.test:443", "not a name: no host name has `:`", Some("x.test")),
            ("x.test/path", "not a name: no host name has `/`", Some("x.test")),
            ("a*.x.test", "not a name: no host name has `*`", None),
            ("*", "not a name: no host name has `*`", None),
            ("192.0.2.1", "an address, not a name", None),
            ("2001:db8::1", "an address, not a name", None),
            ("a..b", "not a domain name: a label is empty", None),
        ] {
            assert_eq!(NameBuf::from_host(text).unwrap_err().to_string(), problem, "{text}");
            assert_eq!(host_in(text), meant, "{text}");
        }
    }

    #[test]
    fn names_that_hosts_and_zones_have_are_read() {
        for text in [
            "x.test",
            "_dmarc.X.test.",
            "xn--bcher-kva.example",
            "b\u{fc}cher.example",
            "0/25.2.0.192.in-addr.arpa",
            r"My\032Printer._ipp._tcp.x.test",
            r"\*.x.test",
            "test",
            ".",
        ] {
            assert_eq!(NameBuf::from_host(text).map_err(|e| e.to_string()), Ok(text.parse().unwrap()));
        }
    }
}
