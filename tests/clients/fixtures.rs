//! The fixtures that docs/testing.md shows for other languages, run with the program as it was built. Skipped
//! where pytest with dnspython, or Node, is not installed, unless `PORTCULLIS_CLIENTS=required` (as in
//! `.ci/run`). That for Rust is a test of its own, `fixtures/rust.rs`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_methods)]

use std::path::{Path, PathBuf};
use std::process::Command;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

/// The first of these programs that can do this; `None`: the test is skipped.
fn able(programs: &[&'static str], arguments: &[&str], what: &str) -> Option<&'static str> {
    let can = |program: &&&str| {
        Command::new(program).args(arguments).output().is_ok_and(|done| done.status.success())
    };
    let found = programs.iter().find(can).copied();
    if found.is_none() {
        assert!(std::env::var_os("PORTCULLIS_CLIENTS").is_none(), "{what} is not installed");
        eprintln!("skipped: {what} is not installed");
    }
    found
}

/// Runs the tests of another language; all must pass, and some must be there.
fn passes(command: &mut Command, passed: &str) {
    let done = command
        .current_dir(folder())
        .env("PORTCULLIS", env!("CARGO_BIN_EXE_portcullis"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&done.stdout) + String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success() && text.contains(passed), "{text}");
}

#[test]
fn pytest() {
    // The system's Python has the packages of the system, which another one before it on the path has not.
    let pythons = ["python3", "/usr/bin/python3"];
    let Some(python) = able(&pythons, &["-c", "import pytest, dns.resolver"], "pytest with dnspython") else {
        return;
    };
    passes(Command::new(python).args(["-m", "pytest", "-q", "-p", "no:cacheprovider", "pytest"]), "3 passed");
}

#[test]
fn node() {
    let Some(node) = able(&["node"], &["-e", "require('node:test')"], "Node with a test runner") else {
        return;
    };
    passes(Command::new(node).args(["--test", "node/censored.test.mjs"]), "pass 3");
}

/// What the documentation shows is what is tested.
#[test]
fn the_documentation_shows_these_fixtures() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |path: PathBuf| std::fs::read_to_string(path).unwrap();
    let page = read(root.join("docs/testing.md"));
    for (language, files) in [
        ("rust", &["rust.rs"][..]),
        ("python", &["pytest/conftest.py", "pytest/test_app.py"]),
        ("js", &["node/censored.test.mjs"]),
    ] {
        let fixtures: String = files.iter().map(|file| read(folder().join(file))).collect();
        let fence = format!("```{language}\n");
        let blocks = page.split(&fence).skip(1);
        let blocks: Vec<&str> = blocks.map(|rest| rest.split("```").next().unwrap()).collect();
        assert!(!blocks.is_empty(), "{language}");
        for block in blocks {
            assert!(fixtures.contains(block), "not in tests/fixtures:\n{block}");
        }
    }
}
