//! Counts by file, by reason and by rule, as tables of Markdown.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::{Finding, Outcome};

/// What came of the records of a file.
#[derive(Debug, Clone, Default)]
pub struct FileReport {
    /// The name of the file.
    pub name: String,
    /// Records that are the same.
    pub same: usize,
    /// All others.
    pub findings: Vec<Finding>,
}

impl FileReport {
    pub(super) fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            ..Self::default()
        }
    }

    pub(super) fn add(&mut self, finding: Finding) {
        match finding.outcome {
            Outcome::Same => self.same += 1,
            _ => self.findings.push(finding),
        }
    }

    fn count(&self, is_counted: impl Fn(&Outcome) -> bool) -> usize {
        let outcomes = self.findings.iter().map(|f| &f.outcome);
        outcomes.filter(|outcome| is_counted(outcome)).count()
    }

    /// Records that Emporia refuses.
    pub fn refused(&self) -> usize {
        self.count(|o| matches!(o, Outcome::Refused(_)))
    }

    /// Records with other rows.
    pub fn different(&self) -> usize {
        self.count(|o| matches!(o, Outcome::Different(_)))
    }

    /// Records that are not compared.
    pub fn left_out(&self) -> usize {
        self.count(|o| matches!(o, Outcome::LeftOut(_)))
    }

    /// The row of the file.
    pub fn row(&self) -> String {
        let records = self.same + self.findings.len();
        format!(
            "| {} | {records} | {} | {} | {} | {} |",
            self.name,
            self.left_out(),
            self.same,
            self.refused(),
            self.different()
        )
    }
}

/// The sum over files.
#[derive(Debug, Clone, Default)]
pub struct Totals {
    files: Vec<FileReport>,
}

impl Totals {
    /// The head of the table that has a row for each file.
    pub const HEAD: &str = "| file | records | left out | same | refused | different |\n|---|---:|---:|---:|---:|---:|";

    /// Adds a file.
    pub fn add(&mut self, file: FileReport) {
        self.files.push(file);
    }

    /// All that is not the same.
    pub fn findings(&self) -> impl Iterator<Item = &Finding> {
        self.files.iter().flat_map(|file| &file.findings)
    }

    /// Share of the records that are left in which the rows are the same, in percent.
    pub fn share(&self) -> f64 {
        let sum = |count: fn(&FileReport) -> usize| self.files.iter().map(count).sum::<usize>();
        let same = sum(|f| f.same);
        let compared = same + sum(FileReport::refused) + sum(FileReport::different);
        let share = |n: usize| f64::from(u32::try_from(n).unwrap_or(u32::MAX));
        100.0 * share(same) / share(compared.max(1))
    }

    /// The last row of the table, and why records were refused or left out.
    pub fn summary(&self, place: &str) -> String {
        let mut whole = FileReport::new(&format!("**all {} on {place}**", self.files.len()));
        let (mut refused, mut left_out) = (BTreeMap::new(), BTreeMap::new());
        for file in &self.files {
            whole.same += file.same;
            whole.findings.extend(file.findings.iter().cloned());
        }
        for finding in self.findings() {
            match &finding.outcome {
                Outcome::Refused(reason) => *refused.entry(general(reason)).or_insert(0) += 1,
                Outcome::LeftOut(rule) => *left_out.entry((*rule).to_owned()).or_insert(0) += 1,
                Outcome::Same | Outcome::Different(_) => {}
            }
        }
        let mut text = format!(
            "{}\n\n{:.2} % of the compared records are the same.\n",
            whole.row(),
            self.share()
        );
        text += &counts("refused because", &refused);
        text += &counts("left out", &left_out);
        text
    }
}

fn counts(title: &str, counts: &BTreeMap<String, usize>) -> String {
    let mut sorted: Vec<_> = counts.iter().collect();
    sorted.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
    let mut text = format!("\n| {title} | records |\n|---|---:|\n");
    for (reason, n) in sorted {
        // Writing to a text does not fail.
        let _ = writeln!(text, "| {} | {n} |", reason.replace('|', "\\|"));
    }
    text
}

/// A reason without names and numbers, so that equal ones are counted together.
fn general(reason: &str) -> String {
    let line = reason.lines().next().unwrap_or_default();
    let mut text = String::new();
    let mut quote = None;
    let line = match line
        .strip_prefix("job ")
        .and_then(|rest| rest.split_once(' '))
    {
        Some((_, rest)) => format!("job … {rest}"),
        None => line.to_owned(),
    };
    for c in line.chars() {
        match quote {
            Some(end) if c == end => quote = None,
            Some(_) => {}
            None if c == '`' || c == '"' => {
                quote = Some(c);
                text.push('…');
            }
            None if c.is_ascii_digit() => {
                if !text.ends_with('#') {
                    text.push('#');
                }
            }
            None => text.push(c),
        }
    }
    text.chars().take(120).collect()
}

/// The differences that are known, of a file with lines of a place, `file:line` and the reason.
pub fn known(text: &str, place: &str) -> BTreeMap<String, String> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let mut known = BTreeMap::new();
    for line in lines {
        let mut parts = line.splitn(3, '\t');
        if let (Some(where_it_is), Some(at), Some(reason)) =
            (parts.next(), parts.next(), parts.next())
            && (where_it_is == place || where_it_is == "both")
        {
            known.insert(at.to_owned(), reason.to_owned());
        }
    }
    known
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_counted_without_names_and_numbers() {
        let text = "no column `a.b` in 12 of \"T\"\nmore";
        assert_eq!(general(text), "no column … in # of …");
        assert_eq!(general("job 1a2b failed: x"), "job … failed: x");
    }

    #[test]
    fn known_differences_have_a_place() {
        let text = "# why\nboth\ta.slt:3\topen\ncluster\tb.slt:9\tslow\n";
        assert_eq!(known(text, "cluster").len(), 2);
        assert_eq!(known(text, "one process").len(), 1);
    }
}
