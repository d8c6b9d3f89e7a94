//! Executors that are killed or told to end.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use emporia_e2e::programs::wait_until;

use super::cluster::{self, Patience, Processes, executors_of};
use super::job::{Data, JOBS, Submission};
use super::turn;

/// Time in which a job has to end after the loss of an executor; it is noticed after about 6 s.
const DEADLINE: Duration = Duration::from_secs(40);
/// Tries to kill an executor before the job is over.
const TRIES: usize = 3;
/// Time in which the scheduler notices, with its defaults, that an executor is dead.
const NOTICED: Duration = Duration::from_secs(30);

/// How a job ended whose executor was lost.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    /// With the right rows.
    Right,
    /// With an error that names the reason; the old result is still current.
    Failed(String),
    /// Before the executor could be killed.
    TooFast,
    /// Not within the deadline; the old result is still current.
    Hang,
    /// In any other way.
    Wrong(String),
}

/// Kills one of three executors when the job is half done.
fn kill_one(
    data: &Arc<Data>,
    job: &'static str,
    aqe: bool,
    folder: &Path,
) -> Result<Outcome, String> {
    let cluster = cluster::start(&folder.join("cluster"), 3, Patience::Short, &[])?;
    let submission = Submission {
        data: Arc::clone(data),
        job,
        url: cluster.url.clone(),
        aqe,
        folder: folder.join(job),
    };
    for _ in 0..TRIES {
        let before = submission.run()?;
        let Some(mut process) = submission.start_half(&before)? else {
            continue;
        };
        cluster.kill("executor-2")?;
        let status = process.wait(DEADLINE);
        let is_old = || {
            submission
                .published()
                .map(|now| now.as_ref() == Some(&before.published))
        };
        let errors = submission.errors();
        return Ok(match status.map(|status| status.code()) {
            None if is_old()? => Outcome::Hang,
            Some(Some(0)) => match submission.compare(&before.published) {
                Ok(()) => Outcome::Right,
                Err(difference) => Outcome::Wrong(difference),
            },
            // The run before was right, so that a complaint about the data is not clear.
            Some(Some(1)) if names_the_job_or_executor(&errors) && is_old()? => {
                Outcome::Failed(errors)
            }
            other => Outcome::Wrong(format!(
                "{other:?}, old result current: {}: {errors}",
                is_old()?
            )),
        });
    }
    Ok(Outcome::TooFast)
}

fn names_the_job_or_executor(errors: &str) -> bool {
    let first = errors.lines().next().unwrap_or_default();
    (first.starts_with("error: job ") && first.contains(" failed: ")) || first.contains("executor")
}

/// The outcomes of all jobs, each on a cluster of its own, as a table and as a list.
fn kill_in_each_job(aqe: bool) -> Result<(String, Vec<Outcome>), String> {
    let data = Data::get()?;
    let _turn = turn();
    let one = |job| {
        let folder = tempfile::tempdir().map_err(|e| e.to_string())?;
        let start = Instant::now();
        let outcome = kill_one(&data, job, aqe, folder.path())?;
        Ok((job, start.elapsed(), outcome))
    };
    let one = &one;
    let results: [Result<_, String>; 4] = std::thread::scope(|scope| {
        let threads = JOBS.map(|job| scope.spawn(move || one(job)));
        threads.map(|thread| {
            let result = thread.join();
            result.unwrap_or_else(|_| Err("a thread panicked".to_owned()))
        })
    });
    let mut table = "job                  aqe    seconds  outcome\n".to_owned();
    let mut outcomes = Vec::new();
    for result in results {
        let (job, time, outcome) = result?;
        let seconds = time.as_secs_f64();
        writeln!(table, "{job:<20} {aqe:<6} {seconds:>7.1}  {outcome:?}")
            .map_err(|e| e.to_string())?;
        outcomes.push(outcome);
    }
    // Also where the test passes, when standard error is captured.
    std::io::stderr()
        .write_all(table.as_bytes())
        .map_err(|e| e.to_string())?;
    Ok((table, outcomes))
}

#[test]
fn a_killed_executor_leads_to_the_right_rows_or_an_error() {
    let (mut table, mut outcomes) = kill_in_each_job(false).unwrap();
    let is_wrong = |outcome: &Outcome| matches!(outcome, Outcome::Wrong(_));
    assert!(!outcomes.iter().any(is_wrong), "\n{table}");
    // Ballista can lose the slots of a stage that it rolls back before the guard cancels the query
    // (docs/decisions.md); that needs an unlucky moment, so it must not happen twice in a row.
    if outcomes.iter().any(|o| matches!(o, Outcome::Hang)) {
        (table, outcomes) = kill_in_each_job(false).unwrap();
    }
    let is_good = |outcome: &Outcome| matches!(outcome, Outcome::Right | Outcome::Failed(_));
    assert!(outcomes.iter().all(is_good), "\n{table}");
}

/// As above with adaptive execution, where a job may hang; it must not publish wrong rows.
#[test]
fn a_killed_executor_never_leads_to_wrong_rows_of_an_adaptive_job() {
    let (table, outcomes) = kill_in_each_job(true).unwrap();
    let is_bad = |outcome: &Outcome| matches!(outcome, Outcome::Wrong(_) | Outcome::TooFast);
    assert!(!outcomes.iter().any(is_bad), "\n{table}");
}

#[test]
fn an_executor_that_is_told_to_end_drains() {
    let data = Data::get().unwrap();
    let _turn = turn();
    let mut n_hangs = 0;
    let mut jobs = JOBS.to_vec();
    while let Some(job) = jobs.pop() {
        let folder = tempfile::tempdir().unwrap();
        let mut processes = Processes::start(&folder.path().join("cluster"), 3).unwrap();
        let submission = Submission {
            data: Arc::clone(&data),
            job,
            url: processes.url.clone(),
            aqe: false,
            folder: folder.path().join(job),
        };
        let (before, mut process) = (0..TRIES)
            .find_map(|_| {
                let before = submission.run().unwrap();
                let process = submission.start_half(&before).unwrap()?;
                Some((before, process))
            })
            .expect("the job is too fast");
        let executor = &mut processes.executors[1];
        executor.terminate().unwrap();
        let status = process.wait(DEADLINE);
        if status.is_none() && n_hangs == 0 {
            // See above: a rare hang, which must not happen twice.
            n_hangs += 1;
            jobs.push(job);
            continue;
        }
        let code = status.and_then(|s| s.code());
        assert_eq!(code, Some(0), "{job}: {status:?} {}", submission.errors());
        assert_eq!(submission.compare(&before.published), Ok(()), "{job}");
        let code = executor.wait(DEADLINE).and_then(|s| s.code());
        assert_eq!(code, Some(0), "the executor of {job}");
    }
}

#[test]
fn a_dead_executor_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let cluster = cluster::start(folder.path(), 2, Patience::Default, &[]).unwrap();
    assert_eq!(executors_of(&cluster.url).len(), 2);
    cluster.kill("executor-1").unwrap();
    let is_noticed = wait_until(NOTICED, || executors_of(&cluster.url) == ["executor-2"]);
    assert!(is_noticed, "{:?}", executors_of(&cluster.url));
}
