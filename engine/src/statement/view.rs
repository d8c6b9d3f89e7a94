//! `CREATE VIEW`: a name for a query, which is planned anew at each use.

use std::sync::Arc;

use datafusion::catalog::view::ViewTable;
use datafusion::common::config::ConfigOptions;
use datafusion::error::DataFusionError;
use datafusion::logical_expr::{DdlStatement, LogicalPlan};
use datafusion::optimizer::Analyzer;
use datafusion::optimizer::analyzer::type_coercion::TypeCoercion;
use datafusion::sql::parser::Statement as Parsed;
use datafusion::sql::sqlparser::ast::{self, Statement as Sql};
use emporia_connectors::write::check_names;
use emporia_core::error::{Error, Result};

use super::{Done, Holder, StatementError, unsupported};
use crate::managed::Object;
use crate::session::Session;

/// A view to make.
pub(super) struct CreateView {
    name: String,
    if_not_exists: bool,
    or_replace: bool,
    text: String,
}

/// Plans the statement, and with it the query once, so that a mistake shows here.
pub(super) async fn plan(
    session: &Session,
    view: ast::CreateView,
    text: &str,
) -> Result<CreateView, StatementError> {
    let name = session.new_name(&view.name)?;
    let (if_not_exists, or_replace) = (view.if_not_exists, view.or_replace);
    if if_not_exists && or_replace {
        return Err(Error::invalid(format!(
            "view `{name}`: OR REPLACE and IF NOT EXISTS exclude each other"
        ))
        .into());
    }
    if reads(session, &view, &name)? {
        return Err(Error::invalid(format!("view `{name}` reads itself"))
            .with_hint("give the new view another name")
            .into());
    }
    table_of(session, view).await?;
    Ok(CreateView {
        name,
        if_not_exists,
        or_replace,
        text: text.to_owned(),
    })
}

/// Whether the query of a view reads the view `name`, itself or through other views.
fn reads(session: &Session, view: &ast::CreateView, name: &str) -> Result<bool, StatementError> {
    let mut open = names_in(session, view)?;
    let mut seen = Vec::new();
    while let Some(next) = open.pop() {
        if next == name {
            return Ok(true);
        }
        if seen.contains(&next) {
            continue;
        }
        if let Some(Object::View(text)) = session.managed().object(&next) {
            open.extend(names_in(session, &parsed(session, &text)?)?);
        }
        seen.push(next);
    }
    Ok(false)
}

fn names_in(session: &Session, view: &ast::CreateView) -> Result<Vec<String>, DataFusionError> {
    let query = Parsed::Statement(Box::new(Sql::Query(view.query.clone())));
    let names = session.references(&query)?;
    Ok(names.iter().map(|name| name.table().to_owned()).collect())
}

fn parsed(session: &Session, text: &str) -> Result<ast::CreateView, StatementError> {
    match session.parse(text)? {
        Parsed::Statement(sql) => match *sql {
            Sql::CreateView(view) => Ok(view),
            _ => Err(Error::internal("the text of a view is another statement").into()),
        },
        _ => Err(Error::internal("the text of a view is another statement").into()),
    }
}

async fn table_of(
    session: &Session,
    mut view: ast::CreateView,
) -> Result<ViewTable, StatementError> {
    // The planner knows only views that end with the session, and what stands there is looked at here.
    view.temporary = false;
    view.if_not_exists = false;
    view.or_replace = false;
    let create = match session.plan_sql(Sql::CreateView(view)).await? {
        LogicalPlan::Ddl(DdlStatement::CreateView(create)) => create,
        _ => return Err(unsupported("this form of CREATE VIEW").into()),
    };
    let query = Arc::unwrap_or_clone(create.input);
    let analyzer = Analyzer::with_rules(vec![Arc::new(TypeCoercion::new())]);
    let query = analyzer.execute_and_check(query, &ConfigOptions::default(), |_, _| {})?;
    check_names(query.schema().inner())?;
    Ok(ViewTable::new(query, create.definition))
}

impl CreateView {
    pub(super) async fn run(self, session: &Session) -> Result<Done> {
        let name = &self.name;
        match session.holder(name).await? {
            None => {}
            Some(Holder::View) if self.or_replace => {}
            Some(_) if self.if_not_exists => {
                return Ok(Done::saying(format!("there is a `{name}` already")));
            }
            Some(holder) => return Err(holder.taken(name)),
        }
        session.managed().keep(name, Object::View(self.text));
        session.forget_registered(name)?;
        session.prepare([name.as_str()]).await?;
        let said = format!("created view `{name}`, which ends with this session");
        Ok(Done::saying(said))
    }
}

impl Session {
    /// Makes a view known whose tables are known as they are now.
    pub(crate) async fn view(&self, name: &str, text: &str) -> Result<ViewTable> {
        let view = async { table_of(self, parsed(self, text)?).await };
        view.await.map_err(|error| {
            let error = error.into_error();
            let hint = error.hint().map(str::to_owned);
            let missing = error
                .message()
                .strip_prefix("table '")
                .and_then(|rest| rest.strip_suffix("' not found"));
            let reason = match missing.and_then(|table| table.rsplit('.').next()) {
                Some(table) => format!("there is no table `{table}` any more"),
                None => error.message().to_owned(),
            };
            let told = Error::new(error.kind(), format!("view `{name}`: {reason}"));
            hint.into_iter()
                .fold(told.with_source(error), Error::with_hint)
        })
    }

    /// The tables that the query of a view reads.
    pub(crate) fn tables_of_view(&self, text: &str) -> Result<Vec<String>> {
        let view = parsed(self, text).map_err(StatementError::into_error)?;
        names_in(self, &view).map_err(crate::failure::query_error)
    }
}
