//! From one question and a scenario to the packets that the censor sends.

use std::net::IpAddr;
use std::time::Duration;

use super::action::{Action, End, Identity};
use super::asked::{Asked, Counter, Turns};
use super::draw::Draw;
use super::forge::{self, Forgery};
use super::scenario::{Rule, Scenario};
use super::when::Sticky;
use portcullis_core::dns::{Class, Folded, Qtype, Transport};

/// The reaction to one query.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// The index of the rule that decided; `None`: none did.
    pub rule: Option<u16>,
    /// The forged answers, in sending order.
    pub forged: Vec<Shot>,
    /// When the genuine answer is let through; `None`: never.
    pub genuine: Option<Duration>,
    /// How the TCP connection ends after that.
    pub end: End,
}

/// One packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shot {
    /// How long after the query.
    pub after: Duration,
    /// The message, without the length prefix of TCP.
    pub octets: Vec<u8>,
    /// The TTL of the IP packet; `None`: the system's.
    pub ip_ttl: Option<u8>,
}

/// Plans the reaction to one question: the first rule that applies decides.
#[must_use]
pub fn plan(scenario: &Scenario, asked: Asked<'_, '_>, turns: &dyn Turns) -> Plan {
    let mut chances = Chances { asked, turns, nth: None };
    let mut plan = Plan { genuine: Some(Duration::ZERO), ..Plan::default() };
    for (rule, place) in scenario.rules.iter().zip(0u16..) {
        if rule.applies(asked)
            && chances.is_drawn(rule)
            && let Some(decided) = act(scenario, rule, asked, &mut chances)
        {
            plan = Plan { rule: Some(place), ..decided };
            break;
        }
    }
    // A network without servers has no genuine answer.
    let network = scenario.networks.get(usize::from(asked.network));
    if network.is_some_and(|n| n.injector_only) {
        plan.genuine = None;
    }
    plan
}

impl Rule {
    /// True if this rule decides every query that the other would match, so that the other has no effect
    /// after this one. False means unknown.
    #[must_use]
    pub fn hides(&self, other: &Self) -> bool {
        // In class CH a redirection may leave a question to the next rule.
        !matches!(other.action, Action::Redirect(_))
            && self.when.covers(&other.when)
            && self.names.covers(&other.names)
    }

    /// All conditions except the draw.
    fn applies(&self, asked: Asked<'_, '_>) -> bool {
        // The identity of resolvers is queried in another class.
        let class = match self.action {
            Action::Redirect(_) => matches!(asked.query.qclass, Class::IN | Class::CH),
            _ => asked.query.qclass == Class::IN,
        };
        class && self.when.holds(asked) && self.names.take(asked.query.qname)
    }
}

/// The draws for one question.
struct Chances<'q, 'p, 't> {
    asked: Asked<'q, 'p>,
    turns: &'t dyn Turns,
    /// How often the question was asked before, once that is needed.
    nth: Option<u64>,
}

impl Chances<'_, '_, '_> {
    /// Whether a rule with a chance applies this time.
    fn is_drawn(&mut self, rule: &Rule) -> bool {
        let Some(chance) = rule.when.chance else { return true };
        let asked = self.asked;
        let draw = Draw::new(asked.seed).octets(rule.id.as_bytes());
        let name = Folded::new(asked.query.qname);
        let draw = match chance.sticky {
            Sticky::Query => self.of_this(rule),
            Sticky::Name => draw.octets(name.from(0)),
            Sticky::Client => client(draw, asked.client),
            Sticky::Time(seconds) => {
                let bucket = asked.unix.div_euclid(i64::from(seconds.max(1)));
                client(draw, asked.client).number(bucket.cast_unsigned())
            }
        };
        draw.number(0).below(u64::from(chance.of)) < u64::from(chance.bad)
    }

    /// A draw for this rule and question that changes with each query.
    fn of_this(&mut self, rule: &Rule) -> Draw {
        let question = question(self.asked);
        let turns = self.turns;
        let nth = *self.nth.get_or_insert_with(|| turns.turn(Counter::Question(question.finish())));
        question.octets(rule.id.as_bytes()).number(nth)
    }
}

fn question(asked: Asked<'_, '_>) -> Draw {
    let name = Folded::new(asked.query.qname);
    Draw::new(asked.seed).octets(name.from(0)).number(u64::from(asked.query.qtype.0))
}

fn client(draw: Draw, client: IpAddr) -> Draw {
    match client.to_canonical() {
        IpAddr::V4(a) => draw.octets(&a.octets()),
        IpAddr::V6(a) => draw.octets(&a.octets()),
    }
}

/// The effect of a rule; `None`: none for this kind of question, so that the next rule is tried.
fn act(
    scenario: &Scenario,
    rule: &Rule,
    asked: Asked<'_, '_>,
    chances: &mut Chances<'_, '_, '_>,
) -> Option<Plan> {
    let (nothing, draw) = (Plan::default(), chances.of_this(rule));
    Some(match &rule.action {
        Action::Pass(delay) => Plan { genuine: Some(delay.drawn(draw)), ..nothing },
        Action::Drop => nothing,
        Action::End(end) => match asked.transport {
            Transport::Udp => nothing,
            Transport::Tcp => Plan { end: *end, ..nothing },
        },
        Action::Redirect(identity) => match identity.answer(asked) {
            Some(octets) => {
                let shot = Shot { after: Duration::ZERO, octets, ip_ttl: None };
                Plan { forged: vec![shot], ..nothing }
            }
            // The resolver has no identity; other questions of that class do not concern the censor.
            None if asked.query.qclass != Class::IN => return None,
            None => Plan { genuine: Some(Duration::ZERO), ..nothing },
        },
        Action::Forge { forged, genuine } => {
            let mut shots = Vec::with_capacity(forged.len());
            let mut passes = false;
            for (forged, number) in forged.iter().zip(1u64..) {
                let draw = draw.number(number);
                match forge::forge(scenario, forged, asked, draw, chances.turns) {
                    Forgery::Reply(octets) => shots.push(Shot {
                        after: forged.after.drawn(draw),
                        octets,
                        ip_ttl: forged.shape.ip_ttl,
                    }),
                    Forgery::Pass => passes = true,
                    Forgery::Nothing => {}
                }
            }
            shots.sort_by_key(|shot| shot.after);
            let genuine = match genuine {
                // The forger ignores this question, so that nothing delays the answer.
                _ if shots.is_empty() => passes.then_some(Duration::ZERO),
                Some(delay) => Some(delay.drawn(draw.number(0))),
                None => None,
            };
            Plan { forged: shots, genuine, ..nothing }
        }
    })
}

impl Identity {
    /// The identity of the resolver that answers instead of the one queried.
    fn answer(&self, asked: Asked<'_, '_>) -> Option<Vec<u8>> {
        let query = asked.query;
        let is = |known: &[u8]| query.qname.as_bytes().eq_ignore_ascii_case(known);
        let text = |text: &str| {
            let mut rdata = vec![u8::try_from(text.len()).unwrap_or(u8::MAX)];
            rdata.extend(text.bytes().take(255));
            rdata
        };
        let first = query.qname.labels().next().unwrap_or_default();
        let rdata = match (query.qclass, query.qtype, self.whoami) {
            (Class::CH, Qtype::TXT, _) if is(b"\x02id\x06server\0") || is(b"\x08hostname\x04bind\0") => {
                text(self.chaos_id.as_deref()?)
            }
            (Class::IN, Qtype::A, Some(IpAddr::V4(a))) if first.eq_ignore_ascii_case(b"whoami") => {
                a.octets().to_vec()
            }
            (Class::IN, Qtype::AAAA, Some(IpAddr::V6(a))) if first.eq_ignore_ascii_case(b"whoami") => {
                a.octets().to_vec()
            }
            (Class::IN, Qtype::TXT, Some(a)) if is(b"\x03o-o\x06myaddr\x01l\x06google\x03com\0") => {
                text(&a.to_string())
            }
            _ => return None,
        };
        Some(forge::one_record(query, self.ttl, &rdata))
    }
}
