//! Why a record could not be read, and what the error says: the file, the line and the byte.

use datafusion::error::DataFusionError;

use super::text::TextOfFile;

/// Why reading ends.
#[derive(Debug)]
pub(super) enum Failure {
    /// A record is bad, and reading is not permissive.
    Record {
        /// Where it begins in the text of the file.
        offset: u64,
        /// What is wrong with it, and what stands there.
        text: String,
        /// What to do.
        hint: &'static str,
    },
    Other(DataFusionError),
}

impl From<DataFusionError> for Failure {
    fn from(error: DataFusionError) -> Self {
        Self::Other(error)
    }
}

/// The file that is read.
pub(super) struct Place {
    pub(super) text: TextOfFile,
    /// Its location.
    pub(super) file: String,
}

impl Place {
    /// The error for a failure. To count the lines, the text before the record is read again.
    pub(super) async fn error(&self, failure: Failure) -> DataFusionError {
        let (offset, text, hint) = match failure {
            Failure::Other(error) => return error,
            Failure::Record { offset, text, hint } => (offset, text, hint),
        };
        let line = match self.text.line_of(offset).await {
            Ok(line) => format!("line {line}, "),
            Err(_) => String::new(),
        };
        DataFusionError::Execution(format!(
            "cannot read the record at {line}byte {offset} of `{}`: {text}; {hint}",
            self.file
        ))
    }
}
