//! The generator: options in, files out, the same bytes for any number of threads.

mod basket;
mod catalogue;
mod customer;
mod plan;
mod raw_orders;
mod session;
mod shop;
mod tables;
#[cfg(test)]
mod tests;
mod text;
mod world;

use std::sync::Arc;

use emporia_core::catalog::Catalog;
use emporia_core::error::nearest;
use emporia_core::{Error, Result, contract};
use futures::{StreamExt, TryStreamExt};
use object_store::ObjectStore;
use object_store::path::Path;

use crate::output::{Encoder, FileSink, Folder, Format, Written, definition, raw_csv_definition};
use crate::progress::{Progress, Summary, TableSummary};
use plan::{Content, TablePlan};
use world::World;

/// The catalog file in the folder of the tables.
pub(crate) const CATALOG_FILE: &str = "emporia.toml";
/// The largest scale; its raw order feed has a trillion bytes.
const MAX_SCALE: f64 = 1_000.0;
/// The largest number of threads.
const MAX_THREADS: usize = 1_024;

/// What to generate.
#[derive(Debug, Clone, PartialEq)]
pub struct GenerateOptions {
    /// Size of the data: 1 is 10,000 users with 500,000 transactions and 2,000,000 sessions, and
    /// 10,000,000 raw orders. Above 0, up to 1000.
    pub scale: f64,
    /// Chooses one of all possible data sets of this scale.
    pub seed: u64,
    /// The folder as the user called it; it is only named in messages, the store and the base path
    /// say where the files go.
    pub out: String,
    /// Format of the tables, except for the raw feeds (`orders_raw`, `shop_*`), which are CSV.
    pub format: Format,
    /// Names of tables; `None` for all but `page_views`.
    pub tables: Option<Vec<String>>,
    /// Adds `page_views`, about ten rows per session, to the tables.
    pub page_views: bool,
    /// Number of files that are made at a time, each by a thread; changes no byte of them.
    pub threads: usize,
    /// Replaces tables that are in the folder already, instead of failing.
    pub overwrite: bool,
}

impl Default for GenerateOptions {
    fn default() -> Self {
        Self {
            scale: 0.01,
            seed: 42,
            out: String::new(),
            format: Format::Parquet,
            tables: None,
            page_views: false,
            threads: 2,
            overwrite: false,
        }
    }
}

/// Generates tables below `base` of `store`: `<table>/part-00000.<format>` and so on, and the
/// catalog `emporia.toml`, which comes last and names all generated tables of the folder.
///
/// The files depend on scale, seed and format only.
///
/// # Errors
/// `InvalidInput` for wrong options and for a folder with files of others, `AlreadyExists` when a table is there already and may not be
/// overwritten, and the errors of the store.
pub async fn generate(
    options: GenerateOptions,
    store: Arc<dyn ObjectStore>,
    base: Path,
    progress: &dyn Progress,
) -> Result<Summary> {
    let names = table_names(&options)?;
    let GenerateOptions {
        scale,
        seed,
        out,
        format,
        threads,
        overwrite,
        ..
    } = options;
    let folder = Folder {
        store,
        base,
        label: out,
    };
    folder.clear(&names, overwrite).await?;

    let world = tokio::task::spawn_blocking(move || World::new(seed, scale))
        .await
        .map_err(|e| Error::internal("the simulation of customers died").with_source(e))?;
    let world = Arc::new(world);
    let plans: Vec<TablePlan> = names
        .iter()
        .filter_map(|name| plan::table(name, &world))
        .collect();
    let tally = Tally::new(&plans, progress);
    let files = plans
        .iter()
        .enumerate()
        .flat_map(|(table, plan)| (0..plan.parts).map(move |part| (table, plan.clone(), part)));
    futures::stream::iter(files)
        .map(|(table, plan, part)| {
            write_part(
                &folder,
                Arc::clone(&world),
                format,
                table,
                plan,
                part,
                &tally,
            )
        })
        .buffer_unordered(threads)
        .try_collect::<Vec<()>>()
        .await?;

    let catalog = catalog_of(&folder).await?;
    folder.write_text(CATALOG_FILE, catalog.to_toml()?).await?;
    Ok(tally.into_summary())
}

/// Writes one file of a table.
async fn write_part(
    folder: &Folder,
    world: Arc<World>,
    format: Format,
    table: usize,
    plan: TablePlan,
    part: u64,
    tally: &Tally<'_>,
) -> Result<()> {
    let format = plan.format(format);
    let relative = format!("{}/part-{part:05}.{format}", plan.name);
    tally.start(table);
    let produce = move |sink| produce_part(&world, format, &plan, part, sink);
    let written = folder
        .write_file(&relative, produce, |rows| tally.advance(table, rows))
        .await?;
    tally.finish(table, written);
    Ok(())
}

fn produce_part(
    world: &World,
    format: Format,
    plan: &TablePlan,
    part: u64,
    mut sink: FileSink,
) -> Result<FileSink> {
    let keys = plan.keys_of(part);
    match plan.content {
        Content::Text(write) => {
            write(world, keys, &mut sink)?;
            Ok(sink)
        }
        Content::Batches {
            make,
            keys_per_batch,
        } => {
            let schema = plan.schema()?;
            let reports = sink.reporter();
            let mut encoder = Encoder::new(format, &schema, sink)?;
            let mut next = keys.start;
            while next < keys.end {
                let end = keys.end.min(next + keys_per_batch);
                let batch = make(world, next..end)?;
                encoder.write(&batch)?;
                reports.add_rows(batch.num_rows() as u64)?;
                next = end;
            }
            encoder.finish()
        }
    }
}

/// The tables to generate, in the order of the contract.
fn table_names(options: &GenerateOptions) -> Result<Vec<&'static str>> {
    let GenerateOptions { scale, threads, .. } = options;
    if !(scale.is_finite() && *scale > 0.0 && *scale <= MAX_SCALE) {
        return Err(Error::invalid(format!(
            "scale {scale} is not above 0 and up to {MAX_SCALE}"
        ))
        .with_hint("0.01 is a good size to try things, 1 has 500,000 transactions"));
    }
    if !(1..=MAX_THREADS).contains(threads) {
        return Err(Error::invalid(format!(
            "{threads} threads is not between 1 and {MAX_THREADS}"
        )));
    }
    let wanted = options.tables.as_deref();
    for name in wanted.unwrap_or_default() {
        if !plan::TABLES.contains(&name.as_str()) {
            let error = Error::invalid(format!("`{name}` is not a table of the generator"));
            return Err(match nearest(name, plan::TABLES) {
                Some(near) => error.with_hint(format!("did you mean `{near}`?")),
                None => error.with_hint(format!("tables are {}", plan::TABLES.join(", "))),
            });
        }
    }
    let is_wanted = |name: &&str| match (*name, wanted) {
        ("page_views", None) => options.page_views,
        ("page_views", Some(wanted)) => {
            options.page_views || wanted.iter().any(|w| w == "page_views")
        }
        (_, None) => true,
        (name, Some(wanted)) => wanted.iter().any(|w| w == name),
    };
    Ok(plan::TABLES.into_iter().filter(is_wanted).collect())
}

/// The catalog of all generated tables that are in the folder, from this run or one before.
async fn catalog_of(folder: &Folder) -> Result<Catalog> {
    let mut catalog = Catalog::default();
    for name in plan::TABLES {
        let parts = folder.parts(name).await?;
        let format = parts
            .first()
            .and_then(|path| path.extension()?.parse().ok());
        let (Some(format), Some(schema)) = (format, contract::schema(name)) else {
            continue;
        };
        let entry = match plan::raw_header(name) {
            Some(has_header) => raw_csv_definition(name, has_header),
            None => definition(name, &schema, format)?,
        };
        catalog.tables.insert(name.to_owned(), entry);
    }
    Ok(catalog)
}

/// Counts what is written, table by table.
struct Tally<'a> {
    progress: &'a dyn Progress,
    tables: std::sync::Mutex<Vec<Count>>,
}

struct Count {
    summary: TableSummary,
    expected_rows: Option<u64>,
    parts_to_start: u64,
    parts_to_finish: u64,
}

impl<'a> Tally<'a> {
    fn new(plans: &[TablePlan], progress: &'a dyn Progress) -> Self {
        let counts = plans.iter().map(|plan| Count {
            summary: TableSummary {
                name: plan.name.into(),
                rows: 0,
                bytes: 0,
                files: 0,
            },
            expected_rows: plan.expected_rows,
            parts_to_start: plan.parts,
            parts_to_finish: plan.parts,
        });
        Self {
            progress,
            tables: std::sync::Mutex::new(counts.collect()),
        }
    }

    /// The counts; they are whole numbers, which a panic elsewhere cannot leave half done.
    fn counts(&self) -> std::sync::MutexGuard<'_, Vec<Count>> {
        self.tables
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn start(&self, table: usize) {
        let count = &mut self.counts()[table];
        if count.parts_to_start == count.parts_to_finish && count.summary.files == 0 {
            self.progress
                .table_started(&count.summary.name, count.expected_rows);
        }
        count.parts_to_start -= 1;
    }

    fn advance(&self, table: usize, rows: u64) {
        self.progress
            .rows_advanced(&self.counts()[table].summary.name, rows);
    }

    fn finish(&self, table: usize, written: Written) {
        let count = &mut self.counts()[table];
        count.summary.rows += written.rows;
        count.summary.bytes += written.bytes;
        count.summary.files += 1;
        count.parts_to_finish -= 1;
        if count.parts_to_finish == 0 {
            self.progress.table_finished(&count.summary.name);
        }
    }

    fn into_summary(self) -> Summary {
        let counts = self
            .tables
            .into_inner()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        Summary {
            tables: counts.into_iter().map(|count| count.summary).collect(),
            notes: Vec::new(),
        }
    }
}
