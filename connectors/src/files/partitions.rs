//! Values that stand in the names of folders: `country=NO/year=2025/part-0.parquet`.

use datafusion::arrow::datatypes::{DataType, Field, TimeUnit};
use datafusion::common::{Result as DfResult, ScalarValue};
use datafusion::error::DataFusionError;
use emporia_core::catalog::parse_type;
use emporia_core::error::{Error, Result};
use object_store::path::Path;
use serde::{Deserialize, Serialize};

use crate::exact_times::{NANOS_DIGITS, has_lost_digits, is_leap_second};

/// What Hive, Spark and others call the folder of rows without a value.
const NO_VALUE: &str = "__HIVE_DEFAULT_PARTITION__";

/// The values of the partition columns for a file, from the outermost folder to the innermost, as the
/// texts that their folders hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FolderValues(Vec<Option<String>>);

impl FolderValues {
    /// The values for `file` of the table `name` at `base`; each has the type of its column.
    ///
    /// # Errors
    /// `InvalidInput` that names the folder where one is missing, not expected, or does not fit the
    /// type of its column.
    pub fn of(name: &str, base: &Path, file: &Path, columns: &[Field]) -> Result<Self> {
        let folders = folders(base, file);
        let mut values = Vec::with_capacity(columns.len());
        for (index, column) in columns.iter().enumerate() {
            let key = column.name();
            let folder = folders.get(index).map(String::as_str);
            let value = folder.and_then(|folder| {
                let (found, value) = folder.split_once('=')?;
                (decoded(found).as_deref() == Some(key)).then_some(value)
            });
            let Some(value) = value else {
                let text = match folder {
                    Some(folder) => format!(
                        "table `{name}`: the folder `{folder}` of `/{file}` is not of the form `{key}=…`"
                    ),
                    None => format!("table `{name}`: `/{file}` is in no folder `{key}=…`"),
                };
                return Err(Error::invalid(text).with_hint(
                    "the option `partitions` names the folders from the outermost to the innermost",
                ));
            };
            let value = text(value)
                .filter(|text| scalar(text.as_deref(), column.data_type()).is_some())
                .ok_or_else(|| unfit(name, folder.unwrap_or_default(), file, column))?;
            values.push(value);
        }
        match folders.iter().skip(columns.len()).find(|f| f.contains('=')) {
            Some(folder) => Err(undeclared(name, folder, file)),
            None => Ok(Self(values)),
        }
    }

    /// The value of the column at `index`.
    ///
    /// # Errors
    /// Where the values are those of other columns.
    pub(crate) fn value(&self, index: usize, column: &Field) -> DfResult<ScalarValue> {
        let text = self.0.get(index);
        let value = text.and_then(|text| scalar(text.as_deref(), column.data_type()));
        value.ok_or_else(|| {
            let name = column.name();
            DataFusionError::Internal(format!("a file has no value of partition `{name}`"))
        })
    }

    /// The values of all columns.
    ///
    /// # Errors
    /// Where the values are those of other columns.
    pub(crate) fn values(&self, columns: &[Field]) -> DfResult<Vec<ScalarValue>> {
        let columns = columns.iter().enumerate();
        columns
            .map(|(index, column)| self.value(index, column))
            .collect()
    }
}

/// The columns that the option `partitions` of table `name` declares: `country string; year int32`.
///
/// # Errors
/// `InvalidInput` where it is not of this form, or names a column twice.
pub(super) fn declared(name: &str, option: &str) -> Result<Vec<Field>> {
    let wrong = |text: String| Error::invalid(format!("table `{name}`: {text}"));
    let mut columns: Vec<Field> = Vec::new();
    for column in option.split(';') {
        let (column, type_name) = column.trim().split_once(' ').ok_or_else(|| {
            wrong(format!(
                "partition `{column}` is not of the form `name type`"
            ))
        })?;
        let data_type = parse_type(type_name.trim())?;
        if columns.iter().any(|known| known.name() == column) {
            return Err(wrong(format!("partition `{column}` is there twice")));
        }
        columns.push(Field::new(column, data_type, true));
    }
    Ok(columns)
}

/// The folders between the table and its file.
fn folders(base: &Path, file: &Path) -> Vec<String> {
    let parts = file.prefix_match(base).into_iter().flatten();
    let mut parts: Vec<_> = parts.map(|part| part.as_ref().to_owned()).collect();
    parts.pop();
    parts
}

/// A folder that says what its files do not.
fn undeclared(name: &str, folder: &str, file: &Path) -> Error {
    let key = folder.split_once('=').map_or(folder, |(key, _)| key);
    Error::invalid(format!(
        "table `{name}`: the folder `{folder}` of `/{file}` holds a value of column `{key}`, which is \
         not declared"
    ))
    .with_hint(format!(
        "add the option partitions = \"{key} string\" (or another type; several are separated by `;`, \
         from the outermost folder to the innermost)"
    ))
}

/// A folder whose value is not one of its column.
fn unfit(name: &str, folder: &str, file: &Path, column: &Field) -> Error {
    let (key, data_type) = (column.name(), column.data_type());
    Error::invalid(format!(
        "table `{name}`: the folder `{folder}` of `/{file}` holds no {data_type}"
    ))
    .with_hint(format!(
        "declare partition `{key}` as string, or rename the folder; rows without a value are in \
         `{key}={NO_VALUE}`"
    ))
}

/// The text that a folder's name holds, if it is text at all; `None` inside is no value.
fn text(value: &str) -> Option<Option<String>> {
    match value {
        NO_VALUE => Some(None),
        value => decoded(value).map(Some),
    }
}

/// The value that a text stands for; `None` where it does not fit the type.
fn scalar(text: Option<&str>, data_type: &DataType) -> Option<ScalarValue> {
    let Some(text) = text else {
        return ScalarValue::try_from(data_type).ok();
    };
    if *data_type == DataType::Utf8 {
        return Some(ScalarValue::from(text));
    }
    if let DataType::Decimal128(_, scale) = data_type {
        // Arrow would round what the type has no place for.
        let (_, fraction) = text.split_once('.').unwrap_or((text, ""));
        let places = fraction.trim_end_matches('0').len();
        if places > usize::try_from(*scale).unwrap_or(0) || text.contains(['e', 'E']) {
            return None;
        }
    }
    if let DataType::Timestamp(unit, _) = data_type {
        let n_digits = match unit {
            TimeUnit::Second => 0,
            TimeUnit::Millisecond => 3,
            TimeUnit::Microsecond => 6,
            TimeUnit::Nanosecond => NANOS_DIGITS,
        };
        if is_leap_second(text) || has_lost_digits(text, n_digits) {
            return None;
        }
    }
    let value = ScalarValue::try_from_string(text.to_owned(), data_type).ok()?;
    let is_infinite = match value {
        ScalarValue::Float64(Some(number)) => number.is_infinite(),
        ScalarValue::Float32(Some(number)) => number.is_infinite(),
        _ => false,
    };
    if is_infinite && text.contains(|c: char| c.is_ascii_digit()) {
        return None;
    }
    // Arrow would take the day of a time.
    let is_whole = *data_type != DataType::Date32 || value.to_string() == text;
    (is_whole && !value.is_null()).then_some(value)
}

/// The name without its percent escapes; `None` where it is no text then.
fn decoded(name: &str) -> Option<String> {
    let bytes = name.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let escaped = (*byte == b'%')
            .then(|| name.get(at + 1..at + 3))
            .flatten()
            .filter(|digits| digits.bytes().all(|d| d.is_ascii_hexdigit()))
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match escaped {
            Some(escaped) => {
                decoded.push(escaped);
                at += 3;
            }
            None => {
                decoded.push(*byte);
                at += 1;
            }
        }
    }
    String::from_utf8(decoded).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(file: &str, columns: &[(&str, DataType)]) -> Result<Vec<String>> {
        let columns: Vec<_> = columns
            .iter()
            .map(|(name, data_type)| Field::new(*name, data_type.clone(), true))
            .collect();
        let file = Path::parse(file).unwrap();
        let values = FolderValues::of("t", &Path::from("shop/t"), &file, &columns)?;
        let values = values.values(&columns).unwrap();
        Ok(values.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn folders_hold_values() {
        let text = |value: &str| values(&format!("shop/t/c={value}/p"), &[("c", DataType::Utf8)]);
        assert_eq!(text("NO").unwrap(), ["NO"]);
        assert_eq!(text("a%2Fb%20c").unwrap(), ["a/b c"]);
        assert_eq!(text("K%C3%B6ln").unwrap(), ["Köln"]);
        assert_eq!(text("50% off").unwrap(), ["50% off"]);
        assert_eq!(text("a=b").unwrap(), ["a=b"]);
        assert_eq!(text("").unwrap(), [""]);
        assert_eq!(text("__HIVE_DEFAULT_PARTITION__").unwrap(), ["NULL"]);
        let typed = [
            ("year", DataType::Int32),
            ("day", DataType::Date32),
            ("rate", DataType::Decimal128(5, 2)),
        ];
        let found = values(
            "shop/t/year=07/day=2025-02-28/rate=1.50/more/p.parquet",
            &typed,
        );
        assert_eq!(found.unwrap(), ["7", "2025-02-28", "1.50"]);
        let none = "__HIVE_DEFAULT_PARTITION__";
        let found = values(
            &format!("shop/t/year={none}/day={none}/rate={none}/p"),
            &typed,
        );
        assert_eq!(found.unwrap(), ["NULL", "NULL", "NULL"]);
    }

    #[test]
    fn the_option_names_columns_and_types() {
        let columns = declared("t", "country string; year int32").unwrap();
        let names: Vec<_> = columns.iter().map(|c| c.name().as_str()).collect();
        assert_eq!(names, ["country", "year"]);
        for (option, expected) in [
            ("country", "`country` is not of the form"),
            ("", "is not of the form"),
            ("a int32; b number", "`number` is not a column type"),
            ("a int32; a string", "partition `a` is there twice"),
        ] {
            let error = declared("t", option).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let micros = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        let cases = [
            ("year=MMXX/p", DataType::Int32),
            ("year=2147483648/p", DataType::Int32),
            ("year=/p", DataType::Int32),
            ("year=2025-02-30/p", DataType::Date32),
            ("year=2025-02-03 04%3A00%3A00/p", DataType::Date32),
            ("year=1.005/p", DataType::Decimal128(5, 2)),
            ("year=1e999/p", DataType::Float64),
            ("year=2024-01-01 10%3A00%3A60/p", micros.clone()),
            ("year=2024-01-01 10%3A00%3A00.1234567/p", micros),
            ("year=%FF/p", DataType::Utf8),
            ("month=1/p", DataType::Int32),
            ("2025/p", DataType::Int32),
            ("year=2025/month=1/p", DataType::Int32),
        ];
        for (file, data_type) in cases {
            let error = values(&format!("shop/t/{file}"), &[("year", data_type)]).unwrap_err();
            let folder = file.trim_end_matches("/p").trim_start_matches("year=2025/");
            assert!(error.to_string().contains(folder), "{file}: {error}");
        }
        let error = values("shop/t/p", &[("year", DataType::Int32)]).unwrap_err();
        assert!(error.to_string().contains("`/shop/t/p`"), "{error}");
        let error = values("shop/t/year=2025/p", &[]).unwrap_err();
        let hint = error.hint().unwrap_or_default();
        assert!(hint.contains("partitions = \"year string\""), "{hint}");
    }
}
