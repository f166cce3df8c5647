//! The scenarios that come with the program.

use std::path::Path;

use crate::censor::{Scenario, ZoneText};
use crate::config::scenario;
use crate::zones::read::{self, ZoneError};

macro_rules! scenarios {
    ($($name:literal),+ $(,)?) => {
        &[$(($name, include_str!(concat!("../../blocklists/scenarios/", $name, ".toml")))),+]
    };
}

/// The name and text of each, in listing order.
pub const ALL: &[(&str, &str)] = scenarios![
    "ru-2016-linkedin",
    "ru-2017-ertelecom",
    "ru-2026-nsdi",
    "cn-gfw-injection",
    "ir-injection",
    "tr-2014-twitter",
    "id-2022-trustpositif",
    "de-cuii-2021-2025",
    "fr-honest-blocking",
    "tm-2021-substring",
    "school-safesearch",
];

/// The shipped scenario of this name, or the scenario in the file of this name.
///
/// # Errors
/// There is neither, or the file is invalid: each mistake with its line.
pub fn load(name: &str) -> Result<Scenario, String> {
    if let Some((name, text)) = ALL.iter().find(|(known, _)| *known == name) {
        let file = format!("blocklists/scenarios/{name}.toml");
        let scenario = scenario::parse(text, Path::new(&file)).map_err(|e| e.to_string())?;
        return with_zones(scenario, Path::new(&file));
    }
    let path = Path::new(name);
    if path.extension().is_none() && !path.exists() {
        let meant = meant(name);
        let hint = if meant.is_empty() {
            "`portcullis scenario list` shows all scenarios".into()
        } else {
            format!("did you mean `{}`?", meant.join("` or `"))
        };
        return Err(format!(
            "`{name}` is not a scenario that comes with the program, and not a file; {hint}"
        ));
    }
    with_zones(scenario::load(path).map_err(|e| e.to_string())?, path)
}

/// The names that a part of a name, or a misspelt one, may stand for.
fn meant(name: &str) -> Vec<&'static str> {
    let typed = name.to_ascii_lowercase();
    let known = || ALL.iter().map(|(known, _)| *known);
    let parts: Vec<&str> = known().filter(|known| typed.len() > 1 && known.contains(&typed)).collect();
    if !parts.is_empty() {
        return parts;
    }
    let nearest = known().map(|known| (strsim::damerau_levenshtein(&typed, known), known)).min();
    nearest
        .filter(|(distance, _)| *distance <= 1 + typed.len() / 3)
        .map(|(_, known)| known)
        .into_iter()
        .collect()
}

/// The scenario, if its zones are valid.
fn with_zones(scenario: Scenario, file: &Path) -> Result<Scenario, String> {
    let wrong = |zone: &ZoneText| {
        let errors = read::parse(zone.text.as_bytes(), &zone.origin, None).err().unwrap_or_default();
        let (first, origin, file) = (zone.line, zone.origin.clone(), file.display());
        let place = |line: Option<u32>| line.map_or(first, |line| first + line - 1);
        let more = (errors.more > 0)
            .then(|| format!("{file}:{first}: [[zone]] records: {origin}: and {} more", errors.more));
        let line =
            |e: &ZoneError| format!("{file}:{}: [[zone]] records: {origin}: {}", place(e.line), e.reason);
        errors.list.iter().map(line).chain(more).collect::<Vec<_>>()
    };
    let wrong: Vec<String> = scenario.zones.iter().flat_map(wrong).collect();
    if wrong.is_empty() { Ok(scenario) } else { Err(wrong.join("\n")) }
}

#[cfg(test)]
mod tests {
    use super::meant;

    #[test]
    fn a_part_of_a_name_or_a_mistyped_one_is_understood() {
        for (name, known) in [
            ("linkedin", &["ru-2016-linkedin"][..]),
            ("cn-gfw", &["cn-gfw-injection"]),
            ("CN-GFW-injektion", &["cn-gfw-injection"]),
            ("injection", &["cn-gfw-injection", "ir-injection"]),
            ("ru-2016-linkedn", &["ru-2016-linkedin"]),
            ("nothing-of-the-kind", &[]),
            ("", &[]),
        ] {
            assert_eq!(meant(name), known, "{name}");
        }
    }
}
