//! The same answers as dig and kdig see them. Skipped where they are not installed, unless
//! `PORTCULLIS_CLIENTS=required` (as in `.ci/run`).

use std::process::Command;

use crate::common::Server;

const CONFIG: &str = r#"
version = "portcullis test"
[upstream]
servers = []
[[list]]
name = "ru"
rules = ["||linkedin.com^"]
authority = "Roskomnadzor"
[[list]]
name = "empty"
rules = ["||nodata.test^"]
action = "nodata"
[[list]]
name = "no"
rules = ["||refused.test^"]
action = "refused"
[[list]]
name = "broken"
rules = ["||servfail.test^"]
action = "servfail"
[[list]]
name = "stub"
rules = ["||stub.test^"]
action = { address = ["192.0.2.1", "2001:db8::1"] }
[[list]]
name = "alias"
rules = ["||alias.test^"]
action = { cname = "walled.example" }
[[list]]
name = "silent"
rules = ["||drop.test^"]
action = "drop"
[[list]]
name = "tcp"
rules = ["||truncate.test^"]
action = "truncate"
[[zone]]
origin = "z.test"
file = "z"
"#;

/// The client's name if it is there.
fn client(name: &'static str) -> Option<&'static str> {
    if Command::new(name).arg("-h").output().is_ok() {
        return Some(name);
    }
    assert!(std::env::var_os("PORTCULLIS_CLIENTS").is_none(), "{name} is not installed");
    eprintln!("skipped: {name} is not installed");
    None
}

fn ask(client: &str, server: &Server, arguments: &str) -> String {
    let port = server.dns.port().to_string();
    let output = Command::new(client)
        .args(["@127.0.0.1", "-p", &port, "+time=1"])
        // dig counts tries and sends EDNS by itself, kdig counts retries and does not.
        .args(if client == "dig" { ["+tries=1", "+edns=0"] } else { ["+retry=0", "+edns"] })
        .args(arguments.split_whitespace())
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap()
}

#[test]
fn dig_and_kdig_read_every_kind_of_answer() {
    let zone = format!(
        "@ 60 IN SOA ns host 1 2 3 4 5\nwww 60 IN CNAME a\na 60 IN A 192.0.2.4\nlong 60 IN TXT {}\n",
        vec![format!("\"{}\"", "x".repeat(200)); 8].join(" ")
    );
    let server = Server::start(CONFIG, &[("z", &zone)]);
    for name in ["dig", "kdig"] {
        let Some(client) = client(name) else { continue };
        for (arguments, expected) in [
            ("linkedin.com A", "NXDOMAIN|nobody.invalid.|Censored"),
            ("www.linkedin.com HTTPS", "NXDOMAIN|nobody.invalid."),
            ("+tcp linkedin.com A", "NXDOMAIN|nobody.invalid.|Censored"),
            ("nodata.test A", "NOERROR|nobody.invalid.|Blocked"),
            ("refused.test A", "REFUSED"),
            ("servfail.test A", "SERVFAIL"),
            ("stub.test A", "NOERROR|192.0.2.1|Forged Answer"),
            ("stub.test AAAA", "2001:db8::1"),
            ("stub.test TXT", "NOERROR|nobody.invalid."),
            ("alias.test A", "walled.example."),
            ("truncate.test A", "REFUSED"),
            ("drop.test A", "timed out#timeout#no response"),
            ("www.z.test A", "NOERROR|192.0.2.4|CNAME"),
            ("nope.z.test A", "NXDOMAIN|SOA"),
            ("long.z.test TXT", "NOERROR|xxxx"),
            ("+noedns www.z.test A", "192.0.2.4"),
            ("version.bind CH TXT", "portcullis test"),
            ("a.z.test ANY", "192.0.2.4"),
            ("other.test ANY", "RFC8482"),
        ] {
            let output = ask(client, &server, arguments);
            for word in expected.split('|') {
                assert!(
                    word.split('#').any(|w| output.contains(w)),
                    "{client} {arguments}: no `{word}` in\n{output}"
                );
            }
        }
    }
    if let Some(dig) = client("dig") {
        let output = ask(dig, &server, "+ignore +noedns long.z.test TXT");
        assert!(output.contains("flags: qr aa tc rd ra"), "{output}");
        let output = ask(dig, &server, "+edns=1 +noednsnegotiation linkedin.com");
        assert!(output.contains("BADVERS"), "{output}");
        let output = ask(dig, &server, "+opcode=notify linkedin.com");
        assert!(output.contains("NOTIMP"), "{output}");
    }
}
