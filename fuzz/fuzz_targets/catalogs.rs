//! Catalog files.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let _ = emporia_core::catalog::fuzz(data);
});
