//! The file of the orders that outlive the server, written whole at each change.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::json::{from_json, to_json};
use crate::policy::{MAX_ORDERS, Order, Orders};
use crate::sources::store;

/// The file can't be read, or was not written by [`write()`].
#[derive(Debug, thiserror::Error)]
#[error("{}: the file of kept orders is damaged: {problem}", path.display())]
pub struct Damaged {
    path: PathBuf,
    problem: String,
}

impl Damaged {
    /// Moves the file out of the way of the next one, for somebody may want to read it. Gives its new name.
    ///
    /// # Errors
    /// The kernel's.
    pub fn set_aside(&self) -> io::Result<PathBuf> {
        let mut bad = self.path.as_os_str().to_owned();
        bad.push(".bad");
        let bad = PathBuf::from(bad);
        fs::rename(&self.path, &bad)?;
        Ok(bad)
    }
}

/// The orders in a file; none if there is no file, and none without a path.
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

/// Writes orders to a file that its owner alone may read.
///
/// # Errors
/// The kernel's; the file is as it was.
pub fn write(path: &Path, orders: &[Order]) -> io::Result<()> {
    let orders: Vec<Value> = orders.iter().map(to_json).collect();
    let text = format!("{}\n", json!({ "orders": orders }));
    store::write_private(path, &[text.as_bytes()])
}

fn parse(text: &str) -> Result<Orders, String> {
    let value: Value = serde_json::from_str(text).map_err(|e| format!("this is not JSON: {e}"))?;
    let all = value.get("orders").and_then(Value::as_array).ok_or("there is no list of `orders`")?;
    if all.len() > MAX_ORDERS {
        return Err(format!("there are {} orders, more than {MAX_ORDERS}", all.len()));
    }
    let mut orders: Vec<Order> = Vec::with_capacity(all.len());
    let mut ids = HashSet::new();
    for (n, value) in (1..).zip(all) {
        let order = value.as_object().and_then(from_json).ok_or_else(|| format!("order {n} is damaged"))?;
        if !ids.insert(order.id) {
            return Err(format!("order {n} has the number {}, as an earlier one has", order.id));
        }
        orders.push(order);
    }
    Ok(Orders::kept(orders))
}
