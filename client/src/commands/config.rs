//! `emporia config show`: every setting and where it comes from.

use emporia_core::error::Result;

use super::text_table::TextTable;
use crate::args::ConfigCommand;
use crate::settings::Context;

/// Runs the command.
pub(super) fn run(command: &ConfigCommand, context: &Context) -> Result<()> {
    let ConfigCommand::Show { format } = command;
    let mut table = TextTable::new(["key", "value", "origin"]);
    for setting in &context.effective {
        table.row([&setting.key, &setting.value, &setting.origin.to_string()]);
    }
    table.print(*format)
}
