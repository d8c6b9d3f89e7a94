//! The prompt of `emporia sql`.

use std::path::PathBuf;

use emporia_core::error::{Error, ErrorKind, Result};
use emporia_sql::{Source, split_statements};
use rustyline::DefaultEditor;
use rustyline::error::ReadlineError;

use super::sql::Runner;
use super::tables;
use crate::args::Format;
use crate::console::write_line;
use crate::exit;
use crate::interrupt::guarded;
use crate::settings::Context;

const PROMPT: &str = "emporia> ";
const MORE: &str = "    ...> ";
const HELP: &str = "\\d [TABLE]  tables, or the columns of one\n\\timing     \
                    how long a statement takes, on or off\n\\q          leave\nA statement ends with ;";

/// Reads statements until the user leaves; an error does not end the prompt.
pub(super) async fn run(mut runner: Runner<'_>, context: &Context) -> Result<()> {
    let mut editor = DefaultEditor::new().map_err(failed)?;
    let history = history_file();
    if let Some(path) = &history {
        // A first session has none yet.
        let _ = editor.load_history(path);
    }
    runner.printer.has_time = false;
    context
        .console
        .say("statements end with ;  \\? helps, \\q leaves");
    let mut typed = String::new();
    loop {
        match editor.readline(if typed.is_empty() { PROMPT } else { MORE }) {
            Ok(line) => {
                typed.push_str(&line);
                typed.push('\n');
                let is_left = if typed.starts_with('\\') {
                    let command = std::mem::take(&mut typed);
                    remember(&mut editor, &command);
                    run_command(command.trim(), &mut runner, context).await
                } else if is_complete(&typed) {
                    let text = std::mem::take(&mut typed);
                    remember(&mut editor, &text);
                    run_statements(&text, &runner, context).await;
                    false
                } else {
                    false
                };
                if is_left {
                    break;
                }
            }
            // Ctrl-C drops what was typed, Ctrl-D leaves.
            Err(ReadlineError::Interrupted) => typed.clear(),
            Err(ReadlineError::Eof) => break,
            Err(error) => return Err(failed(error)),
        }
    }
    if let Some(path) = &history {
        save(&mut editor, path);
    }
    Ok(())
}

/// Whether the text is blank or ends with a whole statement.
fn is_complete(text: &str) -> bool {
    if text.trim().is_empty() {
        return true;
    }
    // An open quote or comment goes on in the next line.
    split_statements(text).is_ok_and(|statements| statements.iter().all(|s| s.is_terminated))
}

async fn run_statements(text: &str, runner: &Runner<'_>, context: &Context) {
    let session = &runner.connection.session;
    let work = async {
        for statement in &split_statements(text)? {
            runner
                .run(&Source::from(statement), &statement.text)
                .await?;
        }
        Ok(())
    };
    report(
        guarded(Some(session), context.settings.timeout, work).await,
        context,
    );
}

/// Runs a command that begins with a backslash; returns whether the user leaves.
async fn run_command(command: &str, runner: &mut Runner<'_>, context: &Context) -> bool {
    let (name, argument) = command.split_once(' ').unwrap_or((command, ""));
    match (name, argument.trim()) {
        ("\\q", _) => return true,
        ("\\?", _) => write_line(HELP),
        ("\\timing", _) => {
            runner.printer.has_time = !runner.printer.has_time;
            write_line(if runner.printer.has_time {
                "timing is on"
            } else {
                "timing is off"
            });
        }
        ("\\d", "") => report(
            tables::list(runner.connection.session.catalog(), Format::Table),
            context,
        ),
        ("\\d", table) => {
            let columns = tables::columns(&runner.connection.session, table, Format::Table);
            report(columns.await, context);
        }
        _ => write_line(&format!("unknown command {name}\n{HELP}")),
    }
    false
}

fn report(result: Result<()>, context: &Context) {
    if let Err(error) = result {
        exit::finish(&error, context.is_verbose);
    }
}

fn remember(editor: &mut DefaultEditor, text: &str) {
    let text = text.trim();
    if !text.is_empty() {
        let _ = editor.add_history_entry(text);
    }
}

/// Statements may hold personal data, so nobody else may read the file.
fn save(editor: &mut DefaultEditor, path: &PathBuf) {
    if let Some(folder) = path.parent()
        && let Err(error) = std::fs::create_dir_all(folder)
    {
        tracing::warn!(%error, "the history is not saved");
        return;
    }
    if let Err(error) = editor.save_history(path) {
        tracing::warn!(%error, "the history is not saved");
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let owner_only = std::fs::Permissions::from_mode(0o600);
        if let Err(error) = std::fs::set_permissions(path, owner_only) {
            tracing::warn!(%error, "others may read the history");
        }
    }
}

/// `$XDG_STATE_HOME/emporia/history`, by default below `~/.local/state`.
fn history_file() -> Option<PathBuf> {
    let state = match std::env::var_os("XDG_STATE_HOME") {
        Some(folder) => PathBuf::from(folder),
        None => PathBuf::from(std::env::var_os("HOME")?).join(".local/state"),
    };
    Some(state.join("emporia/history"))
}

fn failed(error: ReadlineError) -> Error {
    Error::new(ErrorKind::Failed, "cannot read from the terminal").with_source(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_goes_on_until_its_semicolon() {
        assert!(is_complete("SELECT 1;\n"));
        assert!(is_complete("\n"));
        assert!(is_complete("SELECT ';' ; -- done\n"));
        assert!(!is_complete("SELECT 1\n"));
        assert!(!is_complete("SELECT ';\n"));
        assert!(!is_complete("SELECT 1; SELECT 2\n"));
        assert!(!is_complete("SELECT /* ; \n"));
    }
}
