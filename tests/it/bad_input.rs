//! Mistakes of users and damaged data: every case ends with the documented exit code and a message
//! that names the object at fault, and prints nothing to standard output.

mod cluster;
mod data;
mod text;

use std::path::Path;

use emporia_e2e::programs::emporia;
use tempfile::TempDir;

/// A small shop in a folder of its own, with its catalog `emporia.toml`.
fn shop() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let tables = "users,transactions,transaction_items";
    let args = [
        "generate", "--scale", "0.01", "--tables", tables, "--out", ".", "--quiet",
    ];
    let output = emporia(folder.path(), &args).unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    folder
}

/// Runs `emporia` in `folder`: it must end with `code`, say all `words` and print nothing.
#[track_caller]
fn refused(folder: &Path, args: &[&str], code: i32, words: &[&str]) {
    let output = emporia(folder, args).unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{args:?} said: {said}");
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(printed.is_empty(), "{args:?} printed: {printed}");
    for word in words {
        assert!(
            said.contains(word),
            "{args:?} does not say `{word}`: {said}"
        );
    }
}

/// Runs `emporia` in `folder`, which must succeed, and returns what it printed.
#[track_caller]
fn printed(folder: &Path, args: &[&str]) -> String {
    let output = emporia(folder, args).unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{args:?} said: {said}");
    String::from_utf8(output.stdout).unwrap()
}
