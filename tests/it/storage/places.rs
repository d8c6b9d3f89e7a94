//! Folders of any name on HDFS.

use emporia_core::location::escaped;
use emporia_e2e::names::{odd_names, round_trip};

use super::workplace::Workplace;

/// Names with what URLs and globs give a meaning to; HDFS has none with a colon.
const NAMES: [&str; 8] = [
    "till #1",
    "till #2",
    "sold out?",
    "20%25off",
    "5%25 rebate",
    "[ab]*{x}",
    "Stra\u{df}e Cafe\u{301}",
    ".hidden",
];

#[test]
fn folders_of_any_name_are_written_and_read() {
    let Some(workplace) = Workplace::open() else {
        return;
    };
    let top = format!("{}/places_{}", workplace.services.hdfs, workplace.id);
    for (n, name) in NAMES.iter().enumerate() {
        let format = ["parquet", "csv", "json"][n % 3];
        workplace.catalog(&format!(
            "[tables.t{n}]\nconnector = \"{format}\"\nlocation = \"{top}/{name}\"\n\
             columns = [\"n int64\"]\n"
        ));
    }
    for round in [0, 100] {
        let write = |n: usize| {
            let n_rows = round + n;
            format!("INSERT OVERWRITE t{n} SELECT CAST({n_rows} AS BIGINT) AS n")
        };
        let write: Vec<_> = (0..NAMES.len()).map(write).collect();
        workplace.writes(&write.join("; "));
        let read = (0..NAMES.len()).map(|n| format!("SELECT n FROM t{n}"));
        let read: Vec<_> = read.collect();
        let expected: Vec<_> = (0..NAMES.len()).map(|n| (round + n).to_string()).collect();
        let found = workplace.rows(&format!("{} ORDER BY n", read.join(" UNION ALL ")));
        assert_eq!(found, expected);
    }
    workplace.refused(
        &[
            "sql",
            "-e",
            &format!("COPY t0 TO '{top}/12:30' STORED AS CSV"),
        ],
        &[],
        3,
        &["colon"],
    );
}

#[test]
fn folders_of_random_names_keep_what_is_written() {
    let Some(workplace) = Workplace::open() else {
        return;
    };
    let top = format!("{}/random_{}", workplace.services.hdfs, workplace.id);
    let names = odd_names(7, 12, false);
    let of = |folder: &str| -> Vec<String> {
        let place = |name: &String| format!("{top}/{folder}/{}/", escaped(name));
        names.iter().map(place).collect()
    };
    let trip = round_trip(&of("warehouse")[0], &of("tables"), &of("copies"));
    workplace.write("emporia.toml", &trip.catalog);
    assert_eq!(workplace.rows(&trip.statements), trip.rows);
}

#[test]
fn another_name_of_the_cluster_is_seen_through() {
    let Some(workplace) = Workplace::open() else {
        return;
    };
    let top = format!("{}/alias_{}/shop #1", workplace.services.hdfs, workplace.id);
    workplace.generate("0.01", "users", &top);
    workplace.catalog(&format!(
        "[tables.users]\nconnector = \"parquet\"\nlocation = \"{top}/users\"\n"
    ));
    let alias = top.replace("127.0.0.1", "localhost");
    assert_ne!(alias, top);
    for (place, words) in [
        (format!("{top}/users/out"), "a part of the table `users`"),
        (format!("{alias}/users/out"), "a part of the table `users`"),
        (format!("{top}/users/"), "reads the table `users`"),
        (format!("{alias}/users/"), "holds files that are no result"),
        (alias.clone(), "holds files that are no result"),
    ] {
        workplace.refuses(
            &format!("COPY users TO '{place}' STORED AS JSON"),
            3,
            &[words, "hint: "],
        );
    }
    workplace.writes(&format!("COPY users TO '{alias}/out' STORED AS JSON"));
    assert_eq!(workplace.value("SELECT count(*) FROM users"), "100");
}
