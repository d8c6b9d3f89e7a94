//! Columns of the same name in the list of a SELECT: `SELECT id, id`, `SELECT ts::date, ts::time`.
//!
//! The planner refuses them, also a column of a table beside an output of the same name: `SELECT a * 2 AS a, t.a`.
//! Here one of them gets a name of its own until the query is planned, and then the name back.

use std::collections::BTreeMap;

use datafusion::common::{Column, Result, SchemaError, TableReference, plan_datafusion_err};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder};
use datafusion::sql::parser::Statement as Parsed;
use datafusion::sql::sqlparser::ast::{
    Expr as SqlExpr, GroupByExpr, Ident, Query, Select, SelectItem, SetExpr, Statement as Sql,
};

use super::same_names;
use super::syntax::{copied, freed, name_of, query_of};
use crate::session::Session;

/// What the name of a later column of the same name begins with.
const PREFIX: &str = "__emporia_twin_";

/// Plans a statement. The columns of a query may have the same name, of which all but the first are in
/// tables of their own, so to speak.
///
/// # Errors
/// Of the planner.
pub(super) async fn plan(session: &Session, parsed: &Parsed) -> Result<LogicalPlan> {
    let mut changed = None;
    let plan = plan_changed(session, parsed, &mut changed).await;
    if let Some(changed) = changed {
        freed(changed);
    }
    plan
}

/// As [`plan`]; `changed` becomes the statement with other names, if it needs them.
async fn plan_changed(
    session: &Session,
    parsed: &Parsed,
    changed: &mut Option<Parsed>,
) -> Result<LogicalPlan> {
    let state = session.context().state();
    // The position of each later column, and of the first one of the name.
    let mut twins: BTreeMap<usize, usize> = BTreeMap::new();
    // What the statement is without marks in the names of what it computes.
    let mut unmarked = None;
    loop {
        let text = copied(changed.as_ref().unwrap_or(parsed));
        let planned = state.statement_to_plan(text).await;
        if unmarked.is_none() && same_names::is_cause_of(&planned)? {
            same_names::set_apart(changed.get_or_insert_with(|| copied(parsed)));
            unmarked = Some(planned.and_then(|plan| named(plan, &twins)));
            continue;
        }
        let error = match planned {
            Ok(plan) => return same_names::restored(named(plan, &twins)?),
            Err(error) => error,
        };
        let parsed = changed.get_or_insert_with(|| copied(parsed));
        if let Err(error) = with_twin(session, parsed, error, &mut twins).await {
            return unmarked.unwrap_or(Err(error));
        }
    }
}

/// Gives one of two columns of the same name another one, if that is the error.
async fn with_twin(
    session: &Session,
    parsed: &mut Parsed,
    error: DataFusionError,
    twins: &mut BTreeMap<usize, usize>,
) -> Result<()> {
    let (first, later) = match positions(&error) {
        Some(found) => found,
        None => match beside_output(session, parsed, &error).await {
            Some((output, of_table)) if !twins.contains_key(&of_table) => (output, of_table),
            _ => return Err(error),
        },
    };
    let found = match item_at(session, parsed, later).await {
        Some(item) => Some((later, first, item)),
        None => item_at(session, parsed, first)
            .await
            .filter(|item| !is_sorted_by(parsed, *item))
            .map(|item| (first, later, item)),
    };
    let renamed = found.filter(|(later, ..)| !twins.contains_key(later));
    let (Some((later, first, item)), Some(select)) = (renamed, list_of(parsed)) else {
        return Err(named_twice(first, later));
    };
    twins.insert(later, first);
    let Some(item) = select.projection.get_mut(item) else {
        return Err(named_twice(first, later));
    };
    let (SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }) = item else {
        return Err(named_twice(first, later));
    };
    *item = SelectItem::ExprWithAlias {
        expr: expr.clone(),
        alias: Ident::with_quote('"', format!("{PREFIX}{later}")),
    };
    Ok(())
}

fn named_twice(first: usize, later: usize) -> DataFusionError {
    plan_datafusion_err!(
        "columns {} and {} of a SELECT have the same name; give one of them another name with AS",
        first.min(later) + 1,
        first.max(later) + 1
    )
}

/// The positions of two columns of the same name in a refusal of the planner.
fn positions(error: &DataFusionError) -> Option<(usize, usize)> {
    const POSITION: &str = "\" at position ";
    let text = error.find_root().message().into_owned();
    let (_, list) = text.split_once("Projections require unique expression names")?;
    let number = |text: &str| {
        let digits: String = text.chars().take_while(char::is_ascii_digit).collect();
        digits.parse::<usize>().ok()
    };
    let (before, later) = list.rsplit_once(POSITION)?;
    let (_, first) = before.rsplit_once(POSITION)?;
    Some((number(first)?, number(later)?))
}

/// The positions of an output and of the column of a table that has the same name, where the planner refuses them.
async fn beside_output(
    session: &Session,
    parsed: &Parsed,
    error: &DataFusionError,
) -> Option<(usize, usize)> {
    let DataFusionError::SchemaError(refused, _) = error.find_root() else {
        return None;
    };
    let SchemaError::AmbiguousReference { field } = refused.as_ref() else {
        return None;
    };
    let table = field.relation.as_ref()?;
    let mut parsed = copied(parsed);
    let items = list_of(&mut parsed)?.projection.clone();
    let (mut output, mut of_table) = (None, None);
    let mut next = 0;
    for item in items {
        let columns = match &item {
            SelectItem::ExprWithAlias { alias, .. } => vec![(None, name_of(alias))],
            SelectItem::UnnamedExpr(SqlExpr::CompoundIdentifier(parts)) => {
                let [.., of, name] = parts.as_slice() else {
                    return None;
                };
                vec![(Some(name_of(of)), name_of(name))]
            }
            SelectItem::UnnamedExpr(SqlExpr::Identifier(name)) => {
                vec![(Some(table.table().to_owned()), name_of(name))]
            }
            SelectItem::UnnamedExpr(_) => vec![(None, String::new())],
            _ => columns(session, &mut parsed, item).await?,
        };
        for (at, (of, name)) in (next..).zip(&columns) {
            if *name != field.name {
                continue;
            }
            match of {
                None => output = output.or(Some(at)),
                Some(of) if of == table.table() => of_table = of_table.or(Some(at)),
                Some(_) => {}
            }
        }
        next += columns.len();
    }
    Some((output?, of_table?))
}

/// Whether rows may be in the order of an output by its name.
fn is_sorted_by(parsed: &mut Parsed, item: usize) -> bool {
    let is_ordered = match &*parsed {
        Parsed::Statement(sql) => match sql.as_ref() {
            Sql::Query(query) => query.order_by.is_some(),
            _ => false,
        },
        _ => false,
    };
    let item = list_of(parsed).and_then(|select| select.projection.get(item));
    is_ordered && matches!(item, Some(SelectItem::ExprWithAlias { .. }))
}

/// The SELECT that names the columns of a query.
fn list_of(parsed: &mut Parsed) -> Option<&mut Select> {
    fn of_body(body: &mut SetExpr) -> Option<&mut Select> {
        match body {
            SetExpr::Select(select) => Some(select),
            SetExpr::SetOperation { left, .. } => of_body(left),
            SetExpr::Query(query) => of_body(&mut query.body),
            _ => None,
        }
    }
    match parsed {
        Parsed::Statement(sql) => match sql.as_mut() {
            Sql::Query(query) => of_body(&mut query.body),
            _ => None,
        },
        _ => None,
    }
}

/// The item of the list at a position among the columns; `None` for columns of `*`.
async fn item_at(session: &Session, parsed: &Parsed, position: usize) -> Option<usize> {
    let mut parsed = copied(parsed);
    let items = list_of(&mut parsed)?.projection.clone();
    let mut next = 0;
    for (at, item) in items.into_iter().enumerate() {
        let is_one = matches!(
            item,
            SelectItem::UnnamedExpr(_) | SelectItem::ExprWithAlias { .. }
        );
        if next == position {
            return is_one.then_some(at);
        }
        next += match is_one {
            true => 1,
            false => columns(session, &mut parsed, item).await?.len(),
        };
        if next > position {
            return None;
        }
    }
    None
}

/// The columns that `*` or `t.*` stands for, each with its table.
async fn columns(
    session: &Session,
    parsed: &mut Parsed,
    item: SelectItem,
) -> Option<Vec<(Option<String>, String)>> {
    let select = list_of(parsed)?;
    let alone = Select {
        projection: vec![item],
        distinct: None,
        group_by: GroupByExpr::Expressions(Vec::new(), Vec::new()),
        having: None,
        qualify: None,
        ..select.clone()
    };
    let with = match parsed {
        Parsed::Statement(sql) => match sql.as_ref() {
            Sql::Query(query) => query.with.clone(),
            _ => None,
        },
        _ => None,
    };
    let query = Query {
        with,
        ..query_of(SetExpr::Select(Box::new(alone)))
    };
    let query = Parsed::Statement(Box::new(Sql::Query(Box::new(query))));
    let plan = session.context().state().statement_to_plan(query).await;
    let plan = plan.ok()?;
    let columns = plan.schema().iter().map(|(of, field)| {
        let of = of.map(|of| of.table().to_owned());
        (of, field.name().clone())
    });
    Some(columns.collect())
}

/// The plan with the names that the columns would have alone. Columns of the same name differ in the table
/// that they seem to be from.
fn named(plan: LogicalPlan, twins: &BTreeMap<usize, usize>) -> Result<LogicalPlan> {
    if twins.is_empty() {
        return Ok(plan);
    }
    let schema = plan.schema();
    let columns = schema.iter().enumerate().map(|(at, (of, field))| {
        let column = Expr::Column(Column::new(of.cloned(), field.name()));
        let mut first = at;
        while let Some(before) = twins.get(&first) {
            first = *before;
        }
        let has_twins = first != at || twins.values().any(|other| *other == at);
        match has_twins {
            true => {
                let name = schema.field(first).name();
                let table = TableReference::bare(format!("{PREFIX}{at}"));
                column.alias_qualified(Some(table), name)
            }
            false => column,
        }
    });
    let columns: Vec<Expr> = columns.collect();
    LogicalPlanBuilder::from(plan).project(columns)?.build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_read() {
        let error = plan_datafusion_err!(
            "Projections require unique expression names but the expression \"CAST(o.ts AS Date32)\" at position 1 \
             and \"CAST(o.ts AS Time64(ns))\" at position 12 have the same name. Consider aliasing"
        );
        assert_eq!(positions(&error), Some((1, 12)));
        assert_eq!(positions(&plan_datafusion_err!("no table")), None);
    }
}
