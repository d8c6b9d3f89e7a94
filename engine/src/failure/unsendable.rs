//! Queries that have no form on the wire.

use datafusion::error::DataFusionError;
use emporia_core::error::{Error, ErrorKind};

/// What DataFusion writes in front of an expression that it has no message for.
const NO_FORM: &str = "Proto serialization error: ";

/// What DataFusion says of a limit that has to be computed.
const COMPUTED_LIMIT: &str = "LogicalPlan::Limit only supports literal";

/// The error of a query that cannot be written as messages; `None` where whoever sends it may know how, e.g. of the
/// tables that only the client has.
pub(crate) fn unsendable(error: &DataFusionError) -> Option<Error> {
    let text = error.to_string();
    if text.contains(COMPUTED_LIMIT) {
        let text =
            "LIMIT and OFFSET take numbers, and subqueries without columns of an outer query";
        return Some(Error::new(ErrorKind::Unsupported, text));
    }
    let (_, what) = text.split_once(NO_FORM)?;
    let what = what.lines().next().unwrap_or_default();
    let what = what.split(" is not yet supported").next().unwrap_or(what);
    let outer = what
        .split_once("outer_ref(")
        .and_then(|(_, rest)| rest.split_once(')'));
    let (text, hint) = match outer {
        Some((column, _)) => (
            format!(
                "a subquery that reads `{column}` of the query around it in this way is not supported"
            ),
            "write it as a join",
        ),
        None => (
            format!("`{what}` is not supported at this place of a query"),
            "compute it in a subquery after FROM, in WITH, or by a join",
        ),
    };
    Some(Error::new(ErrorKind::Unsupported, text).with_hint(hint))
}

/// Whether a message could not be read, because it has too many others in it, one in the other. The reader of
/// messages has no type for that.
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
