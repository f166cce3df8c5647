//! Lists of every format, packed lists, compiled indexes, and the commands that deal with them.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::common::{Run, Server, portcullis, until};

/// A folder with files; paths in it.
struct Folder(TempDir);

impl Folder {
    fn with(files: &[(&str, &[u8])]) -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        for (name, bytes) in files {
            fs::write(folder.path(name), bytes).unwrap();
        }
        folder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Runs the program here; gives its exit code and all that it said.
    fn run(&self, arguments: &[&str]) -> (i32, String) {
        let output = portcullis().current_dir(self.0.path()).args(arguments).run();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code().unwrap(), text(output.stdout) + &text(output.stderr))
    }
}

fn config(source: &Path, more: &str) -> String {
    format!("[upstream]\nservers = []\n[[list]]\nname = \"l\"\nsource = \"{}\"\n{more}\n", source.display())
}

/// What the server says to each name, over the wire.
fn verdicts(server: &Server, names: &[&str]) -> Vec<String> {
    names.iter().map(|name| server.ask(name, "A").status()).collect()
}

const NAMES: [&str; 7] =
    ["a.test", "www.a.test", "x.www.a.test", "nota.test", "b.test", "deep.er.b.test", "test"];
const ANSWERS: [&str; 7] = ["NXDOMAIN", "NXDOMAIN", "NXDOMAIN", "REFUSED", "NXDOMAIN", "NXDOMAIN", "REFUSED"];

#[test]
fn one_list_in_seven_formats_gives_the_same_answers() {
    let zone = "$TTL 60\n@ SOA ns.rpz. host.rpz. 1 2 3 4 5\n@ NS ns.rpz.\n\
                a.test CNAME .\n*.a.test CNAME .\nb.test CNAME .\n*.b.test CNAME .\n";
    for (format, text, more) in [
        ("domains", "a.test\nb.test\n", ""),
        ("wildcard", "a.test\n*.a.test\nb.test\n*.b.test\n", "match = \"exact\""),
        ("hosts", "0.0.0.0 a.test b.test\n", "match = \"suffix\""),
        ("adguard", "||a.test^\n||b.test^\n", ""),
        ("dnsmasq", "address=/a.test/b.test/\n", ""),
        ("unbound", "local-zone: \"a.test\" always_nxdomain\nlocal-zone: b.test. always_nxdomain\n", ""),
        ("rpz", zone, ""),
    ] {
        let folder = Folder::with(&[("list", text.as_bytes())]);
        // Named, and guessed from the first lines; and compiled.
        for word in [format, "auto"] {
            let more = format!("{more}\nformat = \"{word}\"");
            let server = Server::start(&config(&folder.path("list"), &more), &[]);
            assert_eq!(verdicts(&server, &NAMES), ANSWERS, "{format} read as {word}");
        }
        let matching = if more.contains("exact") { "exact" } else { "suffix" };
        let (code, said) =
            folder.run(&["compile", "list", "-o", "index", "--format", format, "--match", matching]);
        assert_eq!(code, 0, "{said}");
        let server = Server::start(&config(&folder.path("index"), "format = \"index\""), &[]);
        assert_eq!(verdicts(&server, &NAMES), ANSWERS, "{format} compiled");
    }
}

#[test]
fn the_closest_rule_of_a_list_decides_where_its_format_has_it_so() {
    let zone = "@ SOA a. b. 1 2 3 4 5\n";
    for (format, text, name, status) in [
        (
            "unbound",
            "local-zone: \"a.test.\" transparent\nlocal-data: \"www.a.test. A 192.0.2.1\"",
            "www.a.test",
            "NOERROR",
        ),
        (
            "unbound",
            "local-zone: a.test transparent\nlocal-zone: bad.a.test always_nxdomain",
            "x.bad.a.test",
            "NXDOMAIN",
        ),
        ("unbound", "local-zone: test always_nxdomain\nlocal-zone: a.test inform", "a.test", "REFUSED"),
        ("unbound", "local-zone: test always_nxdomain\nlocal-zone: a.test inform", "b.test", "NXDOMAIN"),
        ("dnsmasq", "server=/a.test/#\naddress=/bad.a.test/", "bad.a.test", "NXDOMAIN"),
        ("dnsmasq", "server=/a.test/#\naddress=/bad.a.test/", "good.a.test", "REFUSED"),
        ("rpz", &format!("{zone}*.a.test CNAME rpz-passthru.\nbad.a.test CNAME ."), "bad.a.test", "NXDOMAIN"),
        ("rpz", &format!("{zone}*.a.test CNAME .\nx.b.a.test CNAME ."), "y.b.a.test", "REFUSED"),
        ("rpz", &format!("{zone}*.a.test CNAME .\nx.b.a.test CNAME ."), "y.c.a.test", "NXDOMAIN"),
        ("adguard", "@@||a.test^\n||bad.a.test^", "bad.a.test", "REFUSED"),
    ] {
        let folder = Folder::with(&[("list", text.as_bytes())]);
        let server = Server::start(&config(&folder.path("list"), &format!("format = \"{format}\"")), &[]);
        assert_eq!(server.ask(name, "A").status(), status, "{format} {text} {name}");
    }
}

#[test]
fn an_expression_that_is_too_large_costs_only_its_line() {
    let folder = Folder::with(&[("list", b"||fine.test^\n/(.)?ad.{0,20}track.{0,20}/\n")]);
    let server = Server::start(&config(&folder.path("list"), ""), &[]);
    assert_eq!(verdicts(&server, &["fine.test", "adtrack.test"]), ["NXDOMAIN", "REFUSED"]);
}

#[test]
fn packed_lists_are_read_as_they_are() {
    // `gz.test` and `zst.test`, packed by gzip and zstd.
    let gz =
        b"\x1f\x8b\x08\0\0\0\0\0\x02\x03\x4b\xaf\xd2\x2b\x49\x2d\x2e\xe1\x02\0\x33\x5f\x29\x37\x08\0\0\0";
    let zst = b"\x28\xb5\x2f\xfd\x04\x68\x49\0\0zst.test\x0a\x24\xb6\xfe\x52";
    // Frames one after the other are one file, and one may be skipped.
    let skipped = b"\x50\x2a\x4d\x18\x04\0\0\0abcd";
    let folder = Folder::with(&[("packed", &[&skipped[..], zst, zst].concat())]);
    let (code, said) = folder.run(&["compile", "packed", "-o", "index"]);
    assert!(code == 0 && said.contains("2 lines (domains, packed): 1 used, 1 duplicate"), "{said}");
    let mut wrong = zst.to_vec();
    wrong[zst.len() - 1] ^= 1;
    let folder = Folder::with(&[("packed", &wrong)]);
    let (code, said) = folder.run(&["compile", "packed", "-o", "index"]);
    assert!(code == 2 && said.contains("checksum"), "{said}");
    for (name, bytes) in [("gz.test", &gz[..]), ("zst.test", zst)] {
        let folder = Folder::with(&[("packed", bytes)]);
        let server = Server::start(&config(&folder.path("packed"), ""), &[]);
        assert_eq!(verdicts(&server, &[name, "other.test"]), ["NXDOMAIN", "REFUSED"]);
        let cut = Folder::with(&[("packed", &bytes[..bytes.len() - 6])]);
        let (code, said) = cut.run(&["compile", "packed", "-o", "index"]);
        assert!(code == 2 && said.contains("packed") && !cut.path("index").exists(), "{said}");
    }
}

#[test]
fn the_same_rules_give_the_same_file_and_a_damaged_one_is_refused() {
    let mut lines: Vec<String> =
        (0..500).map(|i| format!("||n{}.of{}.test^", i * 7919 % 500, i % 13)).collect();
    lines.push("/^ads[0-9]+\\./".into());
    lines.push("@@||n1.of7.test^$important".into());
    lines.extend((1..5).map(|i| format!("||many.test^$client=192.0.2.{i}")));
    lines.extend((1..5).map(|i| format!("||stub.test^$dnsrewrite=192.0.2.{i}")));
    let one = lines.join("\n");
    lines.reverse();
    let folder = Folder::with(&[("one", one.as_bytes()), ("two", lines.join("\n").as_bytes())]);
    for (list, index) in [("one", "1"), ("two", "2")] {
        // The name of the list stands in the file, the lines do not.
        fs::copy(folder.path(list), folder.path("list")).unwrap();
        let (code, said) =
            folder.run(&["compile", "list", "-o", index, "--no-origins", "--format", "adguard"]);
        assert_eq!(code, 0, "{said}");
    }
    let bytes = fs::read(folder.path("1")).unwrap();
    assert!(bytes == fs::read(folder.path("2")).unwrap(), "the order of the lines changed the index");
    fs::write(folder.path("toml"), config(&folder.path("bad"), "format = \"index\"")).unwrap();
    // Every part of the file is under a checksum: cut or changed anywhere, it is refused.
    for at in (0..bytes.len()).step_by(bytes.len() / 30) {
        for cut in [true, false] {
            let mut bad = bytes.clone();
            if cut {
                bad.truncate(at);
            } else {
                bad[at] ^= 4;
            }
            fs::write(folder.path("bad"), &bad).unwrap();
            let (code, said) = folder.run(&["check", "-c", "toml"]);
            assert_eq!(code, 2, "octet {at}, cut: {cut}: {said}");
            assert!(said.starts_with("portcullis: list `l` (") && said.contains("index"), "{said}");
        }
    }
}

#[test]
fn a_reload_with_a_damaged_index_leaves_the_good_one_serving() {
    let folder = Folder::with(&[("list", b"a.test\n"), ("more", b"a.test\nb.test\n")]);
    assert_eq!(folder.run(&["compile", "list", "-o", "index"]).0, 0);
    let server = Server::start(&config(&folder.path("index"), ""), &[]);
    let names = ["a.test", "b.test"];
    assert_eq!(verdicts(&server, &names), ["NXDOMAIN", "REFUSED"]);
    fs::write(folder.path("bad"), &fs::read(folder.path("index")).unwrap()[..100]).unwrap();
    fs::rename(folder.path("bad"), folder.path("index")).unwrap();
    server.signal("-HUP");
    // The next good one shows that this one was tried.
    assert_eq!(verdicts(&server, &names), ["NXDOMAIN", "REFUSED"]);
    assert_eq!(folder.run(&["compile", "more", "-o", "index"]).0, 0);
    server.signal("-HUP");
    until("the new rules", || verdicts(&server, &names) == ["NXDOMAIN", "NXDOMAIN"]);
}

/// Whatever becomes of the file, the server has the octets that it checked.
#[test]
fn an_index_that_is_overwritten_in_place_goes_on_serving() {
    // Long enough to be in large pages.
    let names: String = (0..100_000).map(|n| format!("n{n}.test\n")).collect();
    for long in [false, true] {
        let list = format!("a.test\n{}", if long { &names } else { "" });
        let folder = Folder::with(&[("list", list.as_bytes())]);
        assert_eq!(folder.run(&["compile", "list", "-o", "index"]).0, 0);
        let index = folder.path("index");
        let server = Server::start(&config(&index, "format = \"index\"\n"), &[]);
        let (octets, mut refused) = (fs::read(&index).unwrap(), 0);
        let overwrite = |with: &[u8], cut: bool| {
            let mut file = fs::File::options().write(true).open(&index).unwrap();
            file.write_all(with).unwrap();
            if cut {
                file.set_len(0).unwrap();
            }
        };
        for (what, with, cut) in [
            ("zeros", vec![0; octets.len()], false),
            ("noise", vec![0xa5; octets.len()], false),
            ("nothing", vec![], true),
        ] {
            overwrite(&with, cut);
            assert_eq!(
                verdicts(&server, &["a.test", "b.test"]),
                ["NXDOMAIN", "REFUSED"],
                "{what}, long: {long}"
            );
            // A reload refuses it, by the checksum, and goes on as before.
            server.signal("-HUP");
            refused += 1;
            until("the reload is refused", || server.child.log().matches("not reloaded").count() == refused);
            assert_eq!(
                verdicts(&server, &["a.test", "b.test"]),
                ["NXDOMAIN", "REFUSED"],
                "{what}, long: {long}"
            );
        }
    }
}

#[test]
fn every_line_is_accounted_for() {
    let list = "! a comment\n||a.test^\n||a.test^\n||b.a.test^\n||c.test^$third-party\n||d..test^\n||e.test^\n\
                ||e.test^$badfilter\n\n";
    let folder = Folder::with(&[("list", list.as_bytes())]);
    fs::write(folder.path("toml"), config(Path::new("list"), "")).unwrap();
    for arguments in [&["check", "-c", "toml", "--lines"][..], &["compile", "list", "-o", "index", "--lines"]]
    {
        let (code, said) = folder.run(arguments);
        assert_eq!(code, 0);
        for expected in [
            "9 lines (adguard, list): 2 used, 1 duplicate, 1 covered by a broader rule, 1 taken back, \
             1 unsupported, 1 invalid, 2 empty or comment",
            "line 3: duplicate of an earlier rule of the list: a.test",
            "line 4: covered by a broader rule of the list: b.a.test",
            "line 5: the modifier `third-party` means nothing to a name server: ||c.test^$third-party",
            "line 6: a label is empty: ||d..test^",
            "line 7: cancelled by a $badfilter rule: e.test",
        ] {
            assert!(said.contains(expected), "{expected}\nnot in:\n{said}");
        }
    }
    let (code, said) = folder.run(&["compile", "list", "-o", "strict", "--strict"]);
    assert!(code == 1 && said.contains("not written") && !folder.path("strict").exists(), "{said}");
}

#[test]
fn what_is_no_list_is_refused() {
    for (bytes, word) in [
        (&b"<!DOCTYPE html>\n<html><body>404</body></html>\n"[..], "web page"),
        (b"\x7fELF\x02\0\0\0\0\0\0\0\0", "binary"),
    ] {
        let folder = Folder::with(&[("list", bytes)]);
        let (code, said) = folder.run(&["compile", "list", "-o", "index"]);
        assert!(code == 2 && said.contains(word), "{said}");
    }
}

/// The commands that take lists say which file is to blame, and no key of a configuration.
#[test]
fn a_list_of_the_command_line_that_cannot_be_read_is_named() {
    let folder = Folder::with(&[("ads", b"a.test\n"), ("page", b"<!DOCTYPE html>\n"), ("none", b"")]);
    for (arguments, expected) in [
        (&["lists", "diff", "ads", "nope"][..], "list `nope`: no such file; name a file that can be read\n"),
        (&["compile", "nope", "-o", "index"], "list `nope`: no such file; name a file that can be read\n"),
        (
            &["compile", "nope", "ads", "page", "-o", "index"],
            "list `nope`: no such file; name a file that can be read\n\
             list `page`: this is a web page, not a list; fetch the list itself\n",
        ),
        (
            &["lists", "diff", "gone", "nope"],
            "list `gone`: no such file; name a file that can be read\n\
             list `nope`: no such file; name a file that can be read\n",
        ),
    ] {
        assert_eq!(folder.run(arguments), (2, format!("portcullis: {expected}")), "{arguments:?}");
    }
    let (code, said) = folder.run(&["compile", "none", "-o", "index"]);
    assert_eq!(code, 0);
    assert!(said.contains("warning: the list `none` (none) gives no rules: the file is empty\n"), "{said}");
}

#[test]
fn a_diff_tells_which_names_change_their_verdict() {
    let folder = Folder::with(&[
        ("old", b"||a.test^\n||b.test^\n@@||good.b.test^\n"),
        ("new", b"||a.test^\n||x.a.test^\n||b.test^\n||c.test^\n"),
        ("same", b"||b.test^\n@@||good.b.test^\n||www.b.test^\n||a.test^\n"),
    ]);
    let (code, said) = folder.run(&["lists", "diff", "old", "new"]);
    assert_eq!(code, 1);
    assert!(said.contains("\nc.test: pass -> blocked by ||c.test^ (new:4)\n"), "{said}");
    assert!(
        said.contains("good.b.test: allowed by @@||good.b.test^ (old:3) -> blocked by ||b.test^ (new:3)"),
        "{said}"
    );
    assert!(!said.contains("a.test:"), "a rule that changes nothing is no change: {said}");
    let (_, said) = folder.run(&["lists", "diff", "old", "new", "--json"]);
    let lines: Vec<serde_json::Value> = said.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert!(lines.iter().any(|l| l["name"] == "c.test" && l["old"] == "pass"), "{said}");
    assert_eq!(folder.run(&["compile", "same", "-o", "index"]).0, 0);
    assert_eq!(folder.run(&["lists", "diff", "old", "index"]), (0, "no name changes its verdict\n".into()));
    assert_eq!(folder.run(&["lists", "diff", "old", "gone"]).0, 2);
    let folder = Folder::with(&[("old", b"*.a.test\n"), ("new", b"a.test\n")]);
    assert_eq!(folder.run(&["lists", "diff", "old", "new"]), (0, "no name changes its verdict\n".into()));
    let (code, said) = folder.run(&["lists", "diff", "old", "new", "--match", "below"]);
    assert!(code == 1 && said.contains("a.test: pass -> blocked by ||a.test^ (new:1)\n1 change"), "{said}");
}

#[test]
fn a_diff_asks_as_every_client_and_for_every_type_that_a_rule_names() {
    for (old, new, expected) in [
        ("||a.test^$dnstype=AAAA", "||b.test^\n||b.test^$badfilter", "a.test AAAA: blocked by"),
        ("||a.test^$denyallow=b.a.test", "||a.test^", "b.a.test: pass -> blocked by"),
        ("||a.test^\n/ads[0-9]/", "||a.test^\n@@/ads[0-9]/", "pattern @@/ads[0-9]/: added"),
        (
            "||a.test^$client=10.0.0.1",
            "||c.test^$client=10.0.0.1",
            "c.test asked by 10.0.0.1: pass -> blocked by",
        ),
        ("||a.test^", "||a.test^\n@@||a.test^$client=kid", "a.test asked by client `kid`: blocked by"),
        ("||a.test^", "||a.test^\n@@||a.test^$ctag=~phone", "a.test: blocked by"),
        ("@@||a.test^", "@@||b.test^", "a.test: allowed by"),
    ] {
        let folder = Folder::with(&[("old", old.as_bytes()), ("new", new.as_bytes())]);
        let (code, said) = folder.run(&["lists", "diff", "old", "new"]);
        assert!(code == 1 && said.contains(expected), "{old}\n{new}\n{said}");
    }
}

#[test]
fn rules_for_some_clients_types_and_with_answers_of_their_own() {
    let list = "||kids.test^$client=kid\n||phones.test^$ctag=phone\n||six.test^$dnstype=AAAA\n\
                ||stub.test^$dnsrewrite=192.0.2.9\n||mail.test^$dnsrewrite=NOERROR;MX;10 mx.test\n\
                ||alias.test^$dnsrewrite=safe.test\n||no.test^$dnsrewrite=REFUSED\n/^ads[0-9]+\\./\n";
    let folder = Folder::with(&[("list", list.as_bytes())]);
    let client = |address: &str| {
        format!(
            "format = \"adguard\"\n[[client]]\nname = \"kid\"\naddresses = [\"{address}\"]\ntags = [\"phone\"]"
        )
    };
    for (address, scoped) in [("127.0.0.0/8", "NXDOMAIN"), ("192.0.2.0/24", "REFUSED")] {
        let server = Server::start(&config(&folder.path("list"), &client(address)), &[]);
        assert_eq!(verdicts(&server, &["kids.test", "phones.test"]), [scoped, scoped]);
        // A passes, so the name exists.
        let six = server.ask("six.test", "AAAA").text();
        assert!(six.starts_with("status: NOERROR") && six.contains("authority  six.test."), "{six}");
        assert_eq!(
            server.ask("six.test", "A").text(),
            "status: REFUSED, flags: qr rd ra\nEDE: 20 (Not Authoritative)\n"
        );
        // The operator's own data, not a refusal.
        let forged = "EDE: 4 (Forged Answer): l\n";
        for (name, qtype, answer) in [
            ("stub.test", "A", "stub.test. 60 IN A 192.0.2.9"),
            ("www.mail.test", "MX", "www.mail.test. 60 IN MX 10 mx.test."),
            ("alias.test", "A", "alias.test. 60 IN CNAME safe.test."),
        ] {
            let text = server.ask(name, qtype).told();
            assert_eq!(
                text,
                format!("status: NOERROR, flags: qr rd ra\n{forged}answer     {answer}\n"),
                "{name}"
            );
        }
        assert!(server.ask("no.test", "A").text().starts_with("status: REFUSED, flags: qr rd ra\nEDE: 15"));
        assert_eq!(
            verdicts(&server, &["ads12.elsewhere.test", "ads.elsewhere.test"]),
            ["NXDOMAIN", "REFUSED"]
        );
    }
}

/// The formats that only one other program has: what each line blocks, named and guessed.
#[test]
fn lists_of_other_programs_mean_what_they_mean_there() {
    let regex = "^ad[0-9]+\\.\n(\\.|^)tracker\\.test$\n^six\\.test$;querytype=AAAA\nads(?!x)\n";
    let dnscrypt = "=exact.test\n*.star.test\nplain.test\n*part*\nads.*\nx[0-9].class.test\n";
    let v2fly = "plain.test\nfull:exact.test\nkeyword:part\nregexp:^ad[0-9]+\\.\n";
    for (format, text, blocked, passed) in [
        (
            "regex",
            regex,
            &["ad12.test", "tracker.test", "a.tracker.test"][..],
            &["ad.test", "x.ad1.test", "nottracker.test", "six.test"][..],
        ),
        (
            "dnscrypt",
            dnscrypt,
            &[
                "exact.test",
                "star.test",
                "a.star.test",
                "a.plain.test",
                "xparty.test",
                "ads.y",
                "x1.class.test",
            ],
            &["a.exact.test", "notplain.test", "roads.y", "xx.class.test"],
        ),
        (
            "v2fly",
            v2fly,
            &["plain.test", "a.plain.test", "exact.test", "a.party.test", "ad1.y"],
            &["a.exact.test", "notplain.test", "ad.y"],
        ),
    ] {
        let folder = Folder::with(&[("list", text.as_bytes())]);
        for word in [format, "auto"] {
            let more = format!("format = \"{word}\"");
            let server = Server::start(&config(&folder.path("list"), &more), &[]);
            for name in blocked {
                assert_eq!(server.ask(name, "A").status(), "NXDOMAIN", "{format} read as {word}: {name}");
            }
            for name in passed {
                assert_eq!(server.ask(name, "A").status(), "REFUSED", "{format} read as {word}: {name}");
            }
        }
        let (code, said) = folder.run(&["compile", "list", "-o", "index"]);
        assert!(code == 0 && said.contains(&format!("({format}, list)")), "{said}");
        let server = Server::start(&config(&folder.path("index"), ""), &[]);
        assert_eq!(server.ask(blocked[0], "A").status(), "NXDOMAIN", "{format} compiled");
    }
    let folder = Folder::with(&[("list", regex.as_bytes())]);
    let server = Server::start(&config(&folder.path("list"), ""), &[]);
    assert_ne!(server.ask("six.test", "AAAA").status(), "REFUSED");
    fs::write(folder.path("toml"), config(Path::new("list"), "")).unwrap();
    let (code, said) = folder.run(&["check", "-c", "toml"]);
    assert!(code == 0 && said.contains("line 4: not supported: look-around in an expression"), "{said}");
}

/// What `*.name` is, and that `check` says so.
#[test]
fn check_tells_how_an_asterisk_before_a_name_is_read() {
    for (format, text) in [
        ("wildcard", "*.a.test\nad*.b.test\n"),
        ("domains", "*.a.test\nb.test\n"),
        ("adguard", "*.a.test\n||b.test^\n"),
        ("dnscrypt", "*.a.test\n=b.test\n"),
    ] {
        let folder = Folder::with(&[("list", text.as_bytes())]);
        for (matching, apex, word, note) in [
            (
                "",
                "NXDOMAIN",
                "suffix",
                "1 line `*.name`, read as the name and everything below it; `match = \"below\"` excludes",
            ),
            (
                "match = \"suffix\"",
                "NXDOMAIN",
                "suffix",
                "1 line `*.name`, read as the name and everything below it",
            ),
            ("match = \"below\"", "REFUSED", "below", "1 line `*.name`, read as what is below the name"),
        ] {
            let text = config(&folder.path("list"), &format!("format = \"{format}\"\n{matching}"));
            let server = Server::start(&text, &[]);
            assert_eq!(
                verdicts(&server, &["a.test", "x.a.test", "x.y.a.test"]),
                [apex, "NXDOMAIN", "NXDOMAIN"],
                "{format} {matching}"
            );
            fs::write(folder.path("toml"), &text).unwrap();
            let (code, said) = folder.run(&["check", "-c", "toml"]);
            assert!(code == 0 && said.contains(note), "{said}");
            let (_, said) = folder.run(&["check", "-c", "toml", "--json"]);
            let json: serde_json::Value = serde_json::from_str(&said).unwrap();
            assert_eq!(json["lists"][0]["reading"]["star_match"], word, "{said}");
        }
        // An index keeps the reading.
        for (matching, apex) in [("suffix", "NXDOMAIN"), ("below", "REFUSED")] {
            let arguments = ["compile", "list", "-o", "index", "--format", format, "--match", matching];
            let (code, said) = folder.run(&arguments);
            assert_eq!(code, 0, "{said}");
            let server = Server::start(&config(&folder.path("index"), ""), &[]);
            assert_eq!(verdicts(&server, &["a.test", "x.a.test"]), [apex, "NXDOMAIN"]);
        }
    }
    // A setting without effect is told, and so is a list of dnsmasq that leaves half of a name.
    let folder = Folder::with(&[("list", b"address=/a.test/::\n")]);
    fs::write(folder.path("toml"), config(Path::new("list"), "match = \"suffix\"")).unwrap();
    let (_, said) = folder.run(&["check", "-c", "toml"]);
    assert!(said.contains("`match` changes nothing in this list"), "{said}");
    assert!(said.contains("1 line with an address of one family: questions for the other pass"), "{said}");
}

/// `@schedule` in dnscrypt-proxy's lists: `[[schedule]]` of that name, for groups too.
#[test]
fn a_line_with_a_schedule_applies_only_then() {
    let list = "always.test\nnever.test @past\nnow.test @open\ngone.test @nowhere\n";
    let folder = Folder::with(&[("list", list.as_bytes())]);
    let more = "format = \"dnscrypt\"\n\
        [[list]]\nname = \"other\"\nrules = [\"||other.test^\"]\n\
        [[schedule]]\nname = \"past\"\nzone = \"UTC\"\nuntil = \"2020-01-01T00:00:00Z\"\n\
        [[schedule]]\nname = \"open\"\nzone = \"UTC\"\nfrom = \"2020-01-01T00:00:00Z\"\n\
        [[group]]\nname = \"g\"\nclients = [\"127.0.0.0/8\"]\nlists = [\"l\"]\n";
    let server = Server::start(&config(&folder.path("list"), more), &[]);
    assert_eq!(
        verdicts(&server, &["always.test", "never.test", "now.test", "gone.test", "other.test"]),
        ["NXDOMAIN", "REFUSED", "NXDOMAIN", "REFUSED", "REFUSED"]
    );
    fs::write(folder.path("toml"), config(Path::new("list"), more)).unwrap();
    let (_, said) = folder.run(&["check", "-c", "toml"]);
    assert!(said.contains("list l: 4 lines (dnscrypt, list): 3 used, 1 unsupported"), "{said}");
    assert!(said.contains("line 4: no [[schedule]] has the name `nowhere`: gone.test @nowhere"), "{said}");
    let (_, said) = folder.run(&["explain", "now.test", "-c", "toml", "--client", "127.0.0.1"]);
    assert!(said.contains("(l, line 3)"), "{said}");
    // Windows of the list and windows of the line: no schedule can say both.
    let times = "zone = \"UTC\"\nwindows = [\"daily 00:00-12:00\"]";
    let more = format!(
        "format = \"dnscrypt\"\nschedule = \"list\"\n\
         [[schedule]]\nname = \"list\"\n{times}\n[[schedule]]\nname = \"open\"\n{times}\n\
         [[schedule]]\nname = \"past\"\nzone = \"UTC\"\nwindows = [\"Mon 01:00-02:00\"]\n"
    );
    fs::write(folder.path("toml"), config(Path::new("list"), &more)).unwrap();
    let (_, said) = folder.run(&["check", "-c", "toml"]);
    let expected =
        "line 2: not supported: a rule with its own schedule in a list that has one too: never.test";
    assert!(said.contains(expected) && said.contains("2 used, 2 unsupported"), "{said}");
    // A compiled index has no times: nothing is blocked at all times instead.
    let (_, said) = folder.run(&["compile", "list", "-o", "index", "--format", "dnscrypt"]);
    assert!(said.contains("1 used, 3 unsupported"), "{said}");
}

/// v2fly's lists: files that a line names, and rules by their attributes.
#[test]
fn a_domain_list_takes_in_the_files_beside_it() {
    let list = "a.test @ads\nb.test @cn\ninclude:more @ads\ninclude:gone\n";
    let folder =
        Folder::with(&[("list", list.as_bytes()), ("more", b"c.test @ads\nd.test\nfull:e.test @ads @cn\n")]);
    let names = ["a.test", "b.test", "c.test", "d.test", "e.test"];
    for (more, expected) in [
        ("", ["NXDOMAIN", "NXDOMAIN", "NXDOMAIN", "REFUSED", "NXDOMAIN"]),
        ("attributes = [\"ads\"]", ["NXDOMAIN", "REFUSED", "NXDOMAIN", "REFUSED", "NXDOMAIN"]),
        ("attributes = [\"ads\", \"-cn\"]", ["NXDOMAIN", "REFUSED", "NXDOMAIN", "REFUSED", "REFUSED"]),
    ] {
        let server = Server::start(&config(&folder.path("list"), more), &[]);
        assert_eq!(verdicts(&server, &names), expected, "{more}");
    }
    fs::write(folder.path("toml"), config(Path::new("list"), "attributes = [\"ads\"]")).unwrap();
    let (code, said) = folder.run(&["check", "-c", "toml"]);
    assert!(code == 0 && said.contains("2 lines left out by `attributes`"), "{said}");
    assert!(said.contains("line 4: the file `gone` can't be included: no such file"), "{said}");
    let (_, said) = folder.run(&["explain", "c.test", "-c", "toml"]);
    assert!(said.contains("(l, line 3)"), "{said}");
    // Attributes of a list that has none are a mistake, not a list without a condition.
    let folder = Folder::with(&[("list", b"||a.test^\n")]);
    fs::write(folder.path("toml"), config(Path::new("list"), "attributes = [\"ads\"]")).unwrap();
    let (code, said) = folder.run(&["check", "-c", "toml"]);
    assert!(code == 2 && said.contains("only rules of the format v2fly have `attributes`"), "{said}");
    fs::write(folder.path("toml"), config(Path::new("list"), "format = \"hosts\"\nattributes = [\"ads\"]"))
        .unwrap();
    let (code, said) = folder.run(&["check", "-c", "toml"]);
    assert!(code == 2 && said.contains("only the rules of v2fly lists have attributes"), "{said}");
}
