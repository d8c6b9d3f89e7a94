//! What the gateway makes of filters, compared with the same test made here.

use emporia_hbase::RowMutation;
use emporia_hbase::filter::{self, Op};

use crate::real::{Real, Table, row};

const OPS: [Op; 6] = [Op::Eq, Op::NotEq, Op::Lt, Op::LtEq, Op::Gt, Op::GtEq];

fn holds(op: Op, cell: &[u8], constant: &[u8]) -> bool {
    match op {
        Op::Eq => cell == constant,
        Op::NotEq => cell != constant,
        Op::Lt => cell < constant,
        Op::LtEq => cell <= constant,
        Op::Gt => cell > constant,
        Op::GtEq => cell >= constant,
    }
}

fn filtered(table: &Table, filter: Vec<u8>) -> Vec<Vec<u8>> {
    let mut request = table.request();
    request.filter = Some(filter);
    table
        .rows(request)
        .into_iter()
        .map(|(key, _)| key)
        .collect()
}

/// Values that a parser could stumble over.
fn values() -> Vec<Vec<u8>> {
    let mut values: Vec<Vec<u8>> = [
        b"".as_slice(),
        b"'",
        b"''",
        b"a'b",
        b"')",
        b"',true,true) OR (",
        b":",
        b"binary:x",
        b",",
        b"\x00",
        b"\x00\x00",
        b"\xff",
        b"\xff\xfe'",
        b"\\",
        b"\\'",
        b" AND ",
        b"mobile",
        b"mobilf",
        b"\xc3\xa9",
        b"( ",
        b"\n",
        b"\t'\r",
    ]
    .iter()
    .map(|value| value.to_vec())
    .collect();
    // Some of chance, the same in every run.
    let mut state = 1_u32;
    for _ in 0..40 {
        let value = (0..6).map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            [0, b'\'', b'(', b')', b',', b':', b' ', 255][(state >> 28) as usize % 8]
        });
        values.push(value.collect());
    }
    values.sort();
    values.dedup();
    values
}

#[test]
fn comparisons_are_those_of_bytes() {
    let Some(real) = Real::find() else { return };
    let table = real.table(&["f"], &[]);
    let values = values();
    let mut rows: Vec<_> = values
        .iter()
        .enumerate()
        .map(|(number, value)| RowMutation {
            key: format!("{number:04}").into_bytes(),
            cells: vec![
                ("f:it's".to_owned(), Some(value.clone())),
                ("f:other".to_owned(), Some(b"x".to_vec())),
            ],
        })
        .collect();
    rows.push(row("without", &[("f:other", "x")]));
    table.put(1, &rows);
    for constant in &values {
        for op in OPS {
            let found = filtered(&table, filter::compare("f", "it's", op, constant));
            let expected: Vec<_> = rows
                .iter()
                .zip(&values)
                .filter(|(_, value)| holds(op, value, constant))
                .map(|(row, _)| row.key.clone())
                .collect();
            assert_eq!(
                found,
                expected,
                "{op:?} {:?}",
                constant.escape_ascii().to_string()
            );
        }
    }
    let present = filtered(&table, filter::present("f", "it's"));
    assert_eq!(present.len(), values.len());
}

#[test]
fn filters_are_combined() {
    let Some(real) = Real::find() else { return };
    let table = real.table(&["f"], &["m"]);
    let rows: Vec<_> = ["a", "b", "n", "o"]
        .iter()
        .enumerate()
        .map(|(number, key)| {
            row(
                key,
                &[
                    ("f:n", &number.to_string()),
                    ("f:odd", &(number % 2).to_string()),
                ],
            )
        })
        .collect();
    table.put(1, &rows);
    let is = |column: &str, value: &str| filter::compare("f", column, Op::Eq, value.as_bytes());
    let found = |filter| {
        let keys = filtered(&table, filter);
        String::from_utf8(keys.concat()).unwrap()
    };
    assert_eq!(found(filter::or(&[is("n", "0"), is("n", "3")])), "ao");
    assert_eq!(found(filter::and(&[is("odd", "1"), is("n", "3")])), "o");
    assert_eq!(
        found(filter::and(&[
            filter::or(&[is("n", "0"), is("n", "1"), is("n", "2")]),
            is("odd", "0"),
        ])),
        "an"
    );
    assert_eq!(
        found(filter::or(&[
            filter::and(&[is("n", "1"), is("odd", "1")]),
            filter::row(Op::GtEq, b"o"),
        ])),
        "bo"
    );
    assert_eq!(found(filter::row(Op::Lt, b"n")), "ab");
    assert_eq!(found(filter::prefix(b"n")), "n");

    let mut request = table.request();
    request.filter = Some(filter::and(&[filter::first_key_only(), filter::key_only()]));
    for (_, cells) in table.rows(request) {
        let cells: Vec<_> = cells.into_values().collect();
        assert_eq!(cells, [(1, Vec::new())], "one cell without value");
    }
}

#[test]
fn a_filter_that_cannot_be_parsed_is_an_error_at_once() {
    let Some(real) = Real::find() else { return };
    let table = real.table(&["f"], &[]);
    let mut request = table.request();
    request.filter = Some(b"Nonsense('".to_vec());
    let error = crate::real::collect(table.client.scan(request)).unwrap_err();
    assert!(
        matches!(error, emporia_hbase::Error::InvalidRequest { .. }),
        "{error:?}"
    );
    assert!(error.to_string().contains("filter"), "{error}");
}
