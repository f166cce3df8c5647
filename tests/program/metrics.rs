//! The metrics page and the page of the documentation about it.

use std::collections::BTreeSet;

use crate::common::{Server, Upstream, read, reply};

#[test]
fn every_metric_stands_in_the_documentation() {
    let upstream = Upstream::start(|query, _| Some(reply(query, 0, &[(1, 60, &[192, 0, 2, 9])], &[], None)));
    let config = format!(
        "{}[metrics]\nlisten = \"127.0.0.1:0\"\n[[list]]\nname = \"l\"\nrules = [\"||blocked.test^\"]\n",
        Upstream::config(&[&upstream])
    );
    let server = Server::start(&config, &[]);
    server.ask("blocked.test", "A");
    server.ask("open.test", "A");
    server.ask_tcp("open.test", "A");
    let page = server.metrics();
    let metrics: BTreeSet<&str> =
        page.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    assert!(metrics.contains("portcullis_queries_total"), "{page}");
    let docs = read(&std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/metrics.md"));
    let missing: Vec<_> = metrics.iter().filter(|name| !docs.contains(&format!("`{name}`"))).collect();
    assert!(missing.is_empty(), "docs/metrics.md lacks {missing:?}");
}
