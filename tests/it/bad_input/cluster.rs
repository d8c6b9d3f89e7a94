//! Clusters that cannot do what they are asked: out of reach, too slow, of another version, out of
//! disk.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use ballista_core::BALLISTA_PROTOCOL_VERSION;
use ballista_core::serde::protobuf::scheduler_grpc_client::SchedulerGrpcClient;
use ballista_core::serde::protobuf::{
    ExecutorRegistration, HeartBeatParams, RegisterExecutorParams,
};
use emporia_core::catalog::Catalog;
use emporia_e2e::cluster::{Cluster, STATE_DIR};
use emporia_e2e::programs::emporia;
use emporia_e2e::sandbox::{Sandbox, query};
use emporia_engine::EngineOptions;
use tonic::Code;

use super::{printed, refused, shop};

/// Runs for hours, but yields at every batch, so that it can be cancelled.
const SLOW: &str = "SELECT sum(a.quantity * b.quantity * c.quantity) FROM transaction_items a \
                    JOIN transaction_items b ON a.quantity = b.quantity \
                    JOIN transaction_items c ON b.quantity = c.quantity";

/// Its exchange is larger than the disk of [`TinyDisk`]: the hashes cannot be compressed away.
const LARGE: &str = "SELECT a.transaction_id, b.user_id, md5(a.transaction_id || b.user_id) AS hash \
                     FROM transactions a CROSS JOIN users b";

#[test]
fn a_cluster_out_of_reach_is_said_to_be_so() {
    let shop = shop();
    let nowhere = ["--cluster", "http://127.0.0.1:1"];
    let words = [
        "cannot reach the scheduler at `http://127.0.0.1:1`",
        "emporia cluster up",
    ];
    let commands = [
        ["sql", "-e", "SELECT 1"].as_slice(),
        ["submit", "top_customers"].as_slice(),
    ];
    for command in commands {
        refused(
            shop.path(),
            &[command, nowhere.as_slice()].concat(),
            4,
            &words,
        );
    }
    refused(
        shop.path(),
        &["cluster", "status"],
        4,
        &["no cluster is running in `./.emporia/cluster`"],
    );
}

#[test]
fn processes_that_died_are_not_said_to_be_stopped() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join(STATE_DIR)).unwrap();
    // The state of a cluster whose machine was started anew.
    let state = r#"{ "url": "http://127.0.0.1:1", "started": "2024-05-06T07:08:09Z", "processes": [
        { "name": "scheduler", "role": "scheduler", "pid": 4294967295, "start_ticks": 1,
          "address": "127.0.0.1:1", "probe_url": "http://127.0.0.1:1", "log": "scheduler.log" } ] }"#;
    let file = folder.path().join(STATE_DIR).join("state.json");
    fs::write(&file, state).unwrap();
    let output = emporia(
        folder.path(),
        &["cluster", "down", "--state-dir", STATE_DIR],
    )
    .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert_eq!(said, "there was nothing to stop; already dead: scheduler\n");
    assert!(!file.try_exists().unwrap(), "the state is cleared up");
}

#[test]
fn a_query_that_is_too_slow_is_cancelled() {
    let shop = shop();
    let words = [
        "the timeout of 0.5 s passed; cancelling the job",
        "raise --timeout",
    ];
    let args = ["sql", "--timeout", "500ms", "--format", "csv", "-e", SLOW];
    refused(shop.path(), &args, 5, &words);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_executor_of_another_protocol_is_refused() {
    let sandbox = Sandbox::start(&[1]).await.unwrap();
    let mut scheduler = SchedulerGrpcClient::connect(sandbox.url().to_owned())
        .await
        .unwrap();
    // 0 is what an executor sends that is older than the check.
    for version in [
        0,
        BALLISTA_PROTOCOL_VERSION - 1,
        BALLISTA_PROTOCOL_VERSION + 1,
    ] {
        let executor = ExecutorRegistration {
            id: format!("stranger-{version}"),
            host: Some("127.0.0.1".to_owned()),
            port: 1,
            grpc_port: 1,
            ballista_protocol_version: version,
            ..ExecutorRegistration::default()
        };
        let expected = format!("scheduler={BALLISTA_PROTOCOL_VERSION}, executor={version}");
        let registration = RegisterExecutorParams {
            metadata: Some(executor.clone()),
        };
        let refusal = scheduler.register_executor(registration).await.unwrap_err();
        assert_eq!(refusal.code(), Code::FailedPrecondition, "{refusal}");
        assert!(refusal.message().contains(&expected), "{refusal}");
        let heartbeat = HeartBeatParams {
            executor_id: executor.id.clone(),
            metadata: Some(executor),
            ..HeartBeatParams::default()
        };
        let refusal = scheduler
            .heart_beat_from_executor(heartbeat)
            .await
            .unwrap_err();
        assert_eq!(refusal.code(), Code::FailedPrecondition, "{refusal}");
        assert!(refusal.message().contains(&expected), "{refusal}");
    }
    let session = sandbox
        .session(Catalog::default(), &EngineOptions::default())
        .unwrap();
    assert_eq!(
        query(&session, "SELECT 1 + 1").await.unwrap(),
        [["2"]],
        "the cluster works on"
    );
}

/// A disk of 1 MiB, for as long as this lives.
struct TinyDisk(PathBuf);

impl TinyDisk {
    /// Mounts it; `None` where that is not permitted.
    fn mount(at: &Path) -> Option<Self> {
        fs::create_dir_all(at).unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"])
            .arg(at)
            .stderr(Stdio::null())
            .status();
        mounted
            .is_ok_and(|status| status.success())
            .then(|| Self(at.to_owned()))
    }
}

impl Drop for TinyDisk {
    fn drop(&mut self) {
        // Lazily: a process that is about to end may still stand in it.
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_is_said_to_be_so_and_the_cluster_works_on() {
    let shop = shop();
    let Some(disk) = TinyDisk::mount(&shop.path().join(STATE_DIR).join("work")) else {
        eprintln!("skipped: a small disk cannot be mounted here");
        return;
    };
    let cluster = Cluster::up(shop.path(), &[], &[]).unwrap();
    let remote = ["--cluster", &cluster.url, "--format", "csv"];
    let words = ["a disk is full", "No space left on device", "work_dir"];
    refused(
        shop.path(),
        &[["sql", "-e", LARGE].as_slice(), remote.as_slice()].concat(),
        1,
        &words,
    );
    let count = ["sql", "--no-header", "-e", "SELECT count(*) FROM users"];
    assert_eq!(
        printed(shop.path(), &[count.as_slice(), remote.as_slice()].concat()),
        "100\n"
    );
    drop(cluster);
    drop(disk);
}
