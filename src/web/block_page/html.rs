//! The page for people: HTML without scripts or external resources.
//!
//! `maud` escapes all inserted text; names and words of unknown direction are wrapped in `bdi`, so that
//! they cannot reorder the text around them.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::Refusal;
use super::finding::Finding;
use super::texts::Texts;
use crate::dns::clean_lines;

const STYLE: &str = include_str!("style.css");

/// The whole page.
pub(super) fn page(finding: &Finding, operator: Option<&str>, texts: &Texts) -> String {
    let (heading, name) = match finding {
        Finding::Refused(refusal) => (texts.blocked, Some(&refusal.name)),
        Finding::Free(name) => (texts.free, Some(name)),
        Finding::Nothing | Finding::Malformed => (texts.nothing, None),
    };
    let page = html! {
        (DOCTYPE)
        html lang=(texts.lang) dir=(texts.dir) {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="robots" content="noindex";
                title { @if let Some(name) = name { (name) " – " } (heading) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                main.refused[matches!(finding, Finding::Refused(_))] {
                    @match finding {
                        Finding::Refused(refusal) => (refused(refusal, heading, texts)),
                        Finding::Free(name) => {
                            h1 { (heading) }
                            p.name { (in_both_scripts(name)) }
                            p { (put_in(texts.free_text, name)) }
                        }
                        Finding::Nothing | Finding::Malformed => {
                            h1 { (heading) }
                            @if let Some(operator) = operator { p { (put_in(texts.nothing_of, operator)) } }
                            p { (texts.nothing_text) }
                        }
                    }
                }
                footer { (texts.source) }
            }
        }
    };
    clean_lines(&page.into_string()).into_owned()
}

fn refused(refusal: &Refusal, heading: &str, texts: &Texts) -> Markup {
    let (status, text) = match refusal.authority {
        Some(_) => (texts.legal_status, texts.legal),
        None => (texts.own_status, texts.own),
    };
    html! {
        p.status { (refusal.status().as_u16()) " · " (status) }
        h1 { (heading) }
        p.name { (in_both_scripts(&refusal.name)) }
        p { (text) }
        dl {
            @if let Some(authority) = &refusal.authority { dt { (texts.authority) } dd { bdi { (authority) } } }
            @if let Some(reason) = &refusal.reason { dt { (texts.reason) } dd { bdi { (reason) } } }
            dt { (texts.list) }
            dd { bdi { (refusal.list) } }
            @if let Some(since) = &refusal.since { dt { (texts.since) } dd { bdi { (since) } } }
            @if let Some(operator) = operator(refusal) { dt { (texts.operator) } dd { (operator) } }
            @if !refusal.contact.is_empty() {
                dt { (texts.contact) }
                dd { ul { @for uri in &refusal.contact { li { (link(uri, spoken(uri))) } } } }
            }
            dt { (texts.reference) }
            dd { code dir="ltr" { (refusal.id) } }
        }
        p { @if refusal.contact.is_empty() { (texts.ask_operator) } @else { (texts.ask) } }
    }
}

fn operator(refusal: &Refusal) -> Option<Markup> {
    match (&refusal.organization, &refusal.blocked_by) {
        (Some(name), Some(uri)) => Some(link(uri, name)),
        (Some(name), None) => Some(html! { bdi { (name) } }),
        (None, Some(uri)) => Some(link(uri, uri)),
        (None, None) => None,
    }
}

/// A link, if the URI leads to a page or a person; other schemes could run code.
fn link(uri: &str, text: &str) -> Markup {
    let scheme = uri.split_once(':').map(|(scheme, _)| scheme.to_ascii_lowercase());
    let safe = scheme.is_some_and(|s| matches!(s.as_str(), "http" | "https" | "mailto" | "tel"));
    html! { @if safe { a href=(uri) { bdi { (text) } } } @else { bdi { (text) } } }
}

/// A URI as people write it.
fn spoken(uri: &str) -> &str {
    ["mailto:", "tel:"].iter().find_map(|scheme| uri.strip_prefix(scheme)).unwrap_or(uri)
}

/// A name in Unicode, and its A-labels if they differ: letters of different scripts can look alike
/// (RFC 5890 §4.4).
fn in_both_scripts(name: &str) -> Markup {
    let (unicode, outcome) = idna::domain_to_unicode(name);
    html! {
        @if outcome.is_ok() && unicode != name {
            bdi { (unicode) } " (" span dir="ltr" { (name) } ")"
        } @else {
            bdi dir="ltr" { (name) }
        }
    }
}

fn put_in(text: &str, name: &str) -> Markup {
    let (before, after) = text.split_once("{}").unwrap_or((text, ""));
    html! { (before) bdi { (name) } (after) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::block_page::texts;

    fn refusal() -> Refusal {
        Refusal {
            name: "blocked.test".into(),
            list: "ads".into(),
            reason: None,
            authority: None,
            blocked_by: None,
            since: None,
            contact: Vec::new(),
            organization: None,
            id: "a1".into(),
        }
    }

    fn written(refusal: Refusal) -> String {
        page(&Finding::Refused(refusal), None, &texts::ENGLISH)
    }

    #[test]
    fn nothing_put_in_becomes_markup() {
        let evil = || "</style><script>alert(\"1\")</script>&'".to_owned();
        let text = written(Refusal {
            name: evil(),
            list: evil(),
            reason: Some(evil()),
            authority: Some(evil()),
            blocked_by: Some(format!("https://x/\"><script>{}", evil())),
            since: Some(evil()),
            contact: vec![evil(), format!("mailto:\" onclick=\"{}", evil())],
            organization: Some(evil()),
            id: evil(),
        });
        assert!(!text.contains("<script") && !text.contains("\" onclick"), "{text}");
        assert_eq!(text.matches("</style>").count(), 1);
        assert!(text.contains("&lt;script&gt;"));
        for finding in [Finding::Free(evil()), Finding::Nothing] {
            assert!(!page(&finding, Some(&evil()), &texts::ENGLISH).contains("<script"));
        }
    }

    #[test]
    fn only_harmless_schemes_become_links() {
        let cases = [
            ("https://example.org/", true),
            ("HTTP://example.org/", true),
            ("mailto:help@example.org", true),
            ("tel:+15550100", true),
            ("javascript:alert(1)", false),
            ("data:text/html,x", false),
            ("example.org", false),
        ];
        for (uri, is_link) in cases {
            let text = written(Refusal { contact: vec![uri.into()], ..refusal() });
            assert_eq!(text.contains("<a href="), is_link, "{uri}");
        }
        let text = written(Refusal { contact: vec!["mailto:help@example.org".into()], ..refusal() });
        assert!(text.contains("<bdi>help@example.org</bdi>"), "{text}");
    }

    #[test]
    fn an_internationalised_name_stands_in_both_forms() {
        let text = written(Refusal { name: "xn--bcher-kva.test".into(), ..refusal() });
        let both = r#"<bdi>bücher.test</bdi> (<span dir="ltr">xn--bcher-kva.test</span>)"#;
        assert!(text.contains(both), "{text}");
        // An invalid A-label is shown unchanged.
        let text = written(Refusal { name: "xn--zzzzz\\000.test".into(), ..refusal() });
        assert!(text.contains(r#"<bdi dir="ltr">xn--zzzzz\000.test</bdi>"#), "{text}");
    }

    #[test]
    fn every_language_has_one_heading_and_nothing_from_elsewhere() {
        for texts in texts::ALL {
            for finding in [Finding::Refused(refusal()), Finding::Free("a.test".into()), Finding::Nothing] {
                let text = page(&finding, Some("Example Library"), texts);
                assert_eq!(text.matches("<h1>").count(), 1);
                let start = format!(r#"<!DOCTYPE html><html lang="{}" dir="{}">"#, texts.lang, texts.dir);
                assert!(text.starts_with(&start), "{text}");
                for word in ["src=", "url(", "@import", "<link", "<script", "{}"] {
                    assert!(!text.contains(word), "{word}");
                }
            }
        }
    }
}
