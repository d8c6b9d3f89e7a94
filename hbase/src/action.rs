//! What is being attempted, for the texts of errors and log lines.

use std::fmt;

/// A verb and, mostly, the table it is about.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Action<'a> {
    verb: &'static str,
    table: Option<&'a str>,
}

impl<'a> Action<'a> {
    /// An action on a table.
    pub(crate) fn on(verb: &'static str, table: &'a str) -> Self {
        Self {
            verb,
            table: Some(table),
        }
    }

    /// An action that concerns no table.
    pub(crate) fn general(verb: &'static str) -> Self {
        Self { verb, table: None }
    }

    /// The table, empty where there is none.
    pub(crate) fn table(&self) -> &'a str {
        self.table.unwrap_or_default()
    }
}

impl fmt::Display for Action<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.table {
            Some(table) => write!(f, "{} table `{table}`", self.verb),
            None => f.write_str(self.verb),
        }
    }
}
