//! Paths and URIs.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let _ = emporia_connectors::location::fuzz(data);
});
