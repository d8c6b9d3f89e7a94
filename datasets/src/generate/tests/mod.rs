//! What must hold for the generated data.

mod feeds;
mod files;
mod invariants;
mod recovery;

use super::GenerateOptions;

/// Options for some tables.
fn options(scale: f64, tables: &[&str]) -> GenerateOptions {
    GenerateOptions {
        scale,
        tables: Some(tables.iter().map(|&name| name.to_owned()).collect()),
        ..GenerateOptions::default()
    }
}
