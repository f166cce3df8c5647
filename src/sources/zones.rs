//! Zones from their master files.

use std::fs;

use super::report::{BuildError, Report, ZoneReport, error, plain};
use crate::resolver::settings::{Settings, TextSource, ZoneSettings};
use crate::zones::load;
use crate::zones::zone::{Zone, Zones};

/// The zones of the settings, told of in the report.
///
/// # Errors
/// The first zone that can't be read.
pub fn zones(settings: &Settings, report: &mut Report) -> Result<Zones, BuildError> {
    let mut zones = Vec::with_capacity(settings.zones.len());
    for wanted in &settings.zones {
        let zone = read_zone(wanted)?;
        report.zones.push(ZoneReport {
            origin: wanted.origin.clone(),
            source: wanted.source.describe(),
            names: zone.name_count(),
        });
        zones.push(zone);
    }
    Ok(Zones::new(zones))
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
            let text = fs::read_to_string(path).map_err(|e| error(what(), &plain(&e), "correct `file`"))?;
            (text, Some(path))
        }
        TextSource::Embedded(_, text) => ((*text).to_owned(), None),
        TextSource::Inline(lines) => (lines.join("\n"), None),
        TextSource::Rewrites(_) => (String::new(), None),
    };
    load::parse(&text, &zone.origin, path).map_err(|e| error(what(), &e, ""))
}
