//! Reads one file: which rows match, by way of the chunks or the index, and what they are in words.

use std::collections::HashSet;
use std::ops::ControlFlow;

use ipnet::IpNet;
use rusqlite::{Connection, Statement, params};

use super::chunk;
use super::file::{DayFile, LogError, is_closed, open_to_read};
use super::filter::{Filter, NameFilter};
use crate::dns::{Qtype, Rcode};
use crate::sinks::row::Row;

/// More ids than this are not written into a statement; each row is looked at instead.
const INLINE: usize = 2000;
/// More names than this are not looked for by the index.
const BY_INDEX: usize = 500;

/// A file that is open for reading.
pub(super) struct Reader {
    pub(super) db: Connection,
    pub(super) file: DayFile,
    pub(super) closed: bool,
}

/// The order of rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// The newest first.
    Down,
    /// The oldest first.
    Up,
}

/// The filter in the numbers of one file.
pub(super) struct Wanted {
    names: Option<HashSet<i64>>,
    clients: Option<HashSet<i64>>,
    lists: Option<HashSet<i64>>,
    rules: Option<HashSet<i64>>,
    /// What a statement can check by itself.
    sql: String,
    since: i64,
    until: i64,
}

/// A row in numbers: its own, and those of [`COLUMNS`].
pub(super) struct Raw {
    pub(super) id: i64,
    ms: i64,
    client: Option<i64>,
    name: Option<i64>,
    qtype: Option<u16>,
    rcode: Option<u16>,
    verdict: i64,
    source: i64,
    transport: i64,
    rule: Option<i64>,
    reference: Option<i32>,
    micros: u32,
}

const COLUMNS: &str =
    "q.id, q.ms, q.client, q.name, q.type, q.rcode, q.verdict, q.source, q.transport, q.rule, q.ref, q.us";

impl Reader {
    /// Opens a file; `None`: there is nothing in it yet.
    pub(super) fn open(file: DayFile) -> Result<Option<Self>, LogError> {
        let Some(db) = open_to_read(&file)? else { return Ok(None) };
        let closed = is_closed(&db).map_err(LogError::of(&file.path))?;
        Ok(Some(Self { db, file, closed }))
    }

    /// The filter in this file's numbers; `None`: nothing in the file matches.
    pub(super) fn wanted(&self, filter: &Filter) -> rusqlite::Result<Option<Wanted>> {
        let ms = |at: i64| (at - self.file.start()).div_euclid(1000);
        let (since, until) = (filter.since.map_or(i64::MIN, ms), filter.until.map_or(i64::MAX, ms));
        let mut wanted =
            Wanted { names: None, clients: None, lists: None, rules: None, sql: String::new(), since, until };
        if filter.since.is_some() {
            wanted.sql += &format!(" AND q.ms >= {since}");
        }
        if filter.until.is_some() {
            wanted.sql += &format!(" AND q.ms < {until}");
        }
        if let Some(verdict) = filter.verdict {
            wanted.sql += &format!(" AND q.verdict = {}", verdict as i64);
        }
        if let Some(qtype) = filter.qtype {
            wanted.sql += &format!(" AND q.type = {}", qtype.0);
        }
        if let Some(reference) = filter.reference {
            wanted.sql += &format!(" AND q.ref = {}", reference.cast_signed());
            let mut names = self.db.prepare_cached("SELECT name FROM reference WHERE ref = ?1")?;
            wanted.names = Some(ids(&mut names, [reference.cast_signed()])?);
        }
        if let Some(name) = &filter.name {
            let (sql, text) = match name {
                NameFilter::Exact(text) => ("SELECT id FROM name WHERE name = ?1", text),
                NameFilter::Suffix(text) => {
                    ("SELECT id FROM name WHERE name = ?1 OR substr(name, -length(?1) - 1) = '.' || ?1", text)
                }
                NameFilter::Part(text) => ("SELECT id FROM name WHERE instr(name, ?1) > 0", text),
            };
            let found = ids(&mut *self.db.prepare_cached(sql)?, [text])?;
            wanted.names = Some(match wanted.names.take() {
                Some(names) => names.intersection(&found).copied().collect(),
                None => found,
            });
        }
        if let Some(network) = &filter.client {
            wanted.clients = Some(self.clients(network)?);
        }
        if let Some(list) = &filter.list {
            let lists = ids(&mut *self.db.prepare_cached("SELECT id FROM list WHERE list = ?1")?, [list])?;
            let mut rules = HashSet::new();
            for list in &lists {
                rules.extend(ids(
                    &mut *self.db.prepare_cached("SELECT id FROM rule WHERE list = ?1")?,
                    [list],
                )?);
            }
            (wanted.lists, wanted.rules) = (Some(lists), Some(rules));
        }
        let none = |ids: &Option<HashSet<i64>>| ids.as_ref().is_some_and(HashSet::is_empty);
        if none(&wanted.names) || none(&wanted.clients) || none(&wanted.rules) {
            return Ok(None);
        }
        for (column, ids) in [("name", &wanted.names), ("client", &wanted.clients), ("rule", &wanted.rules)] {
            if let Some(ids) = ids.as_ref().filter(|ids| ids.len() <= INLINE) {
                wanted.sql += &format!(" AND q.{column} IN ({})", joined(ids));
            }
        }
        Ok(Some(wanted))
    }

    /// The clients within a network. Where only networks were kept, those that it is in too: nobody can say
    /// who of them it was.
    pub(super) fn clients(&self, network: &IpNet) -> rusqlite::Result<HashSet<i64>> {
        clients(&self.db, network)
    }

    /// Passes the rows that match to `found`, beginning behind the row `from`, until it breaks.
    pub(super) fn scan(
        &self,
        wanted: &Wanted,
        order: Order,
        from: Option<i64>,
        limit: usize,
        found: &mut dyn FnMut(Raw) -> ControlFlow<()>,
    ) -> rusqlite::Result<ControlFlow<()>> {
        if let Some(names) = wanted.names.as_ref().filter(|names| self.closed && names.len() <= BY_INDEX) {
            return self.by_index(names, wanted, order, from, limit, found);
        }
        let last: i64 = self.db.query_row("SELECT coalesce(max(id), 0) FROM q", [], |row| row.get(0))?;
        let (low, high) = match (order, from) {
            (_, None) => (1, last),
            (Order::Down, Some(from)) => (1, last.min(from - 1)),
            (Order::Up, Some(from)) => (from + 1, last),
        };
        let covered = chunk::next(&self.db)?;
        // The newest rows are in no chunk yet.
        let rest = |found: &mut dyn FnMut(Raw) -> ControlFlow<()>| {
            self.rows(wanted, order, low.max(covered), high, found)
        };
        if order == Order::Down && rest(found)?.is_break() {
            return Ok(ControlFlow::Break(()));
        }
        let direction = if order == Order::Down { "DESC" } else { "ASC" };
        let chunks = format!(
            "SELECT first, last, since, until, names, clients, lists FROM chunk WHERE last >= ?1 AND first <= ?2
             ORDER BY first {direction}"
        );
        let mut chunks = self.db.prepare_cached(&chunks)?;
        let mut chunks = chunks.query([low, high])?;
        while let Some(row) = chunks.next()? {
            let (first, last): (i64, i64) = (row.get(0)?, row.get(1)?);
            if row.get::<_, i64>(3)? < wanted.since || row.get::<_, i64>(2)? >= wanted.until {
                continue;
            }
            let has = |column, ids: &Option<HashSet<i64>>| {
                let Some(ids) = ids else { return Ok(true) };
                let counts = row.get_ref(column)?.as_blob()?;
                Ok::<_, rusqlite::Error>(chunk::decode(counts).any(|(key, _)| ids.contains(&key)))
            };
            if has(4, &wanted.names)?
                && has(5, &wanted.clients)?
                && has(6, &wanted.lists)?
                && self.rows(wanted, order, low.max(first), high.min(last), found)?.is_break()
            {
                return Ok(ControlFlow::Break(()));
            }
        }
        if order == Order::Up { rest(found) } else { Ok(ControlFlow::Continue(())) }
    }

    /// The rows of a few names in a closed file.
    fn by_index(
        &self,
        names: &HashSet<i64>,
        wanted: &Wanted,
        order: Order,
        from: Option<i64>,
        limit: usize,
        found: &mut dyn FnMut(Raw) -> ControlFlow<()>,
    ) -> rusqlite::Result<ControlFlow<()>> {
        let (behind, direction, from) = match order {
            Order::Down => ("<", "DESC", from.unwrap_or(i64::MAX)),
            Order::Up => (">", "ASC", from.unwrap_or(0)),
        };
        let sql = format!(
            "SELECT {COLUMNS} FROM q WHERE q.name = ?1 AND q.id {behind} ?2 {} ORDER BY q.id {direction} LIMIT ?3",
            wanted.sql
        );
        let mut rows = self.db.prepare(&sql)?;
        let mut from = from;
        loop {
            // Of each name as many as are wanted in all; the first of them are the first of all.
            let mut raws = Vec::new();
            for name in names {
                let some = rows.query_map(params![name, from, limit.cast_signed()], raw)?;
                raws.extend(some.collect::<rusqlite::Result<Vec<Raw>>>()?);
            }
            raws.sort_by_key(|raw| if order == Order::Down { -raw.id } else { raw.id });
            let is_all = raws.len() < limit;
            raws.truncate(limit);
            let Some(last) = raws.last().map(|raw| raw.id) else { return Ok(ControlFlow::Continue(())) };
            for raw in raws {
                if wanted.takes(&raw) && found(raw).is_break() {
                    return Ok(ControlFlow::Break(()));
                }
            }
            if is_all {
                return Ok(ControlFlow::Continue(()));
            }
            from = last;
        }
    }

    fn rows(
        &self,
        wanted: &Wanted,
        order: Order,
        low: i64,
        high: i64,
        found: &mut dyn FnMut(Raw) -> ControlFlow<()>,
    ) -> rusqlite::Result<ControlFlow<()>> {
        if low > high {
            return Ok(ControlFlow::Continue(()));
        }
        let direction = if order == Order::Down { "DESC" } else { "ASC" };
        let sql = format!(
            "SELECT {COLUMNS} FROM q WHERE q.id BETWEEN ?1 AND ?2 {} ORDER BY q.id {direction}",
            wanted.sql
        );
        let mut rows = self.db.prepare_cached(&sql)?;
        let mut rows = rows.query([low, high])?;
        while let Some(row) = rows.next()? {
            let raw = raw(row)?;
            if wanted.takes(&raw) && found(raw).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// A row in words.
    pub(super) fn row(&self, raw: &Raw) -> rusqlite::Result<Row> {
        let text = |sql: &str, id: Option<i64>| match id {
            Some(id) => self.db.prepare_cached(sql)?.query_row([id], |row| row.get(0)).map(Some),
            None => Ok(None),
        };
        let rule = match raw.rule {
            Some(id) => {
                let sql = "SELECT list.list, line, rule FROM rule JOIN list ON list.id = rule.list WHERE rule.id = ?1";
                let of = |row: &rusqlite::Row<'_>| {
                    Ok((row.get(0)?, row.get::<_, u32>(1)?, row.get::<_, String>(2)?))
                };
                Some(self.db.prepare_cached(sql)?.query_row([id], of)?)
            }
            None => None,
        };
        let word = |kind: &str, id: i64| {
            let sql = "SELECT word FROM word WHERE kind = ?1 AND id = ?2";
            self.db.prepare_cached(sql)?.query_row(params![kind, id], |row| row.get::<_, String>(0))
        };
        let (list, line, rule) =
            rule.map_or((None, 0, None), |(list, line, rule)| (Some(list), line, Some(rule)));
        Ok(Row {
            at: self.file.start() + raw.ms * 1000,
            client: text("SELECT client FROM client WHERE id = ?1", raw.client)?,
            name: text("SELECT name FROM name WHERE id = ?1", raw.name)?,
            qtype: raw.qtype.map(|number| Qtype(number).to_string()),
            rcode: raw.rcode.map(|number| Rcode(number).to_string()),
            verdict: word("verdict", raw.verdict)?,
            answered_by: word("source", raw.source)?,
            transport: word("transport", raw.transport)?,
            list,
            line: Some(line).filter(|line| *line > 0),
            rule: rule.filter(|rule| !rule.is_empty()),
            reference: raw.reference.map(i32::cast_unsigned),
            micros: raw.micros,
        })
    }
}

impl Wanted {
    /// What a statement could not check.
    fn takes(&self, raw: &Raw) -> bool {
        let has = |ids: &Option<HashSet<i64>>, id: Option<i64>| {
            ids.as_ref().is_none_or(|ids| ids.len() <= INLINE || id.is_some_and(|id| ids.contains(&id)))
        };
        has(&self.names, raw.name) && has(&self.clients, raw.client) && has(&self.rules, raw.rule)
    }
}

/// The ids of the clients within a network, or that are networks around it.
pub(super) fn clients(db: &Connection, network: &IpNet) -> rusqlite::Result<HashSet<i64>> {
    let mut all = db.prepare_cached("SELECT id, client FROM client")?;
    let mut all = all.query([])?;
    let mut found = HashSet::new();
    while let Some(row) = all.next()? {
        let text = row.get_ref(1)?.as_str()?;
        let kept =
            text.parse::<IpNet>().or_else(|_| text.parse().map(|address: std::net::IpAddr| address.into()));
        if kept.is_ok_and(|kept| network.contains(&kept) || kept.contains(network)) {
            found.insert(row.get(0)?);
        }
    }
    Ok(found)
}

fn raw(row: &rusqlite::Row<'_>) -> rusqlite::Result<Raw> {
    Ok(Raw {
        id: row.get(0)?,
        ms: row.get(1)?,
        client: row.get(2)?,
        name: row.get(3)?,
        qtype: row.get(4)?,
        rcode: row.get(5)?,
        verdict: row.get(6)?,
        source: row.get(7)?,
        transport: row.get(8)?,
        rule: row.get(9)?,
        reference: row.get(10)?,
        micros: row.get(11)?,
    })
}

fn ids(statement: &mut Statement<'_>, values: impl rusqlite::Params) -> rusqlite::Result<HashSet<i64>> {
    statement.query_map(values, |row| row.get(0))?.collect()
}

fn joined(ids: &HashSet<i64>) -> String {
    // In order, so that the statement is the same each time.
    let mut ids: Vec<i64> = ids.iter().copied().collect();
    ids.sort_unstable();
    ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}
