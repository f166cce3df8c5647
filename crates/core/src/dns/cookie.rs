//! DNS cookies: a client that returns a server's cookie has shown that it receives what is sent to its address
//! (RFC 7873, RFC 9018).
//!
//! A server cookie is a keyed hash of the client's cookie, its address and the time; the server keeps nothing.
//! Servers with the same secret accept each other's cookies.

use std::fmt;
use std::net::IpAddr;

use siphasher::sip::SipHasher24;

/// The option code of a cookie (RFC 7873 §4).
pub const OPTION_COOKIE: u16 = 10;
/// Octets of a client cookie and a server cookie together, as this server sends them.
pub const COOKIE_LEN: usize = CLIENT_LEN + SERVER_LEN;
/// Octets of the secret (RFC 9018 §4.4).
pub const SECRET_LEN: usize = 16;

const CLIENT_LEN: usize = 8;
const SERVER_LEN: usize = 16;
/// Octets of the version, the reserved field and the timestamp, which the hash follows.
const HEAD_LEN: usize = 8;
/// Octets that are hashed, at most: with an IPv6 address.
const HASHED_LEN: usize = CLIENT_LEN + HEAD_LEN + 16;

/// A cookie may be this many seconds old.
const OLDEST: i32 = 3600;
/// A cookie may come from a server whose clock is this many seconds ahead.
const AHEAD: i32 = 300;
/// A cookie that is this many seconds old is replaced.
const RENEWED: i32 = 1800;

/// The secret of a server, or of several that share it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct CookieSecret([u8; SECRET_LEN]);

impl CookieSecret {
    /// A secret of these octets, which nobody else should know.
    #[must_use]
    pub const fn new(octets: [u8; SECRET_LEN]) -> Self {
        Self(octets)
    }
}

/// Hides the secret.
impl fmt::Debug for CookieSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CookieSecret(…)")
    }
}

/// The COOKIE option of a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cookie<'p> {
    client: [u8; CLIENT_LEN],
    server: &'p [u8],
}

/// The data of a COOKIE option has a length that no cookie has (RFC 7873 §5.2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MalformedCookie;

/// What a server cookie says about the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// There is none: the client has only its own cookie.
    New,
    /// It was not made by this server for this client, or too long ago.
    Invalid,
    /// The client receives what is sent to its address.
    Valid,
}

impl<'p> Cookie<'p> {
    /// Reads the data of a COOKIE option.
    ///
    /// # Errors
    /// [`MalformedCookie`] unless there are 8 octets, or 16 to 40 (RFC 7873 §4).
    pub fn parse(data: &'p [u8]) -> Result<Self, MalformedCookie> {
        let (&client, server) = data.split_first_chunk().ok_or(MalformedCookie)?;
        match server.len() {
            0 | 8..=32 => Ok(Self { client, server }),
            _ => Err(MalformedCookie),
        }
    }

    /// Checks the server cookie of a client with the address `ip` at `now`, in seconds since 1970 (UTC), and
    /// gives the cookie to send with the reply. The first secret makes cookies; all of them are accepted.
    #[must_use]
    pub fn check(&self, secrets: &[CookieSecret], ip: IpAddr, now: u32) -> (Standing, [u8; COOKIE_LEN]) {
        let made_by = self.made_by(secrets, ip, now);
        let standing = match made_by {
            _ if self.server.is_empty() => Standing::New,
            None => Standing::Invalid,
            Some(_) => Standing::Valid,
        };
        let kept = self.server.first_chunk::<SERVER_LEN>().filter(|server| {
            let young = age(server, now) < RENEWED;
            // The reserved octets of a new cookie are zero (RFC 9018 §4.2).
            made_by == Some(0) && young && server.starts_with(&[1, 0, 0, 0])
        });
        let server = match (kept, secrets.first()) {
            (Some(server), _) => *server,
            (None, Some(secret)) => self.made_at(*secret, ip, now),
            (None, None) => [0; SERVER_LEN],
        };
        let mut cookie = [0; COOKIE_LEN];
        let (head, tail) = cookie.split_at_mut(CLIENT_LEN);
        head.copy_from_slice(&self.client);
        tail.copy_from_slice(&server);
        (standing, cookie)
    }

    /// The number of the secret that made the server cookie, if one did and not too long ago.
    fn made_by(&self, secrets: &[CookieSecret], ip: IpAddr, now: u32) -> Option<usize> {
        let server: [u8; SERVER_LEN] = self.server.try_into().ok()?;
        if server.first() != Some(&1) || !(-AHEAD..=OLDEST).contains(&age(&server, now)) {
            return None;
        }
        let (head, hash) = server.split_first_chunk::<HEAD_LEN>()?;
        secrets.iter().position(|secret| same(&self.hash(*secret, *head, ip), hash))
    }

    fn made_at(&self, secret: CookieSecret, ip: IpAddr, now: u32) -> [u8; SERVER_LEN] {
        let [t0, t1, t2, t3] = now.to_be_bytes();
        let head = [1, 0, 0, 0, t0, t1, t2, t3];
        let mut server = [0; SERVER_LEN];
        let (slot, hash) = server.split_at_mut(HEAD_LEN);
        slot.copy_from_slice(&head);
        hash.copy_from_slice(&self.hash(secret, head, ip));
        server
    }

    /// The hash of RFC 9018 §4.4.
    fn hash(&self, secret: CookieSecret, head: [u8; HEAD_LEN], ip: IpAddr) -> [u8; 8] {
        let mut hashed = [0; HASHED_LEN];
        let mut len = 0;
        let (v4, v6);
        let ip: &[u8] = match ip.to_canonical() {
            IpAddr::V4(ip) => {
                v4 = ip.octets();
                &v4
            }
            IpAddr::V6(ip) => {
                v6 = ip.octets();
                &v6
            }
        };
        for part in [&self.client[..], &head, ip] {
            if let Some(slot) = hashed.get_mut(len..len + part.len()) {
                slot.copy_from_slice(part);
            }
            len += part.len();
        }
        let hashed = hashed.get(..len).unwrap_or_default();
        SipHasher24::new_with_key(&secret.0).hash(hashed).to_le_bytes()
    }
}

/// The age of a server cookie in seconds, by serial number arithmetic (RFC 9018 §4.3).
fn age(server: &[u8; SERVER_LEN], now: u32) -> i32 {
    let [_, _, _, _, t0, t1, t2, t3, ..] = *server;
    now.wrapping_sub(u32::from_be_bytes([t0, t1, t2, t3])).cast_signed()
}

/// Compares in a time that does not depend on where they differ.
fn same(one: &[u8], other: &[u8]) -> bool {
    one.len() == other.len() && one.iter().zip(other).fold(0, |differ, (a, b)| differ | (a ^ b)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "e5e973e5a6b2a43f48e7dc849e37bfcf";
    const OLD: &str = "dd3bdf9344b678b185a6f5cb60fca715";
    const NEW: &str = "445536bcd2513298075a5d379663c962";
    const V6: &str = "2001:db8:220:1:59de:d0f4:8769:82b8";

    fn hex(text: &str) -> Vec<u8> {
        data_encoding::HEXLOWER.decode(text.as_bytes()).unwrap()
    }

    fn secret(text: &str) -> CookieSecret {
        CookieSecret::new(hex(text).try_into().unwrap())
    }

    fn checked(secrets: &[&str], ip: &str, cookie: &str, now: u32) -> (Standing, String) {
        let secrets: Vec<_> = secrets.iter().map(|text| secret(text)).collect();
        let data = hex(cookie);
        let (standing, cookie) = Cookie::parse(&data).unwrap().check(&secrets, ip.parse().unwrap(), now);
        (standing, data_encoding::HEXLOWER.encode(&cookie))
    }

    /// RFC 9018, Appendix A.
    #[test]
    fn the_examples_of_the_rfc() {
        use Standing::{Invalid, New, Valid};
        let learned = "2464c4abcf10c957010000005cf79f111f8130c3eee29480";
        let renewed = "2464c4abcf10c957010000005cf7a871d4a564a1442aca77";
        let reserved = "fc93fc62807ddb8601abcdef5cf78f71a314227b6679ebf5";
        let rolled = "22681ab97d52c298010000005cf7c57926556bd0934c72f8";
        let rows: [(&[&str], _, _, _, _, Option<&str>); 8] = [
            (&[ONE], "198.51.100.100", "2464c4abcf10c957", 1_559_731_985, New, Some(learned)),
            (&[ONE], "::ffff:198.51.100.100", "2464c4abcf10c957", 1_559_731_985, New, Some(learned)),
            (&[ONE], "198.51.100.100", learned, 1_559_734_385, Valid, Some(renewed)),
            // The RFC's server takes this cookie when it is almost two hours old; §4.3 has one hour.
            (&[ONE], "203.0.113.203", reserved, 1_559_727_985 + 3600, Valid, None),
            (
                &[ONE],
                "203.0.113.203",
                reserved,
                1_559_734_700,
                Invalid,
                Some("fc93fc62807ddb86010000005cf7a9acf73a7810aca2381e"),
            ),
            (
                &[NEW, OLD],
                V6,
                rolled,
                1_559_741_961,
                Valid,
                Some("22681ab97d52c298010000005cf7c609a6bb79d16625507a"),
            ),
            (&[NEW], V6, rolled, 1_559_741_961, Invalid, None),
            (&[OLD, NEW], V6, rolled, 1_559_741_961, Valid, Some(rolled)),
        ];
        for (secrets, ip, cookie, now, standing, sent) in rows {
            let got = checked(secrets, ip, cookie, now);
            assert_eq!(got.0, standing, "{cookie} at {now}");
            assert!(sent.is_none_or(|sent| sent == got.1), "{cookie} at {now}: {}", got.1);
        }
    }

    #[test]
    fn a_cookie_is_good_for_an_hour_for_one_client() {
        use Standing::{Invalid, Valid};
        // Across the end of the 32 bits.
        for made in [1_800_000_000, u32::MAX - 100, 5] {
            let (_, cookie) = checked(&[ONE], "192.0.2.1", "0123456789abcdef", made);
            for (seconds, standing, same) in [
                (-301, Invalid, false),
                (-300, Valid, true),
                (0, Valid, true),
                (1799, Valid, true),
                (1800, Valid, false),
                (3600, Valid, false),
                (3601, Invalid, false),
            ] {
                let got = checked(&[ONE], "192.0.2.1", &cookie, made.wrapping_add_signed(seconds));
                assert_eq!((got.0, got.1 == cookie), (standing, same), "{made} {seconds}");
            }
            for ip in ["192.0.2.2", "::1"] {
                assert_eq!(checked(&[ONE], ip, &cookie, made).0, Invalid, "{ip}");
            }
            // Every octet of the cookie counts.
            for at in 0..COOKIE_LEN {
                let mut octets = hex(&cookie);
                octets[at] ^= 1;
                let other = data_encoding::HEXLOWER.encode(&octets);
                assert_eq!(checked(&[ONE], "192.0.2.1", &other, made).0, Invalid, "octet {at}");
            }
        }
    }

    #[test]
    fn only_some_lengths_are_cookies() {
        for len in 0..64 {
            let data = vec![1; len];
            assert_eq!(Cookie::parse(&data).is_ok(), len == 8 || (16..=40).contains(&len), "{len}");
        }
        // A server cookie of another kind is that of another server.
        let other = checked(&[ONE], "192.0.2.1", &"01".repeat(40), 1);
        assert_eq!(other.0, Standing::Invalid);
    }

    #[test]
    fn a_secret_is_not_shown() {
        assert_eq!(format!("{:?}", secret(ONE)), "CookieSecret(…)");
    }
}
