//! The store on a cluster in memory: what it gives, and what it makes of each fault.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{GetOptions, ObjectStore, ObjectStoreExt, PutMode};

use super::cluster::Cluster;
use super::fault::{Fault, FaultKind};
use super::memory::{Memory, Outcome, fault};
use super::store::HdfsStore;

/// Enough for all that a test does after a fault, on a busy machine too.
const PATIENCE: Duration = Duration::from_secs(10);

fn store(memory: &Memory) -> HdfsStore {
    impatient(memory, PATIENCE)
}

fn impatient(memory: &Memory, patience: Duration) -> HdfsStore {
    let files = Arc::new(memory.clone());
    HdfsStore::new(Cluster::new(files, "nn:8020", patience, None))
}

/// A cluster with a file of 100 different bytes at `/a/f`.
fn with_file() -> (Memory, HdfsStore, Path, Vec<u8>) {
    let memory = Memory::default();
    let content: Vec<u8> = (0..100).collect();
    memory.set("/a/f", &content);
    let store = store(&memory);
    (memory, store, Path::from("a/f"), content)
}

fn kind(error: &object_store::Error) -> FaultKind {
    Fault::of(error).expect("a fault of HDFS").kind()
}

#[tokio::test]
async fn a_broken_read_goes_on_at_the_byte_that_it_reached() {
    let (memory, store, path, content) = with_file();
    memory.break_reads_at(&[0, 25, 25, 99]);
    let bytes = store.get(&path).await.unwrap().bytes().await.unwrap();
    assert_eq!(bytes, content);
    assert_eq!(
        memory.log("read"),
        [
            "read 0..100",
            "read 0..100",
            "read 25..100",
            "read 25..100",
            "read 99..100"
        ]
    );
}

#[tokio::test]
async fn broken_ranges_are_read_to_their_ends() {
    let (memory, store, path, content) = with_file();
    memory.break_reads_at(&[30]);
    let ranges = store.get_ranges(&path, &[5..40, 60..61, 90..100]);
    let ranges = ranges.await.unwrap();
    assert_eq!(ranges[0], content[5..40]);
    assert_eq!(ranges[1], content[60..61]);
    assert_eq!(ranges[2], content[90..]);
    assert_eq!(
        memory.log("status").len(),
        2,
        "one, and one after the break"
    );
}

#[tokio::test]
async fn ranges_of_one_file_share_its_blocks() {
    let (memory, store, path, _) = with_file();
    for _ in 0..3 {
        store.get_ranges(&path, &vec![0..10; 1]).await.unwrap();
    }
    assert_eq!(memory.log("open").len(), 1);
    memory.set("/a/f", &[7; 100]);
    let ranges = store.get_ranges(&path, &vec![0..10; 1]).await.unwrap();
    assert_eq!(ranges[0], [7; 10][..], "the new file under the path");
}

#[tokio::test]
async fn a_read_without_progress_ends_with_the_patience() {
    let (memory, _, path, _) = with_file();
    let patience = Duration::from_millis(300);
    memory.break_reads_at(&[20; 200]);
    let start = Instant::now();
    let found = impatient(&memory, patience).get(&path).await.unwrap();
    let error = found.bytes().await.unwrap_err();
    assert_eq!(kind(&error), FaultKind::DataNodes);
    assert!(error.to_string().contains("(tried for "), "{error}");
    assert!(start.elapsed() >= patience);
}

#[tokio::test]
async fn a_file_that_is_replaced_during_a_read_is_an_error() {
    let (memory, store, path, _) = with_file();
    memory.break_reads_at(&[20]);
    let found = store.get(&path).await.unwrap();
    memory.set("/a/f", &[7; 100]);
    // The reader may have the old blocks until they break, but never both.
    match found.bytes().await {
        Ok(bytes) => assert_eq!(bytes, vec![7; 100]),
        Err(error) => assert_eq!(kind(&error), FaultKind::Replaced),
    }
}

#[tokio::test]
async fn a_file_shorter_than_its_listing_is_an_error() {
    let (_, store, path, _) = with_file();
    let error = store
        .get_ranges(&path, &vec![90..120; 1])
        .await
        .unwrap_err();
    assert_eq!(kind(&error), FaultKind::Truncated);
    let text = error.to_string();
    assert!(
        text.contains("`/a/f` has 100 bytes, but byte 120"),
        "{text}"
    );
}

#[tokio::test]
async fn permanent_faults_are_told_at_once() {
    let (memory, store, path, _) = with_file();
    let start = Instant::now();
    memory.script("status", vec![fault(FaultKind::Denied)]);
    let error = store.get(&path).await.unwrap_err();
    assert!(
        matches!(error, object_store::Error::PermissionDenied { .. }),
        "{error}"
    );
    let missing = store.head(&Path::from("a/none")).await.unwrap_err();
    assert!(
        matches!(missing, object_store::Error::NotFound { .. }),
        "{missing}"
    );
    let folder = store.head(&Path::from("a")).await.unwrap_err();
    assert!(
        matches!(folder, object_store::Error::NotFound { .. }),
        "{folder}"
    );
    assert!(start.elapsed() < PATIENCE / 2);
}

#[tokio::test]
async fn a_call_that_hangs_is_made_again_on_a_new_connection() {
    let (memory, _, path, _) = with_file();
    let store = impatient(&memory, Duration::from_secs(2));
    memory.script("status", vec![Outcome::Hangs]);
    store.head(&path).await.unwrap();
    assert_eq!(memory.reconnects(), 1);
}

#[tokio::test]
async fn safe_mode_is_waited_out() {
    let (memory, store, path, _) = with_file();
    memory.script("create", vec![fault(FaultKind::SafeMode); 5]);
    store.put(&path, "new".into()).await.unwrap();
    assert_eq!(memory.content("/a/f").unwrap(), b"new");
}

#[tokio::test]
async fn a_failed_put_leaves_the_old_file_and_no_other() {
    let (memory, store, path, content) = with_file();
    memory.script("close", vec![fault(FaultKind::Quota)]);
    let error = store.put(&path, "new".into()).await.unwrap_err();
    assert_eq!(kind(&error), FaultKind::Quota);
    assert_eq!(memory.content("/a/f").unwrap(), content);
    assert_eq!(memory.paths(), ["/a/f"]);
}

#[tokio::test]
async fn a_put_starts_again_with_another_file() {
    let (memory, store, path, _) = with_file();
    memory.script("write", vec![fault(FaultKind::DataNodes)]);
    memory.script("close", vec![fault(FaultKind::DataNodes)]);
    store.put(&path, "new".into()).await.unwrap();
    assert_eq!(memory.content("/a/f").unwrap(), b"new");
    assert_eq!(memory.paths(), ["/a/f"]);
    let mut drafts = memory.log("create");
    drafts.sort();
    drafts.dedup();
    assert_eq!(drafts.len(), 3);
}

#[tokio::test]
async fn a_lost_answer_does_not_undo_a_put() {
    for mode in [PutMode::Overwrite, PutMode::Create] {
        let memory = Memory::default();
        memory.script("rename", vec![Outcome::AnswerLost]);
        let path = Path::from("a/f");
        let store = store(&memory);
        let put = store.put_opts(&path, "new".into(), mode.into());
        put.await.unwrap();
        assert_eq!(memory.content("/a/f").unwrap(), b"new");
        assert_eq!(memory.paths(), ["/a/f"]);
    }
}

#[tokio::test]
async fn a_put_that_may_not_overwrite_does_not() {
    let (memory, store, path, content) = with_file();
    let put = store.put_opts(&path, "new".into(), PutMode::Create.into());
    let error = put.await.unwrap_err();
    assert!(
        matches!(error, object_store::Error::AlreadyExists { .. }),
        "{error}"
    );
    assert_eq!(memory.content("/a/f").unwrap(), content);
}

#[tokio::test]
async fn copies_that_cannot_be_placed_are_made_later() {
    let memory = Memory::default();
    let store = store(&memory);
    store.put(&Path::from("first"), "1".into()).await.unwrap();
    memory.script("write", vec![fault(FaultKind::DataNodes)]);
    store.put(&Path::from("second"), "2".into()).await.unwrap();
    store.put(&Path::from("third"), "3".into()).await.unwrap();
    let copies = |line: &String| line.rsplit_once(' ').unwrap().1.to_owned();
    let created: Vec<_> = memory.log("create").iter().map(copies).collect();
    assert_eq!(created, ["None", "None", "Some(1)", "None"]);
    assert_eq!(memory.log("set_replication"), ["set_replication /second 3"]);
}

#[tokio::test]
async fn parts_are_written_in_order_and_shown_when_complete() {
    let memory = Memory::default();
    let store = store(&memory);
    let path = Path::from("a/f");
    memory.script("write", vec![fault(FaultKind::DataNodes)]);
    let mut upload = store.put_multipart(&path).await.unwrap();
    let parts = ["one ", "two ", "three"].map(|part| upload.put_part(part.into()));
    // Whoever sends parts may wait for them in any order.
    let parts = futures::future::try_join_all(parts.into_iter().rev());
    parts.await.unwrap();
    assert_eq!(memory.content("/a/f"), None);
    upload.complete().await.unwrap();
    assert_eq!(memory.content("/a/f").unwrap(), b"one two three");
    assert_eq!(memory.paths(), ["/a/f"]);
}

#[tokio::test]
async fn a_later_part_that_breaks_ends_the_upload_and_may_be_tried_again() {
    let memory = Memory::default();
    let store = store(&memory);
    let mut upload = store.put_multipart(&Path::from("a/f")).await.unwrap();
    upload.put_part("one".into()).await.unwrap();
    memory.script("write", vec![fault(FaultKind::DataNodes)]);
    let error = upload.put_part("two".into()).await.unwrap_err();
    assert!(Fault::of(&error).unwrap().is_transient());
    upload.put_part("three".into()).await.unwrap_err();
    upload.complete().await.unwrap_err();
    upload.abort().await.unwrap();
    assert_eq!(memory.paths(), [""; 0]);
}

#[tokio::test]
async fn an_upload_that_is_dropped_leaves_nothing() {
    let memory = Memory::default();
    let store = store(&memory);
    let mut upload = store.put_multipart(&Path::from("a/f")).await.unwrap();
    upload.put_part("one".into()).await.unwrap();
    assert_eq!(memory.paths().len(), 1);
    drop(upload);
    tokio::time::timeout(PATIENCE, async {
        while !memory.paths().is_empty() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn listings_go_into_folders_and_pass_over_missing_ones() {
    let (memory, store, path, _) = with_file();
    memory.set("/a/b/g", b"");
    memory.set("/a/b/c/h", b"h");
    let list = async |prefix: &str| {
        let found: Vec<_> = store
            .list(Some(&Path::from(prefix)))
            .try_collect()
            .await
            .unwrap();
        let mut paths: Vec<_> = found.into_iter().map(|o| o.location.to_string()).collect();
        paths.sort();
        paths
    };
    assert_eq!(list("a").await, ["a/b/c/h", "a/b/g", "a/f"]);
    assert_eq!(list("a/f").await, [""; 0], "a file is no folder");
    assert_eq!(list("none").await, [""; 0]);
    let top = store
        .list_with_delimiter(Some(&Path::from("a")))
        .await
        .unwrap();
    assert_eq!(top.common_prefixes, [Path::from("a/b")]);
    assert_eq!(top.objects.len(), 1);
    assert_eq!(top.objects[0].location, path);
}

#[tokio::test]
async fn deletes_renames_and_copies_can_be_repeated() {
    let (memory, store, path, content) = with_file();
    let to = Path::from("b/g");
    store.copy(&path, &to).await.unwrap();
    assert_eq!(memory.content("/b/g").unwrap(), content);
    let taken = store.copy_if_not_exists(&path, &to).await.unwrap_err();
    assert_eq!(kind(&taken), FaultKind::AlreadyExists);
    memory.script("rename", vec![Outcome::AnswerLost]);
    store.rename(&to, &Path::from("c")).await.unwrap();
    assert_eq!(memory.content("/c").unwrap(), content);
    let gone = store.rename(&to, &Path::from("c")).await.unwrap_err();
    assert_eq!(kind(&gone), FaultKind::NotFound);
    memory.script("delete", vec![Outcome::AnswerLost]);
    store.delete(&path).await.unwrap();
    store.delete(&path).await.unwrap();
    assert_eq!(memory.paths(), ["/c"]);
}

#[tokio::test]
async fn ranges_and_conditions_are_those_of_object_stores() {
    let (_, store, path, content) = with_file();
    let get = |options: GetOptions| store.get_opts(&path, options);
    let suffix = GetOptions::new().with_range(Some(object_store::GetRange::Suffix(3)));
    let found = get(suffix).await.unwrap();
    assert_eq!(found.range, 97..100);
    assert_eq!(found.bytes().await.unwrap(), content[97..]);
    let beyond = GetOptions::new().with_range(Some(object_store::GetRange::from(90..200_u64)));
    assert_eq!(get(beyond).await.unwrap().range, 90..100);
    let tag = store.head(&path).await.unwrap().e_tag;
    get(GetOptions::new().with_if_match(tag.clone()))
        .await
        .unwrap();
    let changed = get(GetOptions::new().with_if_none_match(tag)).await;
    assert!(changed.is_err());
}
