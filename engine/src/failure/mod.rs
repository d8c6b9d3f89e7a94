//! From DataFusion's and Ballista's errors to Emporia's.
//!
//! An error is described where it happens, from its types ([`describe`]). What happens in the scheduler and the
//! executors crosses to the client as an [`EncodedError`], and is the same error there.

use datafusion::error::DataFusionError;
use emporia_core::error::{EncodedError, Error};

mod describe;
mod disk;
mod job;
mod plain;
mod unsendable;

pub(crate) use describe::Work;
use describe::describe;
pub(crate) use job::{job_failed, lost_scheduler};
pub(crate) use unsendable::{is_too_deep, too_deep, unsendable};

/// Classifies the failure of a query in this process.
pub fn query_error(error: DataFusionError) -> Error {
    // A text of another process, of which no job is known.
    let told = EncodedError::find(&error.to_string());
    told.unwrap_or_else(|| describe(&error, Work::Plan)).into()
}

/// An error of a task, in the form in which it crosses to the client. What Ballista itself has to know of it
/// stays: whether an output could not be fetched, and whether the task may be tried again.
pub fn task_error(error: DataFusionError) -> DataFusionError {
    if describe::is_of_ballista(&error) {
        return error;
    }
    let error = disk::as_fault_of_disk(error);
    let encoded = describe(&error, Work::Task);
    match describe::is_worth_another_try(&error) {
        true => DataFusionError::IoError(std::io::Error::other(encoded)),
        false => DataFusionError::External(Box::new(encoded)),
    }
}

/// An error of planning, in the form in which it crosses to the client.
pub(crate) fn planning_error(error: DataFusionError) -> DataFusionError {
    DataFusionError::External(Box::new(describe(&error, Work::Plan)))
}
