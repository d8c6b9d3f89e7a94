//! `PREPARE` and `EXECUTE`: a statement with places for values.
//!
//! What is kept is the text. Each EXECUTE puts the values in and plans the statement anew, so that it
//! sees the files as they are, and a value takes the type that its place asks for.

use std::ops::ControlFlow;

use datafusion::sql::parser::Statement as Parsed;
use datafusion::sql::sqlparser::ast::{
    CastKind, DataType, ExactNumberInfo, Expr, Ident, ObjectName, Statement as Sql, Value, Visit,
    visit_expressions, visit_expressions_mut,
};
use emporia_core::error::{Error, Result};

use super::{Statement, StatementError, unsupported};
use crate::session::Session;

/// The name of a prepared statement.
pub(super) fn name_of(ident: &Ident) -> String {
    match ident.quote_style {
        Some(_) => ident.value.clone(),
        None => ident.value.to_lowercase(),
    }
}

/// Checks a statement that is to be prepared.
pub(super) async fn plan(
    session: &Session,
    name: &str,
    data_types: Vec<DataType>,
    statement: Sql,
) -> Result<(), StatementError> {
    let is_query = match &statement {
        Sql::Query(_) => true,
        Sql::Insert(_) => false,
        _ => {
            return Err(unsupported("PREPARE of this statement")
                .with_hint("PREPARE takes a query or an INSERT")
                .into());
        }
    };
    let n_places = places(name, &statement)?;
    if !data_types.is_empty() && data_types.len() != n_places {
        return Err(Error::invalid(format!(
            "prepared statement `{name}` declares {} types for {n_places} values",
            data_types.len()
        ))
        .into());
    }
    if is_query {
        // Names that are wrong show here, at their place.
        let prepare = Sql::Prepare {
            name: Ident::new(name),
            data_types,
            statement: Box::new(statement),
        };
        session.plan_sql(prepare).await?;
    }
    Ok(())
}

/// How many values a statement takes: the number of its last place.
fn places(name: &str, statement: &impl Visit) -> Result<usize> {
    let mut last = 0;
    let mut wrong = None;
    let _ = visit_expressions(statement, |expr| {
        if let Some(place) = place_of(expr) {
            match number_of(place) {
                Some(number) => last = last.max(number),
                None => wrong = Some(place.to_owned()),
            }
        }
        ControlFlow::<()>::Continue(())
    });
    match wrong {
        None => Ok(last),
        Some(place) => Err(Error::invalid(format!(
            "`{place}` is not a place for a value in prepared statement `{name}`"
        ))
        .with_hint("places are $1, $2, …")),
    }
}

fn place_of(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Value(value) => match &value.value {
            Value::Placeholder(place) => Some(place),
            _ => None,
        },
        _ => None,
    }
}

fn number_of(place: &str) -> Option<usize> {
    let number = place.strip_prefix('$')?.parse().ok()?;
    (1..=10_000).contains(&number).then_some(number)
}

/// Plans a prepared statement with its values.
pub(super) async fn execute(
    session: &Session,
    name: &ObjectName,
    values: Vec<Expr>,
) -> Result<Statement, StatementError> {
    let parts: Vec<_> = name.0.iter().filter_map(|part| part.as_ident()).collect();
    let [ident] = parts[..] else {
        return Err(Error::invalid(format!("`{name}` is not the name of a statement")).into());
    };
    let name = name_of(ident);
    let text = session.managed().prepared(&name)?;
    let Parsed::Statement(sql) = session.parse(&text)? else {
        return Err(Error::internal("a prepared text is another statement").into());
    };
    let Sql::Prepare {
        data_types,
        mut statement,
        ..
    } = *sql
    else {
        return Err(Error::internal("a prepared text is another statement").into());
    };
    let n_places = places(&name, statement.as_ref())?;
    if values.len() != n_places {
        return Err(Error::invalid(format!(
            "prepared statement `{name}` takes {n_places} values, not {}",
            values.len()
        ))
        .with_hint(format!("write EXECUTE {name}(value, …)"))
        .into());
    }
    if values
        .iter()
        .any(|value| places(&name, value).is_ok_and(|n| n > 0))
    {
        return Err(Error::invalid("EXECUTE takes values, not places for values").into());
    }
    for (value, data_type) in values.iter().zip(&data_types) {
        check_digits(value, data_type)?;
    }
    let _ = visit_expressions_mut(statement.as_mut(), |expr| {
        let number = place_of(expr).and_then(number_of);
        if let Some(index) = number.and_then(|number| number.checked_sub(1))
            && let Some(value) = values.get(index)
        {
            *expr = typed(value.clone(), data_types.get(index));
        }
        ControlFlow::<()>::Continue(())
    });
    let parsed = Parsed::Statement(statement);
    // The places of mistakes are those of the prepared text, which is not the one that is run.
    let planned = async {
        session.ready(&parsed).await?;
        Box::pin(session.understand(parsed, &text)).await
    };
    planned.await.map_err(|error| {
        let error = error.into_error();
        let hint = error.hint().map(str::to_owned);
        let text = format!("prepared statement `{name}`: {}", error.message());
        let told = Error::new(error.kind(), text);
        hint.into_iter().fold(told, Error::with_hint).into()
    })
}

/// Refuses a number with digits behind the point that the type of its place does not have: a CAST would cut them.
fn check_digits(value: &Expr, data_type: &DataType) -> Result<()> {
    let n_kept = match data_type {
        DataType::TinyInt(_)
        | DataType::SmallInt(_)
        | DataType::Int(_)
        | DataType::Integer(_)
        | DataType::BigInt(_) => 0,
        DataType::Decimal(ExactNumberInfo::PrecisionAndScale(_, scale))
        | DataType::Numeric(ExactNumberInfo::PrecisionAndScale(_, scale))
        | DataType::Dec(ExactNumberInfo::PrecisionAndScale(_, scale)) => *scale,
        _ => return Ok(()),
    };
    let number = match value {
        Expr::UnaryOp { expr, .. } => expr,
        other => other,
    };
    let digits = match number {
        Expr::Value(value) => match &value.value {
            Value::Number(text, _) => text.to_string(),
            _ => return Ok(()),
        },
        _ => return Ok(()),
    };
    let fraction = digits.split_once('.').map_or("", |(_, fraction)| fraction);
    let n_digits = i64::try_from(fraction.trim_end_matches('0').len()).unwrap_or(i64::MAX);
    match n_digits > n_kept {
        true => Err(Error::invalid(format!(
            "{value} has more digits behind the point than {data_type}, the type of its place"
        ))),
        false => Ok(()),
    }
}

fn typed(value: Expr, data_type: Option<&DataType>) -> Expr {
    let value = match value {
        value @ Expr::Value(_) => value,
        other => Expr::Nested(Box::new(other)),
    };
    match data_type {
        None => value,
        Some(data_type) => Expr::Cast {
            kind: CastKind::Cast,
            expr: Box::new(value),
            data_type: data_type.clone(),
            array: false,
            format: None,
        },
    }
}
