//! `CREATE TABLE`, with declared columns, of a query, or both.

use std::sync::Arc;

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::logical_expr::{DdlStatement, LogicalPlan};
use datafusion::prelude::DataFrame;
use datafusion::sql::sqlparser::ast::{self, ColumnOption, Statement as Sql};
use emporia_connectors::write::check_storable;
use emporia_core::error::{Error, ErrorKind, Result};
use emporia_core::job::OutputSpec;

use super::{Done, Holder, StatementError, insert, unsupported};
use crate::job::JobRun;
use crate::managed::{Lifetime, Object};
use crate::publish::{
    Change, Destination, Existing, RESULT_OUTPUT, publish, publish_no_rows, written_schema,
};
use crate::session::Session;

/// A table to make.
pub(super) struct CreateTable {
    name: String,
    is_temporary: bool,
    if_not_exists: bool,
    or_replace: bool,
    schema: SchemaRef,
    /// Columns that take no null.
    required: Vec<String>,
    rows: Option<DataFrame>,
}

/// Plans the statement.
pub(super) async fn plan(
    session: &Session,
    mut create: ast::CreateTable,
) -> Result<CreateTable, StatementError> {
    let name = session.new_name(&create.name)?;
    check_clauses(&name, &create)?;
    // The planner knows only tables that end with the session.
    let is_temporary = std::mem::take(&mut create.temporary);
    let (if_not_exists, or_replace) = (create.if_not_exists, create.or_replace);
    let is_declared = !create.columns.is_empty();
    let query = create.query.take();
    if !is_declared {
        create.query.clone_from(&query);
    }
    let input = match session.plan_sql(Sql::CreateTable(create)).await? {
        LogicalPlan::Ddl(DdlStatement::CreateMemoryTable(create)) => create.input,
        _ => return Err(unsupported("this form of CREATE TABLE").into()),
    };
    let rows = match (query, is_declared) {
        (None, _) => None,
        (Some(_), false) => Some(session.frame(Arc::unwrap_or_clone(Arc::clone(&input)))),
        (Some(query), true) => {
            let target = insert::Target {
                name: &name,
                schema: input.schema().inner(),
                columns: None,
            };
            Some(target.rows_of(session, query).await?)
        }
    };
    let (state, input) = session.frame(Arc::unwrap_or_clone(input)).into_parts();
    let schema = Arc::new(written_schema(&state, &input)?);
    check_storable(&schema)?;
    let required = schema
        .fields()
        .iter()
        .filter(|f| is_declared && !f.is_nullable());
    Ok(CreateTable {
        required: required.map(|f| f.name().clone()).collect(),
        name,
        is_temporary,
        if_not_exists,
        or_replace,
        schema,
        rows,
    })
}

/// Refuses what the table would have to keep and does not.
fn check_clauses(name: &str, create: &ast::CreateTable) -> Result<()> {
    let hint =
        "a table has columns with types and NOT NULL; keys, defaults and checks are not kept";
    if create.if_not_exists && create.or_replace {
        return Err(Error::invalid(format!(
            "table `{name}`: OR REPLACE and IF NOT EXISTS exclude each other"
        )));
    }
    if create.columns.is_empty() && create.query.is_none() && create.like.is_none() {
        return Err(Error::invalid(format!("table `{name}` has no columns"))
            .with_hint("write CREATE TABLE name (column type, …) or CREATE TABLE name AS query"));
    }
    if let Some(constraint) = create.constraints.first() {
        let text = format!("table `{name}`: `{constraint}` is not supported");
        return Err(Error::new(ErrorKind::Unsupported, text).with_hint(hint));
    }
    for column in &create.columns {
        let is_kept =
            |option: &ColumnOption| matches!(option, ColumnOption::Null | ColumnOption::NotNull);
        let refused = column.options.iter().find(|o| !is_kept(&o.option));
        if let Some(refused) = refused {
            let text = format!(
                "column `{}`: `{}` is not supported",
                column.name, refused.option
            );
            return Err(Error::new(ErrorKind::Unsupported, text).with_hint(hint));
        }
    }
    Ok(())
}

impl CreateTable {
    pub(super) async fn run(self, session: &Session) -> Result<Done> {
        let managed = session.managed();
        let name = &self.name;
        let lifetime = managed.lifetime(self.is_temporary);
        let existing = match session.holder(name).await? {
            None => Existing::Keep,
            Some(_) if self.if_not_exists => {
                return Ok(Done::saying(format!("there is a table `{name}` already")));
            }
            Some(Holder::Temporary(_)) if self.or_replace && lifetime == Lifetime::Session => {
                Existing::Replace
            }
            Some(Holder::Lasting(_)) if self.or_replace && lifetime == Lifetime::Lasting => {
                Existing::Replace
            }
            Some(holder) => return Err(holder.taken(name)),
        };
        let table = managed.place(name, lifetime)?;
        managed.keep_warehouse(&session.context().state()).await?;
        let change = Change::Create {
            required: self.required,
            existing,
        };
        let report = match self.rows {
            None => {
                publish_no_rows(session, &table.location, change, &self.schema).await?;
                None
            }
            Some(rows) => {
                let specs = [OutputSpec {
                    name: RESULT_OUTPUT.to_owned(),
                    key: Vec::new(),
                }];
                let destination = Destination::Published {
                    location: table.location.clone(),
                    change,
                };
                let run = JobRun::table(RESULT_OUTPUT, rows);
                Some(publish(session, run, &specs, &destination).await?)
            }
        };
        session.forget_registered(name)?;
        let said = match lifetime {
            Lifetime::Lasting => format!("created table `{name}`"),
            Lifetime::Session => {
                managed.keep(name, Object::Table(table));
                format!("created table `{name}`, which ends with this session")
            }
        };
        Ok(Done {
            said,
            report,
            ..Done::default()
        })
    }
}
