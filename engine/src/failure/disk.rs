//! A full disk is a fault of one executor: the task may pass on another.
//!
//! Ballista repeats a task that fails by an error of input or output, but some of its writers pass such
//! an error on as plain text, which ends the job.

use std::io::{Error, ErrorKind};

use datafusion::error::DataFusionError;
use emporia_connectors::error::DISK_FULL;

/// `error`, as one of input and output where it says that a disk is full.
pub(super) fn as_fault_of_disk(error: DataFusionError) -> DataFusionError {
    if matches!(error.find_root(), DataFusionError::IoError(_)) {
        return error;
    }
    let text = error.to_string();
    if text.contains(DISK_FULL) {
        DataFusionError::IoError(Error::new(ErrorKind::StorageFull, text))
    } else {
        error
    }
}

#[cfg(test)]
mod tests {
    use ballista_core::error::BallistaError;
    use ballista_core::serde::protobuf::FailedTask;
    use datafusion::common::exec_datafusion_err;

    use super::*;

    fn is_repeated(error: DataFusionError) -> bool {
        FailedTask::from(BallistaError::from(error)).retryable
    }

    #[test]
    fn a_task_that_met_a_full_disk_is_repeated() {
        let flattened = || {
            exec_datafusion_err!("cannot write the index: No space left on device (os error 28)")
        };
        assert!(!is_repeated(flattened()));
        assert!(is_repeated(as_fault_of_disk(flattened())));
        let plain = Error::from(ErrorKind::StorageFull);
        assert!(is_repeated(as_fault_of_disk(plain.into())));
        assert!(!is_repeated(as_fault_of_disk(exec_datafusion_err!(
            "division by zero"
        ))));
    }
}
