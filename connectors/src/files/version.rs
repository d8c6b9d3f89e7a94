//! Which version of a file was listed, and how it is told from a later one.
//!
//! A version is known by its size, its time and its tag. A file system sets times by a clock that ticks
//! every few milliseconds, so what is written over within a tick keeps its time. A file that is so young
//! is looked at again when its tick is over ([`settled`]): whatever changes it from then on has another
//! time. On the machine that listed a local file, its number and the time of its last change of any kind
//! count as well; other machines may see the same file under other numbers.

use std::fmt;
use std::fs::Metadata;
use std::io;
use std::str::FromStr;
use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use emporia_core::error::{Error, ErrorKind, Result};
use object_store::ObjectMeta;
use object_store::local::LocalFileSystem;
use serde::{Deserialize, Serialize};
use tokio::task::spawn_blocking;

use crate::published::storage_error;

/// Longer than the ticks of the clocks by which file systems set times.
const TICK: Duration = Duration::from_millis(20);
/// The same for file systems that keep no fractions of seconds.
const LONG_TICK: Duration = Duration::from_secs(2);
/// How often a file is looked at that never stays as it is.
const MOST_LOOKS: usize = 100;

/// A version of a file.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct FileVersion {
    /// Bytes, as stored.
    pub size: u64,
    /// When it was last written: seconds since 1970, and nanoseconds.
    modified: (i64, u32),
    /// What its store calls this version, or a [`LocalTag`].
    tag: Option<String>,
}

impl FileVersion {
    /// The version that a store or [`settled`] describes.
    pub fn of(meta: &ObjectMeta) -> Self {
        Self {
            size: meta.size,
            modified: (
                meta.last_modified.timestamp(),
                meta.last_modified.timestamp_subsec_nanos(),
            ),
            tag: meta.e_tag.clone(),
        }
    }

    /// The version of a local file that is open.
    pub(super) fn of_local(metadata: &Metadata) -> io::Result<Self> {
        let modified = chrono::DateTime::<chrono::Utc>::from(metadata.modified()?);
        Ok(Self {
            size: metadata.len(),
            modified: (modified.timestamp(), modified.timestamp_subsec_nanos()),
            tag: LocalTag::of(metadata).map(|tag| tag.to_string()),
        })
    }

    /// Whether `found` is this version, as far as can be told from here.
    pub(super) fn is(&self, found: &Self) -> bool {
        self.size == found.size && self.modified == found.modified && !self.has_other_tag(found)
    }

    fn has_other_tag(&self, found: &Self) -> bool {
        let (Some(tag), Some(found)) = (&self.tag, &found.tag) else {
            return false;
        };
        match (tag.parse::<LocalTag>(), found.parse::<LocalTag>()) {
            (Ok(tag), Ok(found)) => tag.is_comparable(&found) && tag != found,
            // One of them was given by a store, the other by the file system below it.
            (Ok(_), Err(_)) | (Err(_), Ok(_)) => false,
            (Err(_), Err(_)) => tag != found,
        }
    }
}

/// What tells a version of a local file from others besides size and time of writing.
#[derive(Debug, Clone, PartialEq, Eq)]
struct LocalTag {
    /// The run of the kernel that gave the numbers.
    boot: String,
    device: u64,
    inode: u64,
    /// When anything of it was last changed, in nanoseconds since 1970.
    changed: i128,
}

/// How the text of a tag begins.
const LOCAL: &str = "local";

impl LocalTag {
    #[cfg(unix)]
    fn of(metadata: &Metadata) -> Option<Self> {
        use std::os::unix::fs::MetadataExt;
        Some(Self {
            boot: boot().to_owned(),
            device: metadata.dev(),
            inode: metadata.ino(),
            changed: i128::from(metadata.ctime()) * 1_000_000_000
                + i128::from(metadata.ctime_nsec()),
        })
    }

    #[cfg(not(unix))]
    fn of(_: &Metadata) -> Option<Self> {
        None
    }

    /// Whether both name files of one file system.
    fn is_comparable(&self, other: &Self) -> bool {
        self.boot == other.boot && self.device == other.device
    }
}

impl fmt::Display for LocalTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            boot,
            device,
            inode,
            changed,
        } = self;
        write!(f, "{LOCAL}:{boot}:{device}:{inode}:{changed}")
    }
}

impl FromStr for LocalTag {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let parts: Vec<_> = text.split(':').collect();
        let [LOCAL, boot, device, inode, changed] = parts[..] else {
            return Err(());
        };
        Ok(Self {
            boot: boot.to_owned(),
            device: device.parse().map_err(|_| ())?,
            inode: inode.parse().map_err(|_| ())?,
            changed: changed.parse().map_err(|_| ())?,
        })
    }
}

/// The run of the kernel; where it has no name, one of this process.
fn boot() -> &'static str {
    static BOOT: OnceLock<String> = OnceLock::new();
    BOOT.get_or_init(|| {
        let name = std::fs::read_to_string("/proc/sys/kernel/random/boot_id");
        let name = name.map(|name| name.trim().to_owned()).unwrap_or_default();
        match name.is_empty() || name.contains(':') {
            true => uuid::Uuid::now_v7().to_string(),
            false => name,
        }
    })
}

/// The local files, each in a version that any later change differs from.
///
/// # Errors
/// Those of looking at a file; `Failed` where one is written to all the time.
pub(super) async fn settled(files: Vec<ObjectMeta>) -> Result<Vec<ObjectMeta>> {
    let mut found: Vec<_> = files.into_iter().map(Look::first).collect();
    for _ in 0..MOST_LOOKS {
        found = spawn_blocking(move || found.into_iter().map(Look::again).collect::<Result<_>>())
            .await
            .map_err(|e| Error::internal("looking at files was cut off").with_source(e))??;
        let Some(rest) = found.iter().filter_map(|look| look.rest).max() else {
            return Ok(found.into_iter().map(|look| look.meta).collect());
        };
        tokio::time::sleep(rest).await;
    }
    let young = found.iter().find(|look| look.rest.is_some());
    let path = young.map(|look| look.meta.location.to_string());
    let text = format!("`/{}` is written to all the time", path.unwrap_or_default());
    Err(Error::new(ErrorKind::Failed, text)
        .with_hint("run the query when the file is complete, or on a copy of it"))
}

/// A file as it was last looked at.
struct Look {
    meta: ObjectMeta,
    /// How long it may still change without a trace; zero before the first look.
    rest: Option<Duration>,
}

impl Look {
    fn first(meta: ObjectMeta) -> Self {
        Self {
            meta,
            rest: Some(Duration::ZERO),
        }
    }

    /// Looks again at a file that may have changed.
    fn again(self) -> Result<Self> {
        if self.rest.is_none() {
            return Ok(self);
        }
        let location = self.meta.location;
        let failed = |e: object_store::Error| storage_error("read", &location, e);
        let path = LocalFileSystem::new().path_to_filesystem(&location);
        let path = path.map_err(failed)?;
        // Before the look, because a change that comes right behind it must be later than this.
        let now = SystemTime::now();
        let look = || -> io::Result<_> {
            let metadata = std::fs::metadata(&path)?;
            Ok((
                FileVersion::of_local(&metadata)?,
                metadata.modified()?,
                metadata,
            ))
        };
        let (version, modified, metadata) = look().map_err(|e| {
            failed(match e.kind() {
                io::ErrorKind::NotFound => object_store::Error::NotFound {
                    path: location.to_string(),
                    source: Box::new(e),
                },
                _ => object_store::Error::Generic {
                    store: "LocalFileSystem",
                    source: Box::new(e),
                },
            })
        })?;
        let rest = rest(now, modified).max(changed(&metadata).and_then(|time| rest(now, time)));
        Ok(Self {
            meta: ObjectMeta {
                last_modified: modified.into(),
                size: version.size,
                e_tag: version.tag,
                version: None,
                location,
            },
            rest,
        })
    }
}

#[cfg(unix)]
fn changed(metadata: &Metadata) -> Option<SystemTime> {
    use std::os::unix::fs::MetadataExt;
    let seconds = u64::try_from(metadata.ctime()).ok()?;
    let nanos = u32::try_from(metadata.ctime_nsec()).ok()?;
    SystemTime::UNIX_EPOCH.checked_add(Duration::new(seconds, nanos))
}

#[cfg(not(unix))]
fn changed(_: &Metadata) -> Option<SystemTime> {
    None
}

/// How long from `now` on a file may change and keep its `time`; `None` where it cannot. A time that
/// lies far ahead was set by hand.
fn rest(now: SystemTime, time: SystemTime) -> Option<Duration> {
    let since_epoch = time.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    let tick = match since_epoch.subsec_nanos() {
        0 => LONG_TICK,
        _ => TICK,
    };
    let end = time.checked_add(tick)?;
    let rest = end.duration_since(now).ok()?;
    (rest > Duration::ZERO && rest <= 2 * tick).then_some(rest)
}

#[cfg(test)]
mod tests {
    use object_store::ObjectStoreExt;
    use object_store::path::Path;

    use super::*;

    #[test]
    fn a_file_is_young_for_a_tick_of_its_clock() {
        let second = |n: u64| SystemTime::UNIX_EPOCH + Duration::from_secs(n);
        let millis = Duration::from_millis;
        let time = second(1_000) + millis(500);
        assert_eq!(rest(time, time), Some(millis(20)));
        assert_eq!(rest(time + millis(15), time), Some(millis(5)));
        assert_eq!(rest(time + millis(20), time), None);
        assert_eq!(rest(second(2_000), time), None);
        // A coarse clock is behind.
        assert_eq!(rest(time - millis(3), time), Some(millis(23)));
        assert_eq!(rest(second(900), time), None);
        // Without fractions, a tick may be a second or two.
        let whole = second(1_000);
        assert_eq!(rest(whole + millis(700), whole), Some(millis(1_300)));
        assert_eq!(rest(second(1_002), whole), None);
    }

    #[test]
    fn numbers_count_on_the_machine_that_gave_them() {
        let version = |boot: &str, device, inode, changed| {
            let tag = LocalTag {
                boot: boot.to_owned(),
                device,
                inode,
                changed,
            };
            assert_eq!(tag.to_string().parse(), Ok(tag.clone()));
            FileVersion {
                size: 1,
                modified: (7, 5),
                tag: Some(tag.to_string()),
            }
        };
        let listed = version("a", 1, 2, -3);
        assert!(listed.is(&listed));
        assert!(!listed.is(&version("a", 1, 4, -3)));
        assert!(!listed.is(&version("a", 1, 2, 4)));
        assert!(listed.is(&version("b", 1, 4, 4)));
        assert!(listed.is(&version("a", 5, 4, 4)));
        let of_store = |tag: &str| FileVersion {
            tag: Some(tag.to_owned()),
            ..listed.clone()
        };
        assert!(listed.is(&of_store("2-7-1")));
        assert!(of_store("x").is(&of_store("x")));
        assert!(!of_store("x").is(&of_store("y")));
        let untagged = FileVersion {
            tag: None,
            ..listed.clone()
        };
        assert!(untagged.is(&listed) && listed.is(&untagged));
        for other in [
            FileVersion {
                size: 2,
                ..listed.clone()
            },
            FileVersion {
                modified: (7, 6),
                ..listed.clone()
            },
        ] {
            assert!(!listed.is(&other));
        }
    }

    /// Whatever replaces a file right after it was listed, in the same number of bytes, is another
    /// version: also within a tick, in the same place, and with the same time.
    #[tokio::test]
    async fn a_change_right_behind_the_look_is_seen() {
        let folder = std::env::temp_dir().join(format!("settled-{}", uuid::Uuid::now_v7()));
        std::fs::create_dir(&folder).unwrap();
        let file = folder.join("f");
        let path = Path::from_absolute_path(&folder).unwrap().join("f");
        let store = LocalFileSystem::new();
        let now = || FileVersion::of_local(&std::fs::metadata(&file).unwrap()).unwrap();
        for n in 0..20 {
            std::fs::write(&file, format!("{n:02}")).unwrap();
            let listed = store.head(&path).await.unwrap();
            let listed = settled(vec![listed]).await.unwrap();
            let listed = FileVersion::of(&listed[0]);
            assert!(listed.is(&now()));
            std::fs::write(&file, "xx").unwrap();
            assert!(!listed.is(&now()), "written over at {:?}", listed.modified);
        }
        let listed = settled(vec![store.head(&path).await.unwrap()]).await;
        let listed = FileVersion::of(&listed.unwrap()[0]);
        let time = std::fs::metadata(&file).unwrap().modified().unwrap();
        let other = folder.join("g");
        std::fs::write(&other, "yy").unwrap();
        let opened = std::fs::File::options().write(true).open(&other).unwrap();
        opened.set_modified(time).unwrap();
        std::fs::rename(&other, &file).unwrap();
        assert_eq!(listed.modified, now().modified);
        assert!(!listed.is(&now()));
        std::fs::remove_file(&file).unwrap();
        let gone = store.head(&path).await.is_err();
        assert!(gone);
        std::fs::remove_dir_all(folder).unwrap();
    }
}
