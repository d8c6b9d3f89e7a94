//! Results in folders of any name, on this machine and on HDFS: they are found again, in the folder of
//! that name and in no other, and old runs go.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use emporia_core::location::escaped;
use object_store::local::LocalFileSystem;
use object_store::{ObjectStore, ObjectStoreExt};
use proptest::prelude::*;
use proptest::sample::select;

use super::cluster::Cluster;
use super::memory::Memory;
use super::store::HdfsStore;
use crate::location::{Location, within};
use crate::published::{DataFile, Head, PublishedOutput, ResultSet, discard_run, output_folder};

/// What paths, URLs, globs and shells give a meaning to, and letters in both normal forms.
const PIECES: [&str; 40] = [
    "a",
    "B",
    "7",
    " ",
    "#",
    "?",
    "%",
    "%20",
    "%2F",
    "%25",
    "&",
    "+",
    "=",
    ":",
    ";",
    ",",
    "@",
    "!",
    "$",
    "[",
    "]",
    "{",
    "}",
    "(",
    ")",
    "*",
    "'",
    "\"",
    "`",
    "<",
    ">",
    "|",
    "^",
    "~",
    "\\",
    ".",
    "ö",
    "o\u{308}",
    "日本",
    "\u{1f6d2}",
];

fn name() -> impl Strategy<Value = String> {
    let pieces = proptest::collection::vec(select(&PIECES[..]), 1..12).prop_map(|p| p.concat());
    prop_oneof![
        8 => pieces,
        1 => "[a-z#?% ]{200}",
    ]
    .prop_filter("is no name", |name| ![".", ".."].contains(&name.as_str()))
}

/// A store with a folder for each of the names.
struct Place {
    store: Arc<dyn ObjectStore>,
    /// What the names stand behind.
    top: String,
    /// All names in the folder `top`.
    names: Box<dyn Fn() -> BTreeSet<String>>,
}

fn local(folder: &tempfile::TempDir) -> Place {
    let top = folder.path().to_owned();
    let store = LocalFileSystem::new().with_automatic_cleanup(true);
    Place {
        store: Arc::new(store),
        top: format!("{}/", top.display()),
        names: Box::new(move || {
            let entries = std::fs::read_dir(&top).unwrap();
            let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
            names.collect()
        }),
    }
}

fn hdfs() -> Place {
    let memory = Memory::default();
    let cluster = Cluster::new(
        Arc::new(memory.clone()),
        "nn:8020",
        Duration::from_secs(10),
        None,
    );
    Place {
        store: Arc::new(HdfsStore::new(cluster)),
        top: "hdfs://nn:8020/top/".to_owned(),
        names: Box::new(move || {
            let paths = memory.paths().into_iter();
            let names = paths.map(|path| path.split('/').nth(2).unwrap().to_owned());
            names.collect()
        }),
    }
}

impl Place {
    fn at(&self, name: &str) -> Location {
        let text = match self.top.contains("://") {
            true => format!("{}{}", self.top, escaped(name)),
            false => format!("{}{name}", self.top),
        };
        let location = Location::parse(&text).unwrap();
        assert_eq!(Location::parse(&location.to_string()).unwrap(), location);
        location
    }

    /// Publishes a run whose only file holds `rows`.
    async fn publish(&self, name: &str, run: &str, rows: &str) {
        let base = self.at(name).path;
        let path = format!("{}/part-0.parquet", output_folder(run, name));
        let file = within(&base, &path).unwrap();
        let payload = rows.to_owned().into();
        self.store.put(&file, payload).await.unwrap();
        let file = DataFile {
            path,
            rows: 1,
            bytes: rows.len() as u64,
        };
        let output = PublishedOutput {
            files: vec![file],
            ..PublishedOutput::default()
        };
        let result = ResultSet {
            run_id: run.to_owned(),
            previous: None,
            main: name.to_owned(),
            outputs: [(name.to_owned(), output)].into(),
        };
        let before = Head::load(self.store.as_ref(), &base).await.unwrap();
        before
            .publish(self.store.as_ref(), &base, result)
            .await
            .unwrap();
    }

    async fn read(&self, name: &str) -> String {
        let base = self.at(name).path;
        let head = Head::load(self.store.as_ref(), &base).await.unwrap();
        let file = &head.result().unwrap().outputs[name].files[0];
        let found = self.store.get(&within(&base, &file.path).unwrap()).await;
        String::from_utf8(found.unwrap().bytes().await.unwrap().to_vec()).unwrap()
    }

    async fn runs(&self, name: &str) -> Vec<String> {
        let base = self.at(name).path;
        let found = self.store.list_with_delimiter(Some(&base)).await.unwrap();
        let folders = found.common_prefixes.iter();
        let names = folders.map(|folder| folder.filename().unwrap().to_owned());
        names.filter(|name| name.starts_with("run-")).collect()
    }

    async fn check(&self, one: &str, other: &str) {
        self.publish(one, "1", "first").await;
        assert_eq!((self.names)(), [one.to_owned()].into());
        self.publish(other, "1", "neighbour").await;
        for run in ["2", "3"] {
            self.publish(one, run, run).await;
            assert_eq!(self.read(one).await, run);
        }
        assert_eq!(self.runs(one).await, ["run-2", "run-3"]);
        let base = self.at(one).path;
        discard_run(self.store.as_ref(), &base, "2").await.unwrap();
        assert_eq!(self.runs(one).await, ["run-3"]);
        assert_eq!(self.read(other).await, "neighbour");
        let expected = [one.to_owned(), other.to_owned()];
        assert_eq!((self.names)(), expected.into());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn a_result_is_in_the_folder_of_its_name((one, other) in (name(), name())) {
        prop_assume!(one != other);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let folder = tempfile::tempdir().unwrap();
            local(&folder).check(&one, &other).await;
            let (one, other) = (one.replace(':', "_"), other.replace(':', "-"));
            if one != other {
                hdfs().check(&one, &other).await;
            }
        });
    }
}
