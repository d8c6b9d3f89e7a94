//! From DataFusion's and Ballista's errors to Emporia's.

use datafusion::error::DataFusionError;
use emporia_connectors::published::is_disk_full;
use emporia_core::error::{Error, ErrorKind};

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

/// Classifies the failure of a query.
pub fn query_error(error: DataFusionError) -> Error {
    let text = error.to_string();
    if let Some(failure) = job_failure(&text) {
        return failure;
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
    let kind = match error.find_root() {
        DataFusionError::SQL(..)
        | DataFusionError::Plan(_)
        | DataFusionError::SchemaError(..)
        | DataFusionError::Configuration(_) => ErrorKind::InvalidInput,
        DataFusionError::NotImplemented(_) => ErrorKind::Unsupported,
        DataFusionError::ResourcesExhausted(_) => ErrorKind::ResourceExhausted,
        DataFusionError::Internal(_) => ErrorKind::Internal,
        DataFusionError::ParquetError(_) => ErrorKind::Corrupt,
        _ => ErrorKind::Failed,
    };
    Error::new(kind, first_line(&text))
}

/// `Job <id> failed: <reason>` as the scheduler reports it.
fn job_failure(text: &str) -> Option<Error> {
    let (before, reason) = text.split_once(" failed: ")?;
    let job = before.rsplit_once("Job ")?.1;
    if reason.contains("No space left on device") {
        return Some(disk_full());
    }
    let (kind, hint) = if reason.to_lowercase().contains("parquet") {
        (
            ErrorKind::Corrupt,
            "check that the input files are whole; `emporia tables` shows where they are",
        )
    } else if reason.contains("Resources exhausted") {
        (
            ErrorKind::ResourceExhausted,
            "give the executors more memory, or raise client.target_partitions",
        )
    } else {
        (
            ErrorKind::Failed,
            "the event log and the executors' logs have the details",
        )
    };
    Some(Error::new(kind, format!("job {job} failed: {}", first_line(reason))).with_hint(hint))
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

/// The text up to the first line break, without the wrapping of DataFusion and Ballista.
fn first_line(text: &str) -> String {
    if let Some(inner) = debug_text(text) {
        return inner;
    }
    let mut line = text.lines().next().unwrap_or_default().trim();
    for prefix in [
        "Execution error: ",
        "External error: ",
        "Error during planning: ",
        "Task failed due to runtime execution error: ",
    ] {
        while let Some(rest) = line.strip_prefix(prefix) {
            line = rest;
        }
    }
    line.to_owned()
}

/// The innermost text of an error that crossed the wire in its debug form, for example
/// `DataFusionError(Shared(Execution("the reason")))`.
fn debug_text(text: &str) -> Option<String> {
    let start = text.find("(\"")? + 2;
    let mut inner = String::new();
    let mut rest = text.get(start..)?.chars();
    loop {
        match rest.next()? {
            '"' => return Some(inner),
            '\\' => match rest.next()? {
                'n' => inner.push(' '),
                other => inner.push(other),
            },
            other => inner.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn job_failures_show_the_reason_only() {
        let text = r#"Execution error: Job 7XQ failed: Job failed due to stage 1 failed: Task failed due to runtime execution error: DataFusionError(Shared(Execution("column \"a\" is bad")))"#;
        let error = job_failure(text).map(|e| (e.kind(), e.to_string()));
        let expected = (
            ErrorKind::Failed,
            r#"job 7XQ failed: column "a" is bad"#.to_owned(),
        );
        assert_eq!(error, Some(expected));
    }

    #[test]
    fn a_lost_scheduler_is_unavailable() {
        let error = DataFusionError::Execution("Stream closed without job completing".to_owned());
        assert_eq!(query_error(error).kind(), ErrorKind::Unavailable);
    }
}
