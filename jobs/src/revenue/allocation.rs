//! The discount of an order, spread over its lines in whole units so that nothing is lost.
//!
//! Largest remainder: every line gets its pro rata share rounded down; the units that are then left
//! go, one each, to the lines with the largest remainders, ties to the smaller line number. Orders
//! whose lines add up to zero share equally. All arithmetic is on integers.

use datafusion::common::plan_err;
use datafusion::error::Result as PlanResult;
use datafusion::functions::math::expr_fn::abs;
use datafusion::functions_aggregate::expr_fn::{count, sum};
use datafusion::logical_expr::expr::{AggregateFunction, WindowFunction};
use datafusion::logical_expr::{Expr, ExprFunctionExt, lit, when};
use datafusion::prelude::{DataFrame, ident};
use emporia_core::error::Result;
use emporia_engine::functions::row_number;

use super::lines::Lines;
use crate::money;
use crate::tables::planning;

/// Discount by period, category and subcategory.
pub(super) fn discounts(lines: &Lines) -> Result<DataFrame> {
    lines
        .discounted()
        .and_then(allocate)
        .and_then(|lines| {
            lines.aggregate(
                vec![ident("period"), ident("category"), ident("subcategory")],
                vec![sum(money::wide_units(ident("share"))).alias("discount")],
            )
        })
        .map_err(planning("the discounts of categories"))
}

/// Adds the column `share` to lines with `transaction_id, line_no, amount, discount`.
pub(super) fn allocate(lines: DataFrame) -> PlanResult<DataFrame> {
    let zero = || lit(0_i64);
    let sums = vec![
        per_order(sum(ident("amount")))?.alias("order_amount"),
        per_order(count(lit(1)))?.alias("order_lines"),
    ];
    let amounts_cancel = || ident("order_amount").eq(zero());
    let is_return = ident("order_amount").lt(zero());
    let weight = when(amounts_cancel(), lit(1_i64))
        .when(is_return, zero() - ident("amount"))
        .otherwise(ident("amount"))?;
    let total_weight =
        when(amounts_cancel(), ident("order_lines")).otherwise(abs(ident("order_amount")))?;
    // `%` has the sign of the dividend; a floor needs the remainder that is not negative.
    let product = || ident("product");
    let remainder =
        (product() % ident("total_weight") + ident("total_weight")) % ident("total_weight");
    let lines = lines
        .window(sums)?
        .with_column("product", ident("discount") * weight)?;
    let lines = lines.with_column("total_weight", total_weight)?;
    let lines = lines.with_column("remainder", remainder)?;
    let floor = (product() - ident("remainder")) / ident("total_weight");
    let lines = lines.with_column("floor_share", floor)?;
    let rank = row_number()
        .partition_by(vec![ident("transaction_id")])
        .order_by(vec![
            ident("remainder").sort(false, false),
            ident("line_no").sort(true, false),
            ident("category").sort(true, false),
            ident("subcategory").sort(true, false),
        ])
        .build()?
        .alias("rank");
    let spread = per_order(sum(ident("floor_share")))?.alias("spread");
    // Two steps, because the two windows are sorted differently.
    let lines = lines.window(vec![spread])?.window(vec![rank])?;
    let gets_one = ident("rank").lt_eq(ident("discount") - ident("spread"));
    let share =
        when(gets_one, ident("floor_share") + lit(1_i64)).otherwise(ident("floor_share"))?;
    lines.with_column("share", share)
}

/// An aggregate as a window over all lines of the order.
fn per_order(aggregate: Expr) -> PlanResult<Expr> {
    let Expr::AggregateFunction(AggregateFunction { func, params }) = aggregate else {
        return plan_err!("`{aggregate}` is no aggregate");
    };
    Expr::from(WindowFunction::new(func, params.args))
        .partition_by(vec![ident("transaction_id")])
        .build()
}
