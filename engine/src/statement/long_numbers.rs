//! Numbers of more digits than a floating number or a whole one of 64 bits keeps: they are decimals, not the nearest
//! number that is left. One that is too large for a floating number would be infinite, and is refused.

use std::ops::ControlFlow;

use datafusion::common::{Result, plan_datafusion_err};
use datafusion::error::DataFusionError;
use datafusion::sql::parser::{CopyToSource, Statement as Parsed};
use datafusion::sql::sqlparser::ast::{
    CastKind, DataType, ExactNumberInfo, Expr, Query, SetExpr, Statement as Sql, UnaryOperator,
    Value, VisitMut, VisitorMut,
};

/// Most digits of a decimal.
const MAX_DIGITS: usize = 38;

/// Makes decimals of the long numbers of a statement. The rows of `INSERT … VALUES` are read by the types of their
/// columns.
///
/// # Errors
/// Where a number has more than 38 digits, or is too large for a floating number.
pub(super) fn as_decimals(parsed: &mut Parsed) -> Result<()> {
    let mut numbers = LongNumbers;
    let flow = match parsed {
        Parsed::Statement(sql) if is_list_of_rows(sql) => sql.visit(&mut TooLarge),
        Parsed::Statement(sql) => sql.visit(&mut numbers),
        Parsed::Explain(explain) => return as_decimals(&mut explain.statement),
        Parsed::CopyTo(copy) => match &mut copy.source {
            CopyToSource::Query(query) => query.visit(&mut numbers),
            CopyToSource::Relation(_) => ControlFlow::Continue(()),
        },
        Parsed::CreateExternalTable(_) | Parsed::Reset(_) => ControlFlow::Continue(()),
    };
    ended(flow)
}

/// Makes decimals of the long numbers of an expression.
///
/// # Errors
/// As of [`as_decimals`].
pub(super) fn in_expr(expr: &mut Expr) -> Result<()> {
    ended(expr.visit(&mut LongNumbers))
}

/// Makes decimals of the long numbers of a query.
///
/// # Errors
/// As of [`as_decimals`].
pub(super) fn in_query(query: &mut Query) -> Result<()> {
    ended(query.visit(&mut LongNumbers))
}

fn ended(flow: ControlFlow<DataFusionError>) -> Result<()> {
    match flow {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}

fn is_list_of_rows(sql: &Sql) -> bool {
    match sql {
        Sql::Insert(insert) => insert
            .source
            .as_ref()
            .is_some_and(|query| matches!(query.body.as_ref(), SetExpr::Values(_))),
        _ => false,
    }
}

/// Refuses numbers that would be infinite.
struct TooLarge;

impl VisitorMut for TooLarge {
    type Break = DataFusionError;

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<DataFusionError> {
        match number(expr).and_then(infinite) {
            Some(error) => ControlFlow::Break(error),
            None => ControlFlow::Continue(()),
        }
    }
}

/// The error for a number with an exponent that is too large for a floating number.
fn infinite(text: &str) -> Option<DataFusionError> {
    let digits = text.replace('_', "");
    let has_exponent = digits.contains(['e', 'E']);
    let is_infinite = has_exponent && digits.parse::<f64>().is_ok_and(f64::is_infinite);
    is_infinite.then(|| {
        plan_datafusion_err!(
            "the number {text} does not fit in a DOUBLE, whose greatest number is about 1.8e308"
        )
    })
}

struct LongNumbers;

impl VisitorMut for LongNumbers {
    type Break = DataFusionError;

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<DataFusionError> {
        let decimal = match &*expr {
            Expr::Value(_) => number(expr).and_then(|digits| decimal(digits, "")),
            Expr::UnaryOp {
                op: UnaryOperator::Minus,
                expr: value,
            } => number(value).and_then(|digits| decimal(digits, "-")),
            _ => None,
        };
        match decimal {
            None => ControlFlow::Continue(()),
            Some(Ok(decimal)) => {
                *expr = decimal;
                ControlFlow::Continue(())
            }
            Some(Err(error)) => ControlFlow::Break(error),
        }
    }
}

fn number(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Value(value) => match &value.value {
            Value::Number(digits, false) => Some(digits),
            _ => None,
        },
        _ => None,
    }
}

/// The number as a decimal; `None` where another type keeps it.
fn decimal(text: &str, sign: &str) -> Option<Result<Expr>> {
    let digits = text.replace('_', "");
    let signed = format!("{sign}{digits}");
    if let Some(error) = infinite(text) {
        return Some(Err(error));
    }
    if !digits.chars().all(|c| c.is_ascii_digit() || c == '.')
        || signed.parse::<i64>().is_ok()
        || sign.is_empty() && signed.parse::<u64>().is_ok()
        || is_kept(&digits)
    {
        return None;
    }
    let (integer, fraction) = digits.split_once('.').unwrap_or((&digits, ""));
    let integer = integer.trim_start_matches('0');
    let n_digits = (integer.len() + fraction.len()).max(1);
    if n_digits > MAX_DIGITS {
        return Some(Err(plan_datafusion_err!(
            "the number {signed} has {n_digits} digits; a decimal has {MAX_DIGITS} at most"
        )));
    }
    let scale = i64::try_from(fraction.len()).ok()?;
    let digits = ExactNumberInfo::PrecisionAndScale(n_digits as u64, scale);
    Some(Ok(Expr::Cast {
        kind: CastKind::Cast,
        expr: Box::new(Expr::value(Value::SingleQuotedString(signed))),
        data_type: DataType::Decimal(digits),
        array: false,
        format: None,
    }))
}

/// Whether a floating number is written with the same digits again.
fn is_kept(digits: &str) -> bool {
    let plain = |digits: &str| {
        let digits = digits.trim_start_matches('0');
        match digits.split_once('.') {
            Some((integer, fraction)) => {
                format!("{integer}.{}", fraction.trim_end_matches('0'))
            }
            None => format!("{digits}."),
        }
    };
    match digits.parse::<f64>() {
        Ok(number) => plain(&number.to_string()) == plain(digits),
        Err(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::parse_statement;

    fn read(text: &str) -> Result<String> {
        let mut parsed = parse_statement(text, 50)?;
        as_decimals(&mut parsed)?;
        Ok(parsed.to_string())
    }

    #[test]
    fn numbers_keep_their_digits() {
        for (text, expected) in [
            ("0.1", None),
            ("0.30000000000000004", None),
            ("1.50000000000000000000", None),
            ("007.5", None),
            (".5", None),
            ("5.", None),
            ("1e300", None),
            ("123456789012345.6", None),
            ("9223372036854775807", None),
            ("18446744073709551615", None),
            ("-9223372036854775808", None),
            ("1000000000000000000000", None),
            (
                "-9223372036854775809",
                Some("CAST('-9223372036854775809' AS DECIMAL(19,0))"),
            ),
            (
                "-9999999999999999.99",
                Some("CAST('-9999999999999999.99' AS DECIMAL(18,2))"),
            ),
            (
                "12345678901234567890123456789",
                Some("CAST('12345678901234567890123456789' AS DECIMAL(29,0))"),
            ),
            (
                "0.12345678901234567890",
                Some("CAST('0.12345678901234567890' AS DECIMAL(20,20))"),
            ),
            (
                "a + 3.14159265358979323846",
                Some("a + CAST('3.14159265358979323846' AS DECIMAL(21,20))"),
            ),
        ] {
            let found = read(&format!("SELECT {text}")).unwrap();
            let expected = format!("SELECT {}", expected.unwrap_or(text));
            assert_eq!(found, expected);
        }
        let long = "SELECT 123456789012345678901234567890123456789";
        assert!(read(long).unwrap_err().to_string().contains("39 digits"));
        for infinite in ["SELECT -1e400", "INSERT INTO t VALUES (1E309)"] {
            let error = read(infinite).unwrap_err().to_string();
            assert!(error.contains("does not fit"), "{error}");
        }
        let row = "INSERT INTO t VALUES (0.12345678901234567890)";
        assert_eq!(read(row).unwrap(), row);
    }
}
