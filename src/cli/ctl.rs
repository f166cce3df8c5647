//! `portcullis ctl`: orders to a running server.

use std::path::PathBuf;

use clap::Subcommand;

/// Options of `ctl`.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  portcullis ctl pause -c portcullis.toml --for 10m --group classroom\n  portcullis ctl allow example.org -s ctl.sock --for 1h\n  portcullis ctl list -s ctl.sock\n\n\
    Exit codes: 0 done; 2 the order failed."
)]
pub(super) struct Args {
    /// The server's control socket, as in `[control] socket`
    #[arg(short, long, value_name = "PATH", global = true)]
    socket: Option<PathBuf>,
    /// The server's configuration file, which names the socket
    #[arg(short, long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
    /// Print the answer as JSON
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    order: Order,
}

/// What to do.
#[derive(Subcommand)]
enum Order {
    /// Stop blocking for all clients, for a group or for one client
    #[command(after_help = "Example:\n  portcullis ctl pause -c portcullis.toml --for 10m --group classroom")]
    Pause {
        #[command(flatten)]
        how: How,
    },
    /// End pauses: all of them, or those of a group or of one client
    #[command(after_help = "Example:\n  portcullis ctl resume -c portcullis.toml --group classroom")]
    Resume {
        #[command(flatten)]
        clients: Clients,
    },
    /// Allow a name and all names below it
    #[command(after_help = "Example:\n  portcullis ctl allow example.org -c portcullis.toml --for 1h --keep")]
    Allow {
        /// The name; of a URL its host is taken
        name: String,
        #[command(flatten)]
        how: How,
    },
    /// Block a name and all names below it
    #[command(
        after_help = "Example:\n  portcullis ctl block example.org -c portcullis.toml --client 10.20.0.7"
    )]
    Block {
        /// The name; of a URL its host is taken
        name: String,
        /// Block all names, where the name is `.`
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        how: How,
    },
    /// Revoke an order, by its number or its name
    #[command(
        after_help = "Example:\n  portcullis ctl revoke 4 -c portcullis.toml\n  portcullis ctl revoke example.org -c portcullis.toml"
    )]
    Revoke {
        /// The number that `list` shows, or the name; of a URL its host is taken
        what: String,
    },
    /// Show the orders in force
    #[command(after_help = "Example:\n  portcullis ctl list -c portcullis.toml --json")]
    List,
    /// Show the lists that the server serves, with their rules, and what is wrong with them
    #[command(after_help = "Example:\n  portcullis ctl lists -c portcullis.toml")]
    Lists,
    /// Show the server's status
    #[command(after_help = "Example:\n  portcullis ctl status -c portcullis.toml")]
    Status,
    /// Explain one question as the running server would answer it
    #[command(
        after_help = "Example:\n  portcullis ctl explain example.org -c portcullis.toml -t AAAA --client 10.20.0.7"
    )]
    Explain {
        /// The name to look up; of a URL its host is taken
        name: String,
        /// The type to look up
        #[arg(short = 't', long = "type", value_name = "TYPE", default_value = "A")]
        qtype: String,
        /// The client's address
        #[arg(long, value_name = "IP", default_value = "127.0.0.1")]
        client: String,
        /// What the upstreams would answer: an address, or the target of an alias
        #[arg(long, value_name = "IP|NAME")]
        answer: Vec<String>,
    },
}

#[derive(clap::Args)]
struct How {
    /// For how long, such as 30s, 10m or 2h; by default until it is revoked
    #[arg(long = "for", value_name = "TIME", value_parser = seconds)]
    time: Option<u64>,
    /// Keep the order across restarts of the server; needs `[control] state`
    #[arg(long)]
    keep: bool,
    #[command(flatten)]
    clients: Clients,
}

#[derive(clap::Args)]
struct Clients {
    /// Only for the clients of this group
    #[arg(long, value_name = "NAME", conflicts_with = "client")]
    group: Option<String>,
    /// Only for this client or network
    #[arg(long, value_name = "IP|NETWORK")]
    client: Option<String>,
}

fn seconds(text: &str) -> Result<u64, String> {
    let found = crate::config::value::duration_of(text).map(|d| d.as_secs()).filter(|s| *s > 0);
    found.ok_or_else(|| "expected a time such as 30s, 10m, 2h or 1d".into())
}

#[cfg(unix)]
mod unix {
    use std::io::{self, BufRead, BufReader, Write};
    use std::os::unix::net::UnixStream;
    use std::path::Path;
    use std::time::Duration;

    use serde_json::{Value, json};

    use super::{Args, Clients, How, Order};
    use crate::cli::named::named;
    use crate::cli::{FAILED, OK, say, say_error, settings};
    use crate::dns::clean_json;

    /// How long the server may take.
    const PATIENCE: Duration = Duration::from_secs(10);

    fn request(order: &Order) -> Result<Value, String> {
        let clients = |clients: &Clients, mut object: Value| {
            if let Value::Object(object) = &mut object {
                object.extend(clients.group.iter().map(|g| ("group".to_owned(), json!(g))));
                object.extend(clients.client.iter().map(|c| ("client".to_owned(), json!(c))));
            }
            object
        };
        let ordered = |how: &How, mut object: Value| {
            if let Value::Object(object) = &mut object {
                object.extend(how.time.iter().map(|s| ("seconds".to_owned(), json!(s))));
                object.insert("keep".to_owned(), json!(how.keep));
            }
            clients(&how.clients, object)
        };
        Ok(match order {
            Order::Pause { how } => ordered(how, json!({ "do": "pause" })),
            Order::Resume { clients: of } => clients(of, json!({ "do": "resume" })),
            Order::Allow { name, how } => {
                ordered(how, json!({ "do": "allow", "name": named("allowing", name)? }))
            }
            Order::Block { name, yes, how } => {
                let name = named("blocking", name)?;
                if name == "." && !yes {
                    return Err("`.` is the root: this blocks all names; add --yes if you mean that".into());
                }
                ordered(how, json!({ "do": "block", "name": name }))
            }
            Order::Revoke { what } => match what.parse::<u32>() {
                Ok(id) => json!({ "do": "revoke", "id": id }),
                Err(_) => json!({ "do": "revoke", "name": named("revoking orders about", what)? }),
            },
            Order::List => json!({ "do": "list" }),
            Order::Lists => json!({ "do": "lists" }),
            Order::Status => json!({ "do": "status" }),
            Order::Explain { name, qtype, client, answer } => {
                let name = named("explaining", name)?;
                json!({ "do": "explain", "name": name, "type": qtype, "client": client, "answer": answer })
            }
        })
    }

    /// Runs the command.
    pub(in crate::cli) fn run(args: &Args) -> Result<u8, String> {
        let path = match &args.socket {
            Some(_) if args.config.is_some() => {
                return Err("both --socket and --config are given; either of them names the socket".into());
            }
            Some(path) => path.clone(),
            None => {
                let control = settings(args.config.as_ref())?.control.map(|c| c.socket);
                control.ok_or_else(|| match &args.config {
                    Some(path) => format!("{} has no [control] socket", path.display()),
                    None => {
                        "name the server's socket with --socket, or its configuration with --config".into()
                    }
                })?
            }
        };
        let unreachable = |e| unreachable(&path, &e);
        let request = request(&args.order)?;
        let stream = UnixStream::connect(&path).map_err(unreachable)?;
        let answer = (|| {
            stream.set_read_timeout(Some(PATIENCE))?;
            (&stream).write_all(format!("{request}\n").as_bytes())?;
            let mut line = String::new();
            BufReader::new(&stream).read_line(&mut line)?;
            Ok(line)
        })()
        .map_err(unreachable)?;
        if args.json {
            say(&clean_json(answer.trim_end()));
        }
        let answer: Value =
            serde_json::from_str(&answer).map_err(|_| "the server's answer is not JSON".to_owned())?;
        if answer.get("ok") != Some(&Value::Bool(true)) {
            let problem =
                answer.get("error").and_then(Value::as_str).unwrap_or("the server refused the order");
            say_error(problem);
            return Ok(FAILED);
        }
        if !args.json {
            print(&args.order, &answer);
        }
        Ok(OK)
    }

    pub(super) fn unreachable(path: &Path, error: &io::Error) -> String {
        let path = path.display();
        if error.kind() == io::ErrorKind::PermissionDenied {
            return format!("cannot open {path}: {error}; run it as the user that runs the server");
        }
        format!("no server answers on {path}: {error}; is it running, with this path as [control] socket?")
    }

    fn print(order: &Order, answer: &Value) {
        let number = |key: &str| answer.get(key).and_then(Value::as_u64).unwrap_or(0);
        match order {
            Order::Pause { .. } | Order::Allow { .. } | Order::Block { .. } => {
                say(&format!("order {}: {}", number("id"), in_words(answer)));
            }
            Order::Resume { clients } if number("revoked") == 0 => {
                let theirs = clients.group.is_some() || clients.client.is_some();
                say(if theirs {
                    "no pause is in force for that group or client alone"
                } else {
                    "nothing is paused"
                });
            }
            Order::Resume { .. } | Order::Revoke { .. } => {
                say(&format!(
                    "{} revoked",
                    crate::cli::count(usize::try_from(number("revoked")).unwrap_or(0), "order")
                ));
            }
            Order::List => {
                let all = answer.get("orders").and_then(Value::as_array).cloned().unwrap_or_default();
                if all.is_empty() {
                    say("no orders are in force");
                }
                for order in &all {
                    let id = order.get("id").and_then(Value::as_u64).unwrap_or(0);
                    say(&format!("{id:>5}  {}", in_words(order)));
                }
            }
            Order::Lists => {
                for list in answer.get("lists").and_then(Value::as_array).into_iter().flatten() {
                    let name = list.get("name").and_then(Value::as_str).unwrap_or_default();
                    let number = |key: &str| list.get(key).and_then(Value::as_u64).unwrap_or(0);
                    say(&format!("{name}: {} rules, {} invalid lines", number("rules"), number("invalid")));
                    for alarm in list.get("alarms").and_then(Value::as_array).into_iter().flatten() {
                        let text = alarm.get("text").and_then(Value::as_str).unwrap_or_default();
                        say(&format!("  warning: {text}"));
                    }
                }
            }
            Order::Status => {
                for key in ["version", "blocking", "paused", "rules", "queries", "waiting", "orders"] {
                    let value = answer.get(key).map(ToString::to_string).unwrap_or_default();
                    say(&format!("{key:<10} {}", value.trim_matches('"')));
                }
            }
            Order::Explain { .. } => {
                crate::cli::explain::print(answer.get("record").unwrap_or(&Value::Null), false);
            }
        }
    }

    /// What an order does, for whom and until when.
    fn in_words(order: &Value) -> String {
        let text = |key: &str| order.get(key).and_then(Value::as_str).unwrap_or_default();
        let what = match text("name") {
            "" => text("order").to_owned(),
            name => format!("{} {name}", text("order")),
        };
        let whom = match (text("group"), text("client")) {
            ("", "") => "all clients".to_owned(),
            ("", client) => client.to_owned(),
            (group, _) => format!("the group {group}"),
        };
        let until = lasts(order.get("until").and_then(Value::as_i64));
        let kept = if order.get("keep") == Some(&Value::Bool(true)) { ", kept" } else { "" };
        format!("{what} for {whom}, {until}{kept}")
    }

    fn lasts(until: Option<i64>) -> String {
        let until = until.and_then(|u| jiff::Timestamp::from_second(u).ok());
        until.map_or_else(|| "until it is revoked".to_owned(), |u| format!("until {u}"))
    }
}

#[cfg(unix)]
pub(super) use unix::run;

#[cfg(all(test, unix))]
mod tests {
    use std::io::ErrorKind;
    use std::path::Path;

    use super::unix::unreachable;

    #[test]
    fn a_socket_that_may_not_be_opened_is_not_a_server_that_is_down() {
        for (kind, remedy) in [
            (ErrorKind::PermissionDenied, "run it as the user that runs the server"),
            (ErrorKind::ConnectionRefused, "is it running, with this path as [control] socket?"),
            (ErrorKind::NotFound, "is it running, with this path as [control] socket?"),
        ] {
            let told = unreachable(Path::new("ctl.sock"), &kind.into());
            assert!(told.contains("ctl.sock") && told.ends_with(remedy), "{told}");
        }
    }
}

/// Without Unix sockets there are no orders.
#[cfg(not(unix))]
pub(super) fn run(_: &Args) -> Result<u8, String> {
    Err("orders at run time need a Unix socket, which this system does not have".into())
}
