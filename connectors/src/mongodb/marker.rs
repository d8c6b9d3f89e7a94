//! What is known about the overwrites of a collection: a document of the collection [`MARKERS`] of its database.
//!
//! It says which run was published last, which is being switched to, and which are written at the moment. It
//! is replaced whole, where it still has the revision that was read; so what follows from a marker is decided
//! here, without a server, and the model in `overwrite_model` searches the same decisions.

use std::collections::BTreeMap;

use emporia_core::error::{Error, ErrorKind, Result};
use mongodb::bson::{Document, deserialize_from_document, serialize_to_document};
use serde::{Deserialize, Serialize};

use crate::format::MONGODB_MARKER;

/// The collection with the markers of a database.
pub(super) const MARKERS: &str = "emporia_markers";
/// Published runs that a marker remembers.
const REMEMBERED: usize = 100;

/// The marker of a collection. Times are in milliseconds since 1970, by the clock of the server.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct Marker {
    /// The collection.
    #[serde(rename = "_id")]
    pub(super) collection: String,
    /// Version of the format.
    version: u32,
    /// Counts the changes of the marker.
    pub(super) revision: i64,
    /// What the collection holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) published: Option<Published>,
    /// What the collection is about to hold: whoever finds this may do the renaming.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) switching: Option<Switching>,
    /// The runs that were published last, to `published`.
    #[serde(default)]
    recent: Vec<String>,
    /// The runs that are written, by their ids.
    #[serde(default)]
    runs: BTreeMap<String, Lease>,
}

/// A published run.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct Published {
    pub(super) run_id: String,
    pub(super) rows: i64,
    /// When it was switched to.
    pub(super) at: i64,
}

/// A run whose rows are complete.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct Switching {
    pub(super) run_id: String,
    /// The collection that holds its rows until it is renamed.
    pub(super) staged: String,
    pub(super) rows: i64,
}

/// A run that is written.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct Lease {
    /// It counts as dead afterwards, unless it says that it is not.
    until: i64,
}

/// What a run that is complete has to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Next {
    /// To write this marker: with it the run is the next one.
    Claim(Marker),
    /// To rename its collection.
    Rename(Switching),
    /// Nothing: it is, or was, published.
    Done,
    /// To finish another run first.
    Finish(Switching),
    /// Another run was published.
    Superseded,
    /// It was taken for dead, and what it wrote may be gone.
    Forgotten,
}

impl Marker {
    /// The marker of a collection that has none.
    pub(super) fn new(collection: &str) -> Self {
        Self {
            collection: collection.to_owned(),
            version: MONGODB_MARKER.newest,
            revision: 0,
            published: None,
            switching: None,
            recent: Vec::new(),
            runs: BTreeMap::new(),
        }
    }

    /// Reads a document.
    ///
    /// # Errors
    /// `Unsupported` where it is of another version, `Corrupt` where it is no marker.
    pub(super) fn read(place: &str, document: Document) -> Result<Self> {
        let version = document.get("version");
        let version = version.and_then(|v| v.as_i64().or_else(|| v.as_i32().map(i64::from)));
        let place = format!("the document of `{place}` in `{MARKERS}`");
        if let Some(version) = version.and_then(|version| u32::try_from(version).ok()) {
            MONGODB_MARKER.check(&place, version)?;
        }
        deserialize_from_document(document).map_err(|e| {
            Error::new(ErrorKind::Corrupt, format!("{place} is not readable"))
                .with_hint("remove the document while no job writes the collection")
                .with_source(e)
        })
    }

    /// Its document.
    ///
    /// # Errors
    /// `Internal`.
    pub(super) fn write(&self) -> Result<Document> {
        serialize_to_document(self)
            .map_err(|e| Error::internal("cannot write the marker of a collection").with_source(e))
    }

    fn changed(&self) -> Self {
        Self {
            revision: self.revision + 1,
            version: MONGODB_MARKER.newest,
            ..self.clone()
        }
    }

    /// The run that the collection holds.
    pub(super) fn published_run(&self) -> Option<&str> {
        self.published
            .as_ref()
            .map(|published| published.run_id.as_str())
    }

    /// With a run that is written, and lives until a time at least.
    pub(super) fn with_run(&self, run_id: &str, until: i64) -> Self {
        let mut changed = self.changed();
        changed.runs.insert(run_id.to_owned(), Lease { until });
        changed
    }

    /// With more time for a run; `None` where it was taken for dead, or is over.
    pub(super) fn renewed(&self, run_id: &str, until: i64) -> Option<Self> {
        self.is_written(run_id)
            .then(|| self.with_run(run_id, until))
    }

    /// Whether the run is written, as far as is known.
    pub(super) fn is_written(&self, run_id: &str) -> bool {
        self.runs.contains_key(run_id)
    }

    /// Without a run; `None` where it is not there. What it wrote may be dropped after that.
    pub(super) fn without_run(&self, run_id: &str) -> Option<Self> {
        let mut changed = self.changed();
        changed.runs.remove(run_id).map(|_| changed)
    }

    /// Whether the run is the one that is being switched to.
    pub(super) fn is_switching(&self, run_id: &str) -> bool {
        self.switching.as_ref().is_some_and(|s| s.run_id == run_id)
    }

    /// A run that gave no sign in time, and is not about to be published.
    pub(super) fn dead_run(&self, now: i64) -> Option<&str> {
        let mut runs = self.runs.iter();
        let dead = runs.find(|(run, lease)| lease.until < now && !self.is_switching(run));
        dead.map(|(run, _)| run.as_str())
    }

    /// Whether the run that is being switched to gave no sign in time.
    pub(super) fn is_switch_abandoned(&self, now: i64) -> bool {
        let run = self
            .switching
            .as_ref()
            .and_then(|s| self.runs.get(&s.run_id));
        run.is_none_or(|lease| lease.until < now)
    }

    /// What a run does whose rows are complete in the collection `staged`, and that began when `base` was
    /// published.
    pub(super) fn next(&self, own: &Switching, base: Option<&str>) -> Next {
        match &self.switching {
            Some(switching) if switching.run_id == own.run_id => {
                return Next::Rename(switching.clone());
            }
            _ if self.recent.contains(&own.run_id) => return Next::Done,
            Some(other) => return Next::Finish(other.clone()),
            None => {}
        }
        if self.published_run() != base {
            return Next::Superseded;
        }
        if !self.is_written(&own.run_id) {
            return Next::Forgotten;
        }
        let mut changed = self.changed();
        changed.switching = Some(own.clone());
        Next::Claim(changed)
    }

    /// After the collection of the run that is being switched to was renamed; `None` where somebody else said so.
    pub(super) fn finished(&self, run_id: &str, now: i64) -> Option<Self> {
        let mut changed = self.changed();
        let switching = changed.switching.take().filter(|s| s.run_id == run_id)?;
        let first = (changed.recent.len() + 1).saturating_sub(REMEMBERED);
        changed.recent.drain(..first.min(changed.recent.len()));
        changed.recent.push(switching.run_id.clone());
        changed.runs.remove(&switching.run_id);
        changed.published = Some(Published {
            run_id: switching.run_id,
            rows: switching.rows,
            at: now,
        });
        Some(changed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn switching(run_id: &str) -> Switching {
        Switching {
            run_id: run_id.to_owned(),
            staged: format!("users__new_{run_id}"),
            rows: 3,
        }
    }

    fn stored() -> Marker {
        let marker = Marker::new("users").with_run("a", 1000);
        let Next::Claim(claimed) = marker.next(&switching("a"), None) else {
            panic!("not claimed");
        };
        let finished = claimed.finished("a", 500).unwrap().with_run("b", 2000);
        let Next::Claim(claimed) = finished
            .with_run("c", 3000)
            .next(&switching("b"), Some("a"))
        else {
            panic!("not claimed");
        };
        claimed
    }

    #[test]
    fn markers_of_all_versions_are_read() {
        let text = include_str!("testdata/marker-1.json");
        let read = |text: &str| {
            let document = serde_json::from_str::<Document>(text).unwrap();
            Marker::read("users", document)
        };
        assert_eq!(read(text).unwrap(), stored());
        assert_eq!(
            Marker::read("users", stored().write().unwrap()).unwrap(),
            stored()
        );
        let written = serde_json::to_value(stored()).unwrap();
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(text).unwrap(),
            written
        );
        let newer = read(&text.replace("\"version\": 1", "\"version\": 2")).unwrap_err();
        assert_eq!(newer.kind(), ErrorKind::Unsupported);
        assert_eq!(
            newer.message(),
            "the document of `users` in `emporia_markers` is a marker of a result of version 2, and this Emporia reads version 1"
        );
        assert_eq!(
            read("{\"version\": 1}").unwrap_err().kind(),
            ErrorKind::Corrupt
        );
    }

    #[test]
    fn a_run_knows_what_became_of_it() {
        let marker = stored();
        assert_eq!(
            marker.next(&switching("b"), Some("a")),
            Next::Rename(switching("b"))
        );
        assert_eq!(
            marker.next(&switching("c"), Some("a")),
            Next::Finish(switching("b"))
        );
        assert_eq!(marker.next(&switching("a"), None), Next::Done);
        let marker = marker.finished("b", 600).unwrap();
        assert_eq!(marker.finished("b", 600), None);
        assert_eq!(marker.next(&switching("c"), Some("a")), Next::Superseded);
        assert_eq!(marker.next(&switching("d"), Some("b")), Next::Forgotten);
        assert_eq!(marker.next(&switching("b"), Some("a")), Next::Done);
        assert_eq!(marker.published_run(), Some("b"));
    }

    #[test]
    fn only_what_gave_no_sign_is_dead() {
        let marker = stored();
        assert_eq!(marker.dead_run(3000), None, "b is switched to, c lives");
        assert_eq!(marker.dead_run(3001), Some("c"));
        assert!(!marker.is_switch_abandoned(2000) && marker.is_switch_abandoned(2001));
        let renewed = marker.renewed("c", 5000).unwrap();
        assert_eq!(renewed.dead_run(3001), None);
        assert_eq!(marker.renewed("x", 5000), None);
        let without = marker.without_run("c").unwrap();
        assert!(!without.is_written("c") && without.revision == marker.revision + 1);
        assert_eq!(without.without_run("c"), None);
    }
}
