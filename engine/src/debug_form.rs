//! Reads errors that crossed the wire in their debug form, for example
//! `DataFusionError(Shared(External(ArrowError(DivideByZero))))`.
//!
//! The scheduler and the executors report a failure as a text, and Ballista makes that text with
//! `{:?}`. What a user wants to know is the innermost part of it.

/// Wrappers whose text is not the reason: the name of a planner's rule, an empty backtrace.
const NO_REASON: [&str; 2] = ["Context", "Some"];

/// The innermost reason of an error in debug form; `None` where the text is none.
pub(crate) fn reason(text: &str) -> Option<String> {
    let literals = literals(text);
    let of_variant = |literal: &&Literal| {
        literal.is_argument
            && literal.owner.starts_with(char::is_uppercase)
            && !NO_REASON.contains(&literal.owner)
    };
    let of_message =
        |literal: &&Literal| !literal.is_argument && ["message", "error"].contains(&literal.owner);
    if let Some(literal) = literals.iter().find(of_variant) {
        return Some(literal.text.clone());
    }
    // What a task said the last time that it failed is quoted once more.
    let mut quoted = literals.iter().filter(|literal| literal.owner == "reason");
    if let Some(inner) = quoted.find_map(|literal| reason(&literal.text)) {
        return Some(inner);
    }
    match literals.iter().find(of_message) {
        Some(literal) => Some(literal.text.clone()),
        None => innermost_variant(text).map(|variant| words(&variant)),
    }
}

/// A quoted text and what it belongs to: the variant in `Plan("…")`, the field in `message: "…"`.
struct Literal<'a> {
    owner: &'a str,
    is_argument: bool,
    text: String,
}

fn literals(text: &str) -> Vec<Literal<'_>> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('"') {
        let Some((literal, end)) = unescaped(after) else {
            break;
        };
        let is_argument = before.ends_with('(');
        let owner = before.trim_end_matches(['(', ':', ' ']);
        let start = owner
            .rfind(|c: char| !c.is_ascii_alphanumeric() && c != '_')
            .map_or(0, |at| at + 1);
        found.push(Literal {
            owner: owner.get(start..).unwrap_or_default(),
            is_argument,
            text: literal,
        });
        rest = after.get(end..).unwrap_or_default();
    }
    found
}

/// The text up to the closing quote without its escapes, and where it goes on behind the quote.
fn unescaped(text: &str) -> Option<(String, usize)> {
    let mut literal = String::new();
    let mut chars = text.char_indices();
    loop {
        match chars.next()? {
            (at, '"') => return Some((literal, at + 1)),
            (_, '\\') => match chars.next()?.1 {
                'n' | 'r' | 't' => literal.push(' '),
                other => literal.push(other),
            },
            (_, other) => literal.push(other),
        }
    }
}

/// `DivideByZero` in `DataFusionError(Shared(ArrowError(DivideByZero)))`.
fn innermost_variant(text: &str) -> Option<String> {
    let at = text.find("DataFusionError(")?;
    let form = text.get(at..)?.trim();
    let is_nested = form
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || c == '(' || c == ')');
    let (_, variant) = form.trim_end_matches(')').rsplit_once('(')?;
    (is_nested && !variant.is_empty()).then(|| variant.to_owned())
}

/// The words of a variant's name.
fn words(variant: &str) -> String {
    if variant == "DivideByZero" {
        return "division by zero".to_owned();
    }
    let mut text = String::new();
    for (index, c) in variant.chars().enumerate() {
        if c.is_uppercase() && index > 0 {
            text.push(' ');
        }
        text.extend(c.to_lowercase());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<&str>) {
        assert_eq!(reason(text).as_deref(), expected, "{text}");
    }

    #[test]
    fn the_innermost_text_is_the_reason() {
        check(
            r#"Task failed: DataFusionError(Shared(Execution("column \"a\" is bad")))"#,
            Some(r#"column "a" is bad"#),
        );
        check(
            r#"DataFusionError(Shared(External(ArrowError(CastError("no number: 'x'")))))"#,
            Some("no number: 'x'"),
        );
        check(
            r#"DataFusionError(ArrowError(ParseError("no\ntime"), Some("")))"#,
            Some("no time"),
        );
    }

    #[test]
    fn the_name_of_a_rule_is_not_the_reason() {
        check(
            r#"DataFusionError(Context("type_coercion", Diagnostic(Diagnostic { kind: Error, message: "incompatible types", span: None, notes: [], helps: [] }, Plan("cannot coerce"))))"#,
            Some("cannot coerce"),
        );
    }

    #[test]
    fn a_message_without_variant_is_found() {
        check(
            r#"DataFusionError(IoError(Os { code: 2, kind: NotFound, message: "no such file" }))"#,
            Some("no such file"),
        );
    }

    #[test]
    fn an_io_error_with_a_text_is_read() {
        check(
            r#"DataFusionError(IoError(Custom { kind: Other, error: "cannot read `t`" }))"#,
            Some("cannot read `t`"),
        );
    }

    #[test]
    fn the_reason_of_a_task_that_failed_often_is_read() {
        check(
            r#"Task 0 in Stage 1 failed 4 times, most recent failure reason: "Task failed due to IO error: DataFusionError(Shared(External(DataFusionError(IoError(Custom { kind: Other, error: \"cannot write \\\"a\\\"\" })))))""#,
            Some(r#"cannot write "a""#),
        );
    }

    #[test]
    fn a_variant_without_text_becomes_words() {
        check(
            "Task failed: DataFusionError(Shared(External(ArrowError(DivideByZero))))\n",
            Some("division by zero"),
        );
        check(
            "DataFusionError(ArrowError(DictionaryKeyOverflowError))",
            Some("dictionary key overflow error"),
        );
    }

    #[test]
    fn plain_text_is_left_alone() {
        check("Execution error: no function sum(Utf8View)", None);
        check("the line `\"a\",b` is bad", None);
        check("", None);
    }
}
