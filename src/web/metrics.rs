//! Prometheus text from the counters, through the `metrics` facade.
//!
//! Each thread has its own counters; at each request the sums are set in the facade as absolute
//! values and rendered. Labels come only from the configuration and from fixed sets.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use metrics::{Unit, counter, describe_counter, describe_gauge, gauge, with_local_recorder};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};

use crate::dns::{Rcode, clean_lines};
use crate::observe::lists::{ALARMS, ListState};
use crate::observe::throttle;
use crate::resolver::live::Engine;

/// The page: a recorder of its own, so that the counters of two servers in one process stay apart.
pub struct Page {
    recorder: PrometheusRecorder,
    handle: PrometheusHandle,
    engine: Arc<Engine>,
    /// The lists so far: what is not served any more is at zero.
    lists: Mutex<BTreeSet<String>>,
}

impl Page {
    /// The page of one engine.
    #[must_use]
    pub fn new(engine: &Arc<Engine>) -> Self {
        let recorder = PrometheusBuilder::new().build_recorder();
        let handle = recorder.handle();
        let page = Self { recorder, handle, engine: Arc::clone(engine), lists: Mutex::default() };
        with_local_recorder(&page.recorder, describe);
        page
    }

    /// The page's current text.
    #[must_use]
    pub fn render(&self) -> String {
        let mut lists = self.lists.lock().unwrap_or_else(PoisonError::into_inner);
        with_local_recorder(&self.recorder, || publish(&self.engine, &mut lists));
        self.handle.run_upkeep();
        // Labels have names of lists.
        clean_lines(&self.handle.render()).into_owned()
    }
}

/// The routes of the metrics listener.
pub fn routes(engine: &Arc<Engine>) -> Router {
    let page = Arc::new(Page::new(engine));
    let text = "text/plain; version=0.0.4; charset=utf-8";
    Router::new().route(
        "/metrics",
        get(move || {
            let page = Arc::clone(&page);
            async move { ([(CONTENT_TYPE, text)], page.render()) }
        }),
    )
}

fn describe() {
    let counters = [
        ("portcullis_queries_total", "Queries received, by transport."),
        ("portcullis_verdicts_total", "Queries that the policy judged, by verdict."),
        ("portcullis_list_hits_total", "Queries that a rule of a list decided, by list."),
        ("portcullis_answered_by_total", "Queries, by the step that answered."),
        ("portcullis_responses_total", "Replies sent, by response code."),
        ("portcullis_unanswered_total", "Queries left without a reply."),
        ("portcullis_upstream_answers_total", "Replies of an upstream that were used, by upstream."),
        ("portcullis_upstream_failures_total", "Failed attempts at an upstream, by upstream."),
        (
            "portcullis_upstream_unwanted_total",
            "Messages from an upstream that match no open query, by upstream.",
        ),
        ("portcullis_ratelimit_dropped_total", "UDP queries beyond the limit on replies that got none."),
        (
            "portcullis_ratelimit_slipped_total",
            "UDP queries beyond the limit on replies that got a truncated one, or BADCOOKIE.",
        ),
        (
            "portcullis_tcp_connections_refused_total",
            "DNS connections refused: the client may not ask, or all places were busy.",
        ),
        ("portcullis_tcp_connections_closed_total", "Idle DNS connections closed to make room for another."),
        (
            "portcullis_tcp_accept_failures_total",
            "Failures to accept a DNS connection, usually for lack of file descriptors.",
        ),
        (
            "portcullis_tcp_over_budget_total",
            "DNS connections not read from, or closed, because all together held too much memory.",
        ),
        ("portcullis_log_lines_left_out_total", "Repeated lines left out of the program's log."),
        (
            "portcullis_reload_failures_total",
            "Reloads that changed nothing, because something could not be read.",
        ),
        ("portcullis_log_lines_dropped_total", "Lines of the query log dropped because its queue was full."),
        ("portcullis_log_rows_total", "Queries written to the database of the query log."),
        (
            "portcullis_log_rows_lost_total",
            "Queries that could not be written to the database of the query log.",
        ),
        ("portcullis_dnstap_messages_total", "Messages sent by dnstap."),
        ("portcullis_dnstap_dropped_total", "Messages for dnstap dropped because its queue was full."),
        ("portcullis_dnstap_lost_total", "Messages for dnstap that no collector took."),
    ];
    for (name, help) in counters {
        describe_counter!(name, Unit::Count, help);
    }
    describe_gauge!("portcullis_list_rules", Unit::Count, "Rules of a list.");
    describe_gauge!("portcullis_list_invalid_lines", Unit::Count, "Malformed lines of a list.");
    describe_gauge!(
        "portcullis_list_alarm",
        "1 if a list has many invalid lines, gives no rules, shrank, or was not reloaded."
    );
    describe_gauge!("portcullis_rules", Unit::Count, "Rules in the index.");
    describe_gauge!("portcullis_index_bytes", Unit::Bytes, "Size of the frozen index.");
    describe_gauge!("portcullis_cache_bytes", Unit::Bytes, "Size of the reply cache.");
    describe_gauge!("portcullis_tcp_connections", Unit::Count, "Open DNS connections.");
    describe_gauge!("portcullis_log_failing", Unit::Count, "1 while the query log can't be written.");
    describe_gauge!("portcullis_dnstap_disconnected", Unit::Count, "1 while no collector takes dnstap.");
    describe_gauge!(
        "portcullis_upstream_up",
        Unit::Count,
        "1 while an upstream answers, else 0, by upstream."
    );
    describe_gauge!("portcullis_queries_waiting", Unit::Count, "Queries waiting for an upstream.");
}

#[expect(clippy::cast_precision_loss, reason = "a gauge is a float")]
fn publish(engine: &Engine, lists: &mut BTreeSet<String>) {
    let totals = engine.counters.totals();
    for (transport, n) in totals.queries {
        counter!("portcullis_queries_total", "transport" => transport).absolute(n);
    }
    for (verdict, n) in totals.verdicts {
        counter!("portcullis_verdicts_total", "verdict" => verdict).absolute(n);
    }
    for (list, n) in totals.lists {
        counter!("portcullis_list_hits_total", "list" => list).absolute(n);
    }
    for (step, n) in totals.sources {
        counter!("portcullis_answered_by_total", "step" => step).absolute(n);
    }
    for (rcode, n) in totals.rcodes {
        counter!("portcullis_responses_total", "rcode" => Rcode(rcode).to_string()).absolute(n);
    }
    counter!("portcullis_unanswered_total").absolute(totals.unanswered);
    let connections = &engine.counters.connections;
    let ratelimit = &engine.counters.ratelimit;
    for (name, n) in [
        ("portcullis_ratelimit_dropped_total", &ratelimit.dropped),
        ("portcullis_ratelimit_slipped_total", &ratelimit.slipped),
        ("portcullis_tcp_connections_refused_total", &connections.refused),
        ("portcullis_tcp_connections_closed_total", &connections.closed),
        ("portcullis_tcp_accept_failures_total", &connections.failed),
        ("portcullis_tcp_over_budget_total", &connections.over_budget),
    ] {
        counter!(name).absolute(n.load(Relaxed));
    }
    gauge!("portcullis_tcp_connections").set(connections.open.load(Relaxed) as f64);
    let sinks = &engine.counters.sinks;
    counter!("portcullis_log_lines_dropped_total").absolute(sinks.lines_dropped());
    counter!("portcullis_dnstap_dropped_total").absolute(sinks.dnstap.dropped());
    for (stat, written, lost, failing) in [
        (&sinks.log, "portcullis_log_rows_total", "portcullis_log_rows_lost_total", "portcullis_log_failing"),
        (
            &sinks.dnstap,
            "portcullis_dnstap_messages_total",
            "portcullis_dnstap_lost_total",
            "portcullis_dnstap_disconnected",
        ),
    ] {
        counter!(written).absolute(stat.written.load(Relaxed));
        counter!(lost).absolute(stat.lost.load(Relaxed));
        gauge!(failing).set(if stat.failing.load(Relaxed) { 1.0 } else { 0.0 });
    }
    counter!("portcullis_log_lines_left_out_total").absolute(throttle::left_out());
    counter!("portcullis_reload_failures_total").absolute(engine.counters.failed_reloads.load(Relaxed));
    let snapshot = engine.snapshot();
    publish_lists(&snapshot.lists, lists);
    // One server may be in several routes.
    let mut upstreams: BTreeMap<String, (u64, u64, u64, bool)> = BTreeMap::new();
    for (server, tally) in snapshot.routes.all().flat_map(|u| u.tallies()) {
        let all = upstreams.entry(server.to_string()).or_insert((0, 0, 0, true));
        all.0 += tally.answered();
        all.1 += tally.failed();
        all.2 += tally.unwanted();
        all.3 &= tally.is_up();
    }
    for (upstream, (answered, failed, unwanted, up)) in upstreams {
        gauge!("portcullis_upstream_up", "upstream" => upstream.clone()).set(f64::from(u8::from(up)));
        counter!("portcullis_upstream_unwanted_total", "upstream" => upstream.clone()).absolute(unwanted);
        counter!("portcullis_upstream_answers_total", "upstream" => upstream.clone()).absolute(answered);
        counter!("portcullis_upstream_failures_total", "upstream" => upstream).absolute(failed);
    }
    gauge!("portcullis_rules").set(snapshot.policy.rule_count() as f64);
    gauge!("portcullis_index_bytes").set(snapshot.policy.index_len() as f64);
    gauge!("portcullis_cache_bytes").set(snapshot.cache.bytes() as f64);
    gauge!("portcullis_queries_waiting").set(engine.waiting.len() as f64);
}

/// The state of each list. The parts of a list with times of their own share its name.
#[expect(clippy::cast_precision_loss, reason = "a gauge is a float")]
fn publish_lists(served: &[ListState], known: &mut BTreeSet<String>) {
    known.extend(served.iter().map(|list| list.name.clone()));
    for name in known.iter() {
        let of = || served.iter().filter(|list| list.name == *name);
        let rules: usize = of().map(|list| list.rules).sum();
        let invalid: u64 = of().map(|list| u64::from(list.invalid)).sum();
        gauge!("portcullis_list_rules", "list" => name.clone()).set(rules as f64);
        gauge!("portcullis_list_invalid_lines", "list" => name.clone()).set(invalid as f64);
        for alarm in ALARMS {
            let on = of().any(|list| list.alarms.iter().any(|(kind, _)| *kind == alarm));
            gauge!("portcullis_list_alarm", "list" => name.clone(), "alarm" => alarm).set(f64::from(on));
        }
    }
}
