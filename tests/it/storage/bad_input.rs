//! Mistakes in definitions, and stored data that is not what a definition says: every case ends
//! with the documented exit code and a message that names the object and what to do, or leaves out
//! or nulls what the definition says, and counts it.

use super::workplace::{Workplace, said};

/// The same rows of HBase and MongoDB under several definitions, most of which are wrong.
const CATALOG: &str = r##"
[tables.cells]
connector = "hbase"
location = "hbase:bad_{id}"
columns = ["id string", "n string", "label string"]
options = { key = "id", family = "f", presence = "f:_" }

[tables.cells_typed]
connector = "hbase"
location = "hbase:bad_{id}"
columns = ["id string", "n int64", "label string"]
options = { key = "id", family = "f", presence = "f:_" }

[tables.cells_null]
connector = "hbase"
location = "hbase:bad_{id}"
columns = ["id string", "n int64", "label string"]
options = { key = "id", family = "f", presence = "f:_", malformed = "null" }

[tables.cells_skip]
connector = "hbase"
location = "hbase:bad_{id}"
columns = ["id string", "n int64", "label string"]
options = { key = "id", family = "f", presence = "f:_", malformed = "skip" }

[tables.keys]
connector = "hbase"
location = "hbase:bad_{id}"
columns = ["word string", "number int64", "label string"]
options = { key = "word '-' number", family = "f", presence = "f:_" }

[tables.keys_skip]
connector = "hbase"
location = "hbase:bad_{id}"
columns = ["word string", "number int64", "label string"]
options = { key = "word '-' number", family = "f", presence = "f:_", malformed = "skip" }

[tables.no_table]
connector = "hbase"
location = "hbase:no_such_table_{id}"
columns = ["id string", "n string"]
options = { key = "id", family = "f", presence = "f:_" }

[tables.no_namespace]
connector = "hbase"
location = "hbase:no_such_namespace:bad"
columns = ["id string", "n string"]
options = { key = "id", family = "f", presence = "f:_" }

[tables.no_family]
connector = "hbase"
location = "hbase:bad_{id}"
columns = ["id string", "n string"]
options = { key = "id", family = "ff", presence = "ff:_" }

[tables.no_column]
connector = "hbase"
location = "hbase:bad_{id}"
columns = ["id string", "n string", "label string"]
options = { key = "id", family = "f", presence = "f:_", missing = "error", "column.label" = "f:lable" }

[tables.no_result]
connector = "hbase"
location = "hbase:bad_{id}"

[tables.documents]
connector = "mongodb"
location = "mongodb:bad_{id}.things"
columns = ["id string", "n string", "label string"]
options = { key = "id" }

[tables.documents_typed]
connector = "mongodb"
location = "mongodb:bad_{id}.things"
columns = ["id string", "n int64", "label string"]
options = { key = "id" }

[tables.documents_null]
connector = "mongodb"
location = "mongodb:bad_{id}.things"
columns = ["id string", "n int64", "label string"]
options = { key = "id", malformed = "null" }

[tables.documents_nested]
connector = "mongodb"
location = "mongodb:bad_{id}.things"
columns = ["id string", "label struct(city string, country string)"]
options = { key = "id" }

[tables.documents_listed]
connector = "mongodb"
location = "mongodb:bad_{id}.things"
columns = ["id string", "label list(string)"]
options = { key = "id" }

[tables.nested]
connector = "mongodb"
location = "mongodb:bad_{id}.nested"
columns = ["id string", "label struct(city string)"]
options = { key = "id" }

[tables.nested_text]
connector = "mongodb"
location = "mongodb:bad_{id}.nested"
columns = ["id string", "label string"]
options = { key = "id" }

[tables.nested_number]
connector = "mongodb"
location = "mongodb:bad_{id}.nested"
columns = ["id string", "label int64"]
options = { key = "id" }

[tables.no_collection]
connector = "mongodb"
location = "mongodb:bad_{id}.thing"
"##;

/// A workplace with four rows, of which one has no number in `n` and one no number in its key.
fn filled() -> Option<Workplace> {
    let workplace = Workplace::open()?;
    workplace.catalog(CATALOG);
    let rows = "VALUES ('a-1', '1', 'one'), ('b-2', 'two', 'zwei'), ('c-x', '3', 'three'), \
                ('d-4', '4', NULL)";
    workplace.writes(&format!("INSERT INTO cells {rows}"));
    workplace.writes(&format!("INSERT INTO documents {rows}"));
    workplace.writes("INSERT INTO nested SELECT 'a' AS id, named_struct('city', 'Graz') AS label");
    assert_eq!(workplace.value("SELECT count(*) FROM cells"), "4");
    assert_eq!(workplace.value("SELECT count(*) FROM documents"), "4");
    Some(workplace)
}

#[test]
fn what_a_definition_names_must_exist_in_hbase() {
    let Some(workplace) = filled() else { return };
    let table = format!("no_such_table_{}", workplace.id);
    workplace.refuses(
        "SELECT * FROM no_table",
        3,
        &[
            "table `no_table`",
            &table,
            "hint: check the location in the catalog",
        ],
    );
    workplace.refuses(
        "SELECT * FROM no_namespace",
        3,
        &[
            "table `no_namespace`",
            "no_such_namespace",
            "hbase:NAMESPACE:TABLE",
        ],
    );
    workplace.refuses(
        "SELECT * FROM no_family",
        3,
        &[
            "table `no_family`",
            "has no column family `ff`",
            "hint: did you mean `f`?",
        ],
    );
    // HBase has no list of columns: a wrong name is a cell that is missing in every row.
    workplace.refuses("SELECT label FROM no_column", 1, &["f:lable", "hint: "]);
    workplace.refuses(
        "SELECT lable FROM cells",
        3,
        &["no column `lable`", "did you mean `label`?"],
    );
    workplace.refuses(
        "SELECT * FROM no_result",
        3,
        &[
            "holds no published result",
            "hint: run the job that writes it",
        ],
    );
}

#[test]
fn a_value_that_does_not_decode_is_refused_nulled_or_left_out() {
    let Some(workplace) = filled() else { return };
    workplace.refuses(
        "SELECT sum(n) FROM cells_typed",
        1,
        &["`two`", "b-2", "f:n", "malformed"],
    );
    assert_eq!(
        workplace.rows("SELECT id, n FROM cells_null ORDER BY id"),
        ["a-1,1", "b-2,", "c-x,3", "d-4,4"]
    );
    let sql = "SELECT id, n FROM cells_skip ORDER BY id";
    assert_eq!(workplace.rows(sql), ["a-1,1", "c-x,3", "d-4,4"]);
    // What is left out is counted and named.
    let output = workplace.run(&["sql", "--no-progress", "-e", sql], &[]);
    let said = said(&output);
    assert!(
        said.contains("b-2") && said.contains("n_skipped=1"),
        "{said}"
    );
    // A query that does not read the column is not concerned.
    assert_eq!(workplace.value("SELECT count(*) FROM cells_skip"), "4");
    assert_eq!(workplace.value("SELECT count(*) FROM cells_typed"), "4");
}

#[test]
fn a_row_key_that_does_not_parse_is_refused_or_left_out() {
    let Some(workplace) = filled() else { return };
    workplace.refuses(
        "SELECT word, number FROM keys",
        1,
        &["c-x", "option `key`", "malformed"],
    );
    let sql = "SELECT word, number, label FROM keys_skip ORDER BY word";
    assert_eq!(workplace.rows(sql), ["a,1,one", "b,2,zwei", "d,4,"]);
    let output = workplace.run(&["sql", "--no-progress", "-e", sql], &[]);
    let said = said(&output);
    assert!(
        said.contains("c-x") && said.contains("n_skipped=1"),
        "{said}"
    );
}

#[test]
fn a_document_of_another_shape_is_refused_or_nulled() {
    let Some(workplace) = filled() else { return };
    let collection = format!("bad_{}.things", workplace.id);
    workplace.refuses(
        "SELECT sum(n) FROM documents_typed",
        1,
        &[&collection, "b-2", "`n`", "malformed"],
    );
    assert_eq!(
        workplace.rows("SELECT id, n FROM documents_null ORDER BY id"),
        ["a-1,1", "b-2,", "c-x,3", "d-4,4"]
    );
    workplace.refuses(
        "SELECT label FROM documents_nested",
        1,
        &[&collection, "`label`", "malformed = \"null\""],
    );
    workplace.refuses(
        "SELECT label FROM documents_listed",
        1,
        &[&collection, "`label`", "malformed = \"null\""],
    );
    workplace.refuses(
        "SELECT label FROM nested_number",
        1,
        &["nested", "`label`", "has object", "int64"],
    );
    // A column of text takes any shape.
    assert_eq!(
        workplace.value("SELECT label FROM nested_text"),
        r#""{""city"":""Graz""}""#
    );
    workplace.refuses(
        "SELECT * FROM no_collection",
        3,
        &[
            "table `no_collection`",
            "there is no collection",
            "hint: did you mean",
        ],
    );
}

#[test]
fn a_gateway_must_be_there_and_speak_the_protocol() {
    let Some(workplace) = filled() else { return };
    let query = ["sql", "--no-progress", "-e", "SELECT count(*) FROM cells"];
    let short = ("EMPORIA_STORES__PATIENCE", "2s");
    // A gateway of Thrift 2 answers, but to other calls.
    let wrong = workplace.services.hbase_admin_gateway.as_str();
    workplace.refused(
        &query,
        &[("EMPORIA_STORES__HBASE_GATEWAYS", wrong), short],
        4,
        &[
            wrong,
            "does not speak the configured protocol: it is a Thrift2 server",
            "hint: correct stores.hbase_gateways",
        ],
    );
    let wrong = workplace.services.hdfs.trim_start_matches("hdfs://");
    workplace.refused(
        &query,
        &[("EMPORIA_STORES__HBASE_GATEWAYS", wrong), short],
        4,
        &[
            "no gateway can be reached",
            wrong,
            "during the handshake",
            "stores.hbase_gateways",
        ],
    );
    // Framed messages to a gateway that reads plain ones.
    workplace.refused(
        &query,
        &[("EMPORIA_STORES__HBASE_TRANSPORT", "framed"), short],
        4,
        &["does not speak", "stores.hbase_transport"],
    );
    workplace.refused(
        &query,
        &[("EMPORIA_STORES__HBASE_PROTOCOL", "compact"), short],
        4,
        &["does not speak", "stores.hbase_protocol"],
    );
    workplace.refused(
        &query,
        &[("EMPORIA_STORES__HBASE_GATEWAYS", "127.0.0.1:1"), short],
        4,
        &[
            "no gateway can be reached",
            "127.0.0.1:1",
            "stores.hbase_gateways",
        ],
    );
    // One that is not there does not matter where another one is.
    let gateways = format!("127.0.0.1:1,{}", workplace.services.hbase_gateways);
    let output = workplace.run(&query, &[("EMPORIA_STORES__HBASE_GATEWAYS", &gateways)]);
    assert!(output.status.success(), "{}", said(&output));
}

#[test]
fn a_mongodb_server_must_be_there_and_let_the_user_in() {
    let Some(workplace) = filled() else { return };
    let query = [
        "sql",
        "--no-progress",
        "-e",
        "SELECT count(*) FROM documents",
    ];
    let short = ("EMPORIA_STORES__PATIENCE", "2s");
    let nowhere = "mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=1000";
    workplace.refused(
        &query,
        &[("EMPORIA_STORES__MONGODB_URI", nowhere), short],
        4,
        &[
            "cannot open `bad_",
            "on 127.0.0.1:1: the server does not answer",
            "stores.mongodb_uri",
        ],
    );
    let right = workplace.services.mongodb_auth_uri.as_str();
    let (user, server) = right.rsplit_once('@').unwrap();
    let (scheme, password) = user.rsplit_once(':').unwrap();
    let wrong = format!("{scheme}:not-{password}@{server}");
    workplace.refused(
        &query,
        &[("EMPORIA_STORES__MONGODB_URI", &wrong)],
        1,
        &["refuses the user or the password", "mongodb_password_file"],
    );
    let nobody = format!("mongodb://{server}");
    workplace.refused(
        &query,
        &[("EMPORIA_STORES__MONGODB_URI", &nobody)],
        1,
        &["the user may not do this", "grant the user"],
    );
    let missing = [
        ("EMPORIA_STORES__MONGODB_URI", nobody.as_str()),
        ("EMPORIA_STORES__MONGODB_USER", "emporia"),
        ("EMPORIA_STORES__MONGODB_PASSWORD_FILE", "no-such-file"),
    ];
    workplace.refused(
        &query,
        &missing,
        3,
        &["cannot read `no-such-file`", "stores.mongodb_password_file"],
    );
    // With the right password the collection is what is missing.
    workplace.write("password", &format!("{password}\n"));
    let given = [
        ("EMPORIA_STORES__MONGODB_URI", nobody.as_str()),
        ("EMPORIA_STORES__MONGODB_USER", "emporia"),
        ("EMPORIA_STORES__MONGODB_PASSWORD_FILE", "password"),
    ];
    workplace.refused(&query, &given, 3, &["there is no collection"]);
}
