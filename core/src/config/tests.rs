//! Unit tests of `config`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::settings::{self, Check, settings};
use super::value::Value;
use super::*;
use crate::error::{Error, ErrorKind, Result};
use crate::telemetry::LogFormat;

type NoEnv = [(&'static str, &'static str); 0];

const NO_ENV: NoEnv = [];

/// Message and hint of an error that a user's mistake made.
fn complaint<T>(result: Result<T>) -> String {
    match result {
        Ok(_) => "no error".to_owned(),
        Err(e) => {
            assert_eq!(e.kind(), ErrorKind::InvalidInput, "{e}");
            format!("{e}; {}", e.hint().unwrap_or("no hint"))
        }
    }
}

fn from_text(text: &str) -> Result<Loaded<SchedulerSettings>> {
    let mut loader = Loader::new();
    loader.file_text(Path::new("conf/emporia.toml"), text)?;
    loader.load()
}

fn origin_of<S>(loaded: &Loaded<S>, key: &str) -> String {
    let line = loaded.effective.iter().find(|line| line.key == key);
    line.map(|line| line.origin.to_string()).unwrap_or_default()
}

#[test]
fn defaults_are_legal_and_survive_their_text_form() {
    fn check<S: Settings + PartialEq + fmt::Debug>() {
        let mut settings = S::default();
        for key in S::keys() {
            assert!(
                key.accepts(&key.default),
                "{} = {}",
                key.full_name(),
                key.default
            );
            assert!(settings.set(key.name, &key.default), "{}", key.full_name());
            assert_eq!(settings.get(key.name), Some(key.default.clone()));
            assert!(
                !key.doc.is_empty() && !key.form.is_empty(),
                "{}",
                key.full_name()
            );
        }
        assert_eq!(settings, S::default());
        assert!(!settings.set("no_such_key", "1"));
        assert_eq!(settings.get("no_such_key"), None);
    }
    check::<SchedulerSettings>();
    check::<ExecutorSettings>();
    check::<ClientSettings>();
}

#[test]
fn dead_executor_is_noticed_within_30_seconds() {
    let scheduler = SchedulerSettings::default();
    let noticed = scheduler.executor_timeout + scheduler.expire_dead_executor_interval;
    assert!(noticed <= Duration::from_secs(30));
    assert!(ExecutorSettings::default().heartbeat_interval * 3 <= scheduler.executor_timeout);
}

#[test]
fn flag_wins_over_env_over_file_over_default() -> Result<()> {
    let file = "[scheduler]\nbind_port = 1\ntask_max_failures = 1\nbind_host = \"f\"\n";
    // The order of the calls does not matter.
    let mut loader = Loader::<SchedulerSettings>::new()
        .flag("scheduler.bind_port", Some(3))?
        .env([
            ("EMPORIA_SCHEDULER__BIND_PORT", "2"),
            ("EMPORIA_SCHEDULER__TASK_MAX_FAILURES", "2"),
            ("PATH", "/bin"),
            ("EMPORIA_BLESS", "1"),
            ("EMPORIA_SCHEDULER_PORT_50050_TCP", "tcp://10.0.0.1:50050"),
        ])?;
    loader.file_text(Path::new("emporia.toml"), file)?;
    let loaded = loader.load()?;
    assert_eq!(loaded.settings.bind_port, 3);
    assert_eq!(loaded.settings.task_max_failures, 2);
    assert_eq!(loaded.settings.bind_host, "f");
    assert_eq!(loaded.settings.stage_max_failures, 4);
    assert_eq!(origin_of(&loaded, "scheduler.bind_port"), "command line");
    assert_eq!(
        origin_of(&loaded, "scheduler.task_max_failures"),
        "environment variable EMPORIA_SCHEDULER__TASK_MAX_FAILURES"
    );
    assert_eq!(origin_of(&loaded, "scheduler.bind_host"), "emporia.toml:4");
    assert_eq!(
        origin_of(&loaded, "scheduler.stage_max_failures"),
        "default"
    );
    let n_keys = SchedulerSettings::keys().len() + StoreSettings::keys().len();
    assert_eq!(loaded.effective.len(), n_keys);
    Ok(())
}

#[test]
fn missing_flag_and_file_change_nothing() -> Result<()> {
    let loaded = Loader::<ClientSettings>::new()
        .file(None)?
        .env(NO_ENV)?
        .flag("client.timeout", None::<String>)?
        .load()?;
    assert_eq!(loaded.settings, ClientSettings::default());
    assert_eq!(loaded.file, None);
    Ok(())
}

#[test]
fn file_sets_typed_values() -> Result<()> {
    let loaded = from_text(
        "[scheduler]\n\
         bind_port = 0\n\
         grpc_max_message = \"64MiB\"\n\
         executor_timeout = \"2m\"\n\
         task_distribution = \"bias\"\n\
         log_format = \"json\"\n\
         log_level = \"info,ballista_scheduler=debug\"\n\
         event_log_dir = \"events\"\n\
         external_host = \"\"\n\
         [tables.users]\n\
         anything = [\"goes\"]\n",
    )?;
    let settings = loaded.settings;
    assert_eq!(settings.bind_port, 0);
    assert_eq!(settings.grpc_max_message, ByteSize(64 << 20));
    assert_eq!(settings.executor_timeout, Duration::from_secs(120));
    assert_eq!(settings.task_distribution, TaskDistribution::Bias);
    assert_eq!(settings.log_format, LogFormat::Json);
    assert_eq!(settings.event_log_dir, Some(PathBuf::from("conf/events")));
    assert_eq!(settings.external_host, None);
    Ok(())
}

#[test]
fn file_on_disk_is_read_and_remembered() -> Result<()> {
    let fault = |e: std::io::Error| Error::internal("cannot write the test file").with_source(e);
    let folder = tempfile::tempdir().map_err(fault)?;
    let path = folder.path().join("emporia.toml");
    let text =
        "[executor]\nwork_dir = \"work\"\nmemory_fraction = \"50%\"\nmemory_limit = \"2GiB\"\n";
    std::fs::write(&path, text).map_err(fault)?;
    let loaded = Loader::<ExecutorSettings>::new()
        .file(Some(&path))?
        .load()?;
    assert_eq!(loaded.settings.work_dir, folder.path().join("work"));
    assert_eq!(loaded.settings.memory_fraction, 0.5);
    assert_eq!(loaded.settings.memory_limit, Some(ByteSize(2 << 30)));
    assert_eq!(loaded.file, Some(path));
    let missing = Loader::<ExecutorSettings>::new().file(Some(Path::new("no/such.toml")));
    assert_eq!(
        missing.map(drop).map_err(|e| e.kind()),
        Err(ErrorKind::NotFound)
    );
    Ok(())
}

#[test]
fn mistakes_in_the_file_are_named_with_their_line() {
    let check = |text: &str, expected: &str| assert_eq!(complaint(from_text(text)), expected);
    check(
        "\n[scheduler]\nbind_prot = 1\n",
        "unknown key `scheduler.bind_prot` (conf/emporia.toml:3); did you mean `scheduler.bind_port`?",
    );
    check(
        "[scheduler]\nflight_port = 1\n",
        "unknown key `scheduler.flight_port` (conf/emporia.toml:2); did you mean `executor.flight_port`?",
    );
    check(
        "[executor]\nx = 1\n",
        "unknown key `executor.x` (conf/emporia.toml:2); did you mean `executor.id`?",
    );
    check(
        "[shceduler]\nbind_port = 1\n",
        "conf/emporia.toml:1: unknown section `shceduler`; did you mean `scheduler`?",
    );
    check(
        "[logging]\nlevel = 1\n",
        "conf/emporia.toml:1: unknown section `logging`; \
         sections are scheduler, executor, client, stores and tables",
    );
    check(
        "scheduler = 3\n",
        "conf/emporia.toml:1: `scheduler` is not a section; write `[scheduler]` above its keys",
    );
    check(
        "[scheduler]\n\nbind_port = 70000\n",
        "`scheduler.bind_port` = `70000` (conf/emporia.toml:3) \
         is not a port from `0` (any free port) to `65535`; no hint",
    );
    check(
        "[scheduler]\nbind_port = [1]\n",
        "`scheduler.bind_port` (conf/emporia.toml:2) \
         is an array, not a port from `0` (any free port) to `65535`; no hint",
    );
    // The sections of other processes are checked too.
    check(
        "[client]\naqe = \"yes\"\n",
        "`client.aqe` = `yes` (conf/emporia.toml:2) is not `true` or `false`; no hint",
    );
    let syntax = complaint(from_text("[scheduler]\nbind_port = \n"));
    assert!(syntax.starts_with("conf/emporia.toml:2: "), "{syntax}");
    let twice = complaint(from_text("[scheduler]\nbind_port = 1\nbind_port = 2\n"));
    assert!(twice.starts_with("conf/emporia.toml:3: "), "{twice}");
}

#[test]
fn mistakes_in_the_environment_are_named() {
    let check = |name: &str, value: &str, expected: &str| {
        let loaded = Loader::<SchedulerSettings>::new().env([(name, value)]);
        assert_eq!(complaint(loaded), expected);
    };
    check(
        "EMPORIA_SCHEDULER__BIND_PROT",
        "1",
        "unknown environment variable `EMPORIA_SCHEDULER__BIND_PROT`; \
         did you mean `EMPORIA_SCHEDULER__BIND_PORT`?",
    );
    check(
        "EMPORIA_EXECUTOR__HEARTBEAT_INTERVAL",
        "1500ms",
        "`executor.heartbeat_interval` = `1500ms` \
         (environment variable EMPORIA_EXECUTOR__HEARTBEAT_INTERVAL) is not \
         a duration in whole seconds of at least `1s` such as `30s` or `5m`; no hint",
    );
}

#[test]
fn flags_belong_to_the_process() {
    let flag = |key: &str, value: &str| {
        complaint(Loader::<SchedulerSettings>::new().flag(key, Some(value)))
    };
    assert_eq!(
        flag("executor.grpc_port", "1"),
        "`executor.grpc_port` is not a setting of the scheduler; no hint"
    );
    assert_eq!(
        flag("scheduler.log_levle", "info"),
        "unknown key `scheduler.log_levle` (command line); did you mean `scheduler.log_level`?"
    );
    assert_eq!(
        flag("scheduler.log_format", "xml"),
        "`scheduler.log_format` = `xml` (command line) is not `text` or `json`; no hint"
    );
}

#[test]
fn other_sections_do_not_change_the_own_ones() -> Result<()> {
    let loaded = from_text("[executor]\nbind_host = \"e\"\n[client]\nlog_level = \"error\"\n")?;
    assert_eq!(loaded.settings, SchedulerSettings::default());
    Ok(())
}

settings! {
    /// A section with a secret.
    VaultSettings in "vault";

    /// Opens the vault.
    token: Secret = Secret::new("default-token"), Check {
        form: "a token of at least 8 characters",
        test: |token| token.expose().len() >= 8,
    };
}

#[test]
fn secrets_are_never_shown() -> Result<()> {
    let loader = || Loader::<VaultSettings>::with_keys(VaultSettings::keys());
    let loaded = loader()
        .flag("vault.token", Some("hunter2hunter2"))?
        .load()?;
    assert_eq!(loaded.settings.token.expose(), "hunter2hunter2");
    let shown = format!(
        "{loaded:?} {} {}",
        loaded.effective[0], loaded.settings.token
    );
    assert!(!shown.contains("hunter2"), "{shown}");
    assert_eq!(
        loaded.effective[0].to_string(),
        "vault.token = *** (command line)"
    );
    let refused = complaint(loader().flag("vault.token", Some("hunter2")));
    assert_eq!(
        refused,
        "`vault.token` = `***` (command line) is not a token of at least 8 characters; no hint"
    );
    assert!(
        VaultSettings::keys()
            .iter()
            .all(|key| key.secret && key.default == "***")
    );
    // Nor is a secret shown that waits in a loader.
    let waiting = format!(
        "{:?}",
        loader().flag("vault.token", Some("hunter2hunter2"))?
    );
    assert!(!waiting.contains("hunter2"), "{waiting}");
    Ok(())
}

#[test]
fn effective_lines_can_be_written_as_json() -> Result<()> {
    let loaded = Loader::<SchedulerSettings>::new().load()?;
    let json = serde_json::to_value(&loaded.effective[1])
        .map_err(|e| Error::internal("not JSON").with_source(e))?;
    let expected =
        serde_json::json!({"key": "scheduler.bind_port", "value": "50050", "origin": "default"});
    assert_eq!(json, expected);
    assert_eq!(
        loaded.effective[2].to_string(),
        "scheduler.external_host = (not set) (default)"
    );
    Ok(())
}

#[test]
fn configuration_reference_is_up_to_date() -> Result<()> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/configuration.md");
    let fault = |e: std::io::Error| Error::internal(path).with_source(e);
    let rendered = reference_markdown();
    if std::env::var_os("EMPORIA_BLESS").is_some() {
        std::fs::write(path, &rendered).map_err(fault)?;
    }
    let written = std::fs::read_to_string(path).map_err(fault)?;
    assert!(
        written == rendered,
        "docs/configuration.md is out of date; run\n\
         make docs"
    );
    Ok(())
}

#[test]
fn example_in_the_reference_is_legal() -> Result<()> {
    let reference = reference_markdown();
    let example = reference
        .split("```")
        .nth(1)
        .and_then(|block| block.strip_prefix("toml\n"));
    let example = example.unwrap_or_default();
    assert_eq!(from_text(example)?.settings.bind_host, "0.0.0.0");
    assert_eq!(
        crate::catalog::Catalog::parse(example, None)?.tables.len(),
        1
    );
    Ok(())
}
