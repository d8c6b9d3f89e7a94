//! Decimals beside floating numbers.
//!
//! DataFusion compares them as decimals of 15 digits behind the point, of which those of a floating number are
//! mostly others than the ones that were written: `x = 67.07` and `x = 81234.57` are false for the decimals 67.07 and
//! 81234.57. A number in the text is exact here, and floating values are compared as such, as other systems do.

use std::mem::take;
use std::sync::Arc;

use datafusion::arrow::datatypes::{DECIMAL128_MAX_PRECISION, DECIMAL256_MAX_PRECISION, DataType};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, Result, ScalarValue, plan_err};
use datafusion::logical_expr::{
    Expr, ExprSchemable, LogicalPlan, Projection, Union, Values, cast, lit, when,
};
use datafusion::optimizer::AnalyzerRule;

use super::misread::is_comparison;
use super::number::Number;
use super::walk;

/// Makes numbers of a text exact beside decimals. Comes before types are made the same.
#[derive(Debug)]
pub(super) struct ExactNumbers;

impl AnalyzerRule for ExactNumbers {
    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        walk::rewritten(plan, exact, |plan, _| step(plan))
    }

    fn name(&self) -> &str {
        "exact_numbers"
    }
}

/// Functions whose arguments become one type.
const OF_ONE_TYPE: [&str; 7] = [
    "coalesce",
    "greatest",
    "ifnull",
    "least",
    "make_array",
    "nvl",
    "nvl2",
];

fn exact(mut expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let is_changed = match &mut expr {
        Expr::BinaryExpr(binary) if is_comparison(binary.op) => alike(&mut [
            Side::of(&mut binary.left, schema),
            Side::of(&mut binary.right, schema),
        ]),
        Expr::Between(between) => alike(&mut [
            Side::of(&mut between.expr, schema),
            Side::of(&mut between.low, schema),
            Side::of(&mut between.high, schema),
        ]),
        Expr::InList(list) => {
            let mut sides = vec![Side::of(&mut list.expr, schema)];
            sides.extend(list.list.iter_mut().map(|item| Side::of(item, schema)));
            alike(&mut sides)
        }
        Expr::InSubquery(subquery) => {
            let rows = &mut subquery.subquery.subquery;
            let of_rows = rows.schema().fields().first();
            let of_rows = of_rows.map_or(DataType::Null, |field| field.data_type().clone());
            let side = Side::of(&mut subquery.expr, schema);
            if side.is_floating() && of_rows.is_decimal() {
                *rows = Arc::new(with_floats(rows, &[0])?);
                true
            } else {
                side.is_decimal() && of_rows.is_floating() && floats(&mut [side])
            }
        }
        Expr::Case(case) => {
            let mut conditions = Vec::new();
            let mut values = Vec::new();
            for (when, then) in &mut case.when_then_expr {
                conditions.push(when);
                values.push(Side::of(then, schema));
            }
            let otherwise = case.else_expr.iter_mut();
            values.extend(otherwise.map(|value| Side::of(value, schema)));
            let are_alike = alike(&mut values);
            match &mut case.expr {
                Some(value) => {
                    let sides = conditions.into_iter().chain([value]);
                    let sides = sides.map(|side| Side::of(side, schema));
                    alike(&mut sides.collect::<Vec<_>>()) || are_alike
                }
                None => are_alike,
            }
        }
        Expr::ScalarFunction(call) if OF_ONE_TYPE.contains(&call.func.name()) => {
            let sides = call.args.iter_mut().map(|value| Side::of(value, schema));
            alike(&mut sides.collect::<Vec<_>>())
        }
        Expr::ScalarFunction(call) if call.func.name() == "nullif" => {
            let [value, other] = call.args.as_mut_slice() else {
                return Ok(Transformed::no(expr));
            };
            let mut sides = [Side::of(value, schema), Side::of(other, schema)];
            let is_mixed =
                sides.iter().any(Side::is_decimal) && sides.iter().any(Side::is_floating);
            if exact_literals(&mut sides) || !is_mixed || value.is_volatile() {
                return Ok(Transformed::new_transformed(expr, is_mixed));
            }
            // The value stays what it is where it is another one.
            let (mut left, mut right) = (value.clone(), take(other));
            alike(&mut [Side::of(&mut left, schema), Side::of(&mut right, schema)]);
            let null = lit(ScalarValue::Null);
            expr = when(left.eq(right), null).otherwise(take(value))?;
            true
        }
        _ => false,
    };
    Ok(Transformed::new_transformed(expr, is_changed))
}

fn step(plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    Ok(match plan {
        LogicalPlan::Join(mut join) => {
            let (left, right) = (join.left.schema(), join.right.schema());
            let mut is_changed = false;
            for (one, other) in &mut join.on {
                let mut sides = [Side::of(one, left), Side::of(other, right)];
                is_changed |= alike(&mut sides);
            }
            Transformed::new_transformed(LogicalPlan::Join(join), is_changed)
        }
        LogicalPlan::Union(union) => unioned(union)?,
        LogicalPlan::Values(values) => {
            check_values(&values)?;
            Transformed::no(LogicalPlan::Values(values))
        }
        other => Transformed::no(other),
    })
}

/// Makes the columns floating numbers in which some inputs of a UNION have these and some decimals.
fn unioned(mut union: Union) -> Result<Transformed<LogicalPlan>> {
    let n_columns = union.schema.fields().len();
    let mut is_changed = false;
    let type_of = |input: &Arc<LogicalPlan>, at: usize| {
        let fields = input.schema().fields();
        fields.get(at).map(|field| field.data_type().clone())
    };
    let mut mixed = Vec::new();
    for at in 0..n_columns {
        let types = union.inputs.iter().filter_map(|input| type_of(input, at));
        let types: Vec<DataType> = types.collect();
        let has_floats = types.iter().any(DataType::is_floating);
        if !has_floats || !types.iter().any(DataType::is_decimal) {
            continue;
        }
        // Numbers of the text are as exact as the decimals beside them.
        let mut inputs = union.inputs.clone();
        let mut columns: Vec<Expr> = Vec::with_capacity(inputs.len());
        for input in &inputs {
            columns.push(written(input, at));
        }
        let schemas: Vec<_> = union.inputs.iter().map(|input| input.schema()).collect();
        let sides = columns.iter_mut().zip(&schemas);
        let mut sides: Vec<Side> = sides
            .map(|(column, schema)| Side::of(column, schema))
            .collect();
        let all_written = sides
            .iter()
            .all(|side| !side.is_floating() || side.written().is_some());
        if all_written && exact_literals(&mut sides) {
            for (input, value) in inputs.iter_mut().zip(columns) {
                if matches!(value, Expr::Literal(..)) {
                    *input = Arc::new(with_column(input, at, value)?);
                }
            }
            union.inputs = inputs;
            is_changed = true;
        } else {
            mixed.push(at);
        }
    }
    if !is_changed && mixed.is_empty() {
        return Ok(Transformed::no(LogicalPlan::Union(union)));
    }
    if !mixed.is_empty() {
        for input in &mut union.inputs {
            *input = Arc::new(with_floats(input, &mixed)?);
        }
    }
    let plan = Union::try_new_with_loose_types(union.inputs)?;
    Ok(Transformed::yes(LogicalPlan::Union(plan)))
}

/// The number of the text that a column is, or the column.
fn written(input: &LogicalPlan, at: usize) -> Expr {
    let value = match input {
        LogicalPlan::Projection(step) => step.expr.get(at).cloned().map(Expr::unalias),
        _ => None,
    };
    let number = value.filter(|value| Number::of(value).is_some());
    number.unwrap_or_else(|| {
        let columns = input.schema().columns();
        columns
            .into_iter()
            .nth(at)
            .map_or_else(Expr::default, Expr::Column)
    })
}

/// The rows with another value in a column.
fn with_column(input: &Arc<LogicalPlan>, at: usize, value: Expr) -> Result<LogicalPlan> {
    let columns = input.schema().columns().into_iter().enumerate();
    let columns = columns.map(|(column, own)| match column == at {
        true => value.clone().alias_qualified(own.relation, own.name),
        false => Expr::Column(own),
    });
    let step = Projection::try_new(columns.collect(), Arc::clone(input))?;
    Ok(LogicalPlan::Projection(step))
}

/// The rows with decimals of the columns as floating numbers.
fn with_floats(input: &Arc<LogicalPlan>, columns: &[usize]) -> Result<LogicalPlan> {
    let schema = input.schema();
    let all = schema.columns().into_iter().enumerate();
    let all = all.map(|(at, own)| {
        let is_decimal = schema.field(at).data_type().is_decimal();
        match is_decimal && columns.contains(&at) {
            true => {
                let (table, name) = (own.relation.clone(), own.name.clone());
                cast(Expr::Column(own), DataType::Float64).alias_qualified(table, name)
            }
            false => Expr::Column(own),
        }
    });
    let step = Projection::try_new(all.collect(), Arc::clone(input))?;
    Ok(LogicalPlan::Projection(step))
}

/// Refuses a VALUES list in which a floating number would lose digits beside decimals.
fn check_values(values: &Values) -> Result<()> {
    for value in values.values.iter().flatten() {
        let Expr::Cast(cast) = value else {
            continue;
        };
        let DataType::Decimal128(_, scale) = cast.field.data_type() else {
            continue;
        };
        let is_floating = cast
            .expr
            .get_type(&values.schema)
            .is_ok_and(|t| t.is_floating());
        let is_kept = match Number::of(&cast.expr) {
            Some(number) => number.scale <= u32::from(scale.unsigned_abs()),
            None => matches!(cast.expr.as_ref(), Expr::Literal(value, _) if value.is_null()),
        };
        if is_floating && !is_kept {
            return plan_err!(
                "{} beside a decimal in VALUES has more digits than {}; CAST one of them to the type of the other",
                cast.expr,
                cast.field.data_type()
            );
        }
    }
    Ok(())
}

/// A value that is compared with others, and its type where that is known.
struct Side<'a> {
    value: &'a mut Expr,
    data_type: Option<DataType>,
}

impl<'a> Side<'a> {
    fn of(value: &'a mut Expr, schema: &DFSchema) -> Self {
        let data_type = value.get_type(schema).ok();
        Self { value, data_type }
    }

    fn is_floating(&self) -> bool {
        self.data_type.as_ref().is_some_and(DataType::is_floating)
    }

    /// Digits before and behind the point of a decimal.
    fn digits(&self) -> Option<(i32, i32)> {
        match self.data_type {
            Some(
                DataType::Decimal32(precision, scale)
                | DataType::Decimal64(precision, scale)
                | DataType::Decimal128(precision, scale),
            ) => Some((i32::from(precision) - i32::from(scale), i32::from(scale))),
            _ => None,
        }
    }

    fn is_decimal(&self) -> bool {
        self.data_type.as_ref().is_some_and(DataType::is_decimal)
    }

    /// The number of the text that a floating value is.
    fn written(&self) -> Option<Number> {
        match self.is_floating() {
            true => Number::of(self.value),
            false => None,
        }
    }
}

/// Makes values that are compared all decimals or all floating, if they are some of both. Says whether it did.
fn alike(sides: &mut [Side]) -> bool {
    let has_decimals = sides.iter().any(Side::is_decimal);
    if !has_decimals || !sides.iter().any(Side::is_floating) {
        return false;
    }
    let all_written = sides
        .iter()
        .all(|side| !side.is_floating() || side.written().is_some());
    if !all_written {
        return floats(sides);
    }
    match fit(sides) {
        true => exact_literals(sides),
        false => wide(sides) || floats(sides),
    }
}

/// Makes values that are compared decimals of up to 76 digits, if these have room for all digits. Says whether it did.
fn wide(sides: &mut [Side]) -> bool {
    let (before, behind) = most_digits(sides);
    let (Ok(precision), Ok(scale)) = (u8::try_from(before + behind), i8::try_from(behind)) else {
        return false;
    };
    if precision > DECIMAL256_MAX_PRECISION {
        return false;
    }
    let all = DataType::Decimal256(precision, scale);
    for side in sides {
        let value = match side.written() {
            Some(number) => number.text(),
            None => take(side.value),
        };
        *side.value = cast(value, all.clone());
    }
    true
}

/// Whether one decimal type has room for all decimals and numbers of the text.
fn fit(sides: &[Side]) -> bool {
    let (before, behind) = most_digits(sides);
    let is_wide = |side: &Side| matches!(side.data_type, Some(DataType::Decimal256(..)));
    before + behind <= i32::from(DECIMAL128_MAX_PRECISION) || sides.iter().any(is_wide)
}

/// The most digits before and behind the point of decimals and numbers of the text.
fn most_digits(sides: &[Side]) -> (i32, i32) {
    let digits = sides.iter().filter_map(|side| match side.written() {
        Some(number) => Some(number.digits()),
        None => side.digits(),
    });
    digits.fold((0, 0), |(before, behind), (integer, fraction)| {
        (before.max(integer), behind.max(fraction))
    })
}

/// Makes decimals of the numbers of the text, if there are decimals beside them.
fn exact_literals(sides: &mut [Side]) -> bool {
    if !sides.iter().any(Side::is_decimal) || !fit(sides) {
        return false;
    }
    let mut is_changed = false;
    for side in sides {
        if let Some(number) = side.written().and_then(Number::literal) {
            *side.value = number;
            is_changed = true;
        }
    }
    is_changed
}

/// Makes the decimals floating numbers.
fn floats(sides: &mut [Side]) -> bool {
    for side in sides.iter_mut().filter(|side| side.is_decimal()) {
        *side.value = match long_number(side.value) {
            Some(number) => lit(number),
            None => cast(take(side.value), DataType::Float64),
        };
    }
    true
}

/// The floating number nearest to a long number of the text, which is a cast of its digits to a decimal type. By way
/// of the decimal it may be the next one.
fn long_number(expr: &Expr) -> Option<f64> {
    let Expr::Cast(cast) = expr else {
        return None;
    };
    let (Expr::Literal(ScalarValue::Utf8(Some(text)), _), DataType::Decimal128(_, scale)) =
        (cast.expr.as_ref(), cast.field.data_type())
    else {
        return None;
    };
    let (_, fraction) = text.split_once('.').unwrap_or((text, ""));
    let is_kept = i8::try_from(fraction.len()).is_ok_and(|n| n <= *scale);
    if is_kept { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::AsArray;
    use datafusion::execution::SessionStateBuilder;
    use datafusion::prelude::SessionContext;

    /// The truth of a condition about the decimal 81234.57 `d`, 67.07 `e` and the floating 81234.57 `f`.
    async fn holds(condition: &str) -> Option<bool> {
        let state = SessionStateBuilder::new()
            .with_default_features()
            .with_analyzer_rules(super::super::analyzer_rules())
            .build();
        let text = format!(
            "SELECT {condition} FROM (VALUES \
             (CAST('81234.57' AS DECIMAL(18, 2)), CAST('67.07' AS DECIMAL(10, 2)), CAST('81234.57' AS DOUBLE))) \
             AS v(d, e, f)"
        );
        let frame = SessionContext::new_with_state(state).sql(&text).await;
        let batches = frame.unwrap().collect().await.unwrap();
        let column = batches[0].column(0).as_boolean();
        column.iter().next().flatten()
    }

    #[tokio::test]
    async fn decimals_are_what_was_written() {
        for condition in [
            "d = 81234.57",
            "e = 67.07",
            "81234.57 <= d",
            "NOT d > 81234.57",
            "d IN (1.5, 81234.57)",
            "d BETWEEN 81234.57 AND 81234.570",
            "d BETWEEN 81234.56 + 0.01 AND 81234.58 - 0.01",
            "CASE d WHEN 81234.57 THEN true END",
            "nullif(d, 81234.57) IS NULL",
            "d = f",
            "f IN (d, e)",
            "d <> 1e300",
            "d > 1e-50",
            "d < CAST('Infinity' AS DOUBLE)",
            "d IS NOT DISTINCT FROM 81234.57",
            "f = CAST('81234.5700000000000000000001' AS DECIMAL(27, 22))",
            "f <> CAST('81234.5749' AS DECIMAL(18, 3))",
            "coalesce(NULL, e, 81234.57) = 67.07",
            "CAST('0.99999999999999999999999999999999999999' AS DECIMAL(38, 38)) < 1.0",
            "CAST('9999999999999999999999999999.9999999999' AS DECIMAL(38, 10)) < 1e28",
            "CAST('0.99999999999999999999999999999999999999' AS DECIMAL(38, 38)) NOT BETWEEN 0.0 AND 0.5",
            "CAST(CASE WHEN d = 1.5 THEN e ELSE 81234.57 END AS VARCHAR) = '81234.57'",
        ] {
            assert_eq!(holds(condition).await, Some(true), "{condition}");
        }
        assert_eq!(holds("d = CAST(NULL AS DOUBLE)").await, None);
    }

    /// Once this fails, the rule may go.
    #[tokio::test]
    async fn datafusion_compares_other_digits() {
        let text = "SELECT CAST('81234.57' AS DECIMAL(18, 2)) = 81234.57";
        let frame = SessionContext::new().sql(text).await.unwrap();
        let batches = frame.collect().await.unwrap();
        assert!(!batches[0].column(0).as_boolean().value(0));
    }
}
