//! The table of all keys: name, type, default, check and documentation, one row each.
//!
//! The struct fields, the defaults, the environment variables, the validation and
//! `docs/configuration.md` are made from these rows; nothing else declares a key.

use std::path::PathBuf;
use std::time::Duration;

use super::settings::{self, Check, Key, Settings, settings};
use super::value::{ByteSize, Cluster, Folders, Secret, Switch, TaskDistribution, Value};
use crate::telemetry::{self, LogFormat};

const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

const fn mib(n: u64) -> ByteSize {
    ByteSize(n * 1024 * 1024)
}

const AT_LEAST_ONE: Check<usize> = Check {
    form: "a whole number of at least `1`",
    test: |n| *n >= 1,
};

const SECONDS: Check<Duration> = Check {
    form: "a duration in whole seconds such as `30s` or `5m`",
    test: |d| d.subsec_nanos() == 0,
};

const SECONDS_FROM_1: Check<Duration> = Check {
    form: "a duration in whole seconds of at least `1s` such as `30s` or `5m`",
    test: |d| d.subsec_nanos() == 0 && d.as_secs() >= 1,
};

const MESSAGE_SIZE: Check<ByteSize> = Check {
    form: "a size from `1MiB` to `2047MiB`",
    test: |s| *s >= mib(1) && *s <= mib(2047),
};

const SHARE: Check<f64> = Check {
    form: "a fraction above `0` and up to `1` such as `0.7` or `70%`",
    test: |f| *f > 0.0 && *f <= 1.0,
};

const LOG_LEVEL: Check<String> = Check {
    form: "`off`, `error`, `warn`, `info`, `debug`, `trace`, or directives such as \
           `info,ballista_scheduler=debug`",
    test: |text| telemetry::check_level(text).is_ok(),
};

const HTTP_URL: Check<String> = Check {
    form: "a URL of the form `http://host:port`",
    test: |url| is_http_url(url),
};

/// Whether `url` is `http://host:port`. Ballista speaks plain HTTP/2 and would silently turn an
/// `https` URL into that, so `https` is refused here.
pub(super) fn is_http_url(url: &str) -> bool {
    url.strip_prefix("http://")
        .map(|rest| rest.strip_suffix('/').unwrap_or(rest))
        .and_then(|rest| rest.rsplit_once(':'))
        .is_some_and(|(host, port)| {
            !host.is_empty()
                && !host.contains(['/', '@', '?', '#'])
                && port.parse::<u16>().is_ok_and(|port| port > 0)
        })
}

settings! {
    /// Settings of the scheduler process.
    pub SchedulerSettings in "scheduler";

    /// Address on which the scheduler listens; `0.0.0.0` for all interfaces. The ports have no
    /// authentication: open them only inside a private network.
    bind_host: String = "127.0.0.1".to_owned();
    /// Port for gRPC, the REST API, the metrics and the health checks.
    bind_port: u16 = 50050;
    /// Host name under which executors and clients reach the scheduler; without it, `bind_host`.
    external_host: Option<String> = None;
    /// Largest gRPC message, received or sent. A plan that is larger looks like a lost executor.
    grpc_max_message: ByteSize = mib(128), MESSAGE_SIZE;
    /// Time without a heartbeat after which an executor counts as lost. One that does not answer the
    /// scheduler's questions is lost earlier, see docs/recovery.md.
    executor_timeout: Duration = secs(20), SECONDS_FROM_1;
    /// How often the scheduler drops executors that are lost.
    expire_dead_executor_interval: Duration = secs(1), SECONDS_FROM_1;
    /// How long running jobs wait for an executor when the last one is lost, before they fail;
    /// longer than `executor.heartbeat_interval`.
    no_executors_grace_period: Duration = secs(30), SECONDS;
    /// How long an executor that is shutting down keeps its running tasks; longer than the longest
    /// task.
    executor_termination_grace_period: Duration = secs(60), SECONDS;
    /// How often one task may fail before its job fails.
    task_max_failures: usize = 4, AT_LEAST_ONE;
    /// How often one stage may be repeated after lost shuffle data before its job fails.
    stage_max_failures: usize = 4, AT_LEAST_ONE;
    /// Where tasks go: `bias` fills one executor after the other, `round_robin` spreads them.
    task_distribution: TaskDistribution = TaskDistribution::RoundRobin;
    /// Whether a task that runs far longer than others of its stage is started a second time on another
    /// executor; see docs/recovery.md.
    speculation: Switch = Switch::On;
    /// How long executors keep the result of a finished job; longer than the slowest fetch.
    finished_job_data_ttl: Duration = secs(3600), SECONDS_FROM_1;
    /// How long the scheduler remembers a finished job.
    finished_job_state_ttl: Duration = secs(6 * 3600), SECONDS_FROM_1;
    /// How many finished jobs the scheduler remembers at most; the oldest are forgotten first.
    finished_jobs_kept: usize = 10_000, AT_LEAST_ONE;
    /// Folder for the event log, one file per job; without it, none is written.
    event_log_dir: Option<PathBuf> = None;
    /// How long running jobs may go on after SIGTERM or SIGINT.
    drain_timeout: Duration = secs(60);
    /// Form of the log on standard error.
    log_format: LogFormat = LogFormat::Text;
    /// What is logged.
    log_level: String = "info".to_owned(), LOG_LEVEL;
}

settings! {
    /// Settings of an executor process.
    pub ExecutorSettings in "executor";

    /// Name of the executor in logs and in the REST API; without it, a random one.
    id: Option<String> = None;
    /// Address on which the executor listens; `0.0.0.0` for all interfaces. The ports have no
    /// authentication: open them only inside a private network.
    bind_host: String = "127.0.0.1".to_owned();
    /// Host name under which the scheduler, other executors and clients reach this one; without
    /// it, the address from which the scheduler sees it.
    external_host: Option<String> = None;
    /// Port from which shuffle data and results are fetched (Arrow Flight).
    flight_port: u16 = 50051;
    /// Port on which the scheduler starts and cancels tasks.
    grpc_port: u16 = 50052;
    /// Port of the health checks.
    health_port: u16 = 50053;
    /// The scheduler.
    scheduler_url: String = "http://127.0.0.1:50050".to_owned(), HTTP_URL;
    /// Tasks that run at the same time; `0` for one per core.
    task_slots: usize = 0;
    /// Folder for shuffle data and for what does not fit into memory; a disk of its own is best.
    work_dir: PathBuf = PathBuf::from("./emporia-work");
    /// Share of the memory of the container or host that all tasks together may use.
    memory_fraction: f64 = 0.7, SHARE;
    /// Memory that all tasks together may use, in place of `memory_fraction`.
    memory_limit: Option<ByteSize> = None;
    /// How often the executor reports to the scheduler; at most a third of
    /// `scheduler.executor_timeout`.
    heartbeat_interval: Duration = secs(5), SECONDS_FROM_1;
    /// Age at which data of any job is removed, also of jobs that no scheduler knows any more.
    job_data_ttl: Duration = secs(6 * 3600), SECONDS_FROM_1;
    /// How often the executor looks for data to remove; `0s` for never.
    job_data_clean_up_interval: Duration = secs(600), SECONDS;
    /// Largest gRPC message, received or sent.
    grpc_max_message: ByteSize = mib(128), MESSAGE_SIZE;
    /// How long running tasks may go on after SIGTERM or SIGINT.
    drain_timeout: Duration = secs(60);
    /// How long a starting executor tries to reach the scheduler.
    scheduler_connect_timeout: Duration = secs(30), SECONDS;
    /// Form of the log on standard error.
    log_format: LogFormat = LogFormat::Text;
    /// What is logged.
    log_level: String = "info".to_owned(), LOG_LEVEL;
}

settings! {
    /// Settings of the client program.
    pub ClientSettings in "client";

    /// Where jobs run: `local[N]` starts a scheduler and N executors inside the client, a URL
    /// names a running scheduler.
    cluster: Cluster = Cluster::Local { executors: 2 };
    /// File with the `[tables.*]` sections; without it, the configuration file itself.
    catalog: Option<PathBuf> = None;
    /// Time after which a job is cancelled; without it, never.
    timeout: Option<Duration> = None;
    /// Whether the scheduler plans a stage of a query again when the sizes of its inputs are known
    /// (adaptive execution).
    aqe: bool = true;
    /// Partitions of scans and shuffles; `0` for the number of task slots.
    target_partitions: usize = 0;
    /// Rows per batch.
    batch_size: usize = 8192, AT_LEAST_ONE;
    /// Size up to which one side of a join is sent to every task; `0B` for never.
    broadcast_threshold: ByteSize = mib(32);
    /// What is logged.
    log_level: String = "warn".to_owned(), LOG_LEVEL;
    /// Form of the log on standard error.
    log_format: LogFormat = LogFormat::Text;
}

/// Whether `list` is `host:port`, or several of them separated by commas.
fn is_address_list(list: &str) -> bool {
    list.split(',').all(|address| {
        address.trim().rsplit_once(':').is_some_and(|(host, port)| {
            !host.is_empty()
                && !host.contains(['/', '@', ' '])
                && port.parse::<u16>().is_ok_and(|port| port > 0)
        })
    })
}

const ADDRESSES: Check<Option<String>> = Check {
    form: "`host:port`, or several separated by commas",
    test: |list| list.as_deref().is_none_or(is_address_list),
};

const THRIFT_PROTOCOL: Check<String> = Check {
    form: "`binary` or `compact`",
    test: |name| ["binary", "compact"].contains(&name.as_str()),
};

const THRIFT_TRANSPORT: Check<String> = Check {
    form: "`buffered` or `framed`",
    test: |name| ["buffered", "framed"].contains(&name.as_str()),
};

settings! {
    /// How the stores are reached. Every process reads this section: no plan carries any of it.
    pub StoreSettings in "stores";

    /// How long a transient fault of a store (a lost connection, a region that moves) is retried
    /// without progress before the task fails.
    patience: Duration = secs(120), SECONDS_FROM_1;
    /// Folder with `core-site.xml` and `hdfs-site.xml` (name services, Kerberos); without it,
    /// `HADOOP_CONF_DIR`.
    hadoop_conf_dir: Option<PathBuf> = None;
    /// User name towards an HDFS without Kerberos; without it, `HADOOP_USER_NAME` or the user of
    /// the process.
    hdfs_user: Option<String> = None;
    /// Block size of files written to HDFS; without it, that of the cluster.
    hdfs_block_size: Option<ByteSize> = None;
    /// Replicas of files written to HDFS; `0` for the cluster's default.
    hdfs_replication: usize = 0;
    /// The Thrift gateways of HBase, protocol version 1; each is tried when another fails.
    hbase_gateways: Option<String> = None, ADDRESSES;
    /// A Thrift gateway of protocol version 2, which creates tables with several regions.
    hbase_admin_gateway: Option<String> = None, ADDRESSES;
    /// Encoding that the gateways speak.
    hbase_protocol: String = "binary".to_owned(), THRIFT_PROTOCOL;
    /// Transport that the gateways speak.
    hbase_transport: String = "buffered".to_owned(), THRIFT_TRANSPORT;
    /// Whether the connections to the gateways are encrypted.
    hbase_tls: bool = false;
    /// Certificates (PEM) that sign those of the gateways; without it, the system's.
    hbase_tls_ca: Option<PathBuf> = None;
    /// How long a gateway may take to accept a connection.
    hbase_connect_timeout: Duration = secs(5);
    /// How long a gateway may take to answer; longer than it takes itself to give up on HBase.
    hbase_request_timeout: Duration = secs(60);
    /// Connection string of MongoDB, `mongodb://host:port/…`.
    mongodb_uri: Option<Secret> = None;
    /// File with the connection string of MongoDB, in place of `mongodb_uri`.
    mongodb_uri_file: Option<PathBuf> = None;
    /// User of MongoDB, where the connection string names none.
    mongodb_user: Option<String> = None;
    /// File with the password of `mongodb_user`.
    mongodb_password_file: Option<PathBuf> = None;
    /// Folders of the machine in which tables may be read and written. Without it, a client uses all that its
    /// user may, a scheduler and an executor `/data` only. `/` allows all but `/dev`, `/etc`, `/proc`, `/run` and
    /// `/sys`, which have to be named. The files of credentials that this section names are always refused.
    local_roots: Option<Folders> = None;
}

impl StoreSettings {
    /// The settings of a process that serves others, whose users are not the user of the process.
    #[must_use]
    pub fn of_service(mut self) -> Self {
        let data = || Folders(vec![PathBuf::from("/data")]);
        self.local_roots.get_or_insert_with(data);
        self
    }

    /// The files and folders with credentials.
    pub fn secret_files(&self) -> impl Iterator<Item = &PathBuf> {
        let files = [&self.mongodb_uri_file, &self.mongodb_password_file];
        files.into_iter().flatten()
    }
}
