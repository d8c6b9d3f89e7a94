//! How the program ends: messages on standard error and the exit code.

use std::error::Error as StdError;
use std::fmt;
use std::io::{self, Write};

use emporia_core::error::Error;

/// The reader of standard output went away, as in `emporia … | head`. That is no failure.
#[derive(Debug)]
pub(crate) struct StdoutClosed;

impl fmt::Display for StdoutClosed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the reader of the output has gone")
    }
}

impl StdError for StdoutClosed {}

/// Prints an error unless it only says that nobody reads any more; returns the exit code.
pub fn finish(error: &Error, verbose: bool) -> u8 {
    if is_stdout_closed(error) {
        return 0;
    }
    let text = describe(error, verbose);
    // There is nowhere left to complain to.
    let _ = io::stderr().lock().write_all(text.as_bytes());
    error.kind().exit_code()
}

/// The lines of an error: message, causes and hint.
///
/// Without `verbose` only the innermost cause is shown, and none where the message has its text.
pub fn describe(error: &Error, verbose: bool) -> String {
    let mut lines = vec![format!("error: {error}")];
    let causes = causes(error);
    let shown = if verbose {
        &causes[..]
    } else {
        &causes[causes.len().saturating_sub(1)..]
    };
    lines.extend(shown.iter().map(|cause| format!("  caused by: {cause}")));
    let hint = error.hint().filter(|hint| !hint.is_empty());
    lines.extend(hint.map(|hint| format!("hint: {hint}")));
    lines.push(String::new());
    lines.join("\n")
}

/// Causes from the outermost to the innermost; those that repeat the line above are left out.
fn causes(error: &Error) -> Vec<String> {
    let mut causes: Vec<String> = Vec::new();
    let mut above = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let text = cause.to_string();
        if !above.contains(&text) {
            causes.push(text.clone());
        }
        above = text;
        next = cause.source();
    }
    causes
}

fn is_stdout_closed(error: &Error) -> bool {
    let mut next = error.source();
    while let Some(cause) = next {
        let io = cause
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref);
        if cause.is::<StdoutClosed>() || io.is_some_and(|inner| inner.is::<StdoutClosed>()) {
            return true;
        }
        next = cause.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use emporia_core::error::ErrorKind;

    use super::*;

    #[test]
    fn errors_show_message_cause_and_hint() {
        let deep = Error::invalid("no digits").with_source(io::Error::other("disk"));
        let error = Error::new(ErrorKind::Failed, "cannot run")
            .with_source(deep)
            .with_hint("rest");
        let short = "error: cannot run\n  caused by: disk\nhint: rest\n";
        assert_eq!(describe(&error, false), short);
        let long = "error: cannot run\n  caused by: no digits\n  caused by: disk\nhint: rest\n";
        assert_eq!(describe(&error, true), long);
        assert_eq!(describe(&Error::invalid("bad"), true), "error: bad\n");
    }

    #[test]
    fn a_cause_is_not_repeated() {
        let error = Error::invalid("cannot read: gone").with_source(io::Error::other("gone"));
        assert_eq!(describe(&error, true), "error: cannot read: gone\n");
    }

    #[test]
    fn exit_code_is_that_of_the_kind() {
        for (kind, code) in [
            (ErrorKind::Failed, 1),
            (ErrorKind::InvalidInput, 3),
            (ErrorKind::NotFound, 3),
            (ErrorKind::Unavailable, 4),
            (ErrorKind::Timeout, 5),
            (ErrorKind::Cancelled, 130),
        ] {
            assert_eq!(finish(&Error::new(kind, "test of exit codes"), false), code);
        }
    }

    #[test]
    fn a_closed_standard_output_is_success() {
        let pipe = io::Error::new(io::ErrorKind::BrokenPipe, StdoutClosed);
        let error = Error::new(ErrorKind::Failed, "cannot print").with_source(pipe);
        assert_eq!(finish(&error, false), 0);
        let other = io::Error::from(io::ErrorKind::BrokenPipe);
        let error = Error::new(ErrorKind::Unavailable, "lost").with_source(other);
        assert_eq!(finish(&error, false), 4);
    }
}
