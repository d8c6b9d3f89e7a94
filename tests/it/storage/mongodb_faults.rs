//! A server of MongoDB's protocol that dies while a query reads from it: its cursors are gone, and the
//! tasks that had read a part begin anew.

use std::process::Stdio;
use std::time::{Duration, Instant};

use emporia_e2e::programs::wait_until;

use super::hdfs_faults::has_ended;
use super::workplace::{Workplace, printed, said};
use crate::faults::cluster::{self, Patience};

/// 50,000 transactions: FerretDB takes some seconds to read them.
const SCALE: &str = "0.1";
/// Between two halves of them.
const MIDDLE: &str = "txn_0000000061a8";
/// How often a query is asked that was over before the fault.
const TRIES: u32 = 5;
/// Pause between two looks at a job.
const POLL: Duration = Duration::from_millis(10);
const QUERY: &str = "SELECT status, count(*) AS n, sum(total) AS total, min(ts) AS first, \
                     max(session_id) AS last FROM TABLE GROUP BY status ORDER BY status";

#[test]
fn a_server_may_die_while_a_query_reads() {
    if !super::faults::are_wanted() {
        return;
    }
    let Some(mut workplace) = Workplace::alone() else {
        return;
    };
    workplace.generate(SCALE, "transactions", ".");
    let target = format!("mongodb:faults_{}.transactions", workplace.id);
    let load = ["load", "transactions", "--no-progress", "--to", &target];
    // FerretDB, which stands in for MongoDB, has no decimals.
    let as_text = ["subtotal", "discount", "total"].map(|c| format!("stored.{c}=text"));
    let options = as_text.iter().flat_map(|option| ["--option", option]);
    let entry = workplace.ok(&load.into_iter().chain(options).collect::<Vec<_>>());
    workplace.catalog(&format!(
        "{}split_at = \"{MIDDLE}\"\n",
        entry.replace("[tables.transactions", "[tables.stored")
    ));
    let expected = workplace.csv(&QUERY.replace("TABLE", "transactions"));

    let environment = workplace.services.environment();
    let cluster =
        cluster::start(&workplace.path("cluster"), 2, Patience::Short, &environment).unwrap();
    let url = cluster.url.clone();
    workplace.settings = vec![("EMPORIA_CLIENT__CLUSTER", url)];
    let query = QUERY.replace("TABLE", "stored");
    let start = Instant::now();
    assert_eq!(workplace.csv(&query), expected);
    let mut undisturbed = start.elapsed();

    for _ in 0..TRIES {
        let start = Instant::now();
        let args = [
            "sql",
            "--quiet",
            "--no-progress",
            "--format",
            "csv",
            "-e",
            &query,
        ];
        let mut job = workplace
            .command(&args, &[])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let has_begun = wait_until(Duration::from_secs(20), || {
            cluster.n_active_queries().unwrap() > 0 || has_ended(&mut job)
        });
        assert!(has_begun, "the query does not begin");
        let mut is_over = has_ended(&mut job);
        while !is_over && start.elapsed() < undisturbed * 4 / 10 {
            std::thread::sleep(POLL);
            is_over = has_ended(&mut job);
        }
        let ended_after = start.elapsed();
        workplace.control(&["kill", "ferretdb"]);
        workplace.control(&["start", "ferretdb"]);
        let output = job.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", said(&output));
        assert_eq!(printed(&output), expected);
        if !is_over {
            eprintln!(
                "undisturbed {undisturbed:.1?}, with a dead server {:.1?}",
                start.elapsed()
            );
            return;
        }
        // The machine was slower when the undisturbed query ran.
        undisturbed = undisturbed.min(ended_after);
    }
    panic!("the query was over too soon, {TRIES} times");
}
