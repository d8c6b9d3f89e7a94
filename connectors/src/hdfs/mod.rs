//! HDFS as an object store, opened with the first `hdfs://` location.
//!
//! ```text
//!   StoreRegistry ─▶ HdfsStore ─▶ Cluster ─▶ FileSystem
//!   (sessions)       interface    patience   one try each: Native (client library), Memory (tests)
//! ```
//!
//! The engine retries none of the faults that an object store tells it: a scan that meets one fails
//! its job. So all waiting for HDFS happens here, for as long as `stores.patience` says and no bytes
//! come. A read goes on at the byte that it reached. A file is written under another name and
//! moved to its place when it is complete. What stays broken is told as a [`Fault`], in the causes
//! of the store's error.
//!
//! # Locations
//!
//! `hdfs://host:port/path` names a NameNode, `hdfs://host/path` one at port 8020,
//! `hdfs://name/path` a name service of the configuration with its NameNodes, and `hdfs:///path` the
//! `fs.defaultFS` of the configuration.
//!
//! # Configuration
//!
//! `core-site.xml` and `hdfs-site.xml` are read from `stores.hadoop_conf_dir`, else from
//! `HADOOP_CONF_DIR`, else from `HADOOP_HOME/etc/hadoop`. Three of their settings are replaced:
//! `dfs.client.failover.*` and `dfs.client.socket-timeout`, because `stores.patience` rules how long
//! is waited, and `dfs.client.block.write.replace-datanode-on-failure.best-effort`, because a small
//! cluster has no DataNode in the place of a lost one.
//!
//! # Users and Kerberos
//!
//! Where `hadoop.security.authentication` is not `kerberos`, the user is `stores.hdfs_user`, else
//! `HADOOP_USER_NAME`, else that of the process. Where it is, the process needs the library
//! `libgssapi_krb5.so.2` at run time (package `libgssapi-krb5-2` or `krb5-libs`) and a credential
//! that this library finds: a ticket cache (`KRB5CCNAME`), a keytab (`KRB5_CLIENT_KTNAME`), or a
//! delegation token (`HADOOP_TOKEN_FILE_LOCATION`); `KRB5_CONFIG` names the realm's configuration.
//! `stores.hdfs_user` then is the user to act for, whom the cluster must let the principal
//! impersonate. Encrypted RPC and data transfer (`dfs.data.transfer.protection`) work; encryption
//! zones do not.

mod cluster;
mod fault;
mod filesystem;
#[cfg(test)]
mod memory;
mod native;
mod open;
mod open_files;
mod placement;
mod read;
mod registry;
mod retry;
mod store;
#[cfg(test)]
mod tests;
mod write;

pub use fault::{Fault, FaultKind};
pub use registry::StoreRegistry;
