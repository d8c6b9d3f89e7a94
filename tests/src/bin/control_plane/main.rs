//! The program behind `benches/control-plane`: how far one scheduler goes.
//!
//! usage: control-plane tasks   [--executors N] [--slots N] [--tasks N] [--readers N] [--stages N] [--task-ms N] [--kill 1]
//!        control-plane queries [--executors N] [--slots N] [--queries N] [--clients N] [--every N]
//!        control-plane real    [--queries N] [--clients N] [--every N] [--per-session N]
//!
//! `tasks` and `queries` run on executors that compute nothing, `real` on real ones. Results are lines of tables.

mod executors;
mod plans;
mod processes;
mod real;

use std::collections::HashMap;
use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use plans::{Client, chain};
use processes::{Scheduler, Usage, start_executors};

const MIB: f64 = 1024.0 * 1024.0;
/// The process that is killed has this many executors.
const N_KILLED: usize = 1;

/// What the command line asks for: `--name=value` or `--name value`.
#[derive(Debug, Default)]
pub(crate) struct Options(HashMap<String, String>);

impl Options {
    fn parse(mut args: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = HashMap::new();
        while let Some(arg) = args.next() {
            let flag = arg.strip_prefix("--");
            let flag = flag.ok_or_else(|| format!("unknown argument {arg}"))?;
            let (name, value) = match flag.split_once('=') {
                Some((name, value)) => (name.to_owned(), value.to_owned()),
                None => {
                    let value = args.next().ok_or_else(|| format!("{arg} needs a value"))?;
                    (flag.to_owned(), value)
                }
            };
            options.insert(name, value);
        }
        Ok(Self(options))
    }

    /// A number, or what holds without it.
    pub(crate) fn number(&self, name: &str, default: usize) -> Result<usize, String> {
        self.0.get(name).map_or(Ok(default), |value| {
            let number = value.replace('_', "").parse();
            number.map_err(|_| format!("--{name}={value} is no number"))
        })
    }

    fn text(&self, name: &str) -> Result<&str, String> {
        let value = self.0.get(name);
        value
            .map(String::as_str)
            .ok_or_else(|| format!("--{name} is missing"))
    }
}

/// Writes a line for whoever reads the results.
pub(crate) fn say(line: &str) -> Result<(), String> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")
        .and_then(|()| out.flush())
        .map_err(|e| e.to_string())
}

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "control-plane: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), String> {
    let mut args = std::env::args().skip(1);
    let command = args.next().unwrap_or_default();
    let options = Options::parse(args)?;
    match command.as_str() {
        "tasks" => tasks(&options).await,
        "queries" => queries(&options).await,
        "real" => real::run(&options).await,
        "executors" => {
            let n_slots = options
                .number("slots", 16)?
                .try_into()
                .map_err(|_| "too many slots")?;
            let task_time = Duration::from_millis(options.number("task-ms", 0)? as u64);
            let (url, name) = (options.text("url")?, options.text("name")?);
            let n = options.number("executors", 1)?;
            executors::run(url, name, n, n_slots, task_time, CancellationToken::new()).await
        }
        other => Err(format!("unknown command `{other}`: tasks, queries or real")),
    }
}

/// One job of large stages.
async fn tasks(options: &Options) -> Result<(), String> {
    let n_executors = options.number("executors", 200)?;
    let n_slots = options.number("slots", 16)?;
    let n_tasks = options.number("tasks", 10_000)?;
    let n_readers = options.number("readers", 200)?;
    let n_stages = options.number("stages", 2)?;
    let task_ms = options.number("task-ms", 0)?;
    let is_killed = options.number("kill", 0)? > 0;
    let folder = tempfile::tempdir().map_err(|e| e.to_string())?;
    let scheduler = Scheduler::start(folder.path()).await?;
    let slots = n_slots.try_into().map_err(|_| "too many slots")?;
    let n_others = n_executors.saturating_sub(N_KILLED).max(1);
    let others = start_executors(&scheduler, "other", n_others, slots, task_ms as u64).await?;
    let mut one = start_executors(&scheduler, "one", N_KILLED, slots, task_ms as u64).await?;

    let pid = scheduler.process.pid;
    let mut client = Client::connect(&scheduler.url(), "bench", Duration::from_millis(20)).await?;
    // Connections and code are warm.
    let job = client.submit(chain(n_executors * n_slots, 8, 2)?).await?;
    client.wait(&job).await?;
    let plan = chain(n_tasks, n_readers, n_stages)?;
    let before = Usage::of(pid)?;
    let before_others = Usage::of(others.pid)?;
    Usage::forget_peak(pid)?;
    let start = Instant::now();
    let job = client.submit(plan).await?;
    let ending = tokio::spawn({
        let job = job.clone();
        async move { client.wait(&job).await }
    });
    let mut loss = String::new();
    if is_killed {
        let n_rounds = n_tasks.div_ceil(n_executors * n_slots);
        // In the middle of the second stage, where the first one has as many tasks.
        let time = Duration::from_millis((task_ms * n_rounds * 3 / 2) as u64);
        tokio::time::sleep(time).await;
        loss = lose(&scheduler, &mut one).await?;
    }
    let mut slowest = Duration::ZERO;
    let mut n_asked = 0_u32;
    while !ending.is_finished() {
        let asked = Instant::now();
        scheduler.get("/api/jobs").await?;
        slowest = slowest.max(asked.elapsed());
        n_asked += 1;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    ending.await.map_err(|e| e.to_string())??;
    let seconds = start.elapsed().as_secs_f64();
    let after = Usage::of(pid)?;
    let after_others = Usage::of(others.pid)?;
    let n_all = n_tasks + n_readers * (n_stages - 1);
    say(&format!(
        "{n_executors} x {n_slots} slots, {n_tasks} tasks, {n_readers} readers, {n_stages} stages, {task_ms} ms a task: \
         {seconds:.2} s, {:.0} tasks/s; scheduler CPU {:.2} s, resident {:.0} MiB before, {:.0} MiB at most, {:.0} MiB after; \
         executors CPU {:.2} s; /api/jobs {:.0} ms at most of {n_asked}{loss}",
        n_all as f64 / seconds,
        after.cpu - before.cpu,
        before.resident as f64 / MIB,
        after.peak as f64 / MIB,
        after.resident as f64 / MIB,
        after_others.cpu - before_others.cpu,
        slowest.as_secs_f64() * 1e3,
    ))?;
    let kept = std::fs::read_to_string(folder.path().join("scheduler.log"));
    let kept = kept.unwrap_or_default();
    let is_error = |line: &&str| line.contains("ERROR");
    for line in kept.lines().filter(is_error).take(5) {
        say(&format!("  log: {line:.300}"))?;
    }
    Ok(())
}

/// Kills executors; when the scheduler dropped them, and when it gave their work to others.
async fn lose(scheduler: &Scheduler, process: &mut processes::Process) -> Result<String, String> {
    let start = Instant::now();
    process.kill().await?;
    let wait = async |metric: &str| {
        while scheduler.metric(metric).await? < 1.0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok::<_, String>(start.elapsed().as_secs_f64())
    };
    let lost = wait("emporia_scheduler_executors_lost_total").await?;
    let again = wait("emporia_scheduler_partitions_rerun_total").await?;
    Ok(format!(
        "; after SIGKILL of one executor: dropped {lost:.2} s, first task given out again {again:.2} s"
    ))
}

/// Many small jobs.
async fn queries(options: &Options) -> Result<(), String> {
    let n_executors = options.number("executors", 4)?;
    let slots = options
        .number("slots", 16)?
        .try_into()
        .map_err(|_| "too many slots")?;
    let n_queries = options.number("queries", 100_000)?;
    let n_clients = options.number("clients", 8)?;
    let every = options.number("every", 10_000)?;
    let folder = tempfile::tempdir().map_err(|e| e.to_string())?;
    let scheduler = Scheduler::start(folder.path()).await?;
    let _executors = start_executors(&scheduler, "one", n_executors, slots, 0).await?;
    let plan = Arc::new(chain(4, 2, 2)?);
    let n_started = Arc::new(AtomicUsize::new(0));
    let n_done = Arc::new(AtomicUsize::new(0));
    let mut clients = JoinSet::new();
    for client in 0..n_clients {
        let (plan, url) = (Arc::clone(&plan), scheduler.url());
        let (n_started, n_done) = (Arc::clone(&n_started), Arc::clone(&n_done));
        clients.spawn(async move {
            let poll = Duration::from_millis(2);
            let mut n = 0;
            let mut connection = Client::connect(&url, "", poll).await?;
            while n_started.fetch_add(1, Ordering::Relaxed) < n_queries {
                // Each query has a session of its own, as on the command line.
                connection.rename(format!("client-{client}-{n}"));
                n += 1;
                let job = connection.submit(plan.to_vec()).await?;
                connection.wait(&job).await?;
                n_done.fetch_add(1, Ordering::Relaxed);
            }
            Ok::<_, String>(())
        });
    }
    watch(
        &scheduler.address,
        scheduler.process.pid,
        &n_done,
        every,
        clients,
    )
    .await
}

/// Tells what the scheduler uses, each time that so many queries are done.
pub(crate) async fn watch(
    address: &str,
    pid: u32,
    n_done: &AtomicUsize,
    every: usize,
    mut clients: JoinSet<Result<(), String>>,
) -> Result<(), String> {
    say("| queries done | queries/s | resident MiB | CPU s | `/api/jobs` ms | KiB |")?;
    say("|--:|--:|--:|--:|--:|--:|")?;
    let (mut last, mut n_last) = (Instant::now(), 0);
    let mut next = every;
    while !clients.is_empty() {
        if let Ok(Some(ended)) =
            tokio::time::timeout(Duration::from_millis(5), clients.join_next()).await
        {
            ended.map_err(|e| e.to_string())??;
        }
        let n = n_done.load(Ordering::Relaxed);
        if n < next {
            continue;
        }
        next += every;
        let rate = (n - n_last) as f64 / last.elapsed().as_secs_f64();
        let usage = Usage::of(pid)?;
        let asked = Instant::now();
        let answer = processes::get(address, "/api/jobs").await?;
        say(&format!(
            "| {n} | {rate:.0} | {:.0} | {:.1} | {:.0} | {} |",
            usage.resident as f64 / MIB,
            usage.cpu,
            asked.elapsed().as_secs_f64() * 1e3,
            answer.len() / 1024,
        ))?;
        (last, n_last) = (Instant::now(), n_done.load(Ordering::Relaxed));
    }
    Ok(())
}
