//! The program as the programs of others see it (`client.rs` says what happens where one is missing): dig, kdig, dnsping, a browser, tshark, other languages' tests.
#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs,
    clippy::disallowed_methods,
    clippy::cast_possible_truncation
)]

mod client;
#[path = "../common/mod.rs"]
mod common;

mod browser;
mod caches;
mod capture;
mod classroom;
mod dig;
mod dnstap;
mod fixtures;
mod matrix;
mod transparent;
mod validators;
mod zonefiles;

use std::process::ExitCode;

use libtest_mimic::Arguments;

fn main() -> ExitCode {
    if std::env::args().nth(1).as_deref() == Some(transparent::AS_CLIENT) {
        transparent::as_the_client_sees_it();
        return ExitCode::SUCCESS;
    }
    let tests = [
        client::tests(),
        browser::tests(),
        caches::tests(),
        capture::tests(),
        classroom::tests(),
        dig::tests(),
        dnstap::tests(),
        fixtures::tests(),
        matrix::tests(),
        transparent::tests(),
        validators::tests(),
        zonefiles::tests(),
    ];
    libtest_mimic::run(&Arguments::from_args(), tests.into_iter().flatten().collect()).exit_code()
}
