//! What the client says about tables, plans and jobs.

use std::path::Path;

use emporia_e2e::programs::emporia;
use tempfile::TempDir;

const USERS: &str = "users,transactions";

/// A small shop in a folder of its own.
fn shop() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let args = [
        "generate", "--scale", "0.01", "--tables", USERS, "--out", ".",
    ];
    let (_, said) = run(folder.path(), &args);
    // Without a terminal each table is reported once.
    for table in USERS.split(',') {
        let is_about = |line: &&str| line.starts_with(table);
        assert_eq!(said.lines().filter(is_about).count(), 1, "{said}");
    }
    folder
}

/// What a successful `emporia` prints and says.
#[track_caller]
fn run(folder: &Path, args: &[&str]) -> (String, String) {
    let output = emporia(folder, args).unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{args:?} said: {said}");
    (String::from_utf8(output.stdout).unwrap(), said)
}

#[test]
fn statements_about_tables_are_answered_by_the_client() {
    let shop = shop();
    let sql = |text: &str| run(shop.path(), &["sql", "--format", "csv", "-e", text]).0;
    let view = "CREATE VIEW cities AS SELECT DISTINCT city FROM users; SHOW TABLES";
    assert_eq!(
        sql(view),
        "table,kind\ntransactions,table\nusers,table\ncities,view\n"
    );
    let users = "column,type,nullable\nuser_id,string,no\nregistration_ts,timestamp,no\n\
                 last_active_ts,timestamp,no\ncity,string,yes\nstate,string,yes\ncountry,string,yes\n";
    assert_eq!(sql("DESCRIBE users"), users);
    assert_eq!(
        run(shop.path(), &["tables", "users", "--format", "csv"]).0,
        users
    );
    assert_eq!(
        sql("DESCRIBE SELECT total FROM transactions"),
        "column,type,nullable\ntotal,\"decimal(18,2)\",no\n"
    );
}

#[test]
fn queries_of_a_flag_are_explained() {
    let shop = shop();
    let (plan, said) = run(shop.path(), &["explain", "-e", "SELECT city FROM users"]);
    assert!(plan.contains("TableScan: users"), "{plan}");
    assert!(!said.contains("statement"), "{said}");
    let two = "CREATE VIEW v AS SELECT city FROM users; SELECT * FROM v; SELECT 1";
    let (plan, said) = run(shop.path(), &["explain", "-e", two]);
    assert!(plan.contains("TableScan: users"), "{plan}");
    assert!(said.contains("-- statement 2\n-- statement 3\n"), "{said}");
}

#[test]
fn the_list_of_jobs_fits_a_line() {
    let folder = tempfile::tempdir().unwrap();
    let (list, _) = run(folder.path(), &["jobs"]);
    let longest = list.lines().map(|line| line.chars().count()).max();
    assert!(longest.is_some_and(|width| width <= 100), "{list}");
    let (list, _) = run(folder.path(), &["jobs", "--format", "csv"]);
    assert!(list.starts_with("job,description\n"), "{list}");
}
