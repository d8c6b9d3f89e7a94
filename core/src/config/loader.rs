//! Collecting values from file, environment and command line, and choosing between them.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fmt;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};

use super::{Effective, Key, Loaded, Origin, Settings, StoreSettings, file, keys};
use crate::error::{Error, Result, nearest};

const ENV_PREFIX: &str = "EMPORIA_";

/// Collects the values of one process's settings.
///
/// The sections of the other processes are checked too, so that one file and one environment can
/// serve a whole cluster and a mistake shows in the first process that starts.
///
/// ```
/// use emporia_core::config::{Loader, SchedulerSettings};
///
/// # fn main() -> emporia_core::Result<()> {
/// let loaded = Loader::<SchedulerSettings>::new()
///     .file(None)?
///     .env([("EMPORIA_SCHEDULER__BIND_PORT", "6000")])?
///     .flag("scheduler.bind_host", Some("0.0.0.0"))?
///     .load()?;
/// assert_eq!(loaded.settings.bind_port, 6000);
/// assert_eq!(loaded.settings.bind_host, "0.0.0.0");
/// # Ok(())
/// # }
/// ```
pub struct Loader<S> {
    known: Vec<Key>,
    given: BTreeMap<String, (Origin, String)>,
    file: Option<PathBuf>,
    settings: PhantomData<S>,
}

impl<S> fmt::Debug for Loader<S> {
    /// Without values, because some may be secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let given = self.given.iter().map(|(name, (origin, _))| (name, origin));
        f.debug_map().entries(given).finish()
    }
}

impl<S: Settings> Default for Loader<S> {
    fn default() -> Self {
        Self::new()
    }
}

impl<S: Settings> Loader<S> {
    /// A loader that has seen no source yet.
    pub fn new() -> Self {
        Self::with_keys(keys())
    }

    /// A loader for a schema other than Emporia's.
    pub(super) fn with_keys(known: Vec<Key>) -> Self {
        Self {
            known,
            given: BTreeMap::new(),
            file: None,
            settings: PhantomData,
        }
    }

    /// Reads a TOML file, if one is given. Relative paths in it are relative to its folder.
    ///
    /// # Errors
    /// `NotFound` where the file cannot be read; `InvalidInput`, with the line, for a syntax error,
    /// an unknown section or key, or a bad value.
    pub fn file(mut self, path: Option<&Path>) -> Result<Self> {
        let Some(path) = path else { return Ok(self) };
        let text = std::fs::read_to_string(path).map_err(|e| {
            Error::not_found(format!(
                "cannot read the configuration file `{}`",
                path.display()
            ))
            .with_source(e)
        })?;
        self.file_text(path, &text)?;
        self.file = Some(path.to_owned());
        Ok(self)
    }

    pub(super) fn file_text(&mut self, path: &Path, text: &str) -> Result<()> {
        let mut sections: Vec<_> = self.known.iter().map(|key| key.section).collect();
        sections.dedup();
        for entry in file::entries(path, text, &sections)? {
            let origin = Origin::File {
                path: path.to_owned(),
                line: entry.line,
            };
            let full_name = format!("{}.{}", entry.section, entry.name);
            let key = find(&self.known, &full_name, &origin)?.clone();
            let text = entry.text.map_err(|what| {
                Error::invalid(format!(
                    "`{full_name}` ({origin}) is {what}, not {}",
                    key.form
                ))
            })?;
            let text = match path.parent() {
                Some(folder) if key.path && !text.is_empty() => {
                    folder.join(text).display().to_string()
                }
                _ => text,
            };
            self.offer(&key, text, origin)?;
        }
        Ok(())
    }

    /// Reads the environment variables `EMPORIA_<SECTION>__<KEY>`; pass `std::env::vars_os()`.
    /// Variables without a double underscore are left alone.
    ///
    /// # Errors
    /// `InvalidInput` for an unknown key or a bad value.
    pub fn env<K, V>(mut self, variables: impl IntoIterator<Item = (K, V)>) -> Result<Self>
    where
        K: AsRef<OsStr>,
        V: AsRef<OsStr>,
    {
        for (name, value) in variables {
            let Some(name) = name.as_ref().to_str() else {
                continue;
            };
            if !name
                .strip_prefix(ENV_PREFIX)
                .is_some_and(|rest| rest.contains("__"))
            {
                continue;
            }
            let Some(key) = self
                .known
                .iter()
                .find(|key| key.env_name() == name)
                .cloned()
            else {
                let names: Vec<_> = self.known.iter().map(Key::env_name).collect();
                let error = Error::invalid(format!("unknown environment variable `{name}`"));
                return Err(did_you_mean(error, name, names.iter().map(String::as_str)));
            };
            let origin = Origin::Env(name.to_owned());
            let Some(text) = value.as_ref().to_str() else {
                return Err(Error::invalid(format!("{origin} is not UTF-8")));
            };
            self.offer(&key, text.to_owned(), origin)?;
        }
        Ok(self)
    }

    /// Takes a value from the command line, if one is given; `key` is the full name, e.g.
    /// `scheduler.bind_port`, and belongs to this process.
    ///
    /// # Errors
    /// `InvalidInput` for an unknown key or a bad value.
    pub fn flag(mut self, key: &str, value: Option<impl ToString>) -> Result<Self> {
        let Some(value) = value else { return Ok(self) };
        let key = find(&self.known, key, &Origin::Flag)?.clone();
        if key.section != S::SECTION {
            let name = key.full_name();
            return Err(Error::invalid(format!(
                "`{name}` is not a setting of the {}",
                S::SECTION
            )));
        }
        self.offer(&key, value.to_string(), Origin::Flag)?;
        Ok(self)
    }

    /// Chooses the winner of every key.
    ///
    /// # Errors
    /// `Internal` where the schema contradicts itself.
    pub fn load(mut self) -> Result<Loaded<S>> {
        let mut effective = Vec::new();
        let settings = self.choose::<S>(&mut effective)?;
        let stores = self.choose::<StoreSettings>(&mut effective)?;
        Ok(Loaded {
            settings,
            stores,
            effective,
            file: self.file,
        })
    }

    fn choose<T: Settings>(&mut self, effective: &mut Vec<Effective>) -> Result<T> {
        let mut settings = T::default();
        for key in T::keys() {
            let mut origin = Origin::Default;
            if let Some((from, text)) = self.given.remove(&key.full_name()) {
                if !settings.set(key.name, &text) {
                    return Err(Error::internal(format!("cannot set `{}`", key.full_name())));
                }
                origin = from;
            }
            let value = settings.get(key.name).unwrap_or_default();
            effective.push(Effective {
                key: key.full_name(),
                value,
                origin,
            });
        }
        Ok(settings)
    }

    /// Checks a value and keeps it where none of a higher rank is there already.
    fn offer(&mut self, key: &Key, text: String, origin: Origin) -> Result<()> {
        if !key.accepts(&text) {
            let shown = if key.secret { "***" } else { &text };
            let error = Error::invalid(format!(
                "`{}` = `{shown}` ({origin}) is not {}",
                key.full_name(),
                key.form
            ));
            return Err(match has_no_port(key, &text) {
                true => {
                    let address = text.trim_end_matches('/');
                    error.with_hint(format!("the port is missing, as in `{address}:50050`"))
                }
                false => error,
            });
        }
        let outranked = self
            .given
            .get(&key.full_name())
            .is_some_and(|(held, _)| held.rank() > origin.rank());
        let is_read = [S::SECTION, StoreSettings::SECTION].contains(&key.section);
        if is_read && !outranked {
            self.given.insert(key.full_name(), (origin, text));
        }
        Ok(())
    }
}

/// Whether all that is wrong with an address is that it names no port.
fn has_no_port(key: &Key, text: &str) -> bool {
    let host = text.strip_prefix("http://").unwrap_or_default();
    let host = host.trim_end_matches('/');
    key.form.contains("http://host:port") && !host.is_empty() && !host.contains([':', '/'])
}

fn find<'a>(known: &'a [Key], full_name: &str, origin: &Origin) -> Result<&'a Key> {
    known
        .iter()
        .find(|key| key.full_name() == full_name)
        .ok_or_else(|| {
            let error = Error::invalid(format!("unknown key `{full_name}` ({origin})"));
            let (section, name) = full_name.split_once('.').unwrap_or(("", full_name));
            // A typing error within the section is likelier than a wrong section.
            let siblings = known
                .iter()
                .filter(|key| key.section == section)
                .map(|key| key.name);
            if let Some(near) = nearest(name, siblings) {
                return error.with_hint(format!("did you mean `{section}.{near}`?"));
            }
            match known.iter().find(|key| key.name == name) {
                Some(key) => error.with_hint(format!("did you mean `{}`?", key.full_name())),
                None => {
                    let names: Vec<_> = known.iter().map(Key::full_name).collect();
                    did_you_mean(error, full_name, names.iter().map(String::as_str))
                }
            }
        })
}

fn did_you_mean<'a>(error: Error, name: &str, known: impl Iterator<Item = &'a str>) -> Error {
    match nearest(name, known) {
        Some(near) => error.with_hint(format!("did you mean `{near}`?")),
        None => error.with_hint("docs/configuration.md lists all keys"),
    }
}
