//! From the settings of the process to a client.

use std::path::Path;
use std::time::Duration;

use emporia_core::config::{Secret, StoreSettings};
use emporia_core::error::{Error, Result};
use mongodb::Client;
use mongodb::options::{ClientOptions, Credential};

/// How long an operation looks for a server that answers, where the connection string does not say.
/// A scan or a write tries again until `stores.patience` is over; this only has to be long enough
/// for an election.
const SELECTION: Duration = Duration::from_secs(15);

/// How often a server is asked whether it is there, where the connection string does not say. After
/// a lost connection the driver at times waits this long before it looks again.
const HEARTBEAT: Duration = Duration::from_secs(2);

/// Opens the client that `settings` describe; a server is contacted by the first operation only.
///
/// # Errors
/// `InvalidInput` where no server is configured or the password file cannot be read.
pub async fn connect(settings: &StoreSettings) -> Result<Client> {
    let uri = uri(settings)?;
    // The driver's message may repeat the URI, which may hold a password.
    let refused = |_| {
        Error::invalid("stores.mongodb_uri is not a MongoDB connection string")
            .with_hint("its form is mongodb://host:port/?option=value")
    };
    let mut options = ClientOptions::parse(uri.expose()).await.map_err(refused)?;
    if let Some(user) = &settings.mongodb_user {
        let mut credential = options
            .credential
            .take()
            .unwrap_or_else(Credential::default);
        credential.username = Some(user.clone());
        options.credential = Some(credential);
    }
    if let (Some(path), Some(credential)) =
        (&settings.mongodb_password_file, &mut options.credential)
    {
        credential.password = Some(secret(path, "stores.mongodb_password_file")?);
    }
    options.app_name.get_or_insert_with(|| "emporia".to_owned());
    let selection = SELECTION.min(settings.patience);
    options.server_selection_timeout.get_or_insert(selection);
    options.heartbeat_freq.get_or_insert(HEARTBEAT);
    Client::with_options(options).map_err(refused)
}

/// The connection string.
fn uri(settings: &StoreSettings) -> Result<Secret> {
    match (&settings.mongodb_uri, &settings.mongodb_uri_file) {
        (Some(uri), None) => Ok(uri.clone()),
        (None, Some(path)) => secret(path, "stores.mongodb_uri_file").map(Secret::new),
        (Some(_), Some(_)) => Err(Error::invalid(
            "stores.mongodb_uri and stores.mongodb_uri_file are both set",
        )
        .with_hint("keep one of them")),
        (None, None) => Err(Error::invalid("no MongoDB server is configured")
            .with_hint("set stores.mongodb_uri, e.g. EMPORIA_STORES__MONGODB_URI=mongodb://host")),
    }
}

/// The text of a small file, without the end of its line.
fn secret(path: &Path, key: &str) -> Result<String> {
    let text = std::fs::read_to_string(path).map_err(|e| {
        Error::invalid(format!("cannot read `{}`", path.display()))
            .with_hint(format!("check {key}"))
            .with_source(e)
    })?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

/// The servers of the connection string, for messages: nothing before the `@`, where the password
/// is, and nothing after the names.
pub(super) fn servers(settings: &StoreSettings) -> String {
    let Ok(uri) = uri(settings) else {
        return "no server".to_owned();
    };
    let rest = uri.expose();
    let rest = rest.split_once("://").map_or(rest, |(_, rest)| rest);
    let rest = rest.rsplit_once('@').map_or(rest, |(_, rest)| rest);
    rest.split(['/', '?']).next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_named_without_the_password() {
        let check = |uri: &str, expected: &str| {
            let settings = StoreSettings {
                mongodb_uri: Some(Secret::new(uri)),
                ..StoreSettings::default()
            };
            assert_eq!(servers(&settings), expected);
        };
        check("mongodb://a:27017,b/shop?w=1", "a:27017,b");
        check(
            "mongodb+srv://user:pass@cluster.example/",
            "cluster.example",
        );
        check("mongodb://user:p/a@ss@host", "host");
        check("host", "host");
    }
}
