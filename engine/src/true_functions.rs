//! Puts checked functions in the place of what wraps around (see `connectors/src/checked.rs`, `functions/sum.rs` and
//! `functions/average.rs`), extremes in the place of those that lose values (`functions/extremes.rs`), a division that rounds in the place of one that cuts (`functions/quotient.rs`), windows
//! that the wire keeps in the place of those that it changes (`connectors/src/windows.rs`), and aggregates whose
//! frames may move in the place of those that lose digits (`functions/moving`).

use std::sync::Arc;

use datafusion::arrow::datatypes::{ArrowPrimitiveType, DataType, Float16Type};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{DFSchema, Result, ScalarValue, not_impl_err};
use datafusion::functions::math::expr_fn::nanvl;
use datafusion::logical_expr::expr::{
    AggregateFunctionParams, NullTreatment, ScalarFunction, WindowFunction,
};
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{
    AggregateUDF, BinaryExpr, Expr, ExprSchemable, LogicalPlan, Operator, WindowFunctionDefinition,
    lit, when,
};
use datafusion::optimizer::AnalyzerRule;
use emporia_connectors::checked::{Checked, Operation, chained};
use emporia_connectors::windows::{Nulls, WireWindow};

use crate::functions::{
    checked_average, checked_sum, ordered_max, ordered_min, over_window, quotient,
};
use crate::rules::{Risk, risk, with_outputs};

/// Analyzes a plan of which the types are known.
#[derive(Debug)]
pub(crate) struct TrueFunctions {
    sum: Arc<AggregateUDF>,
    average: Arc<AggregateUDF>,
    least: Arc<AggregateUDF>,
    greatest: Arc<AggregateUDF>,
}

impl Default for TrueFunctions {
    fn default() -> Self {
        Self {
            sum: Arc::new(checked_sum()),
            average: Arc::new(checked_average()),
            least: Arc::new(ordered_min()),
            greatest: Arc::new(ordered_max()),
        }
    }
}

impl AnalyzerRule for TrueFunctions {
    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        plan.transform_up_with_subqueries(|node| {
            // Filters of a scan were filters above it, which have been here.
            if matches!(node, LogicalPlan::TableScan(_)) {
                return Ok(Transformed::no(node));
            }
            let schema = merge_schema(&node.inputs());
            with_outputs(
                node,
                |_| Ok(true),
                |expr| expr.transform_up(|expr| self.checked(expr, &schema)),
            )
        })
        .data()
    }

    fn name(&self) -> &str {
        "true_functions"
    }
}

impl TrueFunctions {
    fn checked(&self, expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
        let is_integer = |expr: &Expr| expr.get_type(schema).is_ok_and(|t| t.is_integer());
        let is_decimal = |expr: &Expr| expr.get_type(schema).is_ok_and(|t| t.is_decimal());
        match expr {
            Expr::BinaryExpr(BinaryExpr { left, op, right })
                if op == Operator::Divide && is_decimal(&left) && is_decimal(&right) =>
            {
                Ok(Transformed::yes(quotient().call(vec![*left, *right])))
            }
            Expr::BinaryExpr(BinaryExpr { left, op, right }) => match Operation::of(op) {
                Some(operation) if is_integer(&left) && is_integer(&right) => {
                    Ok(Transformed::yes(chained(*left, &[operation], vec![*right])))
                }
                _ => {
                    let same = BinaryExpr { left, op, right };
                    Ok(Transformed::no(Expr::BinaryExpr(same)))
                }
            },
            Expr::Negative(value) if is_integer(&value) => {
                let negate = Arc::new(Checked::function(vec![Operation::Negate]));
                let call = ScalarFunction::new_udf(negate, vec![*value]);
                Ok(Transformed::yes(Expr::ScalarFunction(call)))
            }
            Expr::AggregateFunction(mut call) => {
                let ours = self.aggregate(&call.func);
                let is_ordered = with_one_nan(call.func.name(), &mut call.params.args, schema);
                let is_guarded = with_filter_as_guard(&mut call.params, schema)?;
                let is_other = ours.is_some() || is_ordered || is_guarded;
                call.func = ours.unwrap_or(call.func);
                let call = Expr::AggregateFunction(call);
                Ok(Transformed::new_transformed(call, is_other))
            }
            Expr::WindowFunction(call) => self.window(*call, schema),
            other => Ok(Transformed::no(other)),
        }
    }

    fn window(&self, mut call: WindowFunction, schema: &DFSchema) -> Result<Transformed<Expr>> {
        let mut is_other = false;
        match &call.fun {
            WindowFunctionDefinition::AggregateUDF(function) => {
                is_other |= with_one_nan(function.name(), &mut call.params.args, schema);
                let ours = match self.aggregate(function) {
                    Some(ours) => Some(ours),
                    None => over_window(function).map(Arc::new),
                };
                if let Some(filter) = call.params.filter.take() {
                    is_other = true;
                    call.params.args = filtered(function.name(), call.params.args, *filter)?;
                }
                if let Some(ours) = ours {
                    is_other = true;
                    call.fun = WindowFunctionDefinition::AggregateUDF(ours);
                }
            }
            WindowFunctionDefinition::WindowUDF(function) => {
                let nulls = match call.params.null_treatment {
                    Some(NullTreatment::IgnoreNulls) => Nulls::Ignore,
                    Some(NullTreatment::RespectNulls) | None => Nulls::Respect,
                };
                if let Some(ours) = WireWindow::over(function, nulls) {
                    is_other = true;
                    call.fun = WindowFunctionDefinition::WindowUDF(Arc::new(ours));
                }
            }
        }
        let call = Expr::WindowFunction(Box::new(call));
        Ok(Transformed::new_transformed(call, is_other))
    }

    /// Ours in the place of DataFusion's, which builders of expressions bring with them.
    fn aggregate(&self, function: &Arc<AggregateUDF>) -> Option<Arc<AggregateUDF>> {
        let ours = match function.name() {
            "sum" => &self.sum,
            "avg" => &self.average,
            "min" => &self.least,
            "max" => &self.greatest,
            _ => return None,
        };
        (function != ours).then(|| Arc::clone(ours))
    }
}

/// Makes values that may fail NULL for the rows that FILTER leaves out, for which they are computed, too. Says
/// whether it changed any.
fn with_filter_as_guard(params: &mut AggregateFunctionParams, schema: &DFSchema) -> Result<bool> {
    let Some(filter) = &params.filter else {
        return Ok(false);
    };
    let mut is_changed = false;
    for value in &mut params.args {
        let is_guarded = match &*value {
            Expr::Case(case) => case.when_then_expr.iter().any(|(when, _)| when == filter),
            _ => false,
        };
        if !is_guarded && risk(value, schema)? > Risk::Never {
            *value = when(filter.as_ref().clone(), std::mem::take(value)).end()?;
            is_changed = true;
        }
    }
    Ok(is_changed)
}

/// Aggregates that pick values by their order.
const ORDERED: [&str; 6] = [
    "median",
    "percentile_cont",
    "quantile_cont",
    "approx_median",
    "approx_percentile_cont",
    "approx_percentile_cont_with_weight",
];

/// Makes one NaN of all in the values of an aggregate that picks them by their order, and says whether it
/// changed them. There are negative ones, which are the least for some comparisons and no number for
/// others, so that the result would depend on the order of rows. The one that is left is the greatest.
fn with_one_nan(function: &str, arguments: &mut [Expr], schema: &DFSchema) -> bool {
    if !ORDERED.contains(&function) {
        return false;
    }
    let Some(value) = arguments.first_mut() else {
        return false;
    };
    let nan = match value.get_type(schema) {
        Ok(DataType::Float16) => {
            ScalarValue::Float16(Some(<<Float16Type as ArrowPrimitiveType>::Native>::NAN))
        }
        Ok(DataType::Float32) => ScalarValue::Float32(Some(f32::NAN)),
        Ok(DataType::Float64) => ScalarValue::Float64(Some(f64::NAN)),
        _ => return false,
    };
    let is_done = matches!(value, Expr::ScalarFunction(call) if call.func.name() == "nanvl");
    if !is_done {
        *value = nanvl(std::mem::take(value), lit(nan));
    }
    !is_done
}

/// The arguments of an aggregate over a window, NULL for the rows that its `FILTER` leaves out: a physical plan
/// forgets the filter on the wire.
fn filtered(function: &str, mut arguments: Vec<Expr>, filter: Expr) -> Result<Vec<Expr>> {
    const KEEP_NULLS: [&str; 4] = ["array_agg", "first_value", "last_value", "nth_value"];
    if KEEP_NULLS.contains(&function) || arguments.is_empty() {
        return not_impl_err!(
            "FILTER of {function} over a window; filter the rows below it instead"
        );
    }
    let value = arguments.remove(0);
    let value = when(filter, value).end()?;
    arguments.insert(0, value);
    Ok(arguments)
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::util::display::array_value_to_string;
    use datafusion::arrow::util::pretty::pretty_format_batches;
    use datafusion::prelude::SessionContext;

    use crate::functions;

    use super::*;

    fn context() -> SessionContext {
        let mut state = SessionContext::new().state();
        functions::register(&mut state).unwrap();
        state.add_analyzer_rule(Arc::new(TrueFunctions::default()));
        SessionContext::new_with_state(state)
    }

    async fn run(sql: &str) -> Result<String> {
        let rows = context().sql(sql).await?.collect().await?;
        Ok(pretty_format_batches(&rows)?.to_string())
    }

    const MOST: &str = "9223372036854775807";

    #[tokio::test]
    async fn what_leaves_its_type_is_an_error() {
        let values = format!("FROM (VALUES ({MOST}), (5), (-{MOST} - 1)) t(x)");
        for expression in [
            "x + 1",
            "x - 2",
            "x * 2",
            "-x",
            "sum(abs(x / 2) * 2 - 2) OVER ()",
            "sum(DISTINCT abs(x / 2))  + sum(abs(x / 2))",
            "arrow_cast(18446744073709551615, 'UInt64') + arrow_cast(abs(x % 2), 'UInt64')",
            "arrow_cast(x % 2 + 127, 'Int8') + arrow_cast(127, 'Int8')",
        ] {
            let error = run(&format!("SELECT {expression} {values}")).await;
            assert!(error.is_err(), "{expression}: {error:?}");
        }
        assert!(run(&format!("SELECT {MOST} + 1")).await.is_err());
    }

    #[tokio::test]
    async fn sums_that_fit_in_the_end_are_right() -> Result<()> {
        let values = format!(
            "FROM (VALUES (1, {MOST}), (1, {MOST}), (1, -{MOST}), (2, 1), (2, 1), (3, NULL)) t(g, x) \
             GROUP BY g ORDER BY g"
        );
        let text = run(&format!("SELECT g, sum(x) {values}")).await?;
        assert!(text.contains(&format!("| 1 | {MOST} ")), "{text}");
        assert!(text.contains("| 2 | 2 "), "{text}");
        let text = run(&format!("SELECT g, sum(DISTINCT x) {values}")).await?;
        assert!(text.contains("| 1 | 0 "), "{text}");
        assert!(text.contains("| 2 | 1 "), "{text}");
        Ok(())
    }

    #[tokio::test]
    async fn columns_keep_their_names() -> Result<()> {
        let frame = context()
            .sql("SELECT a + b * 2, -a, sum(a - b) FROM (SELECT 1 AS a, 2 AS b) GROUP BY 1, 2")
            .await?;
        let planned = frame.schema().field_names();
        let optimized = frame.into_optimized_plan()?;
        assert_eq!(planned, optimized.schema().field_names());
        let shown = optimized.display_indent().to_string();
        assert!(
            shown.contains('+') || shown.contains("checked") || shown.contains("Int64(5)"),
            "{shown}"
        );
        Ok(())
    }

    #[tokio::test]
    async fn times_are_averaged_without_wrapping() -> Result<()> {
        let years = "arrow_cast(200 * 365 * 86400, 'Duration(Second)')";
        let text = run(&format!(
            "SELECT avg(arrow_cast(d, 'Duration(Nanosecond)')) AS mean FROM (SELECT {years} AS d FROM (VALUES (1), (2), (3)))"
        ))
        .await?;
        assert!(text.contains("6307200000S"), "{text}");
        Ok(())
    }

    /// The first column of the first row.
    async fn first(sql: &str) -> String {
        let rows = context().sql(sql).await.unwrap().collect().await.unwrap();
        array_value_to_string(rows[0].column(0), 0).unwrap()
    }

    #[tokio::test]
    async fn averages_of_decimals_are_rounded() -> Result<()> {
        for (digits, values, average) in [
            ("10, 0", "(2), (0), (0)", "0.6667"),
            ("10, 0", "(-2), (0), (0)", "-0.6667"),
            ("10, 0", "(1), (0), (0)", "0.3333"),
            ("10, 0", "(1), (NULL), (0)", "0.5000"),
            ("10, 0", "(NULL), (NULL)", ""),
            (
                "10, 4",
                "(0.0001), (0), (0), (0), (0), (0), (0), (0)",
                "0.00001250",
            ),
            (
                "28, 0",
                "(9999999999999999999999999999), (9999999999999999999999999998)",
                "9999999999999999999999999998.5000",
            ),
            (
                "29, 1",
                "(9999999999999999999999999999.5), (9999999999999999999999999999.5)",
                "9999999999999999999999999999.50000",
            ),
            (
                "34, 0",
                "(9999999999999999999999999999999999), (9999999999999999999999999999999999)",
                "9999999999999999999999999999999999.0000",
            ),
            (
                "38, 38",
                "(0.00000000000000000000000000000000000001), (0.00000000000000000000000000000000000002)",
                "0.00000000000000000000000000000000000002",
            ),
        ] {
            let values: String = values
                .replace('(', "(CAST('")
                .replace(')', "' AS VARCHAR))")
                .replace("'NULL'", "NULL");
            let rows = format!(
                "(SELECT CAST(x AS DECIMAL({digits})) AS x, 1 AS g FROM (VALUES {values}) AS v(x))"
            );
            for query in [
                format!("SELECT avg(x) FROM {rows}"),
                format!("SELECT avg(x) FROM {rows} GROUP BY g"),
                format!("SELECT avg(x) FILTER (WHERE g = 1) FROM {rows} GROUP BY g"),
                format!("SELECT avg(x) OVER () FROM {rows}"),
            ] {
                assert_eq!(first(&query).await, average, "{query}");
            }
        }
        let distinct = "FROM (SELECT CAST(x AS DECIMAL(5, 1)) AS x, 1 AS g FROM (VALUES (1), (1), (0), (0.5)) AS v(x))";
        assert_eq!(
            first(&format!("SELECT avg(DISTINCT x) {distinct}")).await,
            "0.50000"
        );
        assert_eq!(
            first(&format!("SELECT avg(DISTINCT x) {distinct} GROUP BY g")).await,
            "0.50000"
        );
        let moving = "SELECT string_agg(CAST(a AS VARCHAR), ' ' ORDER BY i) FROM (SELECT i, avg(CAST(x AS DECIMAL(5, 0))) \
                      OVER (ORDER BY i ROWS 2 PRECEDING) AS a FROM (VALUES (1, 1), (2, 0), (3, 1), (4, 1)) AS v(i, x))";
        assert_eq!(first(moving).await, "1.0000 0.5000 0.6667 0.6667");
        let most = "SELECT avg(CAST('99999999999999999999999999999999999999' AS DECIMAL(38, 0)))";
        assert!(
            run(most).await.is_err(),
            "38 digits and four behind the point are no decimal"
        );
        Ok(())
    }

    #[tokio::test]
    async fn quotients_of_decimals_are_rounded() -> Result<()> {
        let decimal = |text: &str| {
            let (number, digits) = text.split_once(':').unwrap_or((text, "10, 0"));
            format!("CAST('{number}' AS DECIMAL({digits}))")
        };
        for (left, right, quotient) in [
            ("2", "3", "0.6667"),
            ("-2", "3", "-0.6667"),
            ("2", "-3", "-0.6667"),
            ("-2", "-3", "0.6667"),
            ("1", "3", "0.3333"),
            ("1", "8000", "0.0001"),
            ("1", "20000", "0.0001"),
            ("-1", "20000", "-0.0001"),
            ("1", "20001", "0.0000"),
            ("0", "-3", "0.0000"),
            (
                "99999999999999999999999999.99:28, 2",
                "0.7:2, 1",
                "142857142857142857142857142.842857",
            ),
            (
                "12345678901234567890123456789012.3456:38, 4",
                "12345678901234567890123456789012.3456:38, 4",
                "1.00000000",
            ),
            (
                "99999999999999999999999999999999:38, 0",
                "3.0000000000:38, 10",
                "33333333333333333333333333333333.0000",
            ),
        ] {
            let (left, right) = (decimal(left), decimal(right));
            for query in [
                format!("SELECT {left} / {right}"),
                format!("SELECT x / y FROM (VALUES ({left}, {right}), (NULL, NULL)) AS v(x, y)"),
                format!("SELECT x / {right} FROM (VALUES ({left}), (NULL)) AS v(x)"),
                format!("SELECT {left} / y FROM (VALUES ({right}), (NULL)) AS v(y)"),
            ] {
                assert_eq!(first(&query).await, quotient, "{query}");
            }
        }
        assert_eq!(
            first("SELECT x / 3 FROM (VALUES (CAST(2 AS DECIMAL(10, 0)))) AS v(x)").await,
            "0.6667"
        );
        let null = "SELECT x / CAST(NULL AS DECIMAL(10, 0)) FROM (VALUES (CAST(2 AS DECIMAL(10, 0)))) AS v(x)";
        assert_eq!(first(null).await, "");
        for (left, right) in [
            ("1", "0"),
            ("99999999999999999999999999999999999999:38, 0", "0.1:1, 1"),
        ] {
            let (left, right) = (decimal(left), decimal(right));
            let query = format!("SELECT x / y FROM (VALUES ({left}, {right})) AS v(x, y)");
            assert!(run(&query).await.is_err(), "{query}");
        }
        Ok(())
    }

    /// Once this fails, `quotient` and the decimals of `avg` may go.
    #[tokio::test]
    async fn datafusion_cuts_decimals() -> Result<()> {
        let query = "SELECT avg(x) = 0.6666 AND CAST(2 AS DECIMAL(10, 0)) / 3 = 0.6666 \
                     FROM (VALUES (CAST(2 AS DECIMAL(10, 0))), (0), (0)) AS v(x)";
        let rows = SessionContext::new().sql(query).await?.collect().await?;
        assert_eq!(array_value_to_string(rows[0].column(0), 0)?, "true");
        Ok(())
    }
}
