//! Which expressions can fail for some values.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::tree_node::TreeNode;
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::{BinaryExpr, Expr, ExprSchemable, Operator};

use crate::functions::QUOTIENT;

/// Functions that refuse some values; those of `connectors/src/checked.rs` begin with [`CHECKED`].
const REFUSING: [&str; 32] = [
    "abs",
    "array_repeat",
    "arrow_cast",
    "assigned",
    "chr",
    "composed",
    "date_bin",
    "decode",
    "encode",
    "factorial",
    "gcd",
    "generate_series",
    "lcm",
    "like_pattern",
    "make_date",
    "make_time",
    "power",
    QUOTIENT,
    "range",
    "repeat",
    "scaled_interval",
    "single_row",
    "substr",
    "timezone",
    "to_date",
    "to_time",
    "to_timestamp",
    "to_timestamp_micros",
    "to_timestamp_millis",
    "to_timestamp_nanos",
    "to_timestamp_seconds",
    "to_unixtime",
];
const CHECKED: &str = "checked_";

/// How far a failure is a matter of daily life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Risk {
    /// It cannot fail.
    Never,
    /// Where a number leaves its type.
    Overflow,
    /// Where a divisor is zero, a text is no number, or a function refuses a value.
    Value,
}

/// The risk of an expression over columns of `schema`.
pub(crate) fn risk(expr: &Expr, schema: &DFSchema) -> Result<Risk> {
    let mut found = Risk::Never;
    expr.exists(|expr| {
        found = found.max(own_risk(expr, schema));
        Ok(found == Risk::Value)
    })?;
    Ok(found)
}

fn own_risk(expr: &Expr, schema: &DFSchema) -> Risk {
    let type_of = |expr: &Expr| expr.get_type(schema).unwrap_or(DataType::Null);
    match expr {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => match op {
            Operator::Divide | Operator::Modulo | Operator::IntegerDivide => {
                let is_floating = type_of(left).is_floating() || type_of(right).is_floating();
                match is_floating || is_divisor(right) {
                    true => Risk::Never,
                    false => Risk::Value,
                }
            }
            Operator::Plus | Operator::Minus | Operator::Multiply => {
                match type_of(left).is_floating() || type_of(right).is_floating() {
                    true => Risk::Never,
                    false => Risk::Overflow,
                }
            }
            _ => Risk::Never,
        },
        Expr::Cast(cast) => of_cast(&type_of(&cast.expr), cast.field.data_type()),
        Expr::ScalarFunction(call) => match (call.func.name(), call.args.as_slice()) {
            (QUOTIENT, [_, divisor]) if is_divisor(divisor) => Risk::Never,
            (name, _) => of_function(name),
        },
        _ => Risk::Never,
    }
}

/// The risk of a function, whatever its arguments are.
pub(crate) fn of_function(name: &str) -> Risk {
    if REFUSING.contains(&name) {
        return Risk::Value;
    }
    match name.starts_with(CHECKED) {
        true => Risk::Overflow,
        false => Risk::Never,
    }
}

/// Whether the expression is a number other than zero.
pub(super) fn is_divisor(expr: &Expr) -> bool {
    match expr {
        Expr::Literal(value, _) => {
            let is_zero = value.cast_to(&DataType::Float64).is_ok_and(|value| {
                matches!(value, datafusion::scalar::ScalarValue::Float64(Some(v)) if v == 0.0)
            });
            !is_zero
        }
        Expr::Cast(cast) => is_divisor(&cast.expr),
        _ => false,
    }
}

/// The risk of a cast that is not `TRY_CAST`.
pub(crate) fn of_cast(from: &DataType, to: &DataType) -> Risk {
    let is_text = |data_type: &DataType| {
        data_type.is_string() || matches!(data_type, DataType::Dictionary(..))
    };
    if from == to || is_text(to) || from.is_null() {
        return Risk::Never;
    }
    if is_text(from) {
        return Risk::Value;
    }
    let is_wider = to.is_floating()
        || from.is_integer()
            && to.is_integer()
            && from.is_signed_integer() == to.is_signed_integer()
            && from.primitive_width() <= to.primitive_width();
    match is_wider || matches!(from, DataType::Boolean) {
        true => Risk::Never,
        false => Risk::Overflow,
    }
}
