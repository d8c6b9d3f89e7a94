//! From the settings of the process to a client of the gateways.

use emporia_core::config::StoreSettings;
use emporia_core::error::{Error, Result};
use emporia_hbase::{Client, ClientOptions, Protocol, TlsOptions, Transport};

/// A client that reaches HBase as `settings` say; opens no connection.
///
/// # Errors
/// `InvalidInput` where no gateway is configured.
pub fn connect(settings: &StoreSettings) -> Result<Client> {
    let Some(gateways) = &settings.hbase_gateways else {
        return Err(Error::invalid("no HBase gateway is configured").with_hint(
            "set stores.hbase_gateways, e.g. EMPORIA_STORES__HBASE_GATEWAYS=host:9090",
        ));
    };
    let options = ClientOptions {
        gateways: gateways.split(',').map(|g| g.trim().to_owned()).collect(),
        admin_gateway: settings.hbase_admin_gateway.clone(),
        protocol: match settings.hbase_protocol.as_str() {
            "compact" => Protocol::Compact,
            _ => Protocol::Binary,
        },
        transport: match settings.hbase_transport.as_str() {
            "framed" => Transport::Framed,
            _ => Transport::Buffered,
        },
        tls: settings.hbase_tls.then(|| TlsOptions {
            ca_file: settings.hbase_tls_ca.clone(),
            server_name: None,
        }),
        connect_timeout: settings.hbase_connect_timeout,
        request_timeout: settings.hbase_request_timeout,
        patience: settings.patience,
        ..ClientOptions::default()
    };
    Client::new(options)
        .map_err(|e| Error::invalid("the settings of HBase's gateways are wrong").with_source(e))
}
