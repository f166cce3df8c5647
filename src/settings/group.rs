//! `[[group]]`: clients with lists of their own.

use std::net::SocketAddr;

use ipnet::IpNet;

use crate::policy::schedule::Schedule;
use crate::rule::Action;
use crate::upstream::Server;

/// One group of clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupSettings {
    /// Its name, unique.
    pub name: String,
    /// Where its clients ask from; empty: anywhere.
    pub networks: Vec<IpNet>,
    /// The listeners that they ask at, of those in [`ServerSettings::listen`](super::ServerSettings::listen); empty: any.
    pub listeners: Vec<SocketAddr>,
    /// The places of its lists in [`Settings::lists`](super::Settings::lists); `None`: all.
    pub lists: Option<Vec<u16>>,
    /// What a client gets for a blocked name where its list does not say.
    pub action: Option<Action>,
    /// When it takes clients; `None`: always.
    pub schedule: Option<Schedule>,
    /// Its own upstreams; `None`: those of all.
    pub upstreams: Option<Vec<Server>>,
}
