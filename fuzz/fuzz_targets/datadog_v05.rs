#![no_main]
//! Any bytes as a `datadog_v05` payload.

use schemas::topic::Format;

libfuzzer_sys::fuzz_target!(|payload: &[u8]| tidemill_fuzz::check(Format::DatadogV05, payload));
