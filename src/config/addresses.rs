//! Addresses and networks in the configuration, and conflicts between listening addresses.

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;
use toml::Spanned;

use super::check::Check;
use super::error::{KeyPath, like};
use super::listener::Listener;
use crate::dns::NameBuf;
use crate::policy;
use crate::upstream::{Endpoint, Server};

impl Check<'_> {
    /// Addresses to listen on, at least one.
    pub(super) fn listen_all(
        &mut self,
        key: &KeyPath,
        all: &Spanned<Vec<Spanned<String>>>,
    ) -> Vec<SocketAddr> {
        self.not_empty(key, all, "give at least one address");
        all.get_ref().iter().filter_map(|a| self.listen(key, a)).collect()
    }

    /// An address to listen on, which must differ from all others: each binds a TCP port.
    pub(super) fn listen(&mut self, key: &KeyPath, text: &Spanned<String>) -> Option<SocketAddr> {
        let Ok(address) = text.get_ref().parse::<SocketAddr>() else {
            let problem = format!("`{}` is not an address with a port", text.get_ref());
            self.wrong(key, &text.span(), problem, like(r#""127.0.0.1:5300" or "[::1]:5300""#));
            return None;
        };
        let same = |other: SocketAddr| {
            other.port() == address.port() && other.ip().to_canonical() == address.ip().to_canonical()
        };
        // Port 0 binds a new port each time.
        let other = self.listeners.iter().find(|l| address.port() != 0 && same(l.address));
        if let Some(Listener { key: other, line, .. }) = other {
            let place = line.map_or_else(|| " if it is not given".to_owned(), |l| format!(" in line {l}"));
            let problem = format!("{address} is also the address of {other}{place}");
            self.wrong(key, &text.span(), problem, "choose another address or port for one of the two");
        }
        let line = Some(self.line(&text.span()));
        self.listeners.push(Listener { address, key: key.clone(), line });
        Some(address)
    }

    /// A server to query, by address or by the name of its host.
    pub(super) fn upstream(&mut self, key: &KeyPath, server: &Spanned<String>) -> Option<Server> {
        let text = server.get_ref();
        let (scheme, rest) = text.split_once("://").unwrap_or(("udp", text));
        let at = address(rest).map(Endpoint::Address).or_else(|| host(rest));
        match (scheme, at) {
            ("udp" | "tcp", Some(at)) => {
                if matches!(at, Endpoint::Address(address) if self.listens_at(address)) {
                    let problem = format!("`{text}` is this server itself");
                    let remedy = "name another: queries to it would loop";
                    self.wrong(key, &server.span(), problem, remedy);
                }
                Some(if scheme == "tcp" { Server::tcp(at) } else { Server::udp(at) })
            }
            ("tls" | "https" | "quic", _) => {
                let problem = format!("this build does not speak {scheme}:// to upstreams yet");
                self.wrong(key, &server.span(), problem, "use udp:// or tcp://");
                None
            }
            _ => {
                let problem = format!("`{text}` is not an upstream");
                let remedy = like(r#""192.0.2.53", "udp://dns.example:53" or "tcp://[2001:db8::53]:53""#);
                self.wrong(key, &server.span(), problem, remedy);
                None
            }
        }
    }

    /// A server that resolves upstreams given by name.
    pub(super) fn bootstrap(&mut self, key: &KeyPath, server: &Spanned<String>) -> Option<SocketAddr> {
        let text = server.get_ref();
        let Some(address) = address(text) else {
            let problem = format!("`{text}` is not an address");
            self.wrong(key, &server.span(), problem, like(r#""192.0.2.1" or "[2001:db8::1]:53""#));
            return None;
        };
        if self.listens_at(address) {
            let problem = format!("`{text}` is this server itself");
            let remedy = "name another: this server would wait for its own reply";
            self.wrong(key, &server.span(), problem, remedy);
        }
        Some(address)
    }

    fn listens_at(&self, address: SocketAddr) -> bool {
        self.listeners.iter().any(|l| l.is_dns() && l.receives(address))
    }

    pub(super) fn network(&mut self, key: &KeyPath, text: &Spanned<String>) -> Option<IpNet> {
        let Some(network) = policy::parse_network(text.get_ref()) else {
            let problem = format!("`{}` is not a network", text.get_ref());
            self.wrong(key, &text.span(), problem, like(r#""10.0.0.0/8" or "2001:db8::/32""#));
            return None;
        };
        if network.addr() != network.network() {
            let problem = format!("`{}` has bits set beyond its prefix", text.get_ref());
            let (whole, one) = (network.trunc(), IpNet::from(network.addr()));
            self.wrong(key, &text.span(), problem, format!("did you mean {whole} or {one}?"));
        }
        Some(network)
    }
}

/// An address, on port 53 if it names none.
fn address(text: &str) -> Option<SocketAddr> {
    let alone = || text.trim_matches(['[', ']']).parse::<IpAddr>().map(|ip| SocketAddr::new(ip, 53));
    text.parse().or_else(|_| alone()).ok()
}

/// A host's name, on port 53 if no other is named. With one label it is more likely a mistake, and a
/// number at the end would be that of an address (RFC 1123 §2.1).
fn host(text: &str) -> Option<Endpoint> {
    let (name, port) =
        text.rsplit_once(':').map_or(Some((text, 53)), |(name, port)| Some((name, port.parse().ok()?)))?;
    let of_host = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.');
    let last = name.trim_end_matches('.').rsplit_once('.')?.1;
    if !name.chars().all(of_host) || last.chars().all(|c| c.is_ascii_digit()) {
        return None;
    }
    Some(Endpoint::Host { name: NameBuf::from_text(name).ok()?, port })
}
