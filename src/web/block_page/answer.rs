//! One connection, and the response to one request.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_LANGUAGE, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, HeaderName, LINK,
    REFERRER_POLICY, VARY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue, Request, Response, Uri, Version};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use super::connections::{close, first_octet};
use super::finding::Finding;
use super::negotiate::{self, Form};
use super::{Refusal, Site, html, tls};
use crate::dns::{NameBuf, clean_json};

/// How long a connection at the end of its lifetime may take to finish the current response.
const GRACE: Duration = Duration::from_secs(2);
/// The lowest limit on the length of a head that hyper accepts.
const LEAST_HEAD: usize = 8192;

/// Answers one connection's requests. A hyper service rather than a router: every method and path gets
/// the same response, and `axum::serve` has no configurable limits.
pub(super) async fn converse(mut stream: TcpStream, client: IpAddr, site: Arc<Site>) {
    let limits = site.limits;
    match first_octet(&stream, limits.wait).await {
        Some(tls::HANDSHAKE) => return tls::refuse(stream, limits).await,
        Some(_) => {}
        None => return,
    }
    let head = limits.head.max(LEAST_HEAD);
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(limits.wait).max_header_size(head).max_buf_size(head);
    {
        let service = service_fn(|request: Request<Incoming>| {
            // Dropped unread: hyper then ends a connection if the body did not arrive with the head.
            let (request, _) = request.into_parts();
            let reply = reply(&site, client, &request.uri, request.version, &request.headers);
            async { Ok::<_, Infallible>(reply) }
        });
        let mut conversation = pin!(http.serve_connection(TokioIo::new(&mut stream), service));
        tokio::select! {
            // Invalid requests have been answered, and a client that has gone away needs no answer.
            _ = conversation.as_mut() => {}
            () = sleep(limits.life) => {
                conversation.as_mut().graceful_shutdown();
                let _ = timeout(GRACE, conversation).await;
            }
        }
    }
    close(stream).await;
}

fn reply(site: &Site, client: IpAddr, uri: &Uri, version: Version, headers: &HeaderMap) -> Response<Body> {
    let finding = match asked(uri, version, headers) {
        Asked::Name(name) => match (site.why)(client, &name) {
            Some(refusal) => Finding::Refused(refusal),
            None => Finding::Free(name.to_string()),
        },
        Asked::Nothing => Finding::Nothing,
        Asked::Malformed => Finding::Malformed,
    };
    let mut out = Response::new(Body::empty());
    *out.status_mut() = finding.status();
    let fixed = [
        (CACHE_CONTROL, "no-store"),
        (VARY, "Accept, Accept-Language"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
        (
            CONTENT_SECURITY_POLICY,
            "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'",
        ),
    ];
    let mut set = |name: HeaderName, value| out.headers_mut().insert(name, value);
    for (name, value) in fixed {
        set(name, HeaderValue::from_static(value));
    }
    if let Finding::Refused(refusal) = &finding
        && let Some(link) = blocked_by(refusal)
    {
        set(LINK, link);
    }
    // Browsers request an icon by themselves and show nothing else in its place.
    if uri.path() == "/favicon.ico" {
        return out;
    }
    let body = match negotiate::form(headers) {
        Form::Html => {
            let texts = negotiate::language(headers);
            set(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
            set(CONTENT_LANGUAGE, HeaderValue::from_static(texts.lang));
            html::page(&finding, site.operator.as_deref(), texts)
        }
        Form::Json => {
            set(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            format!("{}\n", clean_json(&finding.json().to_string()))
        }
    };
    *out.body_mut() = Body::from(body);
    out
}

/// The party that implements the block (RFC 7725 §4). The relation is about legal demands, so it is sent
/// only with 451; a reference without a scheme would mean a page of the blocked site.
fn blocked_by(refusal: &Refusal) -> Option<HeaderValue> {
    refusal.authority.as_ref()?;
    let uri = refusal.blocked_by.as_ref()?;
    let fits = |b: u8| b.is_ascii_graphic() && !br#"<>"{}|\^`"#.contains(&b);
    let whole = uri.split_once(':').is_some_and(|(scheme, _)| is_scheme(scheme)) && uri.bytes().all(fits);
    if whole { HeaderValue::try_from(format!("<{uri}>; rel=\"blocked-by\"")).ok() } else { None }
}

/// RFC 3986 §3.1.
fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
}

#[derive(Debug, PartialEq, Eq)]
enum Asked {
    Name(NameBuf),
    Nothing,
    Malformed,
}

/// The name in a request: that of an absolute target, else that of Host (RFC 9112 §3.3).
fn asked(uri: &Uri, version: Version, headers: &HeaderMap) -> Asked {
    let mut hosts = headers.get_all(HOST).iter();
    let host = match (hosts.next(), hosts.next()) {
        (Some(host), None) => host.as_bytes(),
        (None, _) if version < Version::HTTP_11 => b"",
        _ => return Asked::Malformed,
    };
    let authority = uri.authority().map_or(host, |a| a.as_str().as_bytes());
    std::str::from_utf8(authority).map_or(Asked::Malformed, name_of)
}

/// The name in `host[:port]`, where host may also be an address (RFC 3986 §3.2.2).
fn name_of(authority: &str) -> Asked {
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host,
        _ => authority,
    };
    let is_v6 = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).is_some();
    if host.is_empty() || is_v6 || host.parse::<Ipv4Addr>().is_ok() {
        return Asked::Nothing;
    }
    // Other octets are valid in a DNS name, but not in a URI.
    let plausible = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_') || !c.is_ascii();
    if !host.chars().all(plausible) {
        return Asked::Malformed;
    }
    match NameBuf::from_text(host) {
        Ok(name) if !name.as_name().is_root() => Asked::Name(name),
        _ => Asked::Malformed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_from_addresses_and_nonsense() {
        let name = |text| Asked::Name(NameBuf::from_text(text).unwrap());
        let cases = [
            ("blocked.test", name("blocked.test")),
            ("Blocked.TEST:8080", name("blocked.test")),
            ("blocked.test.", name("blocked.test")),
            ("blocked.test:", name("blocked.test")),
            ("_a.blocked-1.test", name("_a.blocked-1.test")),
            ("bücher.test:80", name("xn--bcher-kva.test")),
            ("192.0.2.1", Asked::Nothing),
            ("192.0.2.1:80", Asked::Nothing),
            ("[2001:db8::1]", Asked::Nothing),
            ("[2001:db8::1]:80", Asked::Nothing),
            ("", Asked::Nothing),
            (":80", Asked::Nothing),
            (".", Asked::Malformed),
            ("a..b", Asked::Malformed),
            ("<script>alert(1)</script>.test", Asked::Malformed),
            ("user@blocked.test", Asked::Malformed),
            ("blocked.test:http", Asked::Malformed),
            ("a\\046b.test", Asked::Malformed),
            ("a b.test", Asked::Malformed),
            ("%62locked.test", Asked::Malformed),
        ];
        for (text, expected) in cases {
            assert_eq!(name_of(text), expected, "{text}");
        }
        assert_eq!(name_of(&"a".repeat(64)), Asked::Malformed);
        assert_eq!(name_of(&"a.".repeat(128)), Asked::Malformed);
    }

    #[test]
    fn the_link_is_whole_or_absent() {
        let link = |authority: Option<&str>, uri: &str| {
            let refusal = Refusal {
                name: "blocked.test".into(),
                list: "register".into(),
                reason: None,
                authority: authority.map(Into::into),
                blocked_by: Some(uri.into()),
                since: None,
                contact: Vec::new(),
                organization: None,
                id: "a1".into(),
            };
            blocked_by(&refusal).map(|v| v.to_str().unwrap().to_owned())
        };
        let good = Some("<https://isp.example/>; rel=\"blocked-by\"".to_owned());
        assert_eq!(link(Some("Court"), "https://isp.example/"), good);
        assert_eq!(link(None, "https://isp.example/"), None);
        for uri in
            ["https://a/>; rel=x", "/legal", "isp.example", "https://a b/", "https://a/\r\nX: y", ":x", "ü:x"]
        {
            assert_eq!(link(Some("Court"), uri), None, "{uri}");
        }
    }
}
