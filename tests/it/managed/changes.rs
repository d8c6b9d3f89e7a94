//! Tables that statements change: the first rows of a declared folder, and UPDATE and DELETE.

use super::*;

#[tokio::test]
async fn the_first_insert_fills_the_folder_of_a_declared_table() {
    let shop = Shop::open().await;
    for (session, name) in shop.both().into_iter().zip(["cluster", "single"]) {
        let folder = shop.path(&format!("new-{name}"));
        let declared = format!(
            "CREATE EXTERNAL TABLE counts (page VARCHAR NOT NULL, n BIGINT) STORED AS PARQUET LOCATION '{}/'",
            folder.display()
        );
        run(&session, &[&declared]).await;
        let error = query(&session, "SELECT * FROM counts").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
        let error = query(&session, "INSERT INTO counts (n) VALUES (1)")
            .await
            .unwrap_err();
        assert!(error.message().contains("takes no null"), "{error}");
        run(
            &session,
            &[
                "INSERT INTO counts VALUES ('home', 1)",
                "INSERT INTO counts SELECT page, seconds FROM visits WHERE page = 'cart'",
            ],
        )
        .await;
        assert_eq!(
            rows(&session, "SELECT page, n FROM counts ORDER BY page").await,
            "cart,7\nhome,1"
        );
        // A folder of other files stays one.
        let error = query(&session, "INSERT INTO visits VALUES ('x', 1)")
            .await
            .unwrap_err();
        assert!(
            error.message().contains("which is a set of files"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn an_update_changes_all_rows_or_none() {
    let shop = Shop::open().await;
    for session in shop.both() {
        run(
            &session,
            &[
                "CREATE TABLE times AS SELECT * FROM visits",
                "INSERT INTO times VALUES ('help', 0)",
            ],
        )
        .await;
        let error = query(&session, "UPDATE times SET seconds = 100 / seconds")
            .await
            .unwrap_err();
        assert!(error.message().contains("division by zero"), "{error}");
        let all = "SELECT page, seconds FROM times ORDER BY page";
        assert_eq!(rows(&session, all).await, "cart,7\nhelp,0\nhome,5");
        run(
            &session,
            &[
                "UPDATE times SET seconds = 100 / seconds WHERE seconds > 0",
                "DELETE FROM times WHERE page IN (SELECT page FROM visits WHERE seconds = 7)",
            ],
        )
        .await;
        assert_eq!(rows(&session, all).await, "help,0\nhome,20");
    }
}
