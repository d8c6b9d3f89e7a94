//! Which files of a folder make up a table.
//!
//! Every file is read, or left out by a rule that the docs state, or named in an error: a file that
//! is passed over in silence is rows that are missing in silence.

use std::collections::HashSet;

use emporia_core::error::{Error, Result};
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};

use super::result::parts;
use super::special;
use super::version::settled;
use crate::hdfs::Fault;
use crate::location::Location;
use crate::published::{COMMITS, Head, POINTER, is_run_folder, storage_error};

/// Endings of compressed text.
const COMPRESSED: [&str; 4] = ["gz", "zst", "bz2", "xz"];

/// What the files of a connector are called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileNames {
    /// The connector, as messages name it.
    connector: &'static str,
    /// Endings in lower case, without the dot.
    endings: &'static [&'static str],
    /// What may follow the ending.
    compression: Compression,
}

/// Whether a file as a whole may be compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Compression {
    /// The format compresses inside.
    Inside,
    /// As text is.
    Around,
}

impl FileNames {
    /// Parquet.
    pub const PARQUET: Self = Self {
        connector: "parquet",
        endings: &["parquet", "parq", "pq"],
        compression: Compression::Inside,
    };
    /// Delimited text.
    pub const CSV: Self = Self {
        connector: "csv",
        endings: &["csv", "tsv", "txt"],
        compression: Compression::Around,
    };
    /// JSON, one value per line.
    pub const JSON: Self = Self {
        connector: "json",
        endings: &["json", "ndjson", "jsonl"],
        compression: Compression::Around,
    };

    /// Whether a file of this name belongs to a table. A name without an ending does: so programs
    /// write parts (`part-00000`, `000000_0`).
    pub fn fit(&self, file: &str) -> bool {
        // Copies that editors keep.
        if file.ends_with(['~', '#']) {
            return false;
        }
        let lower = file.to_ascii_lowercase();
        let mut stem = lower.as_str();
        if self.compression == Compression::Around
            && let Some((before, last)) = stem.rsplit_once('.')
            && COMPRESSED.contains(&last)
        {
            stem = before;
        }
        match ending(stem) {
            Some(ending) => self.endings.contains(&ending),
            None => true,
        }
    }

    /// The endings in words.
    fn in_words(&self) -> String {
        let endings: Vec<_> = self.endings.iter().map(|e| format!(".{e}")).collect();
        let endings = endings.join(", ");
        match self.compression {
            Compression::Inside => endings,
            Compression::Around => {
                let around: Vec<_> = COMPRESSED.iter().map(|e| format!(".{e}")).collect();
                format!("{endings} (with {} after it, too)", around.join(", "))
            }
        }
    }
}

/// What follows the last dot, if it is an ending: `2024-01` of `orders.2024-01` is not one.
fn ending(file: &str) -> Option<&str> {
    let (_, ending) = file.rsplit_once('.')?;
    let is_word = ending.starts_with(|c: char| c.is_ascii_alphabetic())
        && ending.chars().all(|c| c.is_ascii_alphanumeric());
    is_word.then_some(ending)
}

/// Whether a part of a path below the folder of a table is hidden: programs write their own notes
/// there (`_SUCCESS`, `_temporary/`, `.part-0.crc`), and so does Emporia (`_current`). The folder of
/// a partition is not hidden, whatever the name of its column.
pub fn is_hidden(part: &str) -> bool {
    part.starts_with('.') || part.starts_with('_') && !part.contains('=')
}

/// The files of table `name` at the location: the file itself, by whatever name, or those in the folder
/// and below it, in the order of their paths. Local ones are in a version that any later change differs
/// from.
///
/// # Errors
/// `NotFound` where there are none, `InvalidInput` where a file has a name that does not fit or belongs to a
/// published result in text or to a run that never was published, and for local links that lead nowhere, pipes and the like, `Failed` where a local file
/// never stays as it is.
pub async fn list(
    name: &str,
    store: &dyn ObjectStore,
    location: &Location,
    names: &FileNames,
) -> Result<Vec<ObjectMeta>> {
    if !location.is_local() {
        return files_at(name, store, &location.path, names).await;
    }
    // Before anything is opened: a pipe lets its readers wait.
    special::check(name, location.local_path()?).await?;
    settled(files_at(name, store, &location.path, names).await?).await
}

async fn files_at(
    name: &str,
    store: &dyn ObjectStore,
    path: &Path,
    names: &FileNames,
) -> Result<Vec<ObjectMeta>> {
    match store.head(path).await {
        Ok(file) => return Ok(vec![file]),
        // What does not go away by itself was waited for already.
        Err(error) if Fault::of(&error).is_some_and(Fault::is_transient) => {
            return Err(storage_error("read", path, error));
        }
        Err(_) => {}
    }
    let found: Vec<_> = store
        .list(Some(path))
        .try_collect()
        .await
        .map_err(|e| storage_error("list", path, e))?;
    let results = results(&found, path);
    let mut files = Vec::with_capacity(found.len());
    for file in found {
        let Some(mut below) = names_below(&file, path) else {
            continue;
        };
        if below.iter().any(|part| is_hidden(part)) {
            continue;
        }
        // A result says itself which files it has.
        if is_of_run(&below, &results) {
            continue;
        }
        if let Some(depth) = below.iter().position(|part| is_run_folder(part)) {
            return Err(unpublished(name, path, &below[..=depth]));
        }
        let last = below.pop().unwrap_or_default();
        if !names.fit(&last) {
            let connector = names.connector;
            let text = format!(
                "table `{name}`: `/{}` does not look like a file of a {connector} table",
                file.location
            );
            return Err(Error::invalid(text).with_hint(format!(
                "all files in the folder are read; names end in {} or have no ending; move the file \
                 elsewhere, or rename it (names that begin with `_` or `.` are left out)",
                names.in_words()
            )));
        }
        files.push(file);
    }
    // What lies in the folder of the table itself is of a result that was dropped.
    for folder in results.iter().filter(|folder| !folder.is_empty()) {
        files.extend(of_result(name, store, path, folder, names).await?);
    }
    files.sort_by(|a, b| a.location.cmp(&b.location));
    if files.is_empty() {
        return Err(none(name, path, names));
    }
    Ok(files)
}

/// The names that lead from the folder to a file below it.
fn names_below(file: &ObjectMeta, folder: &Path) -> Option<Vec<String>> {
    let names = file.location.prefix_match(folder)?;
    Some(names.map(|name| name.as_ref().to_owned()).collect())
}

/// The folders of published results, by the names that lead to them.
fn results(found: &[ObjectMeta], folder: &Path) -> HashSet<Vec<String>> {
    let of_result = |name: &String| [COMMITS, POINTER].contains(&name.as_str());
    let files = found.iter().filter_map(|file| names_below(file, folder));
    files
        .filter_map(|mut names| {
            names.truncate(names.iter().position(of_result)?);
            names.iter().all(|name| !is_hidden(name)).then_some(names)
        })
        .collect()
}

/// Whether a file lies in the folder of a run of one of the results.
fn is_of_run(below: &[String], results: &HashSet<Vec<String>>) -> bool {
    let folders = below.len().saturating_sub(1);
    (0..folders).any(|depth| is_run_folder(&below[depth]) && results.contains(&below[..depth]))
}

/// The files of the result in a folder below that of the table. In Parquet they say themselves what their columns are; in
/// text only the result does.
async fn of_result(
    name: &str,
    store: &dyn ObjectStore,
    path: &Path,
    below: &[String],
    names: &FileNames,
) -> Result<Vec<ObjectMeta>> {
    let base = below
        .iter()
        .fold(path.clone(), |base, name| base.join(name.as_str()));
    let refused = || {
        let text = format!("table `{name}`: `/{base}` holds a published result");
        let hint = "make the location that folder; in a folder above it, only a result of one output in Parquet is read";
        Err(Error::invalid(text).with_hint(hint))
    };
    if *names != FileNames::PARQUET {
        return refused();
    }
    let Some(result) = Head::load(store, &base).await?.into_result() else {
        return Ok(Vec::new());
    };
    let mut outputs = result.outputs.values();
    match (outputs.next(), outputs.next()) {
        (Some(output), None) if output.format == names.connector => {
            parts(store, &base, output).await
        }
        _ => refused(),
    }
}

/// The error for files of a run that no result lists.
fn unpublished(name: &str, path: &Path, below: &[String]) -> Error {
    let folder = format!("/{path}/{}", below.join("/"));
    let text =
        format!("table `{name}`: `{folder}` is the folder of a run that was never published");
    Error::invalid(text).with_hint(
        "its files may not be complete; write the result again, or remove the folder, or move what is in it to \
         one of another name",
    )
}

/// The error for a table without files.
pub(super) fn none(name: &str, path: &Path, names: &FileNames) -> Error {
    let connector = names.connector;
    let hint = match is_unfinished(path) {
        true => {
            "a name that ends in `#` and digits is that of an unfinished upload; rename the file"
        }
        false => "check the location in the catalog, or generate or import the data first",
    };
    Error::not_found(format!(
        "table `{name}`: there are no {connector} files at `/{path}`"
    ))
    .with_hint(hint)
}

/// Whether the local store takes a file of this name for an upload that was not finished.
fn is_unfinished(path: &Path) -> bool {
    let after = path.filename().and_then(|name| name.split_once('#'));
    after.is_some_and(|(_, n)| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use emporia_core::error::ErrorKind;
    use object_store::memory::InMemory;

    use super::*;
    use crate::format::MANIFEST;

    async fn listed(names: &FileNames, files: &[&str]) -> Result<Vec<String>> {
        let store = InMemory::new();
        for file in files {
            let path = Path::from(format!("shop/t/{file}"));
            store.put(&path, "x".into()).await.unwrap();
        }
        let found = files_at("t", &store, &Path::from("shop/t"), names).await?;
        let short = |file: ObjectMeta| file.location.as_ref().replacen("shop/t/", "", 1);
        Ok(found.into_iter().map(short).collect())
    }

    #[tokio::test]
    async fn usual_endings_and_none_are_read() {
        let parquet = [
            "000000_0",
            "a.2024-05",
            "b.PARQUET",
            "c.parq",
            "d.pq",
            "e.snappy.parquet",
            "part-7",
            "x=1/_y=2/z.parquet",
        ];
        assert_eq!(
            listed(&FileNames::PARQUET, &parquet).await.unwrap(),
            parquet
        );
        let text = [
            "a.csv",
            "b.tsv.gz",
            "c.txt.zst",
            "d",
            "e.csv.bz2",
            "f.gz",
            "g.csv.xz",
        ];
        assert_eq!(listed(&FileNames::CSV, &text).await.unwrap(), text);
        let json = ["a.json", "b.jsonl.gz", "c.ndjson", "d"];
        assert_eq!(listed(&FileNames::JSON, &json).await.unwrap(), json);
    }

    #[tokio::test]
    async fn hidden_names_are_left_out() {
        assert!(!FileNames::CSV.fit("#a.csv#") && !FileNames::CSV.fit("a.csv~"));
        let files = [
            ".a.parquet.crc",
            "_SUCCESS",
            "_current",
            "_delta_log/1.json",
            "a.parquet",
            "b/.hidden/c.parquet",
        ];
        assert_eq!(
            listed(&FileNames::PARQUET, &files).await.unwrap(),
            ["a.parquet"]
        );
    }

    #[tokio::test]
    async fn a_result_below_has_the_files_that_it_lists() {
        let files_of = async |format: &str, outputs: &[&str], dropped: bool, names: &FileNames| {
            let store = InMemory::new();
            let put = async |path: &str, text: String| {
                let path = Path::from(format!("shop/t/{path}"));
                store.put(&path, text.into()).await.unwrap();
            };
            let run = |n: u32| format!("run-0195d9a200017000800000000000000{n}/rows/part-0");
            for n in [1, 2] {
                put(&format!("a=1/sums.parquet/{}", run(n)), "x".to_owned()).await;
            }
            put("a=1/c", "x".to_owned()).await;
            let output = format!(
                r#"{{"format":"{format}","columns":[["n","Int64"]],"files":[{{"path":"{}","rows":1,"bytes":1}}]}}"#,
                run(2)
            );
            let outputs = outputs.iter().map(|name| format!(r#""{name}":{output}"#));
            let outputs = outputs.collect::<Vec<_>>().join(",");
            let manifest = format!(
                r#"{{"version":{},"commit":1,"dropped":{dropped},"run_id":"0195d9a2000170008000000000000002","previous":null,"main":"rows","outputs":{{{outputs}}}}}"#,
                MANIFEST.newest
            );
            put("a=1/sums.parquet/_commits/1.json", manifest).await;
            let found = files_at("t", &store, &Path::from("shop/t"), names).await?;
            let short = |file: ObjectMeta| file.location.as_ref().replacen("shop/t/a=1/", "", 1);
            Ok::<_, Error>(found.into_iter().map(short).collect::<Vec<_>>())
        };
        let newest = "sums.parquet/run-0195d9a2000170008000000000000002/rows/part-0";
        let parquet = &FileNames::PARQUET;
        let found = files_of("parquet", &["rows"], false, parquet).await;
        assert_eq!(found.unwrap(), ["c", newest]);
        let found = files_of("parquet", &["rows"], true, parquet).await;
        assert_eq!(found.unwrap(), ["c"]);
        for (format, outputs, names) in [
            ("csv", &["rows"][..], &FileNames::CSV),
            ("csv", &["rows"], parquet),
            ("parquet", &["rows", "more"], parquet),
        ] {
            let error = files_of(format, outputs, false, names).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            let text = error.to_string();
            assert!(
                text.contains("`/shop/t/a=1/sums.parquet` holds a published"),
                "{text}"
            );
        }
    }

    #[tokio::test]
    async fn files_of_runs_that_no_result_lists_are_refused() {
        let run = "run-0195d9a2000170008000000000000002";
        let of_run = format!("a/b/{run}/rows/part-0.parquet");
        // What a run left behind after its result was dropped does not count.
        let own = format!("{run}/rows/part-0.parquet");
        let files = ["_commits/1.json", "a", &own];
        assert_eq!(listed(&FileNames::PARQUET, &files).await.unwrap(), ["a"]);
        // A run that ended before it was published is not complete.
        for files in [
            vec![of_run.as_str()],
            vec!["a/_commits/1.json", &of_run],
            vec!["c.parquet", &own],
        ] {
            let error = listed(&FileNames::PARQUET, &files).await.unwrap_err();
            assert!(error.to_string().contains("never published"), "{error}");
        }
        // Folders of other programs, and hidden ones, are not of results.
        let files = ["a/run-7/c.parquet"];
        let found = listed(&FileNames::PARQUET, &files).await.unwrap();
        assert_eq!(found, files);
        // A list that is not readable is not passed over.
        let files = ["a/_commits/1.json", "a/c.parquet"];
        let error = listed(&FileNames::PARQUET, &files).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
        let hidden = format!("_old/{run}/rows/part-0.parquet");
        let files = ["_old/_commits/1.json", &hidden, "c.parquet"];
        let found = listed(&FileNames::PARQUET, &files).await.unwrap();
        assert_eq!(found, ["c.parquet"]);
    }

    #[tokio::test]
    async fn other_files_are_named() {
        let cases = [
            (FileNames::PARQUET, "readme.md"),
            (FileNames::PARQUET, "b.json"),
            (FileNames::PARQUET, "c.parquet.gz"),
            (FileNames::CSV, "d.xlsx"),
            (FileNames::CSV, "e.parquet"),
            (FileNames::JSON, "f.csv.gz"),
        ];
        for (names, other) in cases {
            let error = listed(&names, &["a", other]).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert!(error.to_string().contains(other), "{error}");
            // A file that is named in the catalog is taken by whatever name.
            let store = InMemory::new();
            let path = Path::from(other);
            store.put(&path, "x".into()).await.unwrap();
            let found = files_at("t", &store, &path, &names).await.unwrap();
            assert_eq!(found.len(), 1, "{other}");
        }
        let error = listed(&FileNames::CSV, &["_x"]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
    }
}
