//! A server of MongoDB's protocol that dies while a query reads from it: its cursors are gone, and the
//! tasks that had read a part begin anew.

use std::time::Instant;

use super::half_way::{Work, finished, half_way};
use super::workplace::{Workplace, printed};
use crate::faults::cluster::{self, Patience};

/// 50,000 transactions: FerretDB takes some seconds to read them.
const SCALE: &str = "0.1";
/// Between two halves of them.
const MIDDLE: &str = "txn_0000000061a8";
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
    #[rustfmt::skip]
    let args = ["sql", "--quiet", "--no-progress", "--format", "csv", "-e", &query];
    let start = Instant::now();
    let (work, output) = Work::of(&cluster, || workplace.start(&args));
    let undisturbed = start.elapsed();
    assert_eq!(printed(&output), expected);
    let job = half_way(&cluster, work, || workplace.start(&args));
    let start = Instant::now();
    workplace.control(&["kill", "ferretdb"]);
    workplace.control(&["start", "ferretdb"]);
    assert_eq!(printed(&finished(job)), expected);
    eprintln!(
        "undisturbed {undisturbed:.1?}, right {:.1?} after the server died",
        start.elapsed()
    );
}
