//! Zones from their master files.

use std::fs;

use super::report::{BuildError, Report, ZoneReport, error, plain};
use crate::settings::{Settings, TextSource, ZoneSettings};
use crate::zones::read;
use crate::zones::zone::{Zone, Zones};

/// Reads the zones of the settings and adds them to the report.
///
/// # Errors
/// The zones that can't be read, each with all its mistakes.
pub fn zones(settings: &Settings, report: &mut Report) -> Result<Zones, BuildError> {
    let mut zones = Vec::with_capacity(settings.zones.len());
    let mut failed: Option<BuildError> = None;
    for wanted in &settings.zones {
        match (read_zone(wanted), &mut failed) {
            (Ok(zone), _) => {
                report.zones.push(ZoneReport {
                    origin: wanted.origin.clone(),
                    source: wanted.source.describe(),
                    names: zone.name_count(),
                });
                zones.push(zone);
            }
            (Err(error), None) => failed = Some(error),
            (Err(error), Some(first)) => first.reason.push_str(&format!("\n{error}")),
        }
    }
    failed.map_or_else(|| Ok(Zones::new(zones)), Err)
}

/// True if reading again would give the same: nothing differs, and nothing comes from a file.
pub(super) fn same(one: &Settings, other: &Settings) -> bool {
    let from_file = one.zones.iter().any(|zone| matches!(zone.source, TextSource::File(_)));
    !from_file && one.zones == other.zones
}

fn read_zone(zone: &ZoneSettings) -> Result<Zone, BuildError> {
    let what = || format!("zone `{}` ({})", zone.origin, zone.source.describe());
    let (text, path) = match &zone.source {
        TextSource::File(path) => {
            let text =
                fs::read(path).map_err(|e| error(what(), &format!("{}; correct `file`", plain(&e)), ""))?;
            (text, Some(&**path))
        }
        TextSource::Embedded(_, text) => (text.as_bytes().to_vec(), None),
        TextSource::Inline(lines) => (lines.join("\n").into_bytes(), None),
        TextSource::Rewrites(_) => (Vec::new(), None),
    };
    read::parse(&text, &zone.origin, path).map_err(|e| {
        let count = e.list.len() + e.more;
        let lines: String = e.to_string().lines().map(|line| format!("\n  {line}")).collect();
        let s = if count == 1 { "" } else { "s" };
        error(what(), &format_args!("{count} mistake{s}:{lines}"), "")
    })
}
