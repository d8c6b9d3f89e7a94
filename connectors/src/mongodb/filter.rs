//! From DataFusion's expressions to conditions on columns.
//!
//! What comes out may select more rows than the expression, never less: DataFusion filters again.

use datafusion::common::ScalarValue;
use datafusion::logical_expr::expr::{InList, ScalarFunction};
use datafusion::logical_expr::{Between, BinaryExpr, Expr, Like, Operator};

use super::mapping::{Column, ValueType};
use super::predicate::{Comparison, Literal, Predicate};

/// Longest list of values that is sent to the server.
const MAX_VALUES: usize = 10_000;

/// The condition that `expr` implies; `None` where it says nothing that MongoDB understands.
pub(super) fn translate(expr: &Expr, columns: &[Column]) -> Option<Predicate> {
    Translator { columns }.condition(expr)
}

struct Translator<'a> {
    columns: &'a [Column],
}

impl Translator<'_> {
    fn condition(&self, expr: &Expr) -> Option<Predicate> {
        match expr {
            Expr::Alias(alias) => self.condition(&alias.expr),
            Expr::BinaryExpr(binary) => self.binary(binary),
            Expr::Column(_) | Expr::IsTrue(_) => self.truth(expr, true),
            Expr::Not(inner) => match inner.as_ref() {
                Expr::Column(_) => self.truth(inner, false),
                Expr::IsNull(inner) => self.column(inner).map(Predicate::IsNotNull),
                _ => None,
            },
            Expr::IsFalse(inner) => self.truth(inner, false),
            Expr::IsNull(inner) => self.column(inner).map(Predicate::IsNull),
            Expr::IsNotNull(inner) => self.column(inner).map(Predicate::IsNotNull),
            Expr::Between(between) => self.between(between),
            Expr::InList(list) => self.in_list(list),
            Expr::Like(like) => self.like(like),
            Expr::ScalarFunction(call) => self.call(call),
            _ => None,
        }
    }

    fn column(&self, expr: &Expr) -> Option<usize> {
        match expr {
            Expr::Column(column) => self.columns.iter().position(|c| c.name == column.name),
            Expr::Alias(alias) => self.column(&alias.expr),
            // A number to compare by: NaN is one value for MongoDB, too.
            Expr::ScalarFunction(call) => match (call.name(), call.args.as_slice()) {
                ("comparable", [value]) => self.column(value),
                _ => None,
            },
            _ => None,
        }
    }

    fn truth(&self, expr: &Expr, truth: bool) -> Option<Predicate> {
        if let Expr::IsTrue(inner) = expr {
            return self.condition(inner);
        }
        let index = self.column(expr)?;
        (self.columns[index].value == ValueType::Bool).then_some(Predicate::Compare(
            index,
            Comparison::Equal,
            Literal::Bool(truth),
        ))
    }

    fn binary(&self, BinaryExpr { left, op, right }: &BinaryExpr) -> Option<Predicate> {
        match op {
            Operator::And => match (self.condition(left), self.condition(right)) {
                (Some(left), Some(right)) => Some(Predicate::All(vec![left, right])),
                // One side alone selects more.
                (left, right) => left.or(right),
            },
            Operator::Or => Some(Predicate::Any(vec![
                self.condition(left)?,
                self.condition(right)?,
            ])),
            _ => match (self.column(left), self.column(right)) {
                (Some(index), None) => self.compare(index, *op, right),
                (None, Some(index)) => self.compare(index, op.swap()?, left),
                _ => None,
            },
        }
    }

    fn compare(&self, index: usize, op: Operator, value: &Expr) -> Option<Predicate> {
        let literal = self.literal(index, value)?;
        let comparison = match op {
            Operator::Eq => Comparison::Equal,
            Operator::Lt => Comparison::Less,
            Operator::LtEq => Comparison::LessOrEqual,
            Operator::Gt => Comparison::Greater,
            Operator::GtEq => Comparison::GreaterOrEqual,
            Operator::NotEq => return Some(Predicate::IsNotNull(index)),
            _ => return None,
        };
        Some(Predicate::Compare(index, comparison, literal))
    }

    fn between(&self, between: &Between) -> Option<Predicate> {
        let index = self.column(&between.expr)?;
        let low = self.literal(index, &between.low)?;
        let high = self.literal(index, &between.high)?;
        Some(if between.negated {
            Predicate::Any(vec![
                Predicate::Compare(index, Comparison::Less, low),
                Predicate::Compare(index, Comparison::Greater, high),
            ])
        } else {
            Predicate::All(vec![
                Predicate::Compare(index, Comparison::GreaterOrEqual, low),
                Predicate::Compare(index, Comparison::LessOrEqual, high),
            ])
        })
    }

    fn in_list(&self, list: &InList) -> Option<Predicate> {
        let index = self.column(&list.expr)?;
        if list.negated {
            return Some(Predicate::IsNotNull(index));
        }
        if list.list.len() > MAX_VALUES {
            return None;
        }
        // Null in the list selects nothing.
        let is_null = |e: &&Expr| matches!(e, Expr::Literal(value, _) if value.is_null());
        let literals = list.list.iter().filter(|e| !is_null(e));
        let literals = literals.map(|e| self.literal(index, e));
        let literals: Vec<_> = literals.collect::<Option<_>>()?;
        (!literals.is_empty()).then_some(Predicate::OneOf(index, literals))
    }

    fn like(&self, like: &Like) -> Option<Predicate> {
        let index = self.column(&like.expr)?;
        let Literal::Text(pattern) = self.literal(index, &like.pattern)? else {
            return None;
        };
        if like.negated || like.case_insensitive {
            return Some(Predicate::IsNotNull(index));
        }
        // What stands before a wildcard or an escape is there literally.
        let is_special = |c: char| ['%', '_', '\\'].contains(&c) || Some(c) == like.escape_char;
        Some(match pattern.find(is_special) {
            None => Predicate::Compare(index, Comparison::Equal, Literal::Text(pattern)),
            Some(end) => Predicate::StartsWith(index, pattern[..end].to_owned()),
        })
    }

    fn call(&self, call: &ScalarFunction) -> Option<Predicate> {
        let [text, prefix] = &call.args[..] else {
            return None;
        };
        if call.name() != "starts_with" {
            return None;
        }
        let index = self.column(text)?;
        match self.literal(index, prefix)? {
            Literal::Text(prefix) => Some(Predicate::StartsWith(index, prefix)),
            _ => None,
        }
    }

    /// The constant, where it is of the column's kind.
    fn literal(&self, index: usize, expr: &Expr) -> Option<Literal> {
        let Expr::Literal(value, _) = expr else {
            return None;
        };
        let literal = literal_of(value)?;
        let is_fitting = matches!(
            (&self.columns[index].value, &literal),
            (ValueType::Text, Literal::Text(_))
                | (
                    ValueType::Int32
                        | ValueType::Int64
                        | ValueType::Double
                        | ValueType::Decimal { .. },
                    Literal::Integer(_) | Literal::Double(_) | Literal::Decimal { .. },
                )
                | (ValueType::Bool, Literal::Bool(_))
                | (
                    ValueType::Date | ValueType::Timestamp { .. },
                    Literal::Time(_)
                )
        );
        is_fitting.then_some(literal)
    }
}

fn literal_of(value: &ScalarValue) -> Option<Literal> {
    const MICROS_PER_DAY: i64 = 86_400_000_000;
    Some(match value {
        ScalarValue::Utf8(Some(v))
        | ScalarValue::LargeUtf8(Some(v))
        | ScalarValue::Utf8View(Some(v)) => Literal::Text(v.clone()),
        ScalarValue::Int8(Some(v)) => Literal::Integer(i64::from(*v)),
        ScalarValue::Int16(Some(v)) => Literal::Integer(i64::from(*v)),
        ScalarValue::Int32(Some(v)) => Literal::Integer(i64::from(*v)),
        ScalarValue::Int64(Some(v)) => Literal::Integer(*v),
        ScalarValue::UInt8(Some(v)) => Literal::Integer(i64::from(*v)),
        ScalarValue::UInt16(Some(v)) => Literal::Integer(i64::from(*v)),
        ScalarValue::UInt32(Some(v)) => Literal::Integer(i64::from(*v)),
        ScalarValue::UInt64(Some(v)) => Literal::Integer(i64::try_from(*v).ok()?),
        ScalarValue::Float64(Some(v)) => Literal::Double(*v),
        ScalarValue::Decimal128(Some(value), _, scale) => Literal::Decimal {
            value: *value,
            scale: *scale,
        },
        ScalarValue::Boolean(Some(v)) => Literal::Bool(*v),
        ScalarValue::Date32(Some(v)) => Literal::Time(i64::from(*v) * MICROS_PER_DAY),
        ScalarValue::TimestampSecond(Some(v), _) => Literal::Time(v.checked_mul(1_000_000)?),
        ScalarValue::TimestampMillisecond(Some(v), _) => Literal::Time(v.checked_mul(1000)?),
        ScalarValue::TimestampMicrosecond(Some(v), _) => Literal::Time(*v),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::datatypes::{DataType, Field};
    use datafusion::logical_expr::{col, lit};
    use emporia_core::contract;

    use super::*;
    use crate::mongodb::mapping::{Malformed, Stored};

    fn columns() -> Vec<Column> {
        let column = |name: &str, data_type: DataType| {
            Column::new(&Field::new(name, data_type, true), name, Stored::Native).unwrap()
        };
        vec![
            column("city", DataType::Utf8),
            column("n", DataType::Int64),
            column("price", contract::money()),
            column("active", DataType::Boolean),
            column("ts", contract::timestamp()),
        ]
    }

    fn check(expr: &Expr, expected: &str) {
        let columns = columns();
        let filter = translate(expr, &columns)
            .and_then(|p| p.to_filter(&columns, Malformed::Error))
            .map_or_else(|| "everything".to_owned(), |d| d.to_string());
        assert_eq!(filter, expected, "{expr}");
    }

    #[test]
    fn comparisons_become_filters() {
        check(&col("city").eq(lit("Berlin")), r#"{ "city": "Berlin" }"#);
        check(&lit(5_i64).lt(col("n")), r#"{ "n": { "$gt": 5 } }"#);
        check(
            &col("city").not_eq(lit("x")),
            r#"{ "city": { "$ne": null } }"#,
        );
        check(&col("active"), r#"{ "active": true }"#);
        check(
            &Expr::Not(Box::new(col("active"))),
            r#"{ "active": false }"#,
        );
        check(&col("city").is_null(), r#"{ "city": null }"#);
        check(&col("city").is_not_null(), r#"{ "city": { "$ne": null } }"#);
        let price = lit(ScalarValue::Decimal128(Some(2000), 18, 2));
        check(&col("price").gt_eq(price), r#"{ "price": { "$gte": 20 } }"#);
        let time = ScalarValue::TimestampMicrosecond(Some(1_500), Some("UTC".into()));
        check(
            &col("ts").lt(lit(time)),
            r#"{ "ts": { "$lte": DateTime("1970-01-01 0:00:00.002 +00:00:00") } }"#,
        );
    }

    #[test]
    fn combinations_become_filters() {
        check(
            &col("n").between(lit(1_i64), lit(9_i64)),
            r#"{ "$and": [{ "n": { "$gte": 1 } }, { "n": { "$lte": 9 } }] }"#,
        );
        check(
            &col("city").in_list(
                vec![lit("a"), lit(ScalarValue::Utf8(None)), lit("b")],
                false,
            ),
            r#"{ "city": { "$in": ["a", "b"] } }"#,
        );
        check(
            &col("city").in_list(vec![lit("a")], true),
            r#"{ "city": { "$ne": null } }"#,
        );
        check(
            &col("city").eq(lit("a")).or(col("n").eq(lit(1_i64))),
            r#"{ "$or": [{ "city": "a" }, { "n": 1 }] }"#,
        );
        // Half of a conjunction is more, half of a disjunction is less.
        let unknown = col("n").eq(col("price"));
        check(
            &col("n").eq(lit(1_i64)).and(unknown.clone()),
            r#"{ "n": 1 }"#,
        );
        check(&col("n").eq(lit(1_i64)).or(unknown), "everything");
    }

    #[test]
    fn like_becomes_an_anchored_pattern() {
        check(&col("city").like(lit("a.b%")), r#"{ "city": /^a\.b/ }"#);
        check(&col("city").like(lit("ab_c")), r#"{ "city": /^ab/ }"#);
        check(&col("city").like(lit("abc")), r#"{ "city": "abc" }"#);
        check(&col("city").like(lit(r"a\%b%")), r#"{ "city": /^a/ }"#);
        check(
            &col("city").like(lit("%b")),
            r#"{ "city": { "$ne": null } }"#,
        );
        check(
            &col("city").not_like(lit("a%")),
            r#"{ "city": { "$ne": null } }"#,
        );
        check(
            &col("city").ilike(lit("a%")),
            r#"{ "city": { "$ne": null } }"#,
        );
    }

    #[test]
    fn literals_of_another_kind_are_left_to_datafusion() {
        check(&col("city").eq(lit(5_i64)), "everything");
        check(&col("n").eq(lit("5")), "everything");
        check(&col("n").eq(lit(ScalarValue::Int64(None))), "everything");
        check(&col("other").eq(lit(5_i64)), "everything");
    }
}
