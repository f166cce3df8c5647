//! What a rule does: `action`, and the forged answers within it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use toml::Spanned;
use toml::de::DeValue;

use super::super::check::{Check, one_of};
use super::super::error::{KeyPath, expected, like};
use super::super::table::{MAX_TTL, Table};
use super::{Family, octets, word16};
use crate::censor::{
    Action, Addresses, Body, Delay, EdnsManner, End, Extra, Flags, Forged, Identity, Malform, Other, Pool,
    Shape, Soa, Spread, TtlMode,
};
use crate::dns::{EdeCode, Name, NameBuf, Qtype, Rcode, Transport, rdata};

/// Kinds that are one forged answer, and may stand in `replies`.
const FORGED: [&str; 6] = ["rcode", "nodata", "stub", "cname", "truncate", "raw"];
/// All kinds.
const KINDS: [&str; 13] = [
    "pass", "delay", "rcode", "nodata", "stub", "cname", "truncate", "raw", "drop", "reset", "close",
    "inject", "redirect",
];
/// Keys that some kind has.
const KEYS: [&str; 29] = [
    "delay",
    "jitter",
    "spread",
    "rcode",
    "soa",
    "a",
    "aaaa",
    "other",
    "target",
    "target-ttl",
    "hex",
    "replies",
    "whoami",
    "chaos-id",
    "ttl",
    "after",
    "genuine",
    "genuine-jitter",
    "genuine-spread",
    "ttl-mode",
    "ttl-min",
    "flags",
    "echo-ad",
    "edns",
    "case",
    "malform",
    "ip-ttl",
    "ede",
    "extra",
];

/// The longest delay: clients give up long before.
const LONGEST: Duration = Duration::from_secs(60);

impl Check<'_> {
    /// An action and its kind.
    pub(super) fn behaviour(
        &mut self,
        mut table: Table<'_>,
        transport: Option<Transport>,
        pools: &[Pool],
    ) -> Option<(String, Action)> {
        let kind = self.kind(&mut table, None, &KINDS)?;
        let action = match kind.get_ref().as_str() {
            "pass" => Some(Action::Pass(Delay::default())),
            "delay" => {
                if !table.has("delay") {
                    table.missing(self, "delay", "give a time, such as \"2s\"");
                }
                Some(Action::Pass(self.delay(&mut table, "delay", "jitter", "spread")))
            }
            "drop" => Some(Action::Drop),
            word @ ("reset" | "close") => {
                if transport == Some(Transport::Udp) {
                    let problem =
                        format!("`{word}` does nothing over UDP, and the rule matches nothing else");
                    let remedy = "use the kind `drop`, or let the rule match TCP";
                    self.wrong(&table.key("kind"), &kind.span(), problem, remedy);
                }
                Some(Action::End(if word == "reset" { End::Reset } else { End::Close }))
            }
            "inject" => {
                let replies = table.tables(self, "replies", "");
                if !table.filled("replies") {
                    let remedy = "give at least one, such as [{ a = [\"192.0.2.1\"] }]";
                    table.missing(self, "replies", remedy);
                }
                let forged = replies.unwrap_or_default().into_iter().filter_map(|reply| {
                    let mut reply = reply;
                    let kind = self.kind(&mut reply, Some("stub"), &FORGED)?;
                    let forged = self.forged(&mut reply, kind.get_ref(), pools);
                    reply.done(self, &format!("a reply of kind `{}`", kind.get_ref()), &KEYS);
                    forged
                });
                let forged = forged.collect();
                Some(Action::Forge { forged, genuine: self.genuine(&mut table) })
            }
            "redirect" => Some(Action::Redirect(self.identity(&mut table))),
            word => {
                let forged = self.forged(&mut table, word, pools);
                let genuine = self.genuine(&mut table);
                forged.map(|forged| Action::Forge { forged: vec![forged], genuine })
            }
        };
        table.done(self, &format!("the kind `{}`", kind.get_ref()), &KEYS);
        Some((kind.into_inner(), action?))
    }

    fn kind(
        &mut self,
        table: &mut Table<'_>,
        default: Option<&str>,
        known: &[&str],
    ) -> Option<Spanned<String>> {
        if !table.has("kind") {
            let _ = table.value("kind");
            if default.is_none() {
                table.missing(self, "kind", one_of(known));
            }
            return default.map(|word| Spanned::new(table.span.clone(), word.to_owned()));
        }
        let kind = table.text(self, "kind")?;
        if !known.contains(&kind.get_ref().as_str()) {
            self.unknown_word(&table.key("kind"), &kind, known);
            return None;
        }
        Some(kind)
    }

    /// The delay of a packet.
    pub(super) fn short(&mut self, table: &mut Table<'_>, key: &'static str) -> Option<Duration> {
        let text = table.text(self, key)?;
        let key = table.key(key);
        let duration = self.duration(&key, &text)?;
        if duration > LONGEST {
            let problem = format!("`{}` is over a minute", text.get_ref());
            self.wrong(&key, &text.span(), problem, expected("at most \"60s\""));
            return None;
        }
        Some(duration)
    }

    fn delay(
        &mut self,
        table: &mut Table<'_>,
        base: &'static str,
        jitter: &'static str,
        spread: &'static str,
    ) -> Delay {
        let words =
            [("uniform", Spread::Uniform), ("normal", Spread::Normal), ("exponential", Spread::Exponential)];
        let delay = Delay {
            base: self.short(table, base).unwrap_or_default(),
            jitter: self.short(table, jitter).unwrap_or_default(),
            spread: table.word(self, spread, &words).unwrap_or_default(),
        };
        if table.has(spread) && !table.has(jitter) {
            let problem = format!("`{spread}` is given without `{jitter}`");
            self.wrong(&table.key(spread), &table.place(spread), problem, "say how far the delay may stray");
        }
        delay
    }

    /// When the genuine answer follows, if at all.
    fn genuine(&mut self, table: &mut Table<'_>) -> Option<Delay> {
        let delay = self.delay(table, "genuine", "genuine-jitter", "genuine-spread");
        if !table.has("genuine") && table.has("genuine-jitter") {
            let problem = "`genuine-jitter` is given without `genuine`".to_owned();
            let key = "genuine-jitter";
            self.wrong(
                &table.key(key),
                &table.place(key),
                problem,
                "set `genuine`, the delay of the genuine answer",
            );
        }
        table.has("genuine").then_some(delay)
    }

    fn identity(&mut self, table: &mut Table<'_>) -> Identity {
        let whoami = table.text(self, "whoami").and_then(|text| self.address(&table.key("whoami"), &text));
        let chaos_id = table.text(self, "chaos-id").map(|text| {
            self.fits(&table.key("chaos-id"), &text);
            text.into_inner()
        });
        Identity { whoami, chaos_id, ttl: table.ttl(self, "ttl").map_or(300, Spanned::into_inner) }
    }

    /// Checks that a text fits into 255 octets.
    fn fits(&mut self, key: &KeyPath, text: &Spanned<String>) {
        if text.get_ref().len() > 255 {
            let problem = format!("the string has {} octets", text.get_ref().len());
            self.wrong(key, &text.span(), problem, expected("at most 255"));
        }
    }

    /// One forged answer.
    fn forged(&mut self, table: &mut Table<'_>, kind: &str, pools: &[Pool]) -> Option<Forged> {
        let after = self.delay(table, "after", "jitter", "spread");
        let shape = self.shape(table, kind);
        let body = match kind {
            "rcode" => self.rcode(table).map(|rcode| {
                self.code_in_flags(table, rcode, shape.flags);
                Body::Rcode(rcode, self.soa(table))
            }),
            "nodata" => Some(Body::NoData(self.soa(table))),
            "stub" => {
                let (a, aaaa, other) = self.given(table, pools, &[]);
                if !table.filled("a") && !table.filled("aaaa") {
                    let problem = "no address is given".to_owned();
                    self.wrong(&table.path, &table.span, problem, "give `a`, `aaaa` or both");
                }
                Some(Body::Addresses { a, aaaa, other })
            }
            "cname" => {
                let target = table.needed(self, "target");
                let target = target.and_then(|text| self.name(&table.key("target"), &text));
                let (a, aaaa, other) = self.given(table, pools, &[("alias", Other::Alias)]);
                let target_ttl = table.ttl(self, "target-ttl").map_or(shape.ttl, Spanned::into_inner);
                target.map(|target| Body::Cname { target, a, aaaa, target_ttl, other })
            }
            "truncate" => Some(Body::Truncated),
            _ => self.hex(table).map(Body::Raw),
        };
        Some(Forged { body: body?, shape, after })
    }

    fn rcode(&mut self, table: &mut Table<'_>) -> Option<Rcode> {
        let text = table.needed(self, "rcode")?;
        // A code has twelve bits (RFC 6891 §6.1.3).
        let rcode = text.get_ref().parse().ok().filter(|code: &Rcode| code.0 < 1 << 12);
        if rcode.is_none() {
            let problem = format!("`{}` is not a response code", text.get_ref());
            let remedy = like("\"NXDOMAIN\", \"REFUSED\" or \"RCODE23\"");
            self.wrong(&table.key("rcode"), &text.span(), problem, remedy);
        }
        rcode
    }

    /// The flags include the code, and are sent as they are.
    fn code_in_flags(&mut self, table: &Table<'_>, rcode: Rcode, flags: Option<Flags>) {
        let Some(flags) = flags else { return };
        let low = rcode.0 & 0xf;
        if flags.rd & 0xf != low || flags.no_rd & 0xf != low {
            let problem = format!("the flags hold a code other than {rcode}");
            let remedy = format!("make their last digit {low:x}");
            self.wrong(&table.key("flags"), &table.place("flags"), problem, remedy);
        }
    }

    /// Octets that must be given.
    pub(super) fn hex(&mut self, table: &mut Table<'_>) -> Option<Vec<u8>> {
        let text = table.needed(self, "hex")?;
        let octets = octets(text.get_ref()).filter(|octets| octets.len() <= usize::from(u16::MAX) - 2);
        if octets.is_none() {
            let problem = "these are not octets in hexadecimal".to_owned();
            let remedy = expected("two digits for each, and at most 65533 octets").such_as("\"81800001\"");
            self.wrong(&table.key("hex"), &text.span(), problem, remedy);
        }
        octets
    }

    fn soa(&mut self, table: &mut Table<'_>) -> Soa {
        let Some(text) = table.text(self, "soa") else { return Soa::None };
        match text.get_ref().as_str() {
            "none" => return Soa::None,
            "own" => return Soa::Own,
            _ => {}
        }
        let read = || {
            let mut parts = text.get_ref().trim().splitn(3, char::is_whitespace);
            let (owner, ttl, data) = (parts.next()?, parts.next()?, parts.next()?);
            let owner = NameBuf::from_text(owner).map_err(|e| format!("`{owner}` is not a domain name: {e}"));
            let ttl = ttl.parse().ok().filter(|ttl| *ttl <= MAX_TTL);
            let data = rdata::from_text(Qtype::SOA, data, Name::ROOT).map_err(|e| e.to_string());
            Some(owner.and_then(|owner| {
                Ok(Soa::Given { owner, ttl: ttl.ok_or("the TTL is not a number of 31 bits")?, rdata: data? })
            }))
        };
        let read = read().unwrap_or_else(|| Err(format!("`{}` is not known", text.get_ref())));
        read.unwrap_or_else(|problem| {
            let remedy = expected("none, own or a record")
                .such_as("\"example. 60 ns.example. host.example. 1 2 3 4 5\"");
            self.wrong(&table.key("soa"), &text.span(), problem, remedy);
            Soa::None
        })
    }

    /// The addresses of an answer, and the answer for other types, for which `more` words are valid.
    fn given(
        &mut self,
        table: &mut Table<'_>,
        pools: &[Pool],
        more: &[(&str, Other)],
    ) -> (Addresses<Ipv4Addr>, Addresses<Ipv6Addr>, Other) {
        let a = self.addresses(table, "a", pools);
        let aaaa = self.addresses(table, "aaaa", pools);
        let words =
            [("nodata", Other::NoData), ("pass", Other::Pass), ("a", Other::A), ("drop", Other::Drop)];
        let other = table.word(self, "other", &[&words, more].concat()).unwrap_or_default();
        if other == Other::A && !table.filled("a") {
            let problem = "there is no address in `a`".to_owned();
            self.wrong(&table.key("other"), &table.place("other"), problem, "give `a`");
        }
        (a, aaaa, other)
    }

    /// A list of addresses, or the name of a pool with addresses of their family.
    fn addresses<T: Family>(
        &mut self,
        table: &mut Table<'_>,
        key: &'static str,
        pools: &[Pool],
    ) -> Addresses<T> {
        let Some(value) = table.value(key) else { return Addresses::default() };
        let DeValue::String(name) = value.get_ref() else {
            return Addresses::These(self.family(table, key).unwrap_or_default());
        };
        let name = Spanned::new(value.span(), name.clone().into_owned());
        let found = pools.iter().zip(0u16..).find(|(pool, _)| pool.id == *name.get_ref());
        let key = table.key(key);
        match found {
            Some((pool, place)) => {
                if T::count(pool) == 0 {
                    let problem = format!("the pool `{}` has no {} address", pool.id, T::NAME);
                    self.wrong(&key, &name.span(), problem, "add one, or name another pool");
                }
                return Addresses::Pool(place);
            }
            None if name.get_ref().parse::<IpAddr>().is_ok() => {
                let problem = format!("`{}` is not a pool but an address", name.get_ref());
                self.wrong(&key, &name.span(), problem, "put it in brackets");
            }
            None => {
                let names: Vec<&str> = pools.iter().map(|pool| pool.id.as_str()).collect();
                self.unknown_word(&key, &name, &names);
            }
        }
        Addresses::default()
    }

    /// The shape of a forged answer.
    fn shape(&mut self, table: &mut Table<'_>, kind: &str) -> Shape {
        let malforms = [
            ("append-after-opt", Malform::AppendAfterOpt),
            ("no-qclass-tcp", Malform::NoQclassTcp),
            ("extra-bytes", Malform::ExtraBytes),
            ("wrong-id", Malform::WrongId),
            ("short-rdata", Malform::ShortRdata),
        ];
        let ip_ttl = table.small(self, "ip-ttl", 1..=255).and_then(|ttl| u8::try_from(*ttl.get_ref()).ok());
        if kind == "raw" {
            // Everything else is in its octets.
            let malform = table.word(self, "malform", &[("wrong-id", Malform::WrongId)]).unwrap_or_default();
            return Shape { ip_ttl, malform, ..Shape::default() };
        }
        let ttl = table.ttl(self, "ttl").map_or(300, Spanned::into_inner);
        let ttl_mode = self.ttl_mode(table, ttl);
        let manners = [("keep", EdnsManner::Keep), ("strip", EdnsManner::Strip), ("echo", EdnsManner::Echo)];
        let shape = Shape {
            flags: self.flags_by_rd(table),
            echo_ad: table.flag(self, "echo-ad").unwrap_or(false),
            edns: table.word(self, "edns", &manners).unwrap_or_default(),
            lower_case: table.word(self, "case", &[("keep", false), ("lower", true)]).unwrap_or(false),
            malform: table.word(self, "malform", &malforms).unwrap_or_default(),
            ttl,
            ttl_mode,
            ip_ttl,
            ede: self.ede(table),
            extra: self.extra(table),
        };
        // An error that could never be sent is a mistake.
        if shape.ede.is_some() && (shape.edns != EdnsManner::Keep || shape.malform == Malform::AppendAfterOpt)
        {
            let problem = "it needs an OPT record of the server's own, and there is none".to_owned();
            let remedy = "leave out `edns` and `append-after-opt`, or the error";
            self.wrong(&table.key("ede"), &table.place("ede"), problem, remedy);
        }
        if shape.malform == Malform::ShortRdata && matches!(kind, "rcode" | "nodata" | "truncate") {
            let problem = format!("the kind `{kind}` has no answer whose data could be short");
            self.wrong(&table.key("malform"), &table.place("malform"), problem, "use `stub` or `cname`");
        }
        shape
    }

    fn ttl_mode(&mut self, table: &mut Table<'_>, ttl: u32) -> TtlMode {
        let least = table.ttl(self, "ttl-min");
        let words = [
            ("static", TtlMode::Static),
            ("tick", TtlMode::Tick),
            ("random", TtlMode::Random(least.as_ref().map_or(0, |least| *least.get_ref()))),
        ];
        let mode = table.word(self, "ttl-mode", &words).unwrap_or_default();
        if let Some(least) = least {
            let key = table.key("ttl-min");
            if !matches!(mode, TtlMode::Random(_)) {
                let problem = "it applies only to random TTLs".to_owned();
                self.wrong(&key, &least.span(), problem, "give ttl-mode = \"random\" too");
            } else if *least.get_ref() > ttl {
                let problem = format!("{} is more than the TTL, {ttl}", least.get_ref());
                self.wrong(&key, &least.span(), problem, "make `ttl` the greater one");
            }
        }
        mode
    }

    fn flags_by_rd(&mut self, table: &mut Table<'_>) -> Option<Flags> {
        let text = table.text(self, "flags")?;
        let flags = match text.get_ref().strip_prefix("rd?") {
            Some(both) => both
                .split_once(':')
                .and_then(|(rd, no_rd)| Some(Flags { rd: word16(rd)?, no_rd: word16(no_rd)? })),
            None => word16(text.get_ref()).map(|word| Flags { rd: word, no_rd: word }),
        };
        if flags.is_none() {
            let problem = format!("`{}` is not a set of flags", text.get_ref());
            let remedy = expected("four hexadecimal digits").such_as("\"8180\", or \"rd?8180:8400\"");
            self.wrong(&table.key("flags"), &text.span(), problem, remedy);
        }
        flags
    }

    fn ede(&mut self, table: &mut Table<'_>) -> Option<(EdeCode, String)> {
        let mut ede = table.table(self, "ede")?;
        let code = ede.number(self, "code", 0..=u64::from(u16::MAX));
        if !ede.has("code") {
            ede.missing(self, "code", expected("a number").such_as("16"));
        }
        let text = ede.text(self, "text");
        if let Some(text) = &text {
            self.fits(&ede.key("text"), text);
        }
        ede.done(self, "", &[]);
        let code = u16::try_from(*code?.get_ref()).ok()?;
        Some((EdeCode(code), text.map(Spanned::into_inner).unwrap_or_default()))
    }

    fn extra(&mut self, table: &mut Table<'_>) -> Vec<Extra> {
        let title = table.key("extra");
        let records = table.tables(self, "extra", "").unwrap_or_default();
        let read = |mut record: Table<'_>| {
            let owner = record.text(self, "name").map(|name| self.name(&record.key("name"), &name));
            let rtype = record.needed(self, "type");
            let rtype = rtype.and_then(|text| self.qtype(&record.key("type"), &text));
            let ttl = record.ttl(self, "ttl").map_or(0, Spanned::into_inner);
            if !record.has("data") {
                record.missing(self, "data", "write it as in a master file");
            }
            let data = record.text(self, "data");
            record.done(self, "", &[]);
            let (rtype, data) = (rtype?, data?);
            match rdata::from_text(rtype, data.get_ref(), Name::ROOT).map_err(|e| e.to_string()) {
                Ok(rdata) => Some(Extra { owner: owner.flatten(), rtype, ttl, rdata }),
                Err(problem) => {
                    let remedy = expected("data as in a master file, with full names");
                    self.wrong(&title.key("data"), &data.span(), problem, remedy);
                    None
                }
            }
        };
        records.into_iter().filter_map(read).collect()
    }
}
