//! `[answers]`: how answers are written.

use super::check::Check;
use super::key::{Form, Key, Kind, words};
use super::table::Table;
use crate::settings::{Order, Settings};

const ORDERS: [(&str, Order); 2] = [("fixed", Order::Fixed), ("rotate", Order::Rotate)];

const ORDER: Key = Key::with("order", Kind::Word(|| words(&ORDERS)), r#""fixed""#).means(
    "The order of several addresses of a name: as the zone, the rewrite or the upstream gives them, or rotated, so \
     that each is the first in turn.",
);

pub(super) static FORM: Form = Form {
    header: "[answers]",
    meaning: "How answers are written: those from zones, rewrites, the cache and the upstreams.",
    keys: &[ORDER],
    also: &[("rrset-order", "order"), ("rotate", "order")],
};

impl Check<'_> {
    pub(super) fn answers(&mut self, mut table: Table<'_>, settings: &mut Settings) {
        settings.answers.order = table.word(self, ORDER, &ORDERS).unwrap_or_default();
        table.done(self, "", &[]);
    }
}
