//! Which file uses which, read off the paths in the source: `use` items and paths in the code, followed
//! through what a `mod.rs` re-exports.

use std::collections::{BTreeMap, BTreeSet};

/// A module's path from the root: `["resolver", "resolve"]`.
pub type Module = Vec<String>;

/// The code of every module, and what the modules above files re-export.
pub struct Graph {
    code: BTreeMap<Module, String>,
    /// What stands for a name in a module: the path that its `pub use` gives.
    exported: BTreeMap<(Module, String), Module>,
}

impl Graph {
    /// From the code of each file, by its path (`resolver/resolve.rs`).
    pub fn new(files: &BTreeMap<String, String>) -> Self {
        let code: BTreeMap<Module, String> =
            files.iter().map(|(file, code)| (module_of(file), code.clone())).collect();
        let mut graph = Self { code, exported: BTreeMap::new() };
        let mut exported = BTreeMap::new();
        for (module, code) in &graph.code {
            for item in uses(code).filter(|u| u.public) {
                for mut path in paths(&item.text) {
                    let name = path.last().cloned().unwrap_or_default();
                    // Without a head the path begins at a module below this one.
                    if !HEADS.contains(&path[0].as_str()) {
                        path.insert(0, "self".into());
                    }
                    if let Some(target) = absolute(module, &path) {
                        exported.insert((module.clone(), name), target);
                    }
                }
            }
        }
        graph.exported = exported;
        graph
    }

    /// The modules with a file of their own that `module` names.
    pub fn used_by(&self, module: &Module) -> BTreeSet<Module> {
        let code = &self.code[module];
        let mut used = BTreeSet::new();
        for (at, head) in heads(code) {
            for path in paths(&code[at..]) {
                debug_assert_eq!(path[0], head);
                used.extend(absolute(module, &path).and_then(|path| self.file_of(&path, 0)));
            }
        }
        used.remove(module);
        used
    }

    /// All modules that have a file.
    pub fn modules(&self) -> impl Iterator<Item = &Module> {
        self.code.keys()
    }

    /// The file that a path leads to, through re-exports.
    fn file_of(&self, path: &[String], depth: usize) -> Option<Module> {
        let known = (0..=path.len()).rev().find(|n| self.code.contains_key(&path[..*n]))?;
        let module = path[..known].to_vec();
        match path.get(known) {
            Some(item) if depth < 8 => match self.exported.get(&(module.clone(), item.clone())) {
                Some(target) if *target != path => {
                    let further = target.iter().chain(&path[known + 1..]).cloned().collect::<Vec<_>>();
                    self.file_of(&further, depth + 1)
                }
                _ => Some(module),
            },
            _ => Some(module),
        }
    }

    /// The circles among the files and folders of one folder: each as the names in it.
    pub fn circles(&self) -> Vec<String> {
        let mut edges: BTreeMap<Module, BTreeSet<Module>> = BTreeMap::new();
        for module in self.modules().filter(|m| self.is_leaf(m)) {
            for used in self.used_by(module).iter().filter(|m| self.is_leaf(m)) {
                let common = module.iter().zip(used).take_while(|(a, b)| a == b).count();
                // Rooms are the other table's business.
                if common == 0 || common == module.len() || common == used.len() {
                    continue;
                }
                edges.entry(module[..=common].to_vec()).or_default().insert(used[..=common].to_vec());
            }
        }
        let reach = |from: &Module| {
            let (mut seen, mut next) = (BTreeSet::new(), vec![from.clone()]);
            while let Some(at) = next.pop() {
                for to in edges.get(&at).into_iter().flatten() {
                    if seen.insert(to.clone()) {
                        next.push(to.clone());
                    }
                }
            }
            seen
        };
        let reached: BTreeMap<_, _> = edges.keys().map(|m| (m.clone(), reach(m))).collect();
        let mut circles = BTreeSet::new();
        for (module, all) in &reached {
            if all.contains(module) {
                let circle = all.iter().filter(|m| reached.get(*m).is_some_and(|back| back.contains(module)));
                circles.insert(circle.map(|m| m.join("/")).collect::<Vec<_>>().join(" – "));
            }
        }
        circles.into_iter().collect()
    }

    /// A file that is not the head of a folder: those declare and re-export.
    fn is_leaf(&self, module: &Module) -> bool {
        !self.code.keys().any(|m| m.len() > module.len() && m.starts_with(module))
    }
}

const HEADS: [&str; 5] = ["crate", "super", "self", "portcullis_core", "portcullis_censor"];

fn module_of(file: &str) -> Module {
    let mut parts: Module = file.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
    if parts.last().is_some_and(|last| matches!(last.as_str(), "mod" | "lib")) {
        parts.pop();
    }
    parts
}

/// A path from the root, of one that stands in `module`; `None` if it leaves the tree.
fn absolute(module: &Module, path: &[String]) -> Option<Module> {
    let mut at = module.clone();
    for (number, part) in path.iter().enumerate() {
        match part.as_str() {
            "crate" if module.first().is_some_and(|m| m == "censor") => at = vec!["censor".into()],
            "crate" | "portcullis_core" => at.clear(),
            "portcullis_censor" => at = vec!["censor".into()],
            "self" if number == 0 => {}
            "super" => {
                at.pop()?;
            }
            "self" | "*" => {}
            name => at.push(name.to_owned()),
        }
    }
    Some(at)
}

struct Use {
    public: bool,
    text: String,
}

/// The `use` items of a file.
fn uses(code: &str) -> impl Iterator<Item = Use> {
    code.match_indices("use ").filter_map(|(at, word)| {
        let line = code[..at].rsplit('\n').next()?.trim();
        let public = line.starts_with("pub");
        (line.is_empty() || public).then(|| {
            let rest = &code[at + word.len()..];
            Use { public, text: rest[..rest.find(';').unwrap_or(rest.len())].to_owned() }
        })
    })
}

/// Where paths with a known head begin.
fn heads(code: &str) -> Vec<(usize, &'static str)> {
    let mut found = Vec::new();
    for head in HEADS {
        for (at, _) in code.match_indices(&format!("{head}::")) {
            let before = code[..at].chars().next_back();
            if !before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':') {
                found.push((at, head));
            }
        }
    }
    found
}

/// The paths that a path with groups stands for: `a::{b, c::d}` for `a::b` and `a::c::d`.
fn paths(text: &str) -> Vec<Vec<String>> {
    let mut text = text.trim_start();
    let mut path = Vec::new();
    loop {
        if let Some(group) = text.strip_prefix('{') {
            return group_of(group)
                .iter()
                .flat_map(|part| paths(part))
                .map(|end| path.iter().cloned().chain(end).collect())
                .collect();
        }
        let end = text.find(|c: char| !c.is_alphanumeric() && c != '_' && c != '*').unwrap_or(text.len());
        if end == 0 {
            break;
        }
        path.push(text[..end].to_owned());
        match text[end..].strip_prefix("::") {
            Some(rest) => text = rest,
            None => break,
        }
    }
    if path.is_empty() { Vec::new() } else { vec![path] }
}

/// The parts of a group, of which the opening brace is read.
fn group_of(text: &str) -> Vec<String> {
    let (mut depth, mut parts) = (0, vec![String::new()]);
    for c in text.chars() {
        match c {
            '}' if depth == 0 => break,
            ',' if depth == 0 => parts.push(String::new()),
            _ => {
                depth += i32::from(c == '{') - i32::from(c == '}');
                parts.last_mut().unwrap().push(c);
            }
        }
    }
    parts.retain(|part| !part.trim().is_empty());
    parts
}

#[test]
fn a_circle_is_found_and_a_line_is_not_one() {
    let files = |list: &[(&str, &str)]| list.iter().map(|(f, c)| ((*f).into(), (*c).into())).collect();
    let line = files(&[
        ("room/mod.rs", "pub mod a;\nmod b;\npub use b::{B, C};\n"),
        ("room/a.rs", "use super::{B, C};\n"),
        ("room/b.rs", "use crate::other::D;\n"),
        ("other.rs", ""),
    ]);
    assert_eq!(Graph::new(&line).circles(), Vec::<String>::new());
    let circle = files(&[
        ("room/mod.rs", "pub mod a;\nmod b;\npub use b::{B, C};\n"),
        ("room/a.rs", "use super::{B};\n"),
        ("room/b.rs", "fn f() { crate::room::a::g() }\n"),
    ]);
    assert_eq!(Graph::new(&circle).circles(), ["room/a – room/b"]);
}
