//! Asks a list about a name: `cargo run -p portcullis-core --example ask -- LIST NAME`.

use std::error::Error;

use portcullis_core::answer::{Blocked, Right, blocked};
use portcullis_core::dns::{NameBuf, Qtype, Query, Transport, encode};
use portcullis_core::lists::List;
use portcullis_core::policy::{Asker, Policy, Verdict, decide, one_line};
use portcullis_core::rule::Effect;

fn main() -> Result<(), Box<dyn Error>> {
    let (Some(file), Some(name)) = (std::env::args().nth(1), std::env::args().nth(2)) else {
        return Err("give a list and a name".into());
    };
    let octets = std::fs::read(&file).map_err(|error| format!("{file}: {error}"))?;
    let list = List::parse(octets, Effect::Block)?;
    println!(
        "{file}: {}, {} rules on names, {} lines skipped",
        list.format,
        list.name_count(),
        list.skipped.len()
    );
    let policy = Policy::compile([(file, list)])?;

    let name = NameBuf::from_text(&name)?;
    let asker = Asker { client: "127.0.0.1".parse()?, qtype: Qtype::A, view: None };
    let verdict = decide(&policy, name.as_name(), asker);
    println!("{name}: {}", one_line(&policy, verdict, name.as_name()));

    // What a server sends for it.
    if let Verdict::Blocked(by) = verdict
        && let Some((list, action)) = policy.list(by.list).zip(policy.action(by, None))
    {
        let packet = encode(name.as_name(), Qtype::A);
        let query = Query::parse(&packet).map_err(|error| format!("{error:?}"))?;
        let mut reply = [0; 512];
        let what = blocked((list, Right::Block), (action, &|_| {}), &query, Transport::Udp, &mut reply);
        if let Blocked::Reply(len) = what {
            println!("{:02x?}", reply.get(..len).unwrap_or_default());
        }
    }
    Ok(())
}
