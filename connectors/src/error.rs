//! Conversions between Emporia's errors and DataFusion's.

use datafusion::error::DataFusionError;
use emporia_core::error::Error;

/// Carries an Emporia error through a plan.
pub fn to_datafusion(error: Error) -> DataFusionError {
    let text = match error.hint() {
        Some(hint) => format!("{error}; {hint}"),
        None => error.to_string(),
    };
    match std::error::Error::source(&error) {
        Some(source) => DataFusionError::Execution(format!("{text}: {source}")),
        None => DataFusionError::Execution(text),
    }
}
