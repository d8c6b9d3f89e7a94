//! `EXCEPT ALL` and `INTERSECT ALL` with the right number of equal rows.
//!
//! DataFusion plans both as a semi or anti join, which takes all copies of a row or none. Here the
//! copies on either side are numbered, and the n-th copy meets the n-th.

use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{Column, JoinType, NullEquality, Result};
use datafusion::logical_expr::{
    Distinct, Expr, ExprFunctionExt, Join, LogicalPlan, LogicalPlanBuilder, Projection,
};
use datafusion::optimizer::analyzer::AnalyzerRule;

use crate::functions::row_number;

/// The column that numbers the copies of a row.
const COPY: &str = "__emporia_copy";
/// The name of the right side.
const RIGHT: &str = "__emporia_right";

/// Numbers the copies of the rows below `EXCEPT ALL` and `INTERSECT ALL`.
#[derive(Debug)]
pub(super) struct KeepMultiplicity;

impl AnalyzerRule for KeepMultiplicity {
    fn name(&self) -> &'static str {
        "keep_multiplicity"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        plan.transform_up_with_subqueries(|plan| match plan {
            LogicalPlan::Join(join) if is_of_all(&join) => with_copies(join).map(Transformed::yes),
            other => Ok(Transformed::no(other)),
        })
        .data()
    }
}

/// Only a set operation has this form before joins are optimized: of all columns, with NULL equal to
/// NULL. Without ALL, the rows of its left side are distinct already.
fn is_of_all(join: &Join) -> bool {
    matches!(join.join_type, JoinType::LeftSemi | JoinType::LeftAnti)
        && join.null_equality == NullEquality::NullEqualsNull
        && join.filter.is_none()
        && join.on.len() == join.left.schema().fields().len()
        && join.on.len() == join.right.schema().fields().len()
        && !is_distinct(&join.left)
        && !join.left.schema().fields().iter().any(|f| f.name() == COPY)
}

/// Whether no row comes twice, for all that the form of the plan says.
fn is_distinct(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Distinct(Distinct::All(_)) => true,
        LogicalPlan::SubqueryAlias(alias) => is_distinct(&alias.input),
        // The types of both sides are made the same by a projection.
        LogicalPlan::Projection(Projection { expr, input, .. }) => {
            expr.len() == input.schema().fields().len()
                && expr.iter().all(is_column)
                && is_distinct(input)
        }
        _ => false,
    }
}

fn is_column(expr: &Expr) -> bool {
    match expr {
        Expr::Alias(alias) => is_column(&alias.expr),
        other => matches!(other, Expr::Column(_)),
    }
}

fn with_copies(join: Join) -> Result<LogicalPlan> {
    let columns: Vec<Expr> = columns_of(&join.left);
    let left = numbered(&join.left)?;
    let right = numbered(&join.right)?;
    let copy = || Expr::Column(Column::from_name(COPY));
    let mut on = join.on;
    on.push((copy(), copy()));
    // Both sides have a column of the same name now.
    let right = LogicalPlanBuilder::from(right).alias(RIGHT)?.build()?;
    let on = on
        .into_iter()
        .map(|(left, right)| Ok((left, of_right(right)?)));
    let on = on.collect::<Result<_>>()?;
    let join = Join::try_new(
        Arc::new(left),
        Arc::new(right),
        on,
        None,
        join.join_type,
        join.join_constraint,
        join.null_equality,
        false,
    )?;
    LogicalPlanBuilder::from(LogicalPlan::Join(join))
        .project(columns)?
        .build()
}

/// The expression over the right side under its name.
fn of_right(expr: Expr) -> Result<Expr> {
    expr.transform(|expr| {
        Ok(match expr {
            Expr::Column(column) => {
                let column = Column::new(Some(RIGHT), column.name);
                Transformed::yes(Expr::Column(column))
            }
            other => Transformed::no(other),
        })
    })
    .data()
}

fn columns_of(plan: &LogicalPlan) -> Vec<Expr> {
    plan.schema()
        .columns()
        .into_iter()
        .map(Expr::from)
        .collect()
}

/// The rows with their number among equal rows; NULLs are equal to each other.
fn numbered(plan: &Arc<LogicalPlan>) -> Result<LogicalPlan> {
    let number = row_number().partition_by(columns_of(plan)).build()?;
    LogicalPlanBuilder::from(Arc::clone(plan))
        .window([number.alias(COPY)])?
        .build()
}
