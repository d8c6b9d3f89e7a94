//! The jobs that can be submitted by name, and those in files.

use std::path::Path;
use std::sync::Arc;

use emporia_core::catalog::Catalog;
use emporia_core::error::{Error, Result, nearest};
use emporia_engine::job::Job;

/// A job and how it is written.
#[derive(Clone)]
pub(crate) struct Entry {
    pub(crate) job: Arc<dyn Job>,
    /// Whether it is a SQL query, which reads all its inputs whatever the parameters are.
    pub(crate) is_sql: bool,
}

/// All jobs that come with Emporia: first those in code, then those in SQL.
pub(crate) fn builtin() -> Result<Vec<Entry>> {
    let in_code = emporia_jobs::all()
        .into_iter()
        .map(|job| Entry { job, is_sql: false });
    let in_sql = emporia_sql::builtin_jobs()?.into_iter().map(|job| Entry {
        job: Arc::new(job),
        is_sql: true,
    });
    Ok(in_code.chain(in_sql).collect())
}

/// The job of a name, else the one in the file of that path.
pub(crate) fn find(wanted: &str) -> Result<Entry> {
    let jobs = builtin()?;
    if let Some(entry) = jobs.iter().find(|entry| entry.job.spec().name == wanted) {
        return Ok(entry.clone());
    }
    let path = Path::new(wanted);
    if path
        .extension()
        .is_some_and(|e| e.eq_ignore_ascii_case("sql"))
        || path.is_file()
    {
        let job = emporia_sql::load_file(path)?;
        return Ok(Entry {
            job: Arc::new(job),
            is_sql: true,
        });
    }
    let error = Error::not_found(format!("there is no job `{wanted}`"));
    let names = jobs.iter().map(|entry| entry.job.spec().name.as_str());
    Err(match nearest(wanted, names) {
        Some(near) => error.with_hint(format!("did you mean `{near}`?")),
        None => {
            error.with_hint("`emporia jobs` lists the jobs; a SQL job is a file ending in .sql")
        }
    })
}

impl Entry {
    /// Makes sure, before anything is started, that the tables are there which the job surely
    /// reads.
    pub(crate) fn check_inputs(&self, catalog: &Catalog) -> Result<()> {
        let spec = self.job.spec();
        let has = |table: &String| catalog.tables.contains_key(table);
        let missing = if self.is_sql {
            spec.inputs.iter().find(|table| !has(table))
        } else if catalog.tables.is_empty() {
            spec.inputs.first()
        } else {
            None
        };
        let Some(table) = missing else { return Ok(()) };
        let error = Error::not_found(format!(
            "job `{}` reads the table `{table}`, which the catalog does not have",
            spec.name
        ));
        let names = catalog.tables.keys().map(String::as_str);
        Err(match nearest(table, names) {
            Some(near) => error.with_hint(format!("the catalog has `{near}`")),
            None if catalog.tables.is_empty() => {
                error.with_hint("pass --catalog FILE; `emporia generate` makes data with a catalog")
            }
            None => error.with_hint("`emporia tables` lists the tables of the catalog"),
        })
    }
}

#[cfg(test)]
mod tests {
    use emporia_core::catalog::TableDef;
    use emporia_core::error::ErrorKind;

    use super::*;

    #[test]
    fn names_are_unique_and_found() -> Result<()> {
        let jobs = builtin()?;
        let mut names: Vec<_> = jobs.iter().map(|e| e.job.spec().name.clone()).collect();
        assert!(find("sales_by_month")?.is_sql);
        let n_jobs = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), n_jobs);
        Ok(())
    }

    #[test]
    fn summaries_read_alike() -> Result<()> {
        for entry in builtin()? {
            let spec = entry.job.spec();
            let summary = &spec.summary;
            assert!(summary.starts_with(char::is_uppercase), "{}", spec.name);
            assert!(!summary.ends_with('.'), "{}", spec.name);
        }
        Ok(())
    }

    #[test]
    fn an_unknown_job_names_the_nearest() {
        let error = find("sales_by_mont").err();
        assert_eq!(error.as_ref().map(Error::kind), Some(ErrorKind::NotFound));
        let hint = error.as_ref().and_then(Error::hint);
        assert_eq!(hint, Some("did you mean `sales_by_month`?"));
        assert_eq!(
            find("no/file.sql").err().map(|e| e.kind()),
            Some(ErrorKind::NotFound)
        );
    }

    #[test]
    fn inputs_of_a_sql_job_must_be_declared() -> Result<()> {
        let entry = find("sales_by_month")?;
        let mut catalog = Catalog::default();
        assert!(entry.check_inputs(&catalog).is_err());
        catalog.tables.insert(
            "transactions".into(),
            TableDef::new("parquet", "file:///t/"),
        );
        entry.check_inputs(&catalog)
    }
}
