//! Who answers for which names: zones, forwards, special names, upstreams.

use serde_json::{Value, json};

use super::serving;
use crate::dns::{Name, NameBuf, Special};
use crate::settings::Settings;

const SPECIAL: &str = "special name";

/// Who answers for a name and those below it.
struct Row {
    suffix: String,
    by: &'static str,
    /// The file of a zone, the servers of a forward, the RFC of a special name.
    with: String,
    warning: Option<String>,
}

/// Lines for people: the longest suffix comes first, since it decides.
pub(super) fn text(settings: &Settings) -> Vec<String> {
    let (special, rows): (Vec<_>, Vec<_>) = rows(settings).into_iter().partition(|row| row.by == SPECIAL);
    let width = rows.iter().map(|row| row.suffix.len()).max().unwrap_or_default();
    let mut out = vec!["who answers (the first suffix that matches a name decides):".to_owned()];
    for row in &rows {
        // One line, for in most configurations they are all there.
        if row.suffix == "." && !special.is_empty() {
            let names: Vec<&str> = special.iter().map(|row| row.suffix.as_str()).collect();
            out.push(format!("  this server, for special names ([special]): {}", names.join(", ")));
        }
        out.push(format!("  {:width$}  {}: {}", row.suffix, row.by, row.with));
    }
    out.extend(rows.iter().filter_map(|row| Some(format!("warning: {}", row.warning.as_ref()?))));
    out
}

/// The same for programs.
pub(super) fn json(settings: &Settings) -> Value {
    let row =
        |row: &Row| json!({ "suffix": row.suffix, "by": row.by, "with": row.with, "warning": row.warning });
    rows(settings).iter().map(row).collect()
}

fn rows(settings: &Settings) -> Vec<Row> {
    let is_zone =
        |suffix: &NameBuf| settings.zones.iter().any(|zone| zone.origin.as_name() == suffix.as_name());
    let zones = settings.zones.iter().map(|zone| {
        (
            &zone.origin,
            Row { suffix: zone.origin.to_string(), by: "zone", with: zone.source.describe(), warning: None },
        )
    });
    let forwards = settings.forwards.iter().map(|forward| {
        let servers: Vec<String> = forward.servers.iter().map(serving::name).collect();
        let suffix = forward.suffix.to_string();
        let warning = is_zone(&forward.suffix).then(|| {
            format!(
                "the forward {suffix} is asked only for what the zone of the same name delegates; the zone answers the rest"
            )
        });
        (&forward.suffix, Row { suffix, by: "forward", with: servers.join(", "), warning })
    });
    let mut own: Vec<(&NameBuf, Row)> = zones.chain(forwards).collect();
    // Stable: of the same suffix, the zone goes before the forward.
    own.sort_by(|(a, _), (b, _)| {
        let labels = |name: &NameBuf| name.as_name().labels().count();
        labels(b).cmp(&labels(a)).then_with(|| a.as_name().canonical_cmp(b.as_name()))
    });
    let (below_root, root): (Vec<_>, Vec<_>) =
        own.into_iter().partition(|(name, _)| name.as_name() != Name::ROOT);
    let special =
        Special::ALL.into_iter().filter(|special| settings.special.has(*special)).map(|special| Row {
            suffix: special.names().to_owned(),
            by: SPECIAL,
            with: format!("{} ([special] {})", special.rfc(), special.word()),
            warning: None,
        });
    let upstreams = match serving::servers(settings) {
        Ok(servers) if servers.is_empty() => "none".to_owned(),
        Ok(servers) => servers.iter().map(serving::name).collect::<Vec<_>>().join(", "),
        Err(_) => "the system's resolvers, but it has none".to_owned(),
    };
    let rest = Row { suffix: ".".into(), by: "upstreams", with: upstreams, warning: None };
    let is_root = root.is_empty();
    let rows = below_root.into_iter().map(|(_, row)| row).chain(special);
    rows.chain(root.into_iter().map(|(_, row)| row)).chain(is_root.then_some(rest)).collect()
}
