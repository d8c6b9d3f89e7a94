//! The prompt of `emporia sql`.

use std::path::PathBuf;

use emporia_core::error::{Error, ErrorKind, Result};
use emporia_sql::split_statements;
use rustyline::DefaultEditor;
use rustyline::error::ReadlineError;

use super::script::Script;
use super::sql::Runner;
use super::tables;
use crate::args::ListFormat;
use crate::console::write_line;
use crate::exit;
use crate::interrupt::guarded;
use crate::settings::Context;

const PROMPT: &str = "emporia> ";
const MORE: &str = "    ...> ";
const HELP: &str = "\
\\d          tables and views
\\d TABLE    columns of one of them
\\timing     how long a statement takes, on or off
\\?, help    this text
\\q, quit    leave (also exit, Ctrl-D)
A statement ends with ; and may go over several lines. Ctrl-C drops what is typed.";

/// What the prompt does itself. It needs no semicolon, because no statement begins so.
#[derive(Debug, Clone, PartialEq, Eq)]
enum PromptCommand {
    /// List the tables.
    Tables,
    /// Show the columns of a table.
    Columns(String),
    /// Turn the times of statements on or off.
    Timing,
    /// Say what the prompt can do.
    Help,
    /// Leave.
    Quit,
    /// A word with a backslash that is none of these.
    Unknown(String),
}

impl PromptCommand {
    /// Reads a line; `None` where it is SQL.
    fn parse(line: &str) -> Option<Self> {
        let line = line.trim().trim_end_matches(';').trim_end();
        let (name, argument) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let argument = argument.trim();
        Some(match (name.to_lowercase().as_str(), argument) {
            ("\\q", _) | ("quit" | "exit", "") => Self::Quit,
            ("\\?" | "\\h", _) | ("help", "") => Self::Help,
            ("\\timing", _) => Self::Timing,
            ("\\d", "") => Self::Tables,
            ("\\d", table) => Self::Columns(table.trim_matches('"').to_owned()),
            (other, _) if other.starts_with('\\') => Self::Unknown(name.to_owned()),
            _ => return None,
        })
    }
}

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
        .say("end a statement with ;  type help for commands, quit to leave");
    let mut typed = String::new();
    loop {
        match editor.readline(if typed.is_empty() { PROMPT } else { MORE }) {
            Ok(line) => {
                if typed.is_empty()
                    && let Some(command) = PromptCommand::parse(&line)
                {
                    remember(&mut editor, &line);
                    if command == PromptCommand::Quit {
                        break;
                    }
                    run_command(command, &mut runner, context).await;
                    continue;
                }
                typed.push_str(&line);
                typed.push('\n');
                if is_complete(&typed) {
                    let text = std::mem::take(&mut typed);
                    remember(&mut editor, &text);
                    run_statements(text, &runner, context).await;
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

async fn run_statements(text: String, runner: &Runner<'_>, context: &Context) {
    let session = &runner.connection.session;
    let script = Script::typed(text);
    let work = async {
        let statements = script.statements()?;
        runner.run_all(&script, &statements).await
    };
    report(
        guarded(Some(session), context.settings.timeout, work).await,
        context,
    );
}

async fn run_command(command: PromptCommand, runner: &mut Runner<'_>, context: &Context) {
    let session = &runner.connection.session;
    match command {
        PromptCommand::Quit => {}
        PromptCommand::Help => write_line(HELP),
        PromptCommand::Timing => {
            runner.printer.has_time = !runner.printer.has_time;
            write_line(if runner.printer.has_time {
                "timing is on"
            } else {
                "timing is off"
            });
        }
        PromptCommand::Tables => {
            let made = session.made().await;
            let tables = made.and_then(|made| tables::list(session.catalog(), &made));
            report(tables.and_then(|t| t.print(ListFormat::Table)), context);
        }
        PromptCommand::Columns(table) => {
            let columns = tables::columns(session, &table).await;
            report(columns.and_then(|c| c.print(ListFormat::Table)), context);
        }
        PromptCommand::Unknown(name) => write_line(&format!("unknown command {name}\n{HELP}")),
    }
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
    fn commands_of_the_prompt_need_no_semicolon() {
        use PromptCommand::{Columns, Help, Quit, Tables, Timing, Unknown};
        let check = |line: &str, expected: Option<PromptCommand>| {
            assert_eq!(PromptCommand::parse(line), expected, "{line}");
        };
        for line in ["quit", "exit", "EXIT;", " \\q ", "\\q;"] {
            check(line, Some(Quit));
        }
        for line in ["help", "Help;", "\\?", "\\h"] {
            check(line, Some(Help));
        }
        check("\\timing", Some(Timing));
        check("\\d", Some(Tables));
        check(" \\d ;", Some(Tables));
        check("\\d users;", Some(Columns("users".into())));
        check("\\d  \"Users\"", Some(Columns("Users".into())));
        check("\\x", Some(Unknown("\\x".into())));
        for line in ["SELECT 1;", "help me", "", "exit 1", "-- quit"] {
            check(line, None);
        }
    }

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
