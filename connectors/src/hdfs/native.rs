//! The operations of HDFS with the client library.

use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use hdfs_native::client::FileStatus;
use hdfs_native::file::{FileReader, FileWriter};
use hdfs_native::{Client, ClientBuilder, HdfsError, WriteOptions};
use tokio::runtime::Handle;

use super::fault::{Fault, FaultKind};
use super::filesystem::{Blocks, FileSystem, NewFile, Status, Version};

/// HDFS counts checksums in chunks of this size, and wants blocks of whole chunks.
const CHUNK_BYTES: u64 = 512;
/// Calls that time out together renew the connections once.
const BETWEEN_RECONNECTS: Duration = Duration::from_secs(1);

/// How to reach a cluster.
#[derive(Debug, Clone)]
pub(super) struct Connection {
    /// `hdfs://` and the authority; without one, `fs.defaultFS` of the configuration.
    pub(super) url: String,
    /// The folder of `core-site.xml` and `hdfs-site.xml`.
    pub(super) conf_dir: Option<String>,
    pub(super) user: Option<String>,
    pub(super) block_size: Option<u64>,
    /// How long a DataNode may send nothing.
    pub(super) socket_timeout: Duration,
    /// Where sockets are served.
    pub(super) io: Handle,
}

impl Connection {
    /// A client, which connects with its first call.
    ///
    /// `start_anywhere` makes it try the NameNodes of a name service in an order of chance: the
    /// first of them may be the one that does not answer.
    fn client(&self, start_anywhere: bool) -> Result<Client, Fault> {
        let name_service = self.url.trim_start_matches("hdfs://").trim_end_matches('/');
        let timeout = self.socket_timeout.as_millis().to_string();
        let config = [
            // The library goes once or twice round the NameNodes; to wait for them is our part.
            ("dfs.client.failover.max.attempts", "4"),
            ("dfs.client.failover.sleep.base.millis", "20"),
            ("dfs.client.failover.sleep.max.millis", "500"),
            ("dfs.client.socket-timeout", &timeout),
            // Else a block that loses a DataNode fails in a cluster that has no other left,
            // although copies of it are being written.
            (
                "dfs.client.block.write.replace-datanode-on-failure.best-effort",
                "true",
            ),
        ];
        let config = config
            .into_iter()
            .map(|(k, v)| (k.to_owned(), v.to_owned()));
        let order = start_anywhere.then(|| {
            let key = format!("dfs.client.failover.random.order.{name_service}");
            (key, "true".to_owned())
        });
        let mut builder = ClientBuilder::new()
            .with_url(&self.url)
            .with_config(config.chain(order))
            .with_io_runtime(self.io.clone());
        if let Some(folder) = &self.conf_dir {
            builder = builder.with_config_dir(folder);
        }
        if let Some(user) = &self.user {
            builder = builder.with_user(user);
        }
        Ok(builder.build()?)
    }
}

/// A cluster, reached with the client library.
pub(super) struct Native {
    connection: Connection,
    current: Mutex<(Client, Instant)>,
}

impl fmt::Debug for Native {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Native({})", self.connection.url)
    }
}

impl Native {
    /// Reads the configuration; opens no connection.
    pub(super) fn open(connection: Connection) -> Result<Self, Fault> {
        let client = connection.client(false)?;
        Ok(Self {
            connection,
            current: Mutex::new((client, Instant::now())),
        })
    }

    fn client(&self) -> Client {
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        current.0.clone()
    }
}

#[async_trait]
impl FileSystem for Native {
    async fn status(&self, path: &str) -> Result<Status, Fault> {
        Ok(self.client().get_file_info(path).await?.into())
    }

    async fn list(&self, path: &str) -> Result<Vec<Status>, Fault> {
        let found = self.client().list_status(path, false).await?;
        Ok(found.into_iter().map(Status::from).collect())
    }

    async fn open(&self, path: &str) -> Result<Arc<dyn Blocks>, Fault> {
        Ok(Arc::new(self.client().read(path).await?))
    }

    async fn create(
        &self,
        path: &str,
        replication: Option<u32>,
    ) -> Result<Box<dyn NewFile>, Fault> {
        let options = WriteOptions {
            replication,
            block_size: self
                .connection
                .block_size
                .map(|size| size.next_multiple_of(CHUNK_BYTES)),
            ..WriteOptions::default()
        };
        Ok(Box::new(self.client().create(path, options).await?))
    }

    async fn rename(&self, from: &str, to: &str, overwrite: bool) -> Result<(), Fault> {
        Ok(self.client().rename(from, to, overwrite).await?)
    }

    async fn delete(&self, path: &str) -> Result<(), Fault> {
        // `false` says that there was nothing.
        let _existed = self.client().delete(path, false).await?;
        Ok(())
    }

    async fn make_folder(&self, path: &str) -> Result<(), Fault> {
        Ok(self.client().mkdirs(path, 0o755, true).await?)
    }

    async fn set_replication(&self, path: &str, replication: u32) -> Result<(), Fault> {
        // `false` says that the path is no file.
        let _is_file = self.client().set_replication(path, replication).await?;
        Ok(())
    }

    fn reconnect(&self) {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if current.1.elapsed() < BETWEEN_RECONNECTS {
            return;
        }
        // The configuration was readable when this was opened; if it is not now, the old
        // connections are the best there is.
        match self.connection.client(true) {
            Ok(client) => *current = (client, Instant::now()),
            Err(fault) => tracing::warn!(url = self.connection.url, %fault, "cannot reconnect"),
        }
    }
}

impl Blocks for FileReader {
    fn length(&self) -> u64 {
        self.file_length() as u64
    }

    fn read(&self, range: Range<u64>) -> BoxStream<'static, Result<Bytes, Fault>> {
        let (start, end) = (range.start as usize, range.end as usize);
        self.read_range_stream(start, end - start)
            .map(|bytes| bytes.map_err(Fault::from))
            .boxed()
    }
}

#[async_trait]
impl NewFile for FileWriter {
    async fn write(&mut self, bytes: Bytes) -> Result<(), Fault> {
        let written = self.write_bytes(bytes).await;
        written.map_err(write_fault).map(|_length| ())
    }

    async fn close(&mut self) -> Result<(), Fault> {
        FileWriter::close(self).await.map_err(write_fault)
    }
}

/// A connection that breaks while a block is written is one to a DataNode, most likely.
fn write_fault(error: HdfsError) -> Fault {
    let fault = Fault::from(error);
    match fault.kind() {
        FaultKind::Unreachable => Fault::new(
            FaultKind::DataNodes,
            format!("cannot write a block: {fault}"),
        ),
        _ => fault,
    }
}

impl From<FileStatus> for Status {
    fn from(status: FileStatus) -> Self {
        Self {
            path: status.path,
            is_folder: status.isdir,
            version: Version {
                length: status.length as u64,
                modified_millis: status.modification_time,
            },
            replication: status.replication.filter(|_| !status.isdir),
        }
    }
}
