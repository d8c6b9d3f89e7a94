//! Writes whose reply is lost are made again, and have the effect of one.

use emporia_hbase::{Error, RowMutation};

use crate::fake::{Act, Fake, client};
use crate::table::{Rows, Table, expected, key, table};

fn mutations(n_rows: usize) -> Vec<RowMutation> {
    (0..n_rows)
        .map(|number| RowMutation {
            key: key(number),
            cells: vec![
                ("f:a".to_owned(), Some(vec![b'x'; number % 50])),
                ("f:gone".to_owned(), None),
            ],
        })
        .collect()
}

#[test]
fn puts_are_repeated_until_they_are_confirmed() {
    let mut table = Table::new();
    let gone = [(b"f:gone".to_vec(), (1, b"old".to_vec()))];
    table.insert(key(7), gone.into_iter().collect());
    let fake = Fake::start(table);
    fake.script(
        "mutateRowsTs",
        [
            Act::Close,
            Act::Ignore,
            Act::Cut(10),
            Act::IoError("x.RegionTooBusyException: full", true),
            Act::Internal,
        ],
    );
    // Three requests, and one more for each fault.
    client(&[&fake]).put("t", 5, &mutations(12_500)).unwrap();
    let written: Table = (0..12_500)
        .map(|number| {
            let cell = (b"f:a".to_vec(), (5, vec![b'x'; number % 50]));
            (key(number), [cell].into_iter().collect())
        })
        .collect();
    assert_eq!(fake.table(), written);
    assert!(
        fake.calls("mutateRowsTs") >= 3 + 5,
        "each fault costs a repetition"
    );
}

#[test]
fn a_put_that_can_never_work_fails_at_once() {
    let fake = Fake::start(Table::new());
    fake.script(
        "mutateRowsTs",
        [Act::IoError(
            "o.RetriesExhaustedWithDetailsException: Failed 1 action: \
             o.NoSuchColumnFamilyException: 1 time\n\tat a",
            true,
        )],
    );
    let error = client(&[&fake]).put("t", 5, &mutations(1)).unwrap_err();
    assert!(matches!(error, Error::NoSuchFamily { .. }), "{error}");
    assert!(!error.to_string().contains("\tat"), "{error}");
}

#[test]
fn gets_match_rows_by_key_and_skip_those_that_do_not_exist() {
    let fake = Fake::start(table(3000));
    fake.script(
        "getRowsWithColumns",
        [Act::Serve, Act::Close, Act::Cut(5000), Act::WrongSequence],
    );
    let keys: Vec<_> = (0..6000).step_by(2).map(key).collect();
    let mut rows = Rows::default();
    let n_rows = client(&[&fake])
        .get("t", &keys, &[], None, &mut rows)
        .unwrap();
    assert_eq!(n_rows, 1500);
    assert_eq!(
        rows.0,
        expected(&fake.table(), |key| keys.iter().any(|k| k == key), None)
    );

    let error = client(&[&fake])
        .get("t", &[key(2), key(1)], &[], None, &mut rows)
        .unwrap_err();
    assert!(matches!(error, Error::InvalidRequest { .. }), "{error}");
}

#[test]
fn a_lost_comparison_is_decided_by_the_cell() {
    let cases: [(&[Act], &[u8], bool); 7] = [
        (&[Act::Serve], b"old", true),
        // It took effect, the reply was lost.
        (&[Act::Close], b"old", true),
        (&[Act::Cut(12)], b"old", true),
        // It did not take effect.
        (&[Act::Ignore], b"old", true),
        (&[Act::Ignore, Act::Close], b"old", true),
        // Somebody else was first.
        (&[Act::Serve], b"other", false),
        (&[Act::Ignore, Act::Close], b"other", false),
    ];
    for (acts, found, expected) in cases {
        let mut table = Table::new();
        let cell = (b"f:lock".to_vec(), (1, found.to_vec()));
        table.insert(b"r".to_vec(), [cell].into_iter().collect());
        let fake = Fake::start(table);
        fake.script("checkAndPut", acts.iter().cloned());
        let is_set = client(&[&fake])
            .compare_and_put("t", b"r", "f:lock", b"old", b"mine")
            .unwrap();
        assert_eq!(is_set, expected, "{acts:?} {found:?}");
        let value = &fake.table()[b"r".as_slice()][b"f:lock".as_slice()].1;
        assert_eq!(value == b"mine", expected, "{acts:?} {found:?}");
    }
}

#[test]
fn a_comparison_with_nothing_means_that_there_is_no_cell() {
    let fake = Fake::start(Table::new());
    let client = client(&[&fake]);
    let set = |value: &[u8]| {
        client
            .compare_and_put("t", b"r", "f:lock", b"", value)
            .unwrap()
    };
    assert!(set(b"mine"));
    assert!(!set(b"yours"));
}
