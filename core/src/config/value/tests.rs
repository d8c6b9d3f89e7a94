//! Unit tests of `value`.

use super::super::keys;
use super::*;
use crate::error::Result;

#[test]
fn values_are_checked() {
    let accepts = |name: &str, text: &str| {
        keys()
            .iter()
            .any(|key| key.full_name() == name && key.accepts(text))
    };
    let check = |name: &str, good: &[&str], bad: &[&str]| {
        good.iter()
            .for_each(|text| assert!(accepts(name, text), "{name} = {text}"));
        bad.iter()
            .for_each(|text| assert!(!accepts(name, text), "{name} = {text}"));
    };
    check(
        "scheduler.drain_timeout",
        &["0s", "500ms", "30s", "5 m", "1d"],
        &["", "30", "s", "-1s"],
    );
    check(
        "scheduler.drain_timeout",
        &[],
        &["1h30m", "1.5h", "99999999999999999d", "30S"],
    );
    check(
        "scheduler.executor_timeout",
        &["1s", "1000ms"],
        &["0s", "1ms"],
    );
    check("scheduler.no_executors_grace_period", &["0s"], &["1ms"]);
    check(
        "scheduler.grpc_max_message",
        &["1MiB", "16MB", "2047MiB"],
        &["1B", "2GiB", "128", "1 mib"],
    );
    check(
        "scheduler.task_max_failures",
        &["1", "10"],
        &["0", "-1", "x", "1.5"],
    );
    check("scheduler.bind_host", &["0.0.0.0"], &["", " "]);
    check(
        "stores.local_roots",
        &["", "/", "/data, /mnt/shop"],
        &["data", "/data,", "/data,shop", " "],
    );
    check(
        "executor.memory_fraction",
        &["1", "0.25", "70%"],
        &["0", "1.1", "101%", "nan", "x"],
    );
    check("executor.memory_limit", &["", "1GiB"], &["1"]);
    check(
        "executor.scheduler_url",
        &["http://scheduler:50050", "http://[::1]:1/"],
        &[""],
    );
    let bad_urls = [
        "https://h:1",
        "h:1",
        "http://h",
        "http://:1",
        "http://h:0",
        "http://h:1/x",
    ];
    check("executor.scheduler_url", &[], &bad_urls);
    check(
        "client.cluster",
        &["local", "local[4]", "http://h:1"],
        &["local[0]", "local[]", "h:1"],
    );
    check(
        "client.log_level",
        &["warn", "info,h2=debug"],
        &["", "wran"],
    );
}

#[test]
fn cluster_is_local_or_remote() -> Result<()> {
    assert_eq!("local".parse::<Cluster>()?, Cluster::Local { executors: 1 });
    assert_eq!(
        "local[3]".parse::<Cluster>()?,
        Cluster::Local { executors: 3 }
    );
    let remote = Cluster::Remote {
        url: "http://h:1".to_owned(),
    };
    assert_eq!("http://h:1/".parse::<Cluster>()?, remote);
    assert_eq!(remote.to_string(), "http://h:1");
    let refused = "yarn".parse::<Cluster>().map_err(|e| e.to_string());
    assert!(refused.is_err_and(|text| text.starts_with("`yarn` is not `local`")));
    Ok(())
}

#[test]
fn sizes_and_durations_are_shown_in_their_largest_whole_unit() {
    for (bytes, text) in [
        (0, "0B"),
        (1023, "1023B"),
        (1 << 10, "1KiB"),
        (3 << 19, "1536KiB"),
        (1 << 40, "1TiB"),
    ] {
        assert_eq!(ByteSize(bytes).to_string(), text);
        assert_eq!(<ByteSize as Value>::parse(text), Some(ByteSize(bytes)));
    }
    for (millis, text) in [
        (0, "0s"),
        (1500, "1500ms"),
        (90_000, "90s"),
        (86_400_000, "1d"),
    ] {
        assert_eq!(Duration::from_millis(millis).render(), text);
        assert_eq!(
            <Duration as Value>::parse(text),
            Some(Duration::from_millis(millis))
        );
    }
}
