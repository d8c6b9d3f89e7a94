//! `LIKE … ESCAPE '!'`: DataFusion computes patterns with `\` only.

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{Expr, LogicalPlan, lit};
use datafusion::optimizer::AnalyzerRule;

use super::with_outputs;
use crate::functions::{like_pattern, with_backslashes};

/// The only escape character that is computed.
const BACKSLASH: char = '\\';

/// Gives every pattern the escape character `\`.
#[derive(Debug)]
pub(super) struct EscapeByBackslash;

impl AnalyzerRule for EscapeByBackslash {
    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        plan.transform_up_with_subqueries(|plan| {
            with_outputs(
                plan,
                |_| Ok(true),
                |expr| expr.transform_up(|expr| Ok(by_backslash(expr))),
            )
        })
        .data()
    }

    fn name(&self) -> &str {
        "escape_by_backslash"
    }
}

fn by_backslash(expr: Expr) -> Transformed<Expr> {
    let Expr::Like(mut like) = expr else {
        return Transformed::no(expr);
    };
    let escape = match like.escape_char {
        Some(escape) if escape != BACKSLASH => escape,
        _ => return Transformed::no(Expr::Like(like)),
    };
    like.escape_char = None;
    let written = match like.pattern.as_ref() {
        Expr::Literal(ScalarValue::Utf8(Some(pattern)), _) => with_backslashes(pattern, escape),
        _ => None,
    };
    like.pattern = Box::new(match written {
        Some(pattern) => lit(pattern),
        None => like_pattern().call(vec![*like.pattern, lit(escape.to_string())]),
    });
    Transformed::yes(Expr::Like(like))
}
