//! Several clients at a time, one of which knows Ballista only, while an executor is lost.

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ballista_core::extension::SessionStateExt;
use datafusion::error::Result;
use datafusion::execution::SessionState;
use datafusion::prelude::{ParquetReadOptions, SessionContext};
use emporia_e2e::programs::{program, wait_until};

use super::cluster::{Processes, executors_of, get};
use super::job::{Data, Replanning, Submission};
use super::turn;

/// Time in which the scheduler notices that an executor is dead.
const NOTICED: Duration = Duration::from_secs(15);
/// Time in which a job has to end after that.
const DEADLINE: Duration = Duration::from_secs(60);

/// Joins and groups, so that there are stages to lose.
const QUERY: &str = "SELECT i.category_id, count(*) AS n, sum(i.subtotal) AS revenue, min(t.user_id) AS first \
    FROM transaction_items i JOIN transactions t ON i.transaction_id = t.transaction_id \
    GROUP BY i.category_id ORDER BY i.category_id";

async fn rows(context: &SessionContext, shop: &Path) -> Result<String> {
    for table in ["transaction_items", "transactions"] {
        let folder = shop.join(table).display().to_string();
        let options = ParquetReadOptions::default();
        if !context.table_exist(table)? {
            context.register_parquet(table, folder, options).await?;
        }
    }
    let batches = context.sql(QUERY).await?.collect().await?;
    let table = arrow::util::pretty::pretty_format_batches(&batches)?;
    Ok(table.to_string())
}

/// Asks until it is told to end; how often it asked after that, and answers that are not `expected`.
async fn ask(
    url: String,
    shop: &Path,
    expected: &str,
    is_over: &AtomicBool,
) -> (usize, Vec<String>) {
    let state = SessionState::new_ballista_state(url).unwrap();
    let context = SessionContext::new_with_state(state);
    let mut n_asked = 0;
    let mut wrong = Vec::new();
    while !is_over.load(Ordering::SeqCst) || n_asked == 0 {
        match rows(&context, shop).await {
            Ok(found) if found == expected => {}
            Ok(found) => wrong.push(found),
            Err(error) => wrong.push(error.to_string()),
        }
        n_asked += 1;
    }
    (n_asked, wrong)
}

#[test]
fn a_client_of_ballista_and_two_of_emporia_get_right_rows() {
    let data = Data::get().unwrap();
    let _turn = turn();
    let folder = tempfile::tempdir().unwrap();
    let processes = Processes::start(&folder.path().join("cluster"), 3).unwrap();
    let submissions = ["clv", "revenue_by_category"].map(|job| Submission {
        data: std::sync::Arc::clone(&data),
        job,
        url: processes.url.clone(),
        replanning: Replanning::On,
        folder: folder.path().join(job),
    });
    let before = submissions.each_ref().map(|s| s.run().unwrap());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let shop = data.shop();
    let expected = runtime
        .block_on(rows(&SessionContext::new(), &shop))
        .unwrap();
    assert!(expected.lines().count() > 5, "{expected}");

    let is_over = AtomicBool::new(false);
    let (n_asked, wrong) = std::thread::scope(|threads| {
        let url = processes.url.clone();
        let asking = threads.spawn(|| runtime.block_on(ask(url, &shop, &expected, &is_over)));
        let mut jobs = submissions.each_ref().map(|s| s.start().unwrap());
        let is_running = wait_until(DEADLINE, || {
            n_running(&processes.url).is_some_and(|n| n >= 2)
        });
        processes.executors[1].process.signal("KILL").unwrap();
        let is_noticed = wait_until(NOTICED, || executors_of(&processes.url).len() == 2);
        let ends = jobs.each_mut().map(|job| job.wait(DEADLINE));
        is_over.store(true, Ordering::SeqCst);
        let asked = asking.join().unwrap();
        assert!(is_running, "two queries never ran at a time");
        assert!(is_noticed, "{:?}", executors_of(&processes.url));
        for ((end, submission), before) in ends.iter().zip(&submissions).zip(&before) {
            let job = submission.job;
            let errors = submission.errors();
            assert!(end.is_some_and(|s| s.success()), "{job}: {end:?} {errors}");
            assert_eq!(submission.compare(&before.published), Ok(()), "{job}");
        }
        asked
    });
    assert!(
        wrong.is_empty(),
        "{} of {n_asked}: {}",
        wrong.len(),
        wrong[0]
    );
    eprintln!("the client of Ballista asked {n_asked} times");
}

/// Minutes of work: most pairs of items have the same quantity.
const LONG: &str = "SELECT sum(a.quantity * b.quantity * c.quantity) FROM transaction_items a \
    JOIN transaction_items b ON a.quantity = b.quantity \
    JOIN transaction_items c ON b.quantity = c.quantity";
/// Time in which the query of a client ends that is gone.
const ABANDONED: Duration = Duration::from_secs(35);

/// Waits until so many queries run.
fn wait_for_running(url: &str, n: usize, limit: Duration) -> bool {
    wait_until(limit, || n_running(url) == Some(n))
}

fn n_running(url: &str) -> Option<usize> {
    let (_, states) = get(url, "/api/jobs").ok()?;
    Some(states.matches("\"status\":\"Running\"").count())
}

#[test]
fn a_query_lives_as_long_as_its_client() {
    let data = Data::get().unwrap();
    let _turn = turn();
    let folder = tempfile::tempdir().unwrap();
    let processes = Processes::start(&folder.path().join("cluster"), 2).unwrap();
    let url = processes.url.as_str();
    let shop = data.shop();

    let mut emporia = Command::new(program("emporia").unwrap());
    emporia
        .args(["sql", "--quiet", "--no-progress", "-e", LONG])
        .args(["--cluster", url, "--catalog"])
        .arg(shop.join("emporia.toml"))
        .current_dir(folder.path());
    let mut client = emporia.spawn().unwrap();
    assert!(wait_for_running(url, 1, DEADLINE), "the query never ran");
    // A client of Ballista does not ask: the scheduler tells it.
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let scheduler = processes.url.clone();
    let other = runtime.spawn(async move {
        let state = SessionState::new_ballista_state(scheduler)?;
        let context = SessionContext::new_with_state(state);
        let options = ParquetReadOptions::default;
        let items = shop.join("transaction_items").display().to_string();
        let table = "transaction_items";
        context.register_parquet(table, items, options()).await?;
        context.sql(LONG).await?.collect().await
    });
    assert!(wait_for_running(url, 2, DEADLINE), "{:?}", n_running(url));

    std::thread::sleep(ABANDONED);
    assert_eq!(n_running(url), Some(2), "a query was given up");
    assert!(!other.is_finished());
    client.kill().unwrap();
    client.wait().unwrap();
    assert!(wait_for_running(url, 1, ABANDONED), "{:?}", n_running(url));
    runtime.shutdown_background();
    assert!(wait_for_running(url, 0, ABANDONED), "{:?}", n_running(url));
}
