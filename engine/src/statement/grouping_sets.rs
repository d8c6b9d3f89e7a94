//! `CUBE` and `ROLLUP` as the grouping sets that they are short for, where the planner does not take them:
//! with an expression twice, or with several in parentheses.

use datafusion::sql::sqlparser::ast::Expr;

/// More sets than this are left to the planner, which refuses them.
const MAX_SETS: usize = 4096;

/// The grouping sets, without an expression twice in one of them; `None` for what can stay.
pub(super) fn spelled_out(expr: &Expr) -> Option<Expr> {
    let sets = match expr {
        Expr::GroupingSets(sets) if sets.iter().any(|set| has_twice(set)) => sets.clone(),
        Expr::Rollup(parts) if is_special(parts) => (0..=parts.len())
            .rev()
            .map(|n| parts.iter().take(n).flatten().cloned().collect())
            .collect(),
        Expr::Cube(parts) if is_special(parts) => {
            let n_sets = u32::try_from(parts.len()).ok()?;
            let n_sets = 1_usize.checked_shl(n_sets).filter(|n| *n <= MAX_SETS)?;
            // The first part is in the first half of the sets.
            let is_in = |set: usize, at: usize| set >> (parts.len() - 1 - at) & 1 == 0;
            let set_of = |set| {
                let parts = parts.iter().enumerate().filter(|(at, _)| is_in(set, *at));
                parts.flat_map(|(_, part)| part.clone()).collect()
            };
            (0..n_sets).map(set_of).collect()
        }
        _ => return None,
    };
    let sets: Vec<Vec<Expr>> = sets;
    Some(Expr::GroupingSets(sets.into_iter().map(once).collect()))
}

fn is_special(parts: &[Vec<Expr>]) -> bool {
    let all: Vec<Expr> = parts.iter().flatten().cloned().collect();
    parts.iter().any(|part| part.len() != 1) || has_twice(&all)
}

fn has_twice(set: &[Expr]) -> bool {
    once(set.to_vec()).len() < set.len()
}

/// The set with each expression once.
fn once(set: Vec<Expr>) -> Vec<Expr> {
    let mut seen = Vec::new();
    set.into_iter()
        .filter(|expr| {
            let name = name_of(expr);
            let is_new = !seen.contains(&name);
            if is_new {
                seen.push(name);
            }
            is_new
        })
        .collect()
}

/// The text of the expression as the planner reads its names.
fn name_of(expr: &Expr) -> String {
    let text = expr.to_string();
    match text.contains(['"', '\'', '`']) {
        true => text,
        false => text.to_lowercase(),
    }
}

#[cfg(test)]
mod tests {
    use datafusion::sql::sqlparser::parser::Parser;

    use super::*;
    use crate::dialect::EmporiaDialect;

    #[test]
    fn an_expression_is_once_in_a_set() {
        for (text, expected) in [
            ("CUBE (a, A)", Some("GROUPING SETS ((a), (a), (A), ())")),
            (
                "ROLLUP (a, b, a)",
                Some("GROUPING SETS ((a, b), (a, b), (a), ())"),
            ),
            (
                "CUBE ((a, b), c)",
                Some("GROUPING SETS ((a, b, c), (a, b), (c), ())"),
            ),
            (
                "GROUPING SETS ((a, a), (a))",
                Some("GROUPING SETS ((a), (a))"),
            ),
            ("CUBE (a, b)", None),
            ("GROUPING SETS ((a), (a))", None),
        ] {
            let text_of_query = format!("SELECT 1 FROM t GROUP BY {text}");
            let parsed = Parser::parse_sql(&EmporiaDialect, &text_of_query).unwrap();
            let mut found = None;
            let _ = datafusion::sql::sqlparser::ast::visit_expressions(&parsed, |expr| {
                found = found.take().or_else(|| spelled_out(expr));
                std::ops::ControlFlow::<()>::Continue(())
            });
            let found = found.map(|expr| expr.to_string());
            assert_eq!(found.as_deref(), expected, "{text}");
        }
    }
}
