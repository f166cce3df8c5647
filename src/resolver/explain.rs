//! The one explain record: what `explain` prints, `ctl` sends and the block page shows.
//!
//! It is made by resolving the question once more; nothing is sent and no upstream is queried.

use std::net::IpAddr;
use std::sync::Arc;

use serde_json::{Value, json};

use super::live::Engine;
use super::lookup::route;
use super::moment::Moment;
use super::outcome::Outcome;
use super::resolve::resolve;
use super::ruling::Ruling;
use super::snapshot::{Client, Snapshot};
use crate::answer::Right;
use crate::cache::key::Key;
use crate::cache::store::{Cache, Stored};
use crate::dns::{MAX_MESSAGE, Message, NameBuf, Qtype, Query, ReplyWriter, Section, encode};
use crate::observe::event::{Event, Source};
use crate::policy::{
    Asker, Decider, Inspector, Ordered, RuleText, Rung, Verdict, because, ladder, rule_text, verdict_text,
};

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
    /// What the client gets instead of an answer.
    pub action: Option<String>,
    /// The list that refuses, and why, in words for users.
    pub refusal: Option<Refusal>,
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
    /// Why it lost; `None`: it decided.
    pub lost: Option<&'static str>,
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
    let snapshot = Arc::new(Snapshot { cache, epoch: 0, ..snapshot.clone() });
    let view = snapshot.view(client);
    let mut out = vec![0; MAX_MESSAGE];
    let mut event = Event::new(client.address, client.transport);
    let outcome = resolve(engine, &snapshot, &packet, *client, now, &mut out, &mut event);
    let policy = &snapshot.policy;
    let asker = Asker { client: client.address.ip(), qtype: *qtype, view };
    let (reply, octets) = match outcome {
        Outcome::Later(_) => ("the question would be forwarded to the upstreams".to_owned(), Vec::new()),
        Outcome::Drop => ("no reply is sent".to_owned(), Vec::new()),
        Outcome::Reply(len) | Outcome::ReplyAndRefresh(len, _) => {
            let octets = out.get(..len).unwrap_or_default().to_vec();
            let text =
                Message::parse(&octets).map_or_else(String::new, |m| m.to_string().trim_end().to_owned());
            (text, octets)
        }
    };
    let rules = ladder(policy, name.as_name(), asker);
    let winner = event.verdict.decider();
    let candidate = |d: &Decider, lost| {
        Some(Candidate { rung: d.rung, rule: rule_text(policy, *d, name.as_name())?, lost })
    };
    let heard = rules.iter().filter_map(|d| {
        let lost = match winner {
            Some(winner) if winner == *d => None,
            Some(winner) => Some(d.loses_by(winner, policy.precedence)),
            None if matches!(event.verdict, Verdict::Ordered(..)) => {
                Some("an order given at run time decides")
            }
            None if event.source == Source::Guard => Some("not asked"),
            None => Some("decides nothing here"),
        };
        candidate(d, lost)
    });
    // Rules of lists that do not apply to this client now.
    let unfiltered = ladder(policy, name.as_name(), Asker { view: None, ..asker });
    let silent = unfiltered.iter().filter(|d| view.is_some_and(|v| !v.has(d.list))).filter_map(|d| {
        let schedule = policy.list(d.list).and_then(|l| l.schedule.as_ref());
        let asleep = schedule.is_some_and(|s| !s.is_active(now.unix));
        candidate(d, Some(if asleep { "out of its schedule" } else { "not a list of the client's group" }))
    });
    let candidates: Vec<Candidate> = heard.chain(silent).collect();
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
    let ruling = Ruling::of(&snapshot, view, event.verdict);
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
        action: ruling
            .filter(|_| event.source == Source::Policy)
            .map(|r| r.action_on(&snapshot, name.as_name()).to_string()),
        refusal: list.map(|list| Refusal {
            list: list.name.clone(),
            authority: list.authority.clone(),
            reason: list.notes.reason.clone(),
            since: list.notes.since.clone(),
        }),
        reply,
        octets,
    }
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
            stored.write(&mut reply, false, now.at);
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
                json!({
                    "rung": c.rung.name(), "rule": c.rule.rule, "list": c.rule.list, "line": c.rule.line,
                    "decided": c.lost.is_none(), "lost": c.lost,
                })
            })
            .collect();
        let rests_on = self.rests_on.as_ref();
        let refusal = self.refusal.as_ref();
        let hex: String = self.octets.iter().map(|o| format!("{o:02x}")).collect();
        json!({
            "id": self.id, "name": self.name.to_string(), "type": self.qtype.to_string(),
            "client": self.client, "group": self.group, "at": self.at, "precedence": self.precedence,
            "verdict": self.verdict, "action": self.action, "rules": rules,
            "rests_on": rests_on.map(|r| json!({ "rule": r.rule, "list": r.list, "line": r.line })),
            "in_answer": self.in_answer,
            "list": refusal.map(|r| &r.list), "authority": refusal.and_then(|r| r.authority.as_ref()),
            "reason": refusal.and_then(|r| r.reason.as_ref()), "since": refusal.and_then(|r| r.since.as_ref()),
            "reply": self.reply, "wire": hex,
        })
    }
}
