//! The columns of joined tables.

use datafusion::sql::parser::Statement as Parsed;
use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, Ident, JoinConstraint, JoinOperator, ObjectName, Query, SetExpr,
    Statement as Sql, TableFactor, Value, With,
};
use datafusion::sql::sqlparser::parser::Parser;

use super::super::syntax::{call, name_of};
use crate::dialect::EmporiaDialect;
use crate::session::Session;

/// The columns of each table, from the left.
pub(super) type Names = Vec<Scope>;

/// Columns in the order of `*`.
#[derive(Debug, Clone, Default)]
pub(super) struct Scope {
    pub(super) columns: Vec<Column>,
    /// Whether a join with common columns is among them.
    pub(super) is_merged: bool,
}

/// A column that can be named without its table.
#[derive(Debug, Clone)]
pub(super) struct Column {
    pub(super) name: String,
    /// How to write it so that no other column is meant.
    pub(super) value: Expr,
    /// Whether it is the common column of several tables.
    pub(super) is_common: bool,
}

impl Scope {
    fn of_table(table: &Ident, names: impl IntoIterator<Item = String>) -> Self {
        let columns = names.into_iter().map(|name| {
            let column = Ident::with_quote('"', name.clone());
            Column {
                name,
                value: Expr::CompoundIdentifier(vec![table.clone(), column]),
                is_common: false,
            }
        });
        Self {
            columns: columns.collect(),
            is_merged: false,
        }
    }

    pub(super) fn append(&mut self, other: Self) {
        self.columns.extend(other.columns);
        self.is_merged |= other.is_merged;
    }

    /// The only column of a name.
    pub(super) fn only(&self, name: &str) -> Option<&Column> {
        let mut found = self.columns.iter().filter(|column| column.name == name);
        let first = found.next()?;
        found.next().is_none().then_some(first)
    }

    /// The condition of a join written out, and the columns of both sides; `None` where it cannot be said which
    /// columns are common.
    pub(super) fn joined(
        &self,
        right: &Self,
        join: &JoinOperator,
        on: JoinConstraint,
    ) -> Option<(JoinConstraint, Self)> {
        let common = match &on {
            JoinConstraint::Using(names) => {
                let names = names.iter().map(single_name);
                names.collect::<Option<Vec<_>>>()?
            }
            JoinConstraint::Natural => {
                let names = self.columns.iter().map(|column| &column.name);
                let is_there = |name: &&String| right.columns.iter().any(|c| c.name == **name);
                names.filter(is_there).cloned().collect()
            }
            JoinConstraint::On(_) | JoinConstraint::None => {
                let both = self.both(right, join, Vec::new(), &[]);
                return Some((on, both));
            }
        };
        let mut conditions = Vec::with_capacity(common.len());
        let mut columns = Vec::with_capacity(common.len());
        for name in &common {
            let left = &self.only(name)?.value;
            let right = &right.only(name)?.value;
            conditions.push(Expr::BinaryOp {
                left: Box::new(left.clone()),
                op: BinaryOperator::Eq,
                right: Box::new(right.clone()),
            });
            let value = match join {
                JoinOperator::Right(_)
                | JoinOperator::RightOuter(_)
                | JoinOperator::RightSemi(_)
                | JoinOperator::RightAnti(_) => right.clone(),
                JoinOperator::FullOuter(_) => call("coalesce", vec![left.clone(), right.clone()]),
                _ => left.clone(),
            };
            columns.push(Column {
                name: name.clone(),
                value,
                is_common: true,
            });
        }
        let on = conditions.into_iter().reduce(|left, right| Expr::BinaryOp {
            left: Box::new(left),
            op: BinaryOperator::And,
            right: Box::new(right),
        });
        let is_inner = matches!(join, JoinOperator::Join(_) | JoinOperator::Inner(_));
        let on = match on {
            Some(on) => JoinConstraint::On(on),
            None if is_inner => JoinConstraint::None,
            None => JoinConstraint::On(Expr::value(Value::Boolean(true))),
        };
        let mut both = self.both(right, join, columns, &common);
        both.is_merged = true;
        Some((on, both))
    }

    fn both(
        &self,
        right: &Self,
        join: &JoinOperator,
        mut columns: Vec<Column>,
        common: &[String],
    ) -> Self {
        let others = |side: &Self| {
            let columns = side.columns.iter();
            let columns = columns.filter(|column| !common.contains(&column.name));
            columns.cloned().collect::<Vec<_>>()
        };
        let is_left_only = matches!(join, JoinOperator::LeftSemi(_) | JoinOperator::LeftAnti(_));
        let is_right_only = matches!(
            join,
            JoinOperator::RightSemi(_) | JoinOperator::RightAnti(_)
        );
        if !is_right_only {
            columns.extend(others(self));
        }
        if !is_left_only {
            columns.extend(others(right));
        }
        Self {
            columns,
            is_merged: self.is_merged || right.is_merged,
        }
    }
}

fn single_name(name: &ObjectName) -> Option<String> {
    match name.0.as_slice() {
        [part] => part.as_ident().map(name_of),
        _ => None,
    }
}

/// Looks up the columns of tables; `None` where one of them cannot be planned by itself.
pub(super) async fn names(
    session: &Session,
    tables: &[TableFactor],
    withs: &[With],
) -> Option<Names> {
    let mut found = Vec::with_capacity(tables.len());
    for table in tables {
        let name = table_name(table)?;
        let query = all_of(table, withs)?;
        let statement = Parsed::Statement(Box::new(Sql::Query(Box::new(query))));
        let state = session.context().state();
        let plan = state.statement_to_plan(statement).await.ok()?;
        let fields = plan.schema().fields().iter();
        found.push(Scope::of_table(
            &name,
            fields.map(|field| field.name().clone()),
        ));
    }
    Some(found)
}

/// The name by which the columns of a table are called.
fn table_name(table: &TableFactor) -> Option<Ident> {
    match table {
        TableFactor::Table {
            alias: Some(alias), ..
        }
        | TableFactor::Derived {
            alias: Some(alias),
            lateral: false,
            ..
        }
        | TableFactor::Function {
            alias: Some(alias), ..
        } => Some(alias.name.clone()),
        TableFactor::Table {
            name, args: None, ..
        } => name.0.last()?.as_ident().cloned(),
        _ => None,
    }
}

/// `SELECT * FROM table`, with the WITH clauses one around the other.
fn all_of(table: &TableFactor, withs: &[With]) -> Option<Query> {
    let mut parsed = Parser::parse_sql(&EmporiaDialect, "SELECT * FROM (SELECT 1) AS q").ok()?;
    let Some(Sql::Query(query)) = parsed.pop() else {
        return None;
    };
    let outer = *query;
    let mut query = outer.clone();
    let SetExpr::Select(select) = query.body.as_mut() else {
        return None;
    };
    select.from.first_mut()?.relation = table.clone();
    let mut inner = query;
    for (at, with) in withs.iter().rev().enumerate() {
        if at > 0 {
            let mut around = outer.clone();
            let SetExpr::Select(select) = around.body.as_mut() else {
                return None;
            };
            let TableFactor::Derived { subquery, .. } = &mut select.from.first_mut()?.relation
            else {
                return None;
            };
            **subquery = inner;
            inner = around;
        }
        inner.with = Some(with.clone());
    }
    Some(inner)
}
