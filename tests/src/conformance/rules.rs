//! Which records are left out, and why: they test the inside of DataFusion, need what its crate does
//! not ship, or ask for what Emporia refuses by design, as its documentation says.

use std::path::Path;

use sqllogictest::Condition;

use super::expected::Expected;
use super::source::CRATE;
use super::statement::Statement;

/// The engine's name in the conditions of records.
const ENGINE: &str = "DataFusion";

const PLANS: &str = "texts of plans (EXPLAIN)";
const SETTINGS: &str = "settings of DataFusion (SET, RESET, SHOW)";
const LISTINGS: &str = "listings of DataFusion's catalog (information_schema, SHOW)";
const DATA: &str = "test data that the crate does not ship";
const REMOTE: &str = "stores on the network";
const FORMATS: &str = "files in Avro and Arrow format, and other formats of DataFusion's programs";
const PROGRAM: &str = "tables and functions of DataFusion's test program";
const SPARK: &str = "the functions of datafusion-spark, which Emporia does not have";
const HASHES: &str = "results of which only a hash is stated";
const INTERNALS: &str = "DataFusion's own memory limits, statistics and metadata";
const COPIES: &str = "COPY, whose result is a published folder on Emporia (by design)";
const SWITCHED: &str = "operators that only a setting of DataFusion turns on";
const DIALECTS: &str = "forms of other dialects that only a setting of DataFusion turns on";
const UNSTORED: &str = "tables of types that Parquet does not have, e.g. intervals";
const KEYS: &str = "keys and defaults of columns, which no table keeps (by design)";
const SCHEMAS: &str = "schemas, which Emporia does not have (by design)";
const NAMES: &str = "points in the name of a table (by design)";
const NO_COLUMNS: &str = "tables without columns (by design)";
const ASSIGNED: &str = "values that do not fit their column, which no INSERT rounds, cuts or turns into dates (by design)";
const ZONED_TEXT: &str =
    "AT TIME ZONE of a text, which may be a local time or an instant (refused by design)";
const SIMILAR: &str =
    "SIMILAR TO, which DataFusion takes for a search with a regular expression (refused by design)";
const SPANS: &str = "parts of a difference of two times but for its epoch (refused by design)";
const UNORDERED: &str = "min and max of intervals (refused by design)";
const PATTERNS: &str = "patterns of to_char that are not those of strftime (refused by design)";
const FOLDERS: &str = "folders such as a=1 that are no declared partitions (refused by design)";
const ABSENT: &str = "declared columns that no file has (refused by design)";

/// How refusals begin and what they go on with that the documentation announces.
const BY_DESIGN: [(&str, &str, &str); 21] = [
    ("column ", "which a table cannot hold", UNSTORED),
    ("", "datatype Dictionary(Int32, Dictionary(", UNSTORED),
    ("column ", "PRIMARY KEY` is not supported", KEYS),
    ("column ", "UNIQUE` is not supported", KEYS),
    ("column ", ": `DEFAULT ", KEYS),
    ("table ", ": `CONSTRAINT ", KEYS),
    ("table ", ": `PRIMARY KEY ", KEYS),
    ("table ", ": `UNIQUE ", KEYS),
    (
        "table ",
        "DEFAULT in the columns of an external table",
        KEYS,
    ),
    ("CREATE SCHEMA", "is not supported", SCHEMAS),
    ("DROP SCHEMA", "is not supported", SCHEMAS),
    ("tables have no schema", "", SCHEMAS),
    ("`", "cannot be the name of a table", NAMES),
    ("table ", "` has no columns", NO_COLUMNS),
    ("", "AT TIME ZONE takes a timestamp, not", ZONED_TEXT),
    ("SIMILAR TO is not supported", "", SIMILAR),
    ("", "of a difference of two times is not supported", SPANS),
    ("", "of intervals is not supported", UNORDERED),
    ("", "is not a pattern of to_char", PATTERNS),
    ("table ", "which is not declared", FOLDERS),
    ("table ", "no file has the declared column", ABSENT),
];

/// Why Emporia refuses a statement by design; `None` for any other refusal.
pub(super) fn by_design(reason: &str) -> Option<&'static str> {
    let is_assigned = reason.contains("cannot hold the value")
        || (reason.contains("of table `")
            && reason.contains("` is ")
            && reason.contains(" and takes no "));
    if is_assigned {
        return Some(ASSIGNED);
    }
    let mut found = BY_DESIGN.iter();
    found
        .find(|(begin, text, _)| reason.starts_with(begin) && reason.contains(text))
        .map(|(_, _, rule)| *rule)
}

/// For records that need a table which is not there.
pub(super) const NEEDS_MISSING: &str = "needs a table of a record that is left out";
/// For a limit that may keep any rows.
pub(super) const OPEN_LIMIT: &str = "a limit without an order, which may keep any rows";

/// For names of types that a setting of Emporia changes.
pub(super) const TEXT_TYPES: &str =
    "texts and bytes have another of Arrow's types for them (by design)";
/// For times that Emporia declares in UTC.
pub(super) const UTC: &str = "times of declared tables are in UTC and shown with Z (by design)";

/// For aggregates that list rows in the order in which they come.
const ORDER: &str = "an aggregate that depends on the order of rows, without an order";

/// Files that are left out whole.
const FILES: [(&str, &str); 28] = [
    ("spark/", SPARK),
    ("avro", FORMATS),
    ("arrow_files", FORMATS),
    ("encrypted_parquet", FORMATS),
    ("explain", PLANS),
    ("information_schema", LISTINGS),
    ("metadata", PROGRAM),
    ("arrow_field", PROGRAM),
    ("async_udf", PROGRAM),
    ("union_function", PROGRAM),
    ("range_partitioning", PROGRAM),
    ("dictionary_struct", PROGRAM),
    ("cast_extension_type_metadata", PROGRAM),
    ("parquet_metadata_functions", PROGRAM),
    ("dynamic_file", PROGRAM),
    ("table_functions", PROGRAM),
    ("create_function", PROGRAM),
    ("set_variable", SETTINGS),
    ("options", SETTINGS),
    ("statistics_registry", INTERNALS),
    ("parquet_cdc", INTERNALS),
    ("parquet_max_row_group_bytes", INTERNALS),
    ("aggregate_memory_spill", INTERNALS),
    ("ordered_aggregate_spill", INTERNALS),
    ("window_topn", SWITCHED),
    ("pwmj", SWITCHED),
    ("datetime/interval_mysql", DIALECTS),
    ("tpch/", DATA),
];

/// Words that only tables and functions of the test program have.
const PROGRAM_NAMES: [&str; 7] = [
    "table_with_map",
    "test_partition_table",
    "table_with_many_types",
    "strict_schema",
    "approx_distinct_union_table",
    "arrow_metadata",
    "approx_distinct_union_test",
];

/// Whether DataFusion runs a record with these conditions.
pub(super) fn is_for_datafusion(conditions: &[Condition]) -> bool {
    conditions.iter().all(|condition| match condition {
        Condition::OnlyIf { label } => label == ENGINE,
        Condition::SkipIf { label } => label != ENGINE,
    })
}

/// Whether a record that is left out is run nevertheless.
pub(super) fn has_effect(rule: &str, statement: &Statement) -> bool {
    match rule {
        // Emporia filters rows behind its scans, and its scans are not made for this setting, which it refuses.
        SETTINGS => !statement.lower().contains("parquet.pushdown_filters"),
        rule => rule == COPIES,
    }
}

/// Why other rows are right too: an aggregate takes rows in an order that is open.
pub(super) fn depends_on_order(statement: &Statement) -> Option<&'static str> {
    let names = [
        "array_agg",
        "string_agg",
        "first_value",
        "last_value",
        "nth_value",
        "any_value",
    ];
    let is_open = statement.words().any(|word| names.contains(&word)) && !statement.has_order();
    is_open.then_some(ORDER)
}

/// Why a statement that DataFusion refuses may succeed here.
pub(super) fn may_succeed(_statement: &Statement) -> Option<&'static str> {
    None
}

/// The rules of a file.
pub(super) struct Rules {
    whole: Option<&'static str>,
    /// A table that the test program makes for this file.
    table: Option<&'static str>,
}

impl Rules {
    pub(super) fn for_file(name: &str) -> Self {
        let whole = FILES.iter().find(|(prefix, _)| name.starts_with(prefix));
        Self {
            whole: whole.map(|(_, rule)| *rule),
            table: (name == "cte.slt").then_some("orders"),
        }
    }

    /// The rule by which a record is left out.
    pub(super) fn leave_out(
        &self,
        statement: &Statement,
        expected: &Expected,
    ) -> Option<&'static str> {
        if self.whole.is_some() {
            return self.whole;
        }
        let text = statement.lower();
        let first = statement.words().next().unwrap_or_default();
        if first == "explain" {
            return Some(PLANS);
        }
        if text.contains("information_schema")
            || ["tables", "columns", "functions", "create"]
                .iter()
                .any(|what| statement.starts_with(&["show", what]))
        {
            return Some(LISTINGS);
        }
        if ["set", "reset", "show"].contains(&first) {
            return Some(SETTINGS);
        }
        if ["'http://", "'https://", "'s3://", "'gs://", "'gcs://"]
            .iter()
            .any(|scheme| text.contains(scheme) && text.contains("location"))
        {
            return Some(REMOTE);
        }
        if ["stored as avro", "stored as arrow"]
            .iter()
            .any(|f| text.contains(f))
        {
            return Some(FORMATS);
        }
        if has_point_in_name(text) {
            return Some(NAMES);
        }
        if first == "copy" {
            return Some(match names_missing_file(&statement.sql) {
                true => DATA,
                false => COPIES,
            });
        }
        if statement
            .words()
            .any(|word| PROGRAM_NAMES.contains(&word) || Some(word) == self.table)
            || text.contains("example(")
        {
            return Some(PROGRAM);
        }
        if let Expected::Rows { lines, .. } = expected
            && lines
                .iter()
                .any(|line| line.contains(" values hashing to "))
        {
            return Some(HASHES);
        }
        names_missing_file(&statement.sql).then_some(DATA)
    }
}

/// Whether the name of a table is one in quotes with a point in it.
fn has_point_in_name(text: &str) -> bool {
    ["table \"", "view \"", "from \""].iter().any(|before| {
        let mut names = text.split(before).skip(1);
        names.any(|rest| {
            rest.split('"')
                .next()
                .is_some_and(|name| name.contains('.'))
        })
    })
}

/// Whether a text in the statement is the path of a file of DataFusion's repository that the crate
/// lacks.
fn names_missing_file(sql: &str) -> bool {
    let texts = sql.split('\'').skip(1).step_by(2);
    let mut paths = texts.filter(|text| text.starts_with('/') && text.contains(CRATE));
    paths.any(|path| !Path::new(path).exists())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_by_design_are_told_from_others() {
        for (reason, rule) in [
            (
                "column `a` has the type Interval(MonthDayNano), which a table cannot hold",
                Some(UNSTORED),
            ),
            ("table `t`: `PRIMARY KEY (x)` is not supported", Some(KEYS)),
            (
                "row 1: column `d` of table `t` is date and takes no int64",
                Some(ASSIGNED),
            ),
            (
                "row 2: column `v` (decimal(10,2)) cannot hold the value 1.001; ROUND or CAST makes one",
                Some(ASSIGNED),
            ),
            (
                "SECOND of a difference of two times is not supported; take its epoch",
                Some(SPANS),
            ),
            ("SELECT … INTO is not supported", None),
            ("table `t`: there are no parquet files at `/x`", None),
        ] {
            assert_eq!(by_design(reason), rule, "{reason}");
        }
    }

    #[test]
    fn names_with_points_are_found_in_quotes() {
        assert!(has_point_in_name("create table \"foo.bar\" as values (1)"));
        assert!(!has_point_in_name("select \"a.b\" from \"t\""));
    }
}
