//! `[control]`: the socket for orders at run time.

use std::path::PathBuf;

use toml::Spanned;

use super::check::Check;
use super::error::KeyPath;
use super::key::{Form, Key, Kind};
use super::table::Table;
use crate::settings::ControlSettings;

const SOCKET: Key = Key::required("socket", Kind::TextOf("a path")).like(r#""ctl.sock""#).means(
    "The socket for `portcullis ctl`. Users who may read and write this file may give orders (mode 0600).",
);
const STATE: Key = Key::optional("state", Kind::TextOf("a path"), "none are kept")
    .like(r#""orders.json""#)
    .means("The file for orders that are kept across restarts (`--keep`).");

pub(super) static FORM: Form = Form {
    header: "[control]",
    meaning: "The socket for orders at run time: pause, allow, block. Without this table: none.",
    keys: &[SOCKET, STATE],
    also: &[("path", "socket"), ("listen", "socket"), ("file", "state")],
};

impl Check<'_> {
    pub(super) fn control(&mut self, mut table: Table<'_>) -> Option<ControlSettings> {
        let socket = table.text(self, SOCKET).and_then(|text| self.new_file(&table.key(SOCKET), &text));
        let state = table.text(self, STATE).and_then(|text| self.new_file(&table.key(STATE), &text));
        if state.is_some() && socket == state {
            let problem = "it is also the path of the socket".to_owned();
            self.wrong(&table.key(STATE), &table.place(STATE.name), problem, "name a file of its own");
        }
        table.done(self, "", &[]);
        Some(ControlSettings { socket: socket?, state })
    }

    /// The path of a file that need not exist, in a folder that must.
    pub(super) fn new_file(&mut self, key: &KeyPath, text: &Spanned<String>) -> Option<PathBuf> {
        if text.get_ref().is_empty() {
            self.wrong(key, &text.span(), "the path is empty".into(), "name a file");
            return None;
        }
        let path = self.folder().join(text.get_ref());
        let within = path.parent().filter(|p| !p.as_os_str().is_empty());
        if let Some(missing) = within.filter(|folder| !folder.is_dir()) {
            let problem = format!("there is no folder `{}`", missing.display());
            let help = "create it; paths are relative to the configuration file";
            self.wrong(key, &text.span(), problem, help);
            return None;
        }
        Some(path)
    }
}
