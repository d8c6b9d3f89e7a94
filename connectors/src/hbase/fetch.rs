//! Which cells a scan asks for.
//!
//! HBase returns a row only if it has a cell that was asked for. A scan that asks for the columns
//! of a query alone loses the rows in which all of them are null, and counts wrongly. So it asks
//! for a cell that every row has, the presence cell; or, where none is declared, for all cells; or,
//! where only keys matter, for the first cell of each row without its value.

use emporia_hbase::filter;

use super::mapping::{CellName, ColumnMapping, Mapping, Place};
use super::predicate::CellFilter;

/// What a scan asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fetch {
    /// `family:qualifier` each; all cells if empty.
    pub(super) columns: Vec<String>,
    /// A filter in the language of the gateway; none if empty.
    pub(super) filter: Vec<u8>,
}

impl Fetch {
    /// What a scan asks for that yields the columns `projection` of rows that pass `cell_filter`;
    /// `is_one_run` where cells of older runs may be below those that count.
    pub(super) fn plan(
        mapping: &Mapping,
        projection: &[usize],
        cell_filter: Option<&CellFilter>,
        is_one_run: bool,
    ) -> Self {
        let projected = || {
            projection
                .iter()
                .filter_map(|index| mapping.columns.get(*index))
        };
        let tested = cell_filter.map_or(&[][..], |filter| &filter.columns);
        let tested = tested
            .iter()
            .filter_map(|index| mapping.columns.get(*index));
        let needs_values = projected().any(|column| column.cell().is_some());
        let needs_timestamp = projected().any(|column| column.place == Place::Timestamp);
        let columns = match &mapping.presence {
            Some(presence) => {
                let mut columns: Vec<String> = projected()
                    .chain(tested)
                    .filter_map(ColumnMapping::cell)
                    .chain([presence])
                    .map(|cell: &CellName| cell.as_str().to_owned())
                    .collect();
                columns.sort_unstable();
                columns.dedup();
                columns
            }
            None => Vec::new(),
        };
        let filter = match cell_filter {
            // Not together with the others: they could take away the cells that it tests.
            Some(cell_filter) => cell_filter.bytes.clone(),
            None if needs_values => Vec::new(),
            // The first cell may be one that does not count, or not be the latest one.
            None if mapping.presence.is_some() || is_one_run || needs_timestamp => {
                filter::key_only()
            }
            None => filter::and(&[filter::first_key_only(), filter::key_only()]),
        };
        Self { columns, filter }
    }
}

#[cfg(test)]
mod tests {
    use emporia_hbase::KeyRange;

    use super::super::definition::mapping_of;
    use super::super::predicate::{Domain, Predicate};
    use super::*;

    const COLUMNS: [&str; 4] = ["id string", "a string", "b string", "at timestamp"];

    fn check(presence: bool, projection: &[usize], is_one_run: bool, expected: (&str, &str)) {
        let mut options = vec![
            ("row_key", "id"),
            ("family", "f"),
            ("timestamp_column", "at"),
        ];
        if presence {
            options.push(("presence", "f:p"));
        }
        let mapping = mapping_of(&COLUMNS, &options);
        let fetch = Fetch::plan(&mapping, projection, None, is_one_run);
        let filter = String::from_utf8(fetch.filter).unwrap();
        assert_eq!(
            (fetch.columns.join(" ").as_str(), filter.as_str()),
            expected
        );
    }

    #[test]
    fn a_row_is_seen_whatever_is_null_in_it() {
        let first_key = "(FirstKeyOnlyFilter() AND KeyOnlyFilter())";
        // With a presence cell no more than needed is fetched.
        check(true, &[1, 2], false, ("f:a f:b f:p", ""));
        check(true, &[0], false, ("f:p", "KeyOnlyFilter()"));
        check(true, &[], true, ("f:p", "KeyOnlyFilter()"));
        check(true, &[3], false, ("f:p", "KeyOnlyFilter()"));
        // Without one, all cells or the first one.
        check(false, &[1], false, ("", ""));
        check(false, &[0], false, ("", first_key));
        check(false, &[], false, ("", first_key));
        // The first cell may be of an older run, or not the latest one.
        check(false, &[], true, ("", "KeyOnlyFilter()"));
        check(false, &[3], false, ("", "KeyOnlyFilter()"));
    }

    #[test]
    fn a_cell_that_is_tested_is_fetched() {
        let options = [("row_key", "id"), ("family", "f"), ("presence", "f:p")];
        let mapping = mapping_of(&COLUMNS, &options);
        let predicate = Predicate::Is(2, Domain::Bytes(vec![KeyRange::only(b"x")]));
        let filter = CellFilter::of(&predicate, &mapping).unwrap();
        let fetch = Fetch::plan(&mapping, &[1], Some(&filter), false);
        assert_eq!(fetch.columns, ["f:a", "f:b", "f:p"]);
        assert_eq!(fetch.filter, filter.bytes);
        let fetch = Fetch::plan(&mapping, &[], Some(&filter), false);
        assert_eq!(fetch.columns, ["f:b", "f:p"]);
    }
}
