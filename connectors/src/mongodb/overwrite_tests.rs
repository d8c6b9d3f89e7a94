//! Overwrites against a server that fails as it is told.

use std::sync::Arc;
use std::time::Duration;

use datafusion::arrow::array::{ArrayRef, Int32Array, RecordBatch, StringArray};
use emporia_core::catalog::TableDef;
use emporia_core::config::{Secret, StoreSettings};
use emporia_core::error::{ErrorKind, Result};
use mongodb::bson::doc;

use super::fake::{Fake, Fault};
use super::marker::{MARKERS, Marker};
use super::{
    CollectionTarget, CollectionWriter, Staging, begin_overwrite, discard, publish_overwrite,
};
use crate::stores::Stores;

/// Longer than any run may be silent.
const LONG: i64 = 1_000_000;

fn run(n: usize) -> String {
    format!("{n:032x}")
}

fn stores(fake: &Fake) -> Arc<Stores> {
    Stores::new(StoreSettings {
        mongodb_uri: Some(Secret::new(&*fake.uri)),
        patience: Duration::from_secs(20),
        ..StoreSettings::default()
    })
}

fn target() -> CollectionTarget {
    let mut table = TableDef::new("mongodb", "mongodb:shop.things");
    table.options.insert("key".to_owned(), "id".to_owned());
    CollectionTarget::of(&table).unwrap()
}

fn rows(n: i32) -> RecordBatch {
    let ids = (0..n).map(|i| format!("k{i}")).collect::<Vec<_>>();
    let columns: [(_, ArrayRef); 2] = [
        ("id", Arc::new(StringArray::from(ids))),
        ("n", Arc::new(Int32Array::from_iter_values(0..n))),
    ];
    RecordBatch::try_from_iter(columns).unwrap()
}

async fn write(fake: &Fake, staging: &Staging, n: i32) {
    let rows = rows(n);
    let writer =
        CollectionWriter::open(&stores(fake), staging.place_of_rows(), &rows.schema()).await;
    let mut writer = writer.unwrap();
    writer.write(&rows).await.unwrap();
    writer.finish().await.unwrap();
}

/// Begins run `n` and writes `n` rows.
async fn written(fake: &Fake, n: usize) -> Staging {
    let staging = begin_overwrite(&stores(fake), &target(), &run(n))
        .await
        .unwrap();
    write(fake, &staging, i32::try_from(n).unwrap()).await;
    staging
}

async fn publish(fake: &Fake, staging: &Staging, n: u64) -> Result<()> {
    publish_overwrite(&stores(fake), staging, n).await
}

fn marker(fake: &Fake) -> Marker {
    let found = fake.in_collection(MARKERS).unwrap().remove(0);
    Marker::read("things", found).unwrap()
}

#[track_caller]
fn holds(fake: &Fake, n: usize) {
    assert_eq!(fake.documents().len(), n);
    assert_eq!(marker(fake).published_run(), Some(&*run(n)));
    assert!(marker(fake).switching.is_none());
}

#[tokio::test]
async fn lost_answers_change_nothing() {
    let commands = [
        "find",
        "insert",
        "update",
        "create",
        "renameCollection",
        "aggregate",
        "listCollections",
    ];
    let check = |command: &'static str, fault: Fault| async move {
        let fake = Fake::start(vec![doc! { "_id": "old" }], &[]).await;
        fake.script(command, &[fault, fault]);
        let staging = written(&fake, 3).await;
        fake.script(command, &[fault, fault]);
        publish(&fake, &staging, 3).await.unwrap();
        holds(&fake, 3);
        assert_eq!(fake.names(), [MARKERS, "things"], "{command} {fault:?}");
    };
    let faults = [Fault::BreakBefore, Fault::BreakAfter, Fault::Code(11600)];
    let cases = commands
        .iter()
        .flat_map(|c| faults.iter().map(|f| check(c, *f)));
    futures::future::join_all(cases).await;
}

#[tokio::test]
async fn of_two_jobs_at_once_one_wins() {
    let fake = Fake::start(Vec::new(), &[]).await;
    let (first, second) = (written(&fake, 2).await, written(&fake, 3).await);
    publish(&fake, &second, 3).await.unwrap();
    // The one that is alive keeps what it wrote, although it began before.
    assert_eq!(
        fake.in_collection(first.place_of_rows().collection())
            .unwrap()
            .len(),
        2
    );
    let error = publish(&fake, &first, 2).await.unwrap_err();
    assert!(error.to_string().contains("another job did"), "{error}");
    holds(&fake, 3);
    assert_eq!(fake.names(), [MARKERS, "things"]);
    let third = written(&fake, 4).await;
    publish(&fake, &third, 4).await.unwrap();
    holds(&fake, 4);
}

#[tokio::test]
async fn a_run_that_died_is_finished_or_removed_by_the_next() {
    for drops in [true, false] {
        let fake = Fake::start(Vec::new(), &[]).await;
        if !drops {
            fake.without_drop_target();
        }
        // It died before its rows were complete.
        let dead = written(&fake, 2).await;
        let name = dead.place_of_rows().collection().to_owned();
        drop(dead);
        let second = written(&fake, 3).await;
        publish(&fake, &second, 3).await.unwrap();
        assert!(fake.in_collection(&name).is_some(), "it may be alive");
        fake.wait(LONG);
        let third = written(&fake, 4).await;
        publish(&fake, &third, 4).await.unwrap();
        holds(&fake, 4);
        assert_eq!(fake.names(), [MARKERS, "things"]);

        // It dies when it is the next one, and before it is renamed. One that began before it comes too late.
        let (late, dead) = (written(&fake, 6).await, written(&fake, 5).await);
        fake.script("renameCollection", &[Fault::None, Fault::Code(13)]);
        let error = publish(&fake, &dead, 5).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::PermissionDenied);
        assert!(
            error.hint().unwrap().contains("the next job that writes"),
            "{error:?}"
        );
        discard(&dead).await.unwrap();
        drop(dead);
        assert_eq!(fake.documents().len(), 4);
        fake.wait(LONG);
        let error = publish(&fake, &late, 6).await.unwrap_err();
        assert!(error.to_string().contains("another job did"), "{error}");
        holds(&fake, 5);
        assert_eq!(fake.names(), [MARKERS, "things"]);
    }
}

/// The server may go on with a request of a task that is over.
#[tokio::test]
async fn tasks_that_go_on_writing_change_nothing() {
    let fake = Fake::start(Vec::new(), &[]).await;
    let staging = written(&fake, 3).await;
    // The answer of the last renaming is lost, and the task writes before the next try.
    let late = staging.place_of_rows().collection().to_owned();
    fake.script("renameCollection", &[Fault::None, Fault::BreakAfter]);
    fake.set("unrelated__run_1", Vec::new());
    publish(&fake, &staging, 3).await.unwrap();
    fake.set(&late, vec![doc! { "_id": "late" }]);
    holds(&fake, 3);
    let next = written(&fake, 4).await;
    publish(&fake, &next, 4).await.unwrap();
    holds(&fake, 4);
    assert_eq!(fake.names(), [MARKERS, "things", "unrelated__run_1"]);
}

#[tokio::test]
async fn a_run_that_was_taken_for_dead_fails() {
    let fake = Fake::start(Vec::new(), &[]).await;
    let slept = written(&fake, 2).await;
    fake.wait(LONG);
    let other = written(&fake, 3).await;
    publish(&fake, &other, 3).await.unwrap();
    assert_eq!(fake.in_collection(slept.place_of_rows().collection()), None);
    let error = publish(&fake, &slept, 2).await.unwrap_err();
    assert!(error.to_string().contains("took it for dead"), "{error}");
    holds(&fake, 3);
}

#[tokio::test]
async fn rows_that_share_a_key_are_not_published() {
    let fake = Fake::start(vec![doc! { "_id": "old" }], &[]).await;
    let staging = written(&fake, 2).await;
    let error = publish(&fake, &staging, 3).await.unwrap_err();
    assert!(
        error.to_string().contains("3 rows became 2 documents"),
        "{error}"
    );
    assert_eq!(fake.documents().len(), 1);
    assert_eq!(fake.names(), [MARKERS, "things"]);
}

#[tokio::test]
async fn markers_of_newer_versions_are_refused() {
    let fake = Fake::start(Vec::new(), &[]).await;
    fake.set(
        MARKERS,
        vec![doc! { "_id": "things", "version": 7, "revision": 1 }],
    );
    let begun = begin_overwrite(&stores(&fake), &target(), &run(1)).await;
    let error = begun.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.message().contains("version 7"), "{error}");
    assert!(!fake.log().contains(&"create".to_owned()));
}
