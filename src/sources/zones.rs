//! Zones from their master files.

use std::fs;

use super::report::{BuildError, Failure, Part, ZoneReport, plain};
use crate::settings::{Settings, TextSource, ZoneSettings};
use crate::zones::read;
use crate::zones::zone::{Zone, Zones};

/// Reads the zones of the settings.
///
/// # Errors
/// Every mistake of every zone.
pub fn zones(settings: &Settings) -> Result<(Zones, Vec<ZoneReport>), BuildError> {
    let (mut zones, mut reports, mut failures) = (Vec::new(), Vec::new(), Vec::new());
    for wanted in &settings.zones {
        match read_zone(wanted) {
            Ok(zone) => {
                reports.push(ZoneReport {
                    origin: wanted.origin.clone(),
                    source: wanted.source.describe(),
                    names: zone.name_count(),
                });
                zones.push(zone);
            }
            Err(of_zone) => failures.extend(of_zone),
        }
    }
    if failures.is_empty() { Ok((Zones::new(zones), reports)) } else { Err(BuildError(failures)) }
}

/// True if reading again would give the same: nothing differs, and nothing comes from a file.
pub(super) fn same(one: &Settings, other: &Settings) -> bool {
    let from_file = one.zones.iter().any(|zone| matches!(zone.source, TextSource::File(_)));
    !from_file && one.zones == other.zones
}

fn read_zone(zone: &ZoneSettings) -> Result<Zone, Vec<Failure>> {
    let failure = |file, line, reason| {
        let what = Part::Zone(zone.origin.clone());
        Failure { what, file, line, reason, help: None }
    };
    let (text, path) = match &zone.source {
        TextSource::File(path) => {
            let text = fs::metadata(path).map_err(|e| plain(&e));
            let text = text.and_then(|_| read::regular(path, read::LONGEST)).map_err(|reason| {
                let help = Some("correct `file`");
                vec![Failure { help, ..failure(Some(path.clone()), None, reason) }]
            })?;
            (text, Some(&**path))
        }
        TextSource::Embedded(_, text) => (text.as_bytes().to_vec(), None),
        TextSource::Inline(lines) => (lines.join("\n").into_bytes(), None),
        TextSource::Rewrites(_) => (Vec::new(), None),
    };
    read::parse_within(&text, &zone.origin, path, zone.folder.as_deref()).map_err(|errors| {
        let more = (errors.more > 0).then(|| {
            let s = if errors.more == 1 { "" } else { "s" };
            failure(path.map(Into::into), None, format!("and {} more mistake{s}", errors.more))
        });
        let listed = errors.list.into_iter().map(|e| failure(e.file, e.line, e.reason));
        listed.chain(more).collect()
    })
}
