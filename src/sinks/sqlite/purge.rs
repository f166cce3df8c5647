//! Deletes what a client asked, beside a running server too.

use std::path::Path;

use ipnet::IpNet;
use rusqlite::Connection;

use super::chunk;
use super::close::sums;
use super::file::{LogError, files, is_closed, open_to_change};
use super::read::clients;

/// Deletes the queries of the clients within a network from all files. Returns their number, and the files in
/// which that failed.
///
/// # Errors
/// The folder can't be read.
pub fn purge(folder: &Path, network: &IpNet) -> Result<(u64, Vec<LogError>), LogError> {
    let (mut deleted, mut problems) = (0, Vec::new());
    for file in files(folder)? {
        let error = LogError::of(&file.path);
        match open_to_change(&file).and_then(|mut db| purge_file(&mut db, network).map_err(error)) {
            Ok(rows) => deleted += rows,
            Err(problem) => problems.push(problem),
        }
    }
    Ok((deleted, problems))
}

fn purge_file(db: &mut Connection, network: &IpNet) -> rusqlite::Result<u64> {
    // What is deleted is overwritten.
    db.pragma_update(None, "secure_delete", true)?;
    let closed = is_closed(db)?;
    let ids = clients(db, network)?;
    if ids.is_empty() {
        return Ok(0);
    }
    let begun = db.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    let mut chunks = Vec::new();
    {
        let mut all = begun.prepare("SELECT first, last, clients FROM chunk")?;
        let mut all = all.query([])?;
        while let Some(row) = all.next()? {
            if chunk::decode(row.get_ref(2)?.as_blob()?).any(|(client, _)| ids.contains(&client)) {
                chunks.push((row.get(0)?, row.get(1)?));
            }
        }
    }
    let mut deleted = 0;
    let mut delete = begun.prepare("DELETE FROM q WHERE id BETWEEN ?1 AND ?2 AND client = ?3")?;
    let rest = (chunk::next(&begun)?, i64::MAX);
    for (first, last) in chunks.iter().chain([&rest]) {
        for client in &ids {
            deleted += delete.execute([*first, *last, *client])? as u64;
        }
    }
    drop(delete);
    for (first, last) in chunks {
        chunk::write(&begun, first, last)?;
    }
    if closed {
        // The server that writes a file knows its dictionaries; those of other files lose what only they asked.
        let mut client = begun.prepare("DELETE FROM client WHERE id = ?1")?;
        for id in &ids {
            client.execute([id])?;
        }
        drop(client);
        begun.execute_batch(
            "DELETE FROM name WHERE NOT EXISTS (SELECT 1 FROM q WHERE q.name = name.id);
             DELETE FROM reference WHERE NOT EXISTS (SELECT 1 FROM name WHERE name.id = reference.name);",
        )?;
        sums(&begun)?;
    }
    begun.commit()?;
    // The old pages may still stand in the file beside it.
    db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
    if closed {
        let _ = db.pragma_update(None, "journal_mode", "DELETE");
    }
    Ok(deleted)
}
