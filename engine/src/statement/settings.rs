//! `SET`, `RESET` and `SHOW`: the settings of a session that may change.
//!
//! Most settings of DataFusion would break what the processes of a cluster agree on, or have values
//! with which some queries are wrong. The ones here are known to be safe.

use datafusion::logical_expr::{LogicalPlan, ResetVariable, Statement as PlanStatement};
use datafusion::sql::parser::Statement as Parsed;
use datafusion::sql::sqlparser::ast::{Ident, Set, Statement as Sql};
use emporia_core::error::{Error, ErrorKind, Result, nearest};

use super::{Action, Statement, StatementError, unsupported};
use crate::session::Session;

/// Short names of settings and their full ones.
const SHORT: [(&str, &str); 4] = [
    ("batch_size", "datafusion.execution.batch_size"),
    (
        "target_partitions",
        "datafusion.execution.target_partitions",
    ),
    (
        "parse_float_as_decimal",
        "datafusion.sql_parser.parse_float_as_decimal",
    ),
    (
        "default_null_ordering",
        "datafusion.sql_parser.default_null_ordering",
    ),
];

/// Settings of this prefix concern what EXPLAIN prints.
const EXPLAIN: &str = "datafusion.explain.";

const TIME_ZONE: &str = "datafusion.execution.time_zone";

/// Names of the time zone in which all times are.
const UTC: [&str; 5] = ["utc", "+00:00", "+00", "z", "etc/utc"];

/// Largest values of the settings that are numbers.
const MOST: [(&str, usize); 2] = [
    ("datafusion.execution.batch_size", 1_000_000),
    ("datafusion.execution.target_partitions", 10_000),
];

/// Plans `SET`.
pub(super) async fn plan(session: &Session, set: Set) -> Result<Action, StatementError> {
    if let Set::SetTimeZone { value, .. } = &set {
        let zone = value.to_string();
        return Ok(time_zone(zone.trim_matches('\''))?);
    }
    let plan = session.plan_sql(Sql::Set(set)).await?;
    let LogicalPlan::Statement(PlanStatement::SetVariable(mut set)) = plan else {
        return Err(unsupported("this form of SET").into());
    };
    if full_name(&set.variable) == TIME_ZONE {
        if UTC.contains(&set.value.to_lowercase().as_str()) {
            return Ok(Action::Nothing("times are UTC"));
        }
        let text = format!(
            "the time zone `{}` is not supported: times are UTC",
            set.value
        );
        return Err(Error::new(ErrorKind::Unsupported, text)
            .with_hint("AT TIME ZONE shows a time in another zone")
            .into());
    }
    set.variable = allowed(&set.variable)?;
    if let Some((_, most)) = MOST.iter().find(|(name, _)| *name == set.variable) {
        let number = set.value.parse::<usize>().ok();
        if !number.is_some_and(|number| (1..=*most).contains(&number)) {
            return Err(Error::invalid(format!(
                "`{}` is a number from 1 to {most}, not `{}`",
                set.variable, set.value
            ))
            .into());
        }
    }
    let plan = LogicalPlan::Statement(PlanStatement::SetVariable(set));
    Ok(Action::Set(Box::new(plan)))
}

fn time_zone(zone: &str) -> Result<Action> {
    if UTC.contains(&zone.to_lowercase().as_str()) {
        return Ok(Action::Nothing("times are UTC"));
    }
    let text = format!("the time zone `{zone}` is not supported: times are UTC");
    Err(Error::new(ErrorKind::Unsupported, text)
        .with_hint("AT TIME ZONE shows a time in another zone"))
}

/// Plans `RESET`.
pub(super) fn reset(mut reset: ResetVariable) -> Result<Action> {
    reset.variable = allowed(&reset.variable)?;
    let plan = LogicalPlan::Statement(PlanStatement::ResetVariable(reset));
    Ok(Action::Set(Box::new(plan)))
}

/// Plans `SHOW` of a setting.
pub(super) async fn show(
    session: &Session,
    variable: Vec<Ident>,
) -> Result<Statement, StatementError> {
    let name: Vec<_> = variable.iter().map(|ident| ident.value.as_str()).collect();
    let name = name.join(".");
    let full = full_name(&name);
    let parsed = if full == name {
        Parsed::Statement(Box::new(Sql::ShowVariable { variable }))
    } else {
        session.parse(&format!("SHOW {full}"))?
    };
    session.planned(parsed).await
}

fn full_name(name: &str) -> String {
    let lower = name.to_lowercase();
    let known = SHORT.iter().find(|(short, _)| *short == lower);
    known.map_or(lower, |(_, full)| (*full).to_owned())
}

fn allowed(name: &str) -> Result<String> {
    let full = full_name(name);
    if full.starts_with(EXPLAIN) || SHORT.iter().any(|(_, known)| *known == full) {
        return Ok(full);
    }
    let shorts = SHORT.map(|(short, _)| short);
    let error = Error::new(
        ErrorKind::Unsupported,
        format!("`{name}` is not a setting that a statement may change"),
    );
    let last = full.rsplit('.').next().unwrap_or_default();
    Err(match nearest(last, shorts) {
        Some(near) => error.with_hint(format!("did you mean `{near}`?")),
        None => error.with_hint(format!("settings are {}", shorts.join(", "))),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_have_short_names() {
        let allowed = |name: &str| allowed(name).map_err(|e| e.to_string());
        let batch = Ok("datafusion.execution.batch_size".to_owned());
        assert_eq!(allowed("batch_size"), batch);
        assert_eq!(allowed("DataFusion.Execution.Batch_Size"), batch);
        assert_eq!(
            allowed("datafusion.catalog.default_schema"),
            Err(
                "`datafusion.catalog.default_schema` is not a setting that a statement may change"
                    .to_owned()
            )
        );
    }
}
