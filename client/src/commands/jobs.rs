//! `emporia jobs`: the jobs and their parameters, or the explanation of one.

use std::fmt::Write as _;
use std::io::Write as _;

use emporia_core::error::{Error, ErrorKind, Result};
use emporia_core::job::{JobSpec, ParamSpec};

use super::text_table::TextTable;
use crate::args::JobsArgs;
use crate::output::Stdout;
use crate::registry;

/// Runs the command.
pub(super) fn run(args: &JobsArgs) -> Result<()> {
    if let Some(name) = &args.name {
        let entry = registry::find(name)?;
        return print(&explanation(entry.job.spec()));
    }
    let mut table = TextTable::new(["job", "description", "parameters"]);
    for entry in registry::builtin()? {
        let spec = entry.job.spec();
        let params: Vec<_> = spec.params.iter().map(parameter).collect();
        table.row([&spec.name, &spec.summary, &params.join(" ")]);
    }
    table.print(args.format)
}

/// The name, marked where a value must be given.
fn parameter(param: &ParamSpec) -> String {
    match &param.default {
        Some(_) => param.name.clone(),
        None => format!("{}=<{}>", param.name, param.kind),
    }
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
