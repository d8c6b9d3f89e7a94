//! The SQL front end of Emporia.
//!
//! A SQL job is a file with one query: its header comment declares name, parameters, inputs and
//! output ([`header`] has the format), its text uses the parameters as named placeholders. A user
//! adds a job by adding a file. Parameters reach the plan as typed values, never as text.
//!
//! The crate also has what an interactive SQL client needs: splitting a script into statements,
//! checking their syntax, and turning planner errors into messages that show the place in the text.
//!
//! ```text
//!  file ──> header ──> JobSpec ─┐
//!    └────> query  ──> checked ─┴─> SqlJob ── plan(context, params) ──> DataFrame
//! ```

mod bind;
mod builtin;
mod describe;
pub mod header;
mod job;
mod load;
mod query;
mod source;
mod split;
mod syntax;

pub use builtin::builtin_jobs;
pub use describe::{describe_error, table_names};
pub use job::{SqlJob, plan};
pub use load::{load_dir, load_file};
pub use source::Source;
pub use split::{SqlStatement, split_statements};
pub use syntax::check_syntax;
