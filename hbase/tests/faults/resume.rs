//! Scans that are interrupted return every row exactly once.

use std::time::Duration;

use emporia_hbase::{Client, Error, KeyRange, Protocol, ScanRequest, Scanner, Transport};
use proptest::prelude::*;

use crate::fake::{Act, Fake, client, options};
use crate::table::{Row, Rows, expected, key, table};

fn scan_all(mut scanner: Scanner) -> Result<Vec<Row>, Error> {
    let mut rows = Rows::default();
    while scanner.next_page(&mut rows)? > 0 {}
    Ok(rows.0)
}

fn request(page_rows: usize) -> ScanRequest {
    ScanRequest {
        page_rows: Some(page_rows),
        ..ScanRequest::new("t", KeyRange::all())
    }
}

/// Interrupts the second page of three in this way.
fn check(act: Act) {
    let fake = Fake::start(table(25));
    fake.script("scannerGetList", [Act::Serve, act.clone()]);
    let mut options = options(&[&fake]);
    options.request_timeout = Duration::from_secs(1);
    let client = Client::new(options).unwrap();
    let rows =
        scan_all(client.scan(request(10))).unwrap_or_else(|error| panic!("{act:?}: {error}"));
    assert_eq!(rows, expected(&fake.table(), |_| true, None), "{act:?}");
    assert!(fake.calls("scannerOpenWithScan") >= 2, "{act:?}");
}

#[test]
fn a_lost_or_strange_reply_loses_no_row() {
    check(Act::Close);
    check(Act::Ignore);
    check(Act::WrongSequence);
    check(Act::WrongMethod);
    check(Act::Trailing(b"x"));
    check(Act::Trailing(b"\x80\x01\x00\x02"));
    check(Act::Raw(b"HTTP/1.1 400 Bad Request\r\n\r\n"));
    check(Act::Raw(b"\x80\x01\x00\x02\xff\xff\xff\xff"));
    check(Act::Late(Duration::from_secs(3)));
}

#[test]
fn a_scanner_that_is_gone_loses_no_row() {
    check(Act::Illegal("scanner ID is invalid"));
    check(Act::IoError(
        "org.apache.hadoop.hbase.UnknownScannerException: 7\n\tat a",
        false,
    ));
    check(Act::IoError(
        "org.apache.hadoop.hbase.NotServingRegionException: r",
        false,
    ));
    check(Act::IoError(
        "java.io.IOException: something that passes",
        true,
    ));
    check(Act::Internal);
}

#[test]
fn a_reply_that_is_cut_at_any_byte_loses_no_row() {
    let fake = Fake::start(table(6));
    let whole = expected(&fake.table(), |_| true, None);
    let client = client(&[&fake]);
    for at in 0..450 {
        fake.script("scannerGetList", [Act::Serve, Act::Cut(at)]);
        let rows = scan_all(client.scan(request(4))).unwrap();
        assert_eq!(rows, whole, "cut at {at}");
    }
}

/// What such a reply says is not known; but the client ends, and takes no memory for it.
#[test]
fn a_reply_with_another_bit_does_not_stop_the_client() {
    let fake = Fake::start(table(6));
    let whole = expected(&fake.table(), |_| true, None);
    let client = client(&[&fake]);
    let mut n_same = 0;
    for at in (0..450).step_by(7) {
        fake.script("scannerGetList", [Act::Flip(at, 1 << (at % 8))]);
        let rows = scan_all(client.scan(request(4)));
        n_same += usize::from(rows.is_ok_and(|rows| rows == whole));
    }
    // Most changes break the form of the reply, which is then asked for again.
    assert!(n_same > 10, "{n_same}");
}

#[test]
fn an_absurd_length_is_not_allocated() {
    // Behind the head: the type of the list, a length in it, a key, a column, a value.
    for at in [4, 26, 30, 40, 60, 70, 90] {
        check_huge(at);
    }
}

/// A length of 2 GiB is refused, and a smaller page is tried in vain. No row is wrong.
fn check_huge(at: usize) {
    let fake = Fake::start(table(25));
    fake.script("scannerGetList", [Act::Serve, Act::HugeLength(at)]);
    let rows = scan_all(client(&[&fake]).scan(request(10))).unwrap();
    assert_eq!(rows, expected(&fake.table(), |_| true, None), "{at}");
}

#[test]
fn another_gateway_takes_over() {
    let (one, other) = (Fake::start(table(100)), Fake::start(table(100)));
    let client = client(&[&one, &other]);
    for _ in 0..4 {
        one.script("scannerGetList", [Act::Serve, Act::Close]);
        other.script("scannerGetList", [Act::Serve, Act::Close]);
        let rows = scan_all(client.scan(request(10))).unwrap();
        assert_eq!(rows, expected(&one.table(), |_| true, None));
    }
    assert!(one.calls("scannerGetList") > 0 && other.calls("scannerGetList") > 0);
}

#[test]
fn a_permanent_fault_ends_the_scan_at_once() {
    let fake = Fake::start(table(25));
    fake.script(
        "scannerGetList",
        [
            Act::Serve,
            Act::IoError(
                "org.apache.hadoop.hbase.TableNotFoundException: t\n\tat x",
                false,
            ),
        ],
    );
    let error = scan_all(client(&[&fake]).scan(request(10))).unwrap_err();
    assert!(matches!(error, Error::NoSuchTable { .. }), "{error}");
    assert!(!error.is_transient());

    fake.script("scannerOpenWithScan", [Act::Internal]);
    let mut with_filter = request(10);
    with_filter.filter = Some(b"Nonsense(".to_vec());
    let error = scan_all(client(&[&fake]).scan(with_filter)).unwrap_err();
    assert!(error.to_string().contains("filter"), "{error}");
}

#[test]
fn patience_ends() {
    let fake = Fake::start(table(25));
    fake.script("scannerGetList", vec![Act::Close; 1000]);
    let mut options = options(&[&fake]);
    options.patience = Duration::from_millis(400);
    let client = Client::new(options).unwrap();
    let error = scan_all(client.scan(request(10))).unwrap_err();
    assert!(
        matches!(error, Error::Exhausted { attempts, .. } if attempts > 2),
        "{error}"
    );
    assert!(error.is_transient());
}

#[test]
fn a_page_that_is_too_large_is_asked_for_in_parts() {
    let fake = Fake::start(table(2000));
    let mut options = options(&[&fake]);
    options.max_message_bytes = 8192;
    let client = Client::new(options).unwrap();
    let rows = scan_all(client.scan(request(1000))).unwrap();
    assert_eq!(rows, expected(&fake.table(), |_| true, None));
}

#[test]
fn a_row_that_is_too_large_is_named_as_such() {
    let mut rows = table(3);
    rows.get_mut(&key(1))
        .unwrap()
        .insert(b"f:big".to_vec(), (1, vec![0; 10_000]));
    let fake = Fake::start(rows);
    let mut options = options(&[&fake]);
    options.max_message_bytes = 8192;
    let client = Client::new(options).unwrap();
    let error = scan_all(client.scan(request(10))).unwrap_err();
    assert!(matches!(error, Error::TooLarge { .. }), "{error}");
    assert!(error.to_string().contains("max_message_bytes"), "{error}");
}

#[test]
fn a_pause_keeps_the_position_and_nothing_on_the_server() {
    let fake = Fake::start(table(25));
    let client = client(&[&fake]);
    let mut rows = Rows::default();
    let mut scanner = client.scan(request(10));
    assert_eq!(fake.calls("scannerOpenWithScan"), 0, "a scan is lazy");
    while scanner.next_page(&mut rows).unwrap() > 0 {
        scanner.pause();
        assert_eq!(fake.n_scanners(), 0);
    }
    assert_eq!(rows.0, expected(&fake.table(), |_| true, None));
    assert_eq!(
        scanner.next_page(&mut rows).unwrap(),
        0,
        "the end stays the end"
    );
}

#[test]
fn a_scanner_is_closed_at_the_end_at_the_limit_and_on_drop() {
    let fake = Fake::start(table(25));
    let client = client(&[&fake]);
    scan_all(client.scan(request(10))).unwrap();
    assert_eq!(fake.n_scanners(), 0);

    let mut limited = request(10);
    limited.limit = Some(13);
    let rows = scan_all(client.scan(limited)).unwrap();
    assert_eq!(rows, expected(&fake.table(), |_| true, Some(13)));
    assert_eq!(fake.n_scanners(), 0);

    let mut dropped = client.scan(request(10));
    dropped.next_page(&mut Rows::default()).unwrap();
    assert_eq!(fake.n_scanners(), 1);
    drop(dropped);
    assert_eq!(fake.n_scanners(), 0);
    assert_eq!(
        fake.calls("getThriftServerType"),
        1,
        "one connection served all"
    );
}

#[test]
fn all_dialects_return_the_same_rows() {
    for protocol in [Protocol::Binary, Protocol::Compact] {
        for transport in [Transport::Buffered, Transport::Framed] {
            let fake = Fake::speaking(table(300), protocol, transport);
            fake.script("scannerGetList", [Act::Serve, Act::Close, Act::Cut(1000)]);
            let mut options = options(&[&fake]);
            options.protocol = protocol;
            options.transport = transport;
            let client = Client::new(options).unwrap();
            let rows = scan_all(client.scan(request(100))).unwrap();
            assert_eq!(
                rows,
                expected(&fake.table(), |_| true, None),
                "{protocol:?} {transport:?}"
            );
        }
    }
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        6 => Just(Act::Serve),
        1 => Just(Act::Close),
        1 => Just(Act::Ignore),
        2 => (0_usize..2000).prop_map(Act::Cut),
        1 => Just(Act::WrongSequence),
        1 => Just(Act::Illegal("scanner ID is invalid")),
        1 => Just(Act::IoError("x.RegionMovedException: r", true)),
        1 => Just(Act::Internal),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 40,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn any_sequence_of_faults_loses_and_doubles_no_row(
        n_rows in 0_usize..120,
        page_rows in 1_usize..40,
        bounds in (0_usize..130, 0_usize..130),
        limit in proptest::option::of(0_usize..100),
        opens in proptest::collection::vec(act(), 0..3),
        pages in proptest::collection::vec(act(), 0..12),
    ) {
        let fake = Fake::start(table(n_rows));
        fake.script("scannerOpenWithScan", opens);
        fake.script("scannerGetList", pages);
        let range = KeyRange::new(key(bounds.0.min(bounds.1)), key(bounds.0.max(bounds.1)));
        let mut request = request(page_rows);
        request.range = range.clone();
        request.limit = limit;
        let rows = scan_all(client(&[&fake]).scan(request)).unwrap();
        prop_assert_eq!(rows, expected(&fake.table(), |key| range.contains(key), limit));
    }
}
