#![no_main]
//! Any bytes as a `otlp_json` payload.

use schemas::topic::Format;

libfuzzer_sys::fuzz_target!(|payload: &[u8]| tidemill_fuzz::check(Format::OtlpJson, payload));
