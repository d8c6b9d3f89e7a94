//! `like_pattern(p, e)`: a pattern of LIKE whose escape character is `\`, which is the only one that is computed.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, StringArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue, exec_err, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

/// `like_pattern(p, e)`: the pattern `p` of which the escape character is `e`, as one with `\`. Fails where a pattern
/// ends with the escape character.
pub(crate) fn like_pattern() -> Arc<ScalarUDF> {
    Arc::new(ScalarUDF::from(LikePattern {
        signature: Signature::any(2, Volatility::Immutable),
    }))
}

/// The pattern with `\` in the place of `escape`; `None` where it ends with the escape character.
pub(crate) fn with_backslashes(pattern: &str, escape: char) -> Option<String> {
    let mut result = String::with_capacity(pattern.len() + 4);
    let mut characters = pattern.chars();
    while let Some(character) = characters.next() {
        let (is_escaped, character) = match character == escape {
            true => (true, characters.next()?),
            false => (false, character),
        };
        if character == '\\' || is_escaped && matches!(character, '%' | '_') {
            result.push('\\');
        }
        result.push(character);
    }
    Some(result)
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct LikePattern {
    signature: Signature,
}

impl ScalarUDFImpl for LikePattern {
    fn name(&self) -> &'static str {
        "like_pattern"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match types {
            [pattern, _] => Ok(pattern.clone()),
            _ => plan_err!("like_pattern takes a pattern and a character"),
        }
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [patterns, ColumnarValue::Scalar(escape)] = args.args.as_slice() else {
            return exec_err!("like_pattern takes a pattern and a character");
        };
        let Some(escape) = escape.try_as_str().flatten().and_then(|e| e.chars().next()) else {
            return exec_err!("like_pattern takes a pattern and a character");
        };
        let data_type = patterns.data_type();
        let texts = cast(&patterns.to_array(args.number_rows)?, &DataType::Utf8)?;
        let texts = texts.as_string::<i32>().iter();
        let texts = texts.map(|pattern| pattern.map(|p| translated(p, escape)).transpose());
        let texts: ArrayRef = Arc::new(texts.collect::<Result<StringArray>>()?);
        let texts = cast(&texts, &data_type)?;
        Ok(match patterns {
            ColumnarValue::Scalar(_) if !texts.is_empty() => {
                ColumnarValue::Scalar(ScalarValue::try_from_array(&texts, 0)?)
            }
            _ => ColumnarValue::Array(texts),
        })
    }
}

fn translated(pattern: &str, escape: char) -> Result<String> {
    match with_backslashes(pattern, escape) {
        Some(pattern) => Ok(pattern),
        None => exec_err!(
            "the pattern `{pattern}` of LIKE ends with the escape character `{escape}`, which says how to read the next one"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_keep_their_meaning() {
        for (pattern, escape, expected) in [
            ("a!%b", '!', Some(r"a\%b")),
            ("%!_%", '!', Some(r"%\_%")),
            ("a!!b!c", '!', Some("a!bc")),
            (r"a\b!\", '!', Some(r"a\\b\\")),
            ("50%%", '%', Some(r"50\%")),
            ("é%!é", 'é', None),
            ("aéb", 'é', Some("ab")),
            ("a!", '!', None),
            ("", '!', Some("")),
        ] {
            let found = with_backslashes(pattern, escape);
            assert_eq!(found.as_deref(), expected, "{pattern}");
        }
    }
}
