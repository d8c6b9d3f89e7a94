//! Every job prints its rows in one order, however many partitions the work is cut into.

use std::path::Path;

use emporia_e2e::programs::emporia;

const PARTITIONS: [&str; 4] = ["1", "2", "3", "7"];

#[track_caller]
fn printed(folder: &Path, args: &[&str]) -> String {
    let output = emporia(folder, args).unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{args:?} said: {said}");
    String::from_utf8(output.stdout).unwrap()
}

/// A small shop with the cleaned orders that some jobs read; the names of all jobs.
fn shop(folder: &Path) -> Vec<String> {
    let what = ["--quiet", "--page-views", "--scale", "0.004", "--out", "."];
    printed(folder, &[&["generate"][..], &what].concat());
    printed(
        folder,
        &["submit", "cleaning", "--quiet", "-o", "./orders_clean"],
    );
    let catalog = folder.join("emporia.toml");
    let tables = std::fs::read_to_string(&catalog).unwrap();
    let orders = "[tables.orders]\nconnector = \"parquet\"\nlocation = \"orders_clean\"\n";
    std::fs::write(&catalog, format!("{tables}\n{orders}")).unwrap();
    let listed = printed(folder, &["jobs", "--format", "csv"]);
    let names = listed.lines().skip(1);
    names
        .filter_map(|line| Some(line.split_once(',')?.0.to_owned()))
        .collect()
}

#[test]
fn rows_of_jobs_are_in_one_order_at_any_number_of_partitions() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let jobs = shop(folder);
    assert!(jobs.len() >= 28, "{jobs:?}");
    for job in jobs {
        let run = |partitions| {
            let how = ["--quiet", "--format", "csv", "--all-outputs"];
            let how = [&how[..], &["--target-partitions", partitions]].concat();
            printed(folder, &[&["submit", &job], &how[..]].concat())
        };
        let expected = run(PARTITIONS[0]);
        assert!(expected.lines().count() > 1, "{job} made no rows");
        for partitions in &PARTITIONS[1..] {
            let rows = run(partitions);
            let mut pairs = expected.lines().zip(rows.lines());
            let differing = pairs.find(|(one, other)| one != other);
            assert!(
                rows == expected,
                "{job} at {partitions} partitions: {differing:?}"
            );
        }
    }
}
