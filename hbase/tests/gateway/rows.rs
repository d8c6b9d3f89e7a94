//! What is written comes back.

use emporia_hbase::{Error, KeyRange, RowMutation, after};

use crate::real::{Cells, Real, Rows, numbered, numbered_rows, row};

#[test]
fn any_bytes_are_kept() {
    let Some(real) = Real::find() else { return };
    let table = real.table(&["f"], &["m"]);
    let all: Vec<u8> = (0..=255).collect();
    let keys: [&[u8]; 6] = [
        b"\x00",
        b"\x00\x00",
        b"'\"\\",
        &all[1..],
        b"\xff",
        b"\xff\xff\xff",
    ];
    let mut written: Vec<_> = keys
        .iter()
        .map(|key| RowMutation {
            key: key.to_vec(),
            cells: vec![
                ("f:".to_owned(), Some(b"no qualifier".to_vec())),
                ("f:a:b c'é".to_owned(), Some(all.clone())),
                ("f:empty".to_owned(), Some(Vec::new())),
            ],
        })
        .collect();
    written.sort_by(|a, b| a.key.cmp(&b.key));
    table.put(7, &written);
    let expected: Vec<_> = written
        .iter()
        .map(|row| {
            let cells = row.cells.iter().cloned();
            let cells = cells.map(|(column, value)| (column, (7, value.unwrap())));
            (row.key.clone(), cells.collect::<Cells>())
        })
        .collect();
    assert_eq!(table.rows(table.request()), expected);

    let keys: Vec<_> = written.iter().map(|row| row.key.clone()).collect();
    let mut rows = Rows::default();
    table
        .client
        .get(&table.name, &keys, &[], None, &mut rows)
        .unwrap();
    assert_eq!(rows.0, expected);

    let mut request = table.request();
    request.columns = vec!["f:".to_owned()];
    assert!(
        table
            .rows(request)
            .iter()
            .all(|(_, cells)| cells.len() == 1)
    );
}

#[test]
fn ranges_pages_and_limits_return_each_row_once() {
    let Some(real) = Real::find() else { return };
    let table = real.table(&["f"], &["row-0000100", "row-0001500", "row-0001501"]);
    let n_rows = 3000;
    table.put(1, &numbered_rows(n_rows, 20));
    let all: Vec<_> = (0..n_rows).map(numbered).collect();
    for page_rows in [None, Some(1000), Some(999), Some(7)] {
        let mut request = table.request();
        request.page_rows = page_rows;
        assert_eq!(table.keys(request), all, "{page_rows:?}");
    }
    for (start, end) in [(0, 1), (99, 101), (1499, 1502), (1500, 1500), (2990, 4000)] {
        let mut request = table.request();
        request.range = KeyRange::new(numbered(start), numbered(end));
        let expected = all.get(start..end.min(n_rows)).unwrap();
        assert_eq!(table.keys(request), expected, "{start}..{end}");
    }
    for limit in [0, 1, 100, 1001, 9999] {
        let mut request = table.request();
        request.limit = Some(limit);
        assert_eq!(table.keys(request), all[..limit.min(n_rows)], "{limit}");
    }
    let mut request = table.request();
    request.range = KeyRange::new(
        after(numbered(10).as_bytes()),
        after(numbered(12).as_bytes()),
    );
    assert_eq!(table.keys(request), all[11..13]);
    let mut request = table.request();
    request.range = KeyRange::prefix(b"row-00012");
    assert_eq!(table.keys(request), all[1200..1300]);
}

#[test]
fn rows_without_a_wanted_column_are_left_out() {
    let Some(real) = Real::find() else { return };
    let table = real.table(&["f", "g"], &[]);
    table.put(
        1,
        &[
            row("a", &[("f:x", "1"), ("g:y", "2")]),
            row("b", &[("f:x", "1")]),
            row("c", &[("g:z", "3")]),
        ],
    );
    let keys = |columns: &[&str]| {
        let mut request = table.request();
        request.columns = columns.iter().map(|&column| column.to_owned()).collect();
        table.keys(request).join("")
    };
    assert_eq!(keys(&[]), "abc");
    assert_eq!(keys(&["f"]), "ab");
    assert_eq!(keys(&["g"]), "ac");
    assert_eq!(keys(&["g:y"]), "a");
    assert_eq!(keys(&["g:y", "g:z"]), "ac");
    assert_eq!(keys(&["g:none"]), "");

    let wanted = ["a", "b", "bb", "c"].map(|key| key.as_bytes().to_vec());
    let mut rows = Rows::default();
    let columns = ["f:x".to_owned()];
    let n_rows = table
        .client
        .get(&table.name, &wanted, &columns, None, &mut rows)
        .unwrap();
    assert_eq!(n_rows, 2);
}

#[test]
fn before_is_exclusive_and_writes_can_be_repeated() {
    let Some(real) = Real::find() else { return };
    let table = real.table(&["f"], &[]);
    table.put(
        100,
        &[row("a", &[("f:x", "old")]), row("b", &[("f:x", "old")])],
    );
    let newer = [row("a", &[("f:x", "new")])];
    table.put(200, &newer);
    table.put(200, &newer);

    let values = |before| {
        let mut request = table.request();
        request.before = before;
        let scanned = table.rows(request);
        let keys = [b"a".to_vec(), b"b".to_vec()];
        let mut got = Rows::default();
        table
            .client
            .get(&table.name, &keys, &[], before, &mut got)
            .unwrap();
        assert_eq!(scanned, got.0, "{before:?}");
        let values = scanned
            .into_iter()
            .flat_map(|(_, cells)| cells.into_values());
        let values = values.map(|(_, value)| String::from_utf8(value).unwrap());
        values.collect::<Vec<_>>().join(" ")
    };
    assert_eq!(values(None), "new old");
    assert_eq!(values(Some(201)), "new old");
    assert_eq!(values(Some(100)), "");
    // One version is kept, so the old one of `a` is hidden or gone.
    assert!(["old old", "old"].contains(&values(Some(200)).as_str()));

    // An older write does not bury a newer one.
    table.put(150, &[row("a", &[("f:x", "late")])]);
    assert_eq!(values(None), "new old");
}

#[test]
fn deletions_cover_their_timestamp_and_nothing_newer() {
    let Some(real) = Real::find() else { return };
    let table = real.table(&["f", "g"], &["b"]);
    let rows: Vec<_> = ["a", "b", "c", "d"]
        .iter()
        .map(|key| row(key, &[("f:x", "1"), ("f:y", "1"), ("g:z", "1")]))
        .collect();
    table.put(100, &rows);
    table.put(200, &[row("c", &[("f:x", "2")])]);

    let gone = |key: &str, column: &str| RowMutation {
        key: key.into(),
        cells: vec![(column.to_owned(), None)],
    };
    table.put(100, &[gone("a", "f:x")]);
    table.put(99, &[gone("b", "f:x")]);
    let columns = |key: &str| {
        let mut rows = Rows::default();
        table
            .client
            .get(
                &table.name,
                &[key.as_bytes().to_vec()],
                &[],
                None,
                &mut rows,
            )
            .unwrap();
        let cells = rows.0.pop().map(|(_, cells)| cells).unwrap_or_default();
        cells.into_keys().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(columns("a"), "f:y g:z");
    assert_eq!(columns("b"), "f:x f:y g:z");

    let keys = [b"b".to_vec(), b"c".to_vec(), b"none".to_vec()];
    table
        .client
        .delete_before(&table.name, &keys, &["f".to_owned()], 100)
        .unwrap();
    assert_eq!(columns("b"), "g:z");
    assert_eq!(columns("c"), "f:x g:z", "the newer cell stays");
    table
        .client
        .delete_before(&table.name, &keys, &[], 1000)
        .unwrap();
    assert_eq!(table.keys(table.request()), ["a", "d"]);
}

#[test]
fn a_large_write_is_split_and_large_rows_pass() {
    let Some(real) = Real::find() else { return };
    let table = real.table(&["f"], &["row-0000010"]);
    let rows = numbered_rows(20, 700_000);
    table.put(1, &rows);
    let read = table.rows(table.request());
    assert_eq!(read.len(), 20);
    assert!(
        read.iter()
            .all(|(_, cells)| cells["f:a"].1.len() == 700_000)
    );

    let mut options = real.options();
    options.max_message_bytes = 3_000_000;
    let client = emporia_hbase::Client::new(options).unwrap();
    let read = crate::real::collect(client.scan(table.request())).unwrap();
    assert_eq!(read.len(), 20, "pages shrink to what is allowed");

    let mut options = real.options();
    options.max_message_bytes = 500_000;
    let client = emporia_hbase::Client::new(options).unwrap();
    let error = crate::real::collect(client.scan(table.request())).unwrap_err();
    assert!(matches!(error, Error::TooLarge { .. }), "{error}");
}

#[test]
fn a_comparison_sets_a_cell_for_one_only() {
    let Some(real) = Real::find() else { return };
    let table = real.table(&["f"], &[]);
    let set = |expected: &str, value: &str| {
        let (expected, value) = (expected.as_bytes(), value.as_bytes());
        let client = &table.client;
        client
            .compare_and_put(&table.name, b"lock", "f:owner", expected, value)
            .unwrap()
    };
    assert!(set("", "one"));
    assert!(!set("", "two"));
    assert!(!set("three", "two"));
    assert!(set("one", "two"));
    let cells = &table.rows(table.request())[0].1;
    assert_eq!(cells["f:owner"].1, b"two");

    let winners: Vec<_> = std::thread::scope(|scope| {
        let attempts: Vec<_> = (0..8)
            .map(|number| scope.spawn(move || set("two", &format!("racer {number}"))))
            .collect();
        attempts
            .into_iter()
            .map(|attempt| attempt.join().unwrap())
            .collect()
    });
    assert_eq!(winners.iter().filter(|&&won| won).count(), 1);
}
