//! How a process tells a person about an error: headline, causes, hint.

use std::error::Error as _;
use std::io::Write;

use crate::error::Error;

/// Writes `error: …`, one `caused by: …` per cause and `hint: …` to standard error.
pub fn to_stderr(error: &Error) {
    // Nothing is left to do where standard error itself is closed.
    let _ = write(error, &mut std::io::stderr().lock());
}

/// Writes the report to `out`.
///
/// # Errors
/// Those of `out`.
pub fn write(error: &Error, out: &mut impl Write) -> std::io::Result<()> {
    writeln!(out, "error: {error}")?;
    let mut shown = error.to_string();
    let mut cause = error.source();
    while let Some(source) = cause {
        let text = source.to_string();
        // Many libraries repeat their cause in their own text.
        if !shown.contains(&text) {
            writeln!(out, "  caused by: {text}")?;
            shown = text;
        }
        cause = source.source();
    }
    if let Some(hint) = error.hint().filter(|h| !h.is_empty()) {
        writeln!(out, "hint: {hint}")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_each_cause_once() -> std::io::Result<()> {
        let cause = std::io::Error::other("disk on fire");
        let error = Error::internal("cannot write `x`")
            .with_source(cause)
            .with_hint("use water");
        let mut out = Vec::new();
        write(&error, &mut out)?;
        let expected = "error: cannot write `x`\n  caused by: disk on fire\nhint: use water\n";
        assert_eq!(String::from_utf8_lossy(&out), expected);
        Ok(())
    }
}
