//! `emporia generate` and `emporia import`: data with a catalog beside it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use datafusion::execution::object_store::ObjectStoreRegistry;
use emporia_connectors::files::Location;
use emporia_connectors::hdfs::StoreRegistry;
use emporia_core::error::{Error, ErrorKind, Result};
use emporia_core::location as text;
use emporia_datasets::import::{DayOrder, ImportOptions};
use emporia_datasets::{
    Format, GenerateOptions, Progress, Summary, import_cdnow, import_online_retail, open_local,
};
use emporia_engine::{Stores, query_error};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use object_store::ObjectStore;
use object_store::path::Path as StorePath;
use url::Url;

use crate::args::{DataFormat, DateOrder, GenerateArgs, ImportCommand, ImportTarget};
use crate::console::{Console, ProgressMode, count, grouped, shell_word, size};
use crate::interrupt::guarded;
use crate::output::FileTarget;
use crate::settings::Context;

/// Runs `emporia generate`.
pub(super) async fn generate(args: &GenerateArgs, context: &Context) -> Result<()> {
    let options = GenerateOptions {
        scale: args.scale,
        seed: args.seed,
        out: args.out.clone(),
        format: match args.format {
            DataFormat::Parquet => Format::Parquet,
            DataFormat::Json => Format::Json,
            DataFormat::Csv => Format::Csv,
        },
        tables: (!args.tables.is_empty()).then(|| args.tables.clone()),
        page_views: args.page_views,
        threads: threads(),
        overwrite: args.overwrite,
    };
    check_folder(&args.out)?;
    let start = Instant::now();
    let work = generate_into(options, &context.stores, context.console);
    let summary = guarded(None, context.settings.timeout, work)
        .await
        .map_err(|e| next_step(e, &args.out))?;
    say_summary(&summary, &args.out, start, context.console);
    Ok(())
}

/// Generates data into a folder, with progress.
pub(super) async fn generate_into(
    options: GenerateOptions,
    stores: &Stores,
    console: Console,
) -> Result<Summary> {
    let (store, base) = open_folder(&options.out, stores)?;
    let progress = DataProgress::new(console);
    emporia_datasets::generate(options, store, base, &progress).await
}

/// The store and the path of a folder, on this machine or on HDFS.
fn open_folder(out: &str, stores: &Stores) -> Result<(Arc<dyn ObjectStore>, StorePath)> {
    let location = text::Location::parse(out, None)?;
    if location.scheme() != "hdfs" {
        return open_local(out);
    }
    let location = Location::of(&location)?;
    let url: &Url = location.store.as_ref();
    let store = StoreRegistry::new(stores.settings().clone())
        .get_store(url)
        .map_err(query_error)?;
    Ok((store, location.path))
}

/// Files that are made at a time.
pub(super) fn threads() -> usize {
    std::thread::available_parallelism().map_or(2, usize::from)
}

/// Runs `emporia import`.
pub(super) async fn import(command: &ImportCommand, context: &Context) -> Result<()> {
    let (ImportCommand::OnlineRetail { to, .. } | ImportCommand::Cdnow { to, .. }) = command;
    check_folder(&to.out)?;
    let start = Instant::now();
    let work = run_import(command, to, &context.stores, context.console);
    let summary = guarded(None, context.settings.timeout, work)
        .await
        .map_err(|e| next_step(e, &to.out))?;
    say_summary(&summary, &to.out, start, context.console);
    Ok(())
}

async fn run_import(
    command: &ImportCommand,
    to: &ImportTarget,
    stores: &Stores,
    console: Console,
) -> Result<Summary> {
    let options = ImportOptions {
        out: to.out.clone(),
        overwrite: to.overwrite,
        max_rejects: to.max_rejects,
        dates: match command {
            ImportCommand::OnlineRetail {
                dates: Some(DateOrder::DayFirst),
                ..
            } => DayOrder::DayFirst,
            ImportCommand::OnlineRetail {
                dates: Some(DateOrder::MonthFirst),
                ..
            } => DayOrder::MonthFirst,
            _ => DayOrder::Auto,
        },
        ..ImportOptions::default()
    };
    let (store, base) = open_folder(&to.out, stores)?;
    let progress = DataProgress::new(console);
    match command {
        ImportCommand::OnlineRetail { dir, .. } => {
            import_online_retail(dir, options, store, base, &progress).await
        }
        ImportCommand::Cdnow { file, .. } => {
            import_cdnow(file, options, store, base, &progress).await
        }
    }
}

/// Refuses the name of a file: data sets are folders of files.
fn check_folder(out: &str) -> Result<()> {
    match FileTarget::parse(out, None)? {
        Some(_) => Err(Error::invalid(format!(
            "`{out}` is the name of a file, and data goes into a folder"
        ))
        .with_hint("name a folder; one whose name looks like a file ends in /")),
        None => Ok(()),
    }
}

/// Names the flag that the library cannot know, and what is left.
fn next_step(error: Error, out: &str) -> Error {
    match error.kind() {
        ErrorKind::AlreadyExists => {
            error.with_hint("choose another folder, or pass --overwrite to replace the tables")
        }
        ErrorKind::Cancelled | ErrorKind::Timeout => error.with_hint(format!(
            "tables may be left in `{out}`, without a catalog; run it again with --overwrite to replace them"
        )),
        _ => error,
    }
}

fn say_summary(summary: &Summary, out: &str, start: Instant, console: Console) {
    // In a log, each table had its line when it was finished.
    let has_lines = console.progress() == ProgressMode::Lines;
    for table in summary.tables.iter().filter(|_| !has_lines) {
        console.say(format!(
            "{:<18} {:>12} rows  {:>10}  {}",
            table.name,
            grouped(table.rows),
            size(table.bytes),
            count(table.files, "file")
        ));
    }
    summary
        .notes
        .iter()
        .for_each(|note| console.say(format!("note: {note}")));
    console.say(format!(
        "wrote {} ({}, {}) to {out} in {:.1} s",
        count(summary.rows(), "row"),
        size(summary.bytes()),
        count(summary.files(), "file"),
        start.elapsed().as_secs_f64()
    ));
    console.say(format!(
        "next: emporia tables --catalog {}",
        catalog_of(out)
    ));
}

/// The catalog in a folder of data, as a word of a command line.
fn catalog_of(out: &str) -> String {
    let local = out
        .contains("://")
        .then(|| text::Location::parse(out, None));
    let local = local.and_then(|location| location.ok()?.local_path());
    let folder = local.map_or_else(|| out.to_owned(), |path| path.display().to_string());
    shell_word(&format!("{}/emporia.toml", folder.trim_end_matches('/')))
}

/// A bar over the rows of all tables, or a line for each finished table.
struct DataProgress {
    mode: ProgressMode,
    bar: ProgressBar,
    rows: Mutex<BTreeMap<String, u64>>,
    start: Instant,
}

impl DataProgress {
    fn new(console: Console) -> Self {
        let mode = console.progress();
        let bar = match mode {
            ProgressMode::Bar => {
                ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr())
            }
            _ => ProgressBar::hidden(),
        };
        let template = "{bar:30} {human_pos}/{human_len} rows  {elapsed}  {msg}";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        Self {
            mode,
            bar,
            rows: Mutex::default(),
            start: Instant::now(),
        }
    }
}

impl Progress for DataProgress {
    fn table_started(&self, table: &str, expected_rows: Option<u64>) {
        self.bar.inc_length(expected_rows.unwrap_or(0));
        self.bar.set_message(table.to_owned());
    }

    fn rows_advanced(&self, table: &str, rows: u64) {
        self.bar.inc(rows);
        let mut counts = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.entry(table.to_owned()).or_default() += rows;
    }

    fn table_finished(&self, table: &str) {
        if self.mode == ProgressMode::Lines {
            let counts = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
            let rows = count(counts.get(table).copied().unwrap_or(0), "row");
            let seconds = self.start.elapsed().as_secs_f64();
            crate::console::write_line(&format!("{table}: {rows}, {seconds:.1} s"));
        }
    }
}

impl Drop for DataProgress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
