//! Content negotiation: the media type (RFC 9110 §12.5.1) and the language (§12.5.4).

use axum::http::header::{ACCEPT, ACCEPT_LANGUAGE, HeaderName};
use axum::http::{HeaderMap, HeaderValue};

use super::texts::{self, Texts};

/// The media types of the response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// `text/html`, also for clients that accept anything, or neither type.
    Html,
    /// `application/json`.
    Json,
}

/// The media type that `Accept` prefers.
pub(super) fn form(headers: &HeaderMap) -> Form {
    let ranges = weighted(headers, &ACCEPT);
    let (html, json) = (fit(&ranges, "text", "html"), fit(&ranges, "application", "json"));
    // Between equal weights, a type that is named wins over one that a wildcard admits.
    if json.weight > 0.0 && (json.weight, json.precision) > (html.weight, html.precision) {
        Form::Json
    } else {
        Form::Html
    }
}

struct Fit {
    weight: f32,
    precision: u8,
}

/// The weight that the most precise range gives to a media type.
fn fit(ranges: &[(String, f32)], main: &str, sub: &str) -> Fit {
    let mut best = Fit { weight: 0.0, precision: 0 };
    for (range, weight) in ranges {
        let precision = match range.split_once('/') {
            Some(("*", "*")) => 1,
            Some((m, "*")) if m == main => 2,
            Some((m, s)) if m == main && s == sub => 3,
            _ => continue,
        };
        if precision > best.precision {
            best = Fit { weight: *weight, precision };
        }
    }
    best
}

/// The texts in the available language that `Accept-Language` prefers, by the lookup of RFC 4647 §3.4; the
/// default is English.
pub(super) fn language(headers: &HeaderMap) -> &'static Texts {
    let mut ranges = weighted(headers, &ACCEPT_LANGUAGE);
    ranges.sort_by(|(_, a), (_, b)| b.total_cmp(a));
    let refused = |texts: &Texts| ranges.iter().any(|(range, w)| *w == 0.0 && range == texts.lang);
    let wanted = ranges.iter().filter(|(_, weight)| *weight > 0.0).find_map(|(range, _)| {
        // No text is for one country only, so further subtags make no difference.
        let primary = range.split('-').next()?;
        texts::ALL.iter().find(|t| (t.lang == primary || primary == "*") && !refused(t))
    });
    wanted.copied().unwrap_or(&texts::ENGLISH)
}

/// The members of a list with their weights (RFC 9110 §12.4.2), in lower case and without other parameters.
/// A member with an invalid weight is left out.
fn weighted(headers: &HeaderMap, name: &HeaderName) -> Vec<(String, f32)> {
    let values = headers.get_all(name).iter().map(HeaderValue::to_str);
    let members = values.flatten().flat_map(|list| list.split(','));
    members
        .filter_map(|member| {
            let mut parts = member.split(';').map(str::trim);
            let range = parts.next().filter(|r| !r.is_empty())?.to_ascii_lowercase();
            let weight = parts.find_map(|p| p.strip_prefix("q=").or_else(|| p.strip_prefix("Q=")));
            let weight = weight.map_or(Some(1.0), |w| w.parse().ok())?;
            (0.0..=1.0).contains(&weight).then_some((range, weight))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(name: HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_str(value).unwrap())])
    }

    #[test]
    fn the_form_is_the_one_preferred() {
        let cases = [
            ("*/*", Form::Html),
            ("text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8", Form::Html),
            ("application/json", Form::Json),
            ("Application/JSON", Form::Json),
            ("application/json, text/plain, */*", Form::Json),
            ("application/json;q=0.5, text/html;q=0.4", Form::Json),
            ("application/json;q=0.4, text/html; q=0.5", Form::Html),
            ("application/json, text/html", Form::Html),
            ("application/*", Form::Json),
            ("text/*, application/*", Form::Html),
            ("text/html;q=0, */*", Form::Json),
            ("application/json;q=0, */*;q=0.1", Form::Html),
            ("application/json;charset=utf-8;q=1", Form::Json),
            ("application/json;q=high", Form::Html),
            ("application/json;q=2", Form::Html),
            ("application/json;q=NaN", Form::Html),
            ("image/png", Form::Html),
            ("", Form::Html),
            (",;,/;q=", Form::Html),
        ];
        for (accept, expected) in cases {
            assert_eq!(form(&header(ACCEPT, accept)), expected, "{accept}");
        }
        assert_eq!(form(&HeaderMap::new()), Form::Html);
    }

    #[test]
    fn several_lines_are_one_list() {
        let mut headers = header(ACCEPT, "text/html;q=0.1");
        headers.append(ACCEPT, HeaderValue::from_static("application/json"));
        assert_eq!(form(&headers), Form::Json);
    }

    #[test]
    fn the_language_is_the_one_preferred() {
        let cases = [
            ("ru", "ru"),
            ("de-AT,de;q=0.9,en;q=0.8", "de"),
            ("FR-ca", "fr"),
            ("en;q=0.5, es;q=0.9", "es"),
            ("ar-EG", "ar"),
            ("zh-CN, ja;q=0.9, ru;q=0.1", "ru"),
            ("zh", "en"),
            ("*", "en"),
            ("zh, *;q=0.5", "en"),
            ("en;q=0, *", "ru"),
            ("de;q=0, de-CH", "en"),
            ("de;q=0", "en"),
            ("", "en"),
            ("-;q=1,,", "en"),
        ];
        for (accept, expected) in cases {
            assert_eq!(language(&header(ACCEPT_LANGUAGE, accept)).lang, expected, "{accept}");
        }
        assert_eq!(language(&HeaderMap::new()).lang, "en");
    }
}
