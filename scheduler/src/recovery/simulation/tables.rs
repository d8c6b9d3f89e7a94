//! Small tables: those of TPC-H, made so that each query finds rows, and those of the generator's shop.

use std::path::Path;

use datafusion::dataframe::DataFrameWriteOptions;
use datafusion::prelude::SessionContext;
use emporia_core::catalog::Catalog;
use emporia_datasets::{Format, GenerateOptions, NoProgress, generate, open_local};

/// Files of each table, each a partition of its scan.
const N_FILES: usize = 3;

/// The tables of TPC-H with the columns that the queries read: their names and texts, of which the first column is the
/// key that says in which file a row is.
const TPC_H: [(&str, &str); 8] = [
    (
        "region",
        "SELECT * FROM (VALUES (0, 'AFRICA'), (1, 'AMERICA'), (2, 'ASIA'), (3, 'EUROPE'), (4, 'MIDDLE EAST'))
         AS t (r_regionkey, r_name)",
    ),
    (
        "nation",
        "SELECT * FROM (VALUES (0, 'ALGERIA', 0), (3, 'CANADA', 1), (7, 'GERMANY', 3), (8, 'INDIA', 2),
             (9, 'INDONESIA', 2), (12, 'JAPAN', 2), (18, 'CHINA', 2), (20, 'SAUDI ARABIA', 4), (21, 'VIETNAM', 2))
         AS t (n_nationkey, n_name, n_regionkey)",
    ),
    (
        "supplier",
        "SELECT value AS s_suppkey, 'Supplier ' || value AS s_name,
             (ARRAY[8, 9, 12, 18, 21, 20, 3])[1 + value % 7] AS s_nationkey
         FROM generate_series(1, 40)",
    ),
    (
        "customer",
        "SELECT value AS c_custkey, 'Customer ' || value AS c_name,
             (ARRAY[8, 9, 12, 18, 21, 20, 3])[1 + value * 3 % 7] AS c_nationkey
         FROM generate_series(1, 60)",
    ),
    (
        "part",
        "SELECT value AS p_partkey,
             (ARRAY['dark green lace', 'red rose', 'green blue', 'navy snow'])[1 + value % 4] AS p_name
         FROM generate_series(1, 40)",
    ),
    (
        "partsupp",
        "SELECT p.value AS ps_partkey, 1 + (p.value + n.value * 10) % 40 AS ps_suppkey,
             CAST(10 + (p.value * 7 + n.value * 13) % 90 AS DECIMAL(15, 2)) AS ps_supplycost
         FROM generate_series(1, 40) AS p CROSS JOIN generate_series(0, 3) AS n",
    ),
    (
        "orders",
        "SELECT value AS o_orderkey, 1 + value * 13 % 60 AS o_custkey,
             CASE WHEN value % 3 = 0 THEN 'O' ELSE 'F' END AS o_orderstatus,
             CAST(1000 + value * 7919 % 90000 AS DECIMAL(15, 2)) AS o_totalprice,
             CAST(CAST(8552 + value * 37 % 900 AS INT) AS DATE) AS o_orderdate
         FROM generate_series(1, 300)",
    ),
    (
        "lineitem",
        "SELECT o.value AS l_orderkey, n.value AS l_linenumber, 1 + (o.value * 17 + n.value * 5) % 40 AS l_partkey,
             1 + (1 + (o.value * 17 + n.value * 5) % 40 + n.value % 4 * 10) % 40 AS l_suppkey,
             CAST(CASE WHEN o.value % 21 = 6 THEN 50 ELSE 1 + o.value * n.value * 3 % 50 END AS DECIMAL(15, 2))
                 AS l_quantity,
             CAST(900 + (o.value * 31 + n.value * 101) % 9000 AS DECIMAL(15, 2)) AS l_extendedprice,
             CAST(CAST((o.value + n.value) % 11 AS DOUBLE) / 100.0 AS DECIMAL(15, 2)) AS l_discount,
             CAST(CAST(8766 + o.value * 37 % 900 + n.value AS INT) AS DATE) AS l_commitdate,
             CAST(CAST(8753 + o.value * 37 % 900 + n.value + o.value * n.value % 20 AS INT) AS DATE) AS l_receiptdate
         FROM generate_series(1, 300) AS o CROSS JOIN generate_series(1, 7) AS n
         WHERE n.value <= 1 + o.value % 7",
    ),
];

/// Writes the tables of TPC-H below `folder`.
pub(super) async fn tpc_h(folder: &Path) -> Catalog {
    let context = SessionContext::new();
    let mut catalog = String::new();
    for (name, text) in TPC_H {
        let rows = context.sql(text).await.unwrap().cache().await.unwrap();
        let key = rows.schema().field(0).name().clone();
        let rows = rows.into_view();
        context.register_table(name, rows).unwrap();
        std::fs::create_dir_all(folder.join(name)).unwrap();
        for n in 0..N_FILES {
            let text = format!("SELECT * FROM {name} WHERE {key} % {N_FILES} = {n}");
            let file = folder.join(name).join(format!("{n}.parquet"));
            let options = DataFrameWriteOptions::new().with_single_file_output(true);
            let part = context.sql(&text).await.unwrap();
            part.write_parquet(file.to_str().unwrap(), options, None)
                .await
                .unwrap();
        }
        catalog += &format!("[tables.{name}]\nconnector = \"parquet\"\nlocation = \"{name}/\"\n");
    }
    Catalog::parse(&catalog, Some(folder)).unwrap()
}

/// Writes tables of the generator's shop below `folder`.
pub(super) async fn shop(folder: &Path, scale: f64, tables: &[&str]) -> Catalog {
    let out = folder.to_str().unwrap().to_owned();
    let (store, base) = open_local(&out).unwrap();
    let options = GenerateOptions {
        scale,
        out,
        format: Format::Parquet,
        tables: Some(tables.iter().map(|&name| name.to_owned()).collect()),
        ..GenerateOptions::default()
    };
    generate(options, store, base, &NoProgress).await.unwrap();
    Catalog::load(&folder.join("emporia.toml")).unwrap()
}
