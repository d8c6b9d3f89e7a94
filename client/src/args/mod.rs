//! The command line, parsed into plain structs.

mod global;
mod values;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use emporia_datasets::import::MaxRejects;

pub use global::GlobalArgs;
use values::{duration, name_value, scale};

/// Rows of a printed table before the rest is left out.
pub const DEFAULT_MAX_ROWS: usize = 50;

const EXIT_CODES: &str = "\
Exit codes:
  0    done
  1    the job or query failed
  2    wrong usage of the command line
  3    invalid job, SQL, parameter, table or configuration; nothing was started
  4    the cluster cannot be reached, or was lost
  5    the timeout passed
  130  interrupted";

/// Analytics for online shops on a cluster: jobs, SQL, data and the cluster itself.
#[derive(Debug, Clone, PartialEq, Parser)]
#[command(name = "emporia", version, after_help = EXIT_CODES, disable_help_subcommand = true)]
pub struct Cli {
    /// Flags of every command.
    #[command(flatten)]
    pub global: GlobalArgs,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Clone, PartialEq, Subcommand)]
pub enum Command {
    /// Run a job and print or write what it makes.
    Submit(SubmitArgs),
    /// Run SQL statements, from the command line, a file or a prompt.
    Sql(SqlArgs),
    /// List the jobs, or explain one.
    Jobs(JobsArgs),
    /// List the tables of the catalog.
    Tables(TablesArgs),
    /// Show how a query or job would run.
    Explain(ExplainArgs),
    /// Generate the data of an online shop.
    Generate(GenerateArgs),
    /// Load a table into HBase or MongoDB.
    Load(LoadArgs),
    /// Import a public data set.
    #[command(subcommand)]
    Import(ImportCommand),
    /// Generate a small data set, run all jobs over it and explain the results.
    Demo(DemoArgs),
    /// Start, stop or look at a cluster of processes on this machine.
    #[command(subcommand)]
    Cluster(ClusterCommand),
    /// Show the configuration.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Print a completion script, e.g. `source <(emporia completions bash)`.
    Completions {
        /// The shell.
        shell: Shell,
    },
}

/// Form of printed or written rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Aligned columns for reading.
    Table,
    /// Comma-separated values with a header.
    Csv,
    /// Tab-separated values with a header.
    Tsv,
    /// One JSON array of objects.
    Json,
    /// One JSON object per line.
    Ndjson,
    /// Apache Parquet.
    Parquet,
}

impl Format {
    /// The name, which is also the file extension.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Table => "table",
            Self::Csv => "csv",
            Self::Tsv => "tsv",
            Self::Json => "json",
            Self::Ndjson => "ndjson",
            Self::Parquet => "parquet",
        }
    }
}

/// Form of a printed list, which is text in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ListFormat {
    /// Aligned columns for reading.
    Table,
    /// Comma-separated values with a header.
    Csv,
    /// Tab-separated values with a header.
    Tsv,
    /// One JSON array of objects.
    Json,
    /// One JSON object per line.
    Ndjson,
}

impl From<ListFormat> for Format {
    fn from(format: ListFormat) -> Self {
        match format {
            ListFormat::Table => Self::Table,
            ListFormat::Csv => Self::Csv,
            ListFormat::Tsv => Self::Tsv,
            ListFormat::Json => Self::Json,
            ListFormat::Ndjson => Self::Ndjson,
        }
    }
}

/// How rows are printed.
#[derive(Debug, Clone, Default, PartialEq, Args)]
pub struct DisplayArgs {
    /// Form of the rows [default: table, or parquet when they are written].
    #[arg(long)]
    pub format: Option<Format>,
    /// Rows of a printed table, 0 for all and for texts of any width; other forms are complete.
    #[arg(long, value_name = "N", default_value_t = DEFAULT_MAX_ROWS)]
    pub max_rows: usize,
    /// What stands for null in table, csv and tsv.
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true
    )]
    pub null_string: String,
    /// Leave out the header of csv and tsv.
    #[arg(long)]
    pub no_header: bool,
}

/// `emporia submit`.
#[derive(Debug, Clone, PartialEq, Args)]
pub struct SubmitArgs {
    /// Name of a job (`emporia jobs` lists them) or a file with a SQL job.
    #[arg(value_name = "JOB|FILE.sql")]
    pub job: String,
    /// A parameter of the job.
    #[arg(long = "param", short, value_name = "NAME=VALUE", value_parser = name_value)]
    pub params: Vec<(String, String)>,
    /// Write the results instead of printing them: a table of the catalog, a folder (for all
    /// outputs), a file ending in .parquet, .csv, .tsv, .json or .ndjson (for the main one), or
    /// hbase:TABLE or mongodb:DATABASE.COLLECTION, whose entry for the catalog is printed.
    #[arg(long, short, value_name = "TABLE|URI")]
    pub output: Option<String>,
    /// Print all outputs of the job, not only the main one.
    #[arg(long, conflicts_with = "output")]
    pub all_outputs: bool,
    /// How rows are printed.
    #[command(flatten)]
    pub display: DisplayArgs,
}

/// `emporia sql`.
#[derive(Debug, Clone, PartialEq, Args)]
pub struct SqlArgs {
    /// Statements to run, separated by semicolons.
    #[arg(long, short, value_name = "SQL")]
    pub execute: Vec<String>,
    /// File with statements; `-` is the standard input.
    #[arg(long, short, value_name = "FILE", conflicts_with = "execute")]
    pub file: Option<PathBuf>,
    /// How rows are printed.
    #[command(flatten)]
    pub display: DisplayArgs,
}

/// `emporia jobs`.
#[derive(Debug, Clone, PartialEq, Args)]
pub struct JobsArgs {
    /// The job to explain, as Markdown text.
    pub name: Option<String>,
    /// Form of the list.
    #[arg(long, default_value = "table", conflicts_with = "name")]
    pub format: ListFormat,
}

/// `emporia tables`.
#[derive(Debug, Clone, PartialEq, Args)]
pub struct TablesArgs {
    /// The table whose columns to show.
    pub name: Option<String>,
    /// Form of the list.
    #[arg(long, default_value = "table")]
    pub format: ListFormat,
}

/// `emporia explain`.
#[derive(Debug, Clone, PartialEq, Args)]
pub struct ExplainArgs {
    /// A query, the name of a job, or a file with a SQL job.
    #[arg(value_name = "SQL|JOB", required_unless_present_any = ["execute", "file"])]
    pub query: Option<String>,
    /// Queries to explain, separated by semicolons.
    #[arg(long, short, value_name = "SQL", conflicts_with = "query")]
    pub execute: Vec<String>,
    /// File with queries or a SQL job; `-` is the standard input.
    #[arg(long, short, value_name = "FILE", conflicts_with_all = ["query", "execute"])]
    pub file: Option<PathBuf>,
    /// Run it and show rows and times of every step.
    #[arg(long)]
    pub analyze: bool,
    /// A parameter of the job.
    #[arg(long = "param", short, value_name = "NAME=VALUE", value_parser = name_value)]
    pub params: Vec<(String, String)>,
}

/// Format of generated files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DataFormat {
    /// Apache Parquet.
    Parquet,
    /// One JSON object per line.
    Json,
    /// Comma-separated values with a header.
    Csv,
}

/// `emporia generate`.
#[derive(Debug, Clone, PartialEq, Args)]
pub struct GenerateArgs {
    /// Size; 1 is 10,000 users and 500,000 orders.
    #[arg(long, default_value = "1", value_parser = scale)]
    pub scale: f64,
    /// Equal seeds make equal data.
    #[arg(long, default_value_t = 42)]
    pub seed: u64,
    /// Folder for the data and its catalog `emporia.toml`.
    #[arg(long, short, value_name = "URI")]
    pub out: String,
    /// Format of the files.
    #[arg(long, default_value = "parquet")]
    pub format: DataFormat,
    /// Only these tables; all but page_views without it.
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub tables: Vec<String>,
    /// Make the page views too, about ten rows per session.
    #[arg(long)]
    pub page_views: bool,
    /// Replace tables that are there.
    #[arg(long)]
    pub overwrite: bool,
}

/// `emporia load`.
#[derive(Debug, Clone, PartialEq, Args)]
pub struct LoadArgs {
    /// Table of the catalog, e.g. sessions or users.
    pub table: String,
    /// Where to: hbase:TABLE, mongodb:DATABASE.COLLECTION or a table of the catalog.
    #[arg(long, value_name = "TARGET")]
    pub to: String,
    /// Name of the loaded table in the printed entry of the catalog; that of the table without it.
    #[arg(long = "as", value_name = "NAME")]
    pub name: Option<String>,
    /// Read these JSON files instead of the catalog's table: sessions as web servers log them, with
    /// nested page_views and cart_contents.
    #[arg(long, value_name = "URI")]
    pub from: Option<String>,
    /// Write lines of these files that are not sessions to this folder; without it, the load ends at
    /// the first one.
    #[arg(long, value_name = "URI", requires = "from")]
    pub rejected: Option<String>,
    /// With --rejected: largest share of lines that may be unreadable, e.g. 0.05 or 5%; beyond it
    /// nothing is loaded.
    #[arg(long, value_name = "SHARE", default_value = "5%")]
    pub max_rejects: MaxRejects,
    /// Columns that identify a row; those of the data contract without it.
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub key: Vec<String>,
    /// An option of the target's connector.
    #[arg(long = "option", value_name = "NAME=VALUE", value_parser = name_value)]
    pub options: Vec<(String, String)>,
}

/// `emporia import`.
#[derive(Debug, Clone, PartialEq, Subcommand)]
pub enum ImportCommand {
    /// Online Retail (UCI 352) or Online Retail II (UCI 502), as Excel workbooks or CSV.
    OnlineRetail {
        /// A file, or the folder of the files: .xlsx, or .csv, .tsv or .txt, plain or with .gz.
        dir: PathBuf,
        /// Order of day and month in dates such as 12/1/2010; without it, the dates tell.
        #[arg(long, value_enum)]
        dates: Option<DateOrder>,
        /// Where to.
        #[command(flatten)]
        to: ImportTarget,
    },
    /// The CDNOW master file or sample (Fader and Hardie).
    Cdnow {
        /// The text file.
        file: PathBuf,
        /// Where to.
        #[command(flatten)]
        to: ImportTarget,
    },
}

/// Where an import goes.
#[derive(Debug, Clone, PartialEq, Args)]
pub struct ImportTarget {
    /// Folder for the tables and their catalog `emporia.toml`.
    #[arg(long, short, value_name = "URI")]
    pub out: String,
    /// Replace tables that are there.
    #[arg(long)]
    pub overwrite: bool,
    /// Largest share of rows that may be unreadable, e.g. 0.05 or 5%; beyond it nothing is written.
    #[arg(long, value_name = "SHARE", default_value = "5%")]
    pub max_rejects: MaxRejects,
}

/// Order of day and month in a date.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DateOrder {
    /// As in the United States.
    MonthFirst,
    /// As nearly everywhere else.
    DayFirst,
}

/// `emporia demo`.
#[derive(Debug, Clone, PartialEq, Args)]
pub struct DemoArgs {
    /// Folder for data and results.
    #[arg(long, short, value_name = "DIR", default_value = "./emporia-demo")]
    pub out: PathBuf,
    /// Size of the data; 1 is 10,000 users and 500,000 orders.
    #[arg(long, default_value = "0.05", value_parser = scale)]
    pub scale: f64,
    /// Equal seeds make equal data.
    #[arg(long, default_value_t = 42)]
    pub seed: u64,
}

/// `emporia cluster`.
#[derive(Debug, Clone, PartialEq, Subcommand)]
pub enum ClusterCommand {
    /// Start a scheduler and executors as processes of this machine.
    Up {
        /// Number of executors.
        #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=64))]
        executors: u16,
        /// Tasks that each executor runs at a time.
        #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=256))]
        slots: u16,
        /// Port of the scheduler; 0 for any.
        #[arg(long, default_value_t = 50050)]
        port: u16,
        /// Where the processes leave their state, logs and data.
        #[command(flatten)]
        state: StateDir,
    },
    /// Stop it: running jobs may end, then the processes do.
    Down {
        /// Time after which the processes are killed.
        #[arg(long, default_value = "75s", value_parser = duration)]
        deadline: Duration,
        /// Where the processes left their state.
        #[command(flatten)]
        state: StateDir,
    },
    /// Show its processes, or with --cluster http://host:port the executors of any cluster.
    Status {
        /// Form of the list.
        #[arg(long, default_value = "table")]
        format: ListFormat,
        /// Where the processes left their state.
        #[command(flatten)]
        state: StateDir,
    },
}

/// Where a local cluster keeps its state.
#[derive(Debug, Clone, PartialEq, Args)]
pub struct StateDir {
    /// Folder for state, logs and data of the cluster.
    #[arg(long, value_name = "DIR", default_value = "./.emporia/cluster")]
    pub state_dir: PathBuf,
}

/// `emporia config`.
#[derive(Debug, Clone, PartialEq, Subcommand)]
pub enum ConfigCommand {
    /// Print every setting with its value and where the value comes from.
    Show {
        /// Form of the list.
        #[arg(long, default_value = "table")]
        format: ListFormat,
    },
}

/// Shells with completion scripts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Shell {
    /// GNU Bash.
    Bash,
    /// Z shell.
    Zsh,
    /// fish.
    Fish,
}

#[cfg(test)]
mod tests;
