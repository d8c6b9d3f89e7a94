//! The effective settings of the client and its table catalog.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use emporia_core::catalog::Catalog;
use emporia_core::config::{ClientSettings, Effective, Loader};
use emporia_core::error::Result;
use emporia_engine::Stores;

use crate::args::GlobalArgs;
use crate::console::Console;

/// Configuration and catalog that are used where they exist and no others are named.
const DEFAULT_FILE: &str = "emporia.toml";

/// What every command needs to know.
#[derive(Debug, Clone)]
pub(crate) struct Context {
    pub(crate) settings: ClientSettings,
    /// The stores that the client and an in-process cluster reach.
    pub(crate) stores: Arc<Stores>,
    pub(crate) effective: Vec<Effective>,
    pub(crate) console: Console,
    pub(crate) is_verbose: bool,
    /// The configuration file that was read.
    pub(crate) config_file: Option<PathBuf>,
}

impl Context {
    /// Merges flags, environment and file.
    pub(crate) fn load(args: &GlobalArgs) -> Result<Self> {
        let file = args.config.clone().or_else(|| existing(DEFAULT_FILE));
        let mut loader = Loader::<ClientSettings>::new()
            .file(file.as_deref())?
            .env(std::env::vars_os())?;
        for (key, value) in args.settings() {
            loader = loader.flag(key, value)?;
        }
        let loaded = loader.load()?;
        Ok(Self {
            settings: loaded.settings,
            stores: Stores::new(loaded.stores),
            effective: loaded.effective,
            console: Console::new(args.quiet, args.no_progress),
            is_verbose: args.verbose,
            config_file: loaded.file,
        })
    }

    /// The file with the tables, `None` where there are none.
    pub(crate) fn catalog_file(&self) -> Option<&Path> {
        self.settings
            .catalog
            .as_deref()
            .or(self.config_file.as_deref())
    }

    /// The tables; none where no file is named and there is no `./emporia.toml`.
    pub(crate) fn catalog(&self) -> Result<Catalog> {
        self.catalog_file()
            .map_or_else(|| Ok(Catalog::default()), Catalog::load)
    }
}

fn existing(path: &str) -> Option<PathBuf> {
    let path = PathBuf::from(path);
    path.is_file().then_some(path)
}
