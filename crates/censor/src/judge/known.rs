//! Data that a probe has beside the answers: which network an address belongs to, and which answers are
//! known block pages.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;

/// Why such a data file can't be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KnownError {
    /// An invalid line of the map of networks, by its number.
    #[error("line {0}: expected a prefix and a number, such as `192.0.2.0/24 64496`")]
    Line(usize),
    /// A missing column in the table of known answers.
    #[error("there is no column `{0}`")]
    Column(&'static str),
}

/// Which autonomous system announces an address.
#[derive(Clone, Debug, Default)]
pub struct AsnMap(BTreeMap<IpNet, u32>);

impl AsnMap {
    /// Reads lines of a prefix and a number, in the format of pyasn; `#` and `;` begin a comment.
    ///
    /// # Errors
    /// [`KnownError::Line`]
    pub fn read(text: &str) -> Result<Self, KnownError> {
        let mut map = BTreeMap::new();
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.split(['#', ';']).next().unwrap_or_default();
            let mut words = line.split_whitespace();
            let Some(prefix) = words.next() else { continue };
            let asn = words.next().and_then(|word| {
                let digits = word.strip_prefix("AS").or_else(|| word.strip_prefix("as")).unwrap_or(word);
                digits.parse().ok()
            });
            let (Ok(prefix), Some(asn), None) = (prefix.parse::<IpNet>(), asn, words.next()) else {
                return Err(KnownError::Line(number));
            };
            map.insert(prefix.trunc(), asn);
        }
        Ok(Self(map))
    }

    /// The AS number of the longest prefix that contains the address. 0 means none.
    #[must_use]
    pub fn asn(&self, address: IpAddr) -> Option<u32> {
        if self.0.is_empty() {
            return None;
        }
        let longest = IpNet::from(address).prefix_len();
        let nets = (0..=longest).rev().filter_map(|len| IpNet::new(address, len).ok());
        nets.filter_map(|net| self.0.get(&net.trunc())).next().copied().filter(|asn| *asn != 0)
    }
}

/// An answer that is known to be a censor's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fingerprint {
    /// Its name.
    pub name: String,
    /// The countries where it is expected, as two-letter codes.
    pub countries: Vec<String>,
    pattern: Pattern,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Pattern {
    Full(String),
    Prefix(String),
    Contains(String),
}

impl Fingerprint {
    /// Reads a table in the format of `fingerprints_dns.csv` of ooni/blocking-fingerprints. Also returns
    /// the number of rows that were skipped because of an unknown kind of pattern.
    ///
    /// # Errors
    /// [`KnownError::Column`]
    pub fn read(text: &str) -> Result<(Vec<Self>, usize), KnownError> {
        let mut rows = rows(text).into_iter();
        let head = rows.next().unwrap_or_default();
        let column = |name: &'static str| head.iter().position(|c| c == name).ok_or(KnownError::Column(name));
        let (name, kind, pattern) = (column("name")?, column("pattern_type")?, column("pattern")?);
        let (scope, place, countries) =
            (column("scope")?, column("location_found")?, column("expected_countries")?);
        let (mut all, mut left_out) = (Vec::new(), 0);
        for row in rows {
            let cell = |at: usize| row.get(at).map_or("", |cell| cell.trim());
            // An entry marked `fp` is known to be a false positive.
            if cell(place) != "dns" || cell(pattern).is_empty() || cell(scope) == "fp" {
                continue;
            }
            let text = plain(cell(pattern));
            let pattern = match cell(kind) {
                "full" => Pattern::Full(text),
                "prefix" => Pattern::Prefix(text),
                "contains" => Pattern::Contains(text),
                _ => {
                    left_out += 1;
                    continue;
                }
            };
            let countries = cell(countries).split(',').map(|c| c.trim().to_ascii_uppercase());
            let countries = countries.filter(|c| !c.is_empty()).collect();
            all.push(Self { name: cell(name).to_owned(), countries, pattern });
        }
        Ok((all, left_out))
    }

    /// Whether an answer, that is an address or the target of an alias, matches.
    #[must_use]
    pub fn fits(&self, answer: &str) -> bool {
        let answer = plain(answer);
        match &self.pattern {
            Pattern::Full(text) => answer == *text,
            Pattern::Prefix(text) => answer.starts_with(text),
            Pattern::Contains(text) => answer.contains(text),
        }
    }
}

fn plain(text: &str) -> String {
    text.trim_end_matches('.').to_ascii_lowercase()
}

/// The cells of a table (RFC 4180): quoted cells may contain commas, line breaks, and doubled quotes.
fn rows(text: &str) -> Vec<Vec<String>> {
    let (mut rows, mut row, mut cell) = (Vec::new(), Vec::new(), String::new());
    let mut quoted = false;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                cell.push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => row.push(std::mem::take(&mut cell)),
            '\r' if !quoted => {}
            '\n' if !quoted => {
                row.push(std::mem::take(&mut cell));
                rows.push(std::mem::take(&mut row));
            }
            c => cell.push(c),
        }
    }
    if !cell.is_empty() || !row.is_empty() {
        row.push(cell);
        rows.push(row);
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_prefix_counts_and_zero_means_none() {
        let map = AsnMap::read(
            "# demo\n192.0.0.0/8\tAS1\n192.0.2.0/24 64496\n2001:db8::/32 3 ; v6\n\n198.51.100.0/24 0\n",
        );
        let map = map.unwrap();
        for (address, asn) in [
            ("192.0.2.7", Some(64_496)),
            ("192.0.3.7", Some(1)),
            ("193.0.0.1", None),
            ("2001:db8::1", Some(3)),
            ("2001:db9::1", None),
            ("198.51.100.1", None),
        ] {
            assert_eq!(map.asn(address.parse().unwrap()), asn, "{address}");
        }
        for bad in ["192.0.2.0/33 1", "192.0.2.0/24", "192.0.2.0/24 x", "1.2.3.0/24 1 2"] {
            assert!(AsnMap::read(&format!("\n{bad}")).unwrap_err() == KnownError::Line(2), "{bad}");
        }
    }

    #[test]
    fn a_table_of_fingerprints_is_read() {
        let text = "name,scope,other_names,location_found,pattern_type,pattern,confidence_no_fp,expected_countries,source,exp_url,notes\r\n\
            a.1,nat,\"x,y\",dns,full,8.7.198.45,5,CN,ooni,,\"said \"\"so\"\",\ntwice\"\n\
            a.2,isp,,dns,full,Block.Example.,5,\"ID,my\",ooni,,\n\
            a.3,isp,,dns,prefix,10.10.34.,5,IR,,,\n\
            a.4,isp,,dns,regexp,^1,5,IR,,,\n\
            a.5,fp,,dns,full,9.9.9.9,5,,,,\n\
            a.6,isp,,body,full,9.9.9.8,5,,,,\n\
            a.7,isp,,dns,contains,positif,5,,,,";
        let (all, left_out) = Fingerprint::read(text).unwrap();
        let names: Vec<&str> = all.iter().map(|f| f.name.as_str()).collect();
        assert_eq!((names, left_out), (vec!["a.1", "a.2", "a.3", "a.7"], 1));
        assert_eq!(all[1].countries, ["ID", "MY"]);
        for (answer, name) in [
            ("8.7.198.45", Some("a.1")),
            ("8.7.198.4", None),
            ("BLOCK.example", Some("a.2")),
            ("10.10.34.36", Some("a.3")),
            ("trustpositif.test", Some("a.7")),
            ("9.9.9.9", None),
        ] {
            assert_eq!(all.iter().find(|f| f.fits(answer)).map(|f| f.name.as_str()), name, "{answer}");
        }
        assert!(Fingerprint::read("name,scope\n").unwrap_err() == KnownError::Column("pattern_type"));
    }
}
