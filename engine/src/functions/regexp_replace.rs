//! `regexp_replace`, in the place of DataFusion's: a `$5` in the replacement that is no group of the pattern is what
//! it says. DataFusion puts nothing in its place, also in that of `$1a`, which it reads as a group of that name.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, StringArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue};
use datafusion::execution::SessionState;
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl};
use regex::Regex;

use super::wrapped::{self, named_as_inner};

const NAME: &str = "regexp_replace";

/// Puts ours in the place of DataFusion's.
pub(super) fn register(state: &mut SessionState) -> Result<()> {
    wrapped::register(state, &[NAME], |inner| RegexpReplace { inner })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct RegexpReplace {
    inner: Arc<ScalarUDF>,
}

impl ScalarUDFImpl for RegexpReplace {
    named_as_inner!();

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.inner.return_type(types)
    }

    fn invoke_with_args(&self, mut args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        if let [_, pattern, replacement, rest @ ..] = args.args.as_slice() {
            let flags = rest.first();
            if let Some(replacement) = spelled_out(pattern, replacement, flags, args.number_rows)?
                && let Some(argument) = args.args.get_mut(2)
            {
                *argument = replacement;
            }
        }
        self.inner.invoke_with_args(args)
    }
}

/// The replacement, in which all that looks like a group is one; `None` where it is as it should be.
fn spelled_out(
    pattern: &ColumnarValue,
    replacement: &ColumnarValue,
    flags: Option<&ColumnarValue>,
    n_rows: usize,
) -> Result<Option<ColumnarValue>> {
    if let ColumnarValue::Scalar(replacement) = replacement
        && let Some(text) = replacement.try_as_str().flatten()
    {
        if !text.contains(['$', '\\']) {
            return Ok(None);
        }
        if let ColumnarValue::Scalar(pattern) = pattern
            && let Some(pattern) = pattern.try_as_str().flatten()
            && let Some(flags) = constant(flags)
        {
            let Some(groups) = Groups::of(pattern, flags) else {
                return Ok(None);
            };
            let text = ScalarValue::from(groups.spelled_out(text));
            let text = text.cast_to(&replacement.data_type())?;
            return Ok(Some(ColumnarValue::Scalar(text)));
        }
    }
    let texts = |value: &ColumnarValue| -> Result<ArrayRef> {
        Ok(cast(&value.to_array(n_rows)?, &DataType::Utf8)?)
    };
    let (patterns, replacements) = (texts(pattern)?, texts(replacement)?);
    let flags = flags.map(texts).transpose()?;
    let flags = flags.as_ref().map(|flags| flags.as_string::<i32>());
    let mut known = HashMap::new();
    let rows = patterns.as_string::<i32>().iter().enumerate();
    let rows = rows.zip(replacements.as_string::<i32>());
    let spelled = rows.map(|((row, pattern), replacement)| {
        let (pattern, replacement) = pattern.zip(replacement)?;
        let flags = flags.filter(|flags| flags.is_valid(row));
        let flags = flags.map(|flags| flags.value(row));
        let groups = match known.entry((pattern, flags)) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => entry.insert(Groups::of(pattern, flags.unwrap_or(""))),
        };
        Some(match groups {
            Some(groups) => groups.spelled_out(replacement),
            None => replacement.to_owned(),
        })
    });
    let spelled: ArrayRef = Arc::new(spelled.collect::<StringArray>());
    let spelled = cast(&spelled, &replacement.data_type())?;
    Ok(Some(ColumnarValue::Array(spelled)))
}

/// Flags that are the same in all rows; no flags are the empty text.
fn constant(flags: Option<&ColumnarValue>) -> Option<&str> {
    match flags {
        None => Some(""),
        Some(ColumnarValue::Scalar(flags)) => flags.try_as_str().flatten(),
        Some(ColumnarValue::Array(_)) => None,
    }
}

/// The groups of a pattern.
struct Groups(Regex);

impl Groups {
    /// `None` where the pattern is wrong: DataFusion says so.
    fn of(pattern: &str, flags: &str) -> Option<Self> {
        let flags = flags.replace('g', "");
        let regex = match flags.as_str() {
            "" => Regex::new(pattern),
            flags => Regex::new(&format!("(?{flags}){pattern}")),
        };
        regex.ok().map(Self)
    }

    fn has(&self, name: &str) -> bool {
        match name.parse::<usize>() {
            Ok(number) => number < self.0.captures_len(),
            Err(_) => self.0.capture_names().flatten().any(|group| group == name),
        }
    }

    /// The longest start of the digits that is the number of a group.
    fn number<'a>(&self, digits: &'a str) -> Option<&'a str> {
        let starts = (1..=digits.len()).rev();
        let mut starts = starts.filter_map(|end| digits.get(..end));
        starts.find(|start| self.has(start))
    }

    /// The replacement with groups as `${1}` or `${name}`, and `$$` for a `$` that is one.
    fn spelled_out(&self, replacement: &str) -> String {
        let mut spelled = String::with_capacity(replacement.len() + 4);
        let mut rest = replacement;
        while let Some(at) = rest.find(['$', '\\']) {
            let (before, sign) = rest.split_at(at);
            spelled.push_str(before);
            let n_read = match sign.starts_with('$') {
                true => self.dollar(sign, &mut spelled),
                false => self.backslash(sign, &mut spelled),
            };
            rest = sign.get(n_read..).unwrap_or("");
        }
        spelled.push_str(rest);
        spelled
    }

    /// Writes what a text that begins with `$` begins with, and says how much of it that is.
    fn dollar(&self, text: &str, to: &mut String) -> usize {
        let after = text.get(1..).unwrap_or("");
        let (name, n_read) = match after.strip_prefix('{') {
            Some(braced) => match braced.find('}') {
                Some(end) => (braced.get(..end), end + 3),
                None => (None, 0),
            },
            None => {
                let word = run(after, |c| c.is_ascii_alphanumeric() || c == '_');
                let number = self.number(run(word, |c| c.is_ascii_digit()));
                let name = if self.has(word) { Some(word) } else { number };
                (name, 1 + name.map_or(0, str::len))
            }
        };
        if let Some(name) = name.filter(|name| self.has(name)) {
            to.push_str(&format!("${{{name}}}"));
            return n_read;
        }
        to.push_str("$$");
        // `$$` is one sign, as it always was.
        if after.starts_with('$') { 2 } else { 1 }
    }

    /// As `dollar` for `\`: `\1` is a group, or nothing where the pattern has no such group; `\&` is all that matches.
    fn backslash(&self, text: &str, to: &mut String) -> usize {
        let n_signs = if text.starts_with("\\\\") { 2 } else { 1 };
        let after = text.get(n_signs..).unwrap_or("");
        let digits = run(after, |c| c.is_ascii_digit());
        if digits.is_empty() {
            if n_signs == 1 && after.starts_with('&') {
                to.push_str("${0}");
                return 2;
            }
            to.push_str(text.get(..n_signs).unwrap_or(""));
            return n_signs;
        }
        match self.number(digits) {
            Some(number) => {
                to.push_str(&format!("${{{number}}}"));
                n_signs + number.len()
            }
            None => n_signs + 1,
        }
    }
}

/// The start of a text of such characters, each a byte.
fn run(text: &str, is_in: impl Fn(char) -> bool) -> &str {
    let end = text.find(|c| !is_in(c)).unwrap_or(text.len());
    text.get(..end).unwrap_or("")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_group_is_what_it_says() {
        for (pattern, replacement, result) in [
            ("EUR", "$5", "10 $5"),
            ("EUR", "${5}", "10 ${5}"),
            ("EUR", "$price", "10 $price"),
            ("EUR", "a$", "10 a$"),
            ("EUR", "$$", "10 $"),
            ("EUR", "$", "10 $"),
            ("EUR", "${", "10 ${"),
            ("EUR", "$é", "10 $é"),
            ("(E)(U)R", "$2$1", "10 UE"),
            ("(E)(U)R", "$2x", "10 Ux"),
            ("(E)(U)R", "$21", "10 U1"),
            ("(E)(U)R", "${2}1$3", "10 U1$3"),
            ("(?<unit>EUR)", "[$unit]", "10 [EUR]"),
            ("(?<unit>EUR)", "[${unit}]s", "10 [EUR]s"),
            ("(E)(U)R", r"\2\1", "10 UE"),
            ("(E)(U)R", r"\21", "10 U1"),
            ("EUR", r"\5", "10 "),
            ("EUR", r"[\0]", "10 [EUR]"),
            ("EUR", r"[\&]", "10 [EUR]"),
            ("EUR", r"a\b", r"10 a\b"),
        ] {
            let groups = Groups::of(pattern, "").unwrap();
            let spelled = groups.spelled_out(replacement);
            let replaced = groups.0.replace("10 EUR", spelled.as_str());
            assert_eq!(replaced, result, "{pattern} {replacement}: {spelled}");
        }
    }
}
