//! `docs/configuration.md`, made from the schema.

use std::fmt::Write;

use super::{ClientSettings, ExecutorSettings, Key, SchedulerSettings, Settings, StoreSettings};

const INTRODUCTION: &str = "\
# Configuration

<!-- Generated from core/src/config/schema.rs; to update it, run
     make docs -->

Every process reads the same keys in the same way. A value is taken from the first of:

1. the command line flag;
2. the environment variable `EMPORIA_<SECTION>__<KEY>`, with two underscores in the middle;
3. the configuration file;
4. the default.

One file and one environment can serve a whole cluster: each process takes its own section and
checks the others. An unknown section, an unknown key and a value of the wrong form are errors that
name the place. Variables without two underscores after the section are left alone.

The file is TOML:

```toml
[scheduler]
bind_host = \"0.0.0.0\"
task_max_failures = 4

[executor]
scheduler_url = \"http://scheduler:50050\"
work_dir = \"/var/lib/emporia\"
memory_fraction = \"70%\"

[client]
cluster = \"http://scheduler:50050\"
timeout = \"30m\"

[tables.transactions]
connector = \"parquet\"
location = \"data/transactions/\"
contract = \"transactions\"
```

## Forms of values

| Form | Written as |
|---|---|
| duration | a whole number and `ms`, `s`, `m`, `h` or `d`: `500ms`, `30s`, `5m` |
| size | a whole number and `B`, `KiB`, `MiB`, `GiB`, `TiB` (powers of 1024) or `kB`, `MB`, `GB`, `TB` (powers of 1000): `128MiB` |
| fraction | `0.7` or `70%` |
| path | in the file relative to the folder of the file, elsewhere to the working folder |
| not set | the empty text, for keys without a default |
";

const TABLES: &str = "
## `warehouse`

A key at the top of the file, above the first section: the folder for the tables that `CREATE TABLE` makes, a
path relative to the folder of the file or a URI such as `hdfs://namenode/warehouse`. All processes have to see
it under this name. Each folder in it with a published result is a table, and `DROP TABLE` removes it. Without
`warehouse` such tables last as long as the session that made them. See [sql.md](sql.md).

## `[tables.<name>]`

A section per table says where it is; jobs and SQL use only its name.

| Key | Form | Meaning |
|---|---|---|
| `connector` | `parquet`, `csv`, `json`, `hbase` or `mongodb` | Format of the files, or the store. |
| `location` | a path or a URI | A file or a folder; a folder ends with `/`. A relative path is relative to the folder of the file. `hdfs://…` for files on HDFS, `hbase:[namespace:]table`, `mongodb:database.collection`. |
| `contract` | a name | Table of the data contract whose schema this table has. |
| `columns` | a list such as `[\"id int64\", \"price decimal(18,2)\"]` | The schema, in place of `contract`. Types are `string`, `int32`, `int64`, `float64`, `bool`, `date`, `timestamp`, `decimal(p,s)`, `list(…)` and `struct(name …, …)`. |
| `options` | a table of texts | Options of the connector; [stores.md](stores.md) has those of the stores. |

Without `contract` and `columns` the files define the schema.
";

/// The text of `docs/configuration.md`.
pub fn reference_markdown() -> String {
    let mut text = INTRODUCTION.to_owned();
    section::<SchedulerSettings>(&mut text);
    section::<ExecutorSettings>(&mut text);
    section::<ClientSettings>(&mut text);
    section::<StoreSettings>(&mut text);
    text.push_str(TABLES);
    text
}

fn section<S: Settings>(text: &mut String) {
    text.push_str(&format!("\n## `[{}]`\n\n", S::SECTION));
    text.push_str("| Key | Default | Form | Meaning |\n|---|---|---|---|\n");
    for key in S::keys() {
        row(text, &key);
    }
}

fn row(text: &mut String, key: &Key) {
    let default = if key.default.is_empty() {
        "not set".to_owned()
    } else {
        format!("`{}`", key.default)
    };
    let secret = if key.secret {
        " Never shown in any output."
    } else {
        ""
    };
    // Writing to a `String` cannot fail.
    let _ = writeln!(
        text,
        "| `{}`<br>`{}` | {default} | {} | {}{secret} |",
        key.name,
        key.env_name(),
        key.form.replace('|', "\\|"),
        key.doc.replace('|', "\\|"),
    );
}
