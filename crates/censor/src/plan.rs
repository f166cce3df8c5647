//! One question and a scenario → the packets that the censor sends.

use std::net::IpAddr;
use std::time::Duration;

use super::action::{Action, End, Identity};
use super::asked::{Asked, Counter, Turns};
use super::draw::Draw;
use super::forge::{self, Forgery};
use super::scenario::{Rule, Scenario};
use super::when::Sticky;
use portcullis_core::dns::{Class, Folded, Qtype, Transport};

/// What is done with one query.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// The rule that decided, by its place; `None`: none did.
    pub rule: Option<u16>,
    /// The forged answers, in the order in which they are sent.
    pub forged: Vec<Shot>,
    /// When the genuine answer is let through; `None`: it is not.
    pub genuine: Option<Duration>,
    /// How the TCP connection ends after that.
    pub end: End,
}

/// One packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shot {
    /// How long after the query.
    pub after: Duration,
    /// The message, without the length that stands before it over TCP.
    pub octets: Vec<u8>,
    /// The TTL of the IP packet; `None`: the system's.
    pub ip_ttl: Option<u8>,
}

/// What the censor does with one question: the first rule that applies says it.
#[must_use]
pub fn plan(scenario: &Scenario, asked: Asked<'_, '_>, turns: &dyn Turns) -> Plan {
    let mut chances = Chances { asked, turns, nth: None };
    let mut plan = Plan { genuine: Some(Duration::ZERO), ..Plan::default() };
    for (rule, place) in scenario.rules.iter().zip(0u16..) {
        if rule.applies(asked)
            && chances.falls(rule)
            && let Some(decided) = act(scenario, rule, asked, &mut chances)
        {
            plan = Plan { rule: Some(place), ..decided };
            break;
        }
    }
    // Where nobody is at home there is nothing genuine.
    let network = scenario.networks.get(usize::from(asked.network));
    if network.is_some_and(|n| n.injector_only) {
        plan.genuine = None;
    }
    plan
}

impl Rule {
    /// True if this rule decides on every query that the other would take, so that behind this one the other
    /// does nothing. False says nothing.
    #[must_use]
    pub fn hides(&self, other: &Self) -> bool {
        // In class CH a redirection may leave a question to the next.
        !matches!(other.action, Action::Redirect(_))
            && self.when.covers(&other.when)
            && self.names.covers(&other.names)
    }

    /// All conditions but the draw.
    fn applies(&self, asked: Asked<'_, '_>) -> bool {
        // What resolvers say of themselves is asked in another class.
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
    /// How often the question was asked before, once somebody wants to know.
    nth: Option<u64>,
}

impl Chances<'_, '_, '_> {
    /// Whether a rule that is not always applied is.
    fn falls(&mut self, rule: &Rule) -> bool {
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

    /// A draw of this rule for this question, another one each time that it is asked.
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

/// What a rule does; `None`: nothing for a question of this kind, so that the next rule is looked at.
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
            // Of itself it says nothing; other questions of that class are not for the censor.
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
                // The forger leaves this question alone, so that nothing holds the answer up.
                _ if shots.is_empty() => passes.then_some(Duration::ZERO),
                Some(delay) => Some(delay.drawn(draw.number(0))),
                None => None,
            };
            Plan { forged: shots, genuine, ..nothing }
        }
    })
}

impl Identity {
    /// What the resolver that answers in the place of the one that was asked says of itself.
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
