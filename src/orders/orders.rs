//! Gives and revokes orders, and lists those in force.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use super::json::{Asked, MAX_SECONDS};
use super::kept;
use super::status::Status;
use crate::dns::NameBuf;
use crate::observe::lists::ListState;
use crate::policy::{MAX_ORDERS, Order, Orders, What, Whom};
use crate::resolver::explain::{self, Question, Record};
use crate::resolver::live::Engine;
use crate::resolver::moment::Clock;

/// What an operator can do with a running server.
#[derive(Clone)]
pub struct Operator {
    /// The engine that the orders apply to.
    pub engine: Arc<Engine>,
    /// Reads the time.
    pub clock: Clock,
    /// The file of orders that survive a restart; `None`: none can.
    pub kept: Option<PathBuf>,
}

/// Why an order was not given or not revoked; nothing has changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OrderError {
    /// No file is configured for orders that survive a restart.
    #[error("orders can't survive a restart: set a file in [control] state")]
    NoState,
    /// That file can't be written.
    #[error("cannot write {}: {reason}", path.display())]
    NotWritten {
        /// The file.
        path: PathBuf,
        /// The I/O error.
        reason: io::Error,
    },
    /// The limit on orders is reached.
    #[error("there are {MAX_ORDERS} orders already, which is the most; revoke some")]
    TooMany,
    /// The order names a group that does not exist; the existing ones.
    #[error("there is no group `{group}`{}", known(groups))]
    NoGroup {
        /// The group.
        group: String,
        /// The groups of the configuration.
        groups: Vec<String>,
    },
    /// No order matches.
    #[error("no such order: there is none {0}; `list` shows those in force")]
    NoneSuch(String),
}

fn known(groups: &[String]) -> String {
    if groups.is_empty() {
        ": the configuration has none".into()
    } else {
        format!(", expected one of {}", groups.join(", "))
    }
}

impl Operator {
    /// Gives an order that takes effect now; returns it with its number and its end.
    ///
    /// # Errors
    /// See [`OrderError`].
    pub fn give(&self, asked: Asked) -> Result<Order, OrderError> {
        let Asked { what, whom, seconds, keep } = asked;
        if keep && self.kept.is_none() {
            return Err(OrderError::NoState);
        }
        self.exists(&whom)?;
        let now = self.now();
        let until = seconds.map(|seconds| now.saturating_add(seconds.min(MAX_SECONDS)));
        let order = Order { id: 0, what, whom, since: now, until, keep };
        self.engine.order(now, |orders| match orders.with(order.clone(), now) {
            Some((next, id)) => match self.written(orders, &next) {
                Ok(()) => (Some(next), Ok(Order { id, ..order })),
                Err(error) => (None, Err(error)),
            },
            None => (None, Err(OrderError::TooMany)),
        })
    }

    /// Revokes pauses: all of them, or those for exactly `whom`. Returns how many; 0 is a success, because
    /// nothing is paused any more.
    ///
    /// # Errors
    /// [`OrderError::NoGroup`], [`OrderError::NotWritten`]
    pub fn resume(&self, whom: Option<&Whom>) -> Result<usize, OrderError> {
        whom.map_or(Ok(()), |whom| self.exists(whom))?;
        self.revoke(|order| order.what == What::Pause && whom.is_none_or(|whom| *whom == order.whom))
    }

    /// Revokes the order with this number.
    ///
    /// # Errors
    /// [`OrderError::NoneSuch`], [`OrderError::NotWritten`]
    pub fn revoke_id(&self, id: u64) -> Result<usize, OrderError> {
        match self.revoke(|order| u64::from(order.id) == id)? {
            0 => Err(OrderError::NoneSuch(format!("number {id}"))),
            count => Ok(count),
        }
    }

    /// Revokes the orders about a name; returns how many.
    ///
    /// # Errors
    /// [`OrderError::NoneSuch`], [`OrderError::NotWritten`]
    pub fn revoke_name(&self, name: &NameBuf) -> Result<usize, OrderError> {
        match self.revoke(|order| matches!(&order.what, What::Allow(n) | What::Block(n) if n == name))? {
            0 => Err(OrderError::NoneSuch(format!("about {name}"))),
            count => Ok(count),
        }
    }

    /// The orders in force, oldest first.
    #[must_use]
    pub fn in_force(&self) -> Vec<Order> {
        let now = self.now();
        let snapshot = self.engine.snapshot_at(now);
        snapshot.orders.all().iter().filter(|order| order.is_in_force(now)).cloned().collect()
    }

    /// The lists that are served.
    #[must_use]
    pub fn lists(&self) -> Arc<[ListState]> {
        Arc::clone(&self.engine.snapshot().lists)
    }

    /// The server's status.
    #[must_use]
    pub fn status(&self) -> Status {
        Status::of(&self.engine, self.now())
    }

    /// What would happen to a query now, and why.
    #[must_use]
    pub fn explain(&self, question: &Question) -> Record {
        let now = (self.clock)();
        let snapshot = Arc::clone(&self.engine.snapshot_at(now.unix));
        explain::explain(&self.engine, &snapshot, question, now)
    }

    fn now(&self) -> i64 {
        (self.clock)().unix
    }

    /// The group that an order names must be in the configuration.
    fn exists(&self, whom: &Whom) -> Result<(), OrderError> {
        let Whom::Group(group) = whom else { return Ok(()) };
        let snapshot = self.engine.snapshot();
        let groups = snapshot.policy.groups.all();
        if groups.iter().any(|g| g.name == *group) {
            return Ok(());
        }
        let groups = groups.iter().map(|g| g.name.clone()).collect();
        Err(OrderError::NoGroup { group: group.clone(), groups })
    }

    fn revoke(&self, gone: impl Fn(&Order) -> bool) -> Result<usize, OrderError> {
        let now = self.now();
        self.engine.order(now, |orders| {
            let (next, count) = orders.without(gone, now);
            match self.written(orders, &next) {
                Ok(()) => (Some(next), Ok(count)),
                Err(error) => (None, Err(error)),
            }
        })
    }

    /// Writes the file of kept orders, if they have changed.
    fn written(&self, before: &Orders, next: &Orders) -> Result<(), OrderError> {
        let kept = |orders: &'_ Orders| -> Vec<Order> {
            orders.all().iter().filter(|order| order.keep).cloned().collect()
        };
        let (old, new) = (kept(before), kept(next));
        match &self.kept {
            Some(path) if old != new => {
                let error = |reason| OrderError::NotWritten { path: path.clone(), reason };
                kept::write(path, &new).map_err(error)
            }
            _ => Ok(()),
        }
    }
}
