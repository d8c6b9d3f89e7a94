//! Secrets of the stores stay in the processes that use them. Jobs run with ones that are easily
//! found, and everything that the programs say, log, send or write is searched for them.

use std::fs;
use std::path::Path;

use emporia_e2e::cluster::Cluster;
use serde_json::Value;

use super::workplace::{Workplace, printed, said};
use crate::faults::cluster::{self, Patience, get};

/// Stands for the path of a keytab, which the Kerberos library reads from the environment.
const KEYTAB: &str = "/etc/no-such-keytab-5f2e/emporia.keytab";
/// A password that the server does not accept.
const WRONG: &str = "wrong-sesame-93b4";

const CATALOG: &str = r##"
[tables.in_hbase]
connector = "hbase"
location = "hbase:secrets_{id}"
columns = ["user_id string", "country string"]
options = { key = "user_id", family = "f", presence = "f:_" }

[tables.in_mongodb]
connector = "mongodb"
location = "mongodb:secrets_{id}.users"
columns = ["user_id string", "country string"]
options = { key = "user_id" }

[tables.wrong_type]
connector = "mongodb"
location = "mongodb:secrets_{id}.users"
columns = ["user_id string", "country int64"]
options = { key = "user_id" }

[tables.in_hdfs]
connector = "parquet"
location = "HDFS/secrets_{id}/users"
columns = ["user_id string", "country string"]
"##;

const JOB: &str = "\
-- name: countries
-- description: Counts users
-- input: in_mongodb
-- input: in_hbase
-- input: in_hdfs
-- output: rows
-- key: country

SELECT a.country, count(*) AS n FROM in_mongodb a JOIN in_hbase b ON a.user_id = b.user_id
JOIN in_hdfs c ON a.user_id = c.user_id GROUP BY a.country
";

/// Texts by the place where they were found.
struct Found(Vec<(String, String)>);

impl Found {
    fn add(&mut self, place: impl Into<String>, text: impl Into<String>) {
        self.0.push((place.into(), text.into()));
    }

    /// Adds all files below a folder but those that are made to hold a secret.
    fn add_files(&mut self, folder: &Path) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                self.add_files(&path);
            } else if path.file_name().is_none_or(|name| name != "password") {
                let text = String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned();
                self.add(path.display().to_string(), text);
            }
        }
    }

    /// Adds what the scheduler answers about the cluster and every query.
    fn add_answers(&mut self, cluster: &Cluster) {
        let mut paths: Vec<String> = ["state", "version", "executors", "jobs", "metrics"]
            .map(|name| format!("/api/{name}"))
            .into();
        let list = |path: &str| -> Vec<Value> {
            let (_, body) = get(&cluster.url, path).unwrap();
            serde_json::from_str(&body).unwrap()
        };
        for executor in list("/api/executors") {
            paths.push(format!(
                "/api/executor/{}",
                executor["id"].as_str().unwrap()
            ));
        }
        let jobs = list("/api/jobs");
        assert!(jobs.len() > 5, "{jobs:?}");
        let mut failed = Vec::new();
        for job in jobs {
            let id = job["job_id"].as_str().unwrap();
            if job["status"] == "Failed" {
                failed.push(id.to_owned());
            }
            for part in ["", "/config", "/stages", "/dot"] {
                paths.push(format!("/api/job/{id}{part}"));
            }
        }
        for path in paths {
            let (status, body) = get(&cluster.url, &path).unwrap();
            // A query that failed before it ran has no more than its line in the list.
            let is_failed = failed.iter().any(|id| path.contains(id.as_str()));
            let is_answer = [200, 204].contains(&status) || status == 404 && is_failed;
            assert!(is_answer, "{path}: {status} {body}");
            self.add(path, body);
        }
    }

    /// Checks that some text has `word`: the search looks at the right things.
    #[track_caller]
    fn has(&self, place: &str, word: &str) {
        let is_there =
            |(found, text): &(String, String)| found.contains(place) && text.contains(word);
        assert!(self.0.iter().any(is_there), "no {place} has `{word}`");
    }

    #[track_caller]
    fn is_free_of(&self, secret: &str) {
        assert!(secret.len() > 10, "`{secret}` may be found by chance");
        for (place, text) in &self.0 {
            let at = text.find(secret);
            let shown = at.map(|at| text[..at].lines().last().unwrap_or_default().to_owned());
            assert_eq!(shown, None, "{place} has `{secret}` behind this");
        }
    }
}

#[test]
fn secrets_are_found_nowhere() {
    let Some(workplace) = Workplace::open() else {
        return;
    };
    let right = workplace.services.mongodb_auth_uri.clone();
    let (user, server) = right.rsplit_once('@').unwrap();
    let (_, password) = user.rsplit_once(':').unwrap();
    workplace.generate("0.01", "users", ".");
    workplace.catalog(&CATALOG.replace("HDFS", &workplace.services.hdfs));
    workplace.write("countries.sql", JOB);
    workplace.write("password", &format!("{password}\n"));
    fs::create_dir(workplace.path("wrong")).unwrap();
    workplace.write("wrong/password", WRONG);

    let mut found = Found(Vec::new());
    // Once with the password in the connection string, once in a file.
    let in_uri = vec![("EMPORIA_STORES__MONGODB_URI", right.clone())];
    let in_file = vec![
        ("EMPORIA_STORES__MONGODB_URI", format!("mongodb://{server}")),
        ("EMPORIA_STORES__MONGODB_USER", "emporia".to_owned()),
        (
            "EMPORIA_STORES__MONGODB_PASSWORD_FILE",
            workplace.path("password").display().to_string(),
        ),
    ];
    for (name, secrets) in [("uri", in_uri), ("file", in_file)] {
        run_jobs(&workplace, name, &secrets, &mut found);
    }
    found.add_files(&workplace.path(""));

    // What must be there, so that something was searched.
    found.has("explain", "SplitScanExec");
    found.has("/api/job/", "secrets_");
    found.has("/stages", "in_mongodb");
    found.has("/stages", "StagedWriteExec");
    found.has("executor-1.log", "DEBUG");
    found.has("scheduler.log", "DEBUG");
    found.has("/events/", "secrets_");
    found.has("wrong password", "refuses the user or the password");
    found.has("wrong type", "column `country` expects int64");
    found.is_free_of(password);
    found.is_free_of(WRONG);
    found.is_free_of(KEYTAB);
}

/// Runs jobs that work and jobs that fail on a cluster whose processes log much.
fn run_jobs(
    workplace: &Workplace,
    name: &str,
    secrets: &[(&'static str, String)],
    found: &mut Found,
) {
    let mut environment = workplace.services.environment();
    environment.retain(|(name, _)| *name != "EMPORIA_STORES__MONGODB_URI");
    environment.extend(secrets.iter().cloned());
    environment.extend([
        ("KRB5_CLIENT_KTNAME", KEYTAB.to_owned()),
        ("EMPORIA_SCHEDULER__LOG_LEVEL", "debug".to_owned()),
        ("EMPORIA_EXECUTOR__LOG_LEVEL", "debug".to_owned()),
    ]);
    let cluster =
        cluster::start(&workplace.path(name), 2, Patience::Default, &environment).unwrap();
    let mut client: Vec<_> = secrets.iter().map(|(k, v)| (*k, v.as_str())).collect();
    client.extend([
        ("KRB5_CLIENT_KTNAME", KEYTAB),
        ("EMPORIA_CLIENT__LOG_LEVEL", "debug"),
        ("EMPORIA_CLIENT__CLUSTER", &cluster.url),
    ]);
    let mut run = |place: &str, args: &[&str], code: i32, more: &[(&str, &str)]| {
        let environment = [&client[..], more].concat();
        let output = workplace.run(args, &environment);
        let text = said(&output);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {text}");
        // What does not go to the cluster has nothing to log.
        let logs = text.contains("DEBUG") || place == "config";
        assert!(logs, "{args:?} logs nothing: {text}");
        found.add(format!("{name} {place}"), text + &printed(&output));
    };
    for table in ["in_hbase", "in_mongodb", "in_hdfs"] {
        let statement = format!("INSERT OVERWRITE {table} SELECT user_id, country FROM users");
        run("insert", &["sql", "-v", "-e", &statement], 0, &[]);
    }
    run(
        "insert",
        &[
            "sql",
            "-v",
            "-e",
            "INSERT INTO in_mongodb VALUES ('u', 'AT')",
        ],
        0,
        &[],
    );
    run("submit", &["submit", "countries.sql", "-v"], 0, &[]);
    let query = "SELECT a.country, count(*) FROM in_mongodb a JOIN in_hbase b \
                 ON a.user_id = b.user_id JOIN in_hdfs c ON a.user_id = c.user_id \
                 WHERE a.user_id > 'user_000010' GROUP BY a.country";
    run("explain", &["explain", "-v", query], 0, &[]);
    run("explain", &["explain", "-v", "--analyze", query], 0, &[]);
    run(
        "explain",
        &["sql", "-v", "-e", &format!("EXPLAIN VERBOSE {query}")],
        0,
        &[],
    );
    run("explain job", &["explain", "-v", "countries.sql"], 0, &[]);
    // Only what reads is explained; the refusal must be clean too.
    let write = "EXPLAIN VERBOSE INSERT INTO in_mongodb SELECT user_id, country FROM users";
    run("explain", &["sql", "-v", "-e", write], 3, &[]);
    run("config", &["config", "show", "-v"], 0, &[]);

    run(
        "wrong type",
        &["sql", "-v", "-e", "SELECT sum(country) FROM wrong_type"],
        1,
        &[],
    );
    let uri = workplace.services.mongodb_auth_uri.as_str();
    let server = uri.rsplit_once('@').unwrap().1;
    let refused = format!("mongodb://emporia:{WRONG}@{server}");
    let more = [
        ("EMPORIA_STORES__MONGODB_URI", refused.as_str()),
        ("EMPORIA_STORES__MONGODB_PASSWORD_FILE", "wrong/password"),
    ];
    run(
        "wrong password",
        &["sql", "-v", "-e", "SELECT * FROM in_mongodb"],
        1,
        &more,
    );
    // A string that is none, and a server that is not there.
    let nonsense = format!("mongo:/emporia:{WRONG}@{server}");
    let more = [("EMPORIA_STORES__MONGODB_URI", nonsense.as_str())];
    run(
        "nonsense",
        &["sql", "-v", "-e", "SELECT * FROM in_mongodb"],
        3,
        &more,
    );
    let nowhere = format!("mongodb://emporia:{WRONG}@127.0.0.1:1/?serverSelectionTimeoutMS=500");
    let more = [
        ("EMPORIA_STORES__MONGODB_URI", nowhere.as_str()),
        ("EMPORIA_STORES__PATIENCE", "1s"),
    ];
    run(
        "nowhere",
        &["sql", "-v", "-e", "SELECT * FROM in_mongodb"],
        4,
        &more,
    );
    found.add_answers(&cluster);
}
