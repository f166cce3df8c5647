//! Every kind of answer as dig and kdig see it.

use std::path::Path;
use std::process::Command;

use libtest_mimic::Trial;

use crate::client::{Client, DIG, KDIG, test};
use crate::common::{Run, Server};

pub fn tests() -> Vec<Trial> {
    vec![
        test("dig::dig_reads_every_kind_of_answer", &[DIG], || reads_every_kind_of_answer(&DIG)),
        test("dig::kdig_reads_every_kind_of_answer", &[KDIG], || reads_every_kind_of_answer(&KDIG)),
        test("dig::what_only_dig_can_ask", &[DIG], what_only_dig_can_ask),
        test("dig::dig_finds_the_cookie_good", &[DIG], dig_finds_the_cookie_good),
    ]
}

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

fn ask(client: &Path, server: &Server, arguments: &str) -> String {
    let port = server.dns.port().to_string();
    let output = Command::new(client)
        .args(["@127.0.0.1", "-p", &port, "+time=1"])
        // dig counts tries and sends EDNS by itself, kdig counts retries and does not.
        .args(if client.ends_with("dig") { ["+tries=1", "+edns=0"] } else { ["+retry=0", "+edns"] })
        .args(arguments.split_whitespace())
        .run();
    String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap()
}

/// The server with all kinds of answers.
fn server() -> Server {
    let zone = format!(
        "@ 60 IN SOA ns host 1 2 3 4 5\nwww 60 IN CNAME a\na 60 IN A 192.0.2.4\nlong 60 IN TXT {}\n",
        vec![format!("\"{}\"", "x".repeat(200)); 8].join(" ")
    );
    Server::start(CONFIG, &[("z", &zone)])
}

fn reads_every_kind_of_answer(client: &Client) {
    let (server, client) = (server(), client.path());
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
        let output = ask(&client, &server, arguments);
        for word in expected.split('|') {
            assert!(
                word.split('#').any(|w| output.contains(w)),
                "{client:?} {arguments}: no `{word}` in\n{output}"
            );
        }
    }
}

fn what_only_dig_can_ask() {
    let (server, dig) = (server(), DIG.path());
    for (arguments, expected) in [
        ("+ignore +noedns long.z.test TXT", "flags: qr aa tc rd ra"),
        ("+edns=1 +noednsnegotiation linkedin.com", "BADVERS"),
        ("+opcode=notify linkedin.com", "NOTIMP"),
    ] {
        let output = ask(&dig, &server, arguments);
        assert!(output.contains(expected), "{arguments}: no `{expected}` in\n{output}");
    }
}

fn dig_finds_the_cookie_good() {
    let (server, dig) = (server(), DIG.path());
    let cookie = |output: &str| {
        let line = output.lines().find_map(|line| line.strip_prefix("; COOKIE: "));
        let line = line.unwrap_or_else(|| panic!("no cookie in\n{output}"));
        line.strip_suffix(" (good)").unwrap_or_else(|| panic!("not good: {line}")).to_owned()
    };
    for question in ["linkedin.com A", "www.z.test A", "stub.test A", "refused.test A", "other.test A"] {
        for way in ["+notcp", "+tcp"] {
            let first = cookie(&ask(&dig, &server, &format!("+cookie {way} {question}")));
            assert_eq!(first.len(), 48, "{question} {way}");
            let second = cookie(&ask(&dig, &server, &format!("+cookie={first} {way} {question}")));
            assert_eq!(second, first, "{question} {way}");
        }
    }
    // dig asks again by itself when it is told that its cookie is bad.
    let strict =
        Server::start(&format!("require-cookie = true\n{CONFIG}"), &[("z", "@ 60 SOA ns host 1 2 3 4 5\n")]);
    let output = ask(&dig, &strict, "+cookie +badcookie linkedin.com A");
    assert!(output.contains("status: NXDOMAIN") && cookie(&output).len() == 48, "{output}");
    let output = ask(&dig, &strict, "+cookie +nobadcookie linkedin.com A");
    assert!(output.contains("BADCOOKIE"), "{output}");
}
