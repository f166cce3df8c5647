//! Settings that let strangers use this server against others.

use ipnet::IpNet;
use serde_json::{Value, json};

use crate::settings::{Settings, is_everybody, is_private};

/// A way in which the server can be abused.
pub(super) struct Exposed {
    /// Its kind, in a word for programs.
    kind: &'static str,
    pub(super) text: String,
}

impl Exposed {
    pub(super) fn json(&self) -> Value {
        json!({ "kind": self.kind, "text": self.text })
    }
}

/// All of them.
pub(super) fn all(settings: &Settings) -> Vec<Exposed> {
    let server = &settings.server;
    let first = |networks: &[IpNet], is: fn(&IpNet) -> bool| networks.iter().copied().find(is);
    let mut found = Vec::new();
    let recursion = server.allow_recursion.as_deref().unwrap_or(&server.allow);
    let forwards = settings.upstream.servers.as_ref().is_none_or(|servers| !servers.is_empty())
        || !settings.forwards.is_empty();
    if forwards
        && first(&server.allow, is_everybody).is_some()
        && let Some(network) = first(recursion, is_everybody)
    {
        let text = format!(
            "this server is an open forwarder: {network} in [server] allow-recursion takes in strangers, who can direct \
             its replies at others; name your own networks there"
        );
        found.push(Exposed { kind: "open-forwarder", text });
    }
    let rate = &settings.ratelimit;
    if let Some(network) = first(&server.allow, |network| !is_private(network))
        && (rate.rate == 0 || rate.exempt.iter().any(is_everybody))
    {
        let text = format!(
            "replies have no limit, and {network} in [server] allow is public: others can direct this server's replies at \
             it; set [ratelimit] rate, and leave it out of exempt"
        );
        found.push(Exposed { kind: "no-ratelimit", text });
    }
    found
}
