//! The names and queries that a rule matches: `match` and `when`.

use toml::Spanned;

use super::super::check::{Check, did_you_mean};
use super::super::error::{KeyPath, Remedy, expected};
use super::super::table::Table;
use crate::censor::{Chance, Expression, Names, Network, Pattern, Sticky, When};
use crate::dns::Transport;
use crate::policy::schedule;

/// The denominator of a probability.
const CASES: u32 = 1_000_000_000;

/// The words for the transport of a query.
pub(super) const TRANSPORTS: [(&str, Transport); 2] = [("udp", Transport::Udp), ("tcp", Transport::Tcp)];

impl Check<'_> {
    pub(super) fn names(&mut self, mut table: Table<'_>) -> Names {
        let mut names = Names::default();
        let all = table.flag(self, "any");
        names.patterns.extend((all == Some(true)).then_some(Pattern::Any));
        for (key, pattern) in
            [("exact", Pattern::Exact as fn(String) -> Pattern), ("suffix", Pattern::Suffix)]
        {
            let whole = self.whole_names(&mut table, key);
            names.patterns.extend(whole.into_iter().map(pattern));
        }
        for (key, pattern) in [
            ("endswith", Pattern::EndsWith as fn(String) -> Pattern),
            ("prefix", Pattern::Prefix),
            ("substring", Pattern::Substring),
        ] {
            let letters = self.letters(&mut table, key);
            names.patterns.extend(letters.into_iter().map(pattern));
        }
        let expressions = table.texts(self, "regex").map(Spanned::into_inner).unwrap_or_default();
        for text in expressions {
            if text.get_ref().is_empty() || !text.get_ref().is_ascii() {
                let (problem, remedy) = match text.get_ref().as_str() {
                    "" => ("the expression is empty".to_owned(), "give any = true to match all names"),
                    other => {
                        (format!("`{other}` matches no name"), "write other scripts as A-labels (`xn--…`)")
                    }
                };
                self.wrong(&table.key("regex"), &text.span(), problem, remedy);
                continue;
            }
            match Expression::new(text.get_ref()) {
                Ok(expression) => names.patterns.push(Pattern::Regex(expression)),
                Err(reason) => {
                    let problem = format!("`{}` can't be used: {reason}", text.get_ref());
                    self.wrong(&table.key("regex"), &text.span(), problem, "correct the expression");
                }
            }
        }
        names.except = self.whole_names(&mut table, "except");
        names.flattened =
            table.word(self, "view", &[("labels", false), ("flattened", true)]).unwrap_or(false);
        let kinds = ["exact", "suffix", "endswith", "prefix", "substring", "regex"];
        // An invalid pattern is reported already.
        let refused = table.has("any") && all.is_none();
        if names.patterns.is_empty() && !refused && !kinds.iter().any(|kind| table.filled(kind)) {
            let problem = "it matches no name".to_owned();
            let remedy = "give a pattern, such as suffix = [\"example.net\"], or any = true";
            self.wrong(&table.path, &table.span, problem, remedy);
        }
        table.done(self, "", &[]);
        names
    }

    /// Names as they are compared: in lower case, without a final dot.
    fn whole_names(&mut self, table: &mut Table<'_>, key: &'static str) -> Vec<String> {
        let texts = table.texts(self, key).map(Spanned::into_inner).unwrap_or_default();
        let key = table.key(key);
        let mut names = Vec::new();
        for text in &texts {
            if text.get_ref().starts_with("*.") {
                let problem = format!("`{}` is compared letter by letter", text.get_ref());
                self.wrong(
                    &key,
                    &text.span(),
                    problem,
                    "leave out `*.`; `suffix` also matches the names below",
                );
                continue;
            }
            let Some(name) = self.name(&key, text).map(|name| name.to_string()) else { continue };
            // Labels are compared in wire form, without escapes.
            if name.contains('\\') {
                let problem = format!("`{}` contains escaped characters", text.get_ref());
                let remedy = "use `regex`, in which a dot within a label is any character but a dot";
                self.wrong(&key, &text.span(), problem, remedy);
                continue;
            }
            names.push(name);
        }
        names
    }

    /// Parts of a name, which need not be whole labels.
    fn letters(&mut self, table: &mut Table<'_>, key: &'static str) -> Vec<String> {
        let texts = table.texts(self, key).map(Spanned::into_inner).unwrap_or_default();
        let mut all = Vec::new();
        for text in &texts {
            let letters = text.get_ref().to_ascii_lowercase();
            let letters = match letters.strip_suffix('.') {
                Some(rest) if key == "endswith" => rest.to_owned(),
                _ => letters,
            };
            if letters.contains(['*', '\\']) {
                let problem = format!("`{}` is compared letter by letter", text.get_ref());
                self.wrong(&table.key(key), &text.span(), problem, "leave out `*` and `\\`, or use `regex`");
                continue;
            }
            if letters.is_empty() || !letters.is_ascii() || letters.contains(char::is_whitespace) {
                let problem = format!("`{}` is not part of a name", text.get_ref());
                let remedy = expected("letters, digits and the like; other scripts as A-labels (`xn--…`)");
                self.wrong(&table.key(key), &text.span(), problem, remedy);
                continue;
            }
            all.push(letters);
        }
        all
    }

    pub(super) fn when(&mut self, mut table: Table<'_>, ahead: i32, known: &[Network]) -> When {
        let mut when = When::default();
        let networks = table.texts(self, "network");
        if let Some(networks) = &networks {
            self.not_empty(&table.key("network"), networks, "leave it out for all networks");
        }
        for text in networks.map(Spanned::into_inner).unwrap_or_default() {
            when.networks.extend(self.network_id(&table.key("network"), &text, known));
        }
        when.from = table.time(self, "from").map(|from| from.get_ref().unix);
        when.until = table.time(self, "until").map(|until| until.get_ref().unix);
        self.order(&table, when.from, when.until);
        if let Some(text) = table.text(self, "daily") {
            match schedule::window(&format!("daily {}", text.get_ref().trim())) {
                Ok(window) => when.daily = Some((window.start, window.end, ahead)),
                Err(_) => {
                    let problem = format!("`{}` is not a time of the day", text.get_ref());
                    let remedy = expected("a beginning and another end").such_as("\"23:00-05:00\"");
                    self.wrong(&table.key("daily"), &text.span(), problem, remedy);
                }
            }
        }
        for (key, types) in [("type", &mut when.types), ("not-type", &mut when.other_types)] {
            let texts = table.texts(self, key);
            if let Some(texts) = &texts {
                self.not_empty(&table.key(key), texts, "leave it out for all types");
            }
            let texts = texts.map(Spanned::into_inner).unwrap_or_default();
            types.extend(texts.iter().filter_map(|t| self.question_type(&table.key(key), t)));
        }
        if !when.types.is_empty() && when.types.iter().all(|t| when.other_types.contains(t)) {
            let problem = "it excludes every type in `type`".to_owned();
            self.wrong(&table.key("not-type"), &table.place("not-type"), problem, "keep one of the two");
        }
        when.transport = table.word(self, "transport", &TRANSPORTS);
        when.chance = self.chance(&mut table);
        table.done(self, "", &[]);
        when
    }

    /// The place of a network by its id.
    pub(super) fn network_id(
        &mut self,
        key: &KeyPath,
        id: &Spanned<String>,
        known: &[Network],
    ) -> Option<u16> {
        let found = known.iter().zip(0u16..).find(|(network, _)| network.id == *id.get_ref());
        if found.is_none() {
            // One whose id is missing or empty is told where it stands.
            let ids = known.iter().map(|network| network.id.as_str()).filter(|id| !id.is_empty());
            match ids.collect::<Vec<_>>().as_slice() {
                [] => {
                    let problem = format!("`{}` is not known: no network has a usable id", id.get_ref());
                    self.wrong(key, &id.span(), problem, "give each [[network]] an `id`");
                }
                ids => self.unknown_word(key, id, ids),
            }
        }
        found.map(|(_, place)| place)
    }

    fn chance(&mut self, table: &mut Table<'_>) -> Option<Chance> {
        let sticky = self.sticky(table);
        let fraction = table.fraction(self, "chance");
        let of = table.small(self, "backends", 1..=u32::MAX).map(Spanned::into_inner);
        let bad = table.small(self, "bad", 0..=u32::MAX);
        let (share, servers) = (table.has("chance"), table.has("backends"));
        if share && (servers || table.has("bad")) {
            let problem = "`chance` is given together with `backends`".to_owned();
            self.wrong(&table.key("chance"), &table.place("chance"), problem, "keep one of the two");
        } else if servers != table.has("bad") {
            let (given, lacking) = if servers { ("backends", "bad") } else { ("bad", "backends") };
            let problem = format!("`{given}` is given without `{lacking}`");
            let remedy = "give the number of servers, and how many of them apply the rule";
            self.wrong(&table.key(given), &table.place(given), problem, remedy);
        } else if !share && !servers && table.has("sticky") {
            let problem = "there is no draw to repeat".to_owned();
            let remedy = "give `chance`, or `backends` and `bad`";
            self.wrong(&table.key("sticky"), &table.place("sticky"), problem, remedy);
        }
        if let (Some(of), Some(bad)) = (of, &bad)
            && *bad.get_ref() > of
        {
            let problem = format!("{} of {of} servers", bad.get_ref());
            self.wrong(&table.key("bad"), &bad.span(), problem, expected("at most `backends`"));
        }
        match (fraction, of, bad) {
            (Some(fraction), _, _) => {
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "from 0 to the number of cases, as it was checked to be from 0 to 1"
                )]
                let bad = (fraction * f64::from(CASES)).round() as u32;
                Some(Chance { bad, of: CASES, sticky })
            }
            (None, Some(of), Some(bad)) => Some(Chance { bad: bad.into_inner(), of, sticky }),
            _ => None,
        }
    }

    fn sticky(&mut self, table: &mut Table<'_>) -> Sticky {
        let Some(text) = table.text(self, "sticky") else { return Sticky::Query };
        let key = table.key("sticky");
        let words = [("query", Sticky::Query), ("name", Sticky::Name), ("client", Sticky::Client)];
        if !text.get_ref().starts_with(|c: char| c.is_ascii_digit()) {
            let names = words.map(|(word, _)| word);
            let found = words.iter().find(|(word, _)| word == text.get_ref());
            if found.is_none() {
                let near = did_you_mean(text.get_ref(), &names);
                let problem = format!("`{}` is not known", text.get_ref());
                let remedy = expected("query, name, client or a duration").such_as("\"10m\"");
                let remedy = Remedy { help: near, ..remedy };
                self.wrong(&key, &text.span(), problem, remedy);
            }
            return found.map_or(Sticky::Query, |(_, sticky)| *sticky);
        }
        let seconds = self.duration(&key, &text).map(|d| u32::try_from(d.as_secs()).unwrap_or(u32::MAX));
        if seconds == Some(0) {
            let problem = format!("`{}` is less than a second", text.get_ref());
            self.wrong(&key, &text.span(), problem, "give a second or more, or \"query\"");
        }
        seconds.map_or(Sticky::Query, Sticky::Time)
    }
}
