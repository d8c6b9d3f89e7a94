//! Where the real servers are, and tables that vanish with their test.

use std::collections::BTreeMap;
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use emporia_hbase::{
    Client, ClientOptions, Error, FamilySpec, KeyRange, RowMutation, RowSink, ScanRequest, Scanner,
    TableSpec,
};

/// Cells of a row: column to timestamp and value.
pub(crate) type Cells = BTreeMap<String, (i64, Vec<u8>)>;

/// Real gateways.
pub(crate) struct Real {
    pub(crate) gateways: Vec<String>,
    pub(crate) admin_gateway: Option<String>,
}

impl Real {
    /// The gateways of the environment; without any, says in one line why the test is skipped.
    pub(crate) fn find() -> Option<Self> {
        let Some(gateways) = variable("EMPORIA_TEST_HBASE_GATEWAYS") else {
            {
                eprintln!(
                    "skipped: no hbase gateway; start one with `tests/services/services up hbase` \
                     and set EMPORIA_TEST_HBASE_GATEWAYS as `tests/services/services env` prints"
                );
            }
            return None;
        };
        Some(Self {
            gateways: gateways.split(',').map(str::to_owned).collect(),
            admin_gateway: variable("EMPORIA_TEST_HBASE_ADMIN_GATEWAY"),
        })
    }

    pub(crate) fn options(&self) -> ClientOptions {
        ClientOptions {
            admin_gateway: self.admin_gateway.clone(),
            ..ClientOptions::new(self.gateways.clone())
        }
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(self.options()).unwrap()
    }

    /// A new table with these families, split at these keys.
    pub(crate) fn table(&self, families: &[&str], split_keys: &[&str]) -> Table {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let table = Table {
            client: self.client(),
            name: format!(
                "hbclient_test_{}_{}",
                process::id(),
                NEXT.fetch_add(1, Ordering::Relaxed)
            ),
        };
        let spec = TableSpec {
            name: table.name.clone(),
            families: families.iter().copied().map(FamilySpec::new).collect(),
            split_keys: split_keys
                .iter()
                .map(|key| key.as_bytes().to_vec())
                .collect(),
        };
        assert!(table.client.create_table(&spec).unwrap(), "it is new");
        table
    }
}

/// A table that is dropped at the end of its test.
pub(crate) struct Table {
    pub(crate) client: Client,
    pub(crate) name: String,
}

impl Table {
    pub(crate) fn put(&self, timestamp: i64, rows: &[RowMutation]) {
        self.client.put(&self.name, timestamp, rows).unwrap();
    }

    /// A scan of all rows.
    pub(crate) fn request(&self) -> ScanRequest {
        ScanRequest::new(self.name.clone(), KeyRange::all())
    }

    /// All rows that the scan returns.
    pub(crate) fn rows(&self, request: ScanRequest) -> Vec<(Vec<u8>, Cells)> {
        collect(self.client.scan(request)).unwrap()
    }

    /// Keys of the rows that the scan returns.
    pub(crate) fn keys(&self, request: ScanRequest) -> Vec<String> {
        let rows = self.rows(request).into_iter();
        rows.map(|(key, _)| String::from_utf8(key).unwrap())
            .collect()
    }
}

impl Drop for Table {
    fn drop(&mut self) {
        self.client.drop_table(&self.name).ok();
    }
}

/// Keeps rows.
#[derive(Debug, Default)]
pub(crate) struct Rows(pub(crate) Vec<(Vec<u8>, Cells)>);

impl RowSink for Rows {
    fn row(&mut self, key: &[u8]) {
        self.0.push((key.to_vec(), Cells::new()));
    }

    fn cell(&mut self, column: &[u8], timestamp: i64, value: &[u8]) {
        let (_, cells) = self.0.last_mut().expect("a cell follows its row");
        let column = String::from_utf8(column.to_vec()).unwrap();
        let before = cells.insert(column, (timestamp, value.to_vec()));
        assert!(before.is_none(), "a column comes twice");
    }
}

pub(crate) fn collect(mut scanner: Scanner) -> Result<Vec<(Vec<u8>, Cells)>, Error> {
    let mut rows = Rows::default();
    while scanner.next_page(&mut rows)? > 0 {}
    Ok(rows.0)
}

/// A row with these cells.
pub(crate) fn row(key: &str, cells: &[(&str, &str)]) -> RowMutation {
    RowMutation {
        key: key.into(),
        cells: cells
            .iter()
            .map(|(column, value)| ((*column).to_owned(), Some(value.as_bytes().to_vec())))
            .collect(),
    }
}

/// The key of a numbered row.
pub(crate) fn numbered(number: usize) -> String {
    format!("row-{number:07}")
}

/// So many rows with one cell of so many bytes.
pub(crate) fn numbered_rows(n_rows: usize, value_len: usize) -> Vec<RowMutation> {
    let value = "v".repeat(value_len);
    (0..n_rows)
        .map(|number| row(&numbered(number), &[("f:a", &value)]))
        .collect()
}

/// Calls `is_done` until it returns true.
pub(crate) fn until(what: &str, limit: Duration, mut is_done: impl FnMut() -> bool) {
    let start = std::time::Instant::now();
    while !is_done() {
        assert!(start.elapsed() < limit, "{what} within {limit:?}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[expect(clippy::disallowed_methods, reason = "a test finds the real servers")]
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
