//! Files that come, go and change under sessions and a cluster that stay.

use std::fs::File;
use std::time::{Duration, SystemTime};

use super::shelf::{Shelf, has_words, ints, parquet, rows_of};

const SUM: &str = "SELECT count(*), sum(id) FROM t";

#[tokio::test(flavor = "multi_thread")]
async fn each_query_sees_the_files_as_they_are() {
    let shelf = Shelf::new().await;
    let sessions = shelf.sessions();
    shelf.put("a.parquet", &parquet(vec![("id", ints([1, 2]))]));
    assert_eq!(rows_of(&sessions, SUM).await, ["2,3"]);
    shelf.put("b.parquet", &parquet(vec![("id", ints([10]))]));
    assert_eq!(rows_of(&sessions, SUM).await, ["3,13"]);
    shelf.put("a.parquet", &parquet(vec![("id", ints([100, 200, 300]))]));
    assert_eq!(rows_of(&sessions, SUM).await, ["4,610"]);
    shelf.remove("b.parquet");
    assert_eq!(rows_of(&sessions, SUM).await, ["3,600"]);
    shelf.remove("a.parquet");
    for session in &sessions {
        has_words(
            session.sql(SUM).await.map(drop),
            &["`t`", "no parquet files"],
        );
    }
    // Another column under the same name.
    let names = arrow::array::StringArray::from(vec!["x"]);
    shelf.put(
        "a.parquet",
        &parquet(vec![("id", std::sync::Arc::new(names))]),
    );
    assert_eq!(rows_of(&sessions, "SELECT id FROM t").await, ["x"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_the_same_size_and_time_is_another_one() {
    let shelf = Shelf::new().await;
    let sessions = shelf.sessions();
    let path = shelf.path("a.parquet");
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    let mut sizes = Vec::new();
    for id in [3, 8] {
        let bytes = parquet(vec![("id", ints([id]))]);
        sizes.push(bytes.len());
        // The old file keeps its place on disk, and so its number.
        let old = File::open(&path);
        shelf.put("a.parquet", &bytes);
        File::options()
            .write(true)
            .open(&path)
            .unwrap()
            .set_modified(time)
            .unwrap();
        drop(old);
        let found = format!("SELECT count(*) FROM t WHERE id = {id}");
        assert_eq!(rows_of(&sessions, &found).await, ["1"]);
    }
    assert_eq!(sizes[0], sizes[1], "the files differ in size");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_does_not_mix_versions_of_a_file() {
    let shelf = Shelf::new().await;
    let old = parquet(vec![("id", ints(0..1000))]);
    let new = parquet(vec![("id", ints(5000..6000))]);
    for session in shelf.sessions() {
        shelf.put("a.parquet", &old);
        let planned = session.sql("SELECT sum(id) FROM t").await.unwrap();
        shelf.put("a.parquet", &new);
        let words = [
            "/t/a.parquet",
            "not the one that was listed",
            "submit again",
        ];
        has_words(session.collect(planned).await, &words);
        let planned = session.sql("SELECT sum(id) FROM t").await.unwrap();
        shelf.remove("a.parquet");
        let words = ["/t/a.parquet", "does not find it"];
        has_words(session.collect(planned).await, &words);
        // What came later is not read.
        shelf.put("a.parquet", &old);
        let planned = session.sql("SELECT count(id) FROM t").await.unwrap();
        shelf.put("b.parquet", &new);
        let rows = session.collect(planned).await.unwrap();
        let rows = emporia_e2e::sandbox::cells(&rows).unwrap();
        assert_eq!(rows, [["1000"]]);
        shelf.remove("b.parquet");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_does_not_take_text_of_another_version() {
    for (connector, old, new) in [
        ("csv", "id\n1\n", "id\n7\n"),
        ("json", "{\"id\": 1}\n", "{\"id\": 7}\n"),
    ] {
        let mut shelf = Shelf::new().await;
        shelf.connector(connector);
        shelf.columns(&["id int64"]);
        for session in shelf.sessions() {
            shelf.put("a", old.as_bytes());
            let planned = session.sql("SELECT sum(id) FROM t").await.unwrap();
            // As long, with the same time, in the same place.
            let time = std::fs::metadata(shelf.path("a")).unwrap();
            std::fs::write(shelf.path("a"), new).unwrap();
            let file = File::options().write(true).open(shelf.path("a")).unwrap();
            file.set_modified(time.modified().unwrap()).unwrap();
            let words = ["/t/a`", "not the one that was listed", "submit again"];
            has_words(session.collect(planned).await, &words);
            let planned = session.sql("SELECT sum(id) FROM t").await.unwrap();
            shelf.remove("a");
            let words = ["/t/a`", "does not find it"];
            has_words(session.collect(planned).await, &words);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_a_statement_declared_is_fresh_as_well() {
    let shelf = Shelf::new().await;
    shelf.put("a.parquet", &parquet(vec![("id", ints([1]))]));
    let folder = shelf.path("");
    for session in shelf.sessions() {
        let declare = format!(
            "CREATE EXTERNAL TABLE d (id BIGINT) STORED AS PARQUET LOCATION '{}'",
            folder.display()
        );
        session.sql(&declare).await.unwrap();
        shelf.put("b.parquet", &parquet(vec![("id", ints([2]))]));
        let rows = emporia_e2e::sandbox::query(&session, "SELECT sum(id) FROM d")
            .await
            .unwrap();
        assert_eq!(rows, [["3"]]);
        shelf.remove("b.parquet");
    }
}
