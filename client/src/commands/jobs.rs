//! `emporia jobs`: the jobs, or the explanation of one with its parameters.

use std::fmt::Write as _;
use std::io::Write as _;

use emporia_core::error::{Error, ErrorKind, Result};
use emporia_core::job::JobSpec;

use super::text_table::TextTable;
use crate::args::{JobsArgs, ListFormat};
use crate::output::{self, Stdout};
use crate::registry;

/// Characters between two columns of a table.
const COLUMN_GAP: usize = 3;
/// Least width of the descriptions, however narrow the terminal is.
const MIN_WIDTH: usize = 20;

/// Runs the command.
pub(super) fn run(args: &JobsArgs) -> Result<()> {
    if let Some(name) = &args.name {
        let entry = registry::find(name)?;
        return print(&explanation(entry.job.spec()));
    }
    let jobs = registry::builtin()?;
    let specs: Vec<_> = jobs.iter().map(|entry| entry.job.spec()).collect();
    let width = match args.format {
        ListFormat::Table => Some(output::line_width()),
        _ => None,
    };
    list(&specs, width).print(args.format)
}

/// One row per job; where lines have a width, further rows take what does not fit.
fn list(specs: &[&JobSpec], line_width: Option<usize>) -> TextTable<2> {
    let longest = specs.iter().map(|spec| spec.name.chars().count()).max();
    let name_width = longest.unwrap_or(0) + COLUMN_GAP;
    let width = line_width.map_or(usize::MAX, |w| w.saturating_sub(name_width).max(MIN_WIDTH));
    let mut table = TextTable::new(["job", "description"]);
    for spec in specs {
        let mut name = spec.name.as_str();
        for line in wrapped(&spec.summary, width) {
            table.row([name, &line]);
            name = "";
        }
    }
    table
}

/// The text in lines of at most `width` characters; a longer word has a line of its own.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    let mut used = 0;
    for word in text.split_whitespace() {
        let length = word.chars().count();
        if used > 0 && used + 1 + length > width {
            lines.push(String::new());
            used = 0;
        }
        if let Some(line) = lines.last_mut() {
            if used > 0 {
                line.push(' ');
                used += 1;
            }
            line.push_str(word);
            used += length;
        }
    }
    lines
}

/// Markdown: what the job is, its parameters, inputs and outputs.
fn explanation(spec: &JobSpec) -> String {
    let mut text = String::new();
    if !spec.docs.trim_start().starts_with("# ") {
        let _ = writeln!(text, "# {}\n\n{}\n", spec.name, spec.summary);
    }
    let _ = writeln!(text, "{}\n", spec.docs.trim());
    if !spec.params.is_empty() {
        text.push_str("## Parameters\n\n| name | kind | default | meaning |\n|---|---|---|---|\n");
        for param in &spec.params {
            let default = param.default.as_deref().unwrap_or("(required)");
            let kind = param.kind.to_string().replace('|', "\\|");
            let _ = writeln!(
                text,
                "| `{}` | {kind} | {default} | {} |",
                param.name, param.doc
            );
        }
        text.push('\n');
    }
    let _ = writeln!(text, "Reads: {}", spec.inputs.join(", "));
    for output in &spec.outputs {
        let _ = writeln!(
            text,
            "Makes: {} (one row per {})",
            output.name,
            output.key.join(", ")
        );
    }
    text
}

fn print(text: &str) -> Result<()> {
    let mut stdout = Stdout::new();
    stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush())
        .map_err(|e| Error::new(ErrorKind::Failed, "cannot print the explanation").with_source(e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_fits_the_lines() -> Result<()> {
        let jobs = registry::builtin()?;
        let specs: Vec<_> = jobs.iter().map(|entry| entry.job.spec()).collect();
        let gap = COLUMN_GAP;
        let name_width = specs.iter().map(|s| s.name.len()).max().unwrap_or(0);
        for width in [80, 100, 200] {
            let rows = list(&specs, Some(width)).into_rows();
            let is_fit = |row: &[String; 2]| name_width + gap + row[1].chars().count() <= width;
            assert!(rows.iter().all(is_fit), "{width}");
        }
        assert_eq!(list(&specs, None).into_rows().len(), specs.len());
        Ok(())
    }

    #[test]
    fn words_stay_whole() {
        assert_eq!(wrapped("one two three", 7), ["one two", "three"]);
        assert_eq!(wrapped("one two", usize::MAX), ["one two"]);
        assert_eq!(wrapped("a verylongword b", 5), ["a", "verylongword", "b"]);
        assert_eq!(wrapped("", 5), [""]);
    }

    #[test]
    fn every_job_is_explained() -> Result<()> {
        for entry in registry::builtin()? {
            let spec = entry.job.spec();
            let text = explanation(spec);
            assert!(text.starts_with("# "), "{}", spec.name);
            for param in &spec.params {
                assert!(
                    text.contains(&format!("| `{}` |", param.name)),
                    "{}",
                    spec.name
                );
            }
        }
        Ok(())
    }
}
