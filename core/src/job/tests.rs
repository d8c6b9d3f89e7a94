//! Unit tests of `job`.

use super::*;
use crate::error::ErrorKind;

fn param(name: &str, kind: ParamKind, default: Option<&str>) -> ParamSpec {
    let default = default.map(str::to_owned);
    ParamSpec {
        name: name.to_owned(),
        kind,
        default,
        doc: format!("the {name}"),
    }
}

fn spec() -> JobSpec {
    let modes = ParamKind::Choice(vec!["fast".to_owned(), "exact".to_owned()]);
    JobSpec {
        name: "top_products".to_owned(),
        summary: String::new(),
        params: vec![
            param("limit", ParamKind::Int, None),
            param("share", ParamKind::Float, Some("0.5")),
            param("min_price", ParamKind::Decimal, Some("12.50")),
            param("city", ParamKind::Text, Some("null")),
            param("active", ParamKind::Bool, Some("true")),
            param("day", ParamKind::Date, Some("2024-02-29")),
            param("since", ParamKind::Timestamp, Some("2024-01-01")),
            param("tags", ParamKind::List, Some("a, b,,c")),
            param("mode", modes, Some("fast")),
        ],
        inputs: Vec::new(),
        outputs: Vec::new(),
        docs: String::new(),
    }
}

fn bind(given: &[(&str, &str)]) -> Result<Params> {
    let given: Vec<_> = given
        .iter()
        .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()))
        .collect();
    Params::bind(&spec(), &given)
}

fn complaint<T>(result: Result<T>) -> String {
    match result {
        Ok(_) => "no error".to_owned(),
        Err(e) => format!("{}: {e}; {}", e.kind(), e.hint().unwrap_or("no hint")),
    }
}

#[test]
fn every_parameter_gets_its_value_or_its_default() -> Result<()> {
    let params = bind(&[
        ("limit", "-3"),
        ("mode", "exact"),
        ("since", "2024-03-01T10:00:00+02:00"),
    ])?;
    assert_eq!(params.iter().count(), spec().params.len());
    assert_eq!(params.int("limit"), Some(-3));
    assert_eq!(params.float("share"), Some(0.5));
    assert_eq!(params.float("limit"), Some(-3.0));
    assert_eq!(params.get("min_price"), &ParamValue::Decimal(1250, 2));
    assert_eq!(params.get("city"), &ParamValue::Null);
    assert_eq!(params.text("city"), None);
    assert!(params.bool("active"));
    assert_eq!(
        params.get("day"),
        &ParamValue::Date(NaiveDate::from_ymd_opt(2024, 2, 29).unwrap_or_default())
    );
    let since = params.timestamp("since").map(|t| t.to_rfc3339());
    assert_eq!(since.as_deref(), Some("2024-03-01T08:00:00+00:00"));
    assert_eq!(params.list("tags"), ["a", "b", "c"]);
    assert_eq!(params.text("mode"), Some("exact"));
    assert_eq!(params.get("undeclared"), &ParamValue::Null);
    Ok(())
}

#[test]
fn wrong_parameters_are_named_with_what_was_expected() {
    let check = |given: &[(&str, &str)], expected: &str| {
        assert_eq!(complaint(bind(given)), format!("invalid_input: {expected}"));
    };
    check(
        &[("limt", "1")],
        "job `top_products` has no parameter `limt`; did you mean `limit`?",
    );
    check(
        &[("warehouse", "1")],
        "job `top_products` has no parameter `warehouse`; `emporia jobs top_products` lists them",
    );
    check(
        &[("limit", "1"), ("limit", "2")],
        "parameter `limit` is given twice; no hint",
    );
    check(
        &[],
        "job `top_products` needs the parameter `limit` (int): the limit; add -p limit=<int>",
    );
    let mistyped = |name: &str, text: &str, expected: &str| {
        let expected = format!(
            "parameter `{name}` of job `top_products`: `{text}` is not {expected}; no hint"
        );
        check(&[("limit", "1"), (name, text)], &expected);
    };
    mistyped("share", "nan", "a finite number");
    mistyped("min_price", "1,50", "a decimal number");
    mistyped("active", "yes", "`true` or `false`");
    mistyped("day", "2024-02-30", "a date of the form YYYY-MM-DD");
    mistyped(
        "since",
        "yesterday",
        "a date (YYYY-MM-DD) or a timestamp of the form YYYY-MM-DDTHH:MM:SSZ",
    );
    mistyped("mode", "slow", "one of fast, exact");
    check(
        &[("limit", "1.5")],
        "parameter `limit` of job `top_products`: `1.5` is not an integer; no hint",
    );
}

#[test]
fn bad_default_is_a_defect_of_the_job() {
    let mut spec = spec();
    spec.params = vec![param("limit", ParamKind::Int, Some("ten"))];
    let result = Params::bind(&spec, &[]);
    assert_eq!(result.map_err(|e| e.kind()), Err(ErrorKind::Internal));
}

#[test]
fn decimals_are_exact() {
    let check = |text: &str, expected: Option<(i128, i8)>| {
        let value = ParamKind::Decimal.parse(text).ok();
        let expected = expected.map(|(value, scale)| ParamValue::Decimal(value, scale));
        assert_eq!(value, expected, "{text}");
    };
    check("0", Some((0, 0)));
    check("-12.50", Some((-1250, 2)));
    check("+.5", Some((5, 1)));
    check("-.5", Some((-5, 1)));
    check("7.", Some((7, 0)));
    for text in [
        "",
        ".",
        "-",
        "1e3",
        "1.2.3",
        "1.-2",
        "--1",
        "0.1234567890123456789",
    ] {
        check(text, None);
    }
}

#[test]
fn timestamps_are_utc() {
    let midnight = ParamKind::Timestamp.parse("2024-01-02").ok();
    for text in [
        "2024-01-02 00:00:00",
        "2024-01-02T00:00:00Z",
        "2024-01-02T01:00:00+01:00",
    ] {
        assert_eq!(ParamKind::Timestamp.parse(text).ok(), midnight, "{text}");
    }
    assert!(midnight.is_some());
}

#[test]
fn kinds_are_shown_as_in_the_documentation() {
    let shown: Vec<_> = spec().params.iter().map(|p| p.kind.to_string()).collect();
    let expected = [
        "int",
        "float",
        "decimal",
        "text",
        "bool",
        "date",
        "timestamp",
        "list",
        "fast|exact",
    ];
    assert_eq!(shown, expected);
}

#[test]
fn a_date_as_the_last_instant_is_its_whole_day() {
    let last = |text: &str| match ParamKind::LastInstant.parse(text) {
        Ok(ParamValue::Timestamp(time)) => time.to_rfc3339(),
        other => format!("{other:?}"),
    };
    assert_eq!(last("2011-12-09"), "2011-12-09T23:59:59.999999+00:00");
    assert_eq!(last("2011-12-09T12:00:00Z"), "2011-12-09T12:00:00+00:00");
    assert!(
        last("2011-12").contains("a date (YYYY-MM-DD) or a timestamp"),
        "{}",
        last("2011-12")
    );
}

#[test]
fn what_an_exclusive_end_leaves_out_is_said() {
    let end = |kind| ParamSpec {
        doc: "last instant (exclusive)".into(),
        ..param("to", kind, Some("null"))
    };
    let notes = |kind: ParamKind, text: &str| {
        let spec = JobSpec {
            params: vec![end(kind)],
            ..spec()
        };
        let given = [("to".to_owned(), text.to_owned())];
        Params::bind(&spec, &given)
            .map(|params| params.notes(&spec))
            .unwrap_or_default()
    };
    let expected = ["`to` is exclusive: 2011-12-09 and later are left out"];
    assert_eq!(notes(ParamKind::Timestamp, "2011-12-09"), expected);
    assert_eq!(notes(ParamKind::Date, "2011-12-09"), expected);
    assert_eq!(
        notes(ParamKind::Timestamp, "2011-12-09T12:00:00Z"),
        ["`to` is exclusive: 2011-12-09 12:00:00 UTC and later are left out"]
    );
    assert!(notes(ParamKind::Timestamp, "null").is_empty());
}

#[test]
fn numbers_out_of_their_range_are_refused() {
    let parsed = |kind: &ParamKind, text: &str| kind.parse(text).map_err(|e| e.to_string());
    let count = ParamKind::IntFrom(1);
    assert_eq!(count.to_string(), "int(1..)");
    assert_eq!(parsed(&count, "1"), Ok(ParamValue::Int(1)));
    assert_eq!(parsed(&count, "null"), Ok(ParamValue::Null));
    for text in ["0", "-1", "x"] {
        let expected = format!("`{text}` is not an integer of at least 1");
        assert_eq!(parsed(&count, text), Err(expected));
    }
    let share = ParamKind::Share;
    assert_eq!(share.to_string(), "float(0..1)");
    assert_eq!(parsed(&share, "1"), Ok(ParamValue::Float(1.0)));
    for text in ["1.01", "-0.1", "nan"] {
        let expected = format!("`{text}` is not a number from 0 to 1");
        assert_eq!(parsed(&share, text), Err(expected));
    }
}

#[test]
fn a_time_that_ends_before_it_begins_is_refused() {
    let check = |kind: ParamKind, from: &str, to: &str| {
        let spec = JobSpec {
            params: ["from", "to"]
                .map(|name| param(name, kind.clone(), Some("null")))
                .into(),
            ..spec()
        };
        let given = [("from", from), ("to", to)].map(|(n, v)| (n.to_owned(), v.to_owned()));
        complaint(Params::bind(&spec, &given))
    };
    for kind in [
        ParamKind::Date,
        ParamKind::Timestamp,
        ParamKind::LastInstant,
    ] {
        let until = |to| check(kind.clone(), "2025-02-01", to);
        assert_eq!(
            until("2025-01-31"),
            "invalid_input: job `top_products`: `from` is after `to`; \
             no row lies in between; exchange the two"
        );
        for to in ["2025-02-01", "2025-02-02", "null"] {
            assert_eq!(until(to), "no error", "{to}");
        }
    }
}
