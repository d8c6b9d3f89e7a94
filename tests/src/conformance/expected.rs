//! What a record states, and whether an answer is that.

use sqllogictest::SortMode;

use super::cells::{self, ColumnType};
use super::database::Answer;
use super::order;
use super::rules;
use super::statement::Statement;

/// Stands for any text in an expected result.
const ANYTHING: &str = "<slt:ignore>";

/// What a record states.
pub(super) enum Expected {
    Success,
    Failure,
    Rows {
        types: Vec<ColumnType>,
        sort_mode: Option<SortMode>,
        lines: Vec<String>,
    },
}

/// Whether rows are the stated ones.
pub(super) enum Verdict {
    Same,
    /// SQL leaves open which rows come, by this rule.
    Open(&'static str),
    Different(String),
}

impl Expected {
    /// # Errors
    /// Where a value cannot be shown.
    pub(super) fn judge(&self, answer: &Answer, statement: &Statement) -> Result<Verdict, String> {
        let Self::Rows {
            types,
            sort_mode,
            lines,
        } = self
        else {
            return Ok(Verdict::Same);
        };
        let rows = cells::rows(&answer.batches)?;
        let actual = in_order(rows, *sort_mode);
        let wanted: Vec<_> = lines
            .iter()
            .map(|line| line.trim_end().to_owned())
            .collect();
        // Without rows the types are those of the text of the query.
        if !ColumnType::all_match(types, &answer.types) && !wanted.is_empty() {
            let letters = |types: &[ColumnType]| {
                types
                    .iter()
                    .map(sqllogictest::ColumnType::to_char)
                    .collect::<String>()
            };
            return Ok(Verdict::Different(format!(
                "column types {} instead of {}",
                letters(&answer.types),
                letters(types)
            )));
        }
        if is_match(&actual, &wanted) {
            return Ok(Verdict::Same);
        }
        let (mut left, mut right) = (actual.clone(), wanted.clone());
        left.sort();
        right.sort();
        if left == right {
            // The files list rows in the order in which one process yields them.
            return Ok(match order::is_kept(statement, answer, &wanted) {
                true => Verdict::Same,
                false => Verdict::Different(shown("other order", &actual, &wanted)),
            });
        }
        let rule = by_design(&actual, &wanted).or_else(|| rules::depends_on_order(statement));
        if let Some(rule) = rule {
            return Ok(Verdict::Open(rule));
        }
        if statement.has_limit() && left.len() == right.len() && !order::is_total(statement) {
            return Ok(Verdict::Open(rules::OPEN_LIMIT));
        }
        Ok(Verdict::Different(shown("other rows", &actual, &wanted)))
    }
}

fn in_order(mut rows: Vec<Vec<String>>, sort_mode: Option<SortMode>) -> Vec<String> {
    match sort_mode {
        None | Some(SortMode::NoSort) => {}
        Some(SortMode::RowSort) => rows.sort(),
        Some(SortMode::ValueSort) => {
            rows = rows
                .into_iter()
                .flatten()
                .map(|value| vec![value])
                .collect();
            rows.sort();
        }
    }
    rows.iter()
        .map(|row| row.join(" ").trim_end().to_owned())
        .collect()
}

fn is_match(actual: &[String], wanted: &[String]) -> bool {
    if !wanted.iter().any(|line| line.contains(ANYTHING)) {
        return actual == wanted;
    }
    let (actual, wanted) = (actual.join("\n"), wanted.join("\n"));
    let mut at = 0;
    for (index, part) in wanted.split(ANYTHING).enumerate() {
        match actual.get(at..).and_then(|rest| rest.find(part)) {
            Some(found) if index > 0 || found == 0 => at += found + part.len(),
            _ => return false,
        }
    }
    true
}

/// The rule by which the rows are right though they are not the stated ones.
fn by_design(actual: &[String], wanted: &[String]) -> Option<&'static str> {
    let plain = |line: &String| {
        let line = line
            .replace("Utf8View", "Utf8")
            .replace("LargeUtf8", "Utf8");
        line.replace("BinaryView", "Binary")
            .replace("LargeBinary", "Binary")
    };
    let texts = |lines: &[String]| sorted(lines.iter().map(plain));
    if texts(actual) == texts(wanted) {
        return Some(rules::TEXT_TYPES);
    }
    // `12:00:00Z` instead of `12:00:00`.
    let is_time = |word: &str| word.ends_with('Z') && word.contains('T') && word.contains(':');
    let times = |line: &String| {
        let words = line.split(' ').map(|word| match is_time(word) {
            true => word.trim_end_matches('Z'),
            false => word,
        });
        words.collect::<Vec<_>>().join(" ")
    };
    let same = sorted(actual.iter().map(times)) == sorted(wanted.iter().map(times));
    same.then_some(rules::UTC)
}

fn sorted(lines: impl Iterator<Item = String>) -> Vec<String> {
    let mut lines: Vec<_> = lines.collect();
    lines.sort();
    lines
}

fn shown(what: &str, actual: &[String], wanted: &[String]) -> String {
    let text = |lines: &[String]| {
        let mut text = lines
            .iter()
            .take(20)
            .fold(String::new(), |text, line| text + "\n    " + line);
        if lines.len() > 20 {
            text += "\n    …";
        }
        text
    };
    format!("{what}\n  stated:{}\n  got:{}", text(wanted), text(actual))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &[&str]) -> Vec<String> {
        text.iter().map(|line| (*line).to_owned()).collect()
    }

    #[test]
    fn a_marker_stands_for_anything() {
        assert!(is_match(&lines(&["a 17 b"]), &lines(&["a <slt:ignore> b"])));
        assert!(!is_match(
            &lines(&["x a 17 b"]),
            &lines(&["a <slt:ignore> b"])
        ));
        assert!(!is_match(&lines(&["a 17"]), &lines(&["a <slt:ignore> b"])));
    }

    #[test]
    fn a_rule_must_explain_the_difference() {
        let rule = by_design(&lines(&["a Utf8"]), &lines(&["a Utf8View"]));
        assert_eq!(rule, Some(rules::TEXT_TYPES));
        let rule = by_design(
            &lines(&["2020-12-07T00:00:00Z 1"]),
            &lines(&["2020-12-07T00:00:00 1"]),
        );
        assert_eq!(rule, Some(rules::UTC));
        let rule = by_design(
            &lines(&["2020-12-07T00:00:00Z 2"]),
            &lines(&["2020-12-07T00:00:00 1"]),
        );
        assert_eq!(rule, None);
    }

    #[test]
    fn rows_and_values_are_sorted_where_the_record_says_so() {
        let rows = || vec![lines(&["2", "a"]), lines(&["1", "b"])];
        assert_eq!(in_order(rows(), None), ["2 a", "1 b"]);
        assert_eq!(in_order(rows(), Some(SortMode::RowSort)), ["1 b", "2 a"]);
        assert_eq!(
            in_order(rows(), Some(SortMode::ValueSort)),
            ["1", "2", "a", "b"]
        );
    }
}
