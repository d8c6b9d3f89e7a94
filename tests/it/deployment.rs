//! What of docker/ can be checked without Docker.

use std::process::Command;

use emporia_e2e::workspace;

#[test]
fn the_scripts_and_files_of_docker_are_sound() {
    let script = workspace().join("tests/compose/static");
    let output = Command::new(&script).output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}
