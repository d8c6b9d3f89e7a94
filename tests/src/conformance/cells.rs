//! Rows as text in the form of sqllogictest: `NULL`, `(empty)`, and floats of twelve decimals.

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Field, Float16Type, Float32Type, Float64Type};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::common::config::{ConfigField, FormatOptions as Settings};

/// Decimals of a float that count.
const DECIMALS: usize = 12;

/// The letters for types of columns in the test files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ColumnType(char);

impl sqllogictest::ColumnType for ColumnType {
    fn from_char(value: char) -> Option<Self> {
        Some(Self(if "BDIPRT".contains(value) { value } else { '?' }))
    }

    fn to_char(&self) -> char {
        self.0
    }
}

impl ColumnType {
    /// Whether columns have the types that a file states. `?` is any other type, such as a
    /// dictionary of texts, whose values have a type too.
    pub(super) fn all_match(stated: &[Self], types: &[Self]) -> bool {
        let is_match = |(stated, found): (&Self, &Self)| stated == found || stated.0 == '?';
        stated.len() == types.len() && stated.iter().zip(types).all(is_match)
    }

    /// The letter of a column.
    pub(super) fn of(field: &Field) -> Self {
        Self(match field.data_type() {
            DataType::Boolean => 'B',
            t if t.is_integer() => 'I',
            t if t.is_floating() || t.is_decimal() => 'R',
            t if is_text(t) => 'T',
            DataType::Date32 | DataType::Date64 | DataType::Time32(_) | DataType::Time64(_) => 'D',
            DataType::Timestamp(..) => 'P',
            DataType::Dictionary(_, value) if is_text(value) => 'T',
            _ => '?',
        })
    }
}

fn is_text(data_type: &DataType) -> bool {
    use DataType::{LargeUtf8, Utf8, Utf8View};
    matches!(data_type, Utf8 | LargeUtf8 | Utf8View)
}

/// The rows of batches; a text of several lines at the end of a row becomes several rows.
///
/// # Errors
/// Where a value cannot be shown.
pub(super) fn rows(batches: &[RecordBatch]) -> Result<Vec<Vec<String>>, String> {
    let mut settings = Settings::default();
    settings.set("null", "NULL").map_err(|e| e.to_string())?;
    let options: FormatOptions<'_> = (&settings).try_into().map_err(|e| format!("{e}"))?;
    let mut rows = Vec::new();
    for batch in batches {
        for row in 0..batch.num_rows() {
            let columns = batch.columns().iter();
            let cells = columns.map(|column| cell(column, row, &options));
            rows.extend(lines_of(cells.collect::<Result<Vec<_>, _>>()?));
        }
    }
    Ok(rows)
}

fn lines_of(mut row: Vec<String>) -> Vec<Vec<String>> {
    let Some(last) = row.pop() else {
        return vec![row];
    };
    if !last.contains('\n') {
        row.push(last);
        return vec![row];
    }
    let lines = last.split('\n').enumerate().map(|(index, line)| {
        // Spaces at the start of a line are lost when the files are read.
        let text = line.trim_start();
        let dashes = "-".repeat(line.len() - text.len());
        vec![format!("{:02}){dashes}{text}", index + 1)]
    });
    std::iter::once(row).chain(lines).collect()
}

fn cell(column: &ArrayRef, row: usize, options: &FormatOptions<'_>) -> Result<String, String> {
    if column.is_null(row) {
        return Ok("NULL".to_owned());
    }
    Ok(match column.data_type() {
        DataType::Float16 => float(
            column.as_primitive::<Float16Type>().value(row).to_f64(),
            &column.as_primitive::<Float16Type>().value(row).to_string(),
        ),
        DataType::Float32 => {
            let value = column.as_primitive::<Float32Type>().value(row);
            float(f64::from(value), &value.to_string())
        }
        DataType::Float64 => {
            let value = column.as_primitive::<Float64Type>().value(row);
            float(value, &value.to_string())
        }
        DataType::Utf8 => text(column.as_string::<i32>().value(row)),
        DataType::LargeUtf8 => text(column.as_string::<i64>().value(row)),
        DataType::Utf8View => text(column.as_string_view().value(row)),
        DataType::Dictionary(..) => {
            let dictionary = column.as_any_dictionary();
            let key = dictionary.normalized_keys().get(row).copied();
            return cell(dictionary.values(), key.unwrap_or_default(), options);
        }
        data_type => {
            let formatter = ArrayFormatter::try_new(column.as_ref(), options);
            let shown = formatter.map_err(|e| e.to_string())?.value(row).to_string();
            if data_type.is_decimal() {
                without_zeros(&shown)
            } else {
                shown
            }
        }
    })
}

fn text(value: &str) -> String {
    if value.is_empty() {
        return "(empty)".to_owned();
    }
    value.trim_end_matches('\n').replace('\0', "\\0")
}

fn float(value: f64, shown: &str) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "Infinity" } else { "-Infinity" }.to_owned();
    }
    without_zeros(&rounded(shown))
}

/// A decimal number, rounded half to even.
fn rounded(number: &str) -> String {
    let Some((whole, decimals)) = number.split_once('.') else {
        return number.to_owned();
    };
    let (Some(kept), Some(rest)) = (decimals.get(..DECIMALS), decimals.get(DECIMALS..)) else {
        return number.to_owned();
    };
    let is_odd = kept.ends_with(['1', '3', '5', '7', '9']);
    let half = rest.trim_end_matches('0');
    let is_up = half > "5" || (half == "5" && is_odd);
    if !is_up {
        return format!("{whole}.{kept}");
    }
    let mut digits: Vec<u8> = whole.bytes().chain(kept.bytes()).collect();
    for digit in digits.iter_mut().rev() {
        match *digit {
            b'9' => *digit = b'0',
            b'0'..=b'8' => {
                *digit += 1;
                let (whole, kept) = digits.split_at(whole.len());
                let text = |part: &[u8]| String::from_utf8_lossy(part).into_owned();
                return format!("{}.{}", text(whole), text(kept));
            }
            // The sign.
            _ => break,
        }
    }
    let sign = if whole.starts_with('-') { "-" } else { "" };
    let zeros = "0".repeat(whole.trim_start_matches('-').len());
    format!("{sign}1{zeros}")
}

fn without_zeros(number: &str) -> String {
    let short = if number.contains('.') {
        number.trim_end_matches('0').trim_end_matches('.')
    } else {
        number
    };
    // A negative scale adds zeros, also to nothing.
    let is_zero = short.chars().all(|c| "-0".contains(c));
    if is_zero { "0" } else { short }.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_have_twelve_decimals() {
        let cases = [
            (0.1, "0.1"),
            (-0.0, "0"),
            (1.000_000_000_001_1, "1.000000000001"),
            (0.000_000_000_000_4, "0"),
            (1e20, "100000000000000000000"),
            (9.999_999_999_999_9, "10"),
            (-0.999_999_999_999_96, "-1"),
            (f64::NAN, "NaN"),
            (f64::NEG_INFINITY, "-Infinity"),
        ];
        for (value, shown) in cases {
            assert_eq!(float(value, &value.to_string()), shown);
        }
    }

    #[test]
    fn a_stated_type_may_be_any() {
        let of = |text: &str| text.chars().map(ColumnType).collect::<Vec<_>>();
        assert!(ColumnType::all_match(&of("I?"), &of("IT")));
        assert!(!ColumnType::all_match(&of("IT"), &of("I?")));
        assert!(!ColumnType::all_match(&of("I"), &of("IT")));
    }

    #[test]
    fn decimals_lose_their_zeros() {
        assert_eq!(without_zeros("1.500"), "1.5");
        assert_eq!(without_zeros("100"), "100");
        assert_eq!(without_zeros("-0.00"), "0");
        assert_eq!(without_zeros("0000"), "0");
    }

    #[test]
    fn lines_of_the_last_cell_are_rows() {
        let rows = lines_of(vec!["plan".into(), "a\n  b".into()]);
        assert_eq!(
            rows,
            [
                vec!["plan".to_owned()],
                vec!["01)a".into()],
                vec!["02)--b".into()]
            ]
        );
    }
}
