//! A job gives the same rows in one process and on a cluster of processes.

use super::cluster::{self, Patience};
use super::job::{Data, JOBS};
use super::turn;

/// Jobs whose documentation states the order of their rows.
const ORDERED: [&str; 3] = ["revenue_by_category", "sales_by_month", "product_affinity"];

fn rows(data: &Data, job: &str, cluster: &str) -> Result<Vec<String>, String> {
    let output = data
        .submit(job, cluster)?
        .output()
        .map_err(|e| e.to_string())?;
    if !output.status.success() {
        return Err(format!(
            "{job} on {cluster}: {}",
            String::from_utf8_lossy(&output.stderr)
        ));
    }
    let text = String::from_utf8(output.stdout).map_err(|e| e.to_string())?;
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    if !ORDERED.contains(&job) {
        lines.sort_unstable();
    }
    Ok(lines)
}

#[test]
fn jobs_give_the_same_rows_in_one_process_and_on_two_executors() {
    let data = Data::get().unwrap();
    let _turn = turn();
    let folder = tempfile::tempdir().unwrap();
    let cluster = cluster::start(folder.path(), 2, Patience::Default, &[]).unwrap();
    for job in JOBS
        .into_iter()
        .chain(["sales_by_month", "product_affinity"])
    {
        let expected = rows(&data, job, "local[2]").unwrap();
        let found = rows(&data, job, &cluster.url).unwrap();
        assert!(expected.len() > 1, "{job} has no rows");
        let first = expected.iter().zip(&found).find(|(e, f)| e != f);
        assert!(first.is_none(), "{job}: {first:?}");
        assert_eq!(expected.len(), found.len(), "{job}");
    }
}
