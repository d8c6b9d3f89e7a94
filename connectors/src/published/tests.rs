//! Results in stores that fail, lose answers and have older results in them.

use std::collections::VecDeque;
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use emporia_core::error::Result;
use futures::TryStreamExt;
use futures::stream::BoxStream;
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    ObjectStoreExt, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult,
};

use super::*;

/// What becomes of a write of a manifest or of `_current`.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Fault {
    /// Nothing is written.
    Before,
    /// It is written, but the answer is an error.
    After,
}

/// A store in memory whose writes of files with some name fail as told, from the next on.
#[derive(Debug, Default)]
struct Faulty {
    inner: InMemory,
    faults: Mutex<Vec<(&'static str, VecDeque<Fault>)>>,
}

impl Faulty {
    fn script(&self, name: &'static str, faults: &[Fault]) {
        let script = faults.iter().copied().collect();
        self.faults.lock().unwrap().push((name, script));
    }

    fn fault(&self, location: &Path) -> Option<Fault> {
        let mut faults = self.faults.lock().unwrap();
        let mut of_name = faults
            .iter_mut()
            .filter(|(name, _)| location.as_ref().contains(name));
        of_name.find_map(|(_, script)| script.pop_front())
    }
}

impl fmt::Display for Faulty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Faulty")
    }
}

fn broken() -> object_store::Error {
    object_store::Error::Generic {
        store: "Faulty",
        source: "the connection broke".into(),
    }
}

type StoreResult<T> = object_store::Result<T>;

#[async_trait]
impl ObjectStore for Faulty {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> StoreResult<PutResult> {
        match self.fault(location) {
            Some(Fault::Before) => return Err(broken()),
            Some(Fault::After) => {
                self.inner.put_opts(location, payload, options).await?;
                return Err(broken());
            }
            None => {}
        }
        self.inner.put_opts(location, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> StoreResult<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(location, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> StoreResult<GetResult> {
        self.inner.get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> StoreResult<Vec<Bytes>> {
        self.inner.get_ranges(location, ranges).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, StoreResult<Path>>,
    ) -> BoxStream<'static, StoreResult<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, StoreResult<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> StoreResult<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> StoreResult<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

fn base() -> Path {
    Path::from("result")
}

async fn load(store: &dyn ObjectStore) -> Head {
    Head::load(store, &base()).await.unwrap()
}

/// The run that readers see.
async fn current(store: &dyn ObjectStore) -> Option<String> {
    let head = load(store).await;
    head.result().map(|result| result.run_id.clone())
}

/// Puts a file there, whatever is scripted.
async fn set(store: &dyn ObjectStore, path: &str, text: &str) {
    let location = Path::from(format!("result/{path}"));
    store.put(&location, text.to_owned().into()).await.unwrap();
}

async fn text(store: &dyn ObjectStore, path: &str) -> Option<String> {
    let found = store
        .get(&Path::from(format!("result/{path}")))
        .await
        .ok()?;
    Some(String::from_utf8(found.bytes().await.unwrap().to_vec()).unwrap())
}

/// A run of one file.
async fn written(store: &dyn ObjectStore, run_id: &str) -> ResultSet {
    let path = format!("run-{run_id}/rows/part-0.parquet");
    set(store, &path, "rows").await;
    let file = DataFile {
        path,
        rows: 1,
        bytes: 4,
    };
    let output = PublishedOutput {
        files: vec![file],
        ..PublishedOutput::default()
    };
    ResultSet {
        run_id: run_id.to_owned(),
        previous: None,
        main: "rows".to_owned(),
        outputs: [("rows".to_owned(), output)].into(),
    }
}

/// Goes on from `head` with a run.
async fn publish_from(store: &dyn ObjectStore, head: &Head, run_id: &str) -> Result<()> {
    let result = written(store, run_id).await;
    head.publish(store, &base(), result).await
}

async fn publish(store: &dyn ObjectStore, run_id: &str) -> Result<()> {
    publish_from(store, &load(store).await, run_id).await
}

async fn names(store: &dyn ObjectStore, folder: &str) -> Vec<String> {
    let found = store
        .list(Some(&Path::from(folder)))
        .try_collect::<Vec<_>>()
        .await
        .unwrap();
    let mut names: Vec<_> = found.iter().map(|o| o.location.to_string()).collect();
    names.sort_unstable();
    names
}

async fn runs(store: &dyn ObjectStore) -> Vec<String> {
    let found = store.list_with_delimiter(Some(&base())).await.unwrap();
    let folders = found.common_prefixes.iter();
    let names = folders.map(|f| f.filename().unwrap().to_owned());
    names.filter(|name| name.starts_with(RUN)).collect()
}

fn both(folder: &tempfile::TempDir) -> [Arc<dyn ObjectStore>; 2] {
    let local = LocalFileSystem::new_with_prefix(folder.path()).unwrap();
    [
        Arc::new(InMemory::new()),
        Arc::new(local.with_automatic_cleanup(true)),
    ]
}

#[tokio::test]
async fn folders_that_are_named_like_runs_stay() {
    let store = InMemory::new();
    set(&store, "run-01/mine.csv", "a").await;
    set(&store, "run-/mine.csv", "a").await;
    for run in ["1", "2", "3"] {
        publish(&store, run).await.unwrap();
    }
    assert_eq!(runs(&store).await, ["run-", "run-01", "run-2", "run-3"]);
}

#[tokio::test]
async fn of_two_jobs_at_once_one_wins() {
    let folder = tempfile::tempdir().unwrap();
    for store in both(&folder) {
        let store = store.as_ref();
        let before = load(store).await;
        publish_from(store, &before, "3").await.unwrap();
        let error = publish_from(store, &before, "2").await.unwrap_err();
        assert!(error.to_string().contains("another job did"), "{error}");
        assert_eq!(current(store).await.as_deref(), Some("3"));
        assert_eq!(runs(store).await, ["run-3"]);
        assert_eq!(
            text(store, POINTER).await,
            text(store, "_commits/1.json").await
        );
    }
}

#[tokio::test]
async fn of_many_jobs_that_add_rows_at_once_none_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    for store in both(&folder) {
        let jobs = (0..8).map(|job| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                let mut n_published = 0;
                while n_published < 4 {
                    let head = load(store.as_ref()).await;
                    let run_id = format!("{}-{job}", head.new_run_id());
                    let mut result = written(store.as_ref(), &run_id).await;
                    let rows = result.outputs.get_mut("rows").unwrap();
                    if let Some(before) = head.result() {
                        rows.files.splice(..0, before.outputs["rows"].files.clone());
                    }
                    match head.publish(store.as_ref(), &base(), result).await {
                        Ok(()) => n_published += 1,
                        Err(error) => {
                            assert!(error.to_string().contains("another job did"), "{error}")
                        }
                    }
                }
            })
        });
        for job in jobs.collect::<Vec<_>>() {
            job.await.unwrap();
        }
        let head = load(store.as_ref()).await;
        let files = &head.result().unwrap().outputs["rows"].files;
        assert_eq!(files.len(), 32);
        for file in files {
            assert_eq!(
                text(store.as_ref(), &file.path).await.as_deref(),
                Some("rows")
            );
        }
        assert_eq!(
            names(store.as_ref(), "result/_commits").await,
            ["result/_commits/31.json", "result/_commits/32.json"]
        );
        let newest = text(store.as_ref(), "_commits/32.json").await;
        assert_eq!(text(store.as_ref(), POINTER).await, newest);
    }
}

#[tokio::test]
async fn files_of_older_runs_stay_as_long_as_they_are_listed() {
    let store = InMemory::new();
    publish(&store, "1").await.unwrap();
    for run in ["2", "3"] {
        let head = load(&store).await;
        let mut added = written(&store, run).await;
        let rows = added.outputs.get_mut("rows").unwrap();
        rows.files
            .splice(..0, head.result().unwrap().outputs["rows"].files.clone());
        head.publish(&store, &base(), added).await.unwrap();
    }
    let head = load(&store).await;
    assert_eq!(head.result().unwrap().outputs["rows"].files.len(), 3);
    assert_eq!(runs(&store).await, ["run-1", "run-2", "run-3"]);
    // Readers of the rows before go on reading.
    publish(&store, "4").await.unwrap();
    assert_eq!(runs(&store).await, ["run-1", "run-2", "run-3", "run-4"]);
    publish(&store, "5").await.unwrap();
    assert_eq!(runs(&store).await, ["run-4", "run-5"]);
    assert_eq!(
        names(&store, "result/_commits").await,
        ["result/_commits/4.json", "result/_commits/5.json"]
    );
}

#[tokio::test]
async fn runs_that_began_later_keep_their_files() {
    let store = InMemory::new();
    publish(&store, "1").await.unwrap();
    let before = load(&store).await;
    written(&store, "2").await;
    written(&store, "4").await;
    publish_from(&store, &before, "3").await.unwrap();
    assert_eq!(runs(&store).await, ["run-1", "run-3", "run-4"]);
    for run in ["2", "4"] {
        let error = publish_from(&store, &before, run).await.unwrap_err();
        assert!(error.to_string().contains("another job did"), "{error}");
    }
    assert_eq!(current(&store).await.as_deref(), Some("3"));
    assert_eq!(runs(&store).await, ["run-1", "run-3"]);
    before.check(&store, &base()).await.unwrap_err();
    load(&store).await.check(&store, &base()).await.unwrap();
}

/// A writer whose number was removed by then creates its manifest, and it counts for nobody.
#[tokio::test]
async fn a_writer_that_slept_does_not_win() {
    let store = InMemory::new();
    publish(&store, "1").await.unwrap();
    let slept = load(&store).await;
    for run in ["2", "3", "4"] {
        publish(&store, run).await.unwrap();
    }
    let error = publish_from(&store, &slept, "5").await.unwrap_err();
    assert!(error.to_string().contains("another job did"), "{error}");
    assert!(text(&store, "_commits/2.json").await.is_some());
    assert_eq!(current(&store).await.as_deref(), Some("4"));
    assert_eq!(
        text(&store, POINTER).await,
        text(&store, "_commits/4.json").await
    );
    publish(&store, "6").await.unwrap();
    assert_eq!(
        names(&store, "result/_commits").await,
        ["result/_commits/4.json", "result/_commits/5.json"]
    );
}

#[tokio::test]
async fn lost_answers_are_found_out() {
    for faults in [
        &[Fault::After][..],
        &[Fault::Before],
        &[Fault::Before, Fault::Before],
        &[Fault::Before, Fault::After],
    ] {
        let store = Faulty::default();
        store.script(COMMITS, faults);
        publish(&store, "1").await.unwrap();
        assert_eq!(current(&store).await.as_deref(), Some("1"), "{faults:?}");
        assert_eq!(
            text(&store, POINTER).await,
            text(&store, "_commits/1.json").await
        );
    }
    // The answer of the one that lost is lost as well.
    let store = Faulty::default();
    let before = load(&store).await;
    publish_from(&store, &before, "1").await.unwrap();
    store.script(COMMITS, &[Fault::Before]);
    let error = publish_from(&store, &before, "2").await.unwrap_err();
    assert!(error.to_string().contains("another job did"), "{error}");
}

#[tokio::test]
async fn a_commit_that_cannot_be_written_changes_nothing() {
    let store = Faulty::default();
    publish(&store, "1").await.unwrap();
    store.script(COMMITS, &[Fault::Before; 3]);
    let error = publish(&store, "2").await.unwrap_err();
    assert!(
        error
            .message()
            .contains("cannot write `/result/_commits/2.json`"),
        "{error}"
    );
    assert_eq!(current(&store).await.as_deref(), Some("1"));
    publish(&store, "3").await.unwrap();
    assert_eq!(runs(&store).await, ["run-1", "run-3"]);
}

#[tokio::test]
async fn the_pointer_is_a_hint() {
    let store = Faulty::default();
    publish(&store, "1").await.unwrap();
    let first = text(&store, POINTER).await.unwrap();
    // A writer that dies after its commit.
    store.script(POINTER, &[Fault::Before]);
    publish(&store, "2").await.unwrap();
    assert_eq!(text(&store, POINTER).await.as_deref(), Some(&*first));
    assert_eq!(current(&store).await.as_deref(), Some("2"));
    // Another one is not held up, and corrects it.
    publish(&store, "3").await.unwrap();
    let third = text(&store, "_commits/3.json").await;
    assert_eq!(text(&store, POINTER).await, third);
    for broken in [&*first, "no manifest"] {
        set(&store, POINTER, broken).await;
        assert_eq!(current(&store).await.as_deref(), Some("3"));
    }
    let pointer = Path::from("result/_current");
    store.delete(&pointer).await.unwrap();
    assert_eq!(current(&store).await.as_deref(), Some("3"));
    publish(&store, "4").await.unwrap();
    assert_eq!(
        text(&store, POINTER).await,
        text(&store, "_commits/4.json").await
    );

    // A copy of the folder without the manifests is a result; one without the newest is none.
    let third = Path::from("result/_commits/3.json");
    store
        .delete(&Path::from("result/_commits/4.json"))
        .await
        .unwrap();
    let error = Head::load(&store, &base()).await.unwrap_err();
    assert!(
        error
            .message()
            .contains("`/result/_commits/4.json`, which is not there"),
        "{error}"
    );
    store.delete(&third).await.unwrap();
    assert_eq!(current(&store).await.as_deref(), Some("4"));
    publish(&store, "5").await.unwrap();
    assert_eq!(
        names(&store, "result/_commits").await,
        ["result/_commits/5.json"]
    );
}

/// As earlier versions write it.
async fn publish_without_manifest(store: &dyn ObjectStore, run: &str, previous: Option<&str>) {
    let result = ResultSet {
        previous: previous.map(str::to_owned),
        ..written(store, run).await
    };
    set(
        store,
        POINTER,
        &serde_json::to_string_pretty(&result).unwrap(),
    )
    .await;
}

#[tokio::test]
async fn results_of_earlier_versions_go_on() {
    let store = InMemory::new();
    publish_without_manifest(&store, "1", None).await;
    let before = load(&store).await;
    assert_eq!(current(&store).await.as_deref(), Some("1"));
    publish(&store, "2").await.unwrap();
    assert_eq!(runs(&store).await, ["run-1", "run-2"]);
    assert_eq!(
        names(&store, "result/_commits").await,
        ["result/_commits/1.json"]
    );
    let error = publish_from(&store, &before, "2a").await.unwrap_err();
    assert!(error.to_string().contains("another job did"), "{error}");
    // It died before it replaced `_current`.
    publish_without_manifest(&store, "1", None).await;
    assert_eq!(current(&store).await.as_deref(), Some("2"));

    // An earlier version replaces the result, and this one goes on from that.
    let before = load(&store).await;
    publish_without_manifest(&store, "3", Some("2")).await;
    assert_eq!(current(&store).await.as_deref(), Some("3"));
    before.check(&store, &base()).await.unwrap_err();
    publish(&store, "4").await.unwrap();
    let head = load(&store).await;
    let result = head.result().unwrap();
    assert_eq!(
        (&*result.run_id, result.previous.as_deref()),
        ("4", Some("3"))
    );
    assert_eq!(runs(&store).await, ["run-3", "run-4"]);
}

#[tokio::test]
async fn a_dropped_result_stays_dropped() {
    let folder = tempfile::tempdir().unwrap();
    for store in both(&folder) {
        let store = store.as_ref();
        publish(store, &new_run_id(None)).await.unwrap();
        let before = load(store).await;
        let others = [
            "result/notes.txt",
            "result2/run-1/rows/part.parquet",
            "run-1/x",
        ];
        for other in others {
            store.put(&Path::from(other), "other".into()).await.unwrap();
        }
        remove_result(store, &base()).await.unwrap();
        assert_eq!(current(store).await, None);
        let expected = [&["result/_commits/2.json"][..], &others].concat();
        let mut left = Vec::new();
        for folder in ["result", "result2", "run-1"] {
            left.extend(names(store, folder).await);
        }
        assert_eq!(left, expected);
        remove_result(store, &base()).await.unwrap();

        // Who began before comes too late, also where a new result is there by then.
        let error = publish_from(store, &before, "2").await.unwrap_err();
        assert!(error.to_string().contains("another job did"), "{error}");
        assert_eq!(current(store).await, None);
        let run = load(store).await.new_run_id();
        publish(store, &run).await.unwrap();
        assert_eq!(current(store).await, Some(run.clone()));
        publish_from(store, &before, "2").await.unwrap_err();
        assert_eq!(current(store).await, Some(run));
    }
    let store = InMemory::new();
    publish_without_manifest(&store, &new_run_id(None), None).await;
    remove_result(&store, &base()).await.unwrap();
    assert_eq!(names(&store, "result").await, ["result/_commits/1.json"]);
    assert_eq!(current(&store).await, None);
}

#[tokio::test]
async fn what_an_unfinished_commit_leaves_is_in_nobodys_way() {
    // On a local disk a manifest is linked to its name when it is whole; on HDFS it is moved there.
    let folder = tempfile::tempdir().unwrap();
    let store = LocalFileSystem::new_with_prefix(folder.path()).unwrap();
    let commits = folder.path().join("result/_commits");
    std::fs::create_dir_all(&commits).unwrap();
    std::fs::write(commits.join("1.json#1"), "{ cut").unwrap();
    std::fs::write(commits.join(".1.json.0195d9a2"), "{ cut").unwrap();
    assert_eq!(current(&store).await, None);
    publish(&store, "1").await.unwrap();
    publish(&store, "2").await.unwrap();
    publish(&store, "3").await.unwrap();
    assert_eq!(current(&store).await.as_deref(), Some("3"));
    assert!(!commits.join(".1.json.0195d9a2").exists());
}

/// What `Head` takes for granted.
#[tokio::test]
async fn the_local_store_creates_a_file_once_and_whole() {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(LocalFileSystem::new_with_prefix(folder.path()).unwrap());
    for round in 0..20 {
        let path = Path::from(format!("{round}.json"));
        let reader = tokio::spawn({
            let (store, path) = (Arc::clone(&store), path.clone());
            async move {
                loop {
                    if let Ok(found) = store.get(&path).await {
                        return found.bytes().await.unwrap().len();
                    }
                    tokio::task::yield_now().await;
                }
            }
        });
        let writers = (0..4).map(|_| {
            let (store, path) = (Arc::clone(&store), path.clone());
            tokio::spawn(async move {
                let text = vec![b'x'; 1 << 20];
                let put = store
                    .put_opts(&path, text.into(), PutMode::Create.into())
                    .await;
                put.is_ok()
            })
        });
        let mut n_won = 0;
        for writer in writers.collect::<Vec<_>>() {
            n_won += usize::from(writer.await.unwrap());
        }
        assert_eq!(n_won, 1);
        assert_eq!(reader.await.unwrap(), 1 << 20);
    }
}

#[test]
fn runs_have_ids_in_their_order() {
    let first = new_run_id(None);
    let second = new_run_id(Some(&first));
    assert!(first < second && is_run_folder(&format!("run-{second}")));
    // The clock of the machine that made it is ahead.
    let ahead = "ffff0000000070008000000000000000";
    let next = new_run_id(Some(ahead));
    assert_eq!(&next[..12], "ffff00000001");
    assert!(is_run_folder(&format!("run-{next}")));
    assert!(new_run_id(Some(&next)) > next);
}
