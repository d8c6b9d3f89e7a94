//! Aggregates over frames that move, such as `ROWS 6 PRECEDING`.
//!
//! DataFusion takes a row that leaves a frame back out of the total. Floating numbers do not come back whole from
//! that: after 1e20, NaN or an infinity every later frame is wrong, and the rest of a subtraction is no zero. Here
//! a frame is computed from its own rows. Aggregates that cannot take rows back, which DataFusion refuses, are
//! computed for each frame anew.

mod frames;
mod numbers;
mod stacks;

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, FieldRef};
use datafusion::common::{Result, ScalarValue};
use datafusion::functions_aggregate::all_default_aggregate_functions;
use datafusion::logical_expr::expr::{
    AggregateFunction, AggregateFunctionParams, WindowFunctionParams,
};
use datafusion::logical_expr::function::{
    AccumulatorArgs, AggregateFunctionSimplification, StateFieldsArgs,
};
use datafusion::logical_expr::utils::AggregateOrderSensitivity;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, Documentation, Expr, GroupsAccumulator, Operator,
    ReversedUDAF, SetMonotonicity, Signature, StatisticsArgs,
};

use super::median::{self, MEDIAN};
use super::percentile;
use frames::FrameByFrame;

pub(super) use numbers::{average, total};

/// Functions that take rows back without a loss, and those with an implementation of ours.
const EXACT: [&str; 6] = ["avg", "count", "grouping", "max", "min", "sum"];

/// DataFusion's aggregates, over frames that move as they should be.
pub(super) fn moving_functions() -> Vec<AggregateUDF> {
    let all = all_default_aggregate_functions().into_iter();
    let all = all.filter(|function| !EXACT.contains(&function.name()));
    all.map(|function| AggregateUDF::from(Moving::of(&function, Place::Anywhere)))
        .collect()
}

/// `function` as one over a window; `None` where it is one already or needs no change.
pub(crate) fn over_window(function: &Arc<AggregateUDF>) -> Option<AggregateUDF> {
    if EXACT.contains(&function.name()) {
        return None;
    }
    match function.inner().downcast_ref::<Moving>() {
        None => Some(AggregateUDF::from(Moving::of(function, Place::Window))),
        Some(Moving { place, .. }) if *place == Place::Window => None,
        Some(Moving { inner, .. }) => Some(AggregateUDF::from(Moving::of(inner, Place::Window))),
    }
}

/// The accumulator of a frame that moves: `sliding` where it can take rows back, else one that computes each frame
/// anew, by what `function` gives.
pub(super) fn moving_accumulator(
    sliding: Result<Box<dyn Accumulator>>,
    function: impl FnOnce() -> AggregateUDF,
    args: &AccumulatorArgs,
) -> Result<Box<dyn Accumulator>> {
    match sliding {
        Ok(accumulator) if accumulator.supports_retract_batch() => Ok(accumulator),
        _ => Ok(Box::new(FrameByFrame::of(function(), args)?)),
    }
}

/// Where a function stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Place {
    Anywhere,
    /// Over a window. A plan forgets on the wire that the planner has turned such a function around.
    Window,
}

/// An aggregate of DataFusion but for its frames that move.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Moving {
    inner: Arc<AggregateUDF>,
    place: Place,
}

impl Moving {
    fn of(inner: &Arc<AggregateUDF>, place: Place) -> Self {
        Self {
            inner: Arc::clone(inner),
            place,
        }
    }
}

impl AggregateUDFImpl for Moving {
    fn create_sliding_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        if !args.is_distinct
            && let Some(accumulator) = numbers::accumulator(self.inner.name())
        {
            return Ok(accumulator);
        }
        let sliding = self.inner.create_sliding_accumulator(args.clone());
        let name = self.inner.name();
        let sliding = sliding.and_then(|inner| percentile::accumulator(name, inner, &args));
        let anew = Self::of(&self.inner, Place::Window);
        moving_accumulator(sliding, || AggregateUDF::from(anew), &args)
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        match (self.inner.reverse_udf(), self.place) {
            (ReversedUDAF::Reversed(_), Place::Window) => ReversedUDAF::NotSupported,
            (ReversedUDAF::Reversed(inner), place) => {
                let reversed = Self { inner, place };
                ReversedUDAF::Reversed(Arc::new(AggregateUDF::from(reversed)))
            }
            (other, _) => other,
        }
    }

    fn with_beneficial_ordering(
        self: Arc<Self>,
        beneficial_ordering: bool,
    ) -> Result<Option<Arc<dyn AggregateUDFImpl>>> {
        let inner = self.inner.as_ref().clone();
        let inner = inner.with_beneficial_ordering(beneficial_ordering)?;
        Ok(inner.map(|inner| -> Arc<dyn AggregateUDFImpl> {
            Arc::new(Self {
                inner: Arc::new(inner),
                place: self.place,
            })
        }))
    }

    // The rest is DataFusion's.

    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn schema_name(&self, params: &AggregateFunctionParams) -> Result<String> {
        self.inner.schema_name(params)
    }

    fn human_display(&self, params: &AggregateFunctionParams) -> Result<String> {
        self.inner.human_display(params)
    }

    fn window_function_schema_name(&self, params: &WindowFunctionParams) -> Result<String> {
        self.inner.window_function_schema_name(params)
    }

    fn display_name(&self, params: &AggregateFunctionParams) -> Result<String> {
        self.inner.display_name(params)
    }

    fn window_function_display_name(&self, params: &WindowFunctionParams) -> Result<String> {
        self.inner.window_function_display_name(params)
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        let data_type = self.inner.return_type(arguments)?;
        Ok(match self.inner.name() {
            MEDIAN => median::type_of(&data_type),
            _ => data_type,
        })
    }

    fn return_field(&self, arguments: &[FieldRef]) -> Result<FieldRef> {
        let field = self.inner.return_field(arguments)?;
        Ok(match self.inner.name() {
            MEDIAN => median::field_of(&field),
            _ => field,
        })
    }

    fn is_nullable(&self) -> bool {
        self.inner.is_nullable()
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        let accumulator = self.inner.accumulator(args.clone())?;
        percentile::accumulator(self.inner.name(), accumulator, &args)
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        self.inner.state_fields(args)
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs) -> bool {
        self.inner.groups_accumulator_supported(args)
    }

    fn create_groups_accumulator(
        &self,
        args: AccumulatorArgs,
    ) -> Result<Box<dyn GroupsAccumulator>> {
        let accumulator = self.inner.create_groups_accumulator(args.clone())?;
        percentile::groups_accumulator(self.inner.name(), accumulator, &args)
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        self.inner.order_sensitivity()
    }

    fn simplify(&self) -> Option<AggregateFunctionSimplification> {
        self.inner.simplify()
    }

    fn simplify_expr_op_literal(
        &self,
        call: &AggregateFunction,
        argument: &Expr,
        operator: Operator,
        literal: &Expr,
        is_left: bool,
    ) -> Result<Option<Expr>> {
        self.inner
            .simplify_expr_op_literal(call, argument, operator, literal, is_left)
    }

    fn coerce_types(&self, arguments: &[DataType]) -> Result<Vec<DataType>> {
        self.inner.coerce_types(arguments)
    }

    fn is_descending(&self) -> Option<bool> {
        self.inner.is_descending()
    }

    fn value_from_stats(&self, statistics: &StatisticsArgs) -> Option<ScalarValue> {
        self.inner.value_from_stats(statistics)
    }

    fn default_value(&self, data_type: &DataType) -> Result<ScalarValue> {
        self.inner.default_value(data_type)
    }

    fn supports_null_handling_clause(&self) -> bool {
        self.inner.supports_null_handling_clause()
    }

    fn supports_within_group_clause(&self) -> bool {
        self.inner.supports_within_group_clause()
    }

    fn set_monotonicity(&self, data_type: &DataType) -> SetMonotonicity {
        self.inner.inner().set_monotonicity(data_type)
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.inner.documentation()
    }
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::{Array, ArrayRef, AsArray};
    use datafusion::arrow::datatypes::Float64Type;
    use datafusion::arrow::util::display::array_value_to_string;
    use datafusion::prelude::{SessionConfig, SessionContext};

    use super::*;
    use crate::true_functions::TrueFunctions;

    /// In batches of a few rows, so that frames cross them.
    fn context() -> SessionContext {
        let config = SessionConfig::new().with_batch_size(3);
        let mut state = SessionContext::new_with_config(config).state();
        crate::functions::register(&mut state).unwrap();
        state.add_analyzer_rule(Arc::new(TrueFunctions::default()));
        SessionContext::new_with_state(state)
    }

    /// The first column of the rows as text.
    async fn column(context: &SessionContext, sql: &str) -> Vec<String> {
        let batches = context.sql(sql).await.unwrap().collect().await.unwrap();
        let columns = batches.iter().map(|batch| batch.column(0));
        let text = |column: &ArrayRef, row: usize| {
            let text = array_value_to_string(column, row).unwrap();
            if column.is_null(row) {
                "NULL".to_owned()
            } else {
                text
            }
        };
        columns
            .flat_map(|column| (0..column.len()).map(move |row| text(column, row)))
            .collect()
    }

    /// `call` over each row and the `n` before it, of rows of `values`.
    async fn moving(call: &str, values: &str, n: usize) -> Vec<String> {
        let sql = format!(
            "SELECT {call} OVER (ORDER BY i ROWS {n} PRECEDING) AS r, i FROM (VALUES {values}) AS v(i, x) ORDER BY i"
        );
        column(&context(), &sql).await
    }

    #[tokio::test]
    async fn a_frame_is_that_of_its_rows() {
        for (call, values, n, expected) in [
            (
                "sum(x)",
                "(1, 1e20), (2, 1.0), (3, 2.0), (4, 3.0)",
                1,
                "1e20 1e20 3.0 5.0",
            ),
            (
                "sum(x)",
                "(1, 'NaN'::double), (2, 1.0), (3, 2.0), (4, 3.0)",
                1,
                "NaN NaN 3.0 5.0",
            ),
            (
                "sum(x)",
                "(1, 'Infinity'::double), (2, '-Infinity'), (3, 2.0)",
                1,
                "inf NaN -inf",
            ),
            (
                "sum(x)",
                "(1, 100.10), (2, 200.20), (3, 300.30), (4, 0.0), (5, 0.0), (6, 0.0)",
                1,
                "100.1 300.29999999999995 500.5 300.3 0.0 0.0",
            ),
            (
                "sum(x)",
                "(1, NULL), (2, 1.5), (3, NULL), (4, NULL), (5, 2.5)",
                1,
                "NULL 1.5 1.5 NULL 2.5",
            ),
            (
                "avg(x)",
                "(1, 1e20), (2, 1.0), (3, 2.0), (4, NULL), (5, NULL)",
                1,
                "1e20 5e19 1.5 2.0 NULL",
            ),
            (
                "avg(DISTINCT x)",
                "(1, 1.0), (2, 1.0), (3, 3.0)",
                2,
                "1.0 1.0 2.0",
            ),
            (
                "sum(DISTINCT x)",
                "(1, 1.0), (2, 1.0), (3, 3.0)",
                1,
                "1.0 1.0 4.0",
            ),
            (
                "stddev_pop(x)",
                "(1, 1e15), (2, 1.0), (3, 2.0), (4, 2.0), (5, NULL)",
                1,
                "0.0 499999999999999.5 0.5 0.0 0.0",
            ),
            (
                "stddev(x)",
                "(1, 5.0), (2, 1.0), (3, 3.0), (4, NULL)",
                1,
                "NULL 2.8284271247461903 1.4142135623730951 NULL",
            ),
            (
                "var_samp(x)",
                "(1, 0.1), (2, 0.1), (3, 0.1), (4, 0.1)",
                2,
                "NULL 0.0 0.0 0.0",
            ),
            (
                "var_pop(x)",
                "(1, 'NaN'::double), (2, 1.0), (3, 3.0)",
                1,
                "0.0 NaN 1.0",
            ),
            (
                "covar_pop(x, i)",
                "(1, 1e20), (2, 1.0), (3, 3.0)",
                1,
                "0.0 -2.5e19 0.5",
            ),
            (
                "corr(x, i)",
                "(1, 1e20), (2, 1.0), (3, 3.0), (4, 2.0)",
                1,
                "NULL -1.0 1.0 -1.0",
            ),
            (
                "regr_slope(x, i)",
                "(1, 1e20), (2, 1.0), (3, 3.0), (4, NULL), (5, 7.0)",
                2,
                "NULL -1e20 -5e19 2.0 2.0",
            ),
            (
                "regr_count(x, i)",
                "(1, NULL), (2, 1.0), (3, 3.0)",
                1,
                "0 1 2",
            ),
            (
                "regr_intercept(x, i)",
                "(1, 1e20), (2, 5.0), (3, 7.0)",
                1,
                "NULL 2e20 1.0",
            ),
            (
                "bool_or(x > 1)",
                "(1, 2), (2, 1), (3, 0), (4, NULL), (5, NULL)",
                1,
                "true true false false NULL",
            ),
            (
                "bool_and(x > 1)",
                "(1, 2), (2, 1), (3, 3), (4, NULL)",
                1,
                "true false false true",
            ),
            ("bit_or(x)", "(1, 1), (2, 2), (3, 4)", 1, "1 3 6"),
            ("bit_and(x)", "(1, 7), (2, 3), (3, 6)", 1, "7 3 2"),
            (
                "string_agg(x, '+')",
                "(1, 'a'), (2, NULL), (3, 'b'), (4, 'c'), (5, 'd')",
                2,
                "a a a+b b+c b+c+d",
            ),
            (
                "array_agg(x)",
                "(1, 1), (2, NULL), (3, 3)",
                1,
                "[1]; [1, ]; [, 3]",
            ),
            (
                "median(x)",
                "(1, 1e20), (2, 1.0), (3, 3.0)",
                1,
                "1e20 5e19 2.0",
            ),
            (
                "median(DISTINCT x)",
                "(1, 1.0), (2, 1.0), (3, 3.0)",
                2,
                "1.0 1.0 2.0",
            ),
            ("approx_distinct(x)", "(1, 1), (2, 1), (3, 3)", 1, "1 1 2"),
            ("count(DISTINCT x)", "(1, 1), (2, 1), (3, 3)", 1, "1 1 2"),
            (
                "sum(x)",
                "(1, 9223372036854775807), (2, -5), (3, 7)",
                1,
                "9223372036854775807 9223372036854775802 2",
            ),
        ] {
            let found = moving(call, values, n).await;
            let between = if expected.starts_with('[') { "; " } else { " " };
            assert_eq!(
                found,
                expected.split(between).collect::<Vec<_>>(),
                "{call} {values}"
            );
        }
    }

    #[tokio::test]
    async fn long_frames_are_right() {
        let context = context();
        let rows = "(SELECT value AS i, value % 7 AS x, CAST(value % 5 AS DOUBLE) AS f FROM generate_series(1, 300))";
        let over = "OVER (ORDER BY i ROWS BETWEEN 100 PRECEDING AND 3 FOLLOWING)";
        let sql = format!(
            "SELECT count(*) FILTER (WHERE bits = each_bits AND abs(spread - each_spread) < 1e-9 AND total = each_total) \
             FROM (SELECT i, bit_or(x) {over} AS bits, stddev(f) {over} AS spread, sum(f) {over} AS total FROM {rows}) AS a \
             JOIN (SELECT l.i AS j, bit_or(r.x) AS each_bits, stddev(r.f) AS each_spread, sum(r.f) AS each_total \
             FROM {rows} AS l JOIN {rows} AS r ON r.i BETWEEN l.i - 100 AND l.i + 3 GROUP BY l.i) AS b ON i = j"
        );
        assert_eq!(column(&context, &sql).await, ["300"]);
    }

    #[tokio::test]
    async fn frames_may_be_empty() {
        let context = context();
        let over = "OVER (ORDER BY i RANGE BETWEEN 2 PRECEDING AND 1 PRECEDING)";
        let sql = format!(
            "SELECT concat_ws(' ', sum(x) {over}, string_agg(CAST(x AS VARCHAR), '+') {over}, bool_and(x > 1) {over}) \
             FROM (VALUES (1, 1.0), (2, 2.0), (9, 3.0), (10, 4.0)) AS v(i, x) ORDER BY i"
        );
        let expected = ["", "1.0 1.0 false", "", "3.0 3.0 true"];
        assert_eq!(column(&context, &sql).await, expected);
    }

    #[tokio::test]
    async fn a_list_is_in_the_order_of_its_window() {
        let sql = "SELECT string_agg(x, '') OVER (ORDER BY i DESC) || string_agg(x, '') OVER (ORDER BY i) \
                   FROM (VALUES (1, 'a'), (2, 'b'), (3, 'c')) AS v(i, x) ORDER BY i";
        let expected = ["cbaa", "cbab", "cabc"];
        assert_eq!(column(&context(), sql).await, expected);
    }

    /// Once this fails, the functions of ours may go.
    #[tokio::test]
    async fn datafusion_subtracts() {
        let sql = "SELECT sum(x) OVER (ORDER BY i ROWS 1 PRECEDING) FROM \
                   (VALUES (1, 1e20), (2, 1.0), (3, 2.0)) AS v(i, x) ORDER BY i";
        let frame = SessionContext::new().sql(sql).await.unwrap();
        let batches = frame.collect().await.unwrap();
        let last = batches
            .last()
            .unwrap()
            .column(0)
            .as_primitive::<Float64Type>();
        assert_eq!(last.value(last.len() - 1), 0.0);
    }
}
