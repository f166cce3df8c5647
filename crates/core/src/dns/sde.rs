//! Structured errors: what a refusal reports to a client that reads EXTRA-TEXT as JSON
//! (draft-ietf-dnsop-structured-dns-error; section numbers refer to its text of June 2026).

use serde::Serialize;

/// The code of the option by which a client signals that it reads structured errors (§5.4). IANA has not
/// assigned one yet; this one is from the range for local and experimental use (RFC 6891 §9).
pub const OPTION_SDE: u16 = 65_024;

/// The contents of a refusal, as I-JSON (RFC 7493) in EXTRA-TEXT (§4).
///
/// Sent only with the codes Blocked, Censored and Filtered, and without a sub-error if the code is Censored
/// (§5.2).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Structured {
    /// Whom to contact about a mistake: URIs that [`contact`] has checked.
    pub contacts: Vec<String>,
    /// The reason why the name is refused, for people.
    pub justification: Option<String>,
    /// A number of the registry "Sub-Error Codes": 1 malware, 2 phishing, 3 spam, 4 spyware, 5 network
    /// operator policy, 6 DNS operator policy (§11.4). 0 is never sent (§6.1).
    pub suberror: Option<u8>,
    /// The organisation that refuses the name.
    pub organization: Option<String>,
    /// The language of the two texts (RFC 5646 §2.1).
    pub language: Option<String>,
}

/// The object's members (§4), the most useful to a client first.
#[derive(Serialize)]
struct Object {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    c: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    j: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    s: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    o: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    l: Option<String>,
}

impl Structured {
    /// The object without white space; empty if it has no contact, justification or sub-error, because a
    /// client must discard such an object (§5.3).
    #[must_use]
    pub fn json(&self) -> String {
        self.text(self.justification.as_deref(), self.organization.as_deref())
    }

    /// The object without the texts for people and their language, for a reply that would be too long with
    /// them (§5.2). Empty if nothing useful remains.
    #[must_use]
    pub fn brief(&self) -> String {
        self.text(None, None)
    }

    fn text(&self, justification: Option<&str>, organization: Option<&str>) -> String {
        // An empty value is a sign of a misbehaving server (§4).
        let given = |text: Option<&str>| text.map(clean).filter(|t| !t.is_empty());
        let (j, o) = (given(justification), given(organization));
        let object = Object {
            c: self.contacts.iter().map(|c| clean(c)).filter(|c| !c.is_empty()).collect(),
            s: self.suberror.filter(|s| *s != 0),
            l: given(self.language.as_deref()).filter(|_| j.is_some() || o.is_some()),
            j,
            o,
        };
        if object.c.is_empty() && object.j.is_none() && object.s.is_none() {
            return String::new();
        }
        // Texts and numbers can always be serialised.
        serde_json::to_string(&object).unwrap_or_default()
    }
}

/// Text that is allowed in I-JSON, which excludes Unicode noncharacters (RFC 7493 §2.1).
fn clean(text: &str) -> String {
    let not = |c: char| matches!(c, '\u{fdd0}'..='\u{fdef}') || u32::from(c) & 0xfffe == 0xfffe;
    super::clean(text.trim()).replace(not, "\u{fffd}")
}

/// Why text is not a URI for contacting people.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ContactError {
    /// The URI has no scheme.
    #[error("`{0}` has no scheme; expected a URI such as `mailto:dns@example.org`")]
    NoScheme(String),
    /// A character that is not allowed in a URI.
    #[error("`{0}` contains U+{code:04X}; expected a URI, with such characters as %XX", code = u32::from(*.1))]
    Character(String, char),
    /// Invalid for its scheme, or another scheme; and what was expected.
    #[error("`{0}` is not a contact; expected {1}")]
    NotAContact(String, &'static str),
}

/// Checks a URI for contacting people; returns it with its scheme in lower case.
///
/// The draft's registry has `tel`, `mailto` and `sips` (§11.3), and clients ignore any other scheme;
/// `https` is accepted for contacts that are shown in other ways.
///
/// # Errors
/// [`ContactError`], which says what was expected.
pub fn contact(text: &str) -> Result<String, ContactError> {
    let Some((scheme, rest)) = text.trim().split_once(':') else {
        return Err(ContactError::NoScheme(text.to_owned()));
    };
    // Characters that no part of a URI may contain (RFC 3986 §2).
    if let Some(bad) = rest.chars().find(|c| !c.is_ascii_graphic() || "\"<>\\^`{|}".contains(*c)) {
        return Err(ContactError::Character(text.to_owned(), bad));
    }
    let scheme = scheme.to_ascii_lowercase();
    let (good, expected) = match scheme.as_str() {
        "tel" => (is_number(rest), "a telephone number such as `tel:+1-555-0100`"),
        "mailto" => (is_mailbox(rest), "an address such as `mailto:dns@example.org`"),
        "sips" => (is_sip(rest), "an address such as `sips:help@example.org`"),
        "https" => {
            (rest.strip_prefix("//").is_some_and(is_host), "a page such as `https://example.org/help`")
        }
        _ => (false, "one of the schemes tel, mailto, sips and https"),
    };
    if good {
        Ok(format!("{scheme}:{rest}"))
    } else {
        Err(ContactError::NotAContact(text.to_owned(), expected))
    }
}

/// At least three digits and only visual separators, with an optional plus before them; parameters may
/// follow (RFC 3966 §3).
fn is_number(rest: &str) -> bool {
    let number = rest.split(';').next().unwrap_or_default();
    let number = number.strip_prefix('+').unwrap_or(number);
    number.chars().filter(char::is_ascii_digit).count() >= 3
        && number.chars().all(|c| c.is_ascii_digit() || "-.()".contains(c))
}

/// Mailboxes separated by commas, a host after each one's last `@`; header fields may follow (RFC 6068 §2).
fn is_mailbox(rest: &str) -> bool {
    let to = rest.split('?').next().unwrap_or_default();
    to.split(',')
        .all(|one| one.rsplit_once('@').is_some_and(|(user, host)| !user.is_empty() && is_host(host)))
}

/// A host, with an optional user before it; parameters and header fields may follow (RFC 3261 §19.1.1).
fn is_sip(rest: &str) -> bool {
    let (user, host) = rest.rsplit_once('@').unwrap_or(("-", rest));
    !user.is_empty() && is_host(host.split([';', '?']).next().unwrap_or_default())
}

/// True if it begins with a host, that is a name or an address in brackets, and an optional port
/// (RFC 3986 §3.2).
fn is_host(text: &str) -> bool {
    let authority = text.split(['/', '?', '#']).next().unwrap_or_default();
    let (host, after) = match authority.strip_prefix('[') {
        Some(address) => match address.split_once(']') {
            Some((address, after)) if address.contains(':') => (address, after.strip_prefix(':')),
            _ => return false,
        },
        None => match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        },
    };
    let name = |c: char| c.is_ascii_alphanumeric() || "-._:%".contains(c);
    !host.is_empty()
        && !host.starts_with('.')
        && host.chars().all(name)
        && after.is_none_or(|port| port.chars().all(|c| c.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full() -> Structured {
        Structured {
            contacts: vec!["tel:+358-555-1234567".into(), "sips:bob@bobphone.example.com".into()],
            justification: Some("malware present for 23 days".into()),
            suberror: Some(1),
            organization: Some("example.net Filtering Service".into()),
            language: Some("en".into()),
        }
    }

    #[test]
    fn the_example_of_the_draft() {
        assert_eq!(
            full().json(),
            concat!(
                r#"{"c":["tel:+358-555-1234567","sips:bob@bobphone.example.com"],"#,
                r#""j":"malware present for 23 days","s":1,"o":"example.net Filtering Service","l":"en"}"#
            )
        );
        assert_eq!(full().brief(), r#"{"c":["tel:+358-555-1234567","sips:bob@bobphone.example.com"],"s":1}"#);
    }

    #[test]
    fn missing_values_are_left_out() {
        let none = Structured::default;
        let text = |t: &str| Some(t.to_owned());
        for (what, json, brief) in [
            (none(), "", ""),
            (Structured { organization: text("x"), language: text("en"), ..none() }, "", ""),
            (Structured { suberror: Some(0), ..none() }, "", ""),
            (Structured { justification: text(""), ..none() }, "", ""),
            (Structured { suberror: Some(5), language: text("en"), ..none() }, r#"{"s":5}"#, r#"{"s":5}"#),
            (Structured { justification: text("why"), ..none() }, r#"{"j":"why"}"#, ""),
            (
                Structured { suberror: Some(6), organization: text("x"), language: text("ru"), ..none() },
                r#"{"s":6,"o":"x","l":"ru"}"#,
                r#"{"s":6}"#,
            ),
            (
                Structured { contacts: vec![String::new(), "tel:112".into()], ..none() },
                r#"{"c":["tel:112"]}"#,
                r#"{"c":["tel:112"]}"#,
            ),
            // Quotes, control characters, other scripts, a noncharacter.
            (
                Structured { justification: text("\"\\\n\u{1}при\u{fdd0}\u{1ffff}"), ..none() },
                "{\"j\":\"\\\"\\\\\u{fffd}\u{fffd}при\u{fffd}\u{fffd}\"}",
                "",
            ),
        ] {
            assert_eq!((what.json().as_str(), what.brief().as_str()), (json, brief), "{what:?}");
        }
    }

    #[test]
    fn contacts_are_checked() {
        for (text, checked) in [
            ("tel:+1-555-0100", "tel:+1-555-0100"),
            ("TEL:112", "tel:112"),
            ("tel:(0)30.1234;phone-context=+49", "tel:(0)30.1234;phone-context=+49"),
            ("mailto:dns@example.org", "mailto:dns@example.org"),
            (" Mailto:Dns@example.org ", "mailto:Dns@example.org"),
            ("mailto:a@x.org,b@y.org?subject=blocked", "mailto:a@x.org,b@y.org?subject=blocked"),
            ("sips:help@example.org", "sips:help@example.org"),
            ("sips:example.org:5061;transport=tcp", "sips:example.org:5061;transport=tcp"),
            ("https://example.org", "https://example.org"),
            ("https://example.org:8443/help?q=1#top", "https://example.org:8443/help?q=1#top"),
            ("https://[2001:db8::1]:443/", "https://[2001:db8::1]:443/"),
            ("https://[2001:db8::1]", "https://[2001:db8::1]"),
        ] {
            assert_eq!(contact(text).as_deref(), Ok(checked), "{text}");
        }
        for (text, expected) in [
            ("", "such as `mailto:"),
            ("dns@example.org", "such as `mailto:"),
            ("http://example.org", "tel, mailto, sips and https"),
            ("javascript:alert(1)", "tel, mailto, sips and https"),
            ("tel:", "`tel:+1-555-0100`"),
            ("tel:12", "`tel:+1-555-0100`"),
            ("tel:+1-555-CALL", "`tel:+1-555-0100`"),
            ("mailto:", "`mailto:dns@example.org`"),
            ("mailto:dns", "`mailto:dns@example.org`"),
            ("mailto:@example.org", "`mailto:dns@example.org`"),
            ("mailto:dns@", "`mailto:dns@example.org`"),
            ("mailto:a@x.org,", "`mailto:dns@example.org`"),
            ("sips:", "`sips:help@example.org`"),
            ("sips:@example.org", "`sips:help@example.org`"),
            ("sips:a@;b", "`sips:help@example.org`"),
            ("https:example.org", "`https://example.org/help`"),
            ("https://", "`https://example.org/help`"),
            ("https:///help", "`https://example.org/help`"),
            ("https://x:y/", "`https://example.org/help`"),
            ("https://[2001:db8::1", "`https://example.org/help`"),
            ("https://a@b/", "`https://example.org/help`"),
            ("https://x/a b", "%XX"),
            ("mailto:дом@example.org", "%XX"),
            ("tel:<1234>", "%XX"),
        ] {
            let error = contact(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_texts_become_json(contacts: Vec<String>, j: Option<String>, s: Option<u8>, o: Option<String>, l: Option<String>) {
            let all = Structured { contacts, justification: j, suberror: s, organization: o, language: l };
            for json in [all.json(), all.brief()] {
                if !json.is_empty() {
                    let value: serde_json::Value = serde_json::from_str(&json).unwrap();
                    let object = value.as_object().unwrap();
                    proptest::prop_assert!(["c", "j", "s"].iter().any(|name| object.contains_key(*name)));
                }
            }
            proptest::prop_assert!(all.brief().len() <= all.json().len());
        }

        #[test]
        fn any_text_is_a_contact_or_not(text: String, scheme in "tel|mailto|sips|https") {
            let _ = contact(&text);
            if let Ok(checked) = contact(&format!("{scheme}:{text}")) {
                proptest::prop_assert_eq!(contact(&checked), Ok(checked.clone()));
            }
        }
    }
}
