//! From DataFusion's and Ballista's errors to Emporia's.

use datafusion::error::DataFusionError;
use emporia_connectors::files::ReadFault;
use emporia_connectors::published::is_disk_full;
use emporia_core::error::{Error, ErrorKind};
use emporia_core::text::lowercase_first;

use crate::debug_form;
use crate::functions::SEVERAL_ROWS;

/// Texts by which a lost connection to the scheduler shows; Ballista passes them on as plain text.
const CONNECTION_LOST: [&str; 9] = [
    "transport error",
    "tcp connect error",
    "Connection refused",
    "Stream closed without job completing",
    "h2 protocol error",
    "stream closed because of a broken pipe",
    "error reading a body from connection",
    "connection error",
    "operation was canceled: connection closed",
];

/// How a plan that cannot be sent to the scheduler is refused.
const NOT_SENT: &str = "Proto serialization error: ";

/// How a limit is refused that has to be computed.
const LITERAL_LIMIT: &str = "LogicalPlan::Limit only supports literal";

/// Parts of the debug form of a failure to plan that mean that the query is wrong.
const WRONG_QUERY: [&str; 7] = [
    "Context(\"type_coercion\"",
    "Context(\"Optimizer rule '",
    "Plan(\"",
    "SchemaError(",
    "SQL(",
    "Configuration(\"",
    "ArrowError(",
];

/// Parts of the debug form of a failed task that mean that a value does not fit the query.
const WRONG_VALUE: [&str; 4] = [
    "ArrowError(CastError(",
    "ArrowError(ParseError(",
    "ArrowError(ArithmeticOverflow(",
    "ArrowError(DivideByZero",
];

/// Parts of a failure that mean that a Parquet file cannot be read; the name of a file is none.
const PARQUET: [&str; 3] = ["ParquetError(", "Parquet error", "Invalid Parquet file"];

/// What to do about a file that is not the one that was listed.
const READ_FAULT_HINT: &str = "submit again; if nothing writes there, check that all processes see the same files, \
                               with the same times";

/// What DataFusion and Arrow put in front of a reason.
const PREFIXES: [&str; 12] = [
    "Execution error: ",
    "External error: ",
    "Error during planning: ",
    "Task failed due to runtime execution error: ",
    "Arrow error: ",
    "Parquet error: ",
    "Cast error: ",
    "Compute error: ",
    "Parser error: ",
    "Arithmetic overflow: ",
    "Invalid argument error: ",
    "Schema error: ",
];

/// What makes one row of several.
const ONE_ROW: &str = "add a condition, or an aggregate such as max; `LIMIT 1` takes any one";

/// Classifies the failure of a query.
pub fn query_error(error: DataFusionError) -> Error {
    let text = error.to_string();
    if is_too_deep(&text) {
        return too_deep();
    }
    if let Some(failure) = job_failure(&text) {
        return failure;
    }
    if text.contains(LITERAL_LIMIT) {
        let text = "LIMIT and OFFSET take numbers, not subqueries";
        return Error::new(ErrorKind::Unsupported, text);
    }
    if let Some((_, what)) = text.split_once(NOT_SENT) {
        let what = what.lines().next().unwrap_or_default();
        let what = what.split(" is not yet supported").next().unwrap_or(what);
        if let Some((column, _)) = what
            .split_once("outer_ref(")
            .and_then(|(_, rest)| rest.split_once(')'))
        {
            let text =
                format!("a subquery that reads `{column}` of the query around it in this way");
            return Error::new(ErrorKind::Unsupported, format!("{text} is not supported"))
                .with_hint("write it as a join");
        }
        return Error::new(
            ErrorKind::Unsupported,
            format!("`{what}` is not supported at this place of a query"),
        )
        .with_hint("compute it in a subquery after FROM, in WITH, or by a join");
    }
    if CONNECTION_LOST.iter().any(|t| text.contains(t)) {
        return Error::new(
            ErrorKind::Unavailable,
            "lost the connection to the scheduler",
        )
        .with_hint("check that it runs and that the address is right, then submit again")
        .with_source(error);
    }
    if is_disk_full(&error) || text.contains("No space left on device") {
        return disk_full();
    }
    if let Some(fault) = ReadFault::of(&error) {
        return Error::new(ErrorKind::Failed, fault.to_string()).with_hint(READ_FAULT_HINT);
    }
    let root = error.find_root();
    let kind = match root {
        DataFusionError::SQL(..)
        | DataFusionError::Plan(_)
        | DataFusionError::SchemaError(..)
        | DataFusionError::Configuration(_) => ErrorKind::InvalidInput,
        DataFusionError::NotImplemented(_) => ErrorKind::Unsupported,
        DataFusionError::ResourcesExhausted(_) => ErrorKind::ResourceExhausted,
        DataFusionError::Internal(_) => ErrorKind::Internal,
        DataFusionError::ParquetError(_) => ErrorKind::Corrupt,
        // A constant of the text that has no value, for example `CAST('abc' AS INT)`.
        _ if is_planning(&error) => ErrorKind::InvalidInput,
        _ => ErrorKind::Failed,
    };
    let error = Error::new(kind, reason(&root.message()));
    if text.contains(SEVERAL_ROWS) {
        return error.with_hint(ONE_ROW);
    }
    error
}

/// What the scheduler says if an executor could not read its task.
const UNREAD_TASK: &str = "task could not be prepared or was rejected by executor";
const UNREAD_TASK_HINT: &str = "a key of PARTITION BY that is nested more than about 30 deep cannot be sent; compute it \
    in a subquery. For any other cause see the executors' logs";

/// Whether a message could not be read, because it has too many others in it, one in the other.
pub(crate) fn is_too_deep(text: &str) -> bool {
    text.contains("RecursionLimitReached") || text.contains("recursion limit reached")
}

/// The error of such a query; its steps and most expressions are cut into messages, so that what cannot be cut
/// is the reason.
pub(crate) fn too_deep() -> Error {
    let text = "a type, a lambda or a subquery in an expression of the query is nested too deeply to be sent";
    Error::new(ErrorKind::InvalidInput, text)
        .with_hint("compute inner parts in a subquery of their own")
}

/// Whether the error comes from a rule of the planner, which names itself in front of the cause.
fn is_planning(error: &DataFusionError) -> bool {
    match error {
        DataFusionError::Context(rule, cause) => {
            let is_name = |name: &str| name.chars().all(|c| c.is_ascii_lowercase() || c == '_');
            rule.starts_with("Optimizer rule '") || is_name(rule) || is_planning(cause)
        }
        DataFusionError::Diagnostic(_, cause) => is_planning(cause),
        DataFusionError::Shared(cause) => is_planning(cause),
        _ => false,
    }
}

/// `Job <id> failed: <reason>` as the scheduler reports it.
fn job_failure(text: &str) -> Option<Error> {
    let (before, failure) = text.split_once(" failed: ")?;
    let job = before.rsplit_once("Job ")?.1;
    if failure.contains("No space left on device") {
        return Some(disk_full());
    }
    if failure.starts_with("Error planning job ")
        && let Some(error) = planning_failure(failure)
    {
        return Some(error);
    }
    // A store that fails while a Parquet file is read says so itself.
    let is_fault = failure.contains("Fault(");
    let (kind, hint) = if failure.contains(SEVERAL_ROWS) {
        (ErrorKind::Failed, ONE_ROW)
    } else if !is_fault && PARQUET.iter().any(|form| failure.contains(form)) {
        (
            ErrorKind::Corrupt,
            "check that the input files are whole; `emporia tables` shows where they are",
        )
    } else if failure.contains("ReadFault(") {
        (ErrorKind::Failed, READ_FAULT_HINT)
    } else if failure.contains("Resources exhausted") {
        (
            ErrorKind::ResourceExhausted,
            "give the executors more memory, or raise client.target_partitions",
        )
    } else if failure.contains(UNREAD_TASK) {
        (ErrorKind::Failed, UNREAD_TASK_HINT)
    } else if WRONG_VALUE.iter().any(|form| failure.contains(form)) {
        (
            ErrorKind::Failed,
            "TRY_CAST makes null of a value that cannot be converted, NULLIF(x, 0) of a zero",
        )
    } else {
        (
            ErrorKind::Failed,
            "the event log and the executors' logs have the details",
        )
    };
    Some(Error::new(kind, format!("job {job} failed: {}", reason(failure))).with_hint(hint))
}

/// The error for a job that the scheduler could not plan because of the query; `None` where
/// something else was in the way.
fn planning_failure(failure: &str) -> Option<Error> {
    let kind = if failure.contains("NotImplemented(\"") {
        ErrorKind::Unsupported
    } else if failure.contains("Internal(\"") {
        return None;
    } else if WRONG_QUERY.iter().any(|form| failure.contains(form)) {
        ErrorKind::InvalidInput
    } else {
        return None;
    };
    Some(Error::new(kind, reason(failure)))
}

fn disk_full() -> Error {
    Error::new(
        ErrorKind::ResourceExhausted,
        "a disk is full: No space left on device",
    )
    .with_hint(
        "free space in the executors' work_dir and at the output location, then submit again",
    )
}

/// The reason in one line, without the wrapping of DataFusion and Ballista.
fn reason(text: &str) -> String {
    let inner = debug_form::reason(text);
    let text = inner.as_deref().unwrap_or(text);
    let mut line = text.lines().next().unwrap_or_default().trim();
    while let Some(rest) = PREFIXES.iter().find_map(|p| line.strip_prefix(p)) {
        line = rest;
    }
    match line {
        "Divide by zero error" => "division by zero".to_owned(),
        line => lowercase_first(line),
    }
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::error::ArrowError;

    use super::*;

    /// Kind and message of what a user sees.
    fn seen(error: DataFusionError) -> (ErrorKind, String) {
        let error = query_error(error);
        (error.kind(), error.to_string())
    }

    fn failed(reason: &str) -> (ErrorKind, String) {
        let text = format!("Job 7XQ failed: {reason}");
        seen(DataFusionError::Execution(text))
    }

    #[test]
    fn job_failures_show_the_reason_only() {
        let stage =
            "Job failed due to stage 1 failed: Task failed due to runtime execution error: ";
        let of_task = |form: &str| failed(&format!("{stage}DataFusionError({form})\n"));
        assert_eq!(
            of_task(r#"Shared(Execution("column \"a\" is bad"))"#),
            (
                ErrorKind::Failed,
                r#"job 7XQ failed: column "a" is bad"#.into()
            )
        );
        assert_eq!(
            of_task("Shared(External(ArrowError(DivideByZero)))"),
            (ErrorKind::Failed, "job 7XQ failed: division by zero".into())
        );
    }

    #[test]
    fn a_query_that_the_scheduler_cannot_plan_is_wrong() {
        let of_plan = |form: &str| failed(&format!("Error planning job 7XQ: {form}"));
        assert_eq!(
            of_plan(
                r#"DataFusionError(Context("type_coercion", Diagnostic(Diagnostic { kind: Error, message: "incompatible types", span: None, notes: [], helps: [] }, Plan("Cannot coerce Utf8 + Int64"))))"#
            ),
            (ErrorKind::InvalidInput, "cannot coerce Utf8 + Int64".into())
        );
        assert_eq!(
            of_plan(
                r#"DataFusionError(Context("Optimizer rule 'simplify_expressions' failed", ArrowError(CastError("Cannot cast string 'abc'"), Some(""))))"#
            ),
            (ErrorKind::InvalidInput, "cannot cast string 'abc'".into())
        );
        assert_eq!(
            of_plan(r#"DataFusionError(NotImplemented("WITH TIES"))"#),
            (ErrorKind::Unsupported, "WITH TIES".into())
        );
        assert_eq!(
            of_plan(r#"DataFusionError(Execution("no such file"))"#),
            (ErrorKind::Failed, "job 7XQ failed: no such file".into())
        );
    }

    #[test]
    fn a_constant_without_value_is_a_wrong_query() {
        let cast = |context: &str| {
            let error = ArrowError::CastError("Cannot cast string 'abc'".into());
            DataFusionError::from(error).context(context)
        };
        let message = "cannot cast string 'abc'".to_owned();
        assert_eq!(
            seen(cast("Optimizer rule 'simplify_expressions' failed")),
            (ErrorKind::InvalidInput, message.clone())
        );
        assert_eq!(
            seen(cast("type_coercion")),
            (ErrorKind::InvalidInput, message.clone())
        );
        assert_eq!(
            seen(cast("While reading a file")),
            (ErrorKind::Failed, message)
        );
        assert_eq!(
            seen(DataFusionError::from(ArrowError::DivideByZero)),
            (ErrorKind::Failed, "division by zero".into())
        );
    }

    #[test]
    fn a_lost_scheduler_is_unavailable() {
        let error = DataFusionError::Execution("Stream closed without job completing".to_owned());
        assert_eq!(query_error(error).kind(), ErrorKind::Unavailable);
    }
}
