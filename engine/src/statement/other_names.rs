//! Functions by the names that they have elsewhere: what other systems mean by them has another form here.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, CastKind, DataType, Expr, Function, FunctionArg, FunctionArgExpr,
    FunctionArgumentClause, FunctionArguments, Ident, ObjectName, OrderByExpr, OrderByOptions,
    Value, VisitMut, VisitorMut,
};
use datafusion::sql::sqlparser::parser::Parser;

use crate::dialect::EmporiaDialect;

/// The expression that a call of a function of other systems is; `None` for any other.
pub(super) fn as_ours(expr: &Expr) -> Option<Expr> {
    let Expr::Function(call) = expr else {
        return None;
    };
    let name = plain_name(call)?;
    if name == "every" {
        let mut call = call.clone();
        call.name = ObjectName::from(vec![Ident::new("bool_and")]);
        return Some(Expr::Function(call));
    }
    if call.over.is_some() || call.null_treatment.is_some() || !call.within_group.is_empty() {
        return None;
    }
    let arguments = arguments(call)?;
    match (name.as_str(), arguments.as_slice()) {
        ("max_by" | "arg_max", [value, key]) => at_end(call, value, key, false),
        ("min_by" | "arg_min", [value, key]) => at_end(call, value, key, true),
        _ if call.filter.is_some() => None,
        ("mod", [dividend, divisor]) => Some(nested(Expr::BinaryOp {
            left: Box::new(nested((*dividend).clone())),
            op: BinaryOperator::Modulo,
            right: Box::new(nested((*divisor).clone())),
        })),
        ("sign", [number]) => formed("signum(x)", &[("x", number)]),
        ("year" | "quarter" | "month" | "week" | "day" | "hour" | "minute" | "second", [time]) => {
            formed(&format!("date_part('{name}', x)"), &[("x", time)])
        }
        ("dayofmonth", [time]) => formed("date_part('day', x)", &[("x", time)]),
        ("dayofyear", [time]) => formed("date_part('doy', x)", &[("x", time)]),
        ("weekofyear", [time]) => formed("date_part('week', x)", &[("x", time)]),
        ("last_day", [time]) => formed(
            "(make_date(date_part('year', x), date_part('month', x), 1) + INTERVAL '1 month' - INTERVAL '1 day')",
            &[("x", time)],
        ),
        ("datediff" | "date_diff", [end, start]) => Some(days(start, end)),
        ("datediff" | "date_diff", [unit, start, end]) if is_day(unit) => Some(days(start, end)),
        ("date_diff" | "timestampdiff", [Expr::Identifier(unit), start, end])
            if unit.quote_style.is_none() =>
        {
            let text = format!("{name}('{unit}', a, b)");
            formed(&text, &[("a", start), ("b", end)])
        }
        ("age", [time]) => formed("age(current_date, x)", &[("x", time)]),
        _ => None,
    }
}

/// The name of a function that is written without quotes.
pub(super) fn plain_name(call: &Function) -> Option<String> {
    match call.name.0.as_slice() {
        [part] => {
            let ident = part.as_ident()?;
            (ident.quote_style.is_none()).then(|| ident.value.to_lowercase())
        }
        _ => None,
    }
}

/// The arguments of a call that has nothing else in its parentheses.
pub(super) fn arguments(call: &Function) -> Option<Vec<&Expr>> {
    let FunctionArguments::List(list) = &call.args else {
        return None;
    };
    if list.duplicate_treatment.is_some() || !list.clauses.is_empty() {
        return None;
    }
    let arguments = list.args.iter().map(|argument| match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr),
        _ => None,
    });
    arguments.collect()
}

/// `first_value(value ORDER BY key) FILTER (WHERE key IS NOT NULL)`.
fn at_end(call: &Function, value: &Expr, key: &Expr, ascending: bool) -> Option<Expr> {
    let mut first = match formed("first_value(x)", &[("x", value)])? {
        Expr::Function(first) => first,
        _ => return None,
    };
    let FunctionArguments::List(list) = &mut first.args else {
        return None;
    };
    list.clauses = vec![FunctionArgumentClause::OrderBy(vec![OrderByExpr {
        expr: key.clone(),
        options: OrderByOptions {
            asc: Some(ascending),
            nulls_first: Some(false),
        },
        with_fill: None,
    }])];
    let is_known = Expr::IsNotNull(Box::new(nested(key.clone())));
    first.filter = Some(Box::new(match &call.filter {
        None => is_known,
        Some(filter) => Expr::BinaryOp {
            left: Box::new(nested(filter.as_ref().clone())),
            op: BinaryOperator::And,
            right: Box::new(is_known),
        },
    }));
    Some(Expr::Function(first))
}

pub(super) fn is_day(unit: &Expr) -> bool {
    let unit = match unit {
        Expr::Identifier(ident) => &ident.value,
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(unit) => unit,
            _ => return false,
        },
        _ => return false,
    };
    ["day", "days"].contains(&unit.to_lowercase().as_str())
}

/// The days from one date to the other.
fn days(start: &Expr, end: &Expr) -> Expr {
    let date = |time: &Expr| {
        Box::new(Expr::Cast {
            kind: CastKind::Cast,
            expr: Box::new(time.clone()),
            data_type: DataType::Date,
            array: false,
            format: None,
        })
    };
    nested(Expr::BinaryOp {
        left: date(end),
        op: BinaryOperator::Minus,
        right: date(start),
    })
}

pub(super) fn nested(expr: Expr) -> Expr {
    Expr::Nested(Box::new(expr))
}

/// The expression of the text, in which names stand for others.
pub(super) fn formed(text: &str, values: &[(&str, &Expr)]) -> Option<Expr> {
    let parser = Parser::new(&EmporiaDialect).try_with_sql(text);
    let mut expr = parser.and_then(|mut parser| parser.parse_expr()).ok()?;
    let _ = expr.visit(&mut Named(values));
    Some(expr)
}

/// Names and what they stand for.
struct Named<'a>(&'a [(&'a str, &'a Expr)]);

impl VisitorMut for Named<'_> {
    type Break = ();

    // What is put in is not looked at again.
    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::Identifier(ident) = &*expr
            && let Some((_, value)) = self.0.iter().find(|(name, _)| *name == ident.value)
        {
            *expr = (*value).clone();
        }
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_become_ours() {
        for (text, expected) in [
            ("MOD(a + 1, 3)", Some("((a + 1) % (3))")),
            ("sign(a)", Some("signum(a)")),
            ("year(x)", Some("date_part('year', x)")),
            ("weekofyear(d)", Some("date_part('week', d)")),
            (
                "datediff(b, a)",
                Some("(CAST(b AS DATE) - CAST(a AS DATE))"),
            ),
            (
                "date_diff('day', a, b)",
                Some("(CAST(b AS DATE) - CAST(a AS DATE))"),
            ),
            (
                "datediff(DAY, a, b)",
                Some("(CAST(b AS DATE) - CAST(a AS DATE))"),
            ),
            ("date_diff('month', a, b)", None),
            ("date_diff(month, x, y)", Some("date_diff('month', x, y)")),
            (
                "TIMESTAMPDIFF(MONTH, b, a)",
                Some("timestampdiff('MONTH', b, a)"),
            ),
            ("age(t)", Some("age(current_date, t)")),
            (
                "max_by(x, y)",
                Some("first_value(x ORDER BY y DESC NULLS LAST) FILTER (WHERE (y) IS NOT NULL)"),
            ),
            (
                "arg_min(x, y) FILTER (WHERE z)",
                Some(
                    "first_value(x ORDER BY y ASC NULLS LAST) FILTER (WHERE (z) AND (y) IS NOT NULL)",
                ),
            ),
            ("max_by(x, y) OVER ()", None),
            ("\"mod\"(a, b)", None),
            ("a.mod(a, b)", None),
            ("mod(a)", None),
            ("sum(a)", None),
        ] {
            let mut parser = Parser::new(&EmporiaDialect).try_with_sql(text).unwrap();
            let expr = parser.parse_expr().unwrap();
            let found = as_ours(&expr).map(|expr| expr.to_string());
            assert_eq!(found.as_deref(), expected, "{text}");
        }
    }
}
