//! Folders of random names: what is written, replaced, copied and dropped there, and what is read then.

use std::fmt::Write as _;

use fastrand::Rng;

/// What the names are made of: what URIs, globs, shells, SQL and partitions give a meaning to, and letters in both normal forms.
const PARTS: [&str; 40] = [
    " ",
    "#",
    "?",
    "%",
    "%20",
    "%2F",
    "%25",
    "&",
    "+",
    "=",
    ":",
    "[",
    "]",
    "{",
    "}",
    "*",
    "'",
    "\"",
    "`",
    ";",
    ",",
    "\\",
    "..",
    "~",
    "$",
    "!",
    "@",
    "(",
    ")",
    "|",
    "<",
    ">",
    "^",
    "a",
    "Z",
    "7",
    "\u{fc}",
    "u\u{308}",
    "\u{5546}",
    "\u{1f6d2}",
];

/// `n` different names by a number; HDFS has none with a colon.
pub fn odd_names(seed: u64, n: usize, has_colons: bool) -> Vec<String> {
    let mut random = Rng::with_seed(seed);
    let mut names = Vec::with_capacity(n);
    while names.len() < n {
        let longest = if random.u8(..4) == 0 { 60 } else { 8 };
        let parts = (0..random.usize(1..longest)).map(|_| PARTS[random.usize(..PARTS.len())]);
        let name: String = parts.filter(|part| has_colons || *part != ":").collect();
        // These are other folders, and hidden ones are no data.
        let is_folder = !name.starts_with('.') && !name.is_empty() && name.len() <= 200;
        if is_folder && !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// A catalog with a table in each folder, and statements about them.
pub struct RoundTrip {
    /// The text of the catalog.
    pub catalog: String,
    /// Writes, replaces, copies and reads all tables.
    pub statements: String,
    /// The rows that the last statement prints.
    pub rows: Vec<String>,
}

/// Tables `t0`, `t1`, … at `places`, each written twice and copied to the place in `copies`, and a managed one.
pub fn round_trip(warehouse: &str, places: &[String], copies: &[String]) -> RoundTrip {
    let quoted = |text: &str| toml::Value::String(text.to_owned()).to_string();
    let mut catalog = format!("warehouse = {}\n", quoted(warehouse));
    let mut statements = String::new();
    let mut reads = Vec::new();
    let mut rows = Vec::new();
    for (n, (place, copy)) in places.iter().zip(copies).enumerate() {
        let format = ["parquet", "csv", "json"][n % 3];
        for (table, place) in [("t", place), ("c", copy)] {
            let place = quoted(place);
            let _ = write!(
                catalog,
                "[tables.{table}{n}]\nconnector = \"{format}\"\nlocation = {place}\ncolumns = [\"n int64\"]\n"
            );
        }
        for value in [n, n + 1000] {
            let _ = writeln!(
                statements,
                "INSERT OVERWRITE t{n} SELECT CAST({value} AS BIGINT) AS n;"
            );
        }
        let place = copy.replace('\'', "''");
        let _ = writeln!(statements, "COPY t{n} TO '{place}' STORED AS {format};");
        for table in ["t", "c"] {
            reads.push(format!("SELECT {n} AS at, n FROM {table}{n}"));
            rows.push(format!("{n},{}", n + 1000));
        }
    }
    statements.push_str(
        "CREATE TABLE managed AS SELECT -1 AS at, 1 AS n;\nINSERT INTO managed VALUES (-1, 2);\n\
         CREATE TABLE dropped AS SELECT 1 AS n;\nDROP TABLE dropped;\n",
    );
    rows.splice(0..0, ["-1,1".to_owned(), "-1,2".to_owned()]);
    reads.push("SELECT at, n FROM managed".to_owned());
    let _ = write!(statements, "{} ORDER BY at, n", reads.join(" UNION ALL "));
    RoundTrip {
        catalog,
        statements,
        rows,
    }
}
