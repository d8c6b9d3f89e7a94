//! `emporia demo`: from nothing to explained results in one command.

mod readings;
mod results;
mod shown;

use std::path::Path;
use std::time::Instant;

use emporia_connectors::write::FileFormat;
use emporia_core::catalog::Catalog;
use emporia_core::config::Cluster;
use emporia_core::error::{Error, ErrorKind, Result};
use emporia_core::job::Params;
use emporia_core::location::Location;
use emporia_datasets::GenerateOptions;
use emporia_engine::publish::{Destination, publish};
use emporia_engine::{Session, Stores};

use super::data::{generate_into, threads};
use crate::args::DemoArgs;
use crate::console::{Console, count, shell_word, size};
use crate::exit;
use crate::interrupt::guarded;
use crate::output::print_line;
use crate::registry::{self, Entry};
use crate::settings::Context;
use crate::target::Connection;
use results::{JobResult, Results};
use shown::{SHOWN, Shown};

/// Executors of the demonstration, unless the user names a cluster.
const EXECUTORS: usize = 2;

/// Runs the demonstration.
pub(super) async fn run(args: &DemoArgs, context: &Context) -> Result<()> {
    let start = Instant::now();
    let folder = Location::local(&args.out)?;
    let folder = folder.local_path().unwrap_or_else(|| args.out.clone());
    check_folder(&folder)?;
    let mut context = context.clone();
    if let Cluster::Local { executors } = &mut context.settings.cluster {
        *executors = EXECUTORS;
    }
    let n_rows = generate(args, &folder, context.console);
    let n_rows = guarded(None, context.settings.timeout, n_rows).await?;
    let console = context.console;
    console.say(format!(
        "generated the data of a shop: {n_rows} in {:.1} s",
        start.elapsed().as_secs_f64()
    ));
    let catalog = Catalog::load(&folder.join("data/emporia.toml"))?;
    let connection = Connection::open(&context, catalog.clone()).await?;
    let mut demo = Demo {
        session: connection.session.clone(),
        connection: &connection,
        results: Results::new(folder.clone(), catalog),
        console,
        is_verbose: context.is_verbose,
    };
    // Ctrl-C ends at once: there is nothing that a second run would not replace.
    let outcome = guarded(None, context.settings.timeout, demo.run_all()).await?;
    demo.results.write_catalog()?;
    outcome.say_end(&args.out, start)?;
    match outcome.failed.len() {
        0 => Ok(()),
        n => Err(Error::new(
            ErrorKind::Failed,
            format!("{} failed", count(n as u64, "job")),
        )),
    }
}

/// Refuses a folder that holds other things.
fn check_folder(folder: &Path) -> Result<()> {
    let is_empty = std::fs::read_dir(folder).map_or(true, |mut entries| entries.next().is_none());
    if is_empty || folder.join("data/emporia.toml").is_file() {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::AlreadyExists,
        format!(
            "`{}` is not empty, and not from an earlier demo",
            folder.display()
        ),
    )
    .with_hint("choose another folder with --out"))
}

async fn generate(args: &DemoArgs, folder: &Path, console: Console) -> Result<String> {
    let options = GenerateOptions {
        scale: args.scale,
        seed: args.seed,
        out: folder.join("data").display().to_string(),
        page_views: true,
        threads: threads(),
        overwrite: true,
        ..GenerateOptions::default()
    };
    let summary = generate_into(options, &Stores::default(), console.without_lines()).await?;
    Ok(format!(
        "{} ({})",
        count(summary.rows(), "row"),
        size(summary.bytes())
    ))
}

struct Demo<'a> {
    /// Over the tables that there are by now.
    session: Session,
    connection: &'a Connection,
    results: Results,
    console: Console,
    is_verbose: bool,
}

/// How the jobs went.
#[derive(Default)]
struct Outcome {
    /// Jobs that are only listed: name, rows and summary.
    listed: Vec<(String, u64, String)>,
    failed: Vec<String>,
    n_done: u64,
    /// Tables too large for a CSV copy.
    without_csv: Vec<String>,
}

impl Demo<'_> {
    /// Runs the jobs that are explained, in their order, then all others.
    async fn run_all(&mut self) -> Result<Outcome> {
        let jobs = registry::builtin()?;
        let mut outcome = Outcome::default();
        for shown in SHOWN {
            if let Some(entry) = jobs.iter().find(|e| e.job.spec().name == shown.job) {
                self.run_one(entry, Some(shown), &mut outcome).await?;
            }
        }
        let is_shown = |entry: &&Entry| SHOWN.iter().any(|s| s.job == entry.job.spec().name);
        for entry in jobs.iter().filter(|entry| !is_shown(entry)) {
            self.run_one(entry, None, &mut outcome).await?;
        }
        Ok(outcome)
    }

    /// Runs a job; its failure does not end the demonstration, that of the output does.
    async fn run_one(
        &mut self,
        entry: &Entry,
        shown: Option<&Shown>,
        outcome: &mut Outcome,
    ) -> Result<()> {
        let spec = entry.job.spec();
        let result = match self.publish(entry).await {
            Ok(result) => result,
            Err(error) if error.kind() == ErrorKind::Unavailable => return Err(error),
            Err(error) => {
                self.console.say(format!("job {} failed", spec.name));
                exit::finish(&error, self.is_verbose);
                outcome.failed.push(spec.name.clone());
                return Ok(());
            }
        };
        outcome.n_done += 1;
        outcome
            .without_csv
            .extend(self.results.write_csv(&result).await?);
        match shown {
            Some(shown) => shown::print(shown, spec, &self.results).await?,
            None => {
                let rows = result.tables.first().map_or(0, |(_, rows)| *rows);
                outcome
                    .listed
                    .push((spec.name.clone(), rows, spec.summary.clone()));
            }
        }
        // Later jobs may read what this one made.
        self.session = self
            .connection
            .session_over(self.results.catalog().clone())?;
        Ok(())
    }

    async fn publish(&mut self, entry: &Entry) -> Result<JobResult> {
        let spec = entry.job.spec();
        let params = Params::bind(spec, &[])?;
        if entry.is_sql {
            self.session
                .prepare(spec.inputs.iter().map(String::as_str))
                .await?;
        }
        let run = entry.job.run(&self.session, &params).await?;
        let location = Location::local(&self.results.job_folder(&spec.name))?.to_string();
        let destination = Destination::Folder {
            location,
            format: FileFormat::Parquet,
        };
        let report = publish(&self.session, run, &spec.outputs, &destination).await?;
        let tables = report
            .tables
            .into_iter()
            .map(|table| (table.name, table.rows))
            .collect();
        let result = JobResult {
            job: spec.name.clone(),
            tables,
        };
        self.results.add(&result)?;
        Ok(result)
    }
}

impl Outcome {
    fn say_end(&self, out: &Path, start: Instant) -> Result<()> {
        if !self.listed.is_empty() {
            print_line("\nAlso computed:")?;
        }
        for (name, rows, summary) in &self.listed {
            print_line(&format!(
                "  {name:<30} {:>7} rows  {summary}",
                crate::console::grouped(*rows)
            ))?;
        }
        let seconds = start.elapsed().as_secs_f64();
        let folder = out.display();
        print_line(&format!(
            "\n{} in {seconds:.1} s, data included.",
            count(self.n_done, "job")
        ))?;
        print_line(&format!(
            "Results: {folder}/results (Parquet), {folder}/csv (CSV)"
        ))?;
        if !self.without_csv.is_empty() {
            let tables = self.without_csv.join(", ");
            print_line(&format!(
                "Without CSV, because they have more than 100,000 rows: {tables}"
            ))?;
        }
        let catalog = shell_word(&out.join("emporia.toml").display().to_string());
        print_line(&format!(
            "\nTry next:\n  \
             emporia tables --catalog {catalog}\n  \
             emporia sql --catalog {catalog} -e \"SELECT segment, count(*) AS customers, \
             sum(clv) AS clv FROM clv GROUP BY segment ORDER BY clv DESC\"\n  \
             emporia submit cohort --catalog {catalog} -p period=week --format csv\n  \
             emporia jobs clv\n  \
             emporia cluster up"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_of_other_things_is_refused() -> std::io::Result<()> {
        let folder = tempfile::tempdir()?;
        assert!(check_folder(folder.path()).is_ok());
        assert!(check_folder(&folder.path().join("new")).is_ok());
        std::fs::write(folder.path().join("thesis.txt"), "x")?;
        let kind = check_folder(folder.path()).err().map(|e| e.kind());
        assert_eq!(kind, Some(ErrorKind::AlreadyExists));
        std::fs::create_dir(folder.path().join("data"))?;
        std::fs::write(folder.path().join("data/emporia.toml"), "")?;
        assert!(check_folder(folder.path()).is_ok());
        Ok(())
    }

    #[test]
    fn every_shown_job_exists() -> Result<()> {
        for shown in SHOWN {
            let entry = registry::find(shown.job)?;
            let outputs = &entry.job.spec().outputs;
            assert!(
                outputs.iter().any(|output| output.name == shown.output),
                "{}",
                shown.job
            );
        }
        Ok(())
    }
}
