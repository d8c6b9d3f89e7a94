//! `make conformance`: DataFusion's test files on one process and on a cluster, as a table.
//!
//! usage: conformance [--place one-process|cluster] [--details FILE] [PART OF A FILE'S NAME...]
//! The exit code is 1 where a record is different that tests/conformance/known.txt does not name.

use std::io::Write;
use std::path::PathBuf;

use emporia_e2e::conformance::{Outcome, Place, Source, Totals, known, run_file, test_files};
use emporia_e2e::workspace;

/// What the command line asks for.
#[derive(Debug, Default)]
struct Options {
    place: Option<String>,
    details: Option<PathBuf>,
    files: Vec<String>,
}

impl Options {
    fn parse(mut args: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Self::default();
        while let Some(arg) = args.next() {
            let mut value = || args.next().ok_or_else(|| format!("{arg} needs a value"));
            match arg.as_str() {
                "--place" => options.place = Some(value()?),
                "--details" => options.details = Some(value()?.into()),
                flag if flag.starts_with('-') => return Err(format!("unknown option {flag}")),
                _ => options.files.push(arg),
            }
        }
        Ok(options)
    }

    fn is_wanted(&self, place: &Place) -> bool {
        let name = place.name().replace(' ', "-");
        self.place.as_ref().is_none_or(|wanted| *wanted == name)
    }
}

#[tokio::main]
async fn main() {
    let code = match Options::parse(std::env::args().skip(1)) {
        Err(error) => {
            say(&error);
            2
        }
        Ok(options) => match Place::cluster().await {
            Err(error) => {
                say(&error);
                1
            }
            // A query that hangs would keep the cluster from its end, so the process ends with it.
            Ok(cluster) => end(run(&options, &[Place::OneProcess, cluster]).await),
        },
    };
    std::process::exit(code)
}

fn end(result: Result<bool, String>) -> i32 {
    match result {
        Ok(is_good) => i32::from(!is_good),
        Err(error) => {
            say(&error);
            1
        }
    }
}

/// Whether nothing is different that is not known.
async fn run(options: &Options, places: &[Place]) -> Result<bool, String> {
    let source = Source::fetch()?;
    let list = workspace().join("tests/conformance/known.txt");
    let list = std::fs::read_to_string(list).map_err(|e| e.to_string())?;
    let mut details = String::new();
    let mut is_good = true;
    for place in places {
        if !options.is_wanted(place) {
            continue;
        }
        say(&format!("\n## On {}\n\n{}", place.name(), Totals::HEAD));
        let mut totals = Totals::default();
        for file in test_files(&source.files())? {
            let name = file.display().to_string();
            if !options.files.is_empty()
                && !options
                    .files
                    .iter()
                    .any(|part| name.contains(part.as_str()))
            {
                continue;
            }
            let report = run_file(&source, &file, place).await?;
            say(&report.row());
            totals.add(report);
        }
        say(&totals.summary(place.name()));
        let known = known(&list, place.name());
        for finding in totals.findings() {
            let text = match &finding.outcome {
                Outcome::Refused(reason) => format!("refused: {reason}"),
                Outcome::Different(detail) => {
                    if !known.contains_key(&finding.at) {
                        is_good = false;
                        say(&format!("different: {}", finding.at));
                    }
                    format!("different: {detail}")
                }
                Outcome::Same | Outcome::LeftOut(_) => continue,
            };
            details += &format!(
                "\n[{}] {}\n{}\n{text}\n",
                place.name(),
                finding.at,
                finding.sql
            );
        }
    }
    if let Some(file) = &options.details {
        std::fs::write(file, details).map_err(|e| e.to_string())?;
    }
    Ok(is_good)
}

fn say(text: &str) {
    // Without a reader there is nothing to say.
    let _ = writeln!(std::io::stdout(), "{text}");
}
