//! The file of orders that survive a restart; it is rewritten whole at each change.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::json::{from_json, to_json};
use crate::policy::{MAX_ORDERS, Order, Orders};
use crate::sources::store;

/// The file can't be read, or its content was not written by [`write()`].
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

/// Writes orders to a file that only its owner may read.
///
/// # Errors
/// The I/O error; the file is unchanged.
pub fn write(path: &Path, orders: &[Order]) -> io::Result<()> {
    let orders: Vec<Value> = orders.iter().map(to_json).collect();
    let text = format!("{}\n", json!({ "orders": orders }));
    store::write_private(path, &[text.as_bytes()])
}

fn parse(text: &str) -> Result<Orders, String> {
    let value: Value = serde_json::from_str(text).map_err(|e| format!("this is not JSON: {e}"))?;
    let all = value.get("orders").and_then(Value::as_array).ok_or("the list `orders` is missing")?;
    if all.len() > MAX_ORDERS {
        return Err(format!("there are {} orders, more than {MAX_ORDERS}", all.len()));
    }
    let mut orders: Vec<Order> = Vec::with_capacity(all.len());
    let mut ids = HashSet::new();
    for (n, value) in (1..).zip(all) {
        let order = value.as_object().and_then(from_json).ok_or_else(|| format!("order {n} is damaged"))?;
        if !ids.insert(order.id) {
            return Err(format!("order {n} has the number {}, which an earlier one has too", order.id));
        }
        orders.push(order);
    }
    Ok(Orders::kept(orders))
}
