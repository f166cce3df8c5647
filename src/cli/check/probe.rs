//! `check --probe`: one query to each upstream, as the server would send it.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::serving;
use crate::app::runtime;
use crate::dns::{Class, Message, NameBuf, Qtype};
use crate::net::now;
use crate::settings::Settings;
use crate::sources;
use crate::upstream::hickory::Bootstrap;
use crate::upstream::{Forwarder, Question, Server};

/// The result for one server.
pub(super) struct Probed {
    server: String,
    /// The response code, or why there is none.
    answer: Result<String, String>,
    took: Duration,
}

/// Asks each server of the settings once, all at the same time: for the servers of the root, or for the
/// addresses of `name`.
pub(super) fn probe(settings: &Settings, name: &str) -> Result<Vec<Probed>, String> {
    let qname =
        NameBuf::from_text(name).map_err(|e| format!("--probe: `{name}` is not a domain name: {e}"))?;
    let qtype = if name == "." { Qtype::NS } else { Qtype::A };
    let question = Question {
        qname,
        qtype,
        qclass: Class::IN,
        dnssec_ok: false,
        checking_disabled: false,
        authentic_data: false,
    };
    let servers = all(settings)?;
    let bootstrap = Arc::new(sources::bootstrap(settings).map_err(|e| e.to_string())?);
    let timeout = settings.upstream.timeout;
    runtime().map_err(|e| e.to_string())?.block_on(async move {
        let mut asked = JoinSet::new();
        for (place, server) in servers.into_iter().enumerate() {
            let (question, bootstrap) = (question.clone(), Arc::clone(&bootstrap));
            asked.spawn(async move { (place, ask(server, &question, timeout, &bootstrap).await) });
        }
        let mut probed = asked.join_all().await;
        probed.sort_by_key(|(place, _)| *place);
        Ok(probed.into_iter().map(|(_, probed)| probed).collect())
    })
}

/// Every server of the settings, each once: for all, for groups, and for forwarded names.
fn all(settings: &Settings) -> Result<Vec<Server>, String> {
    let groups = settings.groups.iter().filter_map(|group| group.upstreams.as_ref()).flatten();
    let forwards = settings.forwards.iter().flat_map(|forward| &forward.servers);
    let mut all: Vec<Server> = Vec::new();
    for server in serving::servers(settings)?.iter().chain(groups).chain(forwards) {
        if !all.contains(server) {
            all.push(server.clone());
        }
    }
    Ok(all)
}

async fn ask(server: Server, question: &Question, timeout: Duration, bootstrap: &Arc<Bootstrap>) -> Probed {
    let name = serving::name(&server);
    let began = now().at;
    // A truncated reply is fetched over TCP, which takes a second try.
    let forwarder = Forwarder::with_bootstrap(vec![server], timeout, bootstrap);
    let answer = tokio::time::timeout(timeout * 2, forwarder.ask(question)).await;
    let answer = match answer {
        Ok(Ok(answer)) => match Message::parse(&answer.bytes) {
            Some(message) => Ok(message.rcode().to_string()),
            None => Err("the reply is not a DNS message".to_owned()),
        },
        Ok(Err(failure)) => {
            // The engine's message begins with the server, which is printed already.
            let (said, address) = (failure.to_string(), name.split_once("://").map_or("", |(_, at)| at));
            Err(said.strip_prefix(&format!("{address}: ")).unwrap_or(&said).to_owned())
        }
        Err(_) => Err("no reply in time".to_owned()),
    };
    Probed { server: name, answer, took: now().at.saturating_duration_since(began) }
}

impl Probed {
    pub(super) const fn has_failed(&self) -> bool {
        self.answer.is_err()
    }

    /// A line for people.
    pub(super) fn text(&self) -> String {
        let ms = self.took.as_millis();
        match &self.answer {
            Ok(rcode) => format!("upstream {}: answered {rcode} in {ms} ms", self.server),
            Err(problem) => format!("warning: upstream {}: {problem} ({ms} ms)", self.server),
        }
    }

    pub(super) fn json(&self) -> Value {
        let milliseconds = u64::try_from(self.took.as_millis()).unwrap_or(u64::MAX);
        json!({
            "server": self.server, "rcode": self.answer.as_ref().ok(), "problem": self.answer.as_ref().err(),
            "milliseconds": milliseconds,
        })
    }
}
