//! `with_seconds(text)`: texts of times that end with the minutes, as Arrow reads them.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, AsArray, StringArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue, exec_err};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::text::with_seconds;

/// The name of the function.
pub(crate) const WITH_SECONDS: &str = "with_seconds";

/// `with_seconds(text)`: the text with `:00` after the minutes where a time ends with them; any other text stays what it
/// is. Arrow casts none without seconds to a time, although PostgreSQL, Spark and DuckDB do.
pub(crate) fn text_with_seconds() -> Arc<ScalarUDF> {
    Arc::new(ScalarUDF::from(WithSeconds {
        signature: Signature::any(1, Volatility::Immutable),
    }))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct WithSeconds {
    signature: Signature,
}

impl ScalarUDFImpl for WithSeconds {
    fn name(&self) -> &'static str {
        WITH_SECONDS
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        match args.args.as_slice() {
            [ColumnarValue::Scalar(text)] => {
                let text = whole(&text.to_array()?)?;
                let text = ScalarValue::try_from_array(&text, 0)?;
                Ok(ColumnarValue::Scalar(text))
            }
            [ColumnarValue::Array(texts)] => Ok(ColumnarValue::Array(whole(texts)?)),
            _ => exec_err!("{WITH_SECONDS} takes a text"),
        }
    }
}

fn whole(texts: &ArrayRef) -> Result<ArrayRef> {
    let given = cast(texts, &DataType::Utf8)?;
    let texts = given.as_string::<i32>();
    if !texts
        .iter()
        .flatten()
        .any(|text| with_seconds(text).is_some())
    {
        return Ok(given);
    }
    let whole = texts.iter().map(|text| {
        let text = text?;
        Some(with_seconds(text).unwrap_or_else(|| text.to_owned()))
    });
    let whole: StringArray = whole.collect();
    Ok(Arc::new(whole))
}

#[cfg(test)]
mod tests {
    use crate::plain::shown;

    /// Once this fails, texts may be left to Arrow.
    #[tokio::test]
    async fn arrow_takes_no_time_without_seconds() {
        let query = "SELECT TRY_CAST(t AS TIMESTAMP) FROM (VALUES ('2024-02-29 10:05')) v(t)";
        let shown = shown(query).await;
        assert_eq!(shown.as_deref(), Ok("NULL"), "right is 2024-02-29T10:05:00");
    }
}
