//! What an error means to a user, by its types.

use std::error::Error as StdError;

use ballista_core::error::BallistaError;
use datafusion::arrow::error::ArrowError;
use datafusion::error::DataFusionError;
use datafusion::parquet::errors::ParquetError;
use emporia_connectors::error::{DAMAGED_FILES, causes, known, parquet_text};
use emporia_core::error::{EncodedError, ErrorKind};
use emporia_core::text::lowercase_first;

use super::plain::transport_text;

/// What failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    /// Planning a query: nothing was started.
    Plan,
    /// A task of a query.
    Task,
}

const NO_MEMORY: &str = "give the executors more memory, or raise client.target_partitions";
const NO_VALUE: &str =
    "TRY_CAST makes null of a value that cannot be converted, NULLIF(x, 0) of a zero";
pub(super) const SEE_LOGS: &str = "the event log and the executors' logs have the details";

/// Describes an error of the engine, of the stores or of Emporia.
pub(super) fn describe(error: &DataFusionError, work: Work) -> EncodedError {
    let cause = below_ballista(error);
    if let Some(mut known) = known(cause) {
        // Something was started.
        if work == Work::Task && known.kind == ErrorKind::InvalidInput {
            known.kind = ErrorKind::Failed;
        }
        return known;
    }
    match Innermost::of(cause) {
        Innermost::Arrow(arrow) => of_arrow(arrow, kind_of_value(error, work)),
        Innermost::Parquet(parquet) => {
            EncodedError::new(ErrorKind::Corrupt, reason(&parquet_text(parquet)))
                .with_hint(DAMAGED_FILES)
        }
        Innermost::Engine(engine) => of_engine(engine, error, work),
        Innermost::Other(text) => EncodedError::new(ErrorKind::Failed, reason(&text)),
    }
}

/// Whether Ballista runs the task again.
pub(super) fn is_worth_another_try(error: &DataFusionError) -> bool {
    match error.find_root() {
        DataFusionError::IoError(_) => true,
        DataFusionError::External(inner) => match inner.downcast_ref() {
            Some(BallistaError::IoError(_)) => true,
            Some(BallistaError::DataFusionError(inner)) => is_worth_another_try(inner),
            _ => false,
        },
        _ => false,
    }
}

/// Whether the error says something to Ballista, which looks for errors of its own, also within others of its own.
pub(super) fn is_of_ballista(error: &DataFusionError) -> bool {
    matches!(
        ballista(below_ballista(error)),
        Some(BallistaError::FetchFailed(..) | BallistaError::Cancelled)
    )
}

fn ballista<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a BallistaError> {
    causes(error).find_map(|cause| cause.downcast_ref())
}

/// Ballista's error passes over the one that it was made of.
fn below_ballista<'a>(error: &'a (dyn StdError + 'static)) -> &'a (dyn StdError + 'static) {
    match ballista(error) {
        Some(BallistaError::DataFusionError(inner)) => below_ballista(inner.as_ref()),
        Some(BallistaError::ArrowError(inner)) => below_ballista(inner.as_ref()),
        Some(BallistaError::IoError(inner)) => below_ballista(inner),
        _ => error,
    }
}

/// The last cause that says what went wrong.
enum Innermost<'a> {
    Engine(&'a DataFusionError),
    Arrow(&'a ArrowError),
    Parquet(&'a ParquetError),
    Other(String),
}

impl<'a> Innermost<'a> {
    fn of(error: &'a (dyn StdError + 'static)) -> Self {
        let last = causes(error).filter_map(Self::typed).last();
        last.unwrap_or_else(|| Self::Other(error.to_string()))
    }

    fn typed(cause: &'a (dyn StdError + 'static)) -> Option<Self> {
        let arrow = cause.downcast_ref().map(Self::Arrow);
        let parquet = || cause.downcast_ref().map(Self::Parquet);
        let engine = || cause.downcast_ref().map(Self::Engine);
        arrow.or_else(parquet).or_else(engine)
    }
}

fn of_engine(engine: &DataFusionError, whole: &DataFusionError, work: Work) -> EncodedError {
    let wrong_query = match work {
        Work::Plan => ErrorKind::InvalidInput,
        Work::Task => ErrorKind::Failed,
    };
    let (kind, hint) = match engine {
        DataFusionError::SQL(..)
        | DataFusionError::Plan(_)
        | DataFusionError::SchemaError(..)
        | DataFusionError::Configuration(_) => (wrong_query, None),
        DataFusionError::NotImplemented(_) => (ErrorKind::Unsupported, None),
        DataFusionError::ResourcesExhausted(_) => (ErrorKind::ResourceExhausted, Some(NO_MEMORY)),
        DataFusionError::Internal(_) | DataFusionError::ExecutionJoin(_) => (
            ErrorKind::Internal,
            (work == Work::Task).then_some(SEE_LOGS),
        ),
        _ => (kind_of_value(whole, work), None),
    };
    let encoded = EncodedError::new(kind, reason(&engine.message()));
    match hint {
        Some(hint) => encoded.with_hint(hint),
        None => encoded,
    }
}

fn of_arrow(error: &ArrowError, kind: ErrorKind) -> EncodedError {
    let text = match error {
        ArrowError::DivideByZero => "division by zero",
        ArrowError::CastError(text)
        | ArrowError::ParseError(text)
        | ArrowError::ArithmeticOverflow(text) => text,
        ArrowError::ParquetError(text) => {
            return EncodedError::new(ErrorKind::Corrupt, reason(text)).with_hint(DAMAGED_FILES);
        }
        ArrowError::ComputeError(text)
        | ArrowError::InvalidArgumentError(text)
        | ArrowError::SchemaError(text) => return EncodedError::new(kind, reason(text)),
        other => return EncodedError::new(kind, reason(&other.to_string())),
    };
    EncodedError::new(kind, reason(text)).with_hint(NO_VALUE)
}

/// A constant of the query that has no value, for example `CAST('abc' AS INT)`, is found while planning.
fn kind_of_value(error: &DataFusionError, work: Work) -> ErrorKind {
    match work {
        Work::Plan if is_of_a_rule(error) => ErrorKind::InvalidInput,
        _ => ErrorKind::Failed,
    }
}

/// Whether the error comes from a rule of the planner, which names itself in front of the cause.
fn is_of_a_rule(error: &DataFusionError) -> bool {
    match error {
        DataFusionError::Context(rule, cause) => {
            let is_name = |name: &str| name.chars().all(|c| c.is_ascii_lowercase() || c == '_');
            rule.starts_with("Optimizer rule '") || is_name(rule) || is_of_a_rule(cause)
        }
        DataFusionError::Diagnostic(_, cause) => is_of_a_rule(cause),
        DataFusionError::Shared(cause) => is_of_a_rule(cause),
        _ => false,
    }
}

/// The first line, as a sentence goes on.
fn reason(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default().trim();
    lowercase_first(&transport_text(line).unwrap_or_else(|| line.to_owned()))
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Arc;

    use emporia_core::error::Error;

    use super::*;

    fn seen(error: &DataFusionError, work: Work) -> (ErrorKind, String) {
        let encoded = describe(error, work);
        (encoded.kind, encoded.message)
    }

    #[test]
    fn a_constant_without_value_is_a_wrong_query() {
        let cast = |context: &str| {
            let error = ArrowError::CastError("Cannot cast string 'abc'".into());
            DataFusionError::from(error).context(context)
        };
        let message = "cannot cast string 'abc'".to_owned();
        for (context, work, kind) in [
            (
                "Optimizer rule 'simplify_expressions' failed",
                Work::Plan,
                ErrorKind::InvalidInput,
            ),
            ("type_coercion", Work::Plan, ErrorKind::InvalidInput),
            ("While reading a file", Work::Plan, ErrorKind::Failed),
            ("type_coercion", Work::Task, ErrorKind::Failed),
        ] {
            assert_eq!(
                seen(&cast(context), work),
                (kind, message.clone()),
                "{context}"
            );
        }
    }

    #[test]
    fn the_innermost_reason_is_told() {
        let zero = DataFusionError::External(Box::new(ArrowError::DivideByZero));
        let zero = DataFusionError::Shared(Arc::new(zero));
        let expected = (ErrorKind::Failed, "division by zero".to_owned());
        assert_eq!(seen(&zero, Work::Task), expected);
        for of_ballista in [
            BallistaError::DataFusionError(Box::new(zero)),
            BallistaError::ArrowError(Box::new(ArrowError::DivideByZero)),
        ] {
            assert_eq!(seen(&of_ballista.into_datafusion(), Work::Task), expected);
        }

        let damaged = ParquetError::General("Invalid file\nx".to_owned());
        let damaged = DataFusionError::from(damaged).context("reading");
        let expected = (ErrorKind::Corrupt, "invalid file".to_owned());
        assert_eq!(seen(&damaged, Work::Task), expected);
    }

    #[test]
    fn an_error_of_emporia_keeps_its_kind() {
        let gone = Error::new(ErrorKind::Unavailable, "cannot read `t`").with_hint("start it");
        let error = DataFusionError::IoError(io::Error::other(gone));
        let encoded = describe(&error, Work::Task);
        assert_eq!(encoded.kind, ErrorKind::Unavailable);
        assert_eq!(encoded.hint.as_deref(), Some("start it"));

        let no_key = || DataFusionError::External(Box::new(Error::invalid("the key is null")));
        assert_eq!(describe(&no_key(), Work::Task).kind, ErrorKind::Failed);
        assert_eq!(
            describe(&no_key(), Work::Plan).kind,
            ErrorKind::InvalidInput
        );
    }

    #[test]
    fn what_ballista_needs_is_found() {
        let fetch = BallistaError::FetchFailed("e".to_owned(), 1, 2, "gone".to_owned());
        let fetch = fetch.into_datafusion().context("x");
        assert!(is_of_ballista(&fetch));
        // As a writer of output that reads another one hands it on.
        let written = BallistaError::DataFusionError(Box::new(fetch));
        assert!(is_of_ballista(&written.into_datafusion()));
        assert!(!is_of_ballista(&DataFusionError::Execution("x".to_owned())));

        let io = || io::Error::other("x");
        let in_ballista = BallistaError::IoError(io()).into_datafusion();
        for error in [DataFusionError::IoError(io()), in_ballista] {
            assert!(is_worth_another_try(&error), "{error}");
        }
        assert!(!is_worth_another_try(&DataFusionError::Execution(
            "x".to_owned()
        )));
    }
}
