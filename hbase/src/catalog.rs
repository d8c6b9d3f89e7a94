//! Which tables, column families and regions there are.

use serde::{Deserialize, Serialize};

use crate::action::Action;
use crate::client::Client;
use crate::error::{Error, Result};
use crate::fault::{self, Fault};
use crate::gateways::Lease;
use crate::range::KeyRange;
use crate::wire::input::Input;
use crate::wire::reply;
use crate::wire::token::{Kind, expect};

/// A part of a table that one region server serves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Region {
    /// The keys of the region.
    pub range: KeyRange,
    /// Host of the region server, where the region is assigned.
    pub server: Option<String>,
}

/// A column family of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Family {
    /// Its name.
    pub name: String,
    /// Versions of a cell that are kept.
    pub max_versions: i32,
}

impl Client {
    /// Names of all tables; those outside the default namespace begin with it and a colon.
    ///
    /// # Errors
    /// When no gateway answers.
    pub fn tables(&self) -> Result<Vec<String>> {
        let action = Action::general("list tables");
        self.run(action, |lease| {
            lease.call(action, |connection| {
                connection.ask("getTableNames", |_| Ok(()), reply::texts)
            })
        })
    }

    /// Names of the column families of a table, without the colon that HBase adds.
    ///
    /// # Errors
    /// [`Error::NoSuchTable`].
    pub fn families(&self, table: &str) -> Result<Vec<String>> {
        let families = self.describe(table)?.into_iter();
        Ok(families.map(|family| family.name).collect())
    }

    /// The column families of a table.
    ///
    /// # Errors
    /// [`Error::NoSuchTable`].
    pub fn describe(&self, table: &str) -> Result<Vec<Family>> {
        let action = Action::on("list the column families of", table);
        self.run(action, |lease| {
            lease.call(action, |connection| {
                connection.ask(
                    "getColumnDescriptors",
                    |arguments| arguments.bytes(1, table.as_bytes()),
                    families,
                )
            })
        })
    }

    /// The regions of a table, in the order of their keys, from the first key to the last without
    /// gap or overlap. While a split or merge is under way they are read again.
    ///
    /// # Errors
    /// [`Error::NoSuchTable`].
    pub fn regions(&self, table: &str) -> Result<Vec<Region>> {
        let action = Action::on("list the regions of", table);
        self.run(action, |lease| {
            let mut regions = read_regions(lease, action)?;
            regions.sort_by(|a, b| a.range.start.cmp(&b.range.start));
            match are_adjacent(&regions) {
                true => Ok(regions),
                false => Err(Error::Unavailable {
                    action: action.to_string(),
                    gateway: lease.gateway().to_owned(),
                    message: "regions have gaps or overlap; a split or merge may be under way"
                        .to_owned(),
                }),
            }
        })
    }
}

/// The regions as the gateway lists them.
///
/// # Errors
/// [`Error::NoSuchTable`]: the gateway lists no region then.
pub(crate) fn read_regions(lease: &mut Lease, action: Action<'_>) -> Result<Vec<Region>> {
    let regions = lease.call(action, |connection| {
        connection
            .ask(
                "getTableRegions",
                |arguments| arguments.bytes(1, action.table().as_bytes()),
                regions,
            )
            // The gateway fails so on a region that is not assigned.
            .map_err(Fault::or_passing)
    })?;
    match regions.is_empty() {
        true => Err(Error::NoSuchTable {
            action: action.to_string(),
            table: action.table().to_owned(),
        }),
        false => Ok(regions),
    }
}

/// Whether the sorted regions hold every key once.
fn are_adjacent(regions: &[Region]) -> bool {
    let starts_at_first = regions.first().is_some_and(|r| r.range.start.is_empty());
    let ends_at_last = regions.last().is_some_and(|r| r.range.end.is_empty());
    let are_linked = regions
        .windows(2)
        .all(|pair| !pair[0].range.end.is_empty() && pair[0].range.end == pair[1].range.start);
    starts_at_first && ends_at_last && are_linked
}

/// A result that is a `map<Text, ColumnDescriptor>`.
fn families(input: &mut Input, kind: Kind) -> fault::Result<Vec<Family>> {
    expect(Kind::Map, kind)?;
    let (key, value, n_families) = input.map()?;
    let mut families = Vec::new();
    for _ in 0..n_families {
        expect(Kind::Binary, key)?;
        let name = bytes(input)?;
        let name = name.strip_suffix(b":").unwrap_or(&name);
        expect(Kind::Struct, value)?;
        families.push(Family {
            name: String::from_utf8_lossy(name).into_owned(),
            max_versions: max_versions(input)?,
        });
    }
    Ok(families)
}

/// That field of a `ColumnDescriptor`.
fn max_versions(input: &mut Input) -> fault::Result<i32> {
    let mut max_versions = 1;
    let mut id = 0;
    loop {
        match (input.field(&mut id)?, id) {
            (Kind::Stop, _) => return Ok(max_versions),
            (Kind::I32, 2) => max_versions = input.i32()?,
            (kind, _) => input.skip(kind)?,
        }
    }
}

/// A result that is a `list<TRegionInfo>`.
fn regions(input: &mut Input, kind: Kind) -> fault::Result<Vec<Region>> {
    expect(Kind::List, kind)?;
    let (element, n_regions) = input.list()?;
    let mut regions = Vec::new();
    for _ in 0..n_regions {
        expect(Kind::Struct, element)?;
        regions.push(region(input)?);
    }
    Ok(regions)
}

fn region(input: &mut Input) -> fault::Result<Region> {
    let mut range = KeyRange::all();
    let mut server = None;
    let mut id = 0;
    loop {
        match (input.field(&mut id)?, id) {
            (Kind::Stop, _) => return Ok(Region { range, server }),
            (Kind::Binary, 1) => range.start = bytes(input)?,
            (Kind::Binary, 2) => range.end = bytes(input)?,
            (Kind::Binary, 6) => {
                let host = bytes(input)?;
                server = Some(String::from_utf8_lossy(&host).into_owned())
                    .filter(|host| !host.is_empty());
            }
            (kind, _) => input.skip(kind)?,
        }
    }
}

fn bytes(input: &mut Input) -> fault::Result<Vec<u8>> {
    let span = input.binary()?;
    Ok(input.slice(span).to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regions_must_hold_every_key_once() {
        let check = |bounds: &[(&str, &str)], expected| {
            let regions: Vec<_> = bounds
                .iter()
                .map(|(start, end)| Region {
                    range: KeyRange::new(*start, *end),
                    server: None,
                })
                .collect();
            assert_eq!(are_adjacent(&regions), expected, "{bounds:?}");
        };
        check(&[("", "")], true);
        check(&[("", "b"), ("b", "d"), ("d", "")], true);
        check(&[("", "b"), ("c", "")], false);
        check(&[("", "c"), ("b", "")], false);
        check(&[("", ""), ("b", "")], false);
        check(&[("a", "")], false);
        check(&[("", "b")], false);
        check(&[], false);
    }
}
