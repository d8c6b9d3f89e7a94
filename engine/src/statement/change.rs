//! `UPDATE` and `DELETE`: the rows of a managed table are read and written again, with the changes or without
//! the rows. The table has all of the changes or none.
//!
//! Each row is looked at once: [`HIT`] says whether the condition is true for it. A value of `SET` is computed
//! for these rows only.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::tree_node::TreeNode;
use datafusion::common::{Column, ScalarValue, TableReference};
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, lit, when};
use datafusion::prelude::DataFrame;
use datafusion::sql::parser::Statement as Parsed;
use datafusion::sql::planner::IdentNormalizer;
use datafusion::sql::sqlparser::ast::{
    self, Assignment, AssignmentTarget, Delete, FromTable, Ident, TableFactor, TableWithJoins,
    Update, Value, VisitMut, VisitorMut,
};
use emporia_connectors::files::Location;
use emporia_connectors::published::Head;
use emporia_core::error::{Error, ErrorKind, Result};
use emporia_core::job::OutputSpec;

use super::syntax::name_of;
use super::{Done, Holder, StatementError, insert, unsupported};
use crate::job::{Branch, JobRun, Output, Settled, Tally};
use crate::publish::{Change, Destination, RESULT_OUTPUT, publish};
use crate::session::Session;

/// The column that is 1 for rows that change and 0 for others.
const HIT: &str = "__row_hit";
/// The column that says which rows are written.
const ROUTE: &str = "__row_route";
/// What stands for the condition in the text of a query.
const CONDITION: &str = "__row_condition";
/// What the names of new values begin with, and what stands for them in the text of a query.
const NEW: &str = "__row_new_";

const UPDATE: &str = "UPDATE";
const DELETE: &str = "DELETE";

/// A table and what becomes of it.
pub(super) struct Rewrite {
    name: String,
    location: String,
    /// The run whose rows are read.
    of: String,
    columns: Vec<String>,
    rows: DataFrame,
    verb: &'static str,
}

/// Plans `UPDATE t SET c = value WHERE condition`.
pub(super) async fn plan_update(
    session: &Session,
    update: Update,
) -> Result<Rewrite, StatementError> {
    if update.from.is_some() {
        return Err(unsupported("UPDATE … FROM")
            .with_hint("write the value as a subquery, as in SET a = (SELECT u.a FROM u WHERE u.id = t.id)")
            .into());
    }
    let is_plain = update.returning.is_none()
        && update.output.is_none()
        && update.or.is_none()
        && update.order_by.is_empty()
        && update.limit.is_none();
    if !is_plain {
        return Err(unsupported("this form of UPDATE")
            .with_hint("write UPDATE table SET column = value, … WHERE condition")
            .into());
    }
    let target = Target::find(session, &update.table, UPDATE).await?;
    let mut values = Vec::with_capacity(update.assignments.len());
    let mut news = Vec::new();
    for (index, assignment) in update.assignments.into_iter().enumerate() {
        let (column, value) = target.assigned(session, assignment)?;
        if news.iter().any(|(known, _)| *known == column) {
            return Err(Error::invalid(format!("column `{column}` is set twice")).into());
        }
        news.push((column, format!("{NEW}{index}")));
        values.push(value);
    }
    let cases = (0..values.len())
        .map(|index| format!(", CASE WHEN {HIT} = 1 THEN {NEW}{index} END AS {NEW}{index}"));
    let text = format!(
        "SELECT *{} FROM ({}) AS {}",
        cases.collect::<String>(),
        target.marked(),
        target.called
    );
    target
        .rewrite(session, &text, update.selection, values, &news)
        .await
}

/// Plans `DELETE FROM t WHERE condition`.
pub(super) async fn plan_delete(
    session: &Session,
    delete: Delete,
) -> Result<Rewrite, StatementError> {
    let (FromTable::WithFromKeyword(tables) | FromTable::WithoutKeyword(tables)) = &delete.from;
    let is_plain = delete.tables.is_empty()
        && delete.using.is_none()
        && delete.returning.is_none()
        && delete.output.is_none()
        && delete.order_by.is_empty()
        && delete.limit.is_none();
    let [table] = &tables[..] else {
        return Err(other_delete().into());
    };
    if !is_plain {
        return Err(other_delete().into());
    }
    let target = Target::find(session, table, DELETE).await?;
    let text = target.marked();
    target
        .rewrite(session, &text, delete.selection, Vec::new(), &[])
        .await
}

fn other_delete() -> Error {
    unsupported("this form of DELETE").with_hint("write DELETE FROM table WHERE condition")
}

/// The table of a statement.
struct Target<'a> {
    name: String,
    location: String,
    of: String,
    /// The table with its alias, as it is written.
    written: &'a TableFactor,
    /// What the statement calls the table.
    called: &'a Ident,
    schema: SchemaRef,
    verb: &'static str,
}

impl<'a> Target<'a> {
    /// Looks which rows the table has, and makes them known.
    async fn find(
        session: &Session,
        table: &'a TableWithJoins,
        verb: &'static str,
    ) -> Result<Self, StatementError> {
        let (path, alias) = match &table.relation {
            TableFactor::Table {
                name,
                alias,
                args: None,
                with_hints,
                ..
            } if table.joins.is_empty() && with_hints.is_empty() => match alias {
                None => (name, None),
                Some(alias) if alias.columns.is_empty() => (name, Some(&alias.name)),
                Some(_) => return Err(unsupported("an alias with names of columns").into()),
            },
            _ => return Err(unsupported(&format!("{verb} of anything but one table")).into()),
        };
        let last = path.0.last().and_then(|part| part.as_ident());
        let Some(called) = alias.or(last) else {
            return Err(unsupported(&format!("{verb} of `{path}`")).into());
        };
        let name = session.table_name(path)?;
        let definition = match session.holder(&name).await? {
            Some(Holder::Temporary(table) | Holder::Lasting(table)) => table,
            None => return Err(session.unknown_table(&name).into()),
            Some(_) => return Err(not_managed(&name, verb).into()),
        };
        let place = Location::parse(&definition.location)?;
        let store = place.open(&session.context().state())?;
        let head = Head::load(store.as_ref(), &place.path).await?;
        let Some(result) = head.result() else {
            return Err(session.unknown_table(&name).into());
        };
        // Looked at after the run above: if the rows are those of a later one, publishing fails.
        session.prepare([name.as_str()]).await?;
        let reference = TableReference::bare(name.as_str());
        let provider = session.context().table_provider(reference).await?;
        Ok(Self {
            location: definition.location,
            of: result.run_id.clone(),
            written: &table.relation,
            called,
            schema: provider.schema(),
            name,
            verb,
        })
    }

    /// The text of a query for the rows with [`HIT`].
    fn marked(&self) -> String {
        let table = self.written;
        format!("SELECT *, CASE WHEN {CONDITION} THEN 1 ELSE 0 END AS {HIT} FROM {table}")
    }

    /// The column that an assignment is about, and the value.
    fn assigned(
        &self,
        session: &Session,
        assignment: Assignment,
    ) -> Result<(String, ast::Expr), StatementError> {
        let AssignmentTarget::ColumnName(path) = &assignment.target else {
            return Err(unsupported("SET of several columns at once")
                .with_hint("write SET a = 1, b = 2")
                .into());
        };
        let names: Vec<_> = path.0.iter().filter_map(|part| part.as_ident()).collect();
        let column = match names[..] {
            [column] => column,
            [table, column] if name_of(table) == name_of(self.called) => column,
            _ => {
                return Err(Error::invalid(format!("`{path}` is not the name of a column")).into());
            }
        };
        let state = session.context().state();
        let normalizes = state.config_options().sql_parser.enable_ident_normalization;
        let column = IdentNormalizer::new(normalizes).normalize(column.clone());
        if self.schema.field_with_name(&column).is_err() {
            return Err(self.rows().no_column(&column).into());
        }
        Ok((column, assignment.value))
    }

    fn rows(&self) -> insert::Target<'_> {
        insert::Target {
            name: &self.name,
            schema: &self.schema,
            columns: None,
        }
    }

    /// Plans the rows that the table will have: `text` is a query for them with [`HIT`] and with the new values
    /// of `news`, pairs of a column and what its value is called.
    async fn rewrite(
        self,
        session: &Session,
        text: &str,
        condition: Option<ast::Expr>,
        values: Vec<ast::Expr>,
        news: &[(String, String)],
    ) -> Result<Rewrite, StatementError> {
        let condition = condition.unwrap_or_else(|| ast::Expr::value(Value::Boolean(true)));
        let mut query = match session.parse(text)? {
            Parsed::Statement(sql) => *sql,
            _ => return Err(Error::internal("a query is none").into()),
        };
        let _ = query.visit(&mut Fill { condition, values });
        let plan = session.plan_sql(query).await?;
        // It would see the rows that do not change, too.
        if plan.exists(|step| Ok(matches!(step, LogicalPlan::Window(_))))? {
            let text = format!("a window function in {}", self.verb);
            return Err(unsupported(&text)
                .with_hint("compute it in a subquery, such as SET a = (SELECT …)")
                .into());
        }
        let column = |name: &str| {
            let columns = plan.schema().iter();
            let mut columns = columns.filter(|(_, field)| field.name() == name);
            let (qualifier, field) = columns.next()?;
            Some((Expr::Column(Column::from((qualifier, field))), field))
        };
        let missing = |name: &str| Error::internal(format!("column `{name}` was lost"));
        let (hit, _) = column(HIT).ok_or_else(|| missing(HIT))?;
        let is_hit = hit.clone().eq(lit(1_i64));
        let mut stored = Vec::with_capacity(self.schema.fields().len() + 2);
        for field in self.schema.fields() {
            let (old, _) = column(field.name()).ok_or_else(|| missing(field.name()))?;
            let new = news.iter().find(|(column, _)| column == field.name());
            let value = match new {
                None => old,
                Some((_, called)) => {
                    let (new, given) = column(called).ok_or_else(|| missing(called))?;
                    let new = self.rows().stored(new, given.data_type(), true, field)?;
                    when(is_hit.clone(), new).otherwise(old)?
                }
            };
            stored.push(value.alias(field.name()));
        }
        let kept = lit(ScalarValue::Int32(Some(0)));
        let route = match self.verb {
            DELETE => when(is_hit, lit(ScalarValue::Int32(None))).otherwise(kept)?,
            _ => kept,
        };
        stored.extend([hit.alias(HIT), route.alias(ROUTE)]);
        let rows = LogicalPlanBuilder::from(plan).project(stored)?.build()?;
        let columns = self.schema.fields().iter().map(|f| f.name().clone());
        Ok(Rewrite {
            columns: columns.collect(),
            name: self.name,
            location: self.location,
            of: self.of,
            rows: session.frame(rows),
            verb: self.verb,
        })
    }
}

fn not_managed(name: &str, verb: &str) -> Error {
    let text = format!("{verb} of `{name}` is not supported");
    Error::new(ErrorKind::Unsupported, text).with_hint(
        "only the tables of CREATE TABLE are changed; INSERT OVERWRITE replaces the rows of a folder of files by \
         those of a query",
    )
}

/// Puts expressions in the places that a text keeps for them.
struct Fill {
    condition: ast::Expr,
    values: Vec<ast::Expr>,
}

impl VisitorMut for Fill {
    type Break = ();

    fn post_visit_expr(&mut self, expr: &mut ast::Expr) -> ControlFlow<()> {
        let ast::Expr::Identifier(ident) = &*expr else {
            return ControlFlow::Continue(());
        };
        let value = match ident.value.strip_prefix(NEW) {
            Some(index) => index.parse().ok().and_then(|i: usize| self.values.get(i)),
            None => (ident.value == CONDITION).then_some(&self.condition),
        };
        if let Some(value) = value {
            *expr = ast::Expr::Nested(Box::new(value.clone()));
        }
        ControlFlow::Continue(())
    }
}

impl Rewrite {
    pub(super) async fn run(self, session: &Session) -> Result<Done> {
        let n_hits = Arc::new(AtomicU64::new(0));
        let found = Arc::clone(&n_hits);
        let tally = Tally {
            columns: vec![HIT.to_owned()],
            finish: Box::new(move |rows| {
                let hits = rows.iter().filter(|row| row.values == [1]);
                found.store(hits.map(|row| row.rows).sum(), Ordering::Relaxed);
                Ok(Settled {
                    outputs: Vec::new(),
                    notes: Vec::new(),
                })
            }),
        };
        let columns = self.columns.into_iter().map(|c| (c.clone(), c));
        let branch = Branch {
            name: RESULT_OUTPUT.to_owned(),
            columns: columns.collect(),
        };
        let run = JobRun {
            outputs: vec![Output::Split {
                frame: self.rows,
                route: ROUTE.to_owned(),
                branches: vec![branch],
            }],
            notes: Vec::new(),
            checks: Vec::new(),
            tally: Some(tally),
        };
        let specs = [OutputSpec {
            name: RESULT_OUTPUT.to_owned(),
            key: Vec::new(),
        }];
        let destination = Destination::Published {
            location: self.location,
            change: Change::Rewrite { of: self.of },
        };
        publish(session, run, &specs, &destination).await?;
        session.forget_registered(&self.name)?;
        let n_rows = n_hits.load(Ordering::Relaxed);
        let done = match self.verb {
            DELETE => "deleted",
            _ => "updated",
        };
        let rows = if n_rows == 1 { "row" } else { "rows" };
        Ok(Done {
            said: format!("{done} {n_rows} {rows} of `{}`", self.name),
            report: None,
            changed: Some(n_rows),
        })
    }
}
