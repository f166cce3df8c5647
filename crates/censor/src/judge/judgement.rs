//! All rules together: one word for a name, what decided, and the signs that no rule counts.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use portcullis_core::dns::Qtype;

use super::bogon::is_bogon;
use super::lookup::Failure;
use super::lookup::Lookup;
use super::ooni::{self, Classic, Consistency, Rule};
use super::probe::{Control, Known, Pair, Probe};
use super::satellite::{self, Outcome};
use crate::action::End;

/// From here on the pipeline's likelihood of blocking counts as interference.
const LIKELY: f64 = 0.5;

/// One word over all rules; the first that applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// The control sent no reply: nothing can be said.
    NoControl,
    /// Replies that only somebody on the way, or a resolver that imitates one, sends: two that differ, or
    /// one with a wrong id.
    Injected,
    /// The resolver gives addresses for a name that has none at the control.
    Ghost,
    /// OONI's probe calls it inconsistent, or its pipeline thinks that it is blocked.
    Interference,
    /// No rule of OONI's, but a sign: see [`Sign::is_suspicious`].
    Suspect,
    /// The name does not resolve at the control either.
    Down,
    /// Nothing was found.
    Ok,
}

impl Verdict {
    /// All, in the order in which they are tried.
    pub const ALL: [Self; 7] = [
        Self::NoControl,
        Self::Injected,
        Self::Ghost,
        Self::Interference,
        Self::Suspect,
        Self::Down,
        Self::Ok,
    ];

    /// The word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::NoControl => "no-control",
            Self::Injected => "injected",
            Self::Ghost => "ghost",
            Self::Interference => "dns-interference",
            Self::Suspect => "suspect",
            Self::Down => "down",
            Self::Ok => "ok",
        }
    }

    /// Something was found.
    #[must_use]
    pub const fn is_found(self) -> bool {
        matches!(self, Self::Injected | Self::Ghost | Self::Interference | Self::Suspect)
    }
}

/// Something about the replies that OONI and Satellite do not count.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Sign {
    /// Replies to one query say different things.
    Differ(Qtype, usize, Duration),
    /// A reply has another id than the query, or is no response.
    WrongId(Qtype),
    /// More replies than one, all alike.
    Repeated(Qtype, usize, Duration),
    /// A reply is not a DNS message.
    Undecodable(Qtype),
    /// A reply leaves the question out or has another one.
    OtherQuestion(Qtype),
    /// The answer has addresses of the type that was not asked for.
    OtherType(Qtype),
    /// An OPT record stands among the answers, as where one was appended to a finished reply.
    OptAstray(Qtype),
    /// Octets follow the end of a reply.
    Trailing(Qtype),
    /// The TCP connection ended by RST.
    Reset(Qtype),
    /// There is no AAAA, where the control has some and the resolver gives A.
    NoV6,
    /// A known answer of a censor, by its name.
    Fingerprint(String),
    /// An address that no public name should have.
    Bogon(IpAddr),
    /// TC is set: a client would ask again over TCP, which OONI's probe does not.
    Truncated(Qtype),
    /// The query had an OPT record and the control's reply has one; this one has none.
    NoOpt(Qtype),
}

impl Sign {
    /// By this alone somebody injects.
    #[must_use]
    pub const fn is_injection(&self) -> bool {
        matches!(self, Self::Differ(..) | Self::WrongId(_))
    }

    /// Honest resolvers do not do that; the others say nothing alone.
    #[must_use]
    pub const fn is_suspicious(&self) -> bool {
        !matches!(self, Self::Bogon(_) | Self::Truncated(_) | Self::NoOpt(_))
    }
}

impl fmt::Display for Sign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |span: &Duration| format!("{:.1} ms", span.as_secs_f64() * 1e3);
        match self {
            Self::Differ(t, n, span) => write!(f, "{n} replies for {t} within {} that differ", ms(span)),
            Self::WrongId(t) => write!(f, "a reply for {t} with another id than the query"),
            Self::Repeated(t, n, span) => write!(f, "{n} replies for {t} within {}, all alike", ms(span)),
            Self::Undecodable(t) => write!(f, "a reply for {t} that is not a DNS message"),
            Self::OtherQuestion(t) => write!(f, "a reply for {t} without the question"),
            Self::OtherType(t) => write!(f, "an answer for {t} with addresses of the other type"),
            Self::OptAstray(t) => write!(f, "a reply for {t} whose OPT record is not where it belongs"),
            Self::Trailing(t) => write!(f, "a reply for {t} with octets behind its end"),
            Self::Truncated(t) => write!(f, "the reply for {t} is cut (TC); --tcp asks for the whole"),
            Self::Reset(t) => write!(f, "the TCP connection for {t} ended by RST"),
            Self::NoV6 => write!(f, "no AAAA, though the control has one"),
            Self::Fingerprint(name) => write!(f, "a known answer of a censor: {name}"),
            Self::Bogon(address) => write!(f, "{address} is a bogon"),
            Self::NoOpt(t) => write!(f, "a reply for {t} without OPT, though the control's has one"),
        }
    }
}

/// All that can be said of a name.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Judgement {
    /// In one word.
    pub verdict: Verdict,
    /// What decided, in one line.
    pub why: String,
    /// What the control came to; `None`: to nothing.
    pub control: Option<Control>,
    /// What OONI's probe would report.
    pub classic: Classic,
    /// The rule of OONI's pipeline that applies, if one does.
    pub pipeline: Option<&'static Rule>,
    /// Satellite's outcome, if it would have one.
    pub satellite: Option<Outcome>,
    /// Everything else that was noticed.
    pub signs: Vec<Sign>,
}

/// Judges one name.
#[must_use]
pub fn judge(probe: &Probe, known: &Known<'_>) -> Judgement {
    let resolver = &probe.resolver;
    let control = Control::join(&probe.control);
    let classic = ooni::classic(resolver, control.as_ref(), known.asns);
    let pipeline = ooni::pipeline(resolver, control.as_ref(), known);
    let satellite = satellite::outcome(resolver, control.as_ref(), known.asns, probe.udp);
    let signs = signs(probe, control.as_ref(), known);
    let (verdict, why) = decide(resolver, control.as_ref(), &classic, pipeline, &signs);
    Judgement { verdict, why, control, classic, pipeline, satellite, signs }
}

fn decide(
    resolver: &Pair,
    control: Option<&Control>,
    classic: &Classic,
    pipeline: Option<&'static Rule>,
    signs: &[Sign],
) -> (Verdict, String) {
    let Some(control) = control else {
        return (Verdict::NoControl, "the control gave no reply, so there is nothing to compare with".into());
    };
    if let Some(sign) = signs.iter().find(|s| s.is_injection()) {
        return (Verdict::Injected, sign.to_string());
    }
    let given = |list: Vec<IpAddr>| list.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let addresses: Vec<IpAddr> = resolver.addresses().collect();
    let failing = control.failure.map_or("dns_no_answer", Failure::word);
    if control.addresses.is_empty() && !addresses.is_empty() {
        let why = format!("{} for a name that has no address at the control ({failing})", given(addresses));
        return (Verdict::Ghost, why);
    }
    let blocked = pipeline.filter(|rule| rule.blocked > LIKELY);
    if classic.consistency == Consistency::Inconsistent || blocked.is_some() {
        let rule = blocked.map_or_else(String::new, |rule| format!("; OONI pipeline: {}", rule.id));
        let failed = match (resolver.a.result.as_ref().err(), resolver.aaaa.result.as_ref().err()) {
            (Some(a), Some(aaaa)) if a == aaaa => format!("{a} for A and AAAA"),
            (Some(a), Some(aaaa)) => format!("{a} for A, {aaaa} for AAAA"),
            (Some(a), None) => format!("{a} for A"),
            (None, aaaa) => format!("{} for AAAA", aaaa.map_or("dns_no_answer", |f| f.word())),
        };
        let why = if classic.flags & ooni::flag::UNEXPECTED_ADDRS != 0 {
            let foreign = addresses.into_iter().filter(|a| !control.addresses.contains(a)).collect();
            format!("{}, not an address of the control's (OONI: unexpected addresses{rule})", given(foreign))
        } else if classic.flags & ooni::flag::UNEXPECTED_FAILURE != 0 {
            format!("{failed}, while the control resolves it (OONI: unexpected failure{rule})")
        } else {
            format!("{}{rule}", given(addresses))
        };
        return (Verdict::Interference, why);
    }
    if let Some(sign) = signs.iter().find(|s| s.is_suspicious()) {
        return (Verdict::Suspect, sign.to_string());
    }
    if let Some(failure) = resolver.failure() {
        return (Verdict::Down, format!("{failure}, and {failing} at the control: it resolves nowhere"));
    }
    let shared = addresses.iter().any(|a| control.addresses.contains(a));
    let why =
        if shared { "the control gives the same" } else { "the control's addresses are of the same network" };
    (Verdict::Ok, why.into())
}

fn signs(probe: &Probe, control: Option<&Control>, known: &Known<'_>) -> Vec<Sign> {
    let mut signs = Vec::new();
    let resolver = &probe.resolver;
    for lookup in resolver.both() {
        let (qtype, ours) = (lookup.qtype, lookup.ours().count());
        if lookup.differs() {
            signs.push(Sign::Differ(qtype, ours, lookup.span()));
        } else if ours > 1 {
            signs.push(Sign::Repeated(qtype, ours, lookup.span()));
        }
        let all = || lookup.replies.iter();
        if all().any(|r| r.said.as_ref().is_some_and(|s| !s.ours)) {
            signs.push(Sign::WrongId(qtype));
        }
        if all().any(|r| r.said.is_none()) {
            signs.push(Sign::Undecodable(qtype));
        }
        // Errors without the question are an old custom of honest servers.
        if lookup.ours().any(|s| !s.question && !s.addresses.is_empty()) {
            signs.push(Sign::OtherQuestion(qtype));
        }
        if lookup.ours().any(|s| s.stray) {
            signs.push(Sign::OtherType(qtype));
        }
        if lookup.ours().any(|s| s.opt_astray) {
            signs.push(Sign::OptAstray(qtype));
        }
        if lookup.ours().any(|s| s.trailing) {
            signs.push(Sign::Trailing(qtype));
        }
        if lookup.first().is_some_and(|s| s.truncated) {
            signs.push(Sign::Truncated(qtype));
        }
        if lookup.end == End::Reset {
            signs.push(Sign::Reset(qtype));
        }
        signs.extend(known.fingerprints_of(lookup).map(|f| Sign::Fingerprint(f.name.clone())));
        signs.extend(lookup.addresses().iter().filter(|a| is_bogon(**a)).map(|a| Sign::Bogon(*a)));
        let lacks = |l: &Lookup| l.first().is_some_and(|s| !s.opt && !s.opt_astray);
        let honest = probe.control.last().and_then(|p| p.both().into_iter().find(|l| l.qtype == qtype));
        if probe.edns && lacks(lookup) && honest.is_some_and(|l| l.first().is_some() && !lacks(l)) {
            signs.push(Sign::NoOpt(qtype));
        }
    }
    let missing = matches!((&resolver.a.result, &resolver.aaaa.result), (Ok(_), Err(Failure::NoAnswer)));
    if missing && control.is_some_and(Control::has_v6) {
        signs.push(Sign::NoV6);
    }
    signs
}
