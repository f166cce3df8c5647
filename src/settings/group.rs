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
    /// The networks of its clients; empty: any.
    pub networks: Vec<IpNet>,
    /// The listeners that its clients use, among [`ServerSettings::listen`](super::ServerSettings::listen);
    /// empty: any.
    pub listeners: Vec<SocketAddr>,
    /// Indexes of its lists in [`Settings::lists`](super::Settings::lists); `None`: all.
    pub lists: Option<Vec<u16>>,
    /// What a client gets for a blocked name if the list does not say.
    pub action: Option<Action>,
    /// Whether it blocks every name that no rule lets pass; `None`: as [`PolicySettings::closed`] says.
    ///
    /// [`PolicySettings::closed`]: super::PolicySettings::closed
    pub closed: Option<bool>,
    /// When clients belong to it; `None`: always.
    pub schedule: Option<Schedule>,
    /// Its own upstreams; `None`: the shared ones.
    pub upstreams: Option<Vec<Server>>,
}
