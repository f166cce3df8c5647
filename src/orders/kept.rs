//! The file of orders that survive a restart: all of them on the first line, then a line for each change.
//!
//! ```text
//! {"orders":[{"id":1,…},{"id":2,…}]}
//! {"gone":[1],"given":[{"id":3,…}]}
//! ```

use std::collections::HashSet;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde_json::{Value, json};

use super::json::{from_json, to_json};
use crate::policy::{MAX_ORDERS, Order, Orders};
use crate::sources::store;

/// The lines that a file may have beyond the orders in it.
const SPARE: usize = 100;

/// The file can't be read, or its content was not written by [`Kept`].
#[derive(Debug, thiserror::Error)]
#[error("{}: the file of kept orders is damaged: {problem}", path.display())]
pub struct Damaged {
    path: PathBuf,
    problem: String,
}

impl Damaged {
    /// Renames the file so that the next one does not overwrite it. Returns its new name.
    ///
    /// # Errors
    /// The I/O error.
    pub fn set_aside(&self) -> io::Result<PathBuf> {
        let mut bad = self.path.as_os_str().to_owned();
        bad.push(".bad");
        let bad = PathBuf::from(bad);
        fs::rename(&self.path, &bad)?;
        Ok(bad)
    }
}

/// The orders in a file; none if there is no file or no path.
///
/// # Errors
/// See [`Damaged`].
pub fn read(path: Option<&Path>) -> Result<Orders, Damaged> {
    let Some(path) = path else { return Ok(Orders::default()) };
    let text = match fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Orders::default()),
        text => text.map_err(|e| e.to_string()),
    };
    text.and_then(|text| parse(&text)).map_err(|problem| Damaged { path: path.into(), problem })
}

/// The file of a running server. What each change costs does not depend on how many orders there are: it becomes
/// one more line, and only once there are many more lines than orders is the file written anew.
#[derive(Debug)]
pub struct Kept {
    path: PathBuf,
    /// The lines of changes in the file; `None`: it must be written anew.
    lines: Mutex<Option<usize>>,
}

impl Kept {
    /// The first change writes the file anew.
    #[must_use]
    pub const fn new(path: PathBuf) -> Self {
        Self { path, lines: Mutex::new(None) }
    }

    /// Its path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes the change from `before` to `next`, if it is about orders that are kept.
    ///
    /// # Errors
    /// The I/O error; the file says the same as before.
    pub fn change(&self, before: &Orders, next: &Orders) -> io::Result<()> {
        let kept = |orders: &'_ Orders| -> HashSet<u32> { kept(orders).map(|order| order.id).collect() };
        let (old, new) = (kept(before), kept(next));
        let gone: Vec<u32> = old.difference(&new).copied().collect();
        let given: Vec<Value> =
            self::kept(next).filter(|order| !old.contains(&order.id)).map(to_json).collect();
        if gone.is_empty() && given.is_empty() {
            return Ok(());
        }
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        // Whatever goes wrong, the next change writes all.
        let count = lines.take().filter(|count| *count < new.len() + SPARE);
        let appended =
            count.map(|_| append(&self.path, &format!("{}\n", json!({ "gone": gone, "given": given }))));
        match (appended, count) {
            (Some(Ok(())), Some(count)) => *lines = Some(count + 1),
            _ => {
                let orders: Vec<Value> = self::kept(next).map(to_json).collect();
                let text = format!("{}\n", json!({ "orders": orders }));
                store::write_private(&self.path, &[text.as_bytes()])?;
                *lines = Some(0);
            }
        }
        Ok(())
    }
}

fn kept(orders: &Orders) -> impl Iterator<Item = &Order> {
    orders.all().iter().filter(|order| order.keep)
}

/// Adds a line to an existing file, and waits until it is on the disk.
fn append(path: &Path, line: &str) -> io::Result<()> {
    let mut file = fs::File::options().append(true).open(path)?;
    file.write_all(line.as_bytes())?;
    file.sync_data()
}

fn parse(text: &str) -> Result<Orders, String> {
    // All on the first line, then the changes. A last line without an end was never confirmed to anybody.
    let (first, changes) = match text.split_once('\n') {
        Some((first, changes)) if serde_json::from_str::<Value>(first).is_ok() => (first, changes),
        _ => (text, ""),
    };
    let value: Value = serde_json::from_str(first).map_err(|e| format!("this is not JSON: {e}"))?;
    let all = value.get("orders").and_then(Value::as_array).ok_or("the list `orders` is missing")?;
    let mut orders = Vec::new();
    add(all, &mut orders)?;
    let whole = changes.rsplit_once('\n').map_or("", |(whole, _)| whole);
    for (n, line) in (2..).zip(whole.lines()).filter(|(_, line)| !line.trim().is_empty()) {
        let change: Value = serde_json::from_str(line).map_err(|e| format!("line {n} is not JSON: {e}"))?;
        let list = |key| change.get(key).and_then(Value::as_array).ok_or(format!("line {n} is damaged"));
        let gone: HashSet<u64> = list("gone")?.iter().filter_map(Value::as_u64).collect();
        orders.retain(|order| !gone.contains(&order.id.into()));
        add(list("given")?, &mut orders)?;
    }
    Ok(Orders::kept(orders))
}

fn add(all: &[Value], orders: &mut Vec<Order>) -> Result<(), String> {
    let count = all.len() + orders.len();
    if count > MAX_ORDERS {
        return Err(format!("there are {count} orders, more than {MAX_ORDERS}"));
    }
    let mut ids: HashSet<u32> = orders.iter().map(|order| order.id).collect();
    for (n, value) in (orders.len() + 1..).zip(all) {
        let order = value.as_object().and_then(from_json).ok_or_else(|| format!("order {n} is damaged"))?;
        if !ids.insert(order.id) {
            return Err(format!("order {n} has the number {}, which an earlier one has too", order.id));
        }
        orders.push(order);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{What, Whom};

    fn pause(id: u32) -> Order {
        let whom = Whom::Client(
            format!("10.0.{}.{}", id / 256, id % 256).parse::<std::net::IpAddr>().unwrap().into(),
        );
        Order { id, what: What::Pause, whom, since: 0, until: None, keep: true }
    }

    fn ids(orders: &Orders) -> Vec<u32> {
        orders.all().iter().map(|order| order.id).collect()
    }

    #[test]
    fn each_change_is_one_line_and_the_file_does_not_grow_without_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kept");
        let (file, mut orders) = (Kept::new(path.clone()), Orders::default());
        let mut longest = 0;
        for id in 1..400u32 {
            // The last three are in force.
            let all: Vec<Order> = (id.saturating_sub(2).max(1)..=id).map(pause).collect();
            let next = Orders::kept(all);
            let before = fs::read_to_string(&path).unwrap_or_default();
            file.change(&orders, &next).unwrap();
            let after = fs::read_to_string(&path).unwrap();
            let added = after.strip_prefix(&before).filter(|_| id > 1);
            assert!(added.is_none_or(|line| line.lines().count() == 1 && line.len() < 250), "{added:?}");
            longest = longest.max(after.lines().count());
            assert_eq!(ids(&read(Some(&path)).unwrap()), ids(&next));
            orders = next;
        }
        assert!((SPARE..2 * SPARE).contains(&longest), "{longest}");
    }

    #[test]
    fn what_was_not_confirmed_does_not_count_and_what_is_damaged_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kept");
        let file = Kept::new(path.clone());
        let one = Orders::kept(vec![pause(1)]);
        let two = Orders::kept(vec![pause(1), pause(2)]);
        file.change(&Orders::default(), &one).unwrap();
        file.change(&one, &two).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, &text[..text.len() - 5]).unwrap();
        assert_eq!(ids(&read(Some(&path)).unwrap()), [1]);
        fs::write(&path, format!("{}\n{{}}\n", &text[..text.len() - 5])).unwrap();
        assert!(read(Some(&path)).unwrap_err().to_string().contains("line 2 is not JSON"));
        // A file that is gone is written anew, whole.
        fs::remove_file(&path).unwrap();
        file.change(&two, &Orders::kept(vec![pause(2), pause(3)])).unwrap();
        assert_eq!(ids(&read(Some(&path)).unwrap()), [2, 3]);
    }
}
