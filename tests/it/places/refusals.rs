//! What is refused, with exit 3, and leaves everything as it was.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use emporia_e2e::programs::emporia;
use tempfile::TempDir;

const CATALOG: &str = r#"
[tables.sales]
connector = "csv"
location = "sales"
columns = ["shop string", "amount int64"]
options = { header = "true" }

[tables.till]
connector = "csv"
location = "till.csv"
columns = ["shop string", "amount int64"]
options = { header = "true" }

[tables.totals]
connector = "parquet"
location = "totals/"
columns = ["shop string", "amount int64"]

[tables.part]
connector = "parquet"
location = "totals/rows"
"#;

const JOB: &str = "\
-- name: copy
-- description: Copies the sales
-- input: sales
-- output: rows
-- key: shop

SELECT shop, amount FROM sales
";

/// A shop with two inputs, and other files.
struct Shop(TempDir);

impl Shop {
    fn new() -> Self {
        let shop = Self(tempfile::tempdir().unwrap());
        for folder in ["sales/2024", "others/deep", "empty", "hidden"] {
            fs::create_dir_all(shop.path(folder)).unwrap();
        }
        for (name, text) in [
            ("emporia.toml", CATALOG),
            ("copy.sql", JOB),
            ("sales/a.csv", "shop,amount\nnorth,5\n"),
            ("sales/2024/b.csv", "shop,amount\nsouth,6\n"),
            ("till.csv", "shop,amount\neast,7\n"),
            ("others/deep/letter.txt", "dear"),
            ("hidden/.keep", ""),
        ] {
            fs::write(shop.path(name), text).unwrap();
        }
        symlink(shop.path("sales"), shop.path("link")).unwrap();
        symlink(shop.path("nothing"), shop.path("broken")).unwrap();
        shop
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// All files and what is in them.
    fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        fn visit(folder: &Path, files: &mut BTreeMap<PathBuf, Vec<u8>>) {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                match path.is_dir() && !path.is_symlink() {
                    true => visit(&path, files),
                    false => drop(files.insert(path.clone(), fs::read(&path).unwrap_or_default())),
                }
            }
        }
        let mut files = BTreeMap::new();
        visit(self.0.path(), &mut files);
        files
    }

    #[track_caller]
    fn refuses(&self, args: &[&str], words: &str) {
        let before = self.files();
        let output = emporia(self.0.path(), args).unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(3), "{args:?} said: {said}");
        assert!(said.contains(words), "{args:?} said: {said}");
        // Planning puts the hint behind the error.
        let has_hint = said.contains("hint: ") || said.contains("; write");
        assert!(has_hint, "{args:?} said: {said}");
        assert_eq!(self.files(), before, "{args:?}");
    }

    #[track_caller]
    fn submit(&self, output: &str, words: &str) {
        self.refuses(&["submit", "copy.sql", "-o", output], words);
    }

    #[track_caller]
    fn sql(&self, text: &str, words: &str) {
        self.refuses(&["sql", "-e", text], words);
    }

    #[track_caller]
    fn printed(&self, args: &[&str]) -> String {
        let output = emporia(self.0.path(), args).unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{args:?} said: {said}");
        String::from_utf8(output.stdout).unwrap()
    }

    #[track_caller]
    fn ask(&self, sql: &str) -> String {
        self.printed(&["sql", "--format", "csv", "-e", sql])
    }
}

const TOTAL: &str = "SELECT count(*) AS n, sum(amount) AS s FROM totals";

#[test]
fn inputs_under_any_name_are_no_outputs() {
    let shop = Shop::new();
    let absolute = shop.path("others/../sales").display().to_string();
    let uri = format!("file://{}/", shop.path("sales").display());
    for name in [
        "./sales",
        "sales/",
        "./link",
        "others/../sales//",
        &absolute,
        &uri,
    ] {
        shop.submit(name, "reads the table `sales`");
    }
    shop.submit("sales", "job `copy` reads the table `sales`");
    for name in ["./sales/out", "link/out/deep/", "sales/2024/../new"] {
        shop.submit(name, "a part of the table `sales`");
    }
    for name in ["./sales/a.csv", "./link/new.csv", "sales/2024/c.parquet"] {
        shop.submit(name, "a part of the table `sales`");
    }
    // Another table would get the rows.
    shop.sql("COPY (SELECT 1 AS n) TO 'sales/x' STORED AS CSV", "`sales`");
    shop.sql(
        "COPY sales TO 'link' STORED AS CSV",
        "reads the table `sales`",
    );
    shop.sql(
        "INSERT OVERWRITE sales SELECT shop, amount FROM sales",
        "reads the table `sales`",
    );
    shop.sql(
        "INSERT OVERWRITE till SELECT shop, amount FROM till",
        "is a single file",
    );
}

#[test]
fn folders_of_other_files_are_no_results() {
    let shop = Shop::new();
    for name in ["./others", "others/", "./others/deep", "."] {
        shop.submit(name, "holds files that are no result");
    }
    shop.sql("COPY sales TO 'others' STORED AS JSON", "letter.txt");
    shop.submit("till.csv/", "is a file, and a result is a folder");
    shop.submit("./broken", "link to nothing");
    // Nothing is in the way here.
    for name in ["./empty", "./hidden", "new/deep"] {
        shop.printed(&["submit", "copy.sql", "-o", name]);
        shop.printed(&["submit", "copy.sql", "-o", name]);
    }
    // What an interrupted first run left is no obstacle.
    let run = "half/run-0123456789abcdef0123456789abcdef/rows";
    fs::create_dir_all(shop.path(run)).unwrap();
    fs::write(shop.path(run).join("part-1.parquet"), "half").unwrap();
    shop.printed(&["submit", "copy.sql", "-o", "./half"]);
    assert!(!shop.path(run).exists());
}

#[test]
fn names_that_cannot_be_are_refused() {
    let shop = Shop::new();
    let long = format!("./{}", "n".repeat(256));
    shop.submit(&long, "longer than 255 bytes");
    shop.submit(&format!("{long}.csv"), "longer than 255 bytes");
    shop.submit("./a\nb", "control character");
    shop.submit("file://out/a", "three slashes");
    shop.submit("file:///a%2fb", "slash");
    shop.submit("hdfs://nn.invalid:8020/12:30", "colon");
    shop.submit("/", "cannot hold a result");
    let deep = "deep/".repeat(800);
    shop.submit(&deep, "too long for a result");
    shop.sql(
        &format!("COPY sales TO '{long}' STORED AS CSV"),
        "longer than",
    );
    let table = "CREATE EXTERNAL TABLE t (n INT) STORED AS CSV LOCATION 'file://x'";
    shop.sql(table, "three slashes");
    shop.refuses(&["generate", "--out", &long], "longer than 255 bytes");
    shop.refuses(&["generate", "--out", "file://out"], "three slashes");
    fs::write(
        shop.path("wrong.toml"),
        "[tables.t]\nconnector = \"csv\"\nlocation = \"file://x\"\n",
    )
    .unwrap();
    shop.refuses(&["tables", "--catalog", "wrong.toml"], "line 1");
}

#[test]
fn a_result_may_be_replaced_by_a_query_that_reads_it() {
    let shop = Shop::new();
    assert_eq!(shop.printed(&["submit", "copy.sql", "-o", "totals"]), "");
    assert_eq!(shop.ask(TOTAL), "n,s\n2,11\n");
    for s in [22, 44] {
        let twice = "INSERT OVERWRITE totals SELECT shop, amount * 2 AS amount FROM totals";
        shop.printed(&["sql", "-e", twice]);
        assert_eq!(shop.ask(TOTAL), format!("n,s\n2,{s}\n"));
    }
    // One of its tables would hide that of later runs.
    shop.printed(&["submit", "copy.sql", "-o", "totals"]);
    let words = "is a table of the result";
    shop.submit("./totals/rows", words);
    shop.sql(
        "INSERT OVERWRITE part SELECT shop, amount FROM sales",
        words,
    );
    assert_eq!(shop.ask("SELECT sum(amount) AS s FROM part"), "s\n11\n");
    // No table reads what is beside the result.
    shop.printed(&["submit", "copy.sql", "-o", "./totals/beside"]);
    assert_eq!(shop.ask(TOTAL), "n,s\n2,11\n");
}

#[test]
fn options_that_would_be_ignored_are_refused() {
    let shop = Shop::new();
    for option in ["delimiter ';'", "format.has_header false", "unheard_of 1"] {
        let copy = format!("COPY sales TO 'copies' STORED AS CSV OPTIONS ({option})");
        let output = emporia(shop.0.path(), &["sql", "-e", &copy]).unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(3), "{copy} said: {said}");
        assert!(said.contains("option `"), "{copy} said: {said}");
        assert!(!shop.path("copies").exists());
    }
    shop.printed(&[
        "sql",
        "-e",
        "COPY sales TO 'copies' STORED AS CSV OPTIONS (format.has_header true)",
    ]);
}
