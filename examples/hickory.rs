//! A server built on hickory-server, with Portcullis' decision before its own zone.
//!
//! ```text
//! cargo run --example hickory
//! dig @127.0.0.1 -p 5355 www.example.test    the zone's own address
//! dig @127.0.0.1 -p 5355 ads.example.test    blocked: NXDOMAIN, with the reason
//! ```
//!
//! Another address to listen on may be given as the argument.

use std::error::Error;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use hickory_server::net::runtime::TokioRuntimeProvider;
use hickory_server::proto::rr::rdata::SOA;
use hickory_server::proto::rr::{Name, RData, Record};
use hickory_server::server::Server;
use hickory_server::store::in_memory::InMemoryZoneHandler;
use hickory_server::zone_handler::{AxfrPolicy, Catalog, ZoneType};
use portcullis::hickory::Gate;
use portcullis::lists;
use portcullis::policy::{ListPolicy, Options, Policy, compile};
use portcullis::rule::{Action, Effect, Format};
use tokio::net::{TcpListener, UdpSocket};

/// A list in the format of AdGuard.
const LIST: &str = "||ads.example.test^\n@@||good.ads.example.test^\n";

/// What the gate blocks: the list's names get NXDOMAIN, with a SOA of 60 seconds.
fn policy() -> Result<Policy, Box<dyn Error>> {
    let list = lists::parse(LIST.as_bytes(), Format::AdGuard, None, Effect::Block)?;
    let options = Options { lines: true, left_out: false };
    let (compiled, _) = compile(&[("ads".to_owned(), list)], options)?;
    let lists = vec![ListPolicy::new("ads".to_owned(), Action::NxDomain, 60, None)];
    // The list that was compiled first is the policy's list number 0.
    Ok(Policy::new(lists, Vec::new(), vec![(compiled, vec![0])])?)
}

/// What stands behind the gate: the zone `example.test`.
fn catalog() -> Result<Catalog, Box<dyn Error>> {
    let origin = Name::from_ascii("example.test.")?;
    let mut zone = InMemoryZoneHandler::<TokioRuntimeProvider>::empty(
        origin.clone(),
        ZoneType::Primary,
        AxfrPolicy::Deny,
    );
    let host = Name::from_ascii("ns.example.test.")?;
    let soa = SOA::new(host.clone(), host, 1, 3600, 600, 86_400, 60);
    zone.upsert_mut(Record::from_rdata(origin.clone(), 3600, RData::SOA(soa)), 1);
    for name in ["www", "ads", "good.ads"] {
        let address = RData::A(Ipv4Addr::new(192, 0, 2, 1).into());
        let name = Name::from_ascii(name)?.append_domain(&origin)?;
        zone.upsert_mut(Record::from_rdata(name, 300, address), 1);
    }
    let mut catalog = Catalog::new();
    catalog.upsert(origin.into(), vec![Arc::new(zone)]);
    Ok(catalog)
}

/// The server, on these sockets.
pub fn server(socket: UdpSocket, listener: TcpListener) -> Result<Server<Gate<Catalog>>, Box<dyn Error>> {
    let mut server = Server::new(Gate::new(policy()?, catalog()?));
    server.register_socket(socket);
    server.register_listener(listener, Duration::from_secs(10), 64);
    Ok(server)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:5355".to_owned());
    let mut server = server(UdpSocket::bind(&address).await?, TcpListener::bind(&address).await?)?;
    println!("listening on {address}");
    tokio::signal::ctrl_c().await?;
    server.shutdown_gracefully().await?;
    Ok(())
}
