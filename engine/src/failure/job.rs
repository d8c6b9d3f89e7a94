//! Failures of jobs, as the scheduler tells them.

use datafusion::error::DataFusionError;
use emporia_core::error::{EncodedError, Error, ErrorKind};
use emporia_core::text::lowercase_first;

use super::describe::SEE_LOGS;
use super::plain::transport_text;
use super::{is_too_deep, too_deep};

/// What the scheduler says if an executor could not read its task.
const UNREAD_TASK: &str = "task could not be prepared or was rejected by executor";
const UNREAD_TASK_HINT: &str = "a key of PARTITION BY that is nested more than about 30 deep cannot be sent; compute it \
    in a subquery. An executor of another version than the scheduler cannot read its tasks, either. For any other \
    cause see the executors' logs";

/// All that the scheduler says about a job that somebody cancelled, or that it cancelled because nobody asked for it.
const CANCELLED: &str = "Cancelled";
const CANCELLED_HINT: &str = "somebody cancelled it, or its client was silent for too long: one that is stopped or cut off \
    from the scheduler for about 25 s loses its jobs";

/// The error of a job, by what the scheduler says about it.
pub(crate) fn job_failed(job: &str, told: &str) -> Error {
    if let Some(mut encoded) = EncodedError::find(told) {
        let is_of_query = matches!(
            encoded.kind,
            ErrorKind::InvalidInput | ErrorKind::Unsupported
        );
        if !is_of_query {
            encoded.message = format!("job {job} failed: {}", encoded.message);
        }
        return encoded.into();
    }
    if is_too_deep(told) {
        return too_deep();
    }
    if told.trim() == CANCELLED {
        let text = format!("job {job} was cancelled");
        return Error::new(ErrorKind::Failed, text).with_hint(CANCELLED_HINT);
    }
    // The scheduler's own words.
    let reason = lowercase_first(told.lines().next().unwrap_or_default().trim());
    let hint = match told.contains(UNREAD_TASK) {
        true => UNREAD_TASK_HINT,
        false => SEE_LOGS,
    };
    Error::new(ErrorKind::Failed, format!("job {job} failed: {reason}")).with_hint(hint)
}

/// The error where the scheduler does not answer, or does not know the job any more.
pub(crate) fn lost_scheduler(error: DataFusionError) -> Error {
    let told = error.to_string();
    // Its last words.
    if let Some(encoded) = EncodedError::find(&told) {
        return encoded.into();
    }
    let text = "lost the connection to the scheduler";
    let lost = Error::new(ErrorKind::Unavailable, text)
        .with_hint("check that it runs and that the address is right, then submit again");
    match transport_text(&told) {
        Some(cause) => {
            tracing::debug!(%error, "the connection broke");
            lost.with_source(cause)
        }
        None => lost.with_source(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::task_error;

    /// The error of a task, told by the executor and the scheduler in their ways.
    fn told(error: DataFusionError) -> Error {
        let failed = format!(
            "Task failed due to runtime execution error: {:?}",
            task_error(error)
        );
        job_failed(
            "7XQ",
            &format!("Job failed due to stage 1 failed: {failed:?}\n"),
        )
    }

    #[test]
    fn an_error_of_a_task_is_the_same_for_the_client() {
        let gone = Error::new(ErrorKind::Unavailable, "cannot read `t`")
            .with_hint("start it")
            .with_source(std::io::Error::other("refused"));
        let error = told(DataFusionError::External(Box::new(gone)));
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert_eq!(error.to_string(), "job 7XQ failed: cannot read `t`");
        assert_eq!(error.hint(), Some("start it"));
        let cause = std::error::Error::source(&error).map(ToString::to_string);
        assert_eq!(cause.as_deref(), Some("refused"));
    }

    #[test]
    fn an_error_of_the_query_needs_no_job() {
        let error = told(DataFusionError::NotImplemented("WITH TIES".to_owned()));
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert_eq!(error.to_string(), "WITH TIES");
    }

    #[test]
    fn a_lost_scheduler_is_told_in_words() {
        let cause = |text: &str| {
            let error = lost_scheduler(DataFusionError::Execution(text.to_owned()));
            (
                error.to_string(),
                std::error::Error::source(&error).map(ToString::to_string),
            )
        };
        let (text, told) =
            cause("Status { code: Unavailable, message: \"gone\", metadata: MetadataMap {} }");
        assert_eq!(text, "lost the connection to the scheduler");
        assert_eq!(told.as_deref(), Some("gone"));
        let last = EncodedError::new(ErrorKind::Unavailable, "the scheduler is shutting down");
        let (text, told) = cause(&format!("Status {{ message: {:?} }}", format!("{last:?}")));
        assert_eq!(
            (text.as_str(), told),
            ("the scheduler is shutting down", None)
        );
    }

    #[test]
    fn a_cancelled_job_is_no_failure_of_the_cluster() {
        let error = job_failed("7XQ", "Cancelled");
        assert_eq!(error.to_string(), "job 7XQ was cancelled");
        assert_eq!(error.hint(), Some(CANCELLED_HINT));
    }

    #[test]
    fn the_scheduler_has_words_of_its_own() {
        let error = job_failed("7XQ", "All executors are gone\nmore");
        assert_eq!(error.to_string(), "job 7XQ failed: all executors are gone");
        assert_eq!(error.hint(), Some(SEE_LOGS));
        let error = job_failed("7XQ", &format!("stage 1: {UNREAD_TASK}"));
        assert_eq!(error.hint(), Some(UNREAD_TASK_HINT));
    }
}
