//! A location as object stores know it: the store, and a path in it.
//!
//! [`Path::from`] and [`Path::join`] write many characters in another form, and the store then holds
//! them so. A path of a location is made by [`Path::parse`] alone, which takes names as they are.

#[cfg(any(test, fuzzing))]
mod fuzz;

#[cfg(any(test, fuzzing))]
pub use fuzz::fuzz;

use std::fmt;
use std::path::{Path as LocalPath, PathBuf};
use std::sync::Arc;

use datafusion::catalog::Session;
use datafusion::common::plan_err;
use datafusion::error::DataFusionError;
use datafusion::execution::object_store::ObjectStoreUrl;
use emporia_core::error::{Error, Result};
use emporia_core::location::{self as text, escaped};
use object_store::ObjectStore;
use object_store::local::LocalFileSystem;
use object_store::path::Path;

/// A location split into its store and the path in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    /// Root of the store, e.g. `file:///`.
    pub store: ObjectStoreUrl,
    /// Path in the store.
    pub path: Path,
}

impl Location {
    /// Reads a path or a URI, see [`text::Location`].
    ///
    /// # Errors
    /// `InvalidInput` where it is neither, or no store can have it.
    pub fn parse(uri: &str) -> Result<Self> {
        Self::of(&text::Location::parse(uri, None)?)
    }

    /// The store and the path of a location.
    ///
    /// # Errors
    /// `InvalidInput` where no store can have it.
    pub fn of(location: &text::Location) -> Result<Self> {
        let invalid = |e: String| {
            Error::invalid(format!("`{location}` cannot be a location: {e}"))
                .with_hint("use a path or a URI such as file:///data/orders")
        };
        let path = Path::parse(location.path()).map_err(|e| invalid(e.to_string()))?;
        let store = ObjectStoreUrl::parse(location.root()).map_err(|e| invalid(e.to_string()))?;
        let found = Self { store, path };
        if let Some(expected) = location.local_path()
            && found.local_path()? != expected
        {
            return Err(invalid("its name means another place".to_owned()));
        }
        Ok(found)
    }

    /// Whether it is on this machine.
    pub fn is_local(&self) -> bool {
        self.store.as_str().starts_with("file:")
    }

    /// Where the local store looks for a folder of this path.
    ///
    /// # Errors
    /// `InvalidInput` where no store can have it.
    pub(crate) fn local_path(&self) -> Result<PathBuf> {
        let inside = within(&self.path, "f").map_err(|e| Error::invalid(e.to_string()))?;
        let inside = LocalFileSystem::new().path_to_filesystem(&inside);
        let inside = inside.map_err(|e| Error::invalid(e.to_string()))?;
        Ok(inside.parent().unwrap_or(LocalPath::new("/")).to_owned())
    }

    /// The store, from the session's registry.
    ///
    /// # Errors
    /// `InvalidInput` for a scheme that no store is registered for.
    pub fn open(&self, state: &dyn Session) -> Result<Arc<dyn ObjectStore>> {
        state.runtime_env().object_store(&self.store).map_err(|e| {
            let e = match e {
                DataFusionError::External(cause) => match cause.downcast::<Error>() {
                    Ok(error) => return *error,
                    Err(other) => DataFusionError::External(other),
                },
                e => e,
            };
            tracing::debug!(error = %e, "unknown store");
            Error::invalid(format!(
                "no store is registered for `{}`",
                self.store.as_str()
            ))
            .with_hint("locations are paths, file:// or hdfs:// URIs, hbase:TABLE or mongodb:DB.COLLECTION")
        })
    }
}

impl fmt::Display for Location {
    /// The URI, which [`Location::parse`] reads.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.store.as_str(), escaped(self.path.as_ref()))
    }
}

/// The path of `relative`, whose names have `/` between them, in the folder `base`.
///
/// # Errors
/// When `relative` has a name that no store can have.
pub fn within(base: &Path, relative: &str) -> Result<Path, object_store::path::Error> {
    Path::parse(format!("{base}/{relative}"))
}

/// The store of a recipe.
///
/// # Errors
/// Where it is not the root of a store: a scheme, two slashes, and a server or none.
pub(crate) fn store_of(root: &str) -> datafusion::common::Result<ObjectStoreUrl> {
    let store = ObjectStoreUrl::parse(root)?;
    match store.as_str().contains("://") {
        true => Ok(store),
        false => plan_err!("`{root}` is not the root of a store"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_text() {
        for name in [
            "shop #1", "is it?", "50%20off", "10% off", "Größe", "[a]{b}*", "a\\b",
        ] {
            let location = Location::parse(&format!("/{name}/x")).unwrap();
            assert_eq!(location.path.as_ref(), format!("{name}/x"));
            assert_eq!(location.store.as_str(), "file:///");
            assert_eq!(Location::parse(&location.to_string()).unwrap(), location);
            let hdfs = format!("hdfs://nn:8020/{}/x", escaped(name));
            let hdfs = Location::parse(&hdfs).unwrap();
            assert_eq!(hdfs.path, location.path);
            assert_eq!(hdfs.store.as_str(), "hdfs://nn:8020/");
            assert_eq!(Location::parse(&hdfs.to_string()).unwrap(), hdfs);
            let inside = within(&location.path, &format!("{name}/y")).unwrap();
            assert_eq!(inside.as_ref(), format!("{name}/x/{name}/y"));
        }
        assert_eq!(within(&Path::ROOT, "a/b").unwrap().as_ref(), "a/b");
        within(&Path::ROOT, "a//b").unwrap_err();
    }

    /// The local store takes `C|` for the drive `C:`, at the top only.
    #[test]
    fn a_name_that_would_lead_elsewhere_is_refused() {
        let error = Location::parse("/C|/x").unwrap_err();
        assert!(error.to_string().contains("means another place"), "{error}");
        Location::parse("/x/C|").unwrap();
        Location::parse("hdfs://nn/C|").unwrap();
    }

    #[test]
    fn the_root_is_a_location() {
        for text in ["/", "file:///"] {
            let root = Location::parse(text).unwrap();
            assert!(root.path.is_root());
            assert_eq!(root.to_string(), "file:///");
        }
        let root = Location::parse("hdfs://nn").unwrap();
        assert_eq!(root.to_string(), "hdfs://nn/");
    }

    /// The reason why [`Path::parse`] alone makes paths here.
    #[test]
    fn object_store_still_encodes_names() {
        assert_eq!(Path::from("Größe").as_ref(), "Gr%C3%B6%C3%9Fe");
        assert_eq!(Path::ROOT.join("#").as_ref(), "%23");
    }

    /// `docs/data.md` says so.
    #[test]
    fn the_local_store_still_hides_some_names() {
        let store = LocalFileSystem::new();
        for (name, is_hidden) in [("x#1", true), ("x#1.csv", false), ("x #", false)] {
            let found = store.path_to_filesystem(&Path::parse(name).unwrap());
            assert_eq!(found.is_err(), is_hidden, "{name}");
        }
    }
}
