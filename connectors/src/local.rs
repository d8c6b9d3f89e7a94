//! The files of this machine, as far as tables may be in them.
//!
//! Every process opens local files through one store, [`LocalStore`]. Users of a cluster are not the user of its
//! processes: what they may read and write there is below `stores.local_roots`. Paths are compared as they are
//! on disk, after symbolic links.

use std::fmt;
use std::ops::Range;
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use emporia_core::config::StoreSettings;
use emporia_core::error::{Error, ErrorKind};
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, Result,
};

/// What the system and its services keep for themselves: allowed only where a root is or lies in one of them.
const OF_SYSTEM: [&str; 5] = ["/dev", "/etc", "/proc", "/run", "/sys"];

/// Which of the local files may be used.
#[derive(Debug)]
struct Bounds {
    roots: Vec<PathBuf>,
    /// Files with credentials.
    secrets: Vec<PathBuf>,
}

impl Bounds {
    /// `None` where all may be used that the user of the process may use.
    fn of(settings: &StoreSettings) -> Option<Self> {
        Some(Self {
            roots: settings.local_roots.as_ref()?.0.clone(),
            secrets: settings.secret_files().cloned().collect(),
        })
    }

    /// Checks a path; nothing has to be there.
    fn check(&self, path: &FilePath) -> std::result::Result<(), Error> {
        let place = on_disk(path);
        let roots = self.roots.iter().map(|root| on_disk(root));
        // The innermost root counts: it may lie within a folder of the system.
        let root = roots
            .filter(|root| place.starts_with(root))
            .max_by_key(|root| root.components().count());
        let is_allowed = root.is_some_and(|root| {
            let mut of_system = OF_SYSTEM
                .iter()
                .map(|folder| on_disk(FilePath::new(folder)));
            !of_system.any(|folder| place.starts_with(&folder) && !root.starts_with(&folder))
        });
        let is_secret = self.secrets.iter().any(|secret| place == on_disk(secret));
        if is_allowed && !is_secret {
            return Ok(());
        }
        let roots: Vec<_> = self
            .roots
            .iter()
            .map(|root| root.display().to_string())
            .collect();
        let text = format!(
            "`{}` is outside the folders that the cluster may use ({})",
            path.display(),
            roots.join(", ")
        );
        Err(Error::new(ErrorKind::PermissionDenied, text).with_hint(
            "keep tables there, or add the folder to stores.local_roots of the scheduler and the executors",
        ))
    }

    fn check_location(&self, location: &Path) -> Result<()> {
        // The file system of the library has no path for its root.
        let path = match location.as_ref() {
            "" => PathBuf::from("/"),
            _ => LocalFileSystem::new().path_to_filesystem(location)?,
        };
        self.check(&path)
            .map_err(|error| object_store::Error::PermissionDenied {
                path: location.to_string(),
                source: Box::new(error),
            })
    }
}

/// Where a path leads, after symbolic links; what is not there yet is taken as it is written.
fn on_disk(path: &FilePath) -> PathBuf {
    let mut missing = Vec::new();
    for folder in path.ancestors() {
        if let Ok(mut found) = folder.canonicalize() {
            found.extend(missing.into_iter().rev());
            return found;
        }
        // A link that leads nowhere would be followed by a write.
        if let Ok(target) = folder.read_link() {
            let mut found = match folder.parent() {
                Some(parent) => on_disk(parent).join(target),
                None => target,
            };
            found.extend(missing.into_iter().rev());
            return found;
        }
        missing.extend(folder.file_name());
    }
    path.to_owned()
}

/// The local file system of a process.
#[derive(Debug)]
pub struct LocalStore {
    files: LocalFileSystem,
    bounds: Option<Arc<Bounds>>,
}

impl LocalStore {
    /// The store of a process with these settings. Folders that become empty are removed with their last file.
    pub fn new(settings: &StoreSettings) -> Self {
        Self {
            files: LocalFileSystem::new().with_automatic_cleanup(true),
            bounds: Bounds::of(settings).map(Arc::new),
        }
    }

    fn check(&self, location: &Path) -> Result<()> {
        match &self.bounds {
            Some(bounds) => bounds.check_location(location),
            None => Ok(()),
        }
    }

    fn check_folder(&self, prefix: Option<&Path>) -> Result<()> {
        self.check(prefix.unwrap_or(&Path::ROOT))
    }
}

impl fmt::Display for LocalStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.files.fmt(f)
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl ObjectStore for LocalStore {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        self.check(location)?;
        self.files.put_opts(location, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.check(location)?;
        self.files.put_multipart_opts(location, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.check(location)?;
        self.files.get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.check(location)?;
        self.files.get_ranges(location, ranges).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        let Some(bounds) = self.bounds.clone() else {
            return self.files.delete_stream(locations);
        };
        let checked = locations.and_then(move |location| {
            let result = bounds.check_location(&location);
            std::future::ready(result.map(|()| location))
        });
        self.files.delete_stream(checked.boxed())
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        match self.check_folder(prefix) {
            Ok(()) => self.files.list(prefix),
            Err(error) => stream::once(std::future::ready(Err(error))).boxed(),
        }
    }

    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        match self.check_folder(prefix) {
            Ok(()) => self.files.list_with_offset(prefix, offset),
            Err(error) => stream::once(std::future::ready(Err(error))).boxed(),
        }
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.check_folder(prefix)?;
        self.files.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.check(from)?;
        self.check(to)?;
        self.files.copy_opts(from, to, options).await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        self.check(from)?;
        self.check(to)?;
        self.files.rename_opts(from, to, options).await
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use emporia_core::config::Folders;
    use object_store::ObjectStoreExt;

    use super::*;

    fn bounds(roots: &[&FilePath], secrets: &[&FilePath]) -> Bounds {
        let owned = |paths: &[&FilePath]| paths.iter().map(|path| path.to_path_buf()).collect();
        Bounds {
            roots: owned(roots),
            secrets: owned(secrets),
        }
    }

    #[test]
    fn what_lies_outside_is_refused() {
        let top = tempfile::tempdir().unwrap();
        let (data, other) = (top.path().join("data"), top.path().join("other"));
        fs::create_dir_all(data.join("shop")).unwrap();
        fs::create_dir(&other).unwrap();
        let password = data.join("password");
        fs::write(&password, "x").unwrap();
        symlink(&other, data.join("link")).unwrap();
        symlink("/etc/passwd", data.join("users.csv")).unwrap();
        symlink(other.join("new"), data.join("dangling")).unwrap();
        symlink("shop", data.join("inside")).unwrap();
        let bounds = bounds(&[&data], &[&password]);
        for allowed in ["shop/1.csv", "inside/1.csv", "new/deep/1.csv", ""] {
            assert!(bounds.check(&data.join(allowed)).is_ok(), "{allowed}");
        }
        for refused in [
            data.join("link/1.csv"),
            data.join("link"),
            data.join("users.csv"),
            data.join("dangling"),
            data.join("../other/1.csv"),
            data.join("shop/../../other"),
            top.path().join("database"),
            top.path().to_owned(),
            other,
            password,
            "/etc/passwd".into(),
            "/".into(),
        ] {
            let error = bounds.check(&refused).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{refused:?}");
        }
    }

    #[test]
    fn folders_of_the_system_have_to_be_named() {
        let all = bounds(&["/".as_ref()], &[]);
        assert!(all.check("/srv/shop/1.csv".as_ref()).is_ok());
        for refused in [
            "/etc/passwd",
            "/proc/self/environ",
            "/var/run/x",
            "/run/secrets/x",
        ] {
            assert!(all.check(refused.as_ref()).is_err(), "{refused}");
        }
        let named = bounds(&["/".as_ref(), "/run/media".as_ref()], &[]);
        assert!(named.check("/run/media/stick/1.csv".as_ref()).is_ok());
        assert!(named.check("/run/other".as_ref()).is_err());
    }

    #[tokio::test]
    async fn every_way_to_a_file_is_checked() {
        let top = tempfile::tempdir().unwrap();
        let (data, other) = (top.path().join("data"), top.path().join("other"));
        for folder in [&data, &other] {
            fs::create_dir(folder).unwrap();
            fs::write(folder.join("1.csv"), "a").unwrap();
        }
        let settings = StoreSettings {
            local_roots: Some(Folders(vec![data.clone()])),
            ..StoreSettings::default()
        };
        let store = LocalStore::new(&settings);
        let path = |folder: &FilePath| Path::from_absolute_path(folder.join("1.csv")).unwrap();
        let (good, bad) = (path(&data), path(&other));
        let folder = Path::from_absolute_path(&other).unwrap();
        assert!(store.get(&good).await.is_ok());
        let failures = [
            store.get(&bad).await.err(),
            store.head(&bad).await.err(),
            store.get_ranges(&bad, &[0..1, 0..1]).await.err(),
            store.put(&bad, "b".into()).await.err(),
            store.put_multipart(&bad).await.err(),
            store.copy(&good, &bad).await.err(),
            store.copy(&bad, &good).await.err(),
            store.rename(&good, &bad).await.err(),
            store.rename(&bad, &good).await.err(),
            store.delete(&bad).await.err(),
            store.list(Some(&folder)).try_next().await.err(),
            store
                .list_with_offset(Some(&folder), &bad)
                .try_next()
                .await
                .err(),
            store.list(None).try_next().await.err(),
            store.list_with_delimiter(Some(&folder)).await.err(),
        ];
        for (n, error) in failures.into_iter().enumerate() {
            let is_refused = matches!(error, Some(object_store::Error::PermissionDenied { .. }));
            assert!(is_refused, "{n}: {error:?}");
        }
        assert_eq!(fs::read_to_string(other.join("1.csv")).unwrap(), "a");
        assert_eq!(fs::read_to_string(data.join("1.csv")).unwrap(), "a");
    }
}
