//! Whether rows come in the order that a statement asks for.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef};
use arrow::compute::{SortOptions, concat_batches};
use arrow::row::{RowConverter, SortField};
use datafusion::sql::parser::{DFParser, Statement as Parsed};
use datafusion::sql::sqlparser::ast::{Expr, OrderByKind, Query, Statement as Sql, Value};

use super::database::Answer;
use super::statement::Statement;

/// A column of the result and its direction.
struct Key {
    index: usize,
    options: SortOptions,
}

/// Whether the rows are in the order of the statement, as far as it names columns of the result.
/// `lines` are the same rows in another order.
pub(super) fn is_kept(statement: &Statement, answer: &Answer, lines: &[String]) -> bool {
    if !statement.has_order() || lines.len() < 2 {
        return true;
    }
    let Some(query) = query(&statement.sql) else {
        return false;
    };
    let Some(first) = answer.batches.first() else {
        return true;
    };
    let Ok(rows) = concat_batches(&first.schema(), &answer.batches) else {
        return false;
    };
    let names: Vec<_> = first
        .schema()
        .fields()
        .iter()
        .map(|f| f.name().clone())
        .collect();
    let keys = keys(&query, &names);
    let columns: Vec<ArrayRef> = keys
        .iter()
        .map(|key| Arc::clone(rows.column(key.index)))
        .collect();
    let fields = keys.iter().zip(&columns);
    let fields = fields
        .map(|(key, column)| SortField::new_with_options(column.data_type().clone(), key.options));
    let converted = RowConverter::new(fields.collect())
        .and_then(|converter| converter.convert_columns(&columns));
    match converted {
        Ok(rows) => rows.iter().zip(rows.iter().skip(1)).all(|(a, b)| a <= b),
        // Such columns have no order.
        Err(_) => keys.is_empty(),
    }
}

/// Whether the statement says which rows a limit keeps.
pub(super) fn is_total(statement: &Statement) -> bool {
    statement.has_order()
}

fn query(sql: &str) -> Option<Query> {
    let statement = DFParser::parse_sql(sql).ok()?.pop_front()?;
    match statement {
        Parsed::Statement(statement) => match *statement {
            Sql::Query(query) => Some(*query),
            _ => None,
        },
        _ => None,
    }
}

/// The keys up to the first that is not a column of the result.
fn keys(query: &Query, names: &[String]) -> Vec<Key> {
    let mut keys = Vec::new();
    let Some(order) = &query.order_by else {
        return keys;
    };
    let OrderByKind::Expressions(expressions) = &order.kind else {
        return keys;
    };
    for expression in expressions {
        let Some(index) = position(&expression.expr, names) else {
            break;
        };
        let descending = expression.options.asc == Some(false);
        let options = SortOptions {
            descending,
            nulls_first: expression.options.nulls_first.unwrap_or(descending),
        };
        keys.push(Key { index, options });
    }
    keys
}

fn position(expression: &Expr, names: &[String]) -> Option<usize> {
    let named = |name: &str| names.iter().position(|n| n.eq_ignore_ascii_case(name));
    match expression {
        Expr::Identifier(name) => named(&name.value),
        Expr::CompoundIdentifier(parts) => named(&parts.last()?.value),
        Expr::Value(value) => match &value.value {
            Value::Number(number, _) => {
                let index = number.to_string().parse::<usize>().ok()?.checked_sub(1)?;
                (index < names.len()).then_some(index)
            }
            _ => None,
        },
        _ => None,
    }
}
