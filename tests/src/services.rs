//! The real servers that `tests/services/services up` started.

use std::path::PathBuf;
use std::sync::Arc;

use emporia_core::config::{Secret, StoreSettings};
use emporia_engine::Stores;

/// How to reach them.
#[derive(Debug, Clone)]
pub struct Services {
    /// `hdfs://host:port`.
    pub hdfs: String,
    /// Folder with `core-site.xml` and `hdfs-site.xml`.
    pub hadoop_conf: PathBuf,
    /// The HDFS with Kerberos, which `services up kerberos` starts.
    pub kerberos: Kerberos,
    /// Thrift gateways of HBase.
    pub hbase_gateways: String,
    /// The gateway of protocol version 2.
    pub hbase_admin_gateway: String,
    /// Connection string of the MongoDB-protocol server.
    pub mongodb_uri: String,
    /// Connection string of the server that asks for a password; has user and password in it.
    pub mongodb_auth_uri: String,
    /// Connection string of the server with decimals, which `services up mongo-java` starts.
    pub mongodb_decimal_uri: String,
    /// State folder of the instance, for the script that controls it.
    pub folder: PathBuf,
}

/// How to reach an HDFS that asks for tickets.
#[derive(Debug, Clone)]
pub struct Kerberos {
    /// `hdfs://host:port`.
    pub hdfs: String,
    /// Folder with `core-site.xml` and `hdfs-site.xml`.
    pub hadoop_conf: PathBuf,
    /// Folder with `krb5.conf` and `shop.keytab`.
    pub kdc: PathBuf,
}

impl Services {
    /// The running servers; without any says in one line that and why the test is skipped.
    pub fn find() -> Option<Self> {
        let found = Self::from_env();
        if found.is_none() {
            #[expect(clippy::print_stderr, reason = "a skipped test says why")]
            {
                eprintln!(
                    "skipped: no storage servers; start them with `make services-up` and set the \
                     variables that `tests/services/services env` prints"
                );
            }
        }
        found
    }

    #[expect(clippy::disallowed_methods, reason = "so the script tells the tests")]
    fn from_env() -> Option<Self> {
        let variable = |name: &str| std::env::var(name).ok().filter(|v| !v.is_empty());
        Some(Self {
            hdfs: variable("EMPORIA_TEST_HDFS")?,
            hadoop_conf: variable("EMPORIA_TEST_HADOOP_CONF")?.into(),
            kerberos: Kerberos {
                hdfs: variable("EMPORIA_TEST_KERBEROS_HDFS")?,
                hadoop_conf: variable("EMPORIA_TEST_KERBEROS_CONF")?.into(),
                kdc: variable("EMPORIA_TEST_KERBEROS_KDC")?.into(),
            },
            hbase_gateways: variable("EMPORIA_TEST_HBASE_GATEWAYS")?,
            hbase_admin_gateway: variable("EMPORIA_TEST_HBASE_ADMIN_GATEWAY")?,
            mongodb_uri: variable("EMPORIA_TEST_MONGODB_URI")?,
            mongodb_auth_uri: variable("EMPORIA_TEST_MONGODB_AUTH_URI")?,
            mongodb_decimal_uri: variable("EMPORIA_TEST_MONGODB_DECIMAL_URI")?,
            folder: variable("EMPORIA_SERVICES_DIR")?.into(),
        })
    }

    /// Settings that reach them.
    pub fn settings(&self) -> StoreSettings {
        StoreSettings {
            hadoop_conf_dir: Some(self.hadoop_conf.clone()),
            hbase_gateways: Some(self.hbase_gateways.clone()),
            hbase_admin_gateway: Some(self.hbase_admin_gateway.clone()),
            mongodb_uri: Some(Secret::new(self.mongodb_uri.clone())),
            ..StoreSettings::default()
        }
    }

    /// The stores of a process that reaches them.
    pub fn stores(&self) -> Arc<Stores> {
        Stores::new(self.settings())
    }

    /// Environment of a program that reaches them.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        vec![
            (
                "EMPORIA_STORES__HADOOP_CONF_DIR",
                self.hadoop_conf.display().to_string(),
            ),
            (
                "EMPORIA_STORES__HBASE_GATEWAYS",
                self.hbase_gateways.clone(),
            ),
            (
                "EMPORIA_STORES__HBASE_ADMIN_GATEWAY",
                self.hbase_admin_gateway.clone(),
            ),
            ("EMPORIA_STORES__MONGODB_URI", self.mongodb_uri.clone()),
        ]
    }
}
