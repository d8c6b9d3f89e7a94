//! Columns and functions that a job needs, with errors that name what is missing.

use std::sync::Arc;

use datafusion::error::DataFusionError;
use datafusion::logical_expr::{Expr, ScalarUDF};
use datafusion::prelude::{DataFrame, ident};
use emporia_core::error::{Error, Result, nearest};
use emporia_engine::session::Session;

/// Turns an error of planning into Emporia's; `what` says what was planned.
pub(crate) fn planning(what: &str) -> impl Fn(DataFusionError) -> Error + '_ {
    move |e| Error::internal(format!("cannot plan {what}")).with_source(e)
}

/// A scalar function of the engine.
///
/// # Errors
/// `Internal` where the session has none of the name.
pub(crate) fn function(session: &Session, name: &str) -> Result<Arc<ScalarUDF>> {
    let state = session.context().state_ref();
    let function = state.read().scalar_functions().get(name).map(Arc::clone);
    function.ok_or_else(|| Error::internal(format!("the session has no function `{name}`")))
}

/// The columns of `table`, in the order of `names` and without qualifier.
///
/// # Errors
/// `InvalidInput` that names the missing column and the nearest existing one.
pub(crate) fn select_columns(frame: DataFrame, table: &str, names: &[&str]) -> Result<DataFrame> {
    let columns = names
        .iter()
        .map(|name| column_of(&frame, table, name).map(|column| column.alias(*name)))
        .collect::<Result<Vec<_>>>()?;
    frame.select(columns).map_err(planning(table))
}

/// The column `name` of `table`.
///
/// # Errors
/// `InvalidInput` where the table has no such column.
pub(crate) fn column_of(frame: &DataFrame, table: &str, name: &str) -> Result<Expr> {
    if has_column(frame, name) {
        return Ok(ident(name));
    }
    let error = Error::invalid(format!("table `{table}` has no column `{name}`"));
    let fields = frame.schema().fields();
    Err(
        match nearest(name, fields.iter().map(|f| f.name().as_str())) {
            Some(near) => {
                error.with_hint(format!("did you mean `{near}`? rename it in the catalog"))
            }
            None => error.with_hint("the job needs the columns of the data contract"),
        },
    )
}

/// Whether the frame has the column.
pub(crate) fn has_column(frame: &DataFrame, name: &str) -> bool {
    frame.schema().fields().iter().any(|f| f.name() == name)
}
