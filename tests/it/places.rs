//! Places of any name: what is written there is read there, in this process and on a cluster; what
//! would hide or change other tables is refused before anything is written.

mod refusals;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use emporia_connectors::write::FileFormat;
use emporia_core::catalog::{Catalog, TableDef};
use emporia_core::job::OutputSpec;
use emporia_core::location::Location;
use emporia_e2e::names::{odd_names, round_trip};
use emporia_e2e::programs::emporia;
use emporia_e2e::sandbox::{Sandbox, query, single_process};
use emporia_engine::job::JobRun;
use emporia_engine::publish::{Destination, publish};
use emporia_engine::{EngineOptions, Session};

/// Folders that were mistaken for others, or not found, or that other programs have trouble with.
const NAMES: [&str; 20] = [
    "till #1",
    "till #2",
    "till ",
    "till#3",
    "sold out?",
    "20%2Foff",
    "20%25off",
    "5% rebate",
    "a&b=c;d,e+f",
    "[ab]*.parquet",
    "{x,y}",
    "\"q\" 'q' `q`",
    "back\\slash",
    "12:30",
    "Straße",
    "Stra\u{df}e Cafe\u{301}",
    "Stra\u{df}e Caf\u{e9}",
    "商店 \u{1f6d2}",
    ".hidden",
    "<a|b>^~$!@()",
];

fn format_of(n: usize) -> FileFormat {
    [FileFormat::Parquet, FileFormat::Csv, FileFormat::Json][n % 3]
}

/// A table for each name, in the folder of that name.
fn catalog(top: &Path, names: &[String]) -> Catalog {
    let tables = names.iter().enumerate().map(|(n, name)| {
        let location = Location::local(&top.join(name)).unwrap();
        let mut table = TableDef::new(format_of(n).as_str(), location.to_string());
        table.columns = vec!["n int64".to_owned()];
        (format!("t{n}"), table)
    });
    Catalog {
        tables: tables.collect(),
        ..Catalog::default()
    }
}

/// Replaces a table of the catalog by the row `value`, as an output whose name is that of the folder.
async fn write(session: &Session, n: usize, name: &str, value: usize) {
    let rows = format!("SELECT CAST({value} AS BIGINT) AS n");
    let rows = session.sql(&rows).await.unwrap();
    let specs = [OutputSpec {
        name: name.to_owned(),
        key: Vec::new(),
    }];
    let destination = Destination::Folder {
        location: session.catalog().tables[&format!("t{n}")].location.clone(),
        format: format_of(n),
    };
    let run = JobRun::table(name, rows);
    let report = publish(session, run, &specs, &destination).await.unwrap();
    assert_eq!(report.tables[0].rows, 1);
}

/// Writes, reads and replaces all tables, in the session and in a second one.
async fn check(session: &Session, other: &Session, top: &Path, names: &[String]) {
    for round in [0, 1000] {
        for (n, name) in names.iter().enumerate() {
            write(session, n, name, round + n).await;
        }
        for (n, name) in names.iter().enumerate() {
            for session in [session, other] {
                let rows = query(session, &format!("SELECT sum(n), count(*) FROM t{n}")).await;
                let expected = [(round + n).to_string(), "1".to_owned()];
                assert_eq!(rows.unwrap(), [expected], "{name}");
            }
        }
    }
    let found = fs::read_dir(top).unwrap();
    let found = found.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let found: BTreeSet<_> = found.collect();
    assert_eq!(found, names.iter().cloned().collect());
}

#[tokio::test(flavor = "multi_thread")]
async fn results_are_in_the_folders_that_were_named() {
    let top = tempfile::tempdir().unwrap();
    let mut names: Vec<_> = NAMES.map(str::to_owned).to_vec();
    names.push("x".repeat(200));
    names.push("ü".repeat(127));
    let catalog = catalog(top.path(), &names);
    let session = single_process(catalog.clone()).unwrap();
    // Locations survive the text of the catalog.
    let catalog = Catalog::parse(&catalog.to_toml().unwrap(), None).unwrap();
    let other = single_process(catalog).unwrap();
    check(&session, &other, top.path(), &names).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_finds_the_same_folders() {
    let top = tempfile::tempdir().unwrap();
    let names: Vec<_> = NAMES[..9].iter().map(|name| (*name).to_owned()).collect();
    let catalog = catalog(top.path(), &names);
    let sandbox = Sandbox::start(&[1, 1]).await.unwrap();
    let options = EngineOptions::default();
    let session = sandbox.session(catalog.clone(), &options).unwrap();
    let other = single_process(catalog).unwrap();
    check(&session, &other, top.path(), &names).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_others_wrote_are_found() {
    let top = tempfile::tempdir().unwrap();
    let mut tables = BTreeMap::new();
    for (n, name) in NAMES.iter().enumerate() {
        let folder = top.path().join(name);
        fs::create_dir(&folder).unwrap();
        let (connector, text) = match n % 2 {
            0 => ("csv", format!("n\n{n}\n")),
            _ => ("json", format!("{{\"n\": {n}}}\n")),
        };
        let file = folder.join(format!("{name}.{connector}"));
        fs::write(&file, text).unwrap();
        for (kind, place) in [("folder", &folder), ("file", &file)] {
            let place = Location::local(place).unwrap().to_string();
            let mut table = TableDef::new(connector, place);
            table.columns = vec!["n int64".to_owned()];
            if connector == "csv" {
                table.options.insert("header".to_owned(), "true".to_owned());
            }
            tables.insert(format!("{kind}{n}"), table);
        }
    }
    // Hidden files are no data, so that the folder is empty.
    let hidden = NAMES.iter().position(|name| name.starts_with('.')).unwrap();
    let session = single_process(Catalog {
        tables,
        ..Catalog::default()
    })
    .unwrap();
    for (n, name) in NAMES.iter().enumerate() {
        for kind in ["folder", "file"] {
            if (kind, n) == ("folder", hidden) {
                continue;
            }
            let rows = query(&session, &format!("SELECT n FROM {kind}{n}")).await;
            assert_eq!(rows.unwrap(), [[n.to_string()]], "{name}");
        }
    }
}

#[track_caller]
fn run(folder: &Path, args: &[&str]) -> (String, String) {
    let output = emporia(folder, args).unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{args:?} said: {said}");
    (String::from_utf8(output.stdout).unwrap(), said)
}

#[test]
fn folders_of_random_names_keep_what_is_written() {
    for seed in 0..3 {
        let top = tempfile::tempdir().unwrap();
        let names = odd_names(seed, 20, true);
        let of = |folder: &str| -> Vec<String> {
            let path = |name: &String| format!("{}/{folder}/{name}/", top.path().display());
            names.iter().map(path).collect()
        };
        let trip = round_trip(&of("warehouse")[0], &of("tables"), &of("copies"));
        fs::write(top.path().join("emporia.toml"), &trip.catalog).unwrap();
        let args = ["sql", "--format", "csv", "-e", &trip.statements];
        let (printed, _) = run(top.path(), &args);
        let rows: Vec<_> = printed.lines().skip(1).collect();
        assert_eq!(rows, trip.rows, "seed {seed}");
        for folder in ["tables", "copies"] {
            let found = fs::read_dir(top.path().join(folder)).unwrap();
            let found = found.map(|entry| entry.unwrap().file_name().into_string().unwrap());
            assert_eq!(
                found.collect::<BTreeSet<_>>(),
                names.iter().cloned().collect()
            );
        }
        let managed = top.path().join("warehouse").join(&names[0]).join("managed");
        assert!(managed.is_dir(), "seed {seed}");
    }
}

#[test]
fn the_working_directory_may_have_any_name() {
    let top = tempfile::tempdir().unwrap();
    let here = top.path().join("José #1 [50%20off]* is it?");
    fs::create_dir(&here).unwrap();
    let args = [
        "generate",
        "--scale",
        "0.01",
        "--tables",
        "users,transactions",
        "--out",
        "5% #data",
    ];
    let (_, said) = run(&here, &args);
    assert!(
        said.contains("next: emporia tables --catalog '5% #data/emporia.toml'"),
        "{said}"
    );
    let copies = "\n[tables.copies]\nconnector = \"parquet\"\nlocation = \"../a%20b/c #2\"\n\
                  columns = [\"user_id string\"]\n";
    let catalog = here.join("5% #data/emporia.toml");
    let text = fs::read_to_string(&catalog).unwrap();
    fs::write(&catalog, text + copies).unwrap();
    let sql = |text: &str| {
        let args = [
            "sql",
            "--catalog",
            "5% #data/emporia.toml",
            "--format",
            "csv",
            "-e",
            text,
        ];
        run(&here, &args)
    };
    sql("INSERT OVERWRITE copies SELECT user_id FROM users");
    assert_eq!(sql("SELECT count(*) AS n FROM copies").0, "n\n100\n");
    assert!(here.join("a%20b/c #2/_current").is_file());
    let (_, said) = sql("COPY (SELECT user_id FROM users) TO 'out/100%/is it?' STORED AS CSV");
    assert!(said.contains("José #1"), "{said}");
    assert!(here.join("out/100%/is it?/_current").is_file());
    let made = "CREATE EXTERNAL TABLE c (user_id TEXT) STORED AS CSV LOCATION 'out/100%/is it?'; \
                SELECT count(*) AS n FROM c";
    assert_eq!(sql(made).0, "n\n100\n");
    let uri = Location::local(&here.join("out/100%/is it?")).unwrap();
    let made = made.replace("out/100%/is it?", &uri.to_string());
    assert_eq!(sql(&made).0, "n\n100\n");
    let submit = [
        "submit",
        "top_customers",
        "--catalog",
        "5% #data/emporia.toml",
        "-o",
        "./till #1",
    ];
    run(&here, &submit);
    assert!(here.join("till #1/_current").is_file());
    let file = [&submit[..5], &["./till #2.csv"]].concat();
    run(&here, &file);
    assert!(here.join("till #2.csv").is_file());
    let entries = fs::read_dir(top.path()).unwrap();
    assert_eq!(entries.count(), 1, "something was written elsewhere");
}
