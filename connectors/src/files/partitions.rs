//! Values that stand in the names of folders: `country=NO/year=2025/part-0.parquet`.

use datafusion::arrow::datatypes::{DataType, Field};
use datafusion::common::ScalarValue;
use emporia_core::error::{Error, Result};
use object_store::path::Path;

/// What Hive, Spark and others call the folder of rows without a value.
const NO_VALUE: &str = "__HIVE_DEFAULT_PARTITION__";

/// The values of the partition `columns` for `file` of the table at `base`.
///
/// # Errors
/// `InvalidInput` that names the folder where one is missing, not expected, or does not fit the type
/// of its column.
pub fn partition_values(
    name: &str,
    base: &Path,
    file: &Path,
    columns: &[Field],
) -> Result<Vec<ScalarValue>> {
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
        let value = scalar(value, column.data_type()).ok_or_else(|| {
            let folder = folder.unwrap_or_default();
            let data_type = column.data_type();
            Error::invalid(format!(
                "table `{name}`: the folder `{folder}` of `/{file}` holds no {data_type}"
            ))
            .with_hint(format!(
                "declare partition `{key}` as string, or rename the folder; rows without a value are in \
                 `{key}={NO_VALUE}`"
            ))
        })?;
        values.push(value);
    }
    match folders.iter().skip(columns.len()).find(|f| f.contains('=')) {
        Some(folder) => Err(undeclared(name, folder, file)),
        None => Ok(values),
    }
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

/// The value that a folder's name holds; `None` where it does not fit the type.
fn scalar(text: &str, data_type: &DataType) -> Option<ScalarValue> {
    if text == NO_VALUE {
        return ScalarValue::try_from(data_type).ok();
    }
    let text = decoded(text)?;
    if *data_type == DataType::Utf8 {
        return Some(ScalarValue::Utf8(Some(text)));
    }
    if let DataType::Decimal128(_, scale) = data_type {
        // Arrow would round what the type has no place for.
        let (_, fraction) = text.split_once('.').unwrap_or((&text, ""));
        let places = fraction.trim_end_matches('0').len();
        if places > usize::try_from(*scale).unwrap_or(0) || text.contains(['e', 'E']) {
            return None;
        }
    }
    let value = ScalarValue::try_from_string(text.clone(), data_type).ok()?;
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
        let values = partition_values("t", &Path::from("shop/t"), &file, &columns)?;
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
    fn what_does_not_fit_is_named() {
        let cases = [
            ("year=MMXX/p", DataType::Int32),
            ("year=2147483648/p", DataType::Int32),
            ("year=/p", DataType::Int32),
            ("year=2025-02-30/p", DataType::Date32),
            ("year=2025-02-03 04%3A00%3A00/p", DataType::Date32),
            ("year=1.005/p", DataType::Decimal128(5, 2)),
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
