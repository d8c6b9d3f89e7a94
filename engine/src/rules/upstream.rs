//! The faults that the rules answer, in DataFusion as it is: once a test here fails, its rule may go.

use datafusion::arrow::array::AsArray;
use datafusion::arrow::datatypes::Int64Type;
use datafusion::prelude::SessionContext;
use datafusion_proto::bytes::{logical_plan_from_bytes, logical_plan_to_bytes};

use crate::plain::{batches, said, session, shown};

/// The tables of the queries, in DataFusion without our rules.
const TABLES: &str =
    "WITH t AS (SELECT * FROM (VALUES (1, 10), (2, 10), (3, NULL), (4, 20)) AS v(id, k)),
 u AS (SELECT * FROM (VALUES (1, 1), (1, 2), (2, NULL)) AS v(id, k)) ";

/// How many rows the query has, or why it has none.
async fn rows(query: &str) -> Result<i64, String> {
    let text = format!("{TABLES} SELECT count(*) FROM ({query})");
    let batches = batches(&session(&[]), &text).await?;
    Ok(batches[0].column(0).as_primitive::<Int64Type>().value(0))
}

#[tokio::test]
async fn lists_are_merged_as_if_null_were_a_value() {
    let query = "SELECT id FROM t WHERE NOT (k IN (10) AND k IN (20))";
    assert_eq!(rows(query).await, Ok(4), "right are 3");
}

#[tokio::test]
async fn what_is_xored_twice_is_gone() {
    let query = "SELECT id FROM t WHERE (id ^ k) ^ k = id";
    assert_eq!(rows(query).await, Ok(4), "right are 3");
}

#[tokio::test]
async fn an_item_is_computed_without_rows() {
    let query = "SELECT id FROM t WHERE k IN (1, 2, 3, 4, CASE WHEN id = k THEN 1 ELSE k END)";
    assert_eq!(rows(query).await, Ok(0), "right are 3");
}

#[tokio::test]
async fn a_cast_that_rounds_is_taken_off() {
    let query = "SELECT 1 FROM (SELECT CAST(k AS DECIMAL(10, 2)) - 0.01 AS p FROM t) \
                 WHERE CAST(CAST(p AS DECIMAL(10, 2)) AS DECIMAL(10, 0)) = 10";
    assert_eq!(rows(query).await, Ok(0), "right are 2");
}

#[tokio::test]
async fn an_aggregate_in_exists_is_a_semi_join() {
    let query = "SELECT id FROM t WHERE EXISTS (SELECT count(*) FROM u WHERE u.id = t.id)";
    assert_eq!(rows(query).await, Ok(2), "right are 4");
}

#[tokio::test]
async fn not_in_beside_or_is_two_valued() {
    let query = "SELECT id FROM t WHERE id NOT IN (SELECT k FROM u) OR id = 1";
    assert_eq!(rows(query).await, Ok(3), "right is 1");
}

#[tokio::test]
async fn a_value_of_several_rows_multiplies_rows() {
    let query = "SELECT id FROM t WHERE k > (SELECT k FROM u WHERE id = 1)";
    assert_eq!(rows(query).await, Ok(6), "right is an error");
}

#[tokio::test]
async fn all_copies_are_taken_or_none() {
    let query = "SELECT k FROM t EXCEPT ALL SELECT 10";
    assert_eq!(rows(query).await, Ok(2), "right are 3");
}

#[tokio::test]
async fn a_key_of_a_join_is_the_key_of_its_groups() {
    let query = "SELECT id, sum(n) FROM (SELECT a.id, t.k, count(*) AS n \
                 FROM (SELECT id, count(*) FROM u GROUP BY id) AS a JOIN t ON t.id > a.id \
                 GROUP BY a.id, t.k) AS b GROUP BY id, k";
    assert_eq!(rows(query).await, Ok(2), "right are 5");
}

#[tokio::test]
async fn a_key_outlives_unnest() {
    let query = "SELECT id, count(*) FROM (SELECT id, unnest(l) AS e \
                 FROM (SELECT id, array_agg(k) AS l FROM u GROUP BY id) AS a) AS b GROUP BY id, e";
    assert_eq!(rows(query).await, Ok(2), "right are 3");
}

#[tokio::test]
async fn null_equals_null_for_all_keys() {
    let query = "SELECT a.id FROM t AS a JOIN t AS b ON a.id IS NOT DISTINCT FROM b.id \
                 WHERE a.k = b.k";
    assert_eq!(rows(query).await, Ok(4), "right are 3");
}

#[tokio::test]
async fn is_distinct_from_takes_the_rest() {
    let query = "SELECT id FROM t WHERE (id > 1) IS NOT DISTINCT FROM true AND k = 20";
    assert_eq!(rows(query).await, Ok(2), "right is 1");
}

#[tokio::test]
async fn a_qualified_sort_key_is_ambiguous() {
    let query = "SELECT t.id * 2 AS id FROM t ORDER BY t.id";
    let said = rows(query).await.unwrap_err();
    assert!(said.contains("ambiguous"), "{said}");
}

#[tokio::test]
async fn rows_are_compared_as_if_null_were_a_value() {
    let query = "SELECT id FROM t WHERE NOT (id, k) = (3, 5)";
    assert_eq!(rows(query).await, Ok(4), "right are 3");
}

#[tokio::test]
async fn a_condition_does_not_guard_the_next_one() {
    let query = "SELECT id FROM t WHERE id <> 1 AND 10 / (id - 1) > 0";
    let said = rows(query).await.unwrap_err();
    assert!(said.contains("Divide by zero"), "right are 3 rows: {said}");
}

#[tokio::test]
async fn a_condition_meets_rows_that_a_join_leaves_out() {
    let query = "SELECT t.id FROM t JOIN u ON t.id = u.id + 1 WHERE 10 / (t.id - 1) > 0";
    let said = rows(query).await.unwrap_err();
    assert!(said.contains("Divide by zero"), "right are 3 rows: {said}");
}

#[tokio::test]
async fn a_limit_is_a_number() {
    let said = rows("SELECT id FROM t LIMIT (SELECT 2)").await.unwrap_err();
    assert!(
        said.contains("Unsupported LIMIT expression"),
        "right are 2 rows: {said}"
    );
}

#[tokio::test]
async fn the_median_of_a_negative_nan_is_another() {
    let query = "SELECT m FROM (SELECT median(x) AS m FROM (VALUES (-CAST('NaN' AS DOUBLE)), \
                 (1), (2), (3)) AS v(x)) AS s WHERE m = 2.5";
    assert_eq!(rows(query).await, Ok(0), "right is 1");
}

#[tokio::test]
async fn a_cube_has_an_expression_once() {
    let said = rows("SELECT k FROM t GROUP BY CUBE (k, k)").await;
    assert!(said.is_err(), "right are 10 rows: {said:?}");
}

#[tokio::test]
async fn any_of_a_list_knows_no_null() {
    let query = "SELECT 1 WHERE NOT (3 = ANY([1, 2, NULL])) AND NOT (3 < ANY([2, NULL]))";
    assert_eq!(rows(query).await, Ok(1), "right are 0");
}

#[tokio::test]
async fn zeros_differ() {
    let zeros = "(SELECT * FROM (VALUES (-0.0, 2), (0.0, 1)) AS v(x, y))";
    for query in [
        format!("SELECT 1 FROM {zeros} WHERE CASE x WHEN 0.0 THEN false ELSE true END"),
        format!("SELECT 1 FROM {zeros} WHERE y = 1 AND nullif(-x, 0.0) IS NOT NULL"),
        format!("SELECT 1 FROM (SELECT rank() OVER (ORDER BY x) AS r FROM {zeros}) WHERE r = 2"),
    ] {
        assert_eq!(rows(&query).await, Ok(1), "right are 0: {query}");
    }
}

#[tokio::test]
async fn nans_differ() {
    let nans = "(SELECT * FROM (VALUES (CAST('NaN' AS DOUBLE), 1), (-CAST('NaN' AS DOUBLE), 2)) AS v(x, y))";
    let groups = format!("SELECT 1 FROM (SELECT x FROM {nans} GROUP BY x) AS g");
    assert_eq!(rows(&groups).await, Ok(2), "right is 1");
    let below = format!("SELECT 1 FROM {nans} WHERE x < 1.5");
    assert_eq!(rows(&below).await, Ok(1), "right are 0");
}

#[tokio::test]
async fn digits_are_lost_in_a_union() {
    let query = "SELECT x FROM (SELECT CAST('1.25' AS DECIMAL(10, 2)) AS x UNION ALL \
                 SELECT CAST('1e-20' AS DOUBLE)) AS u WHERE x = 0";
    assert_eq!(rows(query).await, Ok(1), "right are 0");
}

#[tokio::test]
async fn a_date_loses_hours() {
    let query = "SELECT 1 FROM (VALUES (date '2024-01-01')) AS v(d) \
                 WHERE d + interval '6 hours' = timestamp '2024-01-01 06:00:00'";
    assert_eq!(rows(query).await, Ok(0), "right is 1");
}

#[tokio::test]
async fn a_percentile_has_six_digits() {
    let query = "SELECT p FROM (SELECT percentile_cont(0.9000000001) WITHIN GROUP (ORDER BY x) AS p \
                 FROM (VALUES (0.0), (1e10)) AS v(x)) AS q WHERE p = 9000000000";
    assert_eq!(rows(query).await, Ok(1), "right are 0");
}

#[tokio::test]
async fn a_dollar_is_lost() {
    let query = "SELECT 1 WHERE regexp_replace('10 EUR', 'EUR', '$5') = '10 '";
    assert_eq!(rows(query).await, Ok(1), "right are 0");
}

#[tokio::test]
async fn refused() {
    for query in [
        "SELECT 1 FROM (VALUES (CAST('9.9' AS DECIMAL(2, 1)))) AS v(x) WHERE ceil(x) > 1",
        "SELECT 1 FROM (VALUES ('a%b')) AS v(s) WHERE s LIKE 'a!%b' ESCAPE '!'",
        "SELECT 1 FROM (VALUES (2)) AS v(n) WHERE n * interval '1 day' > interval '1 day'",
    ] {
        assert!(rows(query).await.is_err(), "{query}");
    }
}

#[tokio::test]
async fn a_time_without_a_zone_is_local_to_the_other_one() {
    let query = "SELECT 1 FROM (SELECT arrow_cast(arrow_cast(timestamp '2024-07-01 22:00:00', \
                 'Timestamp(ns, \"UTC\")'), 'Timestamp(ns, \"America/New_York\")') AS ny) AS s \
                 WHERE ny = timestamp '2024-07-01 22:00:00'";
    assert_eq!(rows(query).await, Ok(0), "right is 1");
}

#[tokio::test]
async fn an_instant_has_no_local_time() {
    let query = "SELECT 1 FROM (SELECT timestamp '2024-07-01 22:00:00' AT TIME ZONE 'UTC' \
                 AT TIME ZONE 'Europe/Oslo' AS t) AS s WHERE t::text LIKE '%+02:00'";
    assert_eq!(rows(query).await, Ok(1), "right is 0");
}

#[tokio::test]
async fn times_are_compared_in_nanoseconds() {
    let query =
        "SELECT 1 FROM (VALUES (timestamp '2024-07-01 22:00:00')) AS v(ts) WHERE ts < '9999-12-31'";
    let said = rows(query).await.unwrap_err();
    assert!(said.contains("anosecond"), "right is 1 row: {said}");
}

#[tokio::test]
async fn the_common_column_is_that_of_one_side() {
    let query = "SELECT id FROM (SELECT id FROM t FULL JOIN (SELECT 9 AS id) AS b USING (id)) AS j WHERE id = 9";
    assert_eq!(rows(query).await, Ok(0), "right is 1");
}

#[tokio::test]
async fn random_rows_of_a_with_differ_in_each_place() {
    let query = "WITH a AS (SELECT id, random() AS r FROM t) \
                 SELECT x.id FROM a AS x JOIN a AS y ON x.id = y.id AND x.r = y.r";
    assert_eq!(rows(query).await, Ok(0), "right are 4");
}

#[tokio::test]
async fn a_name_is_once_in_a_list() {
    let said = rows("SELECT id, id FROM t").await.unwrap_err();
    assert!(said.contains("unique expression names"), "{said}");
}

#[tokio::test]
async fn a_column_hides_a_table_of_the_outer_query() {
    let query = "SELECT k.id FROM t AS k WHERE EXISTS (SELECT 1 FROM u WHERE u.k = k.id)";
    let said = rows(query).await.unwrap_err();
    assert!(said.contains("access field"), "right are 2 rows: {said}");
}

#[tokio::test]
async fn an_output_of_groups_has_no_place() {
    let query = "SELECT coalesce(k, 0), count(*) FROM t GROUP BY k ORDER BY 1";
    let said = rows(query).await.unwrap_err();
    assert!(said.contains("must appear in"), "{said}");
}

#[tokio::test]
async fn any_of_the_same_table_is_always_true() {
    let query = "SELECT id FROM t WHERE k = ANY (SELECT k FROM t WHERE id < 3)";
    assert_eq!(rows(query).await, Ok(4), "right are 2");
}

#[tokio::test]
async fn a_later_value_is_lost_count_of() {
    let query = "SELECT 1 FROM (SELECT k, lead(v, 2) IGNORE NULLS OVER (ORDER BY k) AS x FROM (VALUES \
                 (1, NULL), (2, NULL), (3, 'c'), (4, NULL), (5, 'e'), (6, 'f'), (7, NULL), (8, 'h')) \
                 AS s(k, v)) AS w WHERE k = 5 AND x = 'h'";
    assert_eq!(rows(query).await, Ok(0), "right is 1");
}

#[tokio::test]
async fn names_leave_out_casts_and_parentheses() {
    for query in [
        "SELECT sum(id) AS a, sum(CAST(id AS DOUBLE)) AS b FROM t",
        "SELECT sum(id - k - 1) AS a, sum(id - (k - 1)) AS b FROM t",
        "SELECT max(id) OVER () AS a, max(CAST(id AS TEXT)) OVER () AS b FROM t",
    ] {
        let said = rows(query).await.unwrap_err();
        let refusals = ["duplicate unqualified field", "unique expression names"];
        assert!(refusals.iter().any(|text| said.contains(text)), "{said}");
    }
}

#[tokio::test]
async fn extremes_of_groups_lose_what_is_before_a_nan() {
    let values = "(VALUES (1, 5.0), (1, CAST('NaN' AS DOUBLE)), (1, 7.0)) AS v(k, f)";
    let query =
        format!("SELECT 1 FROM (SELECT min(f) AS m FROM {values} GROUP BY k) AS s WHERE m = 5.0");
    assert_eq!(rows(&query).await, Ok(0), "right is 1");
}

#[tokio::test]
async fn a_field_of_a_struct_with_an_alias_cannot_be_read() -> datafusion::common::Result<()> {
    let context = SessionContext::new();
    let query = "WITH x AS (SELECT {'a': column1} AS st FROM (VALUES (1), (2)) AS v) \
                 SELECT sum(st.a) AS s FROM x";
    let plan = context.sql(query).await?.into_optimized_plan()?;
    let bytes = logical_plan_to_bytes(&plan)?;
    let read = logical_plan_from_bytes(&bytes, context.task_ctx().as_ref());
    let said = read.map(|_| ()).unwrap_err().to_string();
    assert!(said.contains("No field named"), "{said}");
    Ok(())
}

#[tokio::test]
async fn a_join_by_fields_of_structs_is_refused() {
    let things = "(SELECT {'a': id} AS st FROM t)";
    let query =
        format!("SELECT 1 FROM {things} AS x JOIN {things} AS y ON x.st['a'] = y.st['a'] - 1");
    let said = rows(&query).await.unwrap_err();
    assert!(said.contains("No field named"), "right are 3 rows: {said}");
}

#[tokio::test]
async fn intervals_are_compared_part_by_part() {
    let days = "timestamp '2024-01-10 00:00:00' - timestamp '2024-01-01 00:00:00'";
    let query =
        format!("SELECT {days} > interval '2 days', interval '1 day' > interval '48 hours'");
    assert_eq!(
        shown(&query).await.as_deref(),
        Ok("false true"),
        "right is `true false`"
    );
}

#[tokio::test]
async fn intervals_of_one_length_are_two_values() {
    let query =
        "SELECT i FROM (VALUES (interval '1 day'), (interval '24 hours')) AS v(i) GROUP BY i";
    assert_eq!(rows(query).await, Ok(2), "right is 1");
}

#[tokio::test]
async fn decimals_have_more_digits_than_their_type() {
    let query = "SELECT CAST(x AS DECIMAL(38, 0)) + 1 \
                 FROM (VALUES ('99999999999999999999999999999999999999')) AS v(x)";
    assert!(rows(query).await.is_ok(), "right is an error");
}

#[tokio::test]
async fn expressions_mean_something_else() {
    for (expr, found) in [
        ("date '2024-01-31' < 20240101", "true"),
        ("to_char(date '2024-01-31', 'YYYY-MM')", "YYYY-MM"),
        (
            "extract(minute FROM timestamp '2024-01-03 05:06:07' - timestamp '2024-01-01 00:00:00')",
            "3186",
        ),
    ] {
        let shown = shown(&format!("SELECT {expr}")).await;
        assert_eq!(
            shown.as_deref(),
            Ok(found),
            "right is another value, or an error: {expr}"
        );
    }
}

#[tokio::test]
async fn short_decimals_lose_their_digits() {
    let found = shown("SELECT arrow_cast('1.50', 'Decimal32(7, 2)') * 2").await;
    assert_eq!(found.as_deref(), Ok("2"), "right is 3.00");
}

#[tokio::test]
async fn bytes_are_left_out_of_texts() {
    let found = shown("SELECT array_to_string([X'ff41', X'4142'], ',')").await;
    assert_eq!(found.as_deref(), Ok("AB"), "right is an error");
}

#[tokio::test]
async fn large_numbers_are_infinite() {
    let query = "SELECT round(1e308, 2), trunc(1e308, 1), round(1.5, 400), 1e400";
    let found = shown(query).await;
    assert_eq!(
        found.as_deref(),
        Ok("inf inf NaN inf"),
        "right is `1e308 1e308 1.5` and an error"
    );
}

#[tokio::test]
#[should_panic(expected = "left: 3")]
async fn a_key_that_is_named_twice_panics() {
    let query = "SELECT DISTINCT ON (k) k, id FROM t ORDER BY k, id, k";
    let _rows = shown(&format!("{TABLES}{query}")).await;
}

#[tokio::test]
async fn frames_of_months_only_move_forward() {
    let times = "(timestamp '2023-02-28 06:00:00'), (timestamp '2023-03-28 10:00:00'), (timestamp '2023-03-31 05:00:00')";
    let frame = "RANGE BETWEEN interval '1 month' PRECEDING AND CURRENT ROW";
    let query = format!("SELECT count(*) OVER (ORDER BY t {frame}) FROM (VALUES {times}) v(t)");
    assert_eq!(
        shown(&query).await.as_deref(),
        Ok("1, 1, 2"),
        "right is 1, 1, 3"
    );
}

#[tokio::test]
async fn offsets_of_frames_are_misread() {
    for (keys, start, found) in [
        (
            "date '2024-01-01'), (date '2024-01-03'",
            "INTERVAL '36 hours'",
            "1, 1",
        ),
        (
            "timestamp '2024-01-01 00:00:00'), (timestamp '2024-01-01 00:00:02'",
            "3",
            "1, 2",
        ),
        ("1.0::DECIMAL(5, 1)), (1.1::DECIMAL(5, 1)", "0.05", "1, 2"),
        ("'a'), ('b'", "1", "1, 2"),
    ] {
        let query = format!(
            "SELECT count(*) OVER (ORDER BY k RANGE BETWEEN {start} PRECEDING AND CURRENT ROW) AS n \
             FROM (VALUES ({keys})) AS v(k) ORDER BY n"
        );
        let shown = shown(&query).await;
        assert_eq!(
            shown.as_deref(),
            Ok(found),
            "right is another count, or an error: {query}"
        );
    }
    let negative = "SELECT count(*) OVER (ORDER BY k RANGE BETWEEN INTERVAL '-1 days' PRECEDING AND \
                    INTERVAL '2 days' FOLLOWING) AS n FROM (VALUES (date '2024-01-01'), (date '2024-01-02')) AS v(k)";
    assert_eq!(
        shown(negative).await.as_deref(),
        Ok("1, 0"),
        "right is an error"
    );
    let nowhere = "SELECT nth_value(k, 0) OVER (ORDER BY k) FROM (VALUES (1)) AS v(k)";
    assert_eq!(
        shown(nowhere).await.as_deref(),
        Ok("NULL"),
        "right is an error"
    );
}

#[tokio::test]
async fn windows_over_some_keys_have_no_frame() {
    for key in [
        "interval '1 day'",
        "time '10:00:00'",
        "timestamp '2024-01-01 00:00:00' - timestamp '2020-01-01 00:00:00'",
        "{'a': 1}",
    ] {
        let query = format!("SELECT rank() OVER (ORDER BY k) FROM (SELECT {key} AS k) AS v");
        let said = said(&query).await;
        assert!(
            said.contains("Cannot run range queries"),
            "right is 1: {said}"
        );
    }
}

#[tokio::test]
async fn a_finer_time_is_cut_to_the_unit_of_a_column() {
    let query = "SELECT 1 FROM (VALUES (arrow_cast(timestamp '1970-01-01 00:00:00', 'Timestamp(ms)'))) \
                 AS v(t) WHERE t = timestamp '1970-01-01 00:00:00.0001'";
    assert_eq!(rows(query).await, Ok(1), "right are 0");
}

#[tokio::test]
async fn a_time_loses_what_is_finer_than_its_unit() {
    let query = "SELECT 1 FROM (VALUES (arrow_cast(timestamp '1970-01-01 00:00:00', 'Timestamp(ms)'))) \
                 AS v(t) WHERE t + interval '100 microseconds' > timestamp '1970-01-01 00:00:00'";
    assert_eq!(rows(query).await, Ok(0), "right is 1");
}

/// The rows of a query over the Parquet file `t` with the columns of another query.
async fn of_parquet(columns: &str, query: &str) -> Result<String, String> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("t.parquet");
    let file = file.display();
    let statements = format!(
        "COPY ({columns}) TO '{file}'; CREATE EXTERNAL TABLE t STORED AS PARQUET LOCATION '{file}'; {query}"
    );
    shown(&statements).await
}

#[tokio::test]
async fn the_bounds_of_a_time_of_day_are_those_of_its_days() {
    let times = "SELECT * FROM (VALUES (timestamp '2024-01-01 23:00:00'), (timestamp '2024-01-03 13:30:00')) AS v(t)";
    let query = "SELECT count(*) FROM t WHERE CAST(t AS TIME) > time '14:00:00'";
    let found = of_parquet(times, query).await;
    assert_eq!(found.as_deref(), Ok("0"), "right is 1");
}

#[tokio::test]
async fn a_difference_of_dates_is_no_number_beside_statistics() {
    let dates = "SELECT * FROM (VALUES (date '2020-01-02'), (date '2020-05-01')) AS v(d)";
    let query = "SELECT count(*) FROM t WHERE d - date '2020-01-01' > 30";
    let said = of_parquet(dates, query).await.unwrap_err();
    let expected = "Only intervals with the same data type are comparable";
    assert!(said.contains(expected), "right is 1: {said}");
}

#[tokio::test]
async fn the_wire_adds_a_limit_to_an_offset() -> datafusion::common::Result<()> {
    let context = SessionContext::new();
    let query = "SELECT x FROM (VALUES (1), (2)) AS v(x) OFFSET 1";
    let plan = context.sql(query).await?.into_unoptimized_plan();
    let bytes = logical_plan_to_bytes(&plan)?;
    let sent = logical_plan_from_bytes(&bytes, context.task_ctx().as_ref())?;
    let sent = sent.display_indent().to_string();
    let found = sent.contains("fetch=9223372036854775807");
    assert!(found, "right is\n{plan}\nand not\n{sent}");
    Ok(())
}
