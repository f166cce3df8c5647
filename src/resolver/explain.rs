//! The one explain record: what `explain` prints, `ctl` sends and the block page shows.
//!
//! It is made by resolving the question once more; nothing is sent and no upstream is queried.

use std::net::IpAddr;
use std::sync::Arc;

use serde_json::{Value, json};

use super::authority::{Authority, route};
use super::live::Engine;
use super::moment::Moment;
use super::outcome::Outcome;
use super::resolve::resolve;
use super::ruling::Ruling;
use super::snapshot::{Client, Snapshot};
use crate::answer::Right;
use crate::cache::key::Key;
use crate::cache::store::{Cache, Stored};
use crate::dns::{MAX_MESSAGE, Message, Name, NameBuf, Qtype, Query, ReplyWriter, Section, encode};
use crate::observe::event::{Event, Source};
use crate::policy::{
    Asker, Decider, Inspector, Missed, Ordered, RuleText, Rung, Standing, Verdict, View, account, because,
    rule_text, verdict_text,
};
use crate::rule::Action;

/// What to explain.
#[derive(Clone, Debug)]
pub struct Question {
    /// The name in question.
    pub name: NameBuf,
    /// The type in question.
    pub qtype: Qtype,
    /// The client.
    pub client: Client,
    /// What to assume in the upstreams' answer: a name is the target of an alias.
    pub answer: Vec<Given>,
}

/// An assumed part of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Given {
    /// An address.
    Address(IpAddr),
    /// The target of an alias.
    Name(NameBuf),
}

/// Everything about one question.
#[derive(Clone, Debug)]
pub struct Record {
    /// The reference in the reply and on the block page; `None`: nothing is refused.
    pub id: Option<String>,
    /// The question's name.
    pub name: NameBuf,
    /// Its type.
    pub qtype: Qtype,
    /// The client.
    pub client: IpAddr,
    /// The client's group, if it belongs to one.
    pub group: Option<String>,
    /// The time, in seconds since 1970 (UTC).
    pub at: i64,
    /// The precedence that decides between rules of equal strength.
    pub precedence: &'static str,
    /// The verdict in a word; `refused` if the client is not allowed to query at all.
    pub verdict: &'static str,
    /// The rule that the verdict rests on, if any.
    pub rests_on: Option<RuleText>,
    /// The name or address in the answer that caused the verdict.
    pub in_answer: Option<String>,
    /// Every rule that matches the name, the deciding one first.
    pub rules: Vec<Candidate>,
    /// Who answers for the name, in words; `None` if nobody is asked, because a rule decides.
    pub answered_by: Option<String>,
    /// What the client gets instead of an answer.
    pub action: Option<String>,
    /// Why that is not what the list says, if it is not.
    pub because: Option<&'static str>,
    /// The list that refuses, and why, in words for users.
    pub refusal: Option<Refusal>,
    /// How a zone of this server finds the name, if one answers.
    pub zone: Option<String>,
    /// The reply, in words.
    pub reply: String,
    /// The reply, in wire format; empty if it depends on an upstream.
    pub octets: Vec<u8>,
}

/// One rule that matches the name.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// Its rung.
    pub rung: Rung,
    /// The rule, with its list and line.
    pub rule: RuleText,
    /// Whether it applies to the question: it is for this type and client, now.
    pub applies: bool,
    /// Why it does not decide; `None`: it decided.
    pub lost: Option<String>,
    /// The rule that stopped it, if one did.
    pub stopped_by: Option<RuleText>,
}

/// Which list refuses, and why.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refusal {
    /// The list.
    pub list: String,
    /// The outside authority that demands it, if any.
    pub authority: Option<String>,
    /// Why.
    pub reason: Option<String>,
    /// The date since which it is refused.
    pub since: Option<String>,
}

/// Explains how `snapshot` would answer a question at `now`.
#[must_use]
pub fn explain(engine: &Arc<Engine>, snapshot: &Snapshot, question: &Question, now: Moment) -> Record {
    let Question { name, qtype, client, .. } = question;
    let mut packet = encode(name.as_name(), *qtype);
    let view = snapshot.view(client);
    let route = route(snapshot, view, name.as_name(), *qtype);
    let answer = if question.answer.is_empty() {
        cached(snapshot, &mut packet, route, now)
    } else {
        Query::parse(&packet).map(|query| given(&query, &question.answer)).unwrap_or_default()
    };
    // A cache that holds only this answer, as if just received: the assumed answer stays out of the shared
    // cache, whose contents are not affected.
    let cache = Arc::new(Cache::new(1 << 20));
    if let (Ok(query), Some(reply)) = (Query::parse(&packet), Message::parse(&answer))
        && let Some(stored) = Stored::new(&Key::of(&query, route), &reply, now.at, u32::MAX)
    {
        cache.put(&stored);
    }
    // Without an epoch, so that replies that have passed inspection are inspected again.
    let snapshot = Arc::new(Snapshot { cache, epoch: 0, limits: false, ratelimit: None, ..snapshot.clone() });
    let view = snapshot.view(client);
    let mut out = vec![0; MAX_MESSAGE];
    let mut event = Event::new(client.address, client.transport);
    let outcome = resolve(engine, &snapshot, &packet, *client, now, &mut out, &mut event);
    let policy = &snapshot.policy;
    let asker = Asker { client: client.address.ip(), qtype: *qtype, view };
    let (reply, octets) = match outcome {
        Outcome::Later(pending) => {
            let aliases: Vec<String> = pending.aliases().map(|name| format!("CNAME {name}, ")).collect();
            let what = if aliases.is_empty() { "the question" } else { "the question for the last alias" };
            (format!("{}{what} would be forwarded to the upstreams", aliases.concat()), Vec::new())
        }
        Outcome::Drop => ("no reply is sent".to_owned(), Vec::new()),
        Outcome::Reply(len) | Outcome::ReplyAndRefresh(len, _) => {
            let octets = out.get(..len).unwrap_or_default().to_vec();
            let text =
                Message::parse(&octets).map_or_else(String::new, |m| m.to_string().trim_end().to_owned());
            (text, octets)
        }
    };
    let candidates = candidates(&snapshot, &event, (name, asker), now);
    let by = Inspector {
        inspection: &snapshot.inspection,
        asker,
        active: &snapshot.active,
        group: view.and_then(|v| policy.group_name(v)),
        paused: matches!(event.verdict, Verdict::Ordered(Ordered::Paused, _)),
    };
    let in_answer = Message::parse(&answer)
        .filter(|_| rests_on_answer(event.verdict))
        .and_then(|reply| because(policy, by, name.as_name(), &reply));
    let ruling = Ruling::of(&snapshot, view, event.verdict).map(|ruling| ruling.on(policy, name.as_name()));
    let list = ruling.filter(|r| r.right == Right::Block).map(|r| r.list);
    Record {
        id: list.map(|l| l.reference(name.as_name()).to_string()),
        name: name.clone(),
        qtype: *qtype,
        client: client.address.ip(),
        group: view.and_then(|v| policy.group_name(v)).map(str::to_owned),
        at: now.unix,
        precedence: policy.precedence.word(),
        verdict: if event.source == Source::Guard { "refused" } else { event.verdict.word() },
        rests_on: verdict_text(policy, event.verdict, name.as_name()),
        in_answer,
        rules: candidates,
        answered_by: (!matches!(event.source, Source::Policy | Source::Guard))
            .then(|| Authority::of(&snapshot, name.as_name(), *qtype).text(name.as_name())),
        action: ruling.filter(|_| event.source == Source::Policy).map(|r| r.action.to_string()),
        because: (ruling.is_some() && is_in_part(&snapshot, view, event.verdict))
            .then_some("NXDOMAIN would deny other types of the name too"),
        refusal: list.map(|list| Refusal {
            list: list.name.clone(),
            authority: list.authority.clone(),
            reason: list.notes.reason.clone(),
            since: list.notes.since.clone(),
        }),
        zone: in_zone(&snapshot, name.as_name(), *qtype)
            .filter(|_| !matches!(event.source, Source::Policy | Source::Guard)),
        reply,
        octets,
    }
}

/// True if NXDOMAIN would be the action, had the name no other types.
fn is_in_part(snapshot: &Snapshot, view: Option<&View>, verdict: Verdict) -> bool {
    match (verdict, verdict.decider()) {
        (_, Some(d)) => d.others_pass,
        (Verdict::Address(list), _) => snapshot.policy.list_action(list, view) == Some(&Action::NxDomain),
        _ => false,
    }
}

/// Every rule that matches the name, and what became of it.
fn candidates(
    snapshot: &Snapshot,
    event: &Event,
    (name, asker): (&NameBuf, Asker<'_>),
    now: Moment,
) -> Vec<Candidate> {
    let policy = &snapshot.policy;
    let text = |d: Decider| rule_text(policy, d, name.as_name());
    let winner = event.verdict.decider();
    let overruled = match event.verdict {
        Verdict::Ordered(..) => Some("an order given at run time decides"),
        _ if event.source == Source::Guard => Some("not asked"),
        _ => None,
    };
    let told = |(d, standing): (Decider, Standing)| {
        let (lost, by) = match standing {
            Standing::Missed(why) => (Some(missed(snapshot, (d, why), asker, now)), None),
            _ if overruled.is_some() => (overruled.map(str::to_owned), None),
            _ if winner.is_some_and(|winner| winner.rule == d.rule) => (None, None),
            Standing::Decides => (Some("decides nothing here".to_owned()), None),
            Standing::Adds => (Some("part of the same answer".to_owned()), None),
            Standing::Stopped(by) => (Some(d.loses_by(by, policy.precedence)), Some(by)),
            Standing::Cancelled(by) => (Some("it is an exception".to_owned()), Some(by)),
            Standing::Left(by) => (Some("it leaves the name as it is".to_owned()), Some(by)),
            Standing::Leaves => (Some("the name is not rewritten".to_owned()), None),
            Standing::Cancels(_) => (Some("cancels a rewrite, decides nothing else".to_owned()), None),
            Standing::CancelsNothing => (Some("there is no rewrite that it cancels".to_owned()), None),
            Standing::Logs => (Some("only logged".to_owned()), None),
        };
        let applies = !matches!(standing, Standing::Missed(_));
        Some(Candidate { rung: d.rung, rule: text(d)?, applies, lost, stopped_by: by.and_then(text) })
    };
    account(policy, name.as_name(), asker).into_iter().filter_map(told).collect()
}

/// Why a rule does not apply to the question.
fn missed(snapshot: &Snapshot, (d, why): (Decider, Missed), asker: Asker<'_>, now: Moment) -> String {
    let list = snapshot.policy.list(d.list);
    let types = list.map_or(&[][..], |list| &list.types);
    match why {
        Missed::List if list.and_then(|l| l.schedule.as_ref()).is_some_and(|s| !s.is_active(now.unix)) => {
            "out of its schedule".to_owned()
        }
        Missed::List if list.is_some_and(|l| !l.only_groups.is_empty()) => {
            "not for the client's group".to_owned()
        }
        Missed::List => "not a list of the client's group".to_owned(),
        Missed::Type if !types.is_empty() && !types.contains(&asker.qtype) => {
            let types: Vec<String> = types.iter().map(Qtype::to_string).collect();
            format!("its list is for {} only", types.join(", "))
        }
        Missed::Type => format!("not for the type {}", asker.qtype),
        Missed::Client => "not for this client".to_owned(),
        Missed::Name => "it excepts this name".to_owned(),
        Missed::Closer => "a closer name of its list ends it".to_owned(),
    }
}

/// How a zone of this server finds the name: directly, by a wildcard, or not, and what ends a wildcard there
/// (RFC 4592 §3.3.1).
fn in_zone(snapshot: &Snapshot, name: Name<'_>, qtype: Qtype) -> Option<String> {
    let Authority::Zone(zone) = Authority::of(snapshot, name, qtype) else { return None };
    let show = |name: Name<'_>| name.to_folded().to_string();
    let origin = show(zone.origin());
    if zone.exists(name) {
        return Some(format!("{origin} has the name"));
    }
    let above = |from: Name<'_>| {
        let parent = from.parent().filter(|parent| parent.is_within(zone.origin()));
        parent.map(Name::to_buf)
    };
    let wildcard = |at: &NameBuf| NameBuf::from_text(&format!("*.{at}")).ok();
    let has = |name: &NameBuf| zone.exists(name.as_name());
    let mut encloser = above(name)?;
    while !has(&encloser) {
        encloser = above(encloser.as_name())?;
    }
    let closest = show(encloser.as_name());
    if wildcard(&encloser).is_some_and(|wildcard| has(&wildcard)) {
        return Some(format!("{origin} answers by the wildcard *.{closest}"));
    }
    let mut further = above(encloser.as_name());
    while let Some(at) = further {
        if wildcard(&at).is_some_and(|wildcard| has(&wildcard)) {
            let (at, ends) = (show(at.as_name()), "ends there, because that name exists");
            return Some(format!("{origin} has {closest}, not the name; the wildcard *.{at} {ends}"));
        }
        further = above(at.as_name());
    }
    Some(format!("{origin} has {closest}, not the name, and no wildcard for it"))
}

const fn rests_on_answer(verdict: Verdict) -> bool {
    matches!(
        verdict,
        Verdict::InAnswer(_)
            | Verdict::Address(_)
            | Verdict::NotedAddress(_)
            | Verdict::Rebinding
            | Verdict::Ordered(Ordered::Blocked, _)
    )
}

/// The cached reply, however old, if the question is in the cache. `packet` is turned into the query that
/// it answers, with or without the DO bit.
fn cached(snapshot: &Snapshot, packet: &mut [u8], route: u16, now: Moment) -> Vec<u8> {
    for dnssec_ok in [0, 0x80] {
        // The last four octets of the packet: the flags of its OPT record, and no options.
        if let Some([high, _, _, _]) = packet.last_chunk_mut::<4>() {
            *high = dnssec_ok;
        }
        let Ok(query) = Query::parse(packet) else { continue };
        if let Some(stored) = snapshot.cache.get(&Key::of(&query, route)) {
            let mut out = vec![0; MAX_MESSAGE];
            let mut reply = ReplyWriter::new(&query, &mut out, MAX_MESSAGE);
            stored.write(&mut reply, false, stored.age(now.at));
            let len = reply.finish();
            out.truncate(len);
            return out;
        }
    }
    if let Some([high, _, _, _]) = packet.last_chunk_mut::<4>() {
        *high = 0;
    }
    Vec::new()
}

/// A reply with the assumed aliases and addresses.
fn given(query: &Query<'_>, answer: &[Given]) -> Vec<u8> {
    let mut out = vec![0; MAX_MESSAGE];
    let mut reply = ReplyWriter::new(query, &mut out, MAX_MESSAGE);
    let mut owner: Option<NameBuf> = None;
    for part in answer {
        let at = owner.as_ref().map(NameBuf::as_name);
        // No real question assumes more than fits.
        let _ = match part {
            Given::Name(target) => {
                let done = reply.record(Section::Answer, at, Qtype::CNAME, 60, &[target.as_bytes()]);
                owner = Some(target.clone());
                done
            }
            Given::Address(IpAddr::V4(a)) => reply.record(Section::Answer, at, Qtype::A, 60, &[&a.octets()]),
            Given::Address(IpAddr::V6(a)) => {
                reply.record(Section::Answer, at, Qtype::AAAA, 60, &[&a.octets()])
            }
        };
    }
    let wanted = |part: &Given| match part {
        Given::Address(address) => address.is_ipv4() == (query.qtype == Qtype::A),
        Given::Name(_) => false,
    };
    if !answer.iter().any(wanted) {
        // Like a server that has no records of the type: without an SOA the answer is not cached.
        let at = owner.as_ref().map(NameBuf::as_name);
        let _ =
            reply.record(Section::Authority, at, Qtype::SOA, 60, &[&[0; 2], &[0; 16], &60u32.to_be_bytes()]);
    }
    let len = reply.finish();
    out.truncate(len);
    out
}

impl Record {
    /// For a script.
    #[must_use]
    pub fn json(&self) -> Value {
        let rules: Vec<Value> = self
            .rules
            .iter()
            .map(|c| {
                let by = c.stopped_by.as_ref();
                json!({
                    "rung": c.rung.name(), "rule": c.rule.rule, "list": c.rule.list, "line": c.rule.line,
                    "applies": c.applies, "decided": c.lost.is_none(), "lost": c.lost,
                    "stopped_by": by.map(|r| json!({ "rule": r.rule, "list": r.list, "line": r.line })),
                })
            })
            .collect();
        let rests_on = self.rests_on.as_ref();
        let refusal = self.refusal.as_ref();
        let hex: String = self.octets.iter().map(|o| format!("{o:02x}")).collect();
        json!({
            "id": self.id, "name": self.name.to_string(), "type": self.qtype.to_string(),
            "client": self.client, "group": self.group, "at": self.at, "precedence": self.precedence,
            "verdict": self.verdict, "action": self.action, "action_because": self.because, "rules": rules,
            "rests_on": rests_on.map(|r| json!({ "rule": r.rule, "list": r.list, "line": r.line })),
            "in_answer": self.in_answer, "answered_by": self.answered_by, "zone": self.zone,
            "list": refusal.map(|r| &r.list), "authority": refusal.and_then(|r| r.authority.as_ref()),
            "reason": refusal.and_then(|r| r.reason.as_ref()), "since": refusal.and_then(|r| r.since.as_ref()),
            "reply": self.reply, "wire": hex,
        })
    }
}
