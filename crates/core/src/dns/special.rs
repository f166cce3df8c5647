//! Special names: a resolver answers for them itself and never forwards them (RFC 6761, and the RFCs that
//! added to its registry).

use super::name::{Name, Offsets};

/// A special name, or a family of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Special {
    /// `localhost`: loopback addresses.
    Localhost,
    /// `invalid`: never exists.
    Invalid,
    /// `test`: for tests.
    Test,
    /// `onion`: names of Tor.
    Onion,
    /// `alt`: names outside the DNS.
    Alt,
    /// `local`: names of Multicast DNS.
    Local,
    /// `home.arpa`: names in a home.
    HomeArpa,
    /// `service.arpa`: services registered in a local network.
    ServiceArpa,
    /// `resolver.arpa`: what a resolver says about itself.
    ResolverArpa,
    /// The reverse names of private and other local addresses.
    PrivateReverse,
}

/// A special name that contains a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FoundSpecial<'n> {
    /// Which one.
    pub special: Special,
    /// Its apex, as part of the name.
    pub apex: Name<'n>,
}

impl Special {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Localhost,
        Self::Invalid,
        Self::Test,
        Self::Onion,
        Self::Alt,
        Self::Local,
        Self::HomeArpa,
        Self::ServiceArpa,
        Self::ResolverArpa,
        Self::PrivateReverse,
    ];

    /// The word for it in the configuration.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Localhost => "localhost",
            Self::Invalid => "invalid",
            Self::Test => "test",
            Self::Onion => "onion",
            Self::Alt => "alt",
            Self::Local => "local",
            Self::HomeArpa => "home-arpa",
            Self::ServiceArpa => "service-arpa",
            Self::ResolverArpa => "resolver-arpa",
            Self::PrivateReverse => "private-reverse",
        }
    }

    /// The names it covers: the apex, or a description of the family.
    #[must_use]
    pub const fn names(self) -> &'static str {
        match self {
            Self::HomeArpa => "home.arpa",
            Self::ServiceArpa => "service.arpa",
            Self::ResolverArpa => "resolver.arpa",
            Self::PrivateReverse => "private in-addr.arpa and ip6.arpa",
            _ => self.word(),
        }
    }

    /// The RFC that makes it special.
    #[must_use]
    pub const fn rfc(self) -> &'static str {
        match self {
            Self::Localhost => "RFC 6761 §6.3",
            Self::Invalid => "RFC 6761 §6.4",
            Self::Test => "RFC 6761 §6.2",
            Self::Onion => "RFC 7686 §2",
            Self::Alt => "RFC 9476 §2",
            Self::Local => "RFC 6762 §22.1",
            Self::HomeArpa => "RFC 8375 §4",
            Self::ServiceArpa => "RFC 9665 §10",
            Self::ResolverArpa => "RFC 9462 §4",
            Self::PrivateReverse => "RFC 6303 §4",
        }
    }

    /// True if the parent zone delegates it without a signature, so that validators accept what a resolver
    /// says about it: its DS belongs to the parent (RFC 6303 §5, RFC 8375 §7).
    #[must_use]
    pub const fn is_delegated(self) -> bool {
        matches!(self, Self::HomeArpa | Self::ServiceArpa | Self::ResolverArpa | Self::PrivateReverse)
    }

    /// The special name that contains a name. The last four letters rule out most names.
    #[must_use]
    #[inline]
    pub fn find(name: Name<'_>) -> Option<FoundSpecial<'_>> {
        const ARPA: u32 = u32::from_be_bytes(*b"arpa");
        const HOST: u32 = u32::from_be_bytes(*b"host");
        const ALID: u32 = u32::from_be_bytes(*b"alid");
        const TEST: u32 = u32::from_be_bytes(*b"test");
        const NION: u32 = u32::from_be_bytes(*b"nion");
        // The length of the label, with the bit that lower case sets.
        const ALT: u32 = u32::from_be_bytes(*b"#alt");
        const OCAL: u32 = u32::from_be_bytes(*b"ocal");
        let [tail @ .., _] = name.as_bytes().last_chunk::<5>()?;
        match u32::from_be_bytes(*tail) | 0x2020_2020 {
            ARPA => in_arpa(name),
            HOST => Self::Localhost.at_top(name, b"localhost"),
            ALID => Self::Invalid.at_top(name, b"invalid"),
            TEST => Self::Test.at_top(name, b"test"),
            NION => Self::Onion.at_top(name, b"onion"),
            ALT => Self::Alt.at_top(name, b"alt"),
            OCAL => Self::Local.at_top(name, b"local"),
            _ => None,
        }
    }

    /// This one, if its top-level label is the name's.
    #[inline(never)]
    fn at_top<'n>(self, name: Name<'n>, label: &[u8]) -> Option<FoundSpecial<'n>> {
        let labels = name.offsets();
        let apex = labels.suffix(1).filter(|_| labels.is(1, label))?;
        Some(FoundSpecial { special: self, apex })
    }
}

#[inline(never)]
fn in_arpa(name: Name<'_>) -> Option<FoundSpecial<'_>> {
    let labels = name.offsets();
    let (special, depth) = match () {
        () if !labels.is(1, b"arpa") => return None,
        () if labels.is(2, b"home") => (Special::HomeArpa, 2),
        () if labels.is(2, b"service") => (Special::ServiceArpa, 2),
        () if labels.is(2, b"resolver") => (Special::ResolverArpa, 2),
        () => (Special::PrivateReverse, private_reverse(&labels)?),
    };
    Some(FoundSpecial { special, apex: labels.suffix(depth)? })
}

/// The number of labels in the apex of the private reverse zone that contains a name (RFC 6303 §4, RFC 7793 §2).
fn private_reverse(labels: &Offsets<'_>) -> Option<usize> {
    if labels.is(2, b"in-addr") {
        let octet = |depth| labels.from_root(depth).and_then(octet);
        return match (octet(3)?, octet(4), octet(5), octet(6)) {
            (0 | 10 | 127, ..) => Some(3),
            (100, Some(64..=127), ..)
            | (169, Some(254), ..)
            | (172, Some(16..=31), ..)
            | (192, Some(168), ..) => Some(4),
            (192, Some(0), Some(2), _) | (198, Some(51), Some(100), _) | (203, Some(0), Some(113), _) => {
                Some(5)
            }
            (255, Some(255), Some(255), Some(255)) => Some(6),
            _ => None,
        };
    }
    let nibble = |depth| match labels.from_root(depth)? {
        [digit] => char::from(*digit).to_digit(16),
        _ => None,
    };
    if !labels.is(2, b"ip6") {
        return None;
    }
    match (nibble(3)?, nibble(4)?) {
        // fd00::/8, and link-local fe80::/10.
        (0xf, 0xd) => Some(4),
        (0xf, 0xe) => nibble(5).filter(|n| (8..=11).contains(n)).map(|_| 5),
        // 2001:db8::/32
        (2, 0) => (5..=10).map(nibble).eq([0, 1, 0, 0xd, 0xb, 8].map(Some)).then_some(10),
        // :: and ::1
        (0, 0) => {
            let zeros = (5..=33).all(|depth| nibble(depth) == Some(0));
            (zeros && nibble(34).is_some_and(|last| last < 2)).then_some(34)
        }
        _ => None,
    }
}

/// The octet of an address that a label of a reverse name stands for (RFC 1035 §3.5).
fn octet(label: &[u8]) -> Option<u8> {
    let text = std::str::from_utf8(label).ok()?;
    let canonical = text == "0" || !text.starts_with(['0', '+']);
    text.parse().ok().filter(|_| canonical)
}

/// Which special names a server answers for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Specials(u16);

impl Specials {
    /// None of them.
    pub const NONE: Self = Self(0);

    /// With this one, or without it.
    #[must_use]
    pub const fn with(self, special: Special, on: bool) -> Self {
        let bit = 1 << special as u8;
        Self(if on { self.0 | bit } else { self.0 & !bit })
    }

    /// True if this one is among them.
    #[must_use]
    pub const fn has(self, special: Special) -> bool {
        self.0 & 1 << special as u8 != 0
    }

    /// The special name that contains a name, if the server answers for it.
    #[must_use]
    #[inline]
    pub fn find(self, name: Name<'_>) -> Option<FoundSpecial<'_>> {
        Special::find(name).filter(|found| self.has(found.special))
    }
}

/// All of them.
impl Default for Specials {
    fn default() -> Self {
        Special::ALL.into_iter().fold(Self::NONE, |all, special| all.with(special, true))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::NameBuf;

    #[test]
    fn names_are_special_by_whole_labels() {
        const ONE: &str = "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.ip6.arpa";
        let (two, under_one) = (format!("2{}", &ONE[1..]), format!("x.{ONE}"));
        for (name, expected) in [
            ("localhost", Some("localhost localhost")),
            ("A.B.LocalHost", Some("localhost localhost")),
            ("notlocalhost", None),
            ("localhost.example", None),
            ("invalid", Some("invalid invalid")),
            ("x.invalid", Some("invalid invalid")),
            ("x.TEST", Some("test test")),
            ("contest", None),
            ("x.latest", None),
            // A label that ends in the octets of another.
            ("x\\004test", None),
            ("x\\003alt", None),
            ("x.alt", Some("alt alt")),
            ("x.salt", None),
            ("x.onion", Some("onion onion")),
            ("x.union", None),
            ("printer.local", Some("local local")),
            ("x.vocal", None),
            ("arpa", None),
            ("ipv4only.arpa", None),
            ("in-addr.arpa", None),
            ("home.arpa", Some("home-arpa home.arpa")),
            ("x.y.home.arpa", Some("home-arpa home.arpa")),
            ("home.arpa.example", None),
            ("athome.arpa", None),
            ("default.service.arpa", Some("service-arpa service.arpa")),
            ("_dns.resolver.arpa", Some("resolver-arpa resolver.arpa")),
            ("5.4.3.10.in-addr.arpa", Some("private-reverse 10.in-addr.arpa")),
            ("10.in-addr.arpa", Some("private-reverse 10.in-addr.arpa")),
            ("010.in-addr.arpa", None),
            ("+10.in-addr.arpa", None),
            ("11.in-addr.arpa", None),
            ("1.15.172.in-addr.arpa", None),
            ("1.16.172.in-addr.arpa", Some("private-reverse 16.172.in-addr.arpa")),
            ("31.172.in-addr.arpa", Some("private-reverse 31.172.in-addr.arpa")),
            ("172.in-addr.arpa", None),
            ("63.100.in-addr.arpa", None),
            ("1.127.100.in-addr.arpa", Some("private-reverse 127.100.in-addr.arpa")),
            ("1.168.192.in-addr.arpa", Some("private-reverse 168.192.in-addr.arpa")),
            ("1.2.0.192.in-addr.arpa", Some("private-reverse 2.0.192.in-addr.arpa")),
            ("1.1.0.192.in-addr.arpa", None),
            ("1.100.51.198.in-addr.arpa", Some("private-reverse 100.51.198.in-addr.arpa")),
            ("1.113.0.203.in-addr.arpa", Some("private-reverse 113.0.203.in-addr.arpa")),
            ("1.0.254.169.in-addr.arpa", Some("private-reverse 254.169.in-addr.arpa")),
            ("1.0.0.127.in-addr.arpa", Some("private-reverse 127.in-addr.arpa")),
            ("255.255.255.255.in-addr.arpa", Some("private-reverse 255.255.255.255.in-addr.arpa")),
            ("254.255.255.255.in-addr.arpa", None),
            ("0.D.F.ip6.arpa", Some("private-reverse d.f.ip6.arpa")),
            ("c.f.ip6.arpa", None),
            ("1.a.e.f.ip6.arpa", Some("private-reverse a.e.f.ip6.arpa")),
            ("c.e.f.ip6.arpa", None),
            ("e.f.ip6.arpa", None),
            ("1.8.b.d.0.1.0.0.2.ip6.arpa", Some("private-reverse 8.b.d.0.1.0.0.2.ip6.arpa")),
            ("9.b.d.0.1.0.0.2.ip6.arpa", None),
            (ONE, Some(&*format!("private-reverse {ONE}"))),
            (&under_one, Some(&*format!("private-reverse {ONE}"))),
            (&two, None),
            ("example.com", None),
            ("com", None),
            (".", None),
        ] {
            let name_buf = NameBuf::from_text(name).unwrap();
            let found = Special::find(name_buf.as_name());
            let found = found.map(|f| format!("{} {}", f.special.word(), f.apex));
            assert_eq!(found.as_deref(), expected, "{name}");
        }
    }

    #[test]
    fn each_has_a_switch() {
        for special in Special::ALL {
            assert!(Specials::default().has(special));
            let without = Specials::default().with(special, false);
            let others = Special::ALL.into_iter().filter(|other| without.has(*other)).count();
            assert_eq!((without.has(special), others), (false, Special::ALL.len() - 1));
            assert!(Specials::NONE.with(special, true).has(special));
        }
        let name = NameBuf::from_text("x.test").unwrap();
        assert_eq!(Specials::default().with(Special::Test, false).find(name.as_name()), None);
    }
}
