//! Zone files are read as BIND reads them, octet for octet: `named-compilezone` shows what BIND makes of them.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use libtest_mimic::Trial;
use portcullis::dns::{Name, Qtype, master::Handler, master::Place, master::Record, master::read};

use crate::client::{NAMED_COMPILEZONE, test};

pub fn tests() -> Vec<Trial> {
    vec![test("zonefiles::read_as_bind_reads_them", &[NAMED_COMPILEZONE], zones_are_read_as_bind_reads_them)]
}

/// What each zone begins with.
const HEAD: &str = "$TTL 3600\n@ SOA ns hostmaster 1 2 3 4 5\n@ NS ns.example.net.\n";
const ORIGIN: &[u8] = b"\x07Example\x03org\0";

/// Texts that both read, and read alike. Behind a line `--- NAME` stands the file of that name.
const ALIKE: &[&str] = &[
    // Every type that BIND has a text for.
    "a A 192.0.2.1\na A 255.255.255.255\nb TYPE1 192.0.2.2\n",
    "a NS ns\nc CNAME @\nd MB m\nd MG m.\nd MR m\n",
    "a WKS 192.0.2.1 tcp telnet ftp 0 1 2\na WKS 192.0.2.1 UDP 65535\na WKS 192.0.2.1 47 \n",
    "a PTR A.b\na HINFO \"a PC\" Linux\nb HINFO \"\" \"\"\na MINFO x y.\na MX 65535 .\na MX 0 mail\n",
    "a RP x y\na AFSDB 1 x\na X25 311061700956\na ISDN 150862028003217 004\na ISDN \"150862028003217\"\na RT 1 x\n",
    "a NSAP 0x47.0005.80.005a00.0000.0001.e133.ffffff000161.00\na NSAP-PTR x\na PX 1 x y\na GPOS 1 2 3\n",
    "a SIG A RSASHA1 2 3600 20300101000000 20200101000000 1 x AQIDBA==\na KEY 256 DNSSEC 5 AQID BAUG\n",
    "a AAAA ::\na AAAA 2001:DB8::192.0.2.1\na AAAA ::ffff:192.0.2.1\na A6 64 ::1 x\na A6 0 2001:db8::1\na A6 128 x\n",
    "a LOC 60 9 N 24 39 E 10 20 2000 20\n\
     a LOC 60 09 00.000 N 24 39 00.5 E -10.25m 20.00m ( 2000.00m 0.01m )\n\
     a LOC 0 S 0 W 0\n\
     a LOC 90 N 180 W -100000.00 0 90000000 1m\n\
     a LOC 52 22 23 N 4 53 32 E 42849672.95\n",
    "a NXT x A MX NXT\na EID 0102\na NIMLOC 03 04\na SRV 1 2 3 x\na ATMA +61200000000\na KX 1 x\n",
    "a NAPTR 100 50 s SIP+D2U \"\" x\na NAPTR 100 50 \"u\" \"E2U+sip\" \"!^.*$!sip:info@x!\" .\n",
    "a CERT PKIX 1 RSASHA256 AQID\na CERT 65534 65535 254 AQIDBA==\na DNAME x\na SINK 1 0 0 AQID\n",
    "a APL !1:10.0.0.1/32 1:10.0.0.0/24 2:ff00::/8 1:0.0.0.0/0\nb APL\n",
    "a DS 12892 5 2 26584835CA80C81C91999F31CFAF2A0E89D4FF1C8FAFD0DDB31A85C7 19277C13\n\
     a DS 1 RSASHA1 SHA-1 7AA4A3F416C2F2391FB7AB0D434F762CD62D1390\n\
     a CDS 0 0 0 00\na CDNSKEY 0 3 0 AA==\na DLV 1 5 1 7AA4A3F416C2F2391FB7AB0D434F762CD62D1390\n\
     a TA 1 5 1 7AA4A3F416C2F2391FB7AB0D434F762CD62D1390\n",
    "a SSHFP 4 2 C76D8329954DA2835751E371544E963EFDA099080D6C58DD2BFD9A31 6E162C83\n",
    "a IPSECKEY 10 1 2 192.0.2.38 AQNR\na IPSECKEY 10 0 2 . AQNR\na IPSECKEY 10 3 2 gw AQ NR\n\
     a IPSECKEY 10 2 2 2001:db8::1 AQNR\n",
    "a RRSIG NSEC 13 3 3600 20300102030405 1900000000 65535 X AQID BAUG\na NSEC x A MX RRSIG NSEC TYPE1234\n\
     a DNSKEY 257 3 ECDSAP256SHA256 AQID\na DHCID AAIBY2/AuCccgoJbsaxcQc9TUapptP69lOjxfNuVAA2kjEA=\n",
    "a NSEC3 1 1 12 aabbccdd 2t7b4g4vsa5smi47k61mv5bv1a22bojr A RRSIG\nb NSEC3 1 0 0 - 2T7B4G4VSA5SMI47K61MV5BV1A22BOJR\n\
     @ NSEC3PARAM 1 0 0 -\n@ NSEC3PARAM 1 0 10 0102\n",
    "a TLSA 3 1 1 0102 0304\na SMIMEA 3 1 1 01\na HIP 2 200100107B1A74DF365639CC39F1D578 AQIDBA== rvs rvs2.\n",
    "a NINFO x y\na RKEY 0 255 1 AQID\na TALINK . x\na OPENPGPKEY ( AQ\n  ID )\na CSYNC 0 3\nb CSYNC 66 3 A NS\n",
    "@ ZONEMD 1 1 1 ( c68090d90a7aed716bc459f9340e3d7c1370d4d24b7e2fc3a1ddc0b9a87153b9a9713b3c9ae5cc27\n\
     777f98b8e730044c )\n",
    "a SPF \"v=spf1\" \" -all\"\na NID 10 0014:4fff:ff20:ee64\na L32 10 192.0.2.1\na L64 10 1:2:3:4\na LP 10 x\n",
    "a EUI48 01-23-45-67-89-ab\na EUI64 01-23-45-67-89-AB-cd-ef\na URI 1 2 \"https://www.example.org/\"\n",
    "a CAA 0 issue \"ca.example.net; policy=ev\"\na CAA 128 tbs \"\"\na CAA 0 Issue ca.example.net\na AVC x:y z\n",
    "a DOA 1234567890 1 1 \"image/gif\" R0lG ODlh\na DOA 0 1 2 \"\" -\na AMTRELAY 10 1 3 x\na AMTRELAY 0 0 0 .\n\
     a AMTRELAY 0 0 1 192.0.2.1\na AMTRELAY 0 1 2 2001:db8::1\n",
    // Service bindings.
    "a HTTPS 0 svc\na HTTPS 1 . alpn=h2,h3\nb HTTPS 1 Svc port=8443 alpn=\"h2,h3\" mandatory=port,alpn\n",
    "a SVCB 1 . ipv6hint=2001:db8::1,2001:db8::2 ipv4hint=192.0.2.1 ech=AQID\nb SVCB 16 foo key667=hello\\210qoo\n",
    "a SVCB 1 . key667=\"a b\"\nb SVCB 1 . alpn=\"f\\\\\\\\oo\\\\,bar,h2\"\nc SVCB 1 . alpn=f\\\\\\092oo\\092,bar,h2\n",
    "a SVCB 1 . alpn=h2 no-default-alpn dohpath=/dns-query{?dns}\nb SVCB 1 @ key1=\\002h2 key65000\n",
    // Types by number, data by octets (RFC 3597).
    "a TYPE65280 \\# 3 010203\na TYPE1234 \\# 0\na A \\# 4 c0 00 02 01\na CLASS1 TYPE28 \\# ( 16 20010db8 000000000000\n\
     000000000001 )\na TYPE16 x\na MX \\# 7 000A016D016E00\na TYPE262 \\# 4 03020102\n",
    // Parentheses, quotes, comments, escapes.
    "a TXT ( \"one ; ( two\" ; a comment ) \"\n  three ) ; the end\n",
    "a TXT a\\;b \"c\\\"d\" \\101\\000 \"\\\\\"\nb TXT x\\ y \"\"\nc TXT \"a\"\"b\"c\"d\"\nd TXT k=\"v w\"\n",
    "a TXT \"v=DKIM1; k=rsa; p=AB\" \"CD\"\na ( TXT ) ( x ) ( y )\n",
    "a\\.b.c A 192.0.2.1\n\\@ A 192.0.2.1\n\\100\\032e A 192.0.2.1\na PTR \\a\\.\\065.\\(x\n",
    "\t\n ; only a comment\n(a\n\tA\n192.0.2.1)\r\nb A 192.0.2.1\r\n",
    // Owners, TTLs and classes.
    "a A 192.0.2.1\n  A 192.0.2.2\n\tTXT x\n",
    "a 60 IN A 192.0.2.1\nb IN 60 A 192.0.2.1\nc 1h30m A 192.0.2.1\nd IN A 192.0.2.1\ne CLASS1 2D A 192.0.2.1\nf A 192.0.2.1\n",
    "$TTL 1d\na A 192.0.2.1\n$TTL 1w2D3h4M5s\nb A 192.0.2.1\n$TTL 0\nc 5 A 192.0.2.1\nd A 192.0.2.1\n",
    "In A 192.0.2.1\nTXT TXT TXT\n60 A 192.0.2.1\n",
    "WWW A 192.0.2.1\nMixed CNAME wWw\n*.Wild A 192.0.2.1\n_sip._tcp SRV 0 0 5060 Sip\n",
    // $ORIGIN and $INCLUDE.
    "$ORIGIN sub\na A 192.0.2.1\n$ORIGIN deeper\nb NS @\n$ORIGIN example.org.\nc A 192.0.2.1\n@ TXT x\n",
    "$ORIGIN sub\n  TXT \"the owner from above\"\na A 192.0.2.1\n$ORIGIN Example.ORG.\n  TXT \"still a.sub\"\n",
    "$INCLUDE other\nb A 192.0.2.2\n--- other\na A 192.0.2.1\n$ORIGIN x\nc CNAME d\n",
    "$INCLUDE \"other\" sub ; a comment\nb A 192.0.2.2\n--- other\na A 192.0.2.1\n$ORIGIN x\nc CNAME d\n@ TXT x\n",
    "a A 192.0.2.2\n$INCLUDE other\n  TXT \"of a\"\n--- other\n  TXT \"of a too\"\nb A 192.0.2.1\n",
    "$INCLUDE other\nb A 192.0.2.2\n--- other\n$TTL 5\na A 192.0.2.1\n$INCLUDE third third\n--- third\n@ A 192.0.2.3\n",
    // $GENERATE.
    "$GENERATE 1-3 host$ A 192.0.2.$\n$GENERATE 0-6/2 $ PTR host$\n$GENERATE 7-9/2 $ 60 IN CNAME $.x\n",
    "$GENERATE 1-2 host${0,3,d} MX \"10 mail${10,0,d}.x\"\n$GENERATE 10-12 ${0,2,x}-${0,2,X}-${-5} A 192.0.2.$\n",
    "$GENERATE 1-2 ${0,7,n} TXT \"\\\"a $\\\" \\$ $$\"\n$GENERATE 26-27 ${0,0,N}.x A 192.0.2.${1}\n",
    "$ORIGIN sub\n$GENERATE 1-2 a$ NS @\n",
];

/// A record as octets: owner, type, TTL, data.
type Octets = (Vec<u8>, u16, u32, Vec<u8>);

/// Collects what is read; files are in a folder.
struct Ours<'f> {
    folder: &'f Path,
    records: BTreeSet<Octets>,
    problems: Vec<String>,
}

impl Handler for Ours<'_> {
    fn record(&mut self, _: Place, record: Record) {
        let Record { owner, rtype, ttl, rdata } = record;
        self.records.insert((owner.as_bytes().to_vec(), rtype.0, ttl, rdata));
    }

    fn problem(&mut self, place: Place, reason: String) {
        self.problems.push(format!("{}:{}: {reason}", place.file, place.line));
    }

    fn include(&mut self, path: &str, from: usize) -> Result<(usize, Vec<u8>), String> {
        fs::read(self.folder.join(path)).map(|text| (from + 1, text)).map_err(|e| e.to_string())
    }
}

fn ours(folder: &Path) -> Result<BTreeSet<Octets>, Vec<String>> {
    let mut ours = Ours { folder, records: BTreeSet::new(), problems: Vec::new() };
    let text = fs::read(folder.join("zone")).unwrap();
    read(&text, Name::parse(ORIGIN).unwrap(), &mut ours);
    if ours.problems.is_empty() { Ok(ours.records) } else { Err(ours.problems) }
}

/// What BIND makes of the zone in the folder: its raw format, which holds octets.
fn binds(folder: &Path) -> Result<BTreeSet<Octets>, String> {
    let ignore = ["-k", "-n", "-m", "-M", "-S", "-T", "-W", "-r"].iter().flat_map(|flag| [*flag, "ignore"]);
    let done = Command::new(NAMED_COMPILEZONE.path())
        .current_dir(folder)
        .args(["-i", "none", "-F", "raw", "-o", "raw"])
        .args(ignore)
        .args(["Example.org", "zone"])
        .output()
        .unwrap();
    if !done.status.success() {
        return Err(String::from_utf8_lossy(&[done.stdout, done.stderr].concat()).into_owned());
    }
    Ok(raw(&fs::read(folder.join("raw")).unwrap()))
}

/// The records of a file in BIND's raw format, version 1: a header of 24 octets; then sets, each with its
/// length, class, type, covered type, TTL, number of records, owner and data.
fn raw(mut bytes: &[u8]) -> BTreeSet<Octets> {
    fn number(bytes: &mut &[u8], octets: usize) -> usize {
        let (front, rest) = bytes.split_at(octets);
        *bytes = rest;
        front.iter().fold(0, |sum, b| sum << 8 | usize::from(*b))
    }
    fn octets(bytes: &mut &[u8]) -> Vec<u8> {
        let len = number(bytes, 2);
        let (front, rest) = bytes.split_at(len);
        *bytes = rest;
        front.to_vec()
    }
    assert_eq!((number(&mut bytes, 4), number(&mut bytes, 4)), (2, 1), "the raw format, version 1");
    bytes = &bytes[16..];
    let mut records = BTreeSet::new();
    while !bytes.is_empty() {
        let _total = number(&mut bytes, 4);
        let _class = number(&mut bytes, 2);
        let rtype = u16::try_from(number(&mut bytes, 2)).unwrap();
        let _covers = number(&mut bytes, 2);
        let ttl = u32::try_from(number(&mut bytes, 4)).unwrap();
        let count = number(&mut bytes, 4);
        let owner = octets(&mut bytes);
        for _ in 0..count {
            records.insert((owner.clone(), rtype, ttl, octets(&mut bytes)));
        }
    }
    records
}

fn shown((owner, rtype, ttl, rdata): &Octets) -> String {
    let hex: String = rdata.iter().map(|b| format!("{b:02x}")).collect();
    format!("{} {ttl} {} {hex}", Name::parse(owner).unwrap(), Qtype(*rtype))
}

/// Writes a text and those behind `--- NAME` lines into a folder.
fn lay_out(text: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut parts = text.split("--- ");
    fs::write(folder.path().join("zone"), format!("{HEAD}{}", parts.next().unwrap())).unwrap();
    for part in parts {
        let (name, text) = part.split_once('\n').unwrap();
        fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

fn zones_are_read_as_bind_reads_them() {
    let mut wrong = Vec::new();
    for text in ALIKE {
        let folder = lay_out(text);
        match (ours(folder.path()), binds(folder.path())) {
            (Ok(ours), Ok(binds)) => {
                let (mine, theirs): (String, String) = (
                    ours.difference(&binds).map(|r| format!("  here: {}\n", shown(r))).collect(),
                    binds.difference(&ours).map(|r| format!("  BIND: {}\n", shown(r))).collect(),
                );
                if ours != binds {
                    wrong.push(format!("{text}\n{mine}{theirs}"));
                }
            }
            (Ok(_), Err(why)) => wrong.push(format!("{text}\n  BIND refuses: {why}")),
            (Err(why), _) => wrong.push(format!("{text}\n  refused here: {why:#?}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
