//! Users of a cluster read and write local files only where its processes may.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Output;

use emporia_e2e::programs::emporia;

use crate::faults::cluster::{Patience, start};

fn sql(folder: &Path, url: &str, text: &str) -> Output {
    let args = ["sql", "--no-progress", "--cluster", url, "-e", text];
    emporia(folder, &args).unwrap()
}

fn external(location: &Path) -> String {
    format!(
        "CREATE EXTERNAL TABLE t (line STRING) STORED AS CSV LOCATION '{}' OPTIONS ('header' 'false');
         SELECT count(*) FROM t",
        location.display()
    )
}

#[test]
fn a_cluster_keeps_to_its_folders() {
    let top = tempfile::tempdir().unwrap();
    let (data, other) = (top.path().join("data"), top.path().join("other"));
    for folder in [&data, &other] {
        fs::create_dir(folder).unwrap();
        fs::write(folder.join("1.csv"), "a\nb\n").unwrap();
    }
    symlink(other.join("1.csv"), data.join("link.csv")).unwrap();
    let roots = ("EMPORIA_STORES__LOCAL_ROOTS", data.display().to_string());
    let cluster = start(top.path(), 1, Patience::Default, &[roots]).unwrap();
    let run = |text: &str| sql(top.path(), &cluster.url, text);

    let output = run(&external(&data.join("1.csv")));
    assert!(output.status.success(), "{output:?}");
    let copy = |folder: &Path| {
        format!(
            "COPY (SELECT 1 AS a) TO '{}' STORED AS CSV",
            folder.display()
        )
    };
    let output = run(&copy(&data.join("copy")));
    assert!(output.status.success(), "{output:?}");

    for text in [
        external(&other.join("1.csv")),
        external(&data.join("link.csv")),
        external(&data.join("../other/1.csv")),
        external("/etc/passwd".as_ref()),
        copy(&other.join("copy")),
    ] {
        let output = run(&text);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{text}: {output:?}");
        assert!(
            said.contains("outside the folders that the cluster may use"),
            "{text}: {said}"
        );
        assert!(said.contains("stores.local_roots"), "{text}: {said}");
    }
    assert!(!other.join("copy").join("_current").exists());
}
