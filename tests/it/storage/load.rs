//! `emporia load`: sessions with their nested lists, from the generator and from logs.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::workplace::Workplace;

/// Loads into a table of this test; its entry is added to the catalog under `name`.
#[track_caller]
fn load(place: &Workplace, name: &str, args: &[&str]) {
    let how = ["load", "sessions", "--quiet", "--no-progress"];
    let entry = place.ok(&[&how[..], args].concat());
    assert!(entry.starts_with("[tables.sessions]"), "{entry}");
    place.catalog(&entry.replace("[tables.sessions", &format!("[tables.{name}")));
}

#[test]
fn generated_sessions_get_their_page_views() {
    let Some(place) = Workplace::open() else {
        return;
    };
    let tables = ["--tables", "sessions,page_views", "--scale", "0.002"];
    place.ok(&[&["generate", "--quiet", "--out", "data/"][..], &tables].concat());
    let made = "data/emporia.toml";
    // Not into MongoDB: FerretDB, which stands in for it, has no decimals for the prices in carts.
    let target = format!("hbase:nested_{}", place.id);
    load(&place, "stored", &["--catalog", made, "--to", &target]);
    place.catalog(
        &std::fs::read_to_string(place.path(made))
            .unwrap()
            .replace("location = \"", "location = \"data/"),
    );
    assert_eq!(place.value("SELECT count(*) FROM sessions"), "4000");
    let views = "(SELECT session_id, v['seq'] AS seq, v['ts'] AS ts, v['page_type'] AS page_type,
                         v['product_id'] AS product_id, v['category_id'] AS category_id,
                         v['view_duration'] AS view_duration
                  FROM (SELECT session_id, unnest(page_views) AS v FROM stored))";
    let same = |a: &str, b: &str| {
        let missing = format!("SELECT count(*) FROM (SELECT * FROM {a} EXCEPT SELECT * FROM {b})");
        assert_eq!(place.value(&missing), "0", "{a} has rows that {b} has not");
    };
    same("page_views", views);
    same(views, "page_views");
    let columns = "session_id, user_id, start_ts, end_ts, city, viewed_products, cart";
    let of = |table: &str| format!("(SELECT {columns} FROM {table})");
    same(&of("sessions"), &of("stored"));
    same(&of("stored"), &of("sessions"));
    // In the order in which they were seen.
    for misplaced in [
        "page_views[1]['seq'] <> 1",
        "page_views[2]['seq'] <> 2",
        "page_views[3]['seq'] <> 3",
    ] {
        let found = format!("SELECT count(*) FROM stored WHERE {misplaced}");
        assert_eq!(place.value(&found), "0");
    }
}

/// A line of a log; the cart of every third session is left out, as is the place of every fourth.
fn logged(n: usize) -> Value {
    let mut session = json!({
        "session_id": format!("s{n:04}"),
        "user_id": format!("u{}", n % 7),
        "start_time": "2025-01-02T03:04:05",
        "end_time": "2025-01-02T03:24:05.250000",
        "duration_seconds": 1200,
        "geo_data": {"city": "Zoë", "state": null, "country": "NO", "ip_address": "198.51.100.7"},
        "device_profile": {"type": "mobile", "os": "iOS", "browser": "Safari"},
        "viewed_products": ["p1", "p2"],
        "page_views": [
            {"timestamp": "2025-01-02T03:04:05", "page_type": "home", "product_id": null,
             "category_id": null, "view_duration": 5},
            {"timestamp": "2025-01-02T03:04:10", "page_type": "product_detail",
             "product_id": "p1", "category_id": "c1", "view_duration": n},
        ],
        "cart_contents": {"p2": {"quantity": 2, "price": 12.5}, "p1": {"quantity": 1, "price": 0.1}},
        "conversion_status": "abandoned",
        "referrer": "direct",
    });
    let members = session.as_object_mut().unwrap();
    if n.is_multiple_of(3) {
        members.remove("cart_contents");
    }
    if n.is_multiple_of(4) {
        members.remove("geo_data");
    }
    session
}

#[test]
fn logged_sessions_are_loaded_and_bad_lines_set_aside_or_refused() {
    let Some(place) = Workplace::open() else {
        return;
    };
    std::fs::create_dir(place.path("logs")).unwrap();
    let bad = [
        "{\"session_id\": \"cut off",
        "[1, 2]",
        "{\"session_id\": \"s\", \"user_id\": 7}",
    ];
    let mut n_lines = 0;
    for (file, n_sessions) in [("a.json", 120), ("b.ndjson", 80)] {
        let mut text = String::new();
        for _ in 0..n_sessions {
            writeln!(text, "{}", logged(n_lines)).unwrap();
            n_lines += 1;
        }
        place.write(&format!("logs/{file}"), &text);
    }
    let target = format!("hbase:logged_{}", place.id);
    let from = ["--from", "logs/", "--to", &target];
    load(&place, "logged", &from);
    assert_eq!(place.value("SELECT count(*) FROM logged"), "200");
    let first =
        "SELECT session_id, start_ts, end_ts, city, device_type, viewed_products[2] AS viewed,
                        cart[1]['product_id'] AS product, cart[1]['price'] AS price,
                        page_views[2]['ts'] AS ts, page_views[2]['view_duration'] AS duration
                 FROM logged WHERE session_id = 's0001'";
    assert_eq!(
        place.rows(first),
        [
            "s0001,2025-01-02T03:04:05Z,2025-01-02T03:24:05.250Z,Zoë,mobile,p2,p1,0.10,2025-01-02T03:04:10Z,1"
        ]
    );
    let missing =
        "SELECT count(*) FILTER (WHERE cart IS NULL), count(*) FILTER (WHERE city IS NULL),
                          sum(cardinality(page_views)) FROM logged";
    assert_eq!(place.rows(missing), ["67,50,400"]);

    // A file with bad lines between good ones.
    let mut text = String::new();
    for line in bad {
        writeln!(text, "{}\n{line}", logged(n_lines)).unwrap();
        n_lines += 1;
    }
    place.write("logs/c.jsonl", &text);
    let mut bytes = text.into_bytes();
    bytes.extend_from_slice(b"{\"session_id\": \"\xff\"}\n");
    std::fs::write(place.path("logs/c.jsonl"), bytes).unwrap();
    let args = [&["load", "sessions", "--no-progress"][..], &from].concat();
    place.refused(
        &args,
        &[],
        1,
        &["logs/c.jsonl", "the line at byte", "is not a session"],
    );

    let aside = [&from[..], &["--rejected", "rejected"]].concat();
    let output = place.run(
        &[&["load", "sessions", "--no-progress"][..], &aside].concat(),
        &[],
    );
    let said = super::workplace::said(&output);
    assert!(output.status.success(), "{said}");
    assert!(
        said.contains("wrote 4 rows") && said.contains("wrote 203 rows"),
        "{said}"
    );
    assert!(said.contains("the first rejects: byte "), "{said}");
    assert!(
        said.contains("logs/c.jsonl (it is not a JSON object)"),
        "{said}"
    );
    assert_eq!(place.value("SELECT count(*) FROM logged"), "203");
    place.catalog("[tables.rejected]\nconnector = \"json\"\nlocation = \"rejected\"\n");
    let mut faults = place.rows("SELECT fault FROM rejected ORDER BY position");
    let last = faults.pop().unwrap();
    assert_eq!(last, "it is not UTF-8 text");
    for (fault, word) in faults
        .iter()
        .zip(["EOF", "not a JSON object", "expected a string"])
    {
        assert!(fault.contains(word), "{fault}");
    }
    assert_eq!(faults.len(), 3);
    let lines = place.rows("SELECT line FROM rejected ORDER BY position LIMIT 2");
    assert_eq!(lines[1], "\"[1, 2]\"");
    assert_eq!(
        place.value("SELECT count(DISTINCT source) FROM rejected"),
        "1"
    );
}
