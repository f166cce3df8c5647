//! Lists of addresses: one address or network in CIDR notation per line; `#`, `;` and `!` begin comments.

use std::net::IpAddr;

use ipnet::IpNet;

use super::skip::{SkipReason, Skipped};

/// The addresses of a list, and its invalid lines.
#[derive(Clone, Debug, Default)]
pub struct AddressList {
    /// The networks with their lines, from 1.
    pub networks: Vec<(IpNet, u32)>,
    /// Number of lines.
    pub lines: u32,
    /// Lines that are not an address or network.
    pub skipped: Vec<Skipped>,
}

/// The address or network on a line, if the line is one.
#[must_use]
pub fn line_network(line: &str) -> Option<IpNet> {
    let text = line.split(['#', ';', '!']).next().unwrap_or_default().trim();
    let address = || text.trim_matches(['[', ']']).parse::<IpAddr>().ok().map(IpNet::from);
    let network = || text.parse::<IpNet>().ok().map(|n| n.trunc());
    address().or_else(network)
}

/// Reads a list that consists of addresses only.
#[must_use]
pub fn read(text: &str) -> AddressList {
    let mut list = AddressList::default();
    for line in text.lines() {
        list.lines = list.lines.saturating_add(1);
        let trimmed = line.trim();
        if trimmed.is_empty() || trimmed.starts_with(['#', ';', '!']) {
            continue;
        }
        match line_network(line) {
            Some(network) => list.networks.push((network, list.lines)),
            None => {
                let text = trimmed.chars().take(200).map(|c| if c.is_control() { '\u{fffd}' } else { c });
                let reason = SkipReason::NoNetwork;
                list.skipped.push(Skipped { line: list.lines, text: text.collect(), reason });
            }
        }
    }
    list
}

/// Splits a list that has both: returns the lines that are an address, and the list with those lines left
/// blank.
#[must_use]
pub fn split(text: &str) -> (AddressList, String) {
    let mut list = AddressList::default();
    let mut rest = String::with_capacity(text.len());
    for line in text.lines() {
        list.lines = list.lines.saturating_add(1);
        match line_network(line) {
            Some(network) => list.networks.push((network, list.lines)),
            None => rest.push_str(line),
        }
        rest.push('\n');
    }
    (list, rest)
}
