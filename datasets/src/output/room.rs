//! Makes room for tables in a folder, where nothing of others may be lost or become part of them.

use emporia_core::{Error, ErrorKind, Result};
use futures::TryStreamExt;
use object_store::ObjectStoreExt;
use object_store::path::Path;

use super::{Folder, Format};

/// What a published result has in its folder.
const OF_RESULT: [&str; 2] = ["_commits", "_current"];
/// Files that are named in a message.
const SHOWN: usize = 3;

/// What the folder of a table holds.
#[derive(Default)]
struct Contents {
    parts: Vec<Path>,
    /// Files that readers would take for part of the table, by their paths in its folder.
    others: Vec<String>,
    has_result: bool,
}

impl Folder {
    /// The part files of a table.
    pub(crate) async fn parts(&self, table: &str) -> Result<Vec<Path>> {
        Ok(self.contents(table).await?.parts)
    }

    /// Makes room for tables: their old part files go, or are an error. Nothing is removed then.
    ///
    /// # Errors
    /// `AlreadyExists` where a table is there and may not be overwritten, `InvalidInput` where the folder,
    /// or that of a table, holds a published result, or other files than part files.
    pub(crate) async fn clear(&self, tables: &[&str], overwrite: bool) -> Result<()> {
        self.check_for_result().await?;
        let mut old = Vec::new();
        for table in tables {
            let found = self.contents(table).await?;
            if found.has_result {
                return Err(of_result(&format!("{}/{table}", self.label)));
            }
            if !found.others.is_empty() {
                return Err(self.of_others(table, &found.others));
            }
            if !found.parts.is_empty() && !overwrite {
                return Err(Error::new(
                    ErrorKind::AlreadyExists,
                    format!("`{}` holds table `{table}` already", self.label),
                )
                .with_hint("choose another folder or ask to overwrite"));
            }
            old.extend(found.parts);
        }
        for path in old {
            self.store
                .delete(&path)
                .await
                .map_err(|e| self.failed("delete", path.as_ref(), e))?;
        }
        Ok(())
    }

    async fn contents(&self, table: &str) -> Result<Contents> {
        let prefix = self.path(table);
        let found: Vec<_> = self
            .store
            .list(Some(&prefix))
            .map_ok(|object| object.location)
            .try_collect()
            .await
            .map_err(|e| self.failed("list", table, e))?;
        let mut contents = Contents::default();
        for location in found {
            let below = location.prefix_match(&prefix).into_iter().flatten();
            let below: Vec<String> = below.map(|name| name.as_ref().to_owned()).collect();
            match below.as_slice() {
                [first, ..] if OF_RESULT.contains(&first.as_str()) => contents.has_result = true,
                names if names.iter().any(|name| is_hidden(name)) => {}
                [name] if is_part(name) => contents.parts.push(location),
                names => contents.others.push(names.join("/")),
            }
        }
        Ok(contents)
    }

    /// Readers take a folder in that of a result for an output of it.
    async fn check_for_result(&self) -> Result<()> {
        let found = match self.store.list_with_delimiter(Some(&self.base)).await {
            Ok(found) => found,
            Err(object_store::Error::NotFound { .. }) => return Ok(()),
            Err(e) => return Err(self.failed("list", ".", e)),
        };
        let files = found.objects.into_iter().map(|object| object.location);
        let mut all = files.chain(found.common_prefixes);
        let is_of_result = |path: Path| path.filename().is_some_and(|n| OF_RESULT.contains(&n));
        match all.any(is_of_result) {
            true => Err(of_result(&self.label)),
            false => Ok(()),
        }
    }

    fn of_others(&self, table: &str, others: &[String]) -> Error {
        let named: Vec<_> = others
            .iter()
            .take(SHOWN)
            .map(|name| format!("`{name}`"))
            .collect();
        let more = match others.len() - named.len() {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let text = format!(
            "`{}/{table}` holds files that are not of a generated or imported table: {}{more}",
            self.label,
            named.join(", ")
        );
        Error::invalid(text).with_hint(
            "readers would take them for part of the table; move them, or choose another folder",
        )
    }
}

fn of_result(folder: &str) -> Error {
    Error::invalid(format!("`{folder}` holds a published result"))
        .with_hint("choose another folder")
}

/// Whether readers leave out what has this name.
fn is_hidden(name: &str) -> bool {
    name.starts_with('.') || name.starts_with('_') && !name.contains('=')
}

/// Whether a file in the folder of a table has a name that the generator and the imports give.
fn is_part(name: &str) -> bool {
    let parts = name.strip_prefix("part-").and_then(|n| n.split_once('.'));
    parts.is_some_and(|(number, ending)| {
        number.len() >= 5
            && number.bytes().all(|b| b.is_ascii_digit())
            && ending.parse::<Format>().is_ok()
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use object_store::memory::InMemory;

    use super::*;
    use crate::stored::{TestResult, files};

    async fn folder(names: &[&str]) -> TestResult<(Arc<InMemory>, Folder)> {
        let store = Arc::new(InMemory::new());
        for name in names {
            store.put(&Path::from(*name), "x".into()).await?;
        }
        let folder = Folder {
            store: Arc::clone(&store) as _,
            base: Path::from("data"),
            label: "out".into(),
        };
        Ok((store, folder))
    }

    #[tokio::test]
    async fn only_part_files_are_replaced() -> TestResult {
        let names = [
            "data/other/a.csv",
            "data/users/_SUCCESS",
            "data/users/part-00000.csv",
            "data/users/part-123456.parquet",
        ];
        let (store, folder) = folder(&names).await?;
        let refused = folder.clear(&["orders", "users"], false).await;
        let kind = refused.map_err(|e| e.kind());
        assert_eq!(kind, Err(ErrorKind::AlreadyExists));
        assert_eq!(files(&store, "data").await?.len(), 4);
        folder.clear(&["orders", "users"], true).await?;
        let left: Vec<_> = files(&store, "data").await?.into_keys().collect();
        assert_eq!(left, names[..2]);
        Ok(())
    }

    #[tokio::test]
    async fn files_of_others_are_refused_and_stay() -> TestResult {
        let run = "run-0195d9a2000170008000000000000002";
        let of_run = format!("data/users/{run}/rows/part-0.parquet");
        for (other, expected) in [
            ("data/users/a.csv", "`out/users` holds files"),
            ("data/users/a.csv", ": `a.csv`"),
            (
                "data/users/day=1/part-00000.csv",
                ": `day=1/part-00000.csv`",
            ),
            ("data/users/part-00000-ab.snappy.parquet", "snappy"),
            (of_run.as_str(), run),
            (
                "data/users/_commits/1.json",
                "`out/users` holds a published",
            ),
            ("data/users/_current", "`out/users` holds a published"),
            ("data/_commits/1.json", "`out` holds a published"),
            ("data/_current", "`out` holds a published"),
        ] {
            let part = "data/orders/part-00000.csv";
            let (store, folder) = folder(&[part, other]).await?;
            for overwrite in [false, true] {
                let tables: &[&str] = if overwrite {
                    &["orders", "users"]
                } else {
                    &["users"]
                };
                let refused = folder.clear(tables, overwrite).await;
                let error = refused.expect_err("a refusal");
                assert_eq!(error.kind(), ErrorKind::InvalidInput);
                assert!(error.to_string().contains(expected), "{error}");
            }
            assert_eq!(files(&store, "data").await?.len(), 2);
        }
        let many = [
            "data/users/a",
            "data/users/b",
            "data/users/c",
            "data/users/d",
        ];
        let (_, folder) = folder(&many).await?;
        let error = folder.clear(&["users"], true).await.expect_err("a refusal");
        assert!(error.to_string().ends_with("`c` and 1 more"), "{error}");
        Ok(())
    }
}
