//! Decimals in MongoDB, exact to the cent: on a server that has them, which FerretDB is not.

use std::process::Command;

use super::workplace::{Workplace, printed, said};

/// Prints the sum of a field of all documents, as a client that knows nothing of Emporia adds it up.
const SUM: &str = "\
import decimal, sys, pymongo
uri, database, collection, field = sys.argv[1:]
documents = pymongo.MongoClient(uri)[database][collection].find()
print(sum((d[field].to_decimal() for d in documents), decimal.Decimal(0)))
";

struct Server<'a>(&'a Workplace);

impl Drop for Server<'_> {
    fn drop(&mut self) {
        let _ = self.0.try_control(&["kill", "mongo-java"]);
    }
}

#[test]
fn decimals_go_to_mongodb_and_back() {
    let Some(workplace) = Workplace::open() else {
        return;
    };
    let server = Server(&workplace);
    workplace.control(&["up", "mongo-java"]);
    let uri = workplace.services.mongodb_decimal_uri.clone();
    let run = |args: &[&str]| {
        let output = workplace.run(args, &[("EMPORIA_STORES__MONGODB_URI", &uri)]);
        assert!(output.status.success(), "{args:?}: {}", said(&output));
        printed(&output)
    };
    run(&[
        "generate",
        "--quiet",
        "--scale",
        "0.01",
        "--tables",
        "transactions",
        "--out",
        ".",
    ]);
    let database = format!("decimals_{}", workplace.id);
    let target = format!("mongodb:{database}.transactions");
    let load = ["load", "transactions", "--no-progress", "--to", &target];
    // The second one writes the same documents again.
    let entries = [run(&load), run(&load)];
    assert_eq!(entries[0], entries[1]);
    assert!(entries[0].contains("total decimal(18,2)"), "{}", entries[0]);
    workplace.catalog(&entries[0].replace("[tables.transactions", "[tables.stored"));

    let rows = |sql: &str| {
        run(&[
            "sql",
            "--quiet",
            "--no-progress",
            "--format",
            "csv",
            "-e",
            sql,
        ])
    };
    let queries = [
        "SELECT transaction_id, subtotal, discount, total FROM TABLE ORDER BY transaction_id",
        "SELECT count(*), sum(subtotal), sum(discount), sum(total), min(total) FROM TABLE",
        "SELECT count(*), sum(total) FROM TABLE WHERE total >= 99.99",
        "SELECT count(*), sum(total) FROM TABLE WHERE discount = 0 OR total < 20.005",
        "SELECT count(*), sum(total) FROM TABLE WHERE total BETWEEN 49.50 AND 50.50",
        "SELECT status, sum(total) FROM TABLE WHERE subtotal <> total GROUP BY 1 ORDER BY 1",
    ];
    for query in queries {
        let [stored, generated] =
            ["stored", "transactions"].map(|table| rows(&query.replace("TABLE", table)));
        assert!(stored.lines().count() > 1, "{query}: {stored}");
        assert_eq!(
            stored.replace("stored.", ""),
            generated.replace("transactions.", ""),
            "{query}"
        );
    }

    let python = emporia_e2e::workspace().join("tests/services/python");
    let output = Command::new(python)
        .args(["-c", SUM, &uri, &database, "transactions", "total"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", said(&output));
    let sum = rows("SELECT sum(total) AS total FROM transactions");
    assert_eq!(sum.lines().nth(1), Some(printed(&output).trim()));
    drop(server);
}
