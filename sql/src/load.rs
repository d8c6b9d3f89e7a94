//! Jobs from files of the user.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use emporia_core::error::{Error, ErrorKind, Result};
use emporia_core::text::without_mark;

use crate::job::SqlJob;

/// Reads a job from a file.
///
/// # Errors
/// `NotFound` for a file that cannot be read, else as [`SqlJob::parse`].
pub fn load_file(path: &Path) -> Result<SqlJob> {
    let origin = path.display().to_string();
    let text = std::fs::read_to_string(path)
        .map_err(|e| Error::not_found(format!("cannot read SQL job `{origin}`")).with_source(e))?;
    SqlJob::parse(origin, without_mark(text))
}

/// Reads a job from every `.sql` file of a folder, ordered by file name; subfolders are not read.
///
/// # Errors
/// `NotFound` for a folder that cannot be read, `AlreadyExists` for two jobs of one name, else as
/// [`load_file`].
pub fn load_dir(path: &Path) -> Result<Vec<SqlJob>> {
    let failed = |e| {
        Error::not_found(format!(
            "cannot read folder `{}` of SQL jobs",
            path.display()
        ))
        .with_source(e)
    };
    let mut files: Vec<PathBuf> = Vec::new();
    for entry in std::fs::read_dir(path).map_err(failed)? {
        let file = entry.map_err(failed)?.path();
        if file.extension().is_some_and(|extension| extension == "sql") && file.is_file() {
            files.push(file);
        }
    }
    files.sort_unstable();
    let mut origins: BTreeMap<String, String> = BTreeMap::new();
    let mut jobs = Vec::with_capacity(files.len());
    for file in &files {
        let job = load_file(file)?;
        let name = job.spec().name.clone();
        if let Some(first) = origins.insert(name.clone(), job.origin().to_owned()) {
            return Err(Error::new(
                ErrorKind::AlreadyExists,
                format!("job `{name}` is in both `{first}` and `{}`", job.origin()),
            ));
        }
        jobs.push(job);
    }
    Ok(jobs)
}

#[cfg(test)]
mod tests {
    use super::*;

    const JOB: &str =
        "-- name: a\n-- description: d\n-- input: t\n-- output: o\n-- key: x\n\nSELECT x FROM t\n";

    fn write(folder: &Path, name: &str, text: &str) -> Result<()> {
        std::fs::write(folder.join(name), text).map_err(|e| Error::internal(e.to_string()))
    }

    fn folder() -> Result<tempfile::TempDir> {
        tempfile::tempdir().map_err(|e| Error::internal(e.to_string()))
    }

    #[test]
    fn a_file_in_the_folder_is_a_job() -> Result<()> {
        let folder = folder()?;
        write(folder.path(), "b.sql", &JOB.replace("name: a", "name: b"))?;
        write(folder.path(), "a.sql", JOB)?;
        write(folder.path(), "notes.txt", "no job")?;
        let names: Vec<_> = load_dir(folder.path())?
            .iter()
            .map(|job| job.spec().name.clone())
            .collect();
        assert_eq!(names, ["a", "b"]);
        Ok(())
    }

    #[test]
    fn two_jobs_of_one_name_are_refused() -> Result<()> {
        let folder = folder()?;
        write(folder.path(), "a.sql", JOB)?;
        write(folder.path(), "b.sql", JOB)?;
        let kind = load_dir(folder.path()).err().map(|e| e.kind());
        assert_eq!(kind, Some(ErrorKind::AlreadyExists));
        Ok(())
    }

    #[test]
    fn errors_name_the_file_and_line() -> Result<()> {
        let folder = folder()?;
        write(
            folder.path(),
            "a.sql",
            &JOB.replace("-- key: x", "-- keys: x"),
        )?;
        let message = load_dir(folder.path())
            .err()
            .map(|e| e.to_string())
            .unwrap_or_default();
        assert!(
            message.ends_with("a.sql:5: `keys` is not a header key"),
            "{message}"
        );
        Ok(())
    }

    #[test]
    fn a_missing_file_or_folder_is_not_found() {
        let missing = Path::new("no/such/place");
        assert_eq!(
            load_file(missing).err().map(|e| e.kind()),
            Some(ErrorKind::NotFound)
        );
        assert_eq!(
            load_dir(missing).err().map(|e| e.kind()),
            Some(ErrorKind::NotFound)
        );
    }
}
