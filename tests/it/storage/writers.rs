//! Writers of one result on HDFS at the same time: its manifests are files that are created once.

use std::process::Stdio;

use super::workplace::{Workplace, said};

const N_WRITERS: usize = 4;
/// Each round begins when all writers of the one before have ended.
const N_ROUNDS: usize = 3;

#[test]
fn of_writers_at_once_those_that_report_success_have_their_rows_there() {
    let Some(workplace) = Workplace::open() else {
        return;
    };
    let place = format!("{}/writers_{}/t", workplace.services.hdfs, workplace.id);
    workplace.catalog(&format!(
        "[tables.t]\nconnector = \"parquet\"\nlocation = \"{place}\"\ncolumns = [\"n int64\"]\n"
    ));
    let insert = |n: usize| format!("INSERT INTO t SELECT CAST({n} AS BIGINT) AS n");
    workplace.writes(&insert(0));
    let mut expected = vec![0];
    for round in 0..N_ROUNDS {
        let numbers = (1..=N_WRITERS).map(|writer| round * N_WRITERS + writer);
        let writers: Vec<_> = numbers
            .map(|n| {
                let mut command =
                    workplace.command(&["sql", "--no-progress", "-e", &insert(n)], &[]);
                let command = command.stdout(Stdio::piped()).stderr(Stdio::piped());
                (n, command.spawn().unwrap())
            })
            .collect();
        let n_before = expected.len();
        for (n, writer) in writers {
            let output = writer.wait_with_output().unwrap();
            if output.status.success() {
                expected.push(n);
            } else {
                let said = said(&output);
                assert!(said.contains("another job did"), "{n}: {said}");
            }
        }
        assert!(expected.len() > n_before, "one of them wins");
        let found = workplace.rows("SELECT n FROM t ORDER BY n");
        let found: Vec<usize> = found.iter().map(|n| n.parse().unwrap()).collect();
        expected.sort_unstable();
        assert_eq!(found, expected, "round {round}");
    }
}
