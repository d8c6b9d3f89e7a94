//! Unit tests of `header`.

use super::*;

const HEADER: &str = "\
-- name: sales
-- description: Sales of a time
-- param: from timestamp = null -- first instant
-- param: statuses list? = completed,shipped -- statuses
-- param: grain choice(day|month) = day -- bucket
-- param: top int -- how many
--
-- input: transactions
-- input: products
-- output: sales
-- key: currency, day
-- docs: First line,
-- docs: second line: with a colon.

SELECT 1
";

fn parse_text(text: &str) -> Result<Header> {
    parse(&Source::new(text).named("a.sql"))
}

fn failure(text: &str) -> (String, Option<String>) {
    match parse_text(text) {
        Ok(header) => (format!("parsed {header:?}"), None),
        Err(e) => (e.to_string(), e.hint().map(str::to_owned)),
    }
}

#[test]
fn reads_every_key() -> Result<()> {
    let header = parse_text(HEADER)?;
    let spec = &header.spec;
    assert_eq!(
        (spec.name.as_str(), spec.summary.as_str()),
        ("sales", "Sales of a time")
    );
    assert_eq!(spec.inputs, ["transactions", "products"]);
    assert_eq!(header.input_lines, [8, 9]);
    assert_eq!(header.param_lines, [3, 4, 5, 6]);
    assert_eq!(header.is_nullable, [true, true, false, false]);
    assert_eq!(spec.docs, "First line,\nsecond line: with a colon.");
    let output = OutputSpec {
        name: "sales".into(),
        key: vec!["currency".into(), "day".into()],
    };
    assert_eq!(spec.outputs, [output]);
    let kinds: Vec<_> = spec.params.iter().map(|p| p.kind.clone()).collect();
    let grain = ParamKind::Choice(vec!["day".into(), "month".into()]);
    assert_eq!(
        kinds,
        [ParamKind::Timestamp, ParamKind::List, grain, ParamKind::Int]
    );
    let defaults: Vec<_> = spec.params.iter().map(|p| p.default.as_deref()).collect();
    assert_eq!(
        defaults,
        [Some("null"), Some("completed,shipped"), Some("day"), None]
    );
    Ok(())
}

#[test]
fn errors_name_file_and_line() {
    let cases = [
        (
            "-- name: sales",
            "-- nam: sales",
            "a.sql:1: `nam` is not a header key",
        ),
        (
            "-- name: sales",
            "-- name: Sales",
            "a.sql:1: `Sales` is not a name in snake_case",
        ),
        ("-- name: sales", "-- name:", "a.sql:1: `name` has no value"),
        (
            "-- output: sales",
            "-- name: again",
            "a.sql:10: `name` is given twice",
        ),
        (
            "-- input: products",
            "-- input: transactions",
            "a.sql:9: input `transactions` is declared twice",
        ),
        (
            "top int",
            "from int",
            "a.sql:6: parameter `from` is declared twice",
        ),
        (
            "top int",
            "top integer",
            "a.sql:6: `integer` is not a parameter kind",
        ),
        ("top int", "top", "a.sql:6: the parameter has no kind"),
        (
            " -- how many",
            "",
            "a.sql:6: the parameter has no explanation",
        ),
        (
            "top int",
            "top int = ten",
            "a.sql:6: default of `top`: `ten` is not an integer",
        ),
        (
            "top int",
            "top int =",
            "a.sql:6: the default of `top` is empty",
        ),
        (
            "= day",
            "= week",
            "a.sql:5: default of `grain`: `week` is not one of day, month",
        ),
        (
            "choice(day|month)",
            "choice(day|)",
            "a.sql:5: `choice(day|)` has an empty choice",
        ),
        (
            "-- docs: First line,",
            "-- First line,",
            "a.sql:12: a header line is not of the form `-- key: value`",
        ),
    ];
    for (line, wrong, expected) in cases {
        assert!(HEADER.contains(line), "{line}");
        assert_eq!(failure(&HEADER.replace(line, wrong)).0, expected);
    }
}

#[test]
fn a_missing_line_is_named() {
    for key in ["name", "description", "output", "key"] {
        let text: String = HEADER
            .lines()
            .filter(|line| !line.starts_with(&format!("-- {key}:")))
            .map(|line| format!("{line}\n"))
            .collect();
        assert_eq!(
            failure(&text).0,
            format!("a.sql:12: the header has no `{key}` line")
        );
    }
    assert_eq!(
        failure("SELECT 1").0,
        "a.sql:1: the header has no `name` line"
    );
}

#[test]
fn a_wrong_word_gets_the_nearest_right_one() {
    let hint = failure(&HEADER.replace("-- key:", "-- keys:")).1;
    assert_eq!(hint.as_deref(), Some("did you mean `key`?"));
    let hint = failure(&HEADER.replace("from timestamp", "from timestmp")).1;
    assert_eq!(hint.as_deref(), Some("did you mean `timestamp`?"));
}

#[test]
fn comments_after_the_header_are_free() -> Result<()> {
    let text = HEADER.replace("SELECT 1", "-- a free comment\nSELECT 1");
    assert_eq!(parse_text(&text)?, parse_text(HEADER)?);
    Ok(())
}

#[test]
fn ranges_are_kinds() -> Result<()> {
    let kind = |text: &str| -> Result<_> {
        let header = parse_text(&HEADER.replace("top int", text))?;
        Ok(header.spec.params.last().map(|p| p.kind.clone()))
    };
    assert_eq!(kind("top int(1..)?")?, Some(ParamKind::IntFrom(1)));
    assert_eq!(kind("top float(0..1)")?, Some(ParamKind::Share));
    let (message, hint) = failure(&HEADER.replace("top int", "top int(x..)"));
    assert_eq!(message, "a.sql:6: `int(x..)` is not a parameter kind");
    assert!(hint.is_some_and(|hint| hint.contains("`int(1..)`")));
    let (message, _) = failure(&HEADER.replace("top int", "top int(1..) = 0"));
    assert!(
        message.ends_with("`0` is not an integer of at least 1"),
        "{message}"
    );
    Ok(())
}
