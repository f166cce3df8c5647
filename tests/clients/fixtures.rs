//! The fixtures that docs/testing.md shows for other languages, run with the program as it was built. That for
//! Rust, `fixtures/rust.rs`, is a part of the tests of the engine.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_methods)]

use std::path::{Path, PathBuf};
use std::process::Command;

use libtest_mimic::Trial;

use crate::client::{IP, NODE, PYTEST, UNSHARE, namespaces, test, test_if};
use crate::common::Run;

pub fn tests() -> Vec<Trial> {
    vec![
        test("fixtures::pytest", &[PYTEST], pytest),
        test("fixtures::node", &[NODE], node),
        test("fixtures::python_finds_the_program", &[PYTEST], python_finds_the_program),
        test("fixtures::node_finds_the_program", &[NODE], node_finds_the_program),
        test("fixtures::the_documentation_shows_them", &[], the_documentation_shows_them),
        test_if(
            "fixtures::the_namespace_of_the_documentation_can_be_used_again",
            &[UNSHARE, IP],
            namespaces,
            the_namespace_of_the_documentation_can_be_used_again,
        ),
    ]
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

/// Runs the tests of another language in a folder; all must pass, and some must be there.
fn passes(folder: &Path, command: &mut Command, passed: &str) {
    let done = command
        .current_dir(folder)
        .env("PORTCULLIS", env!("CARGO_BIN_EXE_portcullis"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .run();
    let text = String::from_utf8_lossy(&done.stdout) + String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success() && text.contains(passed), "{text}");
}

/// The blocks of docs/testing.md in a language.
fn printed(language: &str) -> Vec<String> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/testing.md");
    let page = std::fs::read_to_string(page).unwrap();
    let fence = format!("```{language}\n");
    let blocks = page.split(&fence).skip(1);
    blocks.map(|rest| rest.split("```").next().unwrap().to_owned()).collect()
}

/// The fixture, and what the documentation prints of it, which must be enough by itself.
fn pytest() {
    let pytest = || {
        let mut command = Command::new(PYTEST.path());
        command.args(["-m", "pytest", "-q", "-p", "no:cacheprovider"]);
        command
    };
    passes(&folder(), pytest().arg("pytest"), "3 passed");
    let copy = tempfile::tempdir().unwrap();
    let [fixture, app] = &printed("python")[..] else { panic!("two files are printed") };
    std::fs::write(copy.path().join("conftest.py"), fixture).unwrap();
    std::fs::write(copy.path().join("test_app.py"), app).unwrap();
    passes(copy.path(), &mut pytest(), "2 passed");
}

fn node() {
    let node = |file: &str| {
        let mut command = Command::new(NODE.path());
        command.args(["--test", file]);
        command
    };
    passes(&folder(), &mut node("node/censored.test.mjs"), "pass 3");
    let copy = tempfile::tempdir().unwrap();
    std::fs::write(copy.path().join("censored.test.mjs"), printed("js").join("\n")).unwrap();
    passes(copy.path(), &mut node("censored.test.mjs"), "pass 2");
}

/// Loads a fixture outside the checkout with nothing but `path` to find the program on, and gives what it says.
fn found_on(program: &Path, code: &str, file: &str, path: &Path) -> String {
    let elsewhere = tempfile::tempdir().unwrap();
    let name = Path::new(file).file_name().unwrap();
    std::fs::copy(folder().join(file), elsewhere.path().join(name)).unwrap();
    let done = Command::new(program)
        .args([if file.ends_with("py") { "-c" } else { "-e" }, code])
        .arg(path)
        .current_dir(elsewhere.path())
        .env_remove("PORTCULLIS")
        .run();
    String::from_utf8_lossy(&done.stdout).into_owned() + &String::from_utf8_lossy(&done.stderr)
}

const NOT_FOUND: &str = "portcullis is not found: put it on PATH, or name it in the variable PORTCULLIS";

fn python_finds_the_program() {
    // The interpreter itself is on the path that the fixture is not to see.
    let code = "import os, sys; sys.path.insert(0, '.'); os.environ['PATH'] = sys.argv[1]; import conftest; \
                print(conftest.PORTCULLIS)";
    let built = Path::new(env!("CARGO_BIN_EXE_portcullis"));
    let on = |path: &Path| found_on(&PYTEST.path(), code, "pytest/conftest.py", path);
    assert_eq!(on(built.parent().unwrap()).trim(), built.to_str().unwrap());
    let missing = on(Path::new("/nonexistent"));
    assert!(missing.contains(NOT_FOUND), "{missing}");
}

fn node_finds_the_program() {
    let code = "process.env.PATH = process.argv[1]; import('./censored.test.mjs')";
    let built = Path::new(env!("CARGO_BIN_EXE_portcullis"));
    let on = |path: &Path| found_on(&NODE.path(), code, "node/censored.test.mjs", path);
    let passed = on(built.parent().unwrap());
    assert!(passed.contains("pass 3"), "{passed}");
    let missing = on(Path::new("/nonexistent"));
    assert!(missing.contains(NOT_FOUND), "{missing}");
}

/// The commands for a program that asks the system's resolver, twice in the same folder.
fn the_namespace_of_the_documentation_can_be_used_again() {
    let [script] = &printed("sh")[..] else { panic!("one script is printed") };
    let program = Path::new(env!("CARGO_BIN_EXE_portcullis")).parent().unwrap();
    let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap());
    let folder = tempfile::tempdir().unwrap();
    for turn in 1..=2 {
        let done = Command::new("sh")
            .args(["-c", script])
            .current_dir(folder.path())
            .env("PATH", &path)
            .env("TMPDIR", folder.path())
            .run();
        let text = String::from_utf8_lossy(&done.stdout);
        let errors = String::from_utf8_lossy(&done.stderr);
        for word in ["\"ready\":true", "no such name", "203.0.113.10"] {
            assert!(done.status.success() && text.contains(word), "turn {turn}: {word}\n{text}\n{errors}");
        }
    }
    let left = std::fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap().file_name());
    let mut left: Vec<_> = left.collect();
    left.sort();
    assert_eq!(left, ["run.jsonl", "run.pcapng"]);
}

/// What the documentation shows is what is tested.
fn the_documentation_shows_them() {
    let read = |path: PathBuf| std::fs::read_to_string(path).unwrap();
    for (language, files) in [
        ("rust", &["rust.rs"][..]),
        ("python", &["pytest/conftest.py", "pytest/test_app.py"]),
        ("js", &["node/censored.test.mjs"]),
    ] {
        let fixtures: String = files.iter().map(|file| read(folder().join(file))).collect();
        let blocks = printed(language);
        assert!(!blocks.is_empty(), "{language}");
        for block in blocks {
            assert!(fixtures.contains(&block), "not in tests/fixtures:\n{block}");
        }
    }
}
