//! Statements: what a text asks for, and doing it.
//!
//! DataFusion runs statements such as CREATE TABLE while it plans them, in the memory of this process,
//! where no executor sees the rows. Here a text is planned first; what it asks for is done by
//! [`Session::run`], over tables that the whole cluster reads.

mod change;
mod create;
mod dialect;
mod drop;
mod grouping_sets;
mod insert;
mod into;
mod lag_defaults;
mod lateral;
mod listed_names;
mod long_numbers;
mod moments;
mod other_names;
mod outer_names;
mod pivot;
mod positions;
mod prepared;
mod quantified;
mod recursive;
mod rows;
mod same_names;
mod settings;
mod shared;
mod syntax;
mod tables;
mod ties;
mod twins;
mod unread;
#[cfg(test)]
mod upstream;
mod using;
mod view;
mod windows;

use datafusion::common::TableReference;
use datafusion::datasource::empty::EmptyTable;
use datafusion::error::DataFusionError;
use datafusion::logical_expr::{
    DdlStatement, LogicalPlan, LogicalPlanBuilder, Statement as PlanStatement,
};
use datafusion::prelude::DataFrame;
use datafusion::sql::parser::Statement as Parsed;
use datafusion::sql::planner::object_name_to_table_reference;
use datafusion::sql::sqlparser::ast::{Insert, ObjectName, Statement as Sql};
use emporia_core::catalog::TableDef;
use emporia_core::error::{Error, ErrorKind, Result};

use crate::dialect::{parse_statement, too_deep};
use crate::failure::query_error;
use crate::insert::{Insertion, copy, insert};
use crate::managed::Object;
use crate::output_names;
use crate::publish::Report;
use crate::session::Session;

use change::Rewrite;
use create::CreateTable;
use drop::Drop;
use view::CreateView;

/// What a statement asks for.
pub enum Statement {
    /// Rows.
    Query(DataFrame),
    /// Rows that go to a table or a folder.
    Write(Insertion),
    /// Anything else.
    Command(Command),
}

/// A statement that yields no rows.
pub struct Command(Action);

enum Action {
    CreateTable(Box<CreateTable>),
    CreateView(CreateView),
    Rewrite(Box<Rewrite>),
    Drop(Drop),
    Truncate {
        name: String,
        if_exists: bool,
    },
    Declare {
        name: String,
        plan: Box<LogicalPlan>,
    },
    Set(Box<LogicalPlan>),
    Prepare {
        name: String,
        text: String,
    },
    Deallocate(Option<String>),
    Nothing(&'static str),
}

impl Command {
    /// Whether the statement changes no table: later ones may need what it declares.
    pub fn is_declaration(&self) -> bool {
        !matches!(
            self.0,
            Action::CreateTable(_) | Action::Rewrite(_) | Action::Drop(_) | Action::Truncate { .. }
        )
    }
}

/// What a command did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Done {
    /// One line for the user.
    pub said: String,
    /// The rows that it wrote.
    pub report: Option<Report>,
    /// The number of rows that an UPDATE or DELETE changed.
    pub changed: Option<u64>,
}

impl Done {
    fn saying(text: impl Into<String>) -> Self {
        Self {
            said: text.into(),
            ..Self::default()
        }
    }
}

/// Why a statement cannot be planned or run.
#[derive(Debug)]
pub enum StatementError {
    /// The text is wrong; the caller can point at the place in it.
    Text(DataFusionError),
    /// Anything else.
    Other(Error),
}

impl From<DataFusionError> for StatementError {
    fn from(error: DataFusionError) -> Self {
        Self::Text(error)
    }
}

impl From<Error> for StatementError {
    fn from(error: Error) -> Self {
        Self::Other(error)
    }
}

impl StatementError {
    /// The error without its place in the text.
    pub fn into_error(self) -> Error {
        match self {
            Self::Text(error) => query_error(error),
            Self::Other(error) => error,
        }
    }
}

/// Who has the name of a table.
enum Holder {
    Catalog,
    External,
    View,
    /// A table of this session.
    Temporary(TableDef),
    /// A table of the warehouse.
    Lasting(TableDef),
}

impl Holder {
    /// The error for a statement that would make something of the same name.
    fn taken(&self, name: &str) -> Error {
        let (what, hint) = match self {
            Self::Catalog => (
                "a table of the catalog",
                "choose another name, or remove it from the catalog file".to_owned(),
            ),
            Self::External => (
                "a table of CREATE EXTERNAL TABLE",
                format!("DROP TABLE {name} forgets it and leaves its files"),
            ),
            Self::View => ("a view", format!("DROP VIEW {name} removes it")),
            Self::Temporary(_) => (
                "a table of this session",
                format!("DROP TABLE {name} removes it, CREATE OR REPLACE TABLE replaces it"),
            ),
            Self::Lasting(_) => (
                "a table of the warehouse",
                format!("DROP TABLE {name} removes it, CREATE OR REPLACE TABLE replaces it"),
            ),
        };
        Error::new(
            ErrorKind::AlreadyExists,
            format!("`{name}` is {what} already"),
        )
        .with_hint(hint)
    }
}

/// Whether the plan yields rows of data, so that it can be limited and explained.
pub fn is_query(plan: &LogicalPlan) -> bool {
    !matches!(
        plan,
        LogicalPlan::Explain(_)
            | LogicalPlan::Analyze(_)
            | LogicalPlan::Ddl(_)
            | LogicalPlan::Dml(_)
            | LogicalPlan::Copy(_)
            | LogicalPlan::Statement(_)
            | LogicalPlan::DescribeTable(_)
    )
}

impl Session {
    /// Plans one statement; makes the tables that it names known first, as they are now.
    ///
    /// # Errors
    /// Where the text is wrong, a table cannot be read, or the statement is not supported.
    pub async fn statement(&self, text: &str) -> Result<Statement, StatementError> {
        let parsed = self.parse(text)?;
        self.ready(&parsed).await?;
        self.understand(parsed, text).await
    }

    /// Runs a command.
    ///
    /// # Errors
    /// Of the command; what it would have made or changed is then as before.
    pub async fn run(&self, command: Command) -> Result<Done, StatementError> {
        match command.0 {
            Action::CreateTable(create) => Ok(create.run(self).await?),
            Action::CreateView(view) => Ok(view.run(self).await?),
            Action::Rewrite(rewrite) => Ok(rewrite.run(self).await?),
            Action::Drop(drop) => Ok(drop.run(self).await?),
            Action::Truncate { name, if_exists } => {
                Ok(drop::truncate(self, &name, if_exists).await?)
            }
            Action::Declare { name, plan } => self.declare(&name, *plan).await,
            Action::Set(plan) => {
                self.context().execute_logical_plan(*plan).await?;
                Ok(Done::saying("set"))
            }
            Action::Prepare { name, text } => {
                self.managed().prepare(&name, &text)?;
                Ok(Done::saying(format!("prepared `{name}`")))
            }
            Action::Deallocate(name) => {
                self.managed().deallocate(name.as_deref())?;
                Ok(Done::saying("deallocated"))
            }
            Action::Nothing(said) => Ok(Done::saying(said)),
        }
    }

    /// Plans a statement and does all that it asks for, except that the rows of a query are left to
    /// the caller; a statement without rows yields an empty frame.
    ///
    /// # Errors
    /// Of planning and running.
    pub async fn sql(&self, text: &str) -> Result<DataFrame> {
        let statement = self.statement(text).await;
        match statement.map_err(StatementError::into_error)? {
            Statement::Query(frame) => return Ok(frame),
            Statement::Write(insertion) => {
                insert(self, insertion).await?;
            }
            Statement::Command(command) => {
                self.run(command)
                    .await
                    .map_err(StatementError::into_error)?;
            }
        }
        let nothing = LogicalPlanBuilder::empty(false).build();
        Ok(self.frame(nothing.map_err(query_error)?))
    }

    fn parse(&self, text: &str) -> Result<Parsed, DataFusionError> {
        let state = self.context().state();
        let limit = state.config_options().sql_parser.recursion_limit.get();
        let parsed = parse_statement(text, limit);
        let parsed = parsed.map_err(|error| explained(error, limit))?;
        let mut parsed = into::as_create_table(parsed);
        unread::check(&parsed, &state)?;
        windows::write_out(&mut parsed)?;
        recursive::keep_whole(&mut parsed)?;
        long_numbers::as_decimals(&mut parsed)?;
        dialect::translate(&mut parsed);
        Ok(parsed)
    }

    async fn plan_parsed(&self, mut parsed: Parsed) -> Result<LogicalPlan, DataFusionError> {
        using::write_out(self, &mut parsed).await;
        unread::check_joins(&parsed)?;
        output_names::set_apart(&mut parsed);
        let mut plan = twins::plan(self, &parsed).await;
        let is_misread = match &plan {
            Ok(plan) => outer_names::is_cause_in(plan)?,
            Err(error) => outer_names::is_cause_of(error),
        };
        if is_misread {
            let state = self.context().state();
            outer_names::spell_out(&mut parsed, &state.config_options().catalog.default_schema);
            plan = twins::plan(self, &parsed).await.or(plan);
        }
        syntax::freed(parsed);
        let plan = plan?;
        shared::check(&plan)?;
        recursive::check(&plan)?;
        lateral::unnested(output_names::restored(ties::broken(plan)?)?)
    }

    async fn plan_sql(&self, sql: Sql) -> Result<LogicalPlan, DataFusionError> {
        self.plan_parsed(Parsed::Statement(Box::new(sql))).await
    }

    fn frame(&self, plan: LogicalPlan) -> DataFrame {
        DataFrame::new(self.context().state(), plan)
    }

    /// Makes the tables known that a statement reads or writes.
    async fn ready(&self, parsed: &Parsed) -> Result<(), StatementError> {
        let references = self.references(parsed)?;
        if describes_catalog(parsed, &references) {
            self.prepare_all().await;
            return Ok(());
        }
        let names = references.iter().map(TableReference::table);
        let Some(insert) = as_insert(parsed) else {
            return Ok(self.prepare(names).await?);
        };
        // A table that is read has to be there, also if it is the one that is written.
        let read = match &insert.source {
            Some(query) => self
                .context()
                .state()
                .resolve_table_references(&Parsed::Statement(Box::new(Sql::Query(
                    query.clone(),
                ))))?,
            None => Vec::new(),
        };
        let read: Vec<&str> = read.iter().map(TableReference::table).collect();
        let written: Vec<&str> = names.filter(|name| !read.contains(name)).collect();
        self.prepare(read).await?;
        Ok(self.prepare_to_write(written).await?)
    }

    /// The tables that a statement reads or writes; what it makes or drops need not be readable.
    fn references(&self, parsed: &Parsed) -> Result<Vec<TableReference>, DataFusionError> {
        let state = self.context().state();
        let of_query = |query| {
            let query = Parsed::Statement(Box::new(Sql::Query(query)));
            state.resolve_table_references(&query)
        };
        match parsed {
            Parsed::Statement(sql) => match sql.as_ref() {
                Sql::CreateTable(create) => match &create.query {
                    Some(query) => of_query(query.clone()),
                    None => Ok(Vec::new()),
                },
                Sql::CreateView(view) => of_query(view.query.clone()),
                Sql::Drop { .. } | Sql::Truncate(_) => Ok(Vec::new()),
                _ => state.resolve_table_references(parsed),
            },
            Parsed::CreateExternalTable(_) => Ok(Vec::new()),
            _ => state.resolve_table_references(parsed),
        }
    }

    async fn understand(&self, parsed: Parsed, text: &str) -> Result<Statement, StatementError> {
        let Parsed::Statement(sql) = parsed else {
            return self.planned(parsed).await;
        };
        let action = match *sql {
            Sql::CreateTable(create) => {
                Action::CreateTable(Box::new(create::plan(self, create).await?))
            }
            Sql::CreateView(view) => Action::CreateView(view::plan(self, view, text).await?),
            Sql::Drop {
                object_type,
                if_exists,
                names,
                cascade,
                ..
            } => Action::Drop(drop::plan(self, object_type, if_exists, &names, cascade)?),
            Sql::Truncate(truncate) => drop::plan_truncate(self, &truncate)?,
            Sql::Insert(insert) => return insert::plan(self, insert).await,
            Sql::Update(update) => {
                Action::Rewrite(Box::new(change::plan_update(self, update).await?))
            }
            Sql::Delete(delete) => {
                Action::Rewrite(Box::new(change::plan_delete(self, delete).await?))
            }
            Sql::Prepare {
                name,
                data_types,
                statement,
            } => {
                let name = prepared::name_of(&name);
                let prepare = prepared::plan(self, &name, data_types, *statement).await;
                prepare?;
                let text = text.to_owned();
                Action::Prepare { name, text }
            }
            Sql::Execute {
                name,
                parameters,
                using,
                immediate,
                ..
            } => {
                let Some(name) = name.filter(|_| using.is_empty() && !immediate) else {
                    return Err(unsupported("this form of EXECUTE")
                        .with_hint("write EXECUTE name(value, …)")
                        .into());
                };
                return prepared::execute(self, &name, parameters).await;
            }
            Sql::Deallocate { name, .. } => {
                let name = prepared::name_of(&name);
                Action::Deallocate((name != "all").then_some(name))
            }
            Sql::Set(set) => settings::plan(self, set).await?,
            Sql::ShowVariable { variable } => return settings::show(self, variable).await,
            other => {
                if let Some(error) = refused(&other) {
                    return Err(error.into());
                }
                return self.planned(Parsed::Statement(Box::new(other))).await;
            }
        };
        Ok(Statement::Command(Command(action)))
    }

    /// A statement that DataFusion understands as a whole.
    async fn planned(&self, parsed: Parsed) -> Result<Statement, StatementError> {
        let verb = verb_of(&parsed);
        let plan = self
            .plan_parsed(parsed)
            .await
            .map_err(|error| match error.find_root() {
                DataFusionError::NotImplemented(text) if text.starts_with(NO_STATEMENT) => {
                    StatementError::Other(unsupported(&verb))
                }
                _ => StatementError::Text(error),
            })?;
        let explained = match &plan {
            LogicalPlan::Explain(explain) => Some(explain.plan.as_ref()),
            LogicalPlan::Analyze(analyze) => Some(analyze.input.as_ref()),
            _ => None,
        };
        if explained.is_some_and(|plan| !is_query(plan)) {
            return Err(unsupported("EXPLAIN of anything but a query").into());
        }
        let action = match plan {
            LogicalPlan::Copy(_) => {
                return match copy(&self.frame(plan))? {
                    Some(insertion) => Ok(Statement::Write(insertion)),
                    None => Err(unsupported("this form of COPY").into()),
                };
            }
            LogicalPlan::Dml(dml) => return Err(unsupported(dml.op.name()).into()),
            LogicalPlan::Ddl(DdlStatement::CreateExternalTable(ref create)) => {
                let name = self.own_name(&create.name)?;
                check_sent(&name)?;
                let plan = Box::new(plan);
                Action::Declare { name, plan }
            }
            LogicalPlan::Ddl(ddl) => return Err(unsupported(words_of(&ddl)).into()),
            LogicalPlan::Statement(PlanStatement::ResetVariable(reset)) => settings::reset(reset)?,
            LogicalPlan::Statement(_) => return Err(unsupported(&verb).into()),
            query => return Ok(Statement::Query(self.frame(query))),
        };
        Ok(Statement::Command(Command(action)))
    }

    /// `CREATE EXTERNAL TABLE`.
    async fn declare(&self, name: &str, plan: LogicalPlan) -> Result<Done, StatementError> {
        match self.holder(name).await? {
            None | Some(Holder::External) => {}
            Some(holder) => return Err(holder.taken(name).into()),
        }
        self.context().execute_logical_plan(plan).await?;
        let table = self.context().table_provider(TableReference::bare(name));
        let has_files = table.await?.downcast_ref::<EmptyTable>().is_none();
        Ok(Done::saying(match has_files {
            true => format!("declared table `{name}`"),
            false => {
                format!("declared table `{name}`, which has no files yet; INSERT INTO writes some")
            }
        }))
    }

    /// The name of something that a statement makes.
    fn new_name(&self, name: &ObjectName) -> Result<String, StatementError> {
        let name = self.table_name(name)?;
        check_sent(&name)?;
        Ok(name)
    }

    /// Who has the name of a table.
    async fn holder(&self, name: &str) -> Result<Option<Holder>> {
        let state = self.context().state();
        Ok(match self.managed().object(name) {
            Some(Object::View(_)) => Some(Holder::View),
            Some(Object::Table(table)) => Some(Holder::Temporary(table)),
            None if self.declared(name).is_some() => Some(Holder::External),
            None if self.catalog().tables.contains_key(name) => Some(Holder::Catalog),
            None => {
                let table = self.managed().lasting(name, &state).await?;
                table.map(Holder::Lasting)
            }
        })
    }

    /// The name of a table that a statement makes, changes or drops.
    fn table_name(&self, name: &ObjectName) -> Result<String, StatementError> {
        let state = self.context().state();
        let normalizes = state.config_options().sql_parser.enable_ident_normalization;
        let reference = object_name_to_table_reference(name.clone(), normalizes)?;
        Ok(self.own_name(&reference)?)
    }

    fn own_name(&self, reference: &TableReference) -> Result<String> {
        let state = self.context().state();
        let defaults = &state.config_options().catalog;
        let is_own = reference
            .schema()
            .is_none_or(|s| s == defaults.default_schema)
            && reference
                .catalog()
                .is_none_or(|c| c == defaults.default_catalog);
        if is_own {
            return Ok(reference.table().to_owned());
        }
        let text = format!("tables have no schema, and so there can be no table `{reference}`");
        Err(Error::new(ErrorKind::Unsupported, text)
            .with_hint(format!("write `{}`", reference.table())))
    }
}

/// Checks that the name of a table comes back from a plan as it went in: there the names of columns
/// have it in front without quotes, and `a.b` becomes table `b` of schema `a`.
fn check_sent(name: &str) -> Result<()> {
    if TableReference::parse_str_normalized(name, true) == TableReference::bare(name) {
        return Ok(());
    }
    let text = format!("`{name}` cannot be the name of a table");
    Err(Error::invalid(text).with_hint("names of tables have no points and no quotes"))
}

/// Says what the parser means.
fn explained(error: DataFusionError, limit: usize) -> DataFusionError {
    let text = error.to_string();
    if text.contains(TOO_DEEP) {
        return DataFusionError::Plan(too_deep(limit));
    }
    if text.contains(FRAME_EXCLUSION) {
        let text = "EXCLUDE in the frame of a window is not supported; take off what it leaves out, as in \
                    sum(v) OVER w - v";
        return DataFusionError::NotImplemented(text.to_owned());
    }
    error
}

/// How the parser refuses the end of the frame of a window.
const FRAME_EXCLUSION: &str = "Expected: ), found: EXCLUDE";

/// How the parser refuses a text that is nested too deeply.
const TOO_DEEP: &str = "RecursionLimitExceeded";

fn as_insert(parsed: &Parsed) -> Option<&Insert> {
    match parsed {
        Parsed::Statement(sql) => match sql.as_ref() {
            Sql::Insert(insert) => Some(insert),
            _ => None,
        },
        _ => None,
    }
}

/// How the planner begins its refusal of a statement.
const NO_STATEMENT: &str = "Unsupported SQL statement";

/// The word that a statement begins with.
fn verb_of(parsed: &Parsed) -> String {
    let text = match parsed {
        Parsed::Statement(sql) => sql.to_string(),
        _ => String::new(),
    };
    let words: Vec<_> = text.split_whitespace().take(2).collect();
    match words[..] {
        [
            verb @ ("ALTER" | "CREATE" | "DROP" | "SHOW" | "COMMENT"),
            what,
        ] => {
            format!("{verb} {what}")
        }
        [verb, ..] => verb.to_uppercase(),
        [] => "this statement".to_owned(),
    }
}

fn words_of(ddl: &DdlStatement) -> &'static str {
    match ddl {
        DdlStatement::CreateCatalogSchema(_) => "CREATE SCHEMA",
        DdlStatement::CreateCatalog(_) => "CREATE DATABASE",
        DdlStatement::CreateIndex(_) => "CREATE INDEX",
        DdlStatement::CreateFunction(_) => "CREATE FUNCTION",
        DdlStatement::DropFunction(_) => "DROP FUNCTION",
        _ => "this statement",
    }
}

fn unsupported(what: &str) -> Error {
    Error::new(ErrorKind::Unsupported, format!("{what} is not supported"))
        .with_hint("docs/sql.md lists the statements that are")
}

/// The error for statements that are understood but never done.
fn refused(sql: &Sql) -> Option<Error> {
    let (what, hint) = match sql {
        Sql::Merge(_) => ("MERGE", REWRITE),
        Sql::StartTransaction { .. }
        | Sql::Commit { .. }
        | Sql::Rollback { .. }
        | Sql::Savepoint { .. }
        | Sql::ReleaseSavepoint { .. } => (
            "a transaction",
            "each statement stands alone and changes a table whole or not at all",
        ),
        _ => return None,
    };
    let text = format!("{what} is not supported");
    Some(Error::new(ErrorKind::Unsupported, text).with_hint(hint))
}

const REWRITE: &str =
    "UPDATE and DELETE change rows, INSERT OVERWRITE replaces them by those of a query";

/// Whether the statement is about all tables, not about the rows of some.
fn describes_catalog(parsed: &Parsed, references: &[TableReference]) -> bool {
    let is_show = match parsed {
        Parsed::Statement(sql) => matches!(
            sql.as_ref(),
            Sql::ShowTables { .. } | Sql::ShowColumns { .. } | Sql::ShowCreate { .. }
        ),
        _ => false,
    };
    let is_of_schema =
        |reference: &TableReference| reference.schema() == Some("information_schema");
    is_show || references.iter().any(is_of_schema)
}
