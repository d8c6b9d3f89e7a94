//! Keys come back, are unique, and are in order where that is claimed.

use proptest::collection::vec;
use proptest::prelude::*;

use super::super::value::{Kind, Scalar};
use super::{KeyColumn, KeySpec};

const COLUMNS: [(&str, Kind); 6] = [
    ("u", Kind::Text),
    ("n", Kind::Integer(8)),
    ("m", Kind::Integer(4)),
    ("t", Kind::Timestamp),
    ("d", Kind::Date),
    ("b", Kind::Binary),
];

fn parse(text: &str) -> Result<KeySpec, String> {
    let columns: Vec<_> = COLUMNS
        .iter()
        .enumerate()
        .map(|(index, (name, kind))| KeyColumn {
            name,
            index,
            kind: *kind,
        })
        .collect();
    KeySpec::parse(text, &columns).map_err(|e| format!("{e}; {}", e.hint().unwrap_or("no hint")))
}

/// A row: text, two integers, a time, a day, bytes.
type Row = (String, i64, i32, i64, i32, Vec<u8>);

fn row() -> impl Strategy<Value = Row> {
    let time = prop_oneof![
        (-3000..3000_i64).prop_map(|n| n * 1_000_000),
        (0..3000_i64).prop_map(|n| n * 3_600_000_000),
        any::<i64>(),
        Just(1_741_790_278_000_000),
    ];
    let integer = prop_oneof![-3..3_i64, any::<i64>(), Just(i64::MAX), 0..100_000_i64];
    let short = prop_oneof![-3..3_i32, any::<i32>(), 0..1000_i32];
    let day = prop_oneof![-1000..30_000_i32, any::<i32>()];
    (
        "[ab#~\u{e9}]{0,3}",
        integer,
        short,
        time,
        day,
        vec(any::<u8>(), 0..4),
    )
}

fn value(row: &Row, column: usize) -> Option<Scalar<'_>> {
    Some(match column {
        0 => Scalar::Bytes(row.0.as_bytes()),
        1 => Scalar::Integer(row.1.into()),
        2 => Scalar::Integer(row.2.into()),
        3 => Scalar::Integer(row.3.into()),
        4 => Scalar::Integer(row.4.into()),
        _ => Scalar::Bytes(&row.5),
    })
}

fn encode(key: &KeySpec, row: &Row) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    key.encode(|column| value(row, column), &mut out)
        .ok()
        .map(|()| out)
}

const KEYS: [&str; 17] = [
    "u",
    "n",
    "d '/' u",
    "b",
    "u '#' n",
    "u '~#' b",
    "hexsalt(u, 16) u '#' reversed(t, 9999999999999, 13) '#' n",
    "salt(u, m, 256) u '\\x00' int32(m)",
    "'k' padded(n, 6) ordered_int32(m) u",
    "int64(n) int16(m)",
    "ordered_int64(n) ordered_int16(m) u",
    "reversed_int64(t) u",
    "reversed(seconds(t), 9223372036854775808, 20) u",
    "padded(micros(t), 16) '-' u",
    "fixed(u, 2) fixed(b, 1) n",
    "time(t, '%Y%m%d_%H%M%S') '_' u",
    "u '#' time(t, '%Y%m%d%H') time(d, '%Y-%m-%d')",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2048))]

    #[test]
    fn keys_come_back_and_are_unique(index in 0..KEYS.len(), a in row(), b in row()) {
        let key = parse(KEYS[index]).unwrap();
        let (Some(bytes_a), Some(bytes_b)) = (encode(&key, &a), encode(&key, &b)) else {
            return Ok(());
        };
        for (row, bytes) in [(&a, &bytes_a), (&b, &bytes_b)] {
            let mut values = Vec::new();
            prop_assert!(key.decode(bytes, &mut values), "{}", KEYS[index]);
            let expected: Vec<_> = key
                .columns()
                .map(|column| (column, value(row, column).unwrap()))
                .collect();
            prop_assert_eq!(values, expected);
        }
        let same = key.columns().all(|column| value(&a, column) == value(&b, column));
        prop_assert_eq!(bytes_a == bytes_b, same);
    }

    #[test]
    fn a_key_that_is_read_is_the_one_that_is_written(
        index in 0..KEYS.len(),
        a in row(),
        changes in vec((any::<prop::sample::Index>(), any::<u8>()), 0..3),
    ) {
        let key = parse(KEYS[index]).unwrap();
        let Some(mut bytes) = encode(&key, &a) else {
            return Ok(());
        };
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let mut values = Vec::new();
        if key.decode(&bytes, &mut values) {
            let value = |column| {
                values.iter().find(|(index, _)| *index == column).map(|(_, value)| *value)
            };
            let mut again = Vec::new();
            prop_assert_eq!(key.encode(value, &mut again), Ok(()));
            prop_assert_eq!(again, bytes);
        }
    }

    #[test]
    fn bytes_are_in_order_where_that_is_claimed(a in row(), b in row()) {
        let check = |text: &str, order: std::cmp::Ordering| {
            let key = parse(text).unwrap();
            if let (Some(a), Some(b)) = (encode(&key, &a), encode(&key, &b)) {
                prop_assert_eq!(a.cmp(&b), order, "{}", text);
            }
            Ok(())
        };
        check("u", a.0.cmp(&b.0))?;
        check("padded(n, 19)", a.1.cmp(&b.1))?;
        check("ordered_int64(n)", a.1.cmp(&b.1))?;
        check("ordered_int16(m)", a.2.cmp(&b.2))?;
        check("reversed(t, 9999999999999, 13)", b.3.cmp(&a.3))?;
        check("reversed_int64(n)", b.1.cmp(&a.1))?;
        check("time(t, '%Y%m%d%H%M%S')", a.3.cmp(&b.3))?;
        check("d", a.4.cmp(&b.4))?;
        check("time(d, '%Y%m%d')", a.4.cmp(&b.4))?;
        if a.1 >= 0 && b.1 >= 0 {
            check("int64(n)", a.1.cmp(&b.1))?;
        }
        // Two bytes are alike, so the next part decides.
        if a.0 == b.0 {
            check("fixed(u, 2) ordered_int32(m)", a.2.cmp(&b.2))?;
        }
    }
}

#[test]
fn keys_look_as_they_should() {
    let row: Row = (
        "u1".to_owned(),
        42,
        7,
        1_741_790_278_123_000,
        20_159,
        vec![9],
    );
    let check = |text: &str, expected: &[u8]| {
        let key = parse(text).unwrap();
        assert_eq!(encode(&key, &row).as_deref(), Some(expected), "{text}");
    };
    check("u '#' reversed(t, 9999999999999, 13)", b"u1#8258209721876");
    check("u '_' padded(n, 5) 'it''s\\x01'", b"u1_00042it's\x01");
    check("int16(m) ordered_int64(n)", b"\0\x07\x80\0\0\0\0\0\0\x2a");
    check("time(d, '%Y-%m-%d') '|' u", b"2025-03-12|u1");
    check("\"u\" '/' d '/' n", b"u1/2025-03-12/42");
    check("reversed_int64(n)", &(i64::MAX - 42).to_be_bytes());
    let salted = encode(&parse("hexsalt(u, 256) u").unwrap(), &row).unwrap();
    let expected = emporia_core::key_hash::of_text("u1") % 256;
    assert_eq!(salted, format!("{expected:02x}u1").into_bytes());
}

#[test]
fn values_that_would_make_keys_ambiguous_are_refused() {
    let base: Row = ("a".to_owned(), 1, 1, 0, 0, vec![1]);
    let check = |text: &str, row: &Row, expected: &str| {
        let mut out = Vec::new();
        let fault = parse(text)
            .unwrap()
            .encode(|column| value(row, column), &mut out);
        let fault = fault.unwrap_err().fault;
        assert!(fault.contains(expected), "{text}: {fault}");
    };
    let changed = |change: fn(&mut Row)| {
        let mut row = base.clone();
        change(&mut row);
        row
    };
    let text = |u: &str| {
        let mut row = base.clone();
        row.0 = u.to_owned();
        row
    };
    check("u '#' n", &text("a#b"), "separator `#`");
    check("u '##' n", &text("a#"), "separator `##`");
    check("fixed(u, 3) n", &text("ab"), "2 bytes instead of 3");
    check("padded(n, 3)", &changed(|row| row.1 = 1000), "3 digits");
    check("padded(n, 3)", &changed(|row| row.1 = -1), "3 digits");
    check("reversed(n, 5, 3)", &changed(|row| row.1 = 6), "3 digits");
    check("reversed_int64(n)", &changed(|row| row.1 = -1), "8 digits");
    check(
        "padded(seconds(t), 9)",
        &changed(|row| row.3 = 1),
        "whole number of seconds",
    );
    check(
        "time(t, '%Y%m%d')",
        &changed(|row| row.3 = 1),
        "finer than the pattern",
    );
    check(
        "time(t, '%Y%m%d')",
        &changed(|row| row.3 = i64::MAX),
        "four digits",
    );
    check("u", &text(""), "empty");
    check("u", &text(&"x".repeat(40_000)), "40000 bytes");
    let mut out = Vec::new();
    let fault = parse("u '#' n")
        .unwrap()
        .encode(|_| None, &mut out)
        .unwrap_err();
    assert_eq!(
        (fault.column, fault.fault.as_str()),
        (Some(0), "it is null")
    );
    let fault = parse("any(1) u")
        .unwrap()
        .encode(|c| value(&base, c), &mut out)
        .unwrap_err();
    assert!(fault.fault.contains("any"));
}

#[test]
fn keys_of_another_make_are_not_read() {
    let check = |text: &str, bytes: &[u8]| {
        let mut values = Vec::new();
        assert!(
            !parse(text).unwrap().decode(bytes, &mut values),
            "{text} {bytes:?}"
        );
    };
    check("u '#' n", b"abc");
    check("u '#' n", b"abc#");
    check("u '#' n", b"abc#07");
    check("u", b"\xff");
    check("padded(n, 3)", b"12");
    check("padded(n, 3)", b"1234");
    check("padded(n, 3)", b"1x4");
    check("reversed(m, 9999999999999, 13)", b"0000000000000");
    check("'x' u", b"yu");
    check("time(d, '%Y%m%d')", b"20250230");
    check("hexsalt(u, 16) u", b"zzabc");
    let mut values = Vec::new();
    assert!(parse("any(2) u").unwrap().decode(b"zzabc", &mut values));
    assert_eq!(values, [(0, Scalar::Bytes(b"abc"))]);
}

#[test]
fn mistakes_in_keys_are_named() {
    let check = |text: &str, expected: &str| {
        let complaint = parse(text).unwrap_err();
        assert!(complaint.contains(expected), "{text}: {complaint}");
    };
    check("", "the key has no column");
    check("'x'", "the key has no column");
    check("u n", "a part of the key has no end");
    check("u '' n", "where a part of the key is expected");
    check("u '#' u", "the same column twice");
    check("salt(u, 16) n", "not in it");
    check("x", "column `x` that the table does not have");
    check("customer '#' n", "literals stand in single quotes");
    check("nn", "did you mean `n`?");
    check("paded(n, 3)", "did you mean `padded`?");
    check("padded(u, 3)", "not of a type that `padded` can write");
    check("padded(n)", "has `)` where `,` is expected");
    check(
        "padded(n, 99)",
        "has `99` where a number from 1 to 38 is expected",
    );
    check("padded(n, 3", "has its end where `)` is expected");
    check("padded(hours(t), 3)", "`hours` is not a unit of time");
    check("padded(seconds(n), 3)", "not of a type");
    check("t", "its texts are not unique");
    check("time(t, '%Y%d')", "not a time pattern");
    check("time(t, '%Y%m')", "not a time pattern");
    check("time(d, '%Y%m%d%H')", "not a time pattern");
    check("salt(16) u", "where a column to salt with is expected");
    check("salt(u, 300) u", "from 1 to 256");
    check("u '#", "unclosed literal");
    check("u '\\xg0'", "bad escape");
    check("u \"#", "unclosed double quote");
    check("u + n", "cannot be read at `+ n`");
    check(&"+".repeat(10_000), "has 10000 bytes, more than 4096");
    check("'\u{e9}\\x' u", "bad escape");
}

/// Words of the grammar, and some that are not.
const WORDS: [&str; 24] = [
    "u",
    "n",
    "t",
    "d",
    "b",
    "x",
    "'#'",
    "''",
    "'",
    "reversed(",
    "salt(",
    "hash(",
    "bytes(",
    "text(",
    "(",
    ")",
    ",",
    "0",
    "13",
    "9999999999999",
    "-1",
    "\"",
    "\u{e9}",
    "pattern(",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn any_words_are_a_key_or_are_refused(
        words in vec(0..WORDS.len(), 0..12),
        spaces in any::<u16>(),
        row in row(),
    ) {
        let mut text = String::new();
        for (index, word) in words.iter().enumerate() {
            text += WORDS[*word];
            if spaces >> index & 1 == 0 {
                text.push(' ');
            }
        }
        if let Ok(key) = parse(&text)
            && let Some(bytes) = encode(&key, &row)
        {
            let mut values = Vec::new();
            // Whatever it says, it says something.
            let _ = key.decode(&bytes, &mut values);
        }
    }
}
