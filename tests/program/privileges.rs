//! What the process may do once it serves.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use crate::common::{Run, Server, portcullis, until};

const CONFIG: &str = "user = \"nobody\"\n[upstream]\nservers = []\n[[list]]\nname = \"l\"\nsource = \"list\"\n\
                      [control]\nsocket = \"s\"\n";

/// Each thread's real, effective and saved user, and its permitted capabilities.
fn threads(server: &Server) -> Vec<(String, String)> {
    let folder = format!("/proc/{}/task", server.child.id());
    let status = |thread: fs::DirEntry| fs::read_to_string(thread.path().join("status")).ok();
    let all = fs::read_dir(folder).unwrap().filter_map(Result::ok).filter_map(status);
    let line = |status: &str, key: &str| {
        let value = status.lines().find_map(|line| line.strip_prefix(key)).unwrap();
        value.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    all.map(|status| (line(&status, "Uid:"), line(&status, "CapPrm:"))).collect()
}

#[test]
fn root_becomes_the_user_with_all_threads_and_still_reloads() {
    let folder = tempfile::tempdir().unwrap();
    if folder.path().metadata().unwrap().uid() != 0 {
        // Whoever is not root is told.
        let config = folder.path().join("portcullis.toml");
        fs::write(folder.path().join("list"), "a.test\n").unwrap();
        fs::write(&config, format!("[server]\nlisten = [\"127.0.0.1:0\"]\n{CONFIG}")).unwrap();
        let output = portcullis().args(["serve", "--config"]).arg(config).run();
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && told.contains("only root can become another user"), "{told}");
        return;
    }
    let mut server = Server::start(CONFIG, &[("list", "a.test\n")]);
    let threads = threads(&server);
    assert!(threads.len() > 2, "{threads:?}");
    for (users, capabilities) in threads {
        let user = users.split(' ').next().unwrap();
        assert_ne!(user, "0");
        assert_eq!((users.as_str(), capabilities.as_str()), (&*[user; 4].join(" "), "0000000000000000"));
    }
    assert_eq!(server.ask("a.test", "A").status(), "NXDOMAIN");
    // What it may not read, a reload may not either.
    let folder_mode =
        |mode| fs::set_permissions(server.folder.path(), fs::Permissions::from_mode(mode)).unwrap();
    folder_mode(0o700);
    server.signal("-HUP");
    until("the reload fails", || server.child.log().contains("not reloaded"));
    folder_mode(0o755);
    fs::write(server.folder.path().join("list"), "b.test\n").unwrap();
    server.signal("-HUP");
    until("the new list", || server.ask("b.test", "A").status() == "NXDOMAIN");
    let status =
        portcullis().args(["ctl", "--socket"]).arg(server.folder.path().join("s")).arg("status").run();
    assert!(status.status.success(), "{status:?}");
    server.stop();
}

#[test]
fn an_unknown_user_is_an_error_before_anything_is_bound() {
    let config =
        CONFIG.replace("nobody", "no such user").replace("source = \"list\"", "rules = [\"a.test\"]");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("portcullis.toml");
    fs::write(&path, format!("[server]\nlisten = [\"127.0.0.1:0\"]\n{config}")).unwrap();
    let output = portcullis().args(["serve", "--ready-json", "--config"]).arg(path).run();
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{told}");
    assert!(told.contains("there is no such user") && output.stdout.is_empty(), "{told}");
}
