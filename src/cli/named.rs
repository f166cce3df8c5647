//! The name in what somebody pastes on the command line: the host of a URL, or of a host with its port.

use std::borrow::Cow;

use url::{Host, Url};

/// The name that is meant where a URL was pasted, or a host with its port; says what is done with it on
/// standard error. Anything else is returned as it is.
pub(super) fn named<'t>(doing: &str, text: &'t str) -> Result<Cow<'t, str>, String> {
    let (host, what) = if text.contains("://") {
        let url = Url::parse(text).map_err(|e| format!("`{text}` is not a URL: {e}"))?;
        match url.host() {
            Some(Host::Domain(host)) if !host.is_empty() => (Cow::Owned(host.to_owned()), "the host of"),
            Some(Host::Domain(_)) | None => return Err(format!("`{text}` has no host; give a name")),
            Some(address) => {
                return Err(format!(
                    "`{text}` leads to the address {address} without asking for a name; give a name"
                ));
            }
        }
    } else {
        match text.rsplit_once(':') {
            Some((host, port)) if port.parse::<u16>().is_ok() && !host.contains(':') => {
                (Cow::Borrowed(host), "without the port of")
            }
            _ => return Ok(Cow::Borrowed(text)),
        }
    };
    super::say_error(&format!("{doing} {host}, {what} {text}"));
    Ok(host)
}
