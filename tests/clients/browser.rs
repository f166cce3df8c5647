//! A browser that resolves through Portcullis and lands on the block page: in namespaces of its own, so that
//! ports 53 and 80 and `/etc/resolv.conf` are the test's.

use std::process::Command;

use libtest_mimic::Trial;

use crate::client::{CHROMIUM, IP, UNSHARE, namespaces, test_if};
use crate::common::Run;

pub fn tests() -> Vec<Trial> {
    vec![test_if(
        "browser::it_is_told_why_in_its_language_and_is_not_left_hanging",
        &[CHROMIUM, UNSHARE, IP],
        namespaces,
        it_is_told_why_in_its_language_and_is_not_left_hanging,
    )]
}

const CONFIG: &str = r#"
[server]
listen = ["127.0.0.1:53"]
[upstream]
servers = []
[block.contact]
uris = ["mailto:dns@school.test"]
organization = "School of Tests"
[[list]]
name = "court"
rules = ["||banned.test^"]
authority = "Tagansky District Court"
reason = "Personal data kept abroad"
since = "17 November 2016"
action = { address = ["127.0.0.1"] }
[blockpage]
listen = ["127.0.0.1:80"]
refuse-tls = ["127.0.0.1:443"]
"#;

/// Starts the server, waits until it is ready, shows two pages and ends the server.
const SCRIPT: &str = r#"
set -e
ip link set lo up
echo "nameserver 127.0.0.1" > resolv.conf
mount --bind resolv.conf /etc/resolv.conf
mkfifo ready
"$1" serve --config portcullis.toml --ready-json > ready 2> log &
server=$!
trap 'kill $server' EXIT
read -r line < ready
browse() {
    chromium --headless --no-sandbox --disable-gpu --disable-dev-shm-usage --user-data-dir="$PWD/profile" \
        --accept-lang="$1" --timeout=60000 --dump-dom "$2" 2>/dev/null
}
browse en http://www.banned.test/some/page
browse ru http://www.banned.test/
browse ar http://www.banned.test/
before=$(date +%s)
browse en https://www.banned.test/ || true
[ $(($(date +%s) - before)) -lt 45 ] && echo "TLS ended at once"
"#;

fn it_is_told_why_in_its_language_and_is_not_left_hanging() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("portcullis.toml"), CONFIG).unwrap();
    let seen = Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount", "--net", "sh", "-c", SCRIPT, "sh"])
        .arg(env!("CARGO_BIN_EXE_portcullis"))
        .current_dir(folder.path())
        .run();
    let (text, errors) = (String::from_utf8_lossy(&seen.stdout), String::from_utf8_lossy(&seen.stderr));
    for phrase in [
        "451",
        "www.banned.test",
        "Tagansky District Court",
        "Personal data kept abroad",
        "17 November 2016",
        "mailto:dns@school.test",
        "<html lang=\"ru\"",
        "<html lang=\"ar\" dir=\"rtl\">",
        "هذا الموقع محجوب",
        "TLS ended at once",
    ] {
        assert!(text.contains(phrase), "`{phrase}` is missing\n{text}\n{errors}");
    }
}
