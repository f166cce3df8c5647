//! One query of the log for people and programs: as text, JSON and CSV.

use serde_json::{Value, json};

use super::entry::{Entry, client_text};
use crate::dns::clean;

/// One query of the log, with all its numbers in words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Row {
    /// When it was answered, in microseconds since 1970 (UTC).
    pub at: i64,
    /// The client, or its network.
    pub client: Option<String>,
    /// The name in lower case.
    pub name: Option<String>,
    /// The type.
    pub qtype: Option<String>,
    /// The response code; `None`: nothing was sent.
    pub rcode: Option<String>,
    /// The verdict.
    pub verdict: String,
    /// The step that answered.
    pub answered_by: String,
    /// How the query came.
    pub transport: String,
    /// The list whose rule decided.
    pub list: Option<String>,
    /// The line in the list, from 1.
    pub line: Option<u32>,
    /// The rule.
    pub rule: Option<String>,
    /// The reference of a refusal.
    pub reference: Option<u32>,
    /// From receipt to reply, in microseconds.
    pub micros: u32,
}

impl From<&Entry> for Row {
    fn from(entry: &Entry) -> Self {
        let rule = entry.rule.as_ref();
        Self {
            at: entry.at,
            client: entry.client.map(client_text),
            name: entry.name.as_ref().map(ToString::to_string),
            qtype: entry.qtype.map(|qtype| qtype.to_string()),
            rcode: entry.rcode.map(|rcode| rcode.to_string()),
            verdict: entry.verdict.word().to_owned(),
            answered_by: entry.source.word().to_owned(),
            transport: entry.transport.word().to_owned(),
            list: rule.map(|rule| rule.list.clone()),
            line: rule.map(|rule| rule.line).filter(|line| *line > 0),
            rule: rule.map(|rule| rule.rule.clone()).filter(|rule| !rule.is_empty()),
            reference: entry.reference,
            micros: entry.micros,
        }
    }
}

/// A time in UTC, to the millisecond.
#[must_use]
pub fn time(micros: i64) -> String {
    let time = jiff::Timestamp::from_microsecond(micros).unwrap_or_default();
    time.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

impl Row {
    /// The columns of [`Row::csv`], which are also the keys of [`Row::json`].
    pub const COLUMNS: [&str; 13] = [
        "time",
        "client",
        "name",
        "type",
        "verdict",
        "answered_by",
        "rcode",
        "transport",
        "rule",
        "list",
        "line",
        "reference",
        "microseconds",
    ];

    /// The reference as it stands in replies and on the block page.
    #[must_use]
    pub fn reference(&self) -> Option<String> {
        self.reference.map(|reference| format!("{reference:08x}"))
    }

    /// For a script.
    #[must_use]
    pub fn json(&self) -> Value {
        json!({
            "time": time(self.at), "client": self.client, "name": self.name, "type": self.qtype,
            "verdict": self.verdict, "answered_by": self.answered_by, "rcode": self.rcode,
            "transport": self.transport, "rule": self.rule, "list": self.list, "line": self.line,
            "reference": self.reference(), "microseconds": self.micros,
        })
    }

    /// One line of CSV (RFC 4180), without its end.
    #[must_use]
    pub fn csv(&self) -> String {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let fields = [
            time(self.at),
            text(&self.client),
            text(&self.name),
            text(&self.qtype),
            self.verdict.clone(),
            self.answered_by.clone(),
            text(&self.rcode),
            self.transport.clone(),
            text(&self.rule),
            text(&self.list),
            self.line.map(|line| line.to_string()).unwrap_or_default(),
            self.reference().unwrap_or_default(),
            self.micros.to_string(),
        ];
        fields.map(|field| quoted(&field)).join(",")
    }

    /// One line for people.
    #[must_use]
    pub fn text(&self) -> String {
        let or = |text: &Option<String>, none: &str| clean(text.as_deref().unwrap_or(none)).into_owned();
        let (client, name, qtype) = (or(&self.client, "-"), or(&self.name, "-"), or(&self.qtype, "-"));
        let rcode = or(&self.rcode, "no reply");
        let time = time(self.at);
        let mut line = format!(
            "{time} {client:<15} {name} {qtype} {} {rcode} by {} in {} µs",
            self.verdict, self.answered_by, self.micros
        );
        if let Some(list) = &self.list {
            let place = self.line.map_or_else(String::new, |line| format!(":{line}"));
            let rule = self.rule.as_ref().map_or_else(String::new, |rule| format!("{} ", clean(rule)));
            line += &format!("  {rule}({}{place})", clean(list));
        }
        if let Some(reference) = self.reference() {
            line += &format!("  ref {reference}");
        }
        line
    }
}

/// A field of CSV: without control characters, in quotes if it has to be (RFC 4180 §2).
fn quoted(field: &str) -> String {
    let field = clean(field);
    if field.contains(['"', ',']) {
        format!("\"{}\"", field.replace('"', "\"\""))
    } else {
        field.into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_of_csv_is_quoted_where_it_must() {
        for (field, expected) in [
            ("plain", "plain"),
            ("a,b", "\"a,b\""),
            ("say \"x\"", "\"say \"\"x\"\"\""),
            ("", ""),
            ("\u{1b}[1m", "\u{fffd}[1m"),
        ] {
            assert_eq!(quoted(field), expected);
        }
    }

    #[test]
    fn the_columns_are_the_keys() {
        let row = Row { at: 1_764_230_400_123_456, reference: Some(0xabc), ..Row::default() };
        let json = row.json();
        assert!(Row::COLUMNS.iter().all(|column| json.get(column).is_some()), "{json}");
        assert_eq!(json.as_object().unwrap().len(), Row::COLUMNS.len());
        assert_eq!(row.csv(), "2025-11-27T08:00:00.123Z,,,,,,,,,,,00000abc,0");
    }
}
