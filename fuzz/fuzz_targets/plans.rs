//! Messages of the plan codec.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let _ = emporia_connectors::codec::fuzz(data);
});
