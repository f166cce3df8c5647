//! `[data]`: the folder for what the server keeps.

use super::check::Check;
use super::key::{Form, Key, Kind};
use super::table::Table;
use crate::settings::DataSettings;

const FOLDER: Key = Key::required("folder", Kind::TextOf("a path"))
    .like(r#""/var/lib/portcullis""#)
    .means("The folder for what the server keeps; it is made if it does not exist. The query log is in `log` below it.");

pub(super) static FORM: Form = Form {
    header: "[data]",
    meaning: "The folder for what the server keeps. Without this table: nothing is kept.",
    keys: &[FOLDER],
    also: &[("path", "folder"), ("dir", "folder"), ("directory", "folder")],
};

impl Check<'_> {
    pub(super) fn data(&mut self, mut table: Table<'_>) -> Option<DataSettings> {
        let text = table.text(self, FOLDER);
        let path = table.key(FOLDER);
        table.done(self, "", &[]);
        let text = text?;
        let folder = self.folder().join(text.get_ref());
        if folder.exists() && !folder.is_dir() {
            let problem = format!("`{}` is not a folder", folder.display());
            self.wrong(&path, &text.span(), problem, "name a folder");
            return None;
        }
        Some(DataSettings { folder })
    }
}
