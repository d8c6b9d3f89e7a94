//! From a location and the settings of the process to a store, one for each cluster.

use std::num::NonZero;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use emporia_core::config::StoreSettings;
use emporia_core::error::{Error, Result};
use object_store::ObjectStore;
use tokio::runtime::{Builder, Handle, Runtime};
use url::Url;

use super::cluster::Cluster;
use super::fault::Fault;
use super::native::{Connection, Native};
use super::store::HdfsStore;

/// The port of a NameNode where a location names none and the host is no name service.
const NAMENODE_PORT: u16 = 8020;

/// How long a DataNode may send nothing before another is asked.
const LONGEST_SILENCE: Duration = Duration::from_secs(30);

/// The settings that a store depends on, and the `hdfs://` authority that it serves.
type Key = (String, StoreKey);

#[derive(Debug, Clone, PartialEq)]
struct StoreKey {
    conf_dir: Option<String>,
    user: Option<String>,
    block_size: Option<u64>,
    replication: Option<u32>,
    patience: Duration,
}

/// The stores of this process. They outlive sessions: the connections and what was learnt about
/// DataNodes serve all of them.
static OPENED: Mutex<Vec<(Key, HdfsStore)>> = Mutex::new(Vec::new());

/// The threads that serve the sockets of all clusters. They are apart from those that compute, so
/// that leases are renewed and DataNodes are answered while a query keeps every core busy, and
/// they outlive the runtime of any session.
static IO: LazyLock<std::io::Result<Runtime>> = LazyLock::new(|| {
    let cores = thread::available_parallelism().map_or(2, NonZero::get);
    Builder::new_multi_thread()
        .worker_threads(cores.clamp(2, 8))
        .thread_name("hdfs-io")
        .enable_all()
        .build()
});

/// The store of the cluster that `url` names; opens no connection.
///
/// # Errors
/// `InvalidInput` where the configuration does not tell how to reach it.
pub(super) fn open(url: &Url, settings: &StoreSettings) -> Result<Arc<dyn ObjectStore>> {
    let authority = url[url::Position::BeforeHost..url::Position::AfterPort].to_owned();
    let key = (authority, StoreKey::new(settings));
    let mut opened = OPENED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, store)) = opened.iter().find(|(known, _)| *known == key) {
        return Ok(Arc::new(store.clone()));
    }
    let store = connect(&key.0, &key.1)?;
    opened.push((key, store.clone()));
    Ok(Arc::new(store))
}

impl StoreKey {
    fn new(settings: &StoreSettings) -> Self {
        Self {
            conf_dir: settings
                .hadoop_conf_dir
                .as_ref()
                .map(|folder| folder.to_string_lossy().into_owned()),
            user: settings.hdfs_user.clone(),
            block_size: settings.hdfs_block_size.map(|size| size.0),
            replication: u32::try_from(settings.hdfs_replication)
                .ok()
                .filter(|copies| *copies > 0),
            patience: settings.patience,
        }
    }
}

fn connect(authority: &str, settings: &StoreKey) -> Result<HdfsStore> {
    let io: &Handle = match &*IO {
        Ok(runtime) => runtime.handle(),
        Err(e) => {
            return Err(Error::internal(format!(
                "cannot start the threads for HDFS: {e}"
            )));
        }
    };
    let open = |authority: &str| {
        Native::open(Connection {
            url: format!("hdfs://{authority}"),
            conf_dir: settings.conf_dir.clone(),
            user: settings.user.clone(),
            block_size: settings.block_size,
            socket_timeout: (settings.patience / 4).min(LONGEST_SILENCE),
            io: io.clone(),
        })
    };
    let is_host = !authority.is_empty() && !authority.contains(':');
    let native = match open(authority) {
        Ok(native) => Ok(native),
        // The host is no name service of the configuration, so it is a NameNode.
        Err(fault) if is_host && fault.to_string().contains("No NameNode hosts found") => {
            open(&format!("{authority}:{NAMENODE_PORT}"))
        }
        Err(fault) => Err(fault),
    };
    let native = native.map_err(|fault| misconfigured(authority, fault))?;
    let name = match authority {
        "" => "fs.defaultFS",
        authority => authority,
    };
    Ok(HdfsStore::new(Cluster::new(
        Arc::new(native),
        name,
        settings.patience,
        settings.replication,
    )))
}

fn misconfigured(authority: &str, fault: Fault) -> Error {
    let hint = match authority {
        "" => {
            "name the NameNode, e.g. hdfs://host:8020/path, or set `stores.hadoop_conf_dir` to a folder whose core-site.xml has fs.defaultFS"
        }
        _ => "check `stores.hadoop_conf_dir` and the files core-site.xml and hdfs-site.xml in it",
    };
    Error::invalid(format!("cannot open `hdfs://{authority}/`"))
        .with_hint(hint)
        .with_source(fault)
}
