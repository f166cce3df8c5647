//! What a running server with this configuration serves, to compare with what it would serve after a reload.

use crate::settings::Settings;
use crate::sources::ListReport;

/// Notes for each list how many rules the running server has of it, if a server answers on the socket of the
/// configuration: `check` then warns of a list that has shrunk.
#[cfg(unix)]
pub(super) fn compare(settings: &Settings, lists: &mut [ListReport]) {
    use std::io::{BufRead, BufReader, Read, Write};
    use std::os::unix::net::UnixStream;
    use std::time::Duration;

    use serde_json::Value;

    /// How long the server may take.
    const PATIENCE: Duration = Duration::from_secs(2);
    /// The longest answer, in octets.
    const LONGEST: u64 = 16 << 20;

    let Some(control) = &settings.control else { return };
    let asked = || -> std::io::Result<Value> {
        let mut stream = UnixStream::connect(&control.socket)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.write_all(b"{\"do\":\"lists\"}\n")?;
        let mut line = String::new();
        BufReader::new(stream.take(LONGEST)).read_line(&mut line)?;
        Ok(serde_json::from_str(&line)?)
    };
    // Usually no server runs, and that is not a mistake.
    let Ok(answer) = asked() else { return };
    for served in answer.get("lists").and_then(Value::as_array).into_iter().flatten() {
        let name = served.get("name").and_then(Value::as_str);
        let rules = served.get("rules").and_then(Value::as_u64).and_then(|n| usize::try_from(n).ok());
        let same = |list: &&mut ListReport| list.in_file && Some(list.name.as_str()) == name;
        if let Some(list) = lists.iter_mut().find(same) {
            list.before = rules;
        }
    }
}

/// This system has no Unix sockets.
#[cfg(not(unix))]
pub(super) fn compare(_: &Settings, _: &mut [ListReport]) {}
