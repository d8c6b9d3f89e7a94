//! From DataFusion's expressions to a predicate.

use datafusion::common::ScalarValue;
use datafusion::logical_expr::expr::{Between, InList, Like};
use datafusion::logical_expr::{BinaryExpr, Expr, Operator};

use super::super::mapping::Mapping;
use super::super::value::{Kind, Scalar};
use super::compare::Comparison;
use super::{Domain, Predicate};

/// Rows for which the filter can be true.
pub(in super::super) fn predicate_of(filter: &Expr, mapping: &Mapping) -> Predicate {
    convert(filter, false, mapping)
}

/// Rows for which the expression can be true or, when `negated`, false; not those for which it is
/// null.
fn convert(expr: &Expr, negated: bool, mapping: &Mapping) -> Predicate {
    match expr {
        Expr::Alias(alias) => convert(&alias.expr, negated, mapping),
        Expr::Not(inner) => convert(inner, !negated, mapping),
        Expr::IsTrue(inner) if !negated => convert(inner, false, mapping),
        Expr::IsFalse(inner) if !negated => convert(inner, true, mapping),
        Expr::IsNotNull(inner) if !negated => is_not_null(inner, mapping),
        Expr::IsNull(inner) if negated => is_not_null(inner, mapping),
        Expr::Column(_) => {
            let truth = ScalarValue::Boolean(Some(!negated));
            compare(expr, Comparison::Eq, &truth, mapping)
        }
        Expr::BinaryExpr(binary) => convert_binary(binary, negated, mapping),
        Expr::Between(between) => convert_between(between, negated, mapping),
        Expr::InList(list) => convert_in_list(list, negated, mapping),
        Expr::Like(like) if !negated => convert_like(like, mapping),
        Expr::ScalarFunction(function) if !negated && function.name() == "starts_with" => {
            match function.args.as_slice() {
                [column, Expr::Literal(prefix, _)] => has_prefix(column, prefix, |p| p, mapping),
                _ => Predicate::All,
            }
        }
        _ => Predicate::All,
    }
}

fn convert_binary(binary: &BinaryExpr, negated: bool, mapping: &Mapping) -> Predicate {
    let comparison = match binary.op {
        Operator::And | Operator::Or => {
            let sides = [&binary.left, &binary.right].map(|side| convert(side, negated, mapping));
            // A conjunction is false where one side is, and the other way round.
            return if (binary.op == Operator::And) != negated {
                Predicate::and(sides)
            } else {
                Predicate::or(sides)
            };
        }
        Operator::Eq => Comparison::Eq,
        Operator::NotEq => Comparison::NotEq,
        Operator::Lt => Comparison::Lt,
        Operator::LtEq => Comparison::LtEq,
        Operator::Gt => Comparison::Gt,
        Operator::GtEq => Comparison::GtEq,
        _ => return Predicate::All,
    };
    let comparison = if negated {
        comparison.negated()
    } else {
        comparison
    };
    match (&*binary.left, &*binary.right) {
        (column, Expr::Literal(constant, _)) => compare(column, comparison, constant, mapping),
        (Expr::Literal(constant, _), column) => {
            compare(column, comparison.swapped(), constant, mapping)
        }
        _ => Predicate::All,
    }
}

fn convert_between(between: &Between, negated: bool, mapping: &Mapping) -> Predicate {
    let (Expr::Literal(low, _), Expr::Literal(high, _)) = (&*between.low, &*between.high) else {
        return Predicate::All;
    };
    if between.negated == negated {
        Predicate::and([
            compare(&between.expr, Comparison::GtEq, low, mapping),
            compare(&between.expr, Comparison::LtEq, high, mapping),
        ])
    } else {
        Predicate::or([
            compare(&between.expr, Comparison::Lt, low, mapping),
            compare(&between.expr, Comparison::Gt, high, mapping),
        ])
    }
}

fn convert_in_list(list: &InList, negated: bool, mapping: &Mapping) -> Predicate {
    let constants: Option<Vec<_>> = list
        .list
        .iter()
        .map(|item| match item {
            Expr::Literal(constant, _) => Some(constant),
            _ => None,
        })
        .collect();
    let Some(constants) = constants else {
        return Predicate::All;
    };
    // A null in the list makes the answer null at most where it would be false.
    let constants = constants.into_iter().filter(|constant| !constant.is_null());
    if list.negated == negated {
        return Predicate::or(constants.map(|c| compare(&list.expr, Comparison::Eq, c, mapping)));
    }
    let constants: Vec<_> = constants.collect();
    let rest = column_of(&list.expr, mapping).and_then(|(index, kind)| {
        let sets = constants
            .iter()
            .map(|c| Domain::compared(kind, Comparison::Eq, scalar_of(kind, c)?))
            .collect::<Option<Vec<_>>>()?;
        // What equals a float is more than one value, so that the rest would lack some.
        let is_float = matches!(kind, Kind::Float32 | Kind::Float64);
        (!is_float).then(|| Predicate::Is(index, Domain::none_of(kind, sets)))
    });
    rest.unwrap_or_else(|| {
        let each = constants.into_iter();
        Predicate::and(each.map(|c| compare(&list.expr, Comparison::NotEq, c, mapping)))
    })
}

fn convert_like(like: &Like, mapping: &Mapping) -> Predicate {
    if like.negated || like.case_insensitive || like.escape_char.is_some() {
        return Predicate::All;
    }
    let Expr::Literal(pattern, _) = &*like.pattern else {
        return Predicate::All;
    };
    // Up to the first character that does not stand for itself.
    let beginning =
        |pattern: &'_ str| -> usize { pattern.find(['%', '_', '\\']).unwrap_or(pattern.len()) };
    has_prefix(&like.expr, pattern, |p| &p[..beginning(p)], mapping)
}

/// Rows whose text begins with what `cut` leaves of the constant.
fn has_prefix(
    column: &Expr,
    constant: &ScalarValue,
    cut: impl FnOnce(&str) -> &str,
    mapping: &Mapping,
) -> Predicate {
    match (column_of(column, mapping), constant.try_as_str()) {
        (Some((index, Kind::Text)), Some(Some(prefix))) => {
            Predicate::Is(index, Domain::with_prefix(cut(prefix).as_bytes()))
        }
        _ => Predicate::All,
    }
}

fn is_not_null(column: &Expr, mapping: &Mapping) -> Predicate {
    match column_of(column, mapping) {
        Some((index, kind)) => Predicate::Is(index, Domain::all(kind)),
        None => Predicate::All,
    }
}

fn compare(
    column: &Expr,
    comparison: Comparison,
    constant: &ScalarValue,
    mapping: &Mapping,
) -> Predicate {
    let domain = column_of(column, mapping).and_then(|(index, kind)| {
        let domain = Domain::compared(kind, comparison, scalar_of(kind, constant)?)?;
        Some(Predicate::Is(index, domain))
    });
    domain.unwrap_or(Predicate::All)
}

fn column_of(expr: &Expr, mapping: &Mapping) -> Option<(usize, Kind)> {
    let Expr::Column(column) = expr else {
        return None;
    };
    let mut columns = mapping.columns.iter().enumerate();
    let (index, column) = columns.find(|(_, candidate)| candidate.name == column.name)?;
    Some((index, column.kind))
}

/// The constant as a value of the kind; `None` for null and for constants of another type, which
/// DataFusion would have converted if it could be done without loss.
fn scalar_of(kind: Kind, constant: &ScalarValue) -> Option<Scalar<'_>> {
    Some(match (kind, constant) {
        (Kind::Text, constant) => Scalar::Bytes(constant.try_as_str()??.as_bytes()),
        (
            Kind::Binary,
            ScalarValue::Binary(Some(bytes))
            | ScalarValue::LargeBinary(Some(bytes))
            | ScalarValue::BinaryView(Some(bytes)),
        ) => Scalar::Bytes(bytes),
        (Kind::Boolean, ScalarValue::Boolean(Some(truth))) => Scalar::Integer((*truth).into()),
        (Kind::Integer(_), ScalarValue::Int8(Some(v))) => Scalar::Integer((*v).into()),
        (Kind::Integer(_), ScalarValue::Int16(Some(v))) => Scalar::Integer((*v).into()),
        (Kind::Integer(_), ScalarValue::Int32(Some(v))) => Scalar::Integer((*v).into()),
        (Kind::Integer(_), ScalarValue::Int64(Some(v))) => Scalar::Integer((*v).into()),
        (Kind::Float32 | Kind::Float64, ScalarValue::Float32(Some(v))) => {
            Scalar::Float((*v).into())
        }
        (Kind::Float32 | Kind::Float64, ScalarValue::Float64(Some(v))) => Scalar::Float(*v),
        (Kind::Decimal { scale, .. }, ScalarValue::Decimal128(Some(v), _, s)) if *s == scale => {
            Scalar::Integer(*v)
        }
        (Kind::Date, ScalarValue::Date32(Some(days))) => Scalar::Integer((*days).into()),
        (Kind::Timestamp, ScalarValue::TimestampMicrosecond(Some(micros), _)) => {
            Scalar::Integer((*micros).into())
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use datafusion::prelude::{col, lit};
    use emporia_core::catalog::TableDef;
    use emporia_hbase::KeyRange;

    use super::super::super::definition::Definition;
    use super::*;

    fn mapping() -> Mapping {
        let mut table = TableDef::new("hbase", "hbase:t");
        table.columns = ["id string", "n int64", "ok bool", "x float64"]
            .map(str::to_owned)
            .to_vec();
        let options = [("row_key", "id"), ("family", "d")];
        table.options = options.map(|(k, v)| (k.to_owned(), v.to_owned())).into();
        Definition::parse("t", &table).unwrap().mapping
    }

    fn check(filter: &Expr, expected: &Predicate) {
        assert_eq!(&predicate_of(filter, &mapping()), expected, "{filter}");
    }

    fn numbers(intervals: &[(i64, i64)]) -> Predicate {
        let intervals = intervals
            .iter()
            .map(|(low, high)| ((*low).into(), (*high).into()));
        Predicate::Is(1, Domain::Integers(intervals.collect()))
    }

    fn texts(ranges: Vec<KeyRange>) -> Predicate {
        Predicate::Is(0, Domain::Bytes(ranges))
    }

    #[test]
    fn comparisons_become_sets() {
        check(&col("n").lt(lit(5_i64)), &numbers(&[(i64::MIN, 4)]));
        check(&lit(5_i64).lt(col("n")), &numbers(&[(6, i64::MAX)]));
        check(
            &col("n").not_eq(lit(5_i64)),
            &numbers(&[(i64::MIN, 4), (6, i64::MAX)]),
        );
        check(&!col("n").lt_eq(lit(5_i64)), &numbers(&[(6, i64::MAX)]));
        check(
            &col("n").between(lit(1_i64), lit(3_i64)),
            &Predicate::And(vec![numbers(&[(1, i64::MAX)]), numbers(&[(i64::MIN, 3)])]),
        );
        check(
            &col("n").in_list(
                vec![lit(3_i64), lit(ScalarValue::Int64(None)), lit(1_i64)],
                false,
            ),
            &numbers(&[(1, 1), (3, 3)]),
        );
        check(
            &col("n").in_list(vec![lit(3_i64), lit(1_i64)], true),
            &numbers(&[(i64::MIN, 0), (2, 2), (4, i64::MAX)]),
        );
        check(
            &col("id").in_list(vec![lit("a"), lit(1_i64)], true),
            &predicate_of(&col("id").not_eq(lit("a")), &mapping()),
        );
        check(&col("id").eq(lit("a")), &texts(vec![KeyRange::only(b"a")]));
        check(&col("id").lt(lit("")), &texts(Vec::new()));
        check(
            &col("id").like(lit("ab%c")),
            &texts(vec![KeyRange::prefix(b"ab")]),
        );
        check(&col("id").is_not_null(), &texts(vec![KeyRange::all()]));
        check(
            &col("ok"),
            &Predicate::Is(2, Domain::Integers(vec![(1, 1)])),
        );
        check(
            &!col("ok"),
            &Predicate::Is(2, Domain::Integers(vec![(0, 0)])),
        );
    }

    #[test]
    fn conjunctions_and_disjunctions_are_negated_as_sql_says() {
        let (a, b) = (col("n").eq(lit(1_i64)), col("id").eq(lit("x")));
        let (not_a, not_b) = (
            predicate_of(&!a.clone(), &mapping()),
            predicate_of(&!b.clone(), &mapping()),
        );
        check(
            &!(a.clone().and(b.clone())),
            // Alternatives of one column are joined, so they come in the order of the columns.
            &Predicate::Or(vec![not_b.clone(), not_a.clone()]),
        );
        check(&!(a.clone().or(b)), &Predicate::And(vec![not_a, not_b]));
        let unknown = (col("n") % lit(2_i64)).eq(lit(0_i64));
        check(&a.clone().and(unknown.clone()), &numbers(&[(1, 1)]));
        check(&a.or(unknown), &Predicate::All);
    }

    #[test]
    fn what_is_not_understood_lets_all_rows_through() {
        for filter in [
            col("n").is_null(),
            col("n").lt(col("n")),
            col("n").eq(lit("1")),
            col("x").eq(lit(f64::NAN)),
            col("id").not_like(lit("a%")),
            col("id").ilike(lit("a%")),
            !col("id").like(lit("a%")),
            col("missing").eq(lit(1_i64)),
            col("n").eq(lit(ScalarValue::Int64(None))),
            col("n").in_list(vec![col("n")], false),
        ] {
            check(&filter, &Predicate::All);
        }
    }
}
