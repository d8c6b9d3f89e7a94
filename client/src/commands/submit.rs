//! `emporia submit`: runs a job and prints or writes what it makes.

use std::collections::BTreeSet;
use std::time::Instant;

use datafusion::prelude::DataFrame;
use emporia_connectors::write::FileFormat;
use emporia_core::catalog::{Catalog, TABLE_SCHEMES, TableDef, absolute_uri};
use emporia_core::error::{Error, Result, nearest};
use emporia_core::job::{JobSpec, OutputSpec, ParamValue, Params};
use emporia_engine::Session;
use emporia_engine::job::JobRun;
use emporia_engine::publish::{self as engine, Mode, Report};

use super::entry;
use super::rows::{Printer, in_order, tables, write_file};
use crate::args::{Format, SubmitArgs};
use crate::console::{Console, count, size};
use crate::interrupt::guarded;
use crate::output::{Display, FileTarget};
use crate::progress::Progress;
use crate::registry;
use crate::settings::Context;
use crate::target::Connection;

/// Where the rows go.
#[derive(Debug, PartialEq)]
enum Destination {
    /// To standard output.
    Print(Format),
    /// The main output into one file.
    File(FileTarget),
    /// All outputs as one result.
    Publish(engine::Destination),
}

/// Runs the command; nothing is started before everything that can be checked is checked.
pub(super) async fn run(args: &SubmitArgs, context: &Context) -> Result<()> {
    let entry = registry::find(&args.job)?;
    let spec = entry.job.spec();
    let params = Params::bind(spec, &args.params)?;
    let catalog = context.catalog()?;
    let destination = destination(args, &catalog, spec)?;
    let known = catalog.clone();
    entry.check_inputs(&catalog)?;
    let connection = Connection::open(context, catalog).await?;
    let session = &connection.session;
    let progress = Progress::watch(context.console, session, &connection.url)?;
    let work = async {
        let start = Instant::now();
        check(session, &destination, reads(spec, &params, &known)).await?;
        if entry.is_sql {
            session
                .prepare(spec.inputs.iter().map(String::as_str))
                .await?;
        }
        let mut run = entry.job.run(session, &params).await?;
        let notes = std::mem::take(&mut run.notes);
        let result = deliver(
            session,
            run,
            &spec.outputs,
            &destination,
            args,
            Watch {
                console: context.console,
                progress,
                start,
                known,
            },
        )
        .await;
        notes
            .iter()
            .for_each(|note| context.console.say(format!("note: {note}")));
        result
    };
    guarded(Some(session), context.settings.timeout, work).await
}

/// Refuses a place that the rows cannot go to, before anything runs.
async fn check(
    session: &Session,
    destination: &Destination,
    reads: BTreeSet<String>,
) -> Result<()> {
    match destination {
        Destination::Print(_) => Ok(()),
        Destination::File(target) => engine::check_file(session, &target.path, &reads).await,
        Destination::Publish(place) => engine::check_destination(session, place, &reads).await,
    }
}

/// The tables that a job reads: its inputs, and those that its parameters name.
fn reads(spec: &JobSpec, params: &Params, catalog: &Catalog) -> BTreeSet<String> {
    let named = params.iter().filter_map(|(_, value)| match value {
        ParamValue::Text(text) => Some(text),
        _ => None,
    });
    let named = named.filter(|text| catalog.tables.contains_key(*text));
    spec.inputs.iter().chain(named).cloned().collect()
}

/// What the user sees of a run.
struct Watch {
    console: Console,
    progress: Progress,
    start: Instant,
    /// The catalog as it was read.
    known: Catalog,
}

async fn deliver(
    session: &Session,
    run: JobRun,
    specs: &[OutputSpec],
    destination: &Destination,
    args: &SubmitArgs,
    Watch {
        console,
        progress,
        start,
        known,
    }: Watch,
) -> Result<()> {
    let display = Display::from(&args.display);
    match destination {
        Destination::Print(format) => {
            let printer = Printer {
                format: *format,
                display,
                console,
                has_time: true,
            };
            let mut run = run;
            if args.all_outputs {
                run.settle(session).await?;
            }
            let n_printed = if args.all_outputs { usize::MAX } else { 1 };
            let tables = ordered_tables(run, specs)?.into_iter().take(n_printed);
            print(session, tables.collect(), &printer, progress).await
        }
        Destination::File(target) => {
            let Some((_, frame)) = ordered_tables(run, specs)?.into_iter().next() else {
                return Err(Error::internal("the job has no output"));
            };
            let (rows, bytes) = write_file(session, frame, target, &display).await?;
            drop(progress);
            let report = wrote(rows, bytes, 1, &target.path.display().to_string());
            console.say(format!(
                "{report} in {:.1} s",
                start.elapsed().as_secs_f64()
            ));
            Ok(())
        }
        Destination::Publish(destination) => {
            let report = engine::publish(session, run, specs, destination).await?;
            drop(progress);
            say_published(console, &report, start);
            match known
                .tables
                .contains_key(args.output.as_deref().unwrap_or_default())
            {
                true => Ok(()),
                false => print_entries(console, &report, specs, &known),
            }
        }
    }
}

/// Prints how the catalog has the tables of a store that were written; nothing for files.
fn print_entries(
    console: Console,
    report: &Report,
    specs: &[OutputSpec],
    known: &Catalog,
) -> Result<()> {
    let entries = entry::of_result(&report.tables, specs)?;
    if entries.is_empty() {
        return Ok(());
    }
    for name in entries.keys() {
        entry::note_taken(
            console,
            known,
            name,
            "give the new entry another name before you append it",
        );
    }
    entry::print(entries)
}

/// The tables of a run, each in one order wherever it is computed.
fn ordered_tables(run: JobRun, specs: &[OutputSpec]) -> Result<Vec<(String, DataFrame)>> {
    let key_of = |name: &str| specs.iter().find(|s| s.name == name).map(|s| &s.key[..]);
    let tables = tables(run)?.into_iter().map(|(name, frame)| {
        let frame = in_order(frame, key_of(&name).unwrap_or_default())?;
        Ok((name, frame))
    });
    tables.collect()
}

/// Prints the tables, with their names if there are several.
async fn print(
    session: &Session,
    tables: Vec<(String, DataFrame)>,
    printer: &Printer,
    progress: Progress,
) -> Result<()> {
    let has_names = tables.len() > 1;
    let mut progress = Some(progress);
    for (name, frame) in tables {
        if has_names {
            printer.console.say(format!("-- {name}"));
        }
        printer.print(session, frame, progress.take()).await?;
    }
    Ok(())
}

/// Says what a published run consists of, a line per table.
pub(super) fn say_published(console: Console, report: &Report, start: Instant) {
    let seconds = start.elapsed().as_secs_f64();
    for note in &report.notes {
        console.say(format!("note: {note}"));
    }
    for table in &report.tables {
        let wrote = wrote(table.rows, table.bytes, table.files as u64, &table.place);
        console.say(format!("{wrote} in {seconds:.1} s"));
    }
    if report.dropped > 0 {
        console.say(format!("{} went to no table", count(report.dropped, "row")));
    }
}

fn wrote(rows: u64, bytes: u64, files: u64, place: &str) -> String {
    let rows = count(rows, "row");
    let bytes = size(bytes);
    match files {
        0 => format!("wrote {rows} ({bytes}) to {place}"),
        files => format!(
            "wrote {rows} ({bytes}, {}) to {place}",
            count(files, "file")
        ),
    }
}

fn destination(args: &SubmitArgs, catalog: &Catalog, spec: &JobSpec) -> Result<Destination> {
    let chosen = args.display.format;
    let Some(output) = &args.output else {
        return Ok(Destination::Print(chosen.unwrap_or(Format::Table)));
    };
    if let Some(table) = catalog.tables.get(output) {
        if spec.inputs.contains(output) {
            return Err(
                Error::invalid(format!("job `{}` reads the table `{output}`", spec.name))
                    .with_hint("write to another table"),
            );
        }
        if ["hbase", "mongodb"].contains(&table.connector.as_str()) {
            return Ok(Destination::Publish(engine::Destination::Table {
                table: table.clone(),
                mode: Mode::Overwrite,
            }));
        }
        if FileTarget::parse(&table.location, None)?.is_some() {
            return Err(Error::invalid(format!("table `{output}` is a single file"))
                .with_hint("make its location a folder, which can hold the files of many tasks"));
        }
        let format = match chosen {
            Some(format) => folder_format(format)?,
            None => FileFormat::of_connector(&table.connector),
        };
        return Ok(folder(table.location.clone(), format));
    }
    if let Some(scheme) = TABLE_SCHEMES.iter().find(|s| output.starts_with(*s)) {
        let connector = scheme.trim_end_matches(':');
        return Ok(Destination::Publish(engine::Destination::Table {
            table: TableDef::new(connector, output),
            mode: Mode::Overwrite,
        }));
    }
    if let Some(target) = FileTarget::parse(output, chosen)? {
        return Ok(Destination::File(target));
    }
    // A lone word is far more often a table with a typing error than a folder.
    if !output.contains(['/', '.', '\\']) {
        let error = Error::not_found(format!("there is no table `{output}` to write to"));
        let names = catalog.tables.keys().map(String::as_str);
        return Err(match nearest(output, names) {
            Some(near) => error.with_hint(format!(
                "did you mean `{near}`? to write a folder, use `./{output}/`"
            )),
            None => error.with_hint(format!("to write a folder, use `./{output}/`")),
        });
    }
    let format = folder_format(chosen.unwrap_or(Format::Parquet))?;
    Ok(folder(absolute_uri(output, None)?, format))
}

fn folder(location: String, format: FileFormat) -> Destination {
    Destination::Publish(engine::Destination::Folder { location, format })
}

fn folder_format(format: Format) -> Result<FileFormat> {
    match format {
        Format::Parquet => Ok(FileFormat::Parquet),
        Format::Csv => Ok(FileFormat::Csv),
        Format::Json | Format::Ndjson => Ok(FileFormat::Json),
        Format::Table | Format::Tsv => Err(Error::invalid(format!(
            "a result folder cannot hold {}",
            format.as_str()
        ))
        .with_hint("formats of a folder are parquet, csv and json")),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use emporia_core::error::ErrorKind;

    use super::*;
    use crate::args::{Cli, Command};

    fn check(flags: &str) -> Result<Destination> {
        let line = format!("emporia submit sales {flags}");
        let cli = Cli::try_parse_from(line.split_whitespace())
            .map_err(|e| Error::invalid("bad flags").with_source(e))?;
        let Command::Submit(args) = cli.command else {
            return Err(Error::internal("not submit"));
        };
        let mut catalog = Catalog::default();
        let tables = [
            ("orders", "parquet", "file:///data/orders/"),
            ("sales_csv", "csv", "file:///data/sales/"),
            ("one_file", "csv", "file:///data/one.csv"),
        ];
        for (name, connector, location) in tables {
            catalog
                .tables
                .insert(name.to_owned(), TableDef::new(connector, location));
        }
        let spec = JobSpec {
            name: "sales".into(),
            summary: String::new(),
            params: Vec::new(),
            inputs: vec!["orders".into()],
            outputs: Vec::new(),
            docs: String::new(),
        };
        destination(&args, &catalog, &spec)
    }

    #[test]
    fn the_output_is_a_table_a_file_or_a_folder() -> Result<()> {
        let folder = |location: &str, format| folder(location.into(), format);
        assert_eq!(check("")?, Destination::Print(Format::Table));
        assert_eq!(check("--format json")?, Destination::Print(Format::Json));
        assert_eq!(
            check("-o sales_csv")?,
            folder("file:///data/sales/", FileFormat::Csv)
        );
        assert_eq!(
            check("-o sales_csv --format parquet")?,
            folder("file:///data/sales/", FileFormat::Parquet)
        );
        assert_eq!(
            check("-o file:///out")?,
            folder("file:///out", FileFormat::Parquet)
        );
        assert_eq!(
            check("-o /out --format ndjson")?,
            folder("file:///out", FileFormat::Json)
        );
        let file = FileTarget {
            path: "/out/sales.csv".into(),
            format: Format::Csv,
        };
        assert_eq!(check("-o /out/sales.csv")?, Destination::File(file));
        let table = engine::Destination::Table {
            table: TableDef::new("hbase", "hbase:sales"),
            mode: Mode::Overwrite,
        };
        assert_eq!(check("-o hbase:sales")?, Destination::Publish(table));
        Ok(())
    }

    #[test]
    fn outputs_that_cannot_be_are_refused() {
        let kind = |flags: &str| check(flags).err().map(|e| e.kind());
        assert_eq!(kind("-o orders"), Some(ErrorKind::InvalidInput));
        assert_eq!(kind("-o one_file"), Some(ErrorKind::InvalidInput));
        assert_eq!(kind("-o sales_cvs"), Some(ErrorKind::NotFound));
        assert_eq!(
            kind("-o ./out --format table"),
            Some(ErrorKind::InvalidInput)
        );
        assert_eq!(
            kind("-o ./out.csv --format json"),
            Some(ErrorKind::InvalidInput)
        );
    }

    #[test]
    fn a_write_is_reported_in_one_line() {
        let line = wrote(1_234_567, 88 << 20, 16, "file:///out/sales");
        assert_eq!(
            line,
            "wrote 1,234,567 rows (88.0 MiB, 16 files) to file:///out/sales"
        );
    }
}
