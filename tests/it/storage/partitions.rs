//! Files in folders that are named after values: `country=NO/part-0.parquet`.

use super::workplace::Workplace;

#[test]
fn partitioned_files_on_hdfs_are_pruned_by_their_folders() {
    let Some(place) = Workplace::open() else {
        return;
    };
    let folder = format!("{}/partitions-{}", place.services.hdfs, place.id);
    for (country, year, rows) in [("NO", 2024, 3), ("NO", 2025, 4), ("DE", 2025, 5)] {
        let made = format!("{folder}-made/{country}-{year}");
        let rows = format!("SELECT unnest(range(1, {rows} + 1)) AS n");
        place.writes(&format!("COPY ({rows}) TO '{made}' STORED AS PARQUET"));
        let target = format!("{folder}/country={country}/year={year}");
        place.control(&["fs", "-mkdir", "-p", &target]);
        let files = format!("{made}/run-*/*/*.parquet");
        place.control(&["fs", "-cp", &files, &format!("{target}/part-0.parquet")]);
    }
    place.catalog(&format!(
        "[tables.visits]\nconnector = \"parquet\"\nlocation = \"{folder}\"\n\
         options = {{ partitions = \"country string; year int32\" }}\n"
    ));
    assert_eq!(
        place
            .rows("SELECT country, year, count(*), sum(n) FROM visits GROUP BY 1, 2 ORDER BY 1, 2"),
        ["DE,2025,5,15", "NO,2024,3,6", "NO,2025,4,10"]
    );
    let one = "FROM visits WHERE country = 'NO' AND year > 2024";
    assert_eq!(place.value(&format!("SELECT sum(n) {one}")), "10");
    let plan = place.ok(&["explain", "--quiet", "-e", &format!("SELECT sum(n) {one}")]);
    assert!(plan.contains("country=NO/year=2025"), "{plan}");
    for other in ["year=2024", "country=DE"] {
        assert!(!plan.contains(other), "{other} is read: {plan}");
    }

    let declare = format!(
        "CREATE EXTERNAL TABLE v (n BIGINT, country VARCHAR, year INT) STORED AS PARQUET
         PARTITIONED BY (country, year) LOCATION '{folder}';
         SELECT sum(n) FROM v WHERE country = 'DE'"
    );
    assert_eq!(place.value(&declare), "15");
    place.catalog(&format!(
        "[tables.wrong]\nconnector = \"parquet\"\nlocation = \"{folder}\"\noptions = {{ partition = \"country string\" }}\n"
    ));
    let words = [
        "`partition` is not an option of a parquet table",
        "partitions",
    ];
    place.refuses("SELECT * FROM wrong", 3, &words);
}
