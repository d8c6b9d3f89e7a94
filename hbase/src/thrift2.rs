//! The one structure of Thrift2 that is needed: a table with split keys.
//!
//! Thrift2 is another interface of HBase, served by a process of its own. It is spoken to over the
//! same kind of connection; only methods and structures differ.

use crate::ddl::{FOREVER, FamilySpec, TableSpec};
use crate::wire::request::Arguments;

/// The arguments of `createTable`: a `TTableDescriptor` and the split keys.
pub(crate) fn create_table(arguments: &mut Arguments<'_>, spec: &TableSpec) -> thrift::Result<()> {
    arguments.nested(1, |table| {
        table.nested(1, |name| table_name(name, &spec.name))?;
        table.structs(2, &spec.families, family)
    })?;
    arguments.list(2, &spec.split_keys)
}

/// A `TTableName`.
fn table_name(fields: &mut Arguments<'_>, name: &str) -> thrift::Result<()> {
    match name.split_once(':') {
        Some((namespace, qualifier)) => {
            fields.bytes(1, namespace.as_bytes())?;
            fields.bytes(2, qualifier.as_bytes())
        }
        None => fields.bytes(2, name.as_bytes()),
    }
}

/// A `TColumnFamilyDescriptor`.
fn family(fields: &mut Arguments<'_>, family: &FamilySpec) -> thrift::Result<()> {
    fields.bytes(1, family.name.as_bytes())?;
    fields.i32(5, code(BLOOM_FILTERS, &family.bloom)?)?;
    fields.i32(6, code(COMPRESSIONS, &family.compression)?)?;
    fields.i32(10, family.max_versions)?;
    fields.i32(13, family.ttl_seconds.unwrap_or(FOREVER))?;
    fields.bool(14, true)
}

/// `TBloomFilterType`.
const BLOOM_FILTERS: &[(&str, i32)] = &[("NONE", 0), ("ROW", 1), ("ROWCOL", 2)];

/// `TCompressionAlgorithm`.
const COMPRESSIONS: &[(&str, i32)] = &[
    ("LZO", 0),
    ("GZ", 1),
    ("NONE", 2),
    ("SNAPPY", 3),
    ("LZ4", 4),
    ("BZIP2", 5),
    ("ZSTD", 6),
];

fn code(codes: &[(&str, i32)], name: &str) -> thrift::Result<i32> {
    codes
        .iter()
        .find(|(known, _)| known.eq_ignore_ascii_case(name))
        .map(|(_, code)| *code)
        .ok_or_else(|| {
            let known: Vec<_> = codes.iter().map(|(known, _)| *known).collect();
            thrift::Error::from(format!("`{name}` is none of {}", known.join(", ")))
        })
}
