//! One question and a scenario → the packets that the censor sends.

use std::net::IpAddr;
use std::time::Duration;

use super::draw::Draw;
use super::forge::{self, Forgery};
use super::{Action, Delay, End, Identity, Rule, Scenario, Spread, Sticky, When};
use portcullis_core::dns::name::Folded;
use portcullis_core::dns::query::Query;
use portcullis_core::dns::reply::Transport;
use portcullis_core::dns::types::{Class, Qtype};

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

/// One question, and all that the answer may depend on.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'q, 'p> {
    /// The query.
    pub query: &'q Query<'p>,
    /// The network that it was asked in, by its place.
    pub network: u16,
    /// Who asks.
    pub client: IpAddr,
    /// How.
    pub transport: Transport,
    /// The scenario's clock, in seconds since 1970 (UTC).
    pub unix: i64,
    /// How long the scenario has run by the clock on the wall: TTLs tick by it.
    pub uptime: Duration,
    /// What all draws start from.
    pub seed: u64,
}

/// Something of which it is counted how often it was had before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counter {
    /// Questions with this hash.
    Question(u64),
    /// Addresses of this pool, for names with this hash.
    Pool(u16, u64),
}

/// Counts; the one thing that a plan depends on and that is no argument's value. What is counted the
/// same way gives the same plans.
pub trait Turns {
    /// How often this was had before; from now on it is once more.
    fn turn(&self, counter: Counter) -> u64;
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

impl When {
    /// True if this holds whenever the other does.
    fn covers(&self, other: &Self) -> bool {
        fn all_in<T: PartialEq>(all: &[T], some: &[T]) -> bool {
            all.is_empty() || !some.is_empty() && some.iter().all(|one| all.contains(one))
        }
        self.chance.is_none_or(|chance| chance.bad == chance.of)
            && all_in(&self.networks, &other.networks)
            && self.from.is_none_or(|from| other.from.is_some_and(|other| other >= from))
            && self.until.is_none_or(|until| other.until.is_some_and(|other| other <= until))
            && (self.daily.is_none() || self.daily == other.daily)
            && all_in(&self.types, &other.types)
            && self
                .other_types
                .iter()
                .all(|t| other.other_types.contains(t) || !other.types.is_empty() && !other.types.contains(t))
            && (self.transport.is_none() || self.transport == other.transport)
    }

    fn holds(&self, asked: Asked<'_, '_>) -> bool {
        let qtype = asked.query.qtype;
        (self.networks.is_empty() || self.networks.contains(&asked.network))
            && self.from.is_none_or(|from| asked.unix >= from)
            && self.until.is_none_or(|until| asked.unix < until)
            && self.daily.is_none_or(|daily| is_daily(daily, asked.unix))
            && (self.types.is_empty() || self.types.contains(&qtype))
            && !self.other_types.contains(&qtype)
            && self.transport.is_none_or(|t| t == asked.transport)
    }
}

/// True within these minutes of the day, which may run over midnight.
fn is_daily((from, until, offset): (u16, u16, i32), unix: i64) -> bool {
    let minute = unix.saturating_add(i64::from(offset)).rem_euclid(86_400) / 60;
    let (from, until) = (i64::from(from), i64::from(until));
    if from <= until { (from..until).contains(&minute) } else { minute >= from || minute < until }
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

impl Delay {
    /// How long it is this time.
    #[must_use]
    pub fn drawn(self, draw: Draw) -> Duration {
        if self.jitter.is_zero() {
            return self.base;
        }
        let (base, jitter) = (self.base.as_secs_f64(), self.jitter.as_secs_f64());
        let (one, other) = (draw.number(1).fraction(), draw.number(2).fraction());
        let seconds = match self.spread {
            Spread::Uniform => base + jitter * (2.0 * one - 1.0),
            // Box and Muller's way to a normal distribution; `1 - one` is never zero.
            Spread::Normal => {
                base + jitter * (-2.0 * (1.0 - one).ln()).sqrt() * (std::f64::consts::TAU * other).cos()
            }
            Spread::Exponential => base - jitter * (1.0 - one).ln(),
        };
        let drawn = Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(self.base);
        // Whole microseconds, as a record has them.
        u64::try_from(drawn.as_micros()).map_or(self.base, Duration::from_micros)
    }

    /// Always this long.
    #[must_use]
    pub const fn fixed(base: Duration) -> Self {
        Self { base, jitter: Duration::ZERO, spread: Spread::Uniform }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_are_whole_microseconds_as_in_a_record() {
        for spread in [Spread::Uniform, Spread::Normal, Spread::Exponential] {
            let (base, jitter) = (Duration::from_millis(20), Duration::from_millis(7));
            let delay = Delay { base, jitter, spread };
            let drawn: Vec<_> = (0..100).map(|seed| delay.drawn(Draw::new(seed))).collect();
            assert!(drawn.iter().all(|d| d.subsec_nanos() % 1000 == 0), "{drawn:?}");
            assert!(drawn.iter().any(|d| d.as_micros() % 1000 > 0), "{drawn:?}");
        }
    }

    #[test]
    fn no_time_of_the_clock_is_too_far() {
        for (unix, offset) in [(i64::MAX, 3600), (i64::MIN, -3600)] {
            let (early, late) = (is_daily((0, 720, offset), unix), is_daily((720, 1440, offset), unix));
            assert!(early != late, "{unix}");
        }
    }
}
