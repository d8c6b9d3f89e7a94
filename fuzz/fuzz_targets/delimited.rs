//! Files of delimited text.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let _ = emporia_connectors::delimited::fuzz(data);
});
