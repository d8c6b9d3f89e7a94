//! Tables, families and regions.

use emporia_hbase::{Error, FamilySpec, KeyRange, RowMutation, ScanRequest, TableSpec};

use crate::real::{Real, Rows, collect};

#[test]
fn a_table_is_created_with_its_regions_and_dropped() {
    let Some(real) = Real::find() else { return };
    let table = real.table(&["f", "g"], &["b", "m", "x"]);
    let client = &table.client;
    assert!(client.tables().unwrap().contains(&table.name));
    assert_eq!(client.families(&table.name).unwrap(), ["f", "g"]);

    let regions = client.regions(&table.name).unwrap();
    let ranges: Vec<_> = regions.iter().map(|region| region.range.clone()).collect();
    let expected = [("", "b"), ("b", "m"), ("m", "x"), ("x", "")];
    assert_eq!(
        ranges,
        expected.map(|(start, end)| KeyRange::new(start, end))
    );
    assert!(
        regions.iter().all(|region| region.server.is_some()),
        "{regions:?}"
    );

    let again = TableSpec {
        name: table.name.clone(),
        families: vec![FamilySpec::new("other")],
        split_keys: Vec::new(),
    };
    assert!(!client.create_table(&again).unwrap(), "it existed");
    assert_eq!(client.families(&table.name).unwrap(), ["f", "g"]);

    client.drop_table(&table.name).unwrap();
    assert!(!client.tables().unwrap().contains(&table.name));
}

#[test]
fn a_table_without_split_keys_needs_no_admin_gateway() {
    let Some(mut real) = Real::find() else { return };
    real.admin_gateway = None;
    let table = real.table(&["f"], &[]);
    assert_eq!(table.client.regions(&table.name).unwrap().len(), 1);

    let split = TableSpec {
        name: format!("{}_split", table.name),
        families: vec![FamilySpec::new("f")],
        split_keys: vec![b"m".to_vec()],
    };
    let error = table.client.create_table(&split).unwrap_err();
    assert!(error.to_string().contains("admin gateway"), "{error}");
}

#[test]
fn a_family_keeps_its_settings() {
    let Some(real) = Real::find() else { return };
    for split_keys in [vec![], vec![b"m".to_vec()]] {
        let table = real.table(&["f"], &[]);
        table.client.drop_table(&table.name).unwrap();
        let family = FamilySpec {
            max_versions: 3,
            ttl_seconds: Some(3),
            compression: "gz".to_owned(),
            bloom: "rowcol".to_owned(),
            ..FamilySpec::new("f")
        };
        let spec = TableSpec {
            name: table.name.clone(),
            families: vec![family],
            split_keys,
        };
        assert!(table.client.create_table(&spec).unwrap());
        table.put(now(), &[crate::real::row("a", &[("f:a", "1")])]);
        assert_eq!(table.keys(table.request()), ["a"]);
        crate::real::until(
            "the cell expires",
            std::time::Duration::from_secs(20),
            || table.rows(table.request()).is_empty(),
        );
    }
}

fn now() -> i64 {
    let now = std::time::SystemTime::now();
    let since = now.duration_since(std::time::UNIX_EPOCH).unwrap();
    since.as_millis() as i64
}

#[test]
fn a_table_that_does_not_exist_is_named_by_every_call() {
    let Some(real) = Real::find() else { return };
    let client = real.client();
    let name = "hbclient_test_missing";
    let rows = [RowMutation {
        key: b"r".to_vec(),
        cells: vec![("f:a".to_owned(), Some(b"1".to_vec()))],
    }];
    let keys = [b"r".to_vec()];
    let results = [
        client.regions(name).map(drop),
        client.families(name).map(drop),
        client.drop_table(name),
        client.put(name, 1, &rows),
        client
            .get(name, &keys, &[], None, &mut Rows::default())
            .map(drop),
        client.delete_before(name, &keys, &["f".to_owned()], 1),
        client
            .compare_and_put(name, b"r", "f:a", b"", b"1")
            .map(drop),
        collect(client.scan(ScanRequest::new(name, KeyRange::all()))).map(drop),
    ];
    for (number, result) in results.into_iter().enumerate() {
        let error = result.unwrap_err();
        assert!(
            matches!(error, Error::NoSuchTable { .. }),
            "{number}: {error:?}"
        );
        assert!(error.to_string().contains(name), "{number}: {error}");
        assert!(!error.to_string().contains('\n'), "{number}: {error}");
    }
}

#[test]
fn a_family_that_does_not_exist_is_named_by_every_call() {
    let Some(real) = Real::find() else { return };
    let table = real.table(&["f"], &[]);
    let mut request = table.request();
    request.columns = vec!["zz:a".to_owned()];
    let keys = [b"r".to_vec()];
    let results = [
        table
            .client
            .put(&table.name, 1, &[crate::real::row("r", &[("zz:a", "1")])]),
        table
            .client
            .get(
                &table.name,
                &keys,
                &["zz".to_owned()],
                None,
                &mut Rows::default(),
            )
            .map(drop),
        table
            .client
            .delete_before(&table.name, &keys, &["zz".to_owned()], 1),
        table
            .client
            .compare_and_put(&table.name, b"r", "zz:a", b"", b"1")
            .map(drop),
        collect(table.client.scan(request)).map(drop),
    ];
    for (number, result) in results.into_iter().enumerate() {
        let error = result.unwrap_err();
        assert!(
            matches!(error, Error::NoSuchFamily { .. }),
            "{number}: {error:?}"
        );
    }
}

#[test]
fn a_specification_that_hbase_refuses_is_an_error_at_once() {
    let Some(real) = Real::find() else { return };
    let client = real.client();
    let spec = |name: &str, compression: &str| TableSpec {
        name: name.to_owned(),
        families: vec![FamilySpec {
            compression: compression.to_owned(),
            ..FamilySpec::new("f")
        }],
        split_keys: Vec::new(),
    };
    for spec in [
        spec("hbclient_test_wrong", "FOO"),
        spec("hbclient test wrong", "NONE"),
        spec("no_such_namespace:hbclient_test_wrong", "NONE"),
    ] {
        let error = client.create_table(&spec).unwrap_err();
        assert!(
            matches!(error, Error::InvalidRequest { .. }),
            "{spec:?}: {error:?}"
        );
    }
}
