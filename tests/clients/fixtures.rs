//! The fixtures that docs/testing.md shows for other languages, run with the program as it was built. That for
//! Rust, `fixtures/rust.rs`, is a part of the tests of the engine.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_methods)]

use std::path::{Path, PathBuf};
use std::process::Command;

use libtest_mimic::Trial;

use crate::client::{NODE, PYTEST, test};
use crate::common::Run;

pub fn tests() -> Vec<Trial> {
    vec![
        test("fixtures::pytest", &[PYTEST], pytest),
        test("fixtures::node", &[NODE], node),
        test("fixtures::the_documentation_shows_them", &[], the_documentation_shows_them),
    ]
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

/// Runs the tests of another language; all must pass, and some must be there.
fn passes(command: &mut Command, passed: &str) {
    let done = command
        .current_dir(folder())
        .env("PORTCULLIS", env!("CARGO_BIN_EXE_portcullis"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .run();
    let text = String::from_utf8_lossy(&done.stdout) + String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success() && text.contains(passed), "{text}");
}

fn pytest() {
    passes(
        Command::new(PYTEST.path()).args(["-m", "pytest", "-q", "-p", "no:cacheprovider", "pytest"]),
        "3 passed",
    );
}

fn node() {
    passes(Command::new(NODE.path()).args(["--test", "node/censored.test.mjs"]), "pass 3");
}

/// What the documentation shows is what is tested.
fn the_documentation_shows_them() {
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
