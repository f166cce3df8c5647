//! Orders at run time over a Unix socket: one JSON object a line in, one out.
//!
//! ```text
//! {"do":"pause","seconds":600,"group":"classroom"}      {"ok":true,"id":3,"order":"pause",…}
//! {"do":"allow","name":"example.org","seconds":60}      {"ok":true,"id":4,"order":"allow",…}
//! {"do":"explain","name":"example.org","type":"AAAA"}   {"ok":true,"record":{…}}
//! ```
//!
//! The file permissions of the socket decide who may connect: its owner (mode 0600).

use std::fs;
use std::future::pending;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};

use crate::dns::{NameBuf, Qtype, Transport, clean_json};
use crate::net::accept::{Bounds, Connections, accept};
use crate::orders::json::{asked, list_json, name, text, to_json, whom};
use crate::orders::{Operator, OrderError};
use crate::resolver::explain::{Given, Question};
use crate::resolver::snapshot::Client;

/// The longest request, in octets.
const MAX_REQUEST: u64 = 64 << 10;
/// Connections at once; one more closes the oldest.
const MAX_CONNECTIONS: usize = 64;
/// They may be one in this many of all connections; DNS has half of them.
const PART: usize = 16;
/// A connection that is idle for this long is closed.
const IDLE: Duration = Duration::from_secs(60);
/// Why there is no socket for orders.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Another file has the path.
    #[error("{} exists and is not a socket; name another path in [control] socket", .0.display())]
    NotASocket(PathBuf),
    /// Another server listens there.
    #[error("another server listens on {}; name another path in [control] socket", .0.display())]
    Taken(PathBuf),
    /// The kernel's reason.
    #[error("cannot listen on {path}: {reason}", path = .0.display(), reason = .1)]
    Io(PathBuf, io::Error),
}

/// A socket at `path` that only its owner may use. A socket left there by an earlier server is replaced.
/// Must run within a runtime.
///
/// # Errors
/// See [`BindError`].
pub fn bind(path: &Path) -> Result<UnixListener, BindError> {
    match fs::symlink_metadata(path) {
        Ok(found) if !found.file_type().is_socket() => Err(BindError::NotASocket(path.into())),
        Ok(_) if std::os::unix::net::UnixStream::connect(path).is_ok() => Err(BindError::Taken(path.into())),
        _ => listen(path).map_err(|e| BindError::Io(path.into(), e)),
    }
}

/// Binds within a folder that no other user may enter, and moves the socket out once its mode is set.
fn listen(path: &Path) -> io::Result<UnixListener> {
    let mut folder = path.as_os_str().to_owned();
    folder.push(format!(".{}", std::process::id()));
    let folder = Path::new(&folder);
    fs::DirBuilder::new().mode(0o700).create(folder)?;
    let made = (|| {
        let inside = folder.join("s");
        let listener = UnixListener::bind(&inside)?;
        fs::set_permissions(&inside, fs::Permissions::from_mode(0o600))?;
        fs::rename(&inside, path)?;
        Ok(listener)
    })();
    // If it cannot be removed, it does no harm.
    let _ = fs::remove_dir_all(folder);
    made
}

/// Serves orders for ever.
pub async fn serve(listener: UnixListener, operator: Operator) {
    let connections = Connections::new(Bounds::part(PART, MAX_CONNECTIONS), Arc::default());
    accept(
        listener,
        "the control socket",
        &connections,
        pending(),
        |_| true,
        |stream, _, seat| {
            let operator = operator.clone();
            async move {
                // A client that has gone away needs nothing more.
                let _ = connection(stream, &operator).await;
                drop(seat);
            }
        },
    )
    .await;
}

async fn connection(stream: UnixStream, operator: &Operator) -> io::Result<()> {
    let (reader, mut writer) = stream.into_split();
    let mut reader = BufReader::new(reader);
    let mut line = Vec::new();
    loop {
        line.clear();
        let mut bounded = (&mut reader).take(MAX_REQUEST);
        let read = tokio::time::timeout(IDLE, bounded.read_until(b'\n', &mut line)).await;
        let Ok(read) = read else { return Ok(()) };
        if read? == 0 {
            return Ok(());
        }
        let whole = line.last() == Some(&b'\n') || line.len() < usize::try_from(MAX_REQUEST).unwrap_or(0);
        let answer = match serde_json::from_slice(&line) {
            _ if !whole => Err(format!("the request is longer than {MAX_REQUEST} octets")),
            Ok(Value::Object(request)) => carried_out(operator, request).await,
            Ok(_) => Err("expected a JSON object on one line".to_owned()),
            Err(error) => Err(format!("this is not JSON: {error}")),
        };
        let answer = answer.unwrap_or_else(|problem| json!({ "ok": false, "error": problem }));
        let answer = format!("{}\n", clean_json(&answer.to_string()));
        match tokio::time::timeout(IDLE, writer.write_all(answer.as_bytes())).await {
            Ok(written) => written?,
            // The server does not wait for a client that does not read.
            Err(_) => return Ok(()),
        }
        if !whole {
            return Ok(());
        }
    }
}

/// Carries out one request on a thread that may wait for the disk, and for others who give orders.
async fn carried_out(operator: &Operator, request: Map<String, Value>) -> Result<Value, String> {
    let operator = operator.clone();
    let done = tokio::task::spawn_blocking(move || answer(&operator, &request));
    done.await.unwrap_or_else(|_| Err("the request could not be carried out".to_owned()))
}

/// Carries out one request.
fn answer(operator: &Operator, request: &Map<String, Value>) -> Result<Value, String> {
    let verb = text(request, "do")?;
    let known: &[&str] = match verb {
        Some("pause") => &["do", "seconds", "group", "client", "keep"],
        Some("allow" | "block") => &["do", "name", "seconds", "group", "client", "keep"],
        Some("resume") => &["do", "group", "client"],
        Some("revoke") => &["do", "id", "name"],
        Some("list" | "lists" | "status") => &["do"],
        Some("explain") => &["do", "name", "type", "client", "listener", "tcp", "answer"],
        _ => {
            return Err(
                "expected `do` to be one of pause, resume, allow, block, revoke, list, lists, status, explain"
                    .into(),
            );
        }
    };
    if let Some(key) = request.keys().find(|k| !known.contains(&k.as_str())) {
        return Err(format!("unknown key `{key}`, expected one of {}", known.join(", ")));
    }
    let revoked = |done: Result<usize, OrderError>| {
        done.map(|count| json!({ "ok": true, "revoked": count })).map_err(|e| e.to_string())
    };
    match verb {
        Some("pause" | "allow" | "block") => {
            let order = operator.give(asked(request)?).map_err(|e| e.to_string())?;
            Ok(successful(to_json(&order)))
        }
        Some("resume") => {
            let of_some = request.contains_key("group") || request.contains_key("client");
            let whom = if of_some { Some(whom(request)?) } else { None };
            revoked(operator.resume(whom.as_ref()))
        }
        Some("revoke") => match (request.get("id"), text(request, "name")?) {
            (Some(id), None) => {
                revoked(operator.revoke_id(id.as_u64().ok_or("expected `id` to be a number")?))
            }
            (None, Some(_)) => revoked(operator.revoke_name(&name(request)?)),
            _ => Err("expected either an `id` or a `name`".to_owned()),
        },
        Some("list") => {
            let orders: Vec<Value> = operator.in_force().iter().map(to_json).collect();
            Ok(json!({ "ok": true, "orders": orders }))
        }
        Some("lists") => {
            let lists: Vec<Value> = operator.lists().iter().map(list_json).collect();
            Ok(json!({ "ok": true, "lists": lists }))
        }
        Some("status") => Ok(successful(operator.status().json())),
        _ => Ok(json!({ "ok": true, "record": operator.explain(&question(request)?).json() })),
    }
}

/// An object as the answer to a request that was carried out.
fn successful(mut object: Value) -> Value {
    if let Some(object) = object.as_object_mut() {
        object.insert("ok".to_owned(), Value::Bool(true));
    }
    object
}

/// The question to explain.
fn question(request: &Map<String, Value>) -> Result<Question, String> {
    let word = text(request, "type")?.unwrap_or("A");
    let qtype: Qtype = word.parse().map_err(|_| format!("`{word}` is not a record type"))?;
    let address: IpAddr = match text(request, "client")? {
        None => IpAddr::V4(Ipv4Addr::LOCALHOST),
        Some(text) => text.parse().map_err(|_| format!("`{text}` is not an IP address"))?,
    };
    let listener = request.get("listener").map_or(Some(0), Value::as_u64);
    let listener =
        listener.and_then(|l| u16::try_from(l).ok()).ok_or("expected `listener` to be a number")?;
    let tcp = request.get("tcp").and_then(Value::as_bool).unwrap_or(false);
    let transport = if tcp { Transport::Tcp } else { Transport::Udp };
    let mut answer = Vec::new();
    for part in request.get("answer").and_then(Value::as_array).into_iter().flatten() {
        let part = part.as_str().ok_or("expected `answer` to be a list of addresses and names")?;
        answer.push(match part.parse() {
            Ok(address) => Given::Address(address),
            Err(_) => Given::Name(NameBuf::from_text(part).map_err(|e| format!("`{part}`: {e}"))?),
        });
    }
    let client = Client { address: SocketAddr::new(address, 0), transport, listener };
    Ok(Question { name: name(request)?, qtype, client, answer })
}
