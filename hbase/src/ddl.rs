//! Making and dropping tables.
//!
//! Neither can be repeated blindly: a creation whose reply was lost finds the table when it is
//! tried again. So each attempt looks first, and remembers whether an earlier one is in doubt.

use hbase_thrift::hbase::ColumnDescriptor;

use crate::action::Action;
use crate::client::Client;
use crate::error::{Error, Result};
use crate::fault::{Fault, FaultKind};
use crate::sink::RowSink;
use crate::thrift2;
use crate::wire::request::Arguments;

/// The time to live of cells that do not expire.
pub(crate) const FOREVER: i32 = i32::MAX;

/// A table to create.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableSpec {
    /// Name, with `namespace:` before it where it is not in the default one.
    pub name: String,
    /// Column families, at least one.
    pub families: Vec<FamilySpec>,
    /// The first keys of all regions but the first; without them the table has one region, which
    /// one server serves. They need a Thrift2 gateway.
    pub split_keys: Vec<Vec<u8>>,
}

/// A column family to create.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FamilySpec {
    /// Name. It is stored with every cell, so it should be short.
    pub name: String,
    /// Versions of a cell that are kept.
    pub max_versions: i32,
    /// `NONE`, `SNAPPY`, `GZ`, `LZ4`, `ZSTD`, …: what the region servers support.
    pub compression: String,
    /// Age at which cells vanish.
    pub ttl_seconds: Option<i32>,
    /// `ROW`, `ROWCOL` or `NONE`.
    pub bloom: String,
}

impl FamilySpec {
    /// A family with one version, no compression, and a bloom filter on rows.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            max_versions: 1,
            compression: "NONE".to_owned(),
            ttl_seconds: None,
            bloom: "ROW".to_owned(),
        }
    }
}

impl Client {
    /// Creates a table and waits until all its regions are served. Returns false if there was a
    /// table of this name, which is left as it is.
    ///
    /// # Errors
    /// [`Error::InvalidRequest`], also when there are split keys and no admin gateway.
    pub fn create_table(&self, spec: &TableSpec) -> Result<bool> {
        let action = Action::on("create", &spec.name);
        check(spec).map_err(|message| Error::InvalidRequest {
            action: action.to_string(),
            message,
        })?;
        if self.tables()?.contains(&spec.name) {
            self.await_regions(&spec.name)?;
            return Ok(false);
        }
        let mut is_in_doubt = false;
        let attempt = |lease: &mut crate::gateways::Lease| {
            let mut existed = false;
            let created = lease.call(action, |connection| {
                let ordered = match spec.split_keys.is_empty() {
                    true => connection.order("createTable", |arguments| thrift1(arguments, spec)),
                    false => connection.order("createTable", |arguments| {
                        thrift2::create_table(arguments, spec)
                    }),
                };
                match ordered {
                    Err(fault) if fault.kind == FaultKind::TableExists => {
                        existed = true;
                        Ok(())
                    }
                    other => other,
                }
            });
            match created {
                // An earlier attempt whose reply was lost made it.
                Ok(()) => Ok(!existed || is_in_doubt),
                Err(error) => {
                    is_in_doubt |= error.is_outcome_unknown();
                    Err(error)
                }
            }
        };
        let is_new = match spec.split_keys.is_empty() {
            true => self.run(action, attempt)?,
            false => self.run_admin(action, attempt)?,
        };
        self.await_regions(&spec.name)?;
        Ok(is_new)
    }

    /// Disables and deletes a table with all its rows.
    ///
    /// # Errors
    /// [`Error::NoSuchTable`].
    pub fn drop_table(&self, name: &str) -> Result<()> {
        let action = Action::on("drop", name);
        if !self.tables()?.iter().any(|table| table == name) {
            return Err(Error::NoSuchTable {
                action: action.to_string(),
                table: name.to_owned(),
            });
        }
        self.run(action, |lease| {
            let table = |arguments: &mut Arguments<'_>| arguments.bytes(1, name.as_bytes());
            let is_enabled = lease.call(action, |connection| {
                connection.ask("isTableEnabled", table, crate::wire::reply::bool)
            })?;
            if is_enabled {
                lease.call(action, |connection| {
                    done_or_passing(connection.order("disableTable", table))
                })?;
            }
            lease.call(action, |connection| {
                done_or_passing(connection.order("deleteTable", table))
            })
        })
    }

    /// Waits until every region is assigned and answers.
    fn await_regions(&self, table: &str) -> Result<()> {
        let action = Action::on("await the regions of", table);
        let mut backoff = self.backoff();
        loop {
            let regions = self.regions(table)?;
            if regions.iter().all(|region| region.server.is_some()) {
                let mut keys: Vec<_> = regions.into_iter().map(|r| r.range.start).collect();
                if let Some(first) = keys.first_mut() {
                    // The first region begins with no key; this is the smallest one.
                    *first = vec![0];
                }
                keys.dedup();
                return self.get(table, &keys, &[], None, &mut Discard).map(drop);
            }
            backoff.bear(Error::Unavailable {
                action: action.to_string(),
                gateway: "any".to_owned(),
                message: "a region is not assigned yet".to_owned(),
            })?;
        }
    }
}

/// A table that is gone is dropped. One that is just being disabled or enabled can be tried again.
fn done_or_passing(result: Result<(), Fault>) -> Result<(), Fault> {
    match result {
        Err(fault) if fault.kind == FaultKind::NoSuchTable => Ok(()),
        Err(fault) if fault.kind == FaultKind::Invalid => {
            Err(Fault::new(FaultKind::Unavailable, fault.message))
        }
        other => other,
    }
}

/// The arguments of Thrift1's `createTable`.
fn thrift1(arguments: &mut Arguments<'_>, spec: &TableSpec) -> thrift::Result<()> {
    arguments.bytes(1, spec.name.as_bytes())?;
    arguments.self_written(2, &spec.families, |family, out| {
        // Every field is named: the default of this type is a family that keeps nothing.
        let descriptor = ColumnDescriptor {
            name: Some(family.name.clone().into_bytes()),
            max_versions: Some(family.max_versions),
            compression: Some(family.compression.to_uppercase()),
            in_memory: Some(false),
            bloom_filter_type: Some(family.bloom.to_uppercase()),
            bloom_filter_vector_size: Some(0),
            bloom_filter_nb_hashes: Some(0),
            block_cache_enabled: Some(true),
            time_to_live: Some(family.ttl_seconds.unwrap_or(FOREVER)),
        };
        descriptor.write_to_out_protocol(out)
    })
}

fn check(spec: &TableSpec) -> Result<(), String> {
    if spec.name.is_empty() {
        return Err("the table has no name".to_owned());
    }
    if spec.families.is_empty() {
        return Err("the table has no column family".to_owned());
    }
    for family in &spec.families {
        if family.name.is_empty() || family.name.contains(':') {
            return Err(format!(
                "`{}` is not a name of a column family",
                family.name
            ));
        }
        if family.max_versions < 1 {
            return Err(format!("family `{}` keeps no version", family.name));
        }
    }
    let are_sorted = spec.split_keys.windows(2).all(|pair| pair[0] < pair[1]);
    if !are_sorted || spec.split_keys.iter().any(Vec::is_empty) {
        return Err("split keys must be sorted, different and not empty".to_owned());
    }
    Ok(())
}

struct Discard;

impl RowSink for Discard {
    fn row(&mut self, _: &[u8]) {}

    fn cell(&mut self, _: &[u8], _: i64, _: &[u8]) {}
}
