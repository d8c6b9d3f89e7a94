//! Servers that are killed, stopped and moved under a scan or a write.

use std::path::PathBuf;
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use emporia_hbase::{Client, ClientOptions, ScanRequest};

use crate::real::{Cells, Real, Rows, Table, numbered, numbered_rows, variable};

/// One test at a time: they share the servers.
static TURN: Mutex<()> = Mutex::new(());

const N_ROWS: usize = 6000;

/// A table of many rows on real servers that a script controls.
struct Scene {
    real: Real,
    table: Table,
    _turn: MutexGuard<'static, ()>,
}

impl Scene {
    fn find() -> Option<Self> {
        let real = Real::find()?;
        if variable("EMPORIA_SERVICES_DIR").is_none() {
            eprintln!("skipped: EMPORIA_SERVICES_DIR is not set, so no server can be killed");
            return None;
        }
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let table = real.table(&["f"], &["row-0002000", "row-0004000", "row-0005000"]);
        table.put(1, &numbered_rows(N_ROWS, 50));
        Some(Self {
            real,
            table,
            _turn: turn,
        })
    }

    /// A client that notices a silent gateway soon.
    fn hasty(&self) -> Client {
        Client::new(ClientOptions {
            connect_timeout: Duration::from_secs(2),
            request_timeout: Duration::from_secs(5),
            ..self.real.options()
        })
        .unwrap()
    }

    fn request(&self) -> ScanRequest {
        ScanRequest {
            page_rows: Some(100),
            ..self.table.request()
        }
    }

    /// Scans all rows; after each page, `interfere` gets its number.
    fn scan(&self, client: &Client, mut interfere: impl FnMut(usize)) {
        let mut rows = Rows::default();
        let mut scanner = client.scan(self.request());
        let mut n_pages = 0;
        while scanner.next_page(&mut rows).unwrap() > 0 {
            n_pages += 1;
            interfere(n_pages);
        }
        check(&rows.0);
    }
}

/// Every row is there once, in order.
fn check(rows: &[(Vec<u8>, Cells)]) {
    let keys: Vec<_> = rows
        .iter()
        .map(|(key, _)| String::from_utf8_lossy(key))
        .collect();
    let expected: Vec<_> = (0..N_ROWS).map(numbered).collect();
    assert_eq!(keys.len(), expected.len());
    assert_eq!(keys, expected);
}

fn services(arguments: &[&str]) -> String {
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/services/services");
    let output = Command::new(script).args(arguments).output().unwrap();
    assert!(
        output.status.success(),
        "services {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Starts a server again when the test ends, also by a panic.
struct Restart(&'static str);

impl Drop for Restart {
    fn drop(&mut self) {
        services(&["start", self.0]);
    }
}

/// Lets a server go on when the test ends.
struct Continue(&'static str);

impl Drop for Continue {
    fn drop(&mut self) {
        services(&["kill", self.0, "-CONT"]);
    }
}

#[test]
fn a_killed_gateway_loses_no_row() {
    let Some(scene) = Scene::find() else { return };
    let client = scene.real.client();
    for gateway in ["thrift-1", "thrift-2"] {
        let _restart = Restart(gateway);
        scene.scan(&client, |n_pages| {
            if n_pages == 10 {
                services(&["kill", gateway]);
            }
        });
    }
}

#[test]
fn with_one_gateway_a_scan_waits_for_its_restart() {
    let Some(scene) = Scene::find() else { return };
    let client = Client::new(ClientOptions::new([scene.real.gateways[0].clone()])).unwrap();
    let mut restarts = Vec::new();
    scene.scan(&client, |n_pages| {
        if n_pages == 10 || n_pages == 40 {
            services(&["kill", "thrift-1"]);
            restarts.push(thread::spawn(|| services(&["start", "thrift-1"])));
        }
    });
    for restart in restarts {
        restart.join().unwrap();
    }
}

#[test]
fn a_stopped_gateway_is_left_after_the_timeout() {
    let Some(scene) = Scene::find() else { return };
    let client = scene.hasty();
    for gateway in ["thrift-1", "thrift-2"] {
        let _continue = Continue(gateway);
        scene.scan(&client, |n_pages| {
            if n_pages == 10 {
                services(&["kill", gateway, "-STOP"]);
            }
        });
    }
}

#[test]
fn a_split_and_a_move_lose_no_row() {
    let Some(scene) = Scene::find() else { return };
    let name = scene.table.name.as_str();
    scene.scan(&scene.real.client(), |n_pages| match n_pages {
        5 => drop(services(&["admin", "split", name, "row-0001000"])),
        15 => drop(services(&["admin", "move", name, "row-0002500"])),
        // Rows that the scan has passed, is in, and will come to.
        30 => drop(services(&["admin", "split", name, "row-0003100"])),
        35 => drop(services(&["admin", "move", name, "row-0005000"])),
        45 => drop(services(&[
            "admin",
            "merge",
            name,
            "row-0004000",
            "row-0005000",
        ])),
        _ => {}
    });
    let regions = scene.table.client.regions(name).unwrap();
    assert_eq!(regions.len(), 5);
}

#[test]
fn a_killed_region_server_loses_no_row() {
    let Some(scene) = Scene::find() else { return };
    let name = scene.table.name.as_str();
    let regions = services(&["admin", "regions", name]);
    let server = match regions
        .lines()
        .nth(1)
        .and_then(|line| line.split('\t').next())
    {
        Some("region-1") => "region-1",
        Some("region-2") => "region-2",
        _ => "region-3",
    };
    let _restart = Restart(server);
    scene.scan(&scene.real.client(), |n_pages| {
        if n_pages == 25 {
            services(&["kill", server]);
        }
    });
}

#[test]
fn an_expired_scanner_loses_no_row() {
    let Some(scene) = Scene::find() else { return };
    // The scanner expires on the region server after 20 s, on the gateway after 40 s.
    scene.scan(&scene.real.client(), |n_pages| match n_pages {
        5 => thread::sleep(Duration::from_secs(30)),
        25 => thread::sleep(Duration::from_secs(44)),
        _ => {}
    });
    scene.scan(&scene.real.client(), |n_pages| {
        if n_pages == 5 {
            thread::sleep(Duration::from_secs(70));
        }
    });
}

#[test]
fn a_write_goes_on_through_faults() {
    let Some(scene) = Scene::find() else { return };
    let client = scene.real.client();
    let rows = numbered_rows(N_ROWS, 500);
    let writer = thread::spawn({
        let name = scene.table.name.clone();
        move || {
            for chunk in rows.chunks(300) {
                client.put(&name, 2, chunk).unwrap();
            }
        }
    });
    let _restarts = [Restart("thrift-1"), Restart("region-2")];
    thread::sleep(Duration::from_millis(300));
    services(&["kill", "thrift-1"]);
    services(&["kill", "region-2"]);
    writer.join().unwrap();
    let written = scene.table.rows(scene.table.request());
    check(&written);
    for (key, cells) in written {
        assert_eq!(cells["f:a"].0, 2, "{key:?}");
        assert_eq!(cells["f:a"].1.len(), 500);
    }
}
