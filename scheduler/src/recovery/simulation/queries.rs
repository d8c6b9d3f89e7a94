//! What is run: the DataFrame jobs, four queries of TPC-H, and forms of plans that they lack.

use std::path::Path;
use std::sync::Arc;

use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::prelude::{DataFrame, SessionConfig, SessionContext};
use emporia_core::catalog::Catalog;
use emporia_core::config::{SchedulerSettings, StoreSettings};
use emporia_core::job::Params;
use emporia_engine::job::Output;
use emporia_engine::state::session_config;
use emporia_engine::{EngineOptions, Session, Stores, Target};

use super::rows::Rows;
use super::tables::{shop, tpc_h};
use crate::config;

/// Joins with a smaller side send that side to each task: nations and suppliers, but not orders.
const BROADCAST_BYTES: u64 = 2048;

/// The name of a query, whether its rows have an order, and its text.
const TEXTS: [(&str, bool, &str); 8] = [
    (
        "tpc-h 5",
        true,
        "SELECT n_name, sum(l_extendedprice * (1 - l_discount)) AS revenue
         FROM customer, orders, lineitem, supplier, nation, region
         WHERE c_custkey = o_custkey AND l_orderkey = o_orderkey AND l_suppkey = s_suppkey
             AND c_nationkey = s_nationkey AND s_nationkey = n_nationkey AND n_regionkey = r_regionkey
             AND r_name = 'ASIA' AND o_orderdate >= DATE '1994-01-01' AND o_orderdate < DATE '1995-01-01'
         GROUP BY n_name ORDER BY revenue DESC",
    ),
    (
        "tpc-h 9",
        true,
        "SELECT nation, o_year, sum(amount) AS sum_profit
         FROM (SELECT n_name AS nation, extract(year FROM o_orderdate) AS o_year,
                   l_extendedprice * (1 - l_discount) - ps_supplycost * l_quantity AS amount
               FROM part, supplier, lineitem, partsupp, orders, nation
               WHERE s_suppkey = l_suppkey AND ps_suppkey = l_suppkey AND ps_partkey = l_partkey
                   AND p_partkey = l_partkey AND o_orderkey = l_orderkey AND s_nationkey = n_nationkey
                   AND p_name LIKE '%green%') AS profit
         GROUP BY nation, o_year ORDER BY nation, o_year DESC",
    ),
    (
        "tpc-h 18",
        true,
        "SELECT c_name, c_custkey, o_orderkey, o_orderdate, o_totalprice, sum(l_quantity)
         FROM customer, orders, lineitem
         WHERE o_orderkey IN (SELECT l_orderkey FROM lineitem GROUP BY l_orderkey HAVING sum(l_quantity) > 300)
             AND c_custkey = o_custkey AND o_orderkey = l_orderkey
         GROUP BY c_name, c_custkey, o_orderkey, o_orderdate, o_totalprice
         ORDER BY o_totalprice DESC, o_orderdate LIMIT 100",
    ),
    (
        "tpc-h 21",
        true,
        "SELECT s_name, count(*) AS numwait
         FROM supplier, lineitem l1, orders, nation
         WHERE s_suppkey = l1.l_suppkey AND o_orderkey = l1.l_orderkey AND o_orderstatus = 'F'
             AND l1.l_receiptdate > l1.l_commitdate
             AND EXISTS (SELECT * FROM lineitem l2
                         WHERE l2.l_orderkey = l1.l_orderkey AND l2.l_suppkey <> l1.l_suppkey)
             AND NOT EXISTS (SELECT * FROM lineitem l3
                             WHERE l3.l_orderkey = l1.l_orderkey AND l3.l_suppkey <> l1.l_suppkey
                                 AND l3.l_receiptdate > l3.l_commitdate)
             AND s_nationkey = n_nationkey AND n_name = 'SAUDI ARABIA'
         GROUP BY s_name ORDER BY numwait DESC, s_name LIMIT 100",
    ),
    (
        "union",
        false,
        "SELECT k, count(*) AS n, sum(v) AS v
         FROM (SELECT l_suppkey AS k, l_quantity AS v FROM lineitem WHERE l_linenumber < 4
               UNION ALL SELECT o_custkey, o_totalprice FROM orders
               UNION ALL (SELECT c_custkey, 1 FROM customer UNION SELECT s_suppkey, 2 FROM supplier)) AS t
         GROUP BY k",
    ),
    (
        "window",
        false,
        "SELECT o_custkey, o_orderkey, row_number() OVER (PARTITION BY o_custkey ORDER BY o_totalprice, o_orderkey),
             sum(o_totalprice) OVER (PARTITION BY o_custkey ORDER BY o_orderkey), n
         FROM orders JOIN (SELECT l_orderkey, count(*) AS n FROM lineitem GROUP BY l_orderkey) AS lines
             ON o_orderkey = l_orderkey",
    ),
    (
        "first rows",
        true,
        "SELECT o_custkey, l_orderkey, l_linenumber, l_extendedprice FROM lineitem JOIN orders ON l_orderkey = o_orderkey
         ORDER BY l_extendedprice DESC, l_orderkey, l_linenumber LIMIT 40",
    ),
    (
        "order and floats",
        true,
        "SELECT l_suppkey, avg(CAST(l_quantity AS DOUBLE)) AS a, stddev(CAST(l_discount AS DOUBLE)) AS s
         FROM lineitem JOIN orders ON l_orderkey = o_orderkey GROUP BY l_suppkey ORDER BY l_suppkey",
    ),
];

/// A job, and the scale and tables of the shop that it reads.
const JOBS: [(&str, f64, &[&str]); 4] = [
    ("cleaning", 0.000_1, &["orders_raw"]),
    ("cohort", 0.003, &["users", "transactions"]),
    (
        "clv",
        0.003,
        &[
            "transactions",
            "transaction_items",
            "products",
            "subcategories",
        ],
    ),
    (
        "revenue_by_category",
        0.003,
        &[
            "transactions",
            "transaction_items",
            "products",
            "subcategories",
            "categories",
        ],
    ),
];

/// A query, planned as the scheduler plans it.
pub(super) struct Query {
    pub(super) name: String,
    pub(super) is_ordered: bool,
    pub(super) config: Arc<SessionConfig>,
    pub(super) plan: Arc<dyn ExecutionPlan>,
    /// The rows of one process without exchanges.
    pub(super) rows: Rows,
}

/// All queries, with tables below `folder`.
pub(super) async fn all(folder: &Path, is_adaptive: bool) -> Vec<Query> {
    let mut queries = Vec::new();
    for (name, scale, tables) in JOBS {
        let catalog = shop(&folder.join(name), scale, tables).await;
        let session = open(catalog, is_adaptive);
        let mut jobs = emporia_jobs::all().into_iter();
        let job = jobs.find(|job| job.spec().name == name).unwrap();
        let params = Params::bind(job.spec(), &[]).unwrap();
        let run = job.run(&session, &params).await.unwrap();
        let frame = match run.outputs.into_iter().next().unwrap() {
            Output::Table { frame, .. } | Output::Split { frame, .. } => frame,
        };
        queries.push(Query::of(name, false, frame, is_adaptive).await);
    }
    let catalog = tpc_h(&folder.join("tpc-h")).await;
    let session = open(catalog, is_adaptive);
    let tables: Vec<String> = session.catalog().tables.keys().cloned().collect();
    session
        .prepare(tables.iter().map(String::as_str))
        .await
        .unwrap();
    for (name, is_ordered, text) in TEXTS {
        let frame = session.context().sql(text).await.unwrap();
        queries.push(Query::of(name, is_ordered, frame, is_adaptive).await);
    }
    queries
}

fn options(is_adaptive: bool) -> EngineOptions {
    EngineOptions {
        adaptive: is_adaptive,
        target_partitions: 3,
        broadcast_threshold_bytes: BROADCAST_BYTES,
        ..EngineOptions::default()
    }
}

fn open(catalog: Catalog, is_adaptive: bool) -> Session {
    let stores = Stores::new(StoreSettings::default());
    Session::open(
        catalog,
        Target::SingleProcess,
        &options(is_adaptive),
        &stores,
    )
    .unwrap()
}

impl Query {
    async fn of(name: &str, is_ordered: bool, frame: DataFrame, is_adaptive: bool) -> Self {
        let rows = Rows::of(&frame.clone().collect().await.unwrap(), is_ordered);
        assert!(!rows.is_empty(), "{name} has no rows");
        let (state, plan) = frame.into_parts();
        let plan = state.optimize(&plan).unwrap();
        let (config, plan) = planned(&plan, is_adaptive).await;
        Self {
            name: name.to_owned(),
            is_ordered,
            config,
            plan,
            rows,
        }
    }
}

/// What the scheduler makes of a plan that a client sends.
async fn planned(
    plan: &LogicalPlan,
    is_adaptive: bool,
) -> (Arc<SessionConfig>, Arc<dyn ExecutionPlan>) {
    let settings = SchedulerSettings::default();
    let scheduler = config::build(&settings, StoreSettings::default(), 0).unwrap();
    let stores = Stores::new(StoreSettings::default());
    let config = session_config(&options(is_adaptive), &stores)
        // Small files have several partitions, too.
        .set_usize("datafusion.optimizer.repartition_file_min_size", 0)
        // Who does not answer once does not answer at all.
        .set_str("ballista.client.io_retries_times", "0");
    let state = scheduler.override_session_builder.unwrap()(config).unwrap();
    let context = SessionContext::new_with_state(state);
    let plan = context.state().create_physical_plan(plan).await.unwrap();
    (Arc::new(context.copied_config()), plan)
}
