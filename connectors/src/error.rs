//! Conversions between Emporia's errors and DataFusion's.

use std::error::Error as StdError;
use std::io;
use std::iter;

use datafusion::error::DataFusionError;
use emporia_core::error::{EncodedError, Error, ErrorKind};
use parquet::errors::ParquetError;

use crate::files::ReadFault;
use crate::hdfs::Fault;

/// How the operating system says that a disk is full.
pub const DISK_FULL: &str = "No space left on device";

/// What to do where a file of a table is damaged.
pub const DAMAGED_FILES: &str =
    "check that the input files are complete; `emporia tables` shows where they are";

/// Carries an Emporia error through a plan.
pub fn to_datafusion(error: Error) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}

/// Carries an error through a plan that goes away by itself: Ballista runs a task again after an I/O error, and
/// after no other.
pub(crate) fn worth_another_try(error: Error) -> DataFusionError {
    DataFusionError::IoError(io::Error::other(error))
}

/// The error and what it was made of, outermost first.
pub fn causes<'a>(
    error: &'a (dyn StdError + 'static),
) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    iter::successors(Some(error), |&error| {
        // These pass over the errors that they were made of.
        let io = error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref);
        let parquet = match error.downcast_ref::<ParquetError>() {
            Some(ParquetError::External(inner)) => Some(inner),
            _ => None,
        };
        let inner = io.map(|e| e as &(dyn StdError + 'static));
        inner
            .or_else(|| parquet.map(|e| e.as_ref() as _))
            .or_else(|| error.source())
    })
}

/// What a reader of Parquet says, without the kind of its error where it says enough.
pub fn parquet_text(error: &ParquetError) -> String {
    match error {
        ParquetError::General(text) | ParquetError::EOF(text) | ParquetError::NYI(text) => {
            text.clone()
        }
        other => other.to_string(),
    }
}

/// A row that is longer than what is read of a line.
pub(crate) fn too_long(limit: usize, form: &str) -> DataFusionError {
    let error = Error::invalid(format!("a row takes more than {limit} bytes as {form}"));
    to_datafusion(error.with_hint("write parquet, which has no such limit"))
}

/// What Emporia knows about an error, by its own errors and those of the stores among the causes; `None` where
/// the engine is to be asked.
pub fn known(error: &(dyn StdError + 'static)) -> Option<EncodedError> {
    for cause in causes(error) {
        if let Some(encoded) = cause.downcast_ref::<EncodedError>() {
            return Some(encoded.clone());
        }
        if let Some(own) = cause.downcast_ref::<Error>() {
            return Some(own.into());
        }
        if let Some(fault) = cause.downcast_ref::<Fault>() {
            let encoded = EncodedError::new(fault.error_kind(), fault.to_string());
            return Some(match fault.hint() {
                Some(hint) => encoded.with_hint(hint),
                None => encoded,
            });
        }
        if let Some(fault) = cause.downcast_ref::<ReadFault>() {
            let encoded = EncodedError::new(ErrorKind::Failed, fault.to_string());
            return Some(encoded.with_hint(ReadFault::HINT));
        }
    }
    is_io(error, io::ErrorKind::StorageFull).then(|| {
        let text = format!("a disk is full: {DISK_FULL}");
        let hint =
            "free space in the executors' work_dir and at the output location, then submit again";
        EncodedError::new(ErrorKind::ResourceExhausted, text).with_hint(hint)
    })
}

/// Whether an I/O error of this kind is among the causes.
pub(crate) fn is_io(error: &(dyn StdError + 'static), kind: io::ErrorKind) -> bool {
    causes(error).any(|cause| {
        let io = cause.downcast_ref::<io::Error>();
        io.is_some_and(|io| io.kind() == kind)
    })
}

/// What the operating system says, where its error is the innermost cause.
pub(crate) fn of_system<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a io::Error> {
    let io = causes(error).filter_map(|cause| cause.downcast_ref::<io::Error>());
    io.last().filter(|io| io.raw_os_error().is_some())
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::error::ArrowError;

    use super::*;

    fn gone() -> Error {
        Error::new(ErrorKind::Unavailable, "cannot read `shop`").with_hint("start it")
    }

    #[test]
    fn an_error_is_found_below_what_wraps_it() {
        let in_arrow = ArrowError::ExternalError(Box::new(to_datafusion(gone())));
        let in_parquet = ParquetError::External(Box::new(gone()));
        for error in [
            to_datafusion(gone()),
            worth_another_try(gone()),
            DataFusionError::from(in_arrow).context("while reading"),
            DataFusionError::from(in_parquet),
            DataFusionError::IoError(io::Error::other(worth_another_try(gone()))),
        ] {
            let found = known(&error);
            assert_eq!(found, Some(EncodedError::from(&gone())), "{error:?}");
        }
        assert_eq!(known(&DataFusionError::Execution("x".to_owned())), None);
    }

    #[test]
    fn a_full_disk_is_found() {
        let full = io::Error::from(io::ErrorKind::StorageFull);
        let error = DataFusionError::from(ArrowError::IoError("cannot write".to_owned(), full));
        assert!(is_io(&error, io::ErrorKind::StorageFull));
        let kind = known(&error).map(|error| error.kind);
        assert_eq!(kind, Some(ErrorKind::ResourceExhausted));
        assert_eq!(
            known(&DataFusionError::IoError(io::Error::other("x"))),
            None
        );
    }
}
