//! Times in a statement: `AT TIME ZONE`, and literals that the planner does not read.

use datafusion::sql::sqlparser::ast::{DataType, Expr, Value};

use super::syntax::call;
use crate::times::{TIMEZONE, moment, with_seconds};

/// Digits of the second in a timestamp whose range is not that of nanoseconds.
const MICROSECONDS: u64 = 6;

/// Makes of an expression one that the planner reads as it is meant.
pub(super) fn make_readable(expr: &mut Expr) {
    match expr {
        Expr::AtTimeZone {
            timestamp,
            time_zone,
        } => {
            let (zone, time) = (time_zone.as_ref().clone(), timestamp.as_ref().clone());
            *expr = call(TIMEZONE, vec![zone, time]);
        }
        Expr::TypedString(literal) => read(&mut literal.value.value, &mut literal.data_type),
        Expr::Cast {
            expr, data_type, ..
        } => {
            if let Expr::Value(value) = expr.as_mut() {
                read(&mut value.value, data_type);
            }
        }
        _ => {}
    }
}

/// Gives a time seconds where it has none, and microseconds where nanoseconds do not reach.
fn read(value: &mut Value, data_type: &mut DataType) {
    let DataType::Timestamp(digits, _) = data_type else {
        return;
    };
    let Value::SingleQuotedString(text) = value else {
        return;
    };
    if let Some(whole) = with_seconds(text) {
        *text = whole;
    }
    if digits.is_none() && moment(text).is_some_and(|moment| moment.is_beyond_nanos()) {
        *digits = Some(MICROSECONDS);
    }
}

#[cfg(test)]
mod tests {
    use datafusion::sql::sqlparser::parser::Parser;

    use super::*;
    use crate::dialect::EmporiaDialect;

    #[test]
    fn times_are_read_as_they_are_meant() {
        for (text, expected) in [
            ("t AT TIME ZONE 'Europe/Oslo'", "timezone('Europe/Oslo', t)"),
            (
                "TIMESTAMP '2024-02-29 00:00'",
                "TIMESTAMP '2024-02-29 00:00:00'",
            ),
            ("'9999-12-31'::TIMESTAMP", "'9999-12-31'::TIMESTAMP(6)"),
            ("TIMESTAMP(3) '9999-12-31'", "TIMESTAMP(3) '9999-12-31'"),
            ("DATE '9999-12-31'", "DATE '9999-12-31'"),
        ] {
            let parser = Parser::new(&EmporiaDialect).try_with_sql(text);
            let mut expr = parser.unwrap().parse_expr().unwrap();
            make_readable(&mut expr);
            assert_eq!(expr.to_string(), expected, "{text}");
        }
    }
}
