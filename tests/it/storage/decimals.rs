//! Decimals in MongoDB, exact to the cent: on a server that has them, which FerretDB is not.

use std::process::Command;

use super::workplace::{OwnServers, Workplace, printed, said};

/// Prints the sum of a field of all documents, as a client that knows nothing of Emporia adds it up.
const SUM: &str = "\
import decimal, sys, pymongo
uri, database, collection, field = sys.argv[1:]
documents = pymongo.MongoClient(uri)[database][collection].find()
print(sum((d[field].to_decimal() for d in documents), decimal.Decimal(0)))
";

#[test]
fn decimals_go_to_mongodb_and_back() {
    let Some(mut workplace) = Workplace::open() else {
        return;
    };
    let uri = workplace.services.mongodb_decimal_uri.clone();
    workplace.settings = vec![("EMPORIA_STORES__MONGODB_URI", uri.clone())];
    let _server = OwnServers::start(&workplace, "mongo-java", &["mongo-java"]);
    workplace.generate("0.01", "transactions", ".");
    let database = format!("decimals_{}", workplace.id);
    let target = format!("mongodb:{database}.transactions");
    let load = ["load", "transactions", "--no-progress", "--to", &target];
    // The second one writes the same documents again.
    let entries = [workplace.ok(&load), workplace.ok(&load)];
    assert_eq!(entries[0], entries[1]);
    assert!(entries[0].contains("total decimal(18,2)"), "{}", entries[0]);
    workplace.catalog(&entries[0].replace("[tables.transactions", "[tables.stored"));

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
            ["stored", "transactions"].map(|table| workplace.csv(&query.replace("TABLE", table)));
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
    let sum = workplace.value("SELECT sum(total) AS total FROM transactions");
    assert_eq!(sum, printed(&output).trim());
}
