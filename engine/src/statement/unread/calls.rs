//! Clauses of a call that its function does not read.

use std::ops::ControlFlow;

use datafusion::execution::SessionState;
use datafusion::sql::sqlparser::ast::{
    DuplicateTreatment, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentClause,
    FunctionArgumentList, FunctionArguments, OrderByExpr, Spanned, Value,
};

use super::super::other_names::is_day;
use super::super::syntax::name_of;
use super::{Found, refuse};

/// Aggregates that look at DISTINCT.
const OF_DISTINCT: [&str; 22] = [
    "array_agg",
    "avg",
    "bit_and",
    "bit_or",
    "bit_xor",
    "bool_and",
    "bool_or",
    "count",
    "first_value",
    "last_value",
    "max",
    "median",
    "min",
    "percentile_cont",
    "quantile_cont",
    // They refuse it themselves.
    "stddev",
    "stddev_pop",
    "string_agg",
    "sum",
    "var",
    "var_pop",
    "var_samp",
];

/// Functions of windows that look at IGNORE NULLS.
const OF_NULLS: [&str; 5] = ["first_value", "lag", "last_value", "lead", "nth_value"];

/// Aggregates over values that WITHIN GROUP puts in order, which may be written in the parentheses, too.
const OF_ORDER: [&str; 4] = [
    "approx_percentile_cont",
    "approx_percentile_cont_with_weight",
    "percentile_cont",
    "quantile_cont",
];

fn is_of_days(args: &[FunctionArg]) -> bool {
    match args.first() {
        Some(FunctionArg::Unnamed(FunctionArgExpr::Expr(unit))) => is_day(unit),
        _ => false,
    }
}

/// Refuses a clause that would be passed over.
pub(super) fn check(call: &Function, state: &SessionState) -> Found {
    let Function {
        name,
        uses_odbc_syntax: _,
        parameters,
        args,
        filter,
        null_treatment,
        over,
        within_group,
    } = call;
    let place = name.span();
    refuse(
        (*parameters != FunctionArguments::None).then_some(place),
        "a call with two pairs of parentheses",
        "write all arguments in one pair",
    )?;
    let empty = FunctionArgumentList {
        duplicate_treatment: None,
        args: Vec::new(),
        clauses: Vec::new(),
    };
    let list = match args {
        FunctionArguments::List(list) => list,
        FunctionArguments::None | FunctionArguments::Subquery(_) => &empty,
    };
    let FunctionArgumentList {
        duplicate_treatment,
        args,
        clauses,
    } = list;
    let order = clauses.iter().find_map(|clause| match clause {
        FunctionArgumentClause::OrderBy(keys) => Some(keys.as_slice()),
        _ => None,
    });
    let of_nulls = |clause: &FunctionArgumentClause| {
        matches!(clause, FunctionArgumentClause::IgnoreOrRespectNulls(_))
    };
    let treats_nulls = null_treatment.is_some() || clauses.iter().any(of_nulls);
    let is_distinct = *duplicate_treatment == Some(DuplicateTreatment::Distinct);

    let [part] = name.0.as_slice() else {
        return ControlFlow::Continue(());
    };
    let Some(known) = part.as_ident().map(name_of) else {
        return ControlFlow::Continue(());
    };
    refuse(
        (known == "datediff" && args.len() == 3 && !is_of_days(args)).then_some(place),
        "datediff with another unit than days",
        "write date_diff('month', start, end) for the first days of months between them, or timestampdiff for whole \
         months: systems do not agree",
    )?;
    let called = |clause: &str| format!("{clause} of {known}");
    let is_unnest = ["unnest", "unnest_outer"].contains(&known.as_str());
    let is_of_rows = state.scalar_functions().contains_key(&known)
        || state.higher_order_functions().contains_key(&known);
    if is_unnest || is_of_rows {
        let clauses = [
            (duplicate_treatment.is_some(), "DISTINCT or ALL"),
            (order.is_some(), "ORDER BY"),
            (treats_nulls, "IGNORE or RESPECT NULLS"),
            (filter.is_some(), "FILTER"),
            (over.is_some(), "OVER"),
            (!within_group.is_empty(), "WITHIN GROUP"),
        ];
        for (is_there, clause) in clauses {
            refuse(
                is_there.then_some(place),
                &called(clause),
                "leave it out: the function is computed for each row by itself",
            )?;
        }
        return ControlFlow::Continue(());
    }
    let aggregate = state.aggregate_functions().get(&known);
    let canonical = aggregate.map_or(known.as_str(), |function| function.name());
    if over.is_some() {
        let reads_nulls = OF_NULLS.contains(&canonical)
            || aggregate.is_some_and(|function| function.supports_null_handling_clause());
        refuse(
            (treats_nulls && !reads_nulls).then_some(place),
            &called("IGNORE or RESPECT NULLS"),
            "leave it out, or write FILTER (WHERE x IS NOT NULL)",
        )?;
    }
    let Some(aggregate) = aggregate else {
        return refuse(
            (is_distinct && state.window_functions().contains_key(&known)).then_some(place),
            &called("DISTINCT"),
            "leave it out, or number the rows of a subquery with DISTINCT",
        );
    };
    refuse(
        (is_distinct && !OF_DISTINCT.contains(&aggregate.name())).then_some(place),
        &called("DISTINCT"),
        "aggregate the rows of a subquery with DISTINCT",
    )?;
    let keys = order.unwrap_or_default();
    let is_number = |key: &&OrderByExpr| match &key.expr {
        Expr::Value(value) => matches!(value.value, Value::Number(..)),
        _ => false,
    };
    refuse(
        keys.iter().find(is_number).map(|key| key.expr.span()),
        "a number in the ORDER BY of an aggregate",
        "name the column",
    )?;
    let is_sorted_by_other = OF_ORDER.contains(&aggregate.name())
        && match (keys, args.as_slice()) {
            ([key], [FunctionArg::Unnamed(FunctionArgExpr::Expr(value)), _, ..]) => {
                key.expr != *value
            }
            _ => false,
        };
    refuse(
        is_sorted_by_other.then_some(place),
        &called("ORDER BY another value"),
        "write percentile_cont(0.5) WITHIN GROUP (ORDER BY x)",
    )
}
