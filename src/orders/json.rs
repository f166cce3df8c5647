//! Orders as JSON: as requested, as shown and as stored.
//!
//! ```text
//! {"do":"allow","name":"example.org","seconds":60,"group":"kids","keep":true}
//! {"id":4,"order":"allow","name":"example.org","group":"kids","client":null,"since":1…,"until":1…,"keep":true}
//! ```

use ipnet::IpNet;
use serde_json::{Map, Value, json};

use crate::dns::{HostError, NameBuf, host_in};
use crate::observe::lists::ListState;
use crate::policy::{self, Order, What, Whom};

/// A list that is served, for programs.
#[must_use]
pub fn list_json(list: &ListState) -> Value {
    let alarms: Vec<Value> =
        list.alarms.iter().map(|(kind, text)| json!({ "kind": kind, "text": text })).collect();
    json!({ "name": list.name, "rules": list.rules, "invalid": list.invalid, "alarms": alarms })
}

/// The longest duration of an order, in seconds: a hundred years.
pub const MAX_SECONDS: i64 = 100 * 366 * 86_400;

/// A request to give an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// What it does.
    pub what: What,
    /// Which clients it applies to.
    pub whom: Whom,
    /// How long it lasts, in seconds, up to [`MAX_SECONDS`]; `None`: until it is revoked.
    pub seconds: Option<i64>,
    /// It survives a restart.
    pub keep: bool,
}

/// The order that a JSON request describes.
///
/// # Errors
/// What is wrong with it, as a sentence.
pub fn asked(request: &Map<String, Value>) -> Result<Asked, String> {
    let what = match text(request, "do")? {
        Some("pause") => What::Pause,
        Some("allow") => What::Allow(host(request)?),
        Some("block") => What::Block(host(request)?),
        _ => return Err("expected `do` to be one of pause, allow, block".into()),
    };
    let seconds = match request.get("seconds") {
        None | Some(Value::Null) => None,
        Some(value) => Some(
            value
                .as_i64()
                .filter(|seconds| (1..=MAX_SECONDS).contains(seconds))
                .ok_or("expected `seconds` to be a positive number")?,
        ),
    };
    let keep = match request.get("keep") {
        None => false,
        Some(value) => value.as_bool().ok_or("expected `keep` to be true or false")?,
    };
    Ok(Asked { what, whom: whom(request)?, seconds, keep })
}

/// The clients that a request applies to.
///
/// # Errors
/// What is wrong with it, as a sentence.
pub fn whom(request: &Map<String, Value>) -> Result<Whom, String> {
    match (text(request, "group")?, text(request, "client")?) {
        (None, None) => Ok(Whom::Everyone),
        (Some(group), None) => Ok(Whom::Group(group.to_owned())),
        (None, Some(client)) => {
            let network = network(client);
            network.map(Whom::Client).ok_or_else(|| format!("`{client}` is not an address or a network"))
        }
        (Some(_), Some(_)) => Err("both `group` and `client` are given; an order takes one of them".into()),
    }
}

/// The name that an order is about: one that clients can ask for.
fn host(request: &Map<String, Value>) -> Result<NameBuf, String> {
    let name = text(request, "name")?.ok_or("expected a `name`")?;
    NameBuf::from_host(name).map_err(|problem| match problem {
        HostError::NotAName(_) => format!("`{name}` is {problem}"),
        HostError::Address => format!("`{name}` is {problem}; orders are about names"),
        _ => {
            let host = host_in(name).unwrap_or("a name such as x.test");
            format!("`{name}` is {problem}; a name covers those below it; write {host}")
        }
    })
}

/// The name in a request.
///
/// # Errors
/// The name is missing or invalid.
pub fn name(request: &Map<String, Value>) -> Result<NameBuf, String> {
    let name = text(request, "name")?.ok_or("expected a `name`")?;
    NameBuf::from_text(name).map_err(|e| format!("`{name}` is not a domain name: {e}"))
}

/// A text in a request, if the key is present.
///
/// # Errors
/// The value is not a text.
pub fn text<'r>(request: &'r Map<String, Value>, key: &str) -> Result<Option<&'r str>, String> {
    match request.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(format!("expected `{key}` to be a string")),
    }
}

fn network(text: &str) -> Option<IpNet> {
    policy::parse_network(text).map(|network| network.trunc())
}

/// An order as it is shown and stored.
#[must_use]
pub fn to_json(order: &Order) -> Value {
    let (what, name) = match &order.what {
        What::Pause => ("pause", None),
        What::Allow(name) => ("allow", Some(name.to_string())),
        What::Block(name) => ("block", Some(name.to_string())),
    };
    let (group, client) = match &order.whom {
        Whom::Everyone => (None, None),
        Whom::Group(group) => (Some(group), None),
        Whom::Client(network) => (None, Some(network.to_string())),
    };
    json!({
        "id": order.id, "order": what, "name": name, "group": group, "client": client,
        "since": order.since, "until": order.until, "keep": order.keep,
    })
}

/// A stored order, as [`to_json`] wrote it; `None` if it is anything else.
pub(super) fn from_json(object: &Map<String, Value>) -> Option<Order> {
    let text = |key| text(object, key).ok();
    let name = || text("name").flatten().and_then(|name| NameBuf::from_text(name).ok());
    let what = match text("order")?? {
        "pause" => What::Pause,
        "allow" => What::Allow(name()?),
        "block" => What::Block(name()?),
        _ => return None,
    };
    let whom = whom(object).ok()?;
    // Higher numbers would leave none for later orders.
    let id = u32::try_from(object.get("id")?.as_u64()?).ok().filter(|id| (1..=u32::MAX / 2).contains(id))?;
    let until = match object.get("until") {
        None | Some(Value::Null) => None,
        Some(until) => Some(until.as_i64()?),
    };
    Some(Order { id, what, whom, since: object.get("since")?.as_i64()?, until, keep: true })
}
