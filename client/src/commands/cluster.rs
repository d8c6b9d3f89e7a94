//! `emporia cluster`: a cluster of processes on this machine.

use std::path::Path;
use std::time::{Duration, Instant};

use emporia_core::config::Cluster;
use emporia_core::error::{Error, ErrorKind, Result};
use emporia_engine::rest::{ExecutorInfo, Probe, Rest};

use super::text_table::TextTable;
use crate::args::{ClusterCommand, ListFormat};
use crate::cluster::process::{Signal, send};
use crate::cluster::start::{Plan, start};
use crate::cluster::state::{Process, Role, State};
use crate::console::count;
use crate::interrupt::guarded;
use crate::output::print_line;
use crate::settings::Context;
use crate::target;

const POLL: Duration = Duration::from_millis(50);
/// How long a killed process may take to be gone.
const KILL_TIMEOUT: Duration = Duration::from_secs(5);
/// Least time that executors get after the scheduler took the rest.
const LEAST_DRAIN: Duration = Duration::from_secs(2);

/// Runs the command.
pub(super) async fn run(command: &ClusterCommand, context: &Context) -> Result<()> {
    match command {
        ClusterCommand::Up {
            executors,
            slots,
            port,
            state,
        } => {
            let plan = Plan {
                executors: *executors,
                slots: *slots,
                port: *port,
                folder: state.state_dir.clone(),
                config: context.config_file.clone(),
                has_local_roots: context.stores.settings().local_roots.is_some(),
            };
            up(&plan, context).await
        }
        ClusterCommand::Down { deadline, state } => {
            down(&state.state_dir, *deadline, context).await
        }
        ClusterCommand::Status { format, state } => {
            status(&state.state_dir, *format, context).await
        }
    }
}

async fn up(plan: &Plan, context: &Context) -> Result<()> {
    let start_time = Instant::now();
    let state = guarded(None, context.settings.timeout, start(plan)).await?;
    context.console.say(format!(
        "started a scheduler and {} with {} each in {:.1} s",
        count(plan.executors.into(), "executor"),
        count(plan.slots.into(), "slot"),
        start_time.elapsed().as_secs_f64()
    ));
    context
        .console
        .say(format!("logs and data are in {}", plan.folder.display()));
    context
        .console
        .say(format!("next: emporia submit JOB --cluster {}", state.url));
    print_line(&state.url)
}

async fn down(folder: &Path, deadline: Duration, context: &Context) -> Result<()> {
    let Some(state) = State::load(folder)? else {
        context.console.say(not_running(folder));
        return Ok(());
    };
    let end = Instant::now() + deadline;
    // The scheduler first: it lets running jobs end, and these need the executors.
    let (schedulers, executors): (Vec<_>, Vec<_>) = state
        .processes
        .iter()
        .partition(|process| process.role == Role::Scheduler);
    let dead = state.processes.iter().filter(|process| !process.is_alive());
    let dead: Vec<_> = dead.map(|process| process.name.as_str()).collect();
    let work = async {
        let mut n_killed = stop(&schedulers, end).await;
        n_killed += stop(&executors, end.max(Instant::now() + LEAST_DRAIN)).await;
        Ok(n_killed)
    };
    let n_killed = guarded(None, None, work).await?;
    if let Some(survivor) = state.processes.iter().find(|process| process.is_alive()) {
        return Err(Error::new(
            ErrorKind::Failed,
            format!("process {} ({}) does not end", survivor.pid, survivor.name),
        ));
    }
    State::remove(folder)?;
    let n_stopped = state.processes.len() - dead.len();
    context.console.say(ending(n_stopped, &dead));
    if n_killed > 0 {
        let n_killed = count(n_killed, "process");
        context.console.say(format!(
            "note: {n_killed} did not end in time and had to be killed"
        ));
    }
    Ok(())
}

fn not_running(folder: &Path) -> String {
    format!("no cluster is running in `{}`", folder.display())
}

/// What ended: the processes that were stopped, and those that were dead before.
fn ending(n_stopped: usize, dead: &[&str]) -> String {
    let stopped = count(n_stopped as u64, "process");
    let names = dead.join(", ");
    match (n_stopped, dead.len()) {
        (_, 0) => format!("stopped {stopped}"),
        (0, _) => format!("there was nothing to stop; already dead: {names}"),
        (_, _) => format!("stopped {stopped}; already dead: {names}"),
    }
}

/// Ends processes, those that do not end until `end` by force; returns how many these are.
async fn stop(processes: &[&Process], end: Instant) -> u64 {
    let alive = || processes.iter().filter(|process| process.is_alive());
    alive().for_each(|process| send(Signal::Terminate, process.pid));
    while alive().next().is_some() && Instant::now() < end {
        tokio::time::sleep(POLL).await;
    }
    let mut n_killed = 0;
    alive().for_each(|process| {
        send(Signal::Kill, process.pid);
        n_killed += 1;
    });
    let end = Instant::now() + KILL_TIMEOUT;
    while alive().next().is_some() && Instant::now() < end {
        tokio::time::sleep(POLL).await;
    }
    n_killed
}

async fn status(folder: &Path, format: ListFormat, context: &Context) -> Result<()> {
    if let Cluster::Remote { url } = &context.settings.cluster {
        return remote_status(url, format).await;
    }
    let Some(state) = State::load(folder)? else {
        return Err(Error::new(ErrorKind::Unavailable, not_running(folder))
            .with_hint("start one with `emporia cluster up`, or pass --cluster http://host:port"));
    };
    let registered = Rest::new(&state.url)?.executors().await.unwrap_or_default();
    let mut table = TextTable::new(["process", "pid", "address", "state", "slots"])
        .with_numbers(&["pid", "slots"]);
    for process in &state.processes {
        let is_scheduler = process.role == Role::Scheduler;
        let known = registered
            .iter()
            .find(|executor| executor.id == process.name);
        let slots = match known {
            Some(executor) => executor.specification.vcores.to_string(),
            None => String::new(),
        };
        let life = match life(process, is_scheduler || known.is_some()).await? {
            ALIVE => known.map_or(ALIVE.to_owned(), standing),
            other => other.to_owned(),
        };
        table.row([
            &process.name,
            &process.pid.to_string(),
            &process.address,
            &life,
            &slots,
        ]);
    }
    table.print(format)?;
    context
        .console
        .say(format!("{} since {}", state.url, state.started));
    if state.scheduler().is_some_and(Process::is_alive) {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Unavailable, "the scheduler is dead")
        .with_hint("clean up with `emporia cluster down`, then start it again"))
}

/// The state of a process that does its work.
const ALIVE: &str = "alive";

/// What the process itself and the scheduler say about it.
async fn life(process: &Process, is_registered: bool) -> Result<&'static str> {
    if !process.is_alive() {
        return Ok("dead");
    }
    Ok(match Rest::new(&process.probe_url)?.probe().await {
        Some(Probe::Ready) if is_registered => ALIVE,
        Some(Probe::Ready | Probe::NotReady) => "not ready",
        Some(Probe::Draining) => "draining",
        None => "not answering",
    })
}

async fn remote_status(url: &str, format: ListFormat) -> Result<()> {
    target::reach(url).await?;
    let executors = Rest::new(url)?.executors().await?;
    let mut table = TextTable::new(["process", "address", "state", "slots", "last_seen"])
        .with_numbers(&["slots"]);
    table.row([
        "scheduler",
        url.trim_start_matches("http://"),
        ALIVE,
        "",
        "",
    ]);
    for executor in &executors {
        let address = format!("{}:{}", executor.host, executor.port);
        let slots = executor.specification.vcores.to_string();
        table.row([
            &executor.id,
            &address,
            &standing(executor),
            &slots,
            &last_seen(executor),
        ]);
    }
    table.print(format)
}

/// Whether an executor that is registered gets tasks.
fn standing(executor: &ExecutorInfo) -> String {
    match executor.set_aside_seconds {
        0 => ALIVE.to_owned(),
        seconds => format!("set aside for {seconds} s"),
    }
}

fn last_seen(executor: &ExecutorInfo) -> String {
    let millis = executor
        .last_seen
        .and_then(|millis| i64::try_from(millis).ok());
    let time = millis.and_then(chrono::DateTime::from_timestamp_millis);
    time.map(|t| t.to_rfc3339_opts(chrono::SecondsFormat::Secs, true))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processes_that_were_dead_are_not_counted_as_stopped() {
        assert_eq!(ending(3, &[]), "stopped 3 processes");
        assert_eq!(
            ending(1, &["executor-1", "executor-2"]),
            "stopped 1 process; already dead: executor-1, executor-2"
        );
        assert_eq!(
            ending(0, &["scheduler"]),
            "there was nothing to stop; already dead: scheduler"
        );
    }
}
