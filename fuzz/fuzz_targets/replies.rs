//! Replies of Thrift gateways.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let _ = emporia_hbase::fuzz(data);
});
