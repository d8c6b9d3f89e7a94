//! Executors that live and do not do well: their reports get lost, they are cut off, their disk is full, or they
//! are slow.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use emporia_e2e::cluster::signal;

use super::cluster::Process;
use super::job::Replanning;
use super::matrix::{Fault, survive};

/// How long an executor is stopped and how long it runs, in turn: it answers, and is twenty times slower.
const STOPPED: Duration = Duration::from_millis(475);
const RUNNING: Duration = Duration::from_millis(25);

/// A file system of its own, in which nothing more fits; unmounted on drop.
pub(super) struct FullDisk(PathBuf);

impl FullDisk {
    /// Whether it can be made here; says so where not.
    pub(super) fn is_possible() -> bool {
        let folder = tempfile::tempdir().unwrap();
        let is_possible = Self::mount(folder.path()).is_some();
        if !is_possible {
            eprintln!("skipped: nothing can be mounted here");
        }
        is_possible
    }

    /// `None` where nothing may be mounted.
    pub(super) fn mount(folder: &Path) -> Option<Self> {
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

/// Stops a process most of the time, until it is dropped.
pub(super) struct Slowed(Arc<AtomicBool>);

impl Slowed {
    pub(super) fn new(process: &Process) -> Self {
        let is_slow = Arc::new(AtomicBool::new(true));
        let (id, goes_on) = (u64::from(process.pid()), Arc::clone(&is_slow));
        thread::spawn(move || {
            // The pauses are the fault.
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
fn lost_reports_cost_no_row() {
    survive(&[Fault::ReportsLost], &["clv"], &[Replanning::On]);
}

#[test]
fn an_executor_that_is_cut_from_the_scheduler_costs_no_row() {
    survive(&[Fault::CutFromScheduler], &["clv"], &[Replanning::On]);
}

#[test]
fn executors_that_are_cut_from_each_other_cost_no_row() {
    survive(&[Fault::CutBetween], &["clv"], &Replanning::BOTH);
}

#[test]
fn executors_that_stay_cut_from_each_other_cost_no_row() {
    survive(&[Fault::CutForGood], &["clv"], &[Replanning::On]);
}

#[test]
fn a_full_disk_of_one_executor_costs_no_row() {
    let jobs = ["clv", "revenue_by_category"];
    survive(&[Fault::DiskFull], &jobs, &[Replanning::On]);
}

#[test]
fn a_slow_executor_costs_no_row() {
    survive(&[Fault::Slowed], &["clv"], &[Replanning::On]);
}
