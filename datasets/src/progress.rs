//! What the work reports while it runs and when it is done.

/// Is told how the work goes on; the crate itself prints nothing.
///
/// The calls come from the task that polls the work and must return at once. Tables overlap when
/// several threads write.
pub trait Progress: Send + Sync {
    /// The first file of a table is begun; `expected_rows` is `None` when nobody can know.
    fn table_started(&self, table: &str, expected_rows: Option<u64>);

    /// So many more rows of a table were made.
    fn rows_advanced(&self, table: &str, rows: u64);

    /// All files of a table are stored.
    fn table_finished(&self, table: &str);
}

/// Progress that nobody looks at.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoProgress;

impl Progress for NoProgress {
    fn table_started(&self, _table: &str, _expected_rows: Option<u64>) {}
    fn rows_advanced(&self, _table: &str, _rows: u64) {}
    fn table_finished(&self, _table: &str) {}
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Summary {
    /// Tables in the order in which they were asked for.
    pub tables: Vec<TableSummary>,
    /// Remarks on the source data that a reader of the tables should know.
    pub notes: Vec<String>,
}

impl Summary {
    /// Rows of all tables.
    pub fn rows(&self) -> u64 {
        self.tables.iter().map(|table| table.rows).sum()
    }

    /// Bytes of all files, without the catalog.
    pub fn bytes(&self) -> u64 {
        self.tables.iter().map(|table| table.bytes).sum()
    }

    /// Number of files, without the catalog.
    pub fn files(&self) -> u64 {
        self.tables.iter().map(|table| table.files).sum()
    }

    /// The summary of one table.
    pub fn table(&self, name: &str) -> Option<&TableSummary> {
        self.tables.iter().find(|table| table.name == name)
    }
}

/// What was written of one table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableSummary {
    /// Name of the table.
    pub name: String,
    /// Data rows, without headers.
    pub rows: u64,
    /// Bytes of its files.
    pub bytes: u64,
    /// Number of its files.
    pub files: u64,
}
