//! The list of blocked names in each server's format.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

use clap::Args;

use crate::common;
use crate::workload::BLOCKED;

#[derive(Args)]
pub struct List {
    /// Folder to write into
    folder: PathBuf,
    /// Names
    #[arg(long, default_value_t = BLOCKED)]
    count: usize,
}

/// The head of an RPZ.
const RPZ_HEAD: &str = "$TTL 60\n@ SOA localhost. nobody.invalid. 1 3600 1200 604800 60\n@ NS localhost.\n";

pub fn run(list: &List) -> io::Result<()> {
    let names = common::names(list.count);
    fs::create_dir_all(&list.folder)?;
    let write = |file: &str, head: &str, before: &str, after: &str| -> io::Result<()> {
        let mut out = BufWriter::new(File::create(list.folder.join(file))?);
        out.write_all(head.as_bytes())?;
        for name in &names {
            writeln!(out, "{before}{name}{after}")?;
        }
        out.flush()
    };
    write("domains.txt", "", "", "")?;
    write("hosts.txt", "", "0.0.0.0 ", "")?;
    write("rpz.zone", RPZ_HEAD, "", " CNAME .")?;
    write("unbound.conf", "server:\n", "local-zone: \"", "\" always_nxdomain")?;
    write("dnsmasq.conf", "", "address=/", "/")?;
    Ok(())
}
