//! Zones from their master files.

use std::fs;
use std::io::{self, Read as _};
use std::path::Path;

use super::report::{BuildError, Failure, Part, ZoneReport, plain};
use crate::settings::{Settings, TextSource, ZoneSettings};
use crate::zones::read::{self, MAX_OCTETS};
use crate::zones::zone::{Zone, Zones};

/// Reads the zones of the settings.
///
/// # Errors
/// Every mistake of every zone.
pub fn zones(settings: &Settings) -> Result<(Zones, Vec<ZoneReport>), BuildError> {
    let (mut zones, mut reports, mut failures) = (Vec::new(), Vec::new(), Vec::new());
    for wanted in &settings.zones {
        match read_zone(wanted, settings.folder.as_deref()) {
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

fn read_zone(zone: &ZoneSettings, folder: Option<&Path>) -> Result<Zone, Vec<Failure>> {
    let failure = |file, line, reason| {
        let what = Part::Zone(zone.origin.clone());
        Failure { what, file, line, reason, help: None }
    };
    let (text, path) = match &zone.source {
        TextSource::File(path) => {
            let read = |path| {
                let mut text = Vec::new();
                let len = fs::File::open(path)?.take(MAX_OCTETS + 1).read_to_end(&mut text)? as u64;
                if len > MAX_OCTETS { Err(io::ErrorKind::FileTooLarge.into()) } else { Ok(text) }
            };
            let text = read(path).map_err(|e: io::Error| {
                let help = Some("correct `file`");
                vec![Failure { help, ..failure(Some(path.clone()), None, plain(&e)) }]
            })?;
            (text, Some(&**path))
        }
        TextSource::Embedded(_, text) => (text.as_bytes().to_vec(), None),
        TextSource::Inline(lines) => (lines.join("\n").into_bytes(), None),
        TextSource::Rewrites(_) => (Vec::new(), None),
    };
    // A zone outside of the folder of the configuration may include files of its own folder.
    let own = path.and_then(Path::parent);
    let whole = |folder: &Path| {
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        folder.canonicalize().ok()
    };
    let holds = |folder: &&Path| {
        whole(folder).zip(own.and_then(whole)).is_some_and(|(folder, own)| own.starts_with(folder))
    };
    let folder = folder.filter(holds).or(own);
    read::parse_within(&text, &zone.origin, path, folder).map_err(|errors| {
        let more = (errors.more > 0).then(|| {
            let s = if errors.more == 1 { "" } else { "s" };
            failure(path.map(Into::into), None, format!("and {} more mistake{s}", errors.more))
        });
        let listed = errors.list.into_iter().map(|e| failure(e.file, e.line, e.reason));
        listed.chain(more).collect()
    })
}
