//! `INSERT`: from the rows of a text to those of a table.
//!
//! DataFusion gives the types of the table to every VALUES list inside of the statement and casts the
//! rest, so that numbers are cut and rounded in silence. Here the rows are planned as if they stood
//! alone, and then stored by [`assigned_expr`], which refuses what a column cannot hold.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, StringArray};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::arrow::record_batch::{RecordBatch, RecordBatchOptions};
use datafusion::common::{Column, DFSchema, Result as DfResult, ScalarValue, TableReference};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, WriteOp, lit};
use datafusion::optimizer::simplify_expressions::ExprSimplifier;
use datafusion::prelude::DataFrame;
use datafusion::sql::parser::Statement as Parsed;
use datafusion::sql::planner::IdentNormalizer;
use datafusion::sql::sqlparser::ast::{
    self, Ident, Insert, ObjectName, Query, SetExpr, Statement as Sql, TableObject, UnaryOperator,
    Value,
};
use emporia_core::error::{Error, ErrorKind, Result, nearest};

use super::{Statement, StatementError, long_numbers, unsupported};
use crate::functions::{assign, assigned_expr, is_assignable, shown};
use crate::insert::Insertion;
use crate::session::Session;

/// Plans the statement.
pub(super) async fn plan(
    session: &Session,
    mut insert: Insert,
) -> Result<Statement, StatementError> {
    let name = match &insert.table {
        TableObject::TableName(name) => session.table_name(name)?,
        _ => return Err(unsupported("INSERT into anything but a table").into()),
    };
    // Tells a view from a table.
    session.managed_table(&name).await?;
    let reference = TableReference::bare(name.as_str());
    let schema = match session.context().table_provider(reference).await {
        Ok(provider) => with_required(&provider.schema(), &session.required(&name)),
        // The planner says so, with the place.
        Err(_) => Arc::new(Schema::empty()),
    };
    let columns = (!insert.columns.is_empty()).then(|| insert.columns.clone());
    let source = insert.source.take();
    let n_columns = columns.as_ref().map_or(schema.fields().len(), Vec::len);
    // The planner checks the other clauses and the names of the columns.
    insert.source = Some(nulls(session, n_columns)?);
    let op = match session.plan_sql(Sql::Insert(insert)).await? {
        LogicalPlan::Dml(dml) => match dml.op {
            WriteOp::Insert(op) => op,
            _ => return Err(unsupported("this form of INSERT").into()),
        },
        _ => return Err(unsupported("this form of INSERT").into()),
    };
    let Some(source) = source else {
        return Err(unsupported("INSERT without rows").into());
    };
    let target = Target {
        name: &name,
        schema: &schema,
        columns: columns.as_deref(),
    };
    let rows = target.rows_of(session, source).await?;
    Ok(Statement::Write(Insertion::into_table(name, rows, op)))
}

/// The columns, of which some take no null.
fn with_required(schema: &SchemaRef, required: &[String]) -> SchemaRef {
    let fields = schema.fields().iter().map(|field| {
        let is_required = required.contains(field.name());
        let is_nullable = field.is_nullable() && !is_required;
        field.as_ref().clone().with_nullable(is_nullable)
    });
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

/// `SELECT NULL, …`
fn nulls(session: &Session, n_columns: usize) -> Result<Box<Query>, StatementError> {
    let columns: Vec<_> = (0..n_columns.max(1))
        .map(|c| format!("NULL AS c{c}"))
        .collect();
    let parsed = session.parse(&format!("SELECT {}", columns.join(", ")))?;
    match parsed {
        Parsed::Statement(sql) => match *sql {
            Sql::Query(query) => Ok(query),
            _ => Err(Error::internal("a query is none").into()),
        },
        _ => Err(Error::internal("a query is none").into()),
    }
}

/// A table that takes rows.
pub(super) struct Target<'a> {
    pub(super) name: &'a str,
    pub(super) schema: &'a Schema,
    /// The columns that the rows have; without it, all.
    pub(super) columns: Option<&'a [ObjectName]>,
}

impl Target<'_> {
    /// The rows of a query in the columns of the table.
    pub(super) async fn rows_of(
        &self,
        session: &Session,
        mut query: Box<Query>,
    ) -> Result<DataFrame, StatementError> {
        let sources = self.sources(session)?;
        if let Some(rows) = self.constants(session, &query, &sources).await? {
            return Ok(session.frame(rows));
        }
        long_numbers::in_query(&mut query)?;
        let rows = session.plan_sql(Sql::Query(query)).await?;
        self.check_count(rows.schema().fields().len(), "the query has")?;
        let columns = rows.schema().columns();
        let expr = |column: usize| {
            let field = rows.schema().field(column);
            let value = columns.get(column).cloned().map(Expr::Column);
            value.map(|value| (value, field.data_type().clone(), field.is_nullable()))
        };
        let stored = self
            .schema
            .fields()
            .iter()
            .zip(&sources)
            .map(|(field, source)| {
                let stored = match source.and_then(expr) {
                    Some((value, data_type, is_nullable)) => {
                        self.stored(value, &data_type, is_nullable, field)?
                    }
                    None => self.missing(field)?,
                };
                Ok(stored.alias(field.name()))
            });
        let stored = stored.collect::<Result<Vec<_>, StatementError>>()?;
        let rows = LogicalPlanBuilder::from(rows).project(stored)?.build()?;
        Ok(session.frame(rows))
    }

    /// For each column of the table, the column of the rows that it gets.
    fn sources(&self, session: &Session) -> Result<Vec<Option<usize>>, StatementError> {
        let fields = self.schema.fields();
        let Some(names) = self.columns else {
            return Ok((0..fields.len()).map(Some).collect());
        };
        let state = session.context().state();
        let normalizes = state.config_options().sql_parser.enable_ident_normalization;
        let normalizer = IdentNormalizer::new(normalizes);
        let mut sources = vec![None; fields.len()];
        for (index, name) in names.iter().enumerate() {
            let parts: Vec<_> = name.0.iter().filter_map(|part| part.as_ident()).collect();
            let [ident] = parts[..] else {
                return Err(Error::invalid(format!("`{name}` is not the name of a column")).into());
            };
            let column = normalizer.normalize(Ident::clone(ident));
            let place = fields.iter().position(|field| *field.name() == column);
            match place.and_then(|place| sources.get_mut(place)) {
                Some(source @ None) => *source = Some(index),
                Some(Some(_)) => {
                    return Err(Error::invalid(format!("column `{column}` is named twice")).into());
                }
                None => return Err(self.no_column(&column).into()),
            }
        }
        Ok(sources)
    }

    pub(super) fn no_column(&self, column: &str) -> Error {
        let names = self
            .schema
            .fields()
            .iter()
            .map(|field| field.name().as_str());
        let error = Error::not_found(format!("table `{}` has no column `{column}`", self.name));
        match nearest(column, names) {
            Some(near) => error.with_hint(format!("did you mean `{near}`?")),
            None => error,
        }
    }

    fn check_count(&self, given: usize, who: &str) -> Result<(), Error> {
        let expected = self.columns.map_or(self.schema.fields().len(), <[_]>::len);
        if given == expected {
            return Ok(());
        }
        let names = self
            .schema
            .fields()
            .iter()
            .map(|f| format!("`{}`", f.name()));
        let error = Error::invalid(format!(
            "{expected} columns of table `{}` are to be filled, but {who} {given}",
            self.name
        ));
        Err(match self.columns {
            Some(_) => error,
            None => error.with_hint(format!(
                "the table has {}; name columns behind the table to leave others empty",
                names.collect::<Vec<_>>().join(", ")
            )),
        })
    }

    /// The value as a column stores it.
    pub(super) fn stored(
        &self,
        value: Expr,
        data_type: &DataType,
        is_nullable: bool,
        field: &Field,
    ) -> Result<Expr, StatementError> {
        self.check_type(data_type, field)?;
        if data_type == field.data_type() && (field.is_nullable() || !is_nullable) {
            return Ok(value);
        }
        Ok(assigned_expr(value, field)?)
    }

    fn check_type(&self, data_type: &DataType, field: &Field) -> Result<(), Error> {
        if is_assignable(data_type, field.data_type()) {
            return Ok(());
        }
        Err(Error::invalid(format!(
            "column `{}` of table `{}` is {} and takes no {}",
            field.name(),
            self.name,
            shown(field.data_type()),
            shown(data_type)
        ))
        .with_hint("CAST converts the value"))
    }

    /// What a column gets that the rows do not have.
    fn missing(&self, field: &Field) -> Result<Expr, StatementError> {
        if !field.is_nullable() {
            return Err(Error::invalid(format!(
                "column `{}` of table `{}` takes no null, and the rows have no value for it",
                field.name(),
                self.name
            ))
            .into());
        }
        Ok(lit(ScalarValue::try_new_null(field.data_type())?))
    }

    /// The rows of a VALUES list that stands alone, each value computed and stored here; `None` for
    /// any other query.
    async fn constants(
        &self,
        session: &Session,
        query: &Query,
        sources: &[Option<usize>],
    ) -> Result<Option<LogicalPlan>, StatementError> {
        let SetExpr::Values(values) = query.body.as_ref() else {
            return Ok(None);
        };
        let is_alone = query.with.is_none()
            && query.order_by.is_none()
            && query.limit_clause.is_none()
            && query.fetch.is_none();
        if !is_alone {
            return Ok(None);
        }
        let mut rows = Vec::with_capacity(values.rows.len());
        for (index, row) in values.rows.iter().enumerate() {
            let who = format!("row {} has", index + 1);
            self.check_count(row.content.len(), &who)?;
            let Some(row) = self.constant_row(session, query, row, sources).await? else {
                return Ok(None);
            };
            let row = row.map_err(|e| {
                let text = format!("row {}: {}", index + 1, e.message());
                e.hint()
                    .into_iter()
                    .fold(Error::new(e.kind(), text), Error::with_hint)
            })?;
            rows.push(row);
        }
        let columns = LogicalPlanBuilder::values(rows)?;
        let names = columns
            .schema()
            .columns()
            .into_iter()
            .zip(self.schema.fields());
        let names: Vec<_> = names
            .map(|(c, f)| Expr::Column(c).alias(f.name()))
            .collect();
        Ok(Some(columns.project(names)?.build()?))
    }

    /// One row of a VALUES list; `None` where a value has to be queried.
    async fn constant_row(
        &self,
        session: &Session,
        query: &Query,
        row: &ast::Parens<Vec<ast::Expr>>,
        sources: &[Option<usize>],
    ) -> Result<Option<Result<Vec<Expr>>>, StatementError> {
        let state = session.context().state();
        // A row is planned alone, so that its values do not take the types of other rows.
        let mut alone = query.clone();
        let mut content = row.content.clone();
        for (index, cell) in content.iter_mut().enumerate() {
            if is_default(cell) {
                *cell = ast::Expr::value(Value::Null);
            }
            let column = sources.iter().position(|source| *source == Some(index));
            let field = column.and_then(|column| self.schema.fields().get(column));
            let is_float = field.is_some_and(|field| field.data_type().is_floating());
            // A number that goes to a floating column may have any number of digits.
            if !(is_float && is_number(cell)) {
                long_numbers::in_expr(cell)?;
            }
        }
        let planned = ast::Parens {
            content,
            ..row.clone()
        };
        alone.body = Box::new(SetExpr::Values(ast::Values {
            explicit_row: false,
            value_keyword: false,
            rows: vec![planned],
        }));
        let LogicalPlan::Values(values) = session.plan_sql(Sql::Query(Box::new(alone))).await?
        else {
            return Ok(None);
        };
        let cells = values.values.into_iter().next().unwrap_or_default();
        let mut stored = Vec::with_capacity(sources.len());
        for (field, source) in self.schema.fields().iter().zip(sources) {
            let Some(index) = *source else {
                stored.push(self.missing(field)?);
                continue;
            };
            let (Some(cell), Some(written)) = (cells.get(index), row.content.get(index)) else {
                return Ok(None);
            };
            let value: ArrayRef = match number_text(written, field.data_type()) {
                // The planner takes numbers for floating ones, which cannot hold all decimals.
                Some(text) => Arc::new(StringArray::from(vec![text])),
                None => match constant(&state, cell.clone())? {
                    Some(value) => value.to_array()?,
                    None => return Ok(None),
                },
            };
            if let Err(error) = self.check_type(value.data_type(), field) {
                return Ok(Some(Err(error)));
            }
            match assign(
                &value,
                field.data_type(),
                field.name(),
                !field.is_nullable(),
            ) {
                Ok(value) => stored.push(lit(ScalarValue::try_from_array(&value, 0)?)),
                Err(DataFusionError::Execution(text)) => {
                    return Ok(Some(Err(Error::new(ErrorKind::InvalidInput, text))));
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(Some(Ok(stored)))
    }
}

/// The value of an expression without columns; `None` where it has to be queried.
fn constant(
    state: &datafusion::execution::SessionState,
    expr: Expr,
) -> DfResult<Option<ScalarValue>> {
    use datafusion::common::tree_node::TreeNode;
    if let Expr::Literal(value, _) = expr {
        return Ok(Some(value));
    }
    let is_queried = expr.exists(|e| {
        Ok(matches!(
            e,
            Expr::ScalarSubquery(_)
                | Expr::Exists(_)
                | Expr::InSubquery(_)
                | Expr::SetComparison(_)
                | Expr::Column(Column { .. })
        ))
    })?;
    if is_queried {
        return Ok(None);
    }
    // Some functions, such as `arrow_cast`, are there only until an expression is simplified.
    let context = SimplifyContext::builder()
        .with_config_options(Arc::clone(state.config_options()))
        .with_query_execution_start_time(state.execution_props().query_execution_start_time)
        .build();
    let simplifier = ExprSimplifier::new(context);
    let expr = simplifier.simplify(simplifier.coerce(expr, &DFSchema::empty())?)?;
    let physical = state.create_physical_expr(expr, &DFSchema::empty())?;
    let options = RecordBatchOptions::new().with_row_count(Some(1));
    let row = RecordBatch::try_new_with_options(Arc::new(Schema::empty()), Vec::new(), &options)?;
    let value = physical.evaluate(&row)?.to_array(1)?;
    Ok(Some(ScalarValue::try_from_array(&value, 0)?))
}

/// `DEFAULT`; columns have none but null.
fn is_default(cell: &ast::Expr) -> bool {
    match cell {
        ast::Expr::Identifier(ident) => {
            ident.quote_style.is_none() && ident.value.eq_ignore_ascii_case("default")
        }
        _ => false,
    }
}

/// Whether a cell is a number and nothing else.
fn is_number(cell: &ast::Expr) -> bool {
    match cell {
        ast::Expr::Nested(inner) | ast::Expr::UnaryOp { expr: inner, .. } => is_number(inner),
        ast::Expr::Value(value) => matches!(value.value, Value::Number(..)),
        _ => false,
    }
}

/// The digits of a number that goes to a decimal column.
fn number_text(cell: &ast::Expr, to: &DataType) -> Option<String> {
    let is_decimal = matches!(to, DataType::Decimal128(..) | DataType::Decimal256(..));
    match cell {
        ast::Expr::Nested(inner) => number_text(inner, to),
        ast::Expr::UnaryOp {
            op: UnaryOperator::Minus,
            expr,
        } => {
            let digits = number_text(expr, to).filter(|digits| !digits.starts_with('-'))?;
            Some(format!("-{digits}"))
        }
        ast::Expr::Value(value) if is_decimal => match &value.value {
            Value::Number(digits, false) if !digits.contains(['e', 'E']) => Some(digits.clone()),
            _ => None,
        },
        _ => None,
    }
}
