//! The uses of hickory-resolver: it reads the system's resolver configuration, and it resolves hosts that
//! this server itself must reach, such as upstreams given by name.
//!
//! No client's query goes through it, because it decodes and re-encodes messages.

use std::fmt;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use hickory_resolver::Resolver;
use hickory_resolver::config::{
    ConnectionConfig, LookupIpStrategy, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts,
};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::Name as HickoryName;
use hickory_resolver::proto::serialize::binary::{BinDecodable, BinDecoder};

use super::deadline::clock;
use super::overhear::Overhear;
use super::server::{Endpoint, Server, returns_to};
use crate::dns::NameBuf;

/// The time limit for one server if the system's configuration does not set a shorter one.
const SYSTEM_TIMEOUT: Duration = Duration::from_secs(2);

/// The resolvers in the system's configuration.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SystemServers {
    /// In order; at least one.
    pub servers: Vec<Server>,
    /// The time limit for one of them.
    pub timeout: Duration,
    /// Those that can't be used, each with the reason.
    pub left_out: Vec<String>,
}

/// Why the system's configuration has no usable resolver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SystemError {
    /// It can't be read, or has no name server; the reason.
    Unreadable(String),
    /// It has only this server, which listens at this address: queries would loop.
    Itself(SocketAddr),
    /// It has only servers that can't be reached; the reasons.
    Unusable(String),
}

impl fmt::Display for SystemError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(why) => {
                write!(f, "the system's DNS configuration provides no upstream server: {why}")
            }
            Self::Itself(address) => {
                write!(f, "the system's resolver, {address}, is this server itself")
            }
            Self::Unusable(why) => {
                write!(f, "the system's DNS configuration has no usable upstream server: {why}")
            }
        }
    }
}

impl std::error::Error for SystemError {}

/// The servers in the system's configuration: on Unix, those of `/etc/resolv.conf`. Link-local ones keep
/// their scope ids (RFC 4007 §11). `listen` are the addresses on which this server listens; it does not
/// forward to itself.
///
/// # Errors
/// [`SystemError`], if there is no usable server.
pub fn system_servers(listen: &[SocketAddr]) -> Result<SystemServers, SystemError> {
    let (config, options, scopes) = read().map_err(|e| SystemError::Unreadable(first_line(&e)))?;
    let timeout = match options.timeout {
        Duration::ZERO => SYSTEM_TIMEOUT,
        asked => asked.min(SYSTEM_TIMEOUT),
    };
    let (servers, left_out) = usable(&config, &scopes, listen)?;
    Ok(SystemServers { servers, timeout, left_out })
}

/// The servers that can be used, and why others can't.
fn usable(
    config: &ResolverConfig,
    scopes: &[Option<String>],
    listen: &[SocketAddr],
) -> Result<(Vec<Server>, Vec<String>), SystemError> {
    let mut servers: Vec<Server> = Vec::new();
    let (mut left_out, mut itself) = (Vec::new(), None);
    for (number, found) in config.name_servers().iter().enumerate() {
        let port = found.connections.first().map_or(53, |connection| connection.port);
        let scope = scopes.get(number).and_then(Option::as_deref);
        match address(found.ip, scope, port) {
            Ok(address) if returns_to(listen, address) => {
                left_out.push(format!("{address} is this server itself"));
                itself.get_or_insert(address);
            }
            Ok(address) => {
                let server = Server::udp(address.into());
                if !servers.contains(&server) {
                    servers.push(server);
                }
            }
            Err(why) => left_out.push(why),
        }
    }
    match (servers.is_empty(), itself) {
        (false, _) => Ok((servers, left_out)),
        (true, Some(address)) => Err(SystemError::Itself(address)),
        (true, None) if left_out.is_empty() => Err(SystemError::Unreadable("it names none".to_owned())),
        (true, None) => Err(SystemError::Unusable(left_out.join("; "))),
    }
}

/// The address of a server with its scope, which is required for a link-local one: the same address may be
/// in use on every link.
fn address(ip: IpAddr, scope: Option<&str>, port: u16) -> Result<SocketAddr, String> {
    let IpAddr::V6(v6) = ip else { return Ok(SocketAddr::new(ip, port)) };
    match scope {
        None if v6.is_unicast_link_local() => {
            Err(format!("{ip} is a link-local address without an interface: write it as {ip}%eth0"))
        }
        None => Ok(SocketAddr::new(ip, port)),
        // The C library translates interface names to numbers; an address with a scope causes no lookup.
        Some(scope) => (format!("{ip}%{scope}").as_str(), port)
            .to_socket_addrs()
            .ok()
            .and_then(|mut all| all.next())
            .ok_or_else(|| format!("{ip}%{scope}: there is no interface `{scope}`")),
    }
}

type Read = (ResolverConfig, ResolverOpts, Vec<Option<String>>);

/// The configuration, and the scope of each of its servers.
#[cfg(all(unix, not(any(target_os = "android", target_vendor = "apple"))))]
fn read() -> Result<Read, NetError> {
    parse(&std::fs::read("/etc/resolv.conf")?)
}

#[cfg(all(unix, not(any(target_os = "android", target_vendor = "apple"))))]
fn parse(text: &[u8]) -> Result<Read, NetError> {
    let (config, options) = hickory_resolver::system_conf::parse_resolv_conf(text)?;
    // hickory drops the scopes that this parser returns.
    let (parsed, _) = resolv_conf::Config::parse_with_errors(text);
    let scopes = parsed.nameservers.into_iter().map(|server| match server {
        resolv_conf::ScopedIp::V6(_, scope) => scope,
        resolv_conf::ScopedIp::V4(_) => None,
    });
    Ok((config, options, scopes.collect()))
}

#[cfg(not(all(unix, not(any(target_os = "android", target_vendor = "apple")))))]
fn read() -> Result<Read, NetError> {
    let (config, options) = hickory_resolver::system_conf::read_system_conf()?;
    Ok((config, options, Vec::new()))
}

/// Resolves hosts that this server itself must reach before it can query its upstreams.
///
/// It caches nothing: callers keep the addresses as long as they are valid.
#[derive(Clone, Debug, Default)]
pub struct Bootstrap {
    /// Empty: the system's.
    servers: Vec<SocketAddr>,
    listen: Vec<SocketAddr>,
    /// Who hears of the exchanges with the servers.
    pub(super) overhears: Option<Arc<dyn Overhear>>,
}

/// The addresses of a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostAddresses {
    /// At least one address, IPv4 first.
    pub addresses: Vec<IpAddr>,
    /// How long they may be used: the remaining time of the shortest TTL.
    pub valid_for: Duration,
}

/// Why the addresses of a host were not found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BootstrapError {
    /// There is no usable server.
    System(SystemError),
    /// No server had an answer; the reason.
    Lookup(String),
}

impl fmt::Display for BootstrapError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::System(error) => write!(f, "{error}; name addresses in [upstream] bootstrap"),
            Self::Lookup(why) => write!(f, "no address was found: {why}"),
        }
    }
}

impl std::error::Error for BootstrapError {}

impl Bootstrap {
    /// Queries these servers, over UDP and TCP; an empty list means the system's.
    #[must_use]
    pub const fn new(servers: Vec<SocketAddr>) -> Self {
        Self { servers, listen: Vec::new(), overhears: None }
    }

    /// Queries the system's resolvers as they are configured at the time, and reads the system's hosts
    /// file, but never queries this server, which listens at these addresses.
    #[must_use]
    pub const fn system(listen: Vec<SocketAddr>) -> Self {
        Self { servers: Vec::new(), listen, overhears: None }
    }

    /// Tells this listener of every exchange with the servers that are reached by way of this.
    #[must_use]
    pub fn overheard_by(self, overhears: Option<Arc<dyn Overhear>>) -> Self {
        Self { overhears, ..self }
    }

    /// The current addresses of the host. Must run within a runtime; takes a few seconds at most.
    ///
    /// # Errors
    /// [`BootstrapError`]
    pub async fn resolve(&self, host: &NameBuf) -> Result<HostAddresses, BootstrapError> {
        let failed = |error: &dyn fmt::Display| BootstrapError::Lookup(first_line(error));
        let name = HickoryName::read(&mut BinDecoder::new(host.as_bytes())).map_err(|e| failed(&e))?;
        let resolver = self.resolver()?;
        let found = resolver.lookup_ip(name).await.map_err(|e| failed(&e))?;
        let addresses: Vec<IpAddr> = found.iter().collect();
        if addresses.is_empty() {
            return Err(failed(&"the name has none"));
        }
        Ok(HostAddresses { addresses, valid_for: found.valid_until().saturating_duration_since(clock()) })
    }

    /// Made for each lookup: lookups are rare, and the system's configuration may have changed.
    fn resolver(&self) -> Result<Resolver<TokioRuntimeProvider>, BootstrapError> {
        let (servers, hosts) = if self.servers.is_empty() {
            let system = system_servers(&self.listen).map_err(BootstrapError::System)?;
            (system.servers.iter().filter_map(reachable).collect(), ResolveHosts::Always)
        } else {
            (self.servers.clone(), ResolveHosts::Never)
        };
        if servers.is_empty() {
            let why = "hosts can't be looked up at link-local addresses".to_owned();
            return Err(BootstrapError::System(SystemError::Unusable(why)));
        }
        let config = ResolverConfig::from_parts(None, Vec::new(), servers.into_iter().map(at).collect());
        let mut builder = Resolver::builder_with_config(config, TokioRuntimeProvider::default());
        let options = builder.options_mut();
        options.timeout = SYSTEM_TIMEOUT;
        options.attempts = 2;
        options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
        options.cache_size = 0;
        options.use_hosts_file = hosts;
        builder.build().map_err(|e| BootstrapError::Lookup(first_line(&e)))
    }
}

/// hickory accepts only addresses without a scope.
fn reachable(server: &Server) -> Option<SocketAddr> {
    match &server.at {
        Endpoint::Address(SocketAddr::V6(v6)) if v6.scope_id() != 0 => None,
        Endpoint::Address(address) => Some(*address),
        Endpoint::Host { .. } => None,
    }
}

fn at(address: SocketAddr) -> NameServerConfig {
    let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut connection| {
        connection.port = address.port();
        connection
    });
    NameServerConfig::new(address.ip(), true, connections.into())
}

/// The first line of a library's error; system errors have only one.
fn first_line(error: &dyn fmt::Display) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The result of a `resolv.conf`: the servers, or the error; then those left out.
    #[cfg(target_os = "linux")]
    fn read_servers(text: &str, listen: &[&str]) -> (String, Vec<String>) {
        let (config, _, scopes) = match parse(text.as_bytes()) {
            Ok(read) => read,
            Err(error) => return (first_line(&error), Vec::new()),
        };
        let listen: Vec<SocketAddr> = listen.iter().map(|a| a.parse().unwrap()).collect();
        match usable(&config, &scopes, &listen) {
            Ok((servers, left_out)) => {
                let servers: Vec<_> = servers.iter().map(|s| s.at.to_string()).collect();
                (servers.join(" "), left_out)
            }
            Err(error) => (error.to_string(), Vec::new()),
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn resolv_conf_gives_the_servers_in_order() {
        // The loopback interface is number 1.
        let scoped = "there is no interface `nope0`";
        let bare = "without an interface";
        for (text, listen, servers, left_out) in [
            (
                "nameserver 192.0.2.1\nsearch lan\nnameserver 2001:db8::1\nnameserver 192.0.2.1\n",
                &[][..],
                "192.0.2.1:53 [2001:db8::1]:53",
                &[][..],
            ),
            ("nameserver fe80::53%lo\n", &[], "[fe80::53%1]:53", &[]),
            ("nameserver 192.0.2.1\nnameserver fe80::53%1\n", &[], "192.0.2.1:53 [fe80::53%1]:53", &[]),
            ("nameserver fe80::53%nope0\nnameserver 192.0.2.1\n", &[], "192.0.2.1:53", &[scoped]),
            ("nameserver fe80::53\nnameserver 192.0.2.1\n", &[], "192.0.2.1:53", &[bare]),
            (
                "nameserver 127.0.0.1\nnameserver 192.0.2.1\n",
                &["127.0.0.1:53"],
                "192.0.2.1:53",
                &["127.0.0.1:53 is this server itself"],
            ),
            ("nameserver 127.0.0.1\n", &["127.0.0.1:5300"], "127.0.0.1:53", &[]),
        ] {
            let (found, why) = read_servers(text, listen);
            assert_eq!(found, servers, "{text}");
            assert_eq!(why.len(), left_out.len(), "{why:?}");
            assert!(why.iter().zip(left_out).all(|(why, part)| why.contains(part)), "{why:?}");
        }
        for (text, listen, error) in [
            ("search lan\n", &[][..], "no nameservers found"),
            ("nameserver fe80::53%nope0\n", &[], scoped),
            ("nameserver fe80::53\n", &[], bare),
            ("nameserver 127.0.0.1\n", &["0.0.0.0:53"], "127.0.0.1:53, is this server itself"),
        ] {
            let (found, _) = read_servers(text, listen);
            assert!(found.contains(error), "{text}: {found}");
        }
    }
}
