//! Executors that live and do not do well: their reports get lost, their disk is full, or they are slow.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use emporia_e2e::cluster::signal;
use emporia_e2e::programs::wait_until;

use super::cluster::{Executor, Process, Processes, free_ports, get};
use super::executor::{End, Scene};
use super::job::Data;
use super::proxy::Proxy;
use super::turn;

/// Time in which all tasks end that ran when the network was cut.
const CUT: Duration = Duration::from_secs(30);
/// How long an executor is stopped and how long it runs, in turn: it answers, and is twenty times slower.
const STOPPED: Duration = Duration::from_millis(475);
const RUNNING: Duration = Duration::from_millis(25);

/// A metric of the scheduler.
fn metric(url: &str, name: &str) -> u64 {
    let text = get(url, "/metrics")
        .map(|(_, text)| text)
        .unwrap_or_default();
    let mut lines = text.lines();
    let value = lines.find_map(|line| line.strip_prefix(&format!("{name} "))?.parse().ok());
    value.unwrap_or(0)
}

/// The executors reach the scheduler by heartbeats, and their reports do not arrive.
#[test]
fn lost_reports_cost_no_row() {
    let data = Data::get().unwrap();
    let _turn = turn();
    let [port] = free_ports().unwrap();
    let at = |host| SocketAddr::from((host, port.parse::<u16>().unwrap()));
    let Ok(proxy) = Proxy::start(at([127, 0, 0, 2]), at([127, 0, 0, 1])) else {
        eprintln!("127.0.0.2 cannot be used here");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let cluster = folder.path().join("cluster");
    let flags = ["--external-host", "127.0.0.2"];
    let processes = Processes::start_at(&cluster, 2, &port, &flags).unwrap();
    let mut scene = Scene::on(&data, "clv", processes, folder);
    let mut job = scene.half();
    proxy.cut();
    // All that ran has ended, and nobody knows.
    let executors = &scene.processes.executors;
    let mut before = 0;
    wait_until(CUT, || {
        let n_done: u64 = executors.iter().map(Executor::n_done).sum();
        let is_quiet = n_done == before;
        before = n_done;
        thread::sleep(Duration::from_secs(1));
        is_quiet
    });
    proxy.mend();
    let end = scene.end(&mut job);
    assert!(matches!(end, End::Right), "{end}");
}

/// A file system of its own, in which nothing more fits; unmounted on drop.
struct FullDisk(PathBuf);

impl FullDisk {
    /// `None` where nothing may be mounted.
    fn mount(folder: &Path) -> Option<Self> {
        fs::create_dir_all(folder).ok()?;
        let mut mount = Command::new("mount");
        mount
            .args(["-t", "tmpfs", "-o", "size=64k", "tmpfs"])
            .arg(folder);
        if !mount.status().ok()?.success() {
            return None;
        }
        let disk = Self(folder.to_owned());
        // The last write fails.
        let _ = fs::write(folder.join("filler"), vec![1; 128 * 1024]);
        Some(disk)
    }
}

impl Drop for FullDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_of_one_executor_costs_no_row() {
    let data = Data::get().unwrap();
    let _turn = turn();
    for job in ["clv", "revenue_by_category"] {
        let scene = Scene::new(&data, job, 2);
        let Some(_full) = FullDisk::mount(&scene.processes.executors[1].work_dir) else {
            eprintln!("nothing can be mounted here");
            return;
        };
        let mut process = scene.submission.start().unwrap();
        let end = scene.end(&mut process);
        assert!(matches!(end, End::Right), "{job}: {end}");
    }
}

/// Stops a process most of the time, until it is dropped.
struct Slowed(Arc<AtomicBool>);

impl Slowed {
    fn new(process: &Process) -> Self {
        let is_slow = Arc::new(AtomicBool::new(true));
        let (id, goes_on) = (u64::from(process.0.id()), Arc::clone(&is_slow));
        thread::spawn(move || {
            while goes_on.load(Ordering::Acquire) {
                let _ = signal("STOP", id);
                thread::sleep(STOPPED);
                let _ = signal("CONT", id);
                thread::sleep(RUNNING);
            }
        });
        Self(is_slow)
    }
}

impl Drop for Slowed {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

#[test]
fn a_slow_executor_costs_no_row() {
    let data = Data::get().unwrap();
    let _turn = turn();
    let mut scene = Scene::new(&data, "clv", 3);
    let mut job = scene.half();
    let _slowed = Slowed::new(&scene.processes.executors[1].process);
    let end = scene.end(&mut job);
    assert!(matches!(end, End::Right), "{end}");
    let n_copies = metric(&scene.processes.url, "emporia_scheduler_tasks_copied_total");
    eprintln!("{n_copies} tasks were started a second time");
}
