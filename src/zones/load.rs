//! Master files (RFC 1035 §5) through hickory's parser, as uncompressed wire records.
//!
//! `$ORIGIN`, `$TTL`, `$INCLUDE`, relative names, parentheses and every type that hickory reads are
//! taken; it refuses DS and DNAME, and of two CNAMEs at a name keeps the last. Its errors carry no line, so the line is found by reading the file again up to each.

use std::path::PathBuf;

use hickory_server::proto::rr::{DNSClass, Name as HickoryName, RData};
use hickory_server::proto::serialize::binary::{BinEncodable, BinEncoder, NameEncoding};
use hickory_server::proto::serialize::txt::Parser;

use super::zone::{Zone, ZoneError, ZoneRecord};
use crate::dns::name::NameBuf;
use crate::dns::types::Qtype;

/// Reads a master file; `path` is where `$INCLUDE` starts from.
///
/// # Errors
/// See [`ZoneError`].
pub fn parse(text: &str, origin: &NameBuf, path: Option<&PathBuf>) -> Result<Zone, ZoneError> {
    match records(text, origin, path.cloned()) {
        Ok(records) => Zone::new(origin, records),
        Err(reason) => Err(ZoneError::Syntax(line_of_error(text, origin, path), reason)),
    }
}

fn records(text: &str, origin: &NameBuf, path: Option<PathBuf>) -> Result<Vec<ZoneRecord>, String> {
    let wire = hickory_name(origin).ok_or("the origin is no name")?;
    let text = spell_out_origin(text, origin);
    let (_, sets) = Parser::new(text, path, Some(wire)).parse().map_err(|e| e.to_string())?;
    let mut all = Vec::new();
    for record in sets.values().flat_map(|set| set.records_without_rrsigs()) {
        if record.dns_class != DNSClass::IN {
            return Err(format!("{} is of class {}; zones are of class IN", record.name, record.dns_class));
        }
        let owner = record.name.to_string();
        let owner = NameBuf::from_text(&owner).map_err(|e| format!("{owner}: {e}"))?;
        let rdata = encode(&record.data).map_err(|e| format!("{owner}: {e}"))?;
        all.push((owner, Qtype(record.record_type().into()), record.ttl, rdata));
    }
    Ok(all)
}

/// Writes the origin out where a free-standing `@` stands for it within a record's data: hickory's
/// parser knows the sign only in the place of the owner.
fn spell_out_origin(text: &str, origin: &NameBuf) -> String {
    let mut current = if origin.as_name().is_root() { ".".to_owned() } else { format!("{origin}.") };
    let mut out = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let mut words = line.split_ascii_whitespace();
        if let (Some("$ORIGIN"), Some(next)) = (words.next(), words.next()) {
            current = if next.ends_with('.') { next.to_owned() } else { format!("{next}.{current}") };
        }
        let (mut quoted, mut escaped, mut before) = (false, false, None);
        let mut rest = line.chars().peekable();
        while let Some(c) = rest.next() {
            let free =
                before.is_some_and(char::is_whitespace) && rest.peek().is_none_or(|c| c.is_whitespace());
            match c {
                '"' if !escaped => quoted = !quoted,
                ';' if !quoted && !escaped => {
                    out.push(c);
                    out.extend(rest);
                    break;
                }
                _ => {}
            }
            if c == '@' && !quoted && free {
                out.push_str(&current);
            } else {
                out.push(c);
            }
            escaped = c == '\\' && !escaped;
            before = Some(c);
        }
    }
    out
}

fn hickory_name(name: &NameBuf) -> Option<HickoryName> {
    use hickory_server::proto::serialize::binary::BinDecodable;
    HickoryName::from_bytes(name.as_bytes()).ok()
}

fn encode(data: &RData) -> Result<Box<[u8]>, String> {
    let mut bytes = Vec::new();
    let mut encoder = BinEncoder::new(&mut bytes);
    encoder.set_name_encoding(NameEncoding::Uncompressed);
    data.emit(&mut encoder).map_err(|e| e.to_string())?;
    Ok(bytes.into())
}

/// The last line of the shortest beginning of the text that hickory refuses, if reading on to the
/// end of a parenthesis does not mend it.
fn line_of_error(text: &str, origin: &NameBuf, path: Option<&PathBuf>) -> Option<u32> {
    let mut begin = String::new();
    let mut depth = 0i32;
    for (number, line) in (1u32..).zip(text.lines()) {
        begin.push_str(line);
        begin.push('\n');
        let code = line.split(';').next().unwrap_or_default();
        depth += i32::try_from(code.matches('(').count()).unwrap_or(0);
        depth -= i32::try_from(code.matches(')').count()).unwrap_or(0);
        if depth <= 0 && records(&begin, origin, path.cloned()).is_err() {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_kinds_of_records_come_out_as_wire() {
        let text = r#"
$ORIGIN example.org.
$TTL 1h
@ IN SOA ns hostmaster ( 2016111700 ; serial
      3600 600 86400 60 )
  MX 10 mail
  TXT "one" "two words"
  CAA 0 issue "ca.example"
  TXT "an @ within" ; a comment @ too
  HTTPS 1 . alpn="h2,h3" ipv4hint=192.0.2.1
_sip._tcp SRV 1 2 5060 sip.example.org.
alias CNAME @
$ORIGIN below.example.org.
www 60 A 192.0.2.7
"#;
        let origin = NameBuf::from_text("example.org").unwrap();
        let zone = parse(text, &origin, None).unwrap();
        let get = |name: &str, rtype| {
            let name = NameBuf::from_text(name).unwrap();
            zone.rrset(name.as_name(), rtype).unwrap_or_else(|| panic!("{name} {rtype}")).clone()
        };
        assert_eq!(get("example.org", Qtype::MX).rdatas[0][..], *b"\0\x0a\x04mail\x07example\x03org\0");
        assert_eq!(get("example.org", Qtype::MX).ttl, 3600);
        assert_eq!(get("example.org", Qtype::TXT).rdatas[0][..], *b"\x03one\x09two words");
        assert_eq!(get("alias.example.org", Qtype::CNAME).rdatas[0][..], *b"\x07example\x03org\0");
        assert_eq!(get("example.org", Qtype::TXT).rdatas[1][..], *b"\x0ban @ within");
        let https = &get("example.org", Qtype::HTTPS).rdatas[0];
        assert_eq!(https[..], *b"\0\x01\0\0\x01\0\x06\x02h2\x02h3\0\x04\0\x04\xc0\0\x02\x01");
        assert_eq!(get("_sip._tcp.example.org", Qtype::SRV).rdatas[0][..6], *b"\0\x01\0\x02\x13\xc4");
        assert_eq!(get("www.below.example.org", Qtype::A).ttl, 60);
        assert!(crate::dns::name::Name::parse(&get("example.org", Qtype::SOA).rdatas[0]).is_ok());
    }
}
