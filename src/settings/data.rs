//! `[data]`: the folder for what the server keeps.

use std::path::PathBuf;

/// The folder for what the server keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataSettings {
    /// Its path.
    pub folder: PathBuf,
}

impl DataSettings {
    /// Where the files of the query log are.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.folder.join("log")
    }
}
