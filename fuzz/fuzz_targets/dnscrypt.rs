//! A list of dnscrypt-proxy, of any octets.
#![no_main]

mod common;

use libfuzzer_sys::fuzz_target;
use portcullis::rule::Format;

fuzz_target!(|bytes: &[u8]| common::read(Format::Dnscrypt, bytes));
