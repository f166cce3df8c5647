//! The files that the lines of a v2fly list name: read from the folder of the list, within limits.

use std::fs::File;
use std::io::Read;
use std::path::{Component, Path, PathBuf};

use super::report::plain;
use crate::lists::{Budget, Format, Include, List, Reader};
use crate::settings::ListSettings;

/// How deeply files may name others.
const MAX_DEPTH: usize = 16;
/// The most files that one list may read.
const MAX_FILES: usize = 4096;
/// The most octets of all these files together.
const MAX_OCTETS: u64 = 64 << 20;

/// Reads the files that the lines of a list name into the list. A file that can't be read costs only the
/// line that names it.
pub(super) fn read(list: &mut List, path: &Path, settings: &ListSettings) {
    if list.includes.is_empty() {
        return;
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let files = folder.canonicalize().and_then(|folder| Ok((folder, path.canonicalize()?)));
    match files {
        Ok((folder, path)) => {
            let budget = list.leaves(&settings.bounds.budget);
            Files { folder, settings, open: vec![path], files: 0, octets: 0, budget }.read_into(list);
        }
        Err(error) => {
            for include in std::mem::take(&mut list.includes) {
                list.refuse(&include, plain(&error));
            }
        }
    }
}

struct Files<'s> {
    /// The folder of the list; no file outside of it is read.
    folder: PathBuf,
    settings: &'s ListSettings,
    /// The files that are being read, each named by the one before.
    open: Vec<PathBuf>,
    files: usize,
    octets: u64,
    /// The part of the list's budget that the files so far have left.
    budget: Budget,
}

impl Files<'_> {
    fn read_into(&mut self, list: &mut List) {
        for include in std::mem::take(&mut list.includes) {
            match self.file(&include) {
                Ok(file) => list.absorb(&include, &file),
                Err(why) => list.refuse(&include, why),
            }
        }
    }

    fn file(&mut self, include: &Include) -> Result<List, String> {
        let name = Path::new(&include.name);
        let inside = name.components().all(|part| matches!(part, Component::Normal(_)));
        if include.name.is_empty() || !inside || include.name.contains(char::is_control) {
            return Err("not the name of a file in the folder of the list".into());
        }
        let path = self.folder.join(name).canonicalize().map_err(|e| plain(&e))?;
        // A link may lead elsewhere.
        if !path.starts_with(&self.folder) {
            return Err("the file is not in the folder of the list".into());
        }
        let about = path.metadata().map_err(|e| plain(&e))?;
        if !about.is_file() {
            return Err("not a regular file".into());
        }
        if self.open.contains(&path) {
            return Err("the file includes itself".into());
        }
        if self.open.len() > MAX_DEPTH {
            return Err(format!("files are included more than {MAX_DEPTH} deep"));
        }
        self.files += 1;
        if self.files > MAX_FILES {
            return Err(format!("more than {MAX_FILES} files in one list"));
        }
        let mut bytes = Vec::new();
        let room = MAX_OCTETS.saturating_sub(self.octets);
        let file = File::open(&path).map_err(|e| plain(&e))?;
        let len = file.take(room + 1).read_to_end(&mut bytes).map_err(|e| plain(&e))? as u64;
        self.octets += len;
        if len > room {
            return Err(format!("more than {MAX_OCTETS} octets in the files of one list"));
        }
        let mut reader = Reader::new(Format::V2fly, self.settings.plain, self.settings.effect)
            .with_attributes(include.chosen.clone())
            .within(self.budget);
        let done = reader.feed(&bytes).and_then(|()| reader.finish());
        let mut list = done.map_err(|e| e.to_string())?;
        self.budget = list.leaves(&self.budget);
        self.open.push(path);
        self.read_into(&mut list);
        self.open.pop();
        Ok(list)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::lists::parse;
    use crate::rule::Effect;

    fn read_list(folder: &Path, text: &str) -> (Vec<String>, Vec<String>) {
        let path = folder.join("list");
        fs::write(&path, text).unwrap();
        let mut list = parse(text.as_bytes(), Format::V2fly, None, Effect::Block).unwrap();
        read(&mut list, &path, &ListSettings::default());
        let names = list.rules().map(|rule| format!("{}:{}", rule.line, rule.name)).collect();
        (names, list.skipped.iter().map(|s| format!("{}: {}", s.line, s.reason)).collect())
    }

    #[test]
    fn files_beside_the_list_are_read_and_nothing_else() {
        let outer = tempfile::tempdir().unwrap();
        let folder = outer.path().join("data");
        fs::create_dir_all(folder.join("sub")).unwrap();
        fs::write(outer.path().join("secret"), "secret.test\n").unwrap();
        fs::write(folder.join("a"), "a.test @ads\ninclude:b @ads\n").unwrap();
        fs::write(folder.join("b"), "b.test @ads\nother.test\nkeyword:\n").unwrap();
        fs::write(folder.join("sub/c"), "c.test\n").unwrap();
        fs::write(folder.join("round"), "round.test\ninclude:way\n").unwrap();
        fs::write(folder.join("way"), "way.test\ninclude:round\n").unwrap();
        let (names, skipped) = read_list(&folder, "x.test\ninclude:a\ninclude:sub/c\n");
        assert_eq!(names, ["1:x.test", "2:a.test", "2:b.test", "3:c.test"]);
        assert_eq!(skipped, Vec::<String>::new());
        // A file in a circle is not read a second time.
        let (names, skipped) = read_list(&folder, "include:round\ninclude:list\n");
        assert_eq!(names, ["1:round.test", "1:way.test"]);
        assert_eq!(
            skipped,
            [
                "1: the file `round` can't be included: the file includes itself",
                "2: the file `list` can't be included: the file includes itself",
            ]
        );
        for (name, why) in [
            ("../secret", "not the name of a file in the folder of the list"),
            ("/etc/hostname", "not the name of a file in the folder of the list"),
            ("gone", "no such file"),
            ("sub", "not a regular file"),
            #[cfg(unix)]
            ("link", "the file is not in the folder of the list"),
        ] {
            #[cfg(unix)]
            if name == "link" {
                std::os::unix::fs::symlink(outer.path().join("secret"), folder.join(name)).unwrap();
            }
            let (names, skipped) = read_list(&folder, &format!("x.test\ninclude:{name}\n"));
            assert_eq!(names, ["1:x.test"], "{name}");
            assert_eq!(skipped, [format!("2: the file `{name}` can't be included: {why}")]);
        }
    }

    #[test]
    fn the_limits_are_told() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        for n in 0..=MAX_DEPTH {
            fs::write(folder.join(format!("d{n}")), format!("d{n}.test\ninclude:d{}\n", n + 1)).unwrap();
        }
        let (names, skipped) = read_list(folder, "include:d0\n");
        assert_eq!((names.len(), skipped.len()), (MAX_DEPTH, 1));
        assert!(skipped[0].contains("included more than 16 deep"), "{skipped:?}");
        // The budget is that of the list with all of its files.
        fs::write(folder.join("some"), "a.test\nb.test\n").unwrap();
        let path = folder.join("list");
        let mut list =
            parse(b"x.test\ninclude:some\ninclude:some\n", Format::V2fly, None, Effect::Block).unwrap();
        fs::write(&path, "x.test").unwrap();
        let mut settings = ListSettings::default();
        settings.bounds.budget.rules = 4;
        read(&mut list, &path, &settings);
        assert_eq!(list.name_count(), 3);
        assert_eq!((list.skipped.len(), list.skipped[0].line), (1, 3));
        assert!(list.skipped[0].reason.to_string().contains("more than 1 rules"), "{:?}", list.skipped);
        // Each file names the next one eight times.
        for n in 0..8 {
            fs::write(folder.join(format!("w{n}")), format!("include:w{}\n", n + 1).repeat(8)).unwrap();
        }
        fs::write(folder.join("w8"), "w.test\n").unwrap();
        let (_, skipped) = read_list(folder, "include:w0\n");
        assert!(skipped.iter().any(|s| s.contains("4096 files in one list")), "{:?}", skipped.first());
    }
}
