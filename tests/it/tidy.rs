//! The house rules that can be checked: who may depend on whom, and how long a file may be.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use emporia_e2e::workspace;

/// What each crate may use of this workspace; ARCHITECTURE.md draws the picture.
const MAY_USE: [(&str, &[&str]); 13] = [
    ("core", &[]),
    ("models", &[]),
    ("datasets", &["core", "models"]),
    ("hbase", &[]),
    ("connectors", &["core", "hbase"]),
    ("engine", &["core", "connectors", "models"]),
    ("sql", &["core", "engine"]),
    ("jobs", &["core", "engine", "models", "connectors"]),
    ("scheduler", &["core", "engine"]),
    ("executor", &["core", "engine"]),
    (
        "client",
        &[
            "core",
            "connectors",
            "engine",
            "sql",
            "jobs",
            "datasets",
            "scheduler",
            "executor",
            "models",
        ],
    ),
    (
        "e2e",
        &[
            "core",
            "models",
            "datasets",
            "connectors",
            "engine",
            "sql",
            "jobs",
            "scheduler",
            "executor",
            "client",
        ],
    ),
    ("fuzz", &["core", "hbase", "connectors"]),
];

/// Libraries that a crate must stay free of: core and datasets know no engine, connectors no cluster.
const MUST_NOT_USE: [(&str, &[&str]); 5] = [
    (
        "core",
        &[
            "datafusion",
            "ballista",
            "object_store",
            "tonic",
            "axum",
            "reqwest",
        ],
    ),
    (
        "models",
        &["datafusion", "ballista", "object_store", "tokio", "arrow"],
    ),
    ("datasets", &["datafusion", "ballista"]),
    ("connectors", &["ballista"]),
    ("hbase", &["datafusion", "ballista", "arrow", "tokio"]),
];

fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let output = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--format-version",
            "1",
            "--no-deps",
            "--offline",
        ])
        .current_dir(workspace())
        .output()
        .unwrap();
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let crate_of = |p: &serde_json::Value| {
        let uses = p["dependencies"].as_array().unwrap().iter();
        let uses = uses
            .filter(|d| d["kind"].is_null())
            .map(|d| d["name"].as_str().unwrap().to_owned());
        (
            p["name"]
                .as_str()
                .unwrap()
                .trim_start_matches("emporia-")
                .to_owned(),
            uses.collect(),
        )
    };
    packages.iter().map(crate_of).collect()
}

#[test]
fn crates_depend_only_downwards() {
    let dependencies = dependencies();
    let known: BTreeSet<_> = MAY_USE.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(
        dependencies.keys().cloned().collect::<BTreeSet<_>>(),
        known,
        "a crate is not listed"
    );
    for (name, allowed) in MAY_USE {
        for used in dependencies[name]
            .iter()
            .filter_map(|d| d.strip_prefix("emporia-"))
        {
            assert!(allowed.contains(&used), "{name} must not use {used}");
        }
    }
    for (name, banned) in MUST_NOT_USE {
        for used in &dependencies[name] {
            let is_banned = banned
                .iter()
                .any(|b| used == b || used.starts_with(&format!("{b}-")));
            assert!(!is_banned, "{name} must not use {used}");
        }
    }
}

#[test]
fn versions_are_pinned_in_one_place() {
    for (name, _) in MAY_USE {
        let folder = if name == "e2e" { "tests" } else { name };
        let manifest =
            std::fs::read_to_string(workspace().join(folder).join("Cargo.toml")).unwrap();
        let (_, dependencies) = manifest.split_once("[dependencies]").unwrap();
        assert!(
            !dependencies.contains('"'),
            "{folder}/Cargo.toml names a version"
        );
    }
}

fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder)
        .unwrap()
        .map(|e| e.unwrap().path())
    {
        if entry.is_dir() {
            rust_files(&entry, found);
        } else if entry.extension().is_some_and(|e| e == "rs") {
            found.push(entry);
        }
    }
}

#[test]
fn files_stay_short_and_say_why_they_exist() {
    let mut files = Vec::new();
    for (name, _) in MAY_USE {
        rust_files(
            &workspace().join(if name == "e2e" { "tests" } else { name }),
            &mut files,
        );
    }
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(
            text.lines().count() <= 800,
            "{} is longer than 800 lines",
            file.display()
        );
        assert!(
            text.starts_with("//!"),
            "{} has no module doc",
            file.display()
        );
    }
}
