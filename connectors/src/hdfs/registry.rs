//! How sessions find the stores of locations.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::error::DataFusionError;
use datafusion::execution::object_store::{DefaultObjectStoreRegistry, ObjectStoreRegistry};
use emporia_core::config::StoreSettings;
use object_store::ObjectStore;
use url::Url;

/// The stores by URL: those that were registered, and any HDFS.
#[derive(Debug)]
pub struct StoreRegistry {
    known: DefaultObjectStoreRegistry,
    settings: StoreSettings,
}

impl StoreRegistry {
    /// A registry that opens HDFS as `settings` say.
    pub fn new(settings: StoreSettings) -> Self {
        Self {
            known: DefaultObjectStoreRegistry::new(),
            settings,
        }
    }
}

impl ObjectStoreRegistry for StoreRegistry {
    fn register_store(
        &self,
        url: &Url,
        store: Arc<dyn ObjectStore>,
    ) -> Option<Arc<dyn ObjectStore>> {
        self.known.register_store(url, store)
    }

    fn deregister_store(&self, url: &Url) -> Result<Arc<dyn ObjectStore>> {
        self.known.deregister_store(url)
    }

    fn get_store(&self, url: &Url) -> Result<Arc<dyn ObjectStore>> {
        match self.known.get_store(url) {
            Err(_) if url.scheme() == "hdfs" => super::open::open(url, &self.settings)
                .map_err(|error| DataFusionError::External(Box::new(error))),
            found => found,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use datafusion::execution::object_store::ObjectStoreUrl;
    use emporia_core::error::Error;

    use super::*;

    fn settings(conf_dir: &str) -> StoreSettings {
        StoreSettings {
            hadoop_conf_dir: Some(PathBuf::from(conf_dir)),
            hdfs_user: Some("registry-test".to_owned()),
            ..StoreSettings::default()
        }
    }

    /// An empty folder.
    fn conf_dir() -> PathBuf {
        let name = format!("emporia-hadoop-conf-{}", uuid::Uuid::now_v7());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir(&folder).unwrap();
        folder
    }

    fn get(registry: &StoreRegistry, url: &str) -> Result<Arc<dyn ObjectStore>> {
        registry.get_store(&Url::parse(url).unwrap())
    }

    #[test]
    fn each_cluster_has_one_store_in_the_process() {
        let registry = StoreRegistry::new(settings("/nowhere"));
        let first = get(&registry, "hdfs://127.0.0.1:9/").unwrap();
        assert_eq!(first.to_string(), "HDFS(127.0.0.1:9)");
        // A host without a port that no configuration knows is a NameNode.
        let host = get(&registry, "hdfs://nn.example/").unwrap();
        assert_eq!(host.to_string(), "HDFS(nn.example)");
        get(&registry, "file:///").unwrap();
        get(&registry, "s3://bucket/").unwrap_err();
    }

    #[test]
    fn a_location_without_a_host_needs_the_default_file_system() {
        let folder = conf_dir();
        let registry = StoreRegistry::new(settings(folder.to_str().unwrap()));
        let DataFusionError::External(cause) = get(&registry, "hdfs:///").unwrap_err() else {
            panic!("not an Emporia error");
        };
        let error = cause.downcast::<Error>().unwrap();
        assert_eq!(error.to_string(), "cannot open `hdfs:///`");
        assert!(error.hint().unwrap().contains("stores.hadoop_conf_dir"));

        let site = "<configuration><property><name>fs.defaultFS</name>\
                    <value>hdfs://nn:8020</value></property></configuration>";
        std::fs::write(folder.join("core-site.xml"), site).unwrap();
        get(&registry, "hdfs:///").unwrap();
        // How a location without a host comes to the registry.
        let root = ObjectStoreUrl::parse("hdfs://").unwrap();
        registry.get_store(root.as_ref()).unwrap();
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn name_services_come_from_the_configuration() {
        let folder = conf_dir();
        let site = "<configuration>\
            <property><name>dfs.ha.namenodes.shop</name><value>a,b</value></property>\
            <property><name>dfs.namenode.rpc-address.shop.a</name><value>a:8020</value></property>\
            <property><name>dfs.namenode.rpc-address.shop.b</name><value>b:8020</value></property>\
            </configuration>";
        std::fs::write(folder.join("hdfs-site.xml"), site).unwrap();
        let registry = StoreRegistry::new(settings(folder.to_str().unwrap()));
        get(&registry, "hdfs://shop/").unwrap();
        std::fs::remove_dir_all(folder).unwrap();
    }
}
