//! `emporia demo`.

use emporia_core::error::Result;

use crate::args::DemoArgs;
use crate::settings::Context;

/// Runs the demonstration.
pub(super) async fn run(_args: &DemoArgs, _context: &Context) -> Result<()> {
    Ok(())
}
