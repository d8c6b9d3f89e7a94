//! Which files of a folder are read.

use super::shelf::{Shelf, ints, parquet};

#[tokio::test(flavor = "multi_thread")]
async fn each_file_is_read_or_named() {
    let shelf = Shelf::new().await;
    let names = [
        "a.parquet",
        "b.parq",
        "c.PQ",
        "000000_0",
        "e.2025-01",
        "more/f.snappy.parquet",
    ];
    for (bit, name) in names.iter().enumerate() {
        shelf.put(name, &parquet(vec![("id", ints([1 << bit]))]));
    }
    for hidden in ["_SUCCESS", ".a.parquet.crc", "_log/1.json"] {
        shelf.put(hidden, b"not read");
    }
    assert_eq!(
        shelf.rows("SELECT count(*), sum(id) FROM t").await,
        ["6,63"]
    );
    for (other, word) in [
        ("readme.md", "rename it"),
        ("b.json", "rename it"),
        ("g.parquet", "has no bytes"),
    ] {
        shelf.put(other, b"");
        shelf.fails("SELECT * FROM t", &["`t`", other, word]).await;
        shelf.remove(other);
    }
    // No ending, and no Parquet.
    shelf.put("part-3", b"id\n1\n");
    shelf
        .fails(
            "SELECT * FROM t",
            &["cannot read the files of table `t`", "/t/part-3"],
        )
        .await;
}
