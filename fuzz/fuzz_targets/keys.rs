//! The option `key` of HBase tables, and keys of rows.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let _ = emporia_connectors::hbase::fuzz(data);
});
