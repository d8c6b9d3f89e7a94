//! What a job is: its name, parameters, inputs and outputs, as data.
//!
//! The trait that runs a job lives in `emporia-engine`; here are only the words that the client,
//! the DataFrame jobs and the SQL jobs share.

use std::collections::BTreeMap;
use std::fmt;

use chrono::{DateTime, NaiveDate, NaiveDateTime, Utc};

use crate::error::{Error, Result, nearest};

/// The declaration of a job.
#[derive(Debug, Clone, PartialEq)]
pub struct JobSpec {
    /// Unique name, `snake_case`.
    pub name: String,
    /// One line for lists.
    pub summary: String,
    /// Parameters in the order in which they are documented.
    pub params: Vec<ParamSpec>,
    /// Tables that the job reads.
    pub inputs: Vec<String>,
    /// Tables that the job makes.
    pub outputs: Vec<OutputSpec>,
    /// Markdown: definition, source, defects avoided.
    pub docs: String,
}

/// A table that a job makes.
#[derive(Debug, Clone, PartialEq)]
pub struct OutputSpec {
    /// Name of the output; the first output of a job is its main one.
    pub name: String,
    /// Columns that identify a row.
    pub key: Vec<String>,
}

/// A parameter of a job.
#[derive(Debug, Clone, PartialEq)]
pub struct ParamSpec {
    /// Name as in `-p name=value`.
    pub name: String,
    /// Type and, for choices, the legal values.
    pub kind: ParamKind,
    /// Value when the user gives none, in the same text form; `None` makes it required.
    pub default: Option<String>,
    /// One line of explanation.
    pub doc: String,
}

/// The forms of a timestamp.
const INSTANT: &str = "a date (YYYY-MM-DD) or a timestamp of the form YYYY-MM-DDTHH:MM:SSZ";

/// Parameters that are the beginning and the end of one time.
const TIMES: [(&str, &str); 2] = [("from", "to"), ("calibration_start", "calibration_end")];

/// The type of a parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ParamKind {
    /// 64-bit signed integer.
    Int,
    /// 64-bit signed integer of at least this.
    IntFrom(i64),
    /// Double precision number; never for money.
    Float,
    /// Double precision number from 0 to 1.
    Share,
    /// Exact decimal number in text form, e.g. `12.50`.
    Decimal,
    /// Any text.
    Text,
    /// `true` or `false`.
    Bool,
    /// `YYYY-MM-DD`.
    Date,
    /// `YYYY-MM-DDTHH:MM:SSZ`, `YYYY-MM-DD HH:MM:SS` (UTC) or a date (midnight UTC).
    Timestamp,
    /// The last instant that counts, as [`ParamKind::Timestamp`]; a date is its last microsecond, so
    /// that the whole day counts.
    LastInstant,
    /// Comma-separated texts.
    List,
    /// One of the listed texts.
    Choice(Vec<String>),
}

impl fmt::Display for ParamKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Int => f.write_str("int"),
            Self::IntFrom(least) => write!(f, "int({least}..)"),
            Self::Float => f.write_str("float"),
            Self::Share => f.write_str("float(0..1)"),
            Self::Decimal => f.write_str("decimal"),
            Self::Text => f.write_str("text"),
            Self::Bool => f.write_str("bool"),
            Self::Date => f.write_str("date"),
            Self::Timestamp | Self::LastInstant => f.write_str("timestamp"),
            Self::List => f.write_str("list"),
            Self::Choice(values) => f.write_str(&values.join("|")),
        }
    }
}

/// A parsed parameter value.
#[derive(Debug, Clone, PartialEq)]
pub enum ParamValue {
    /// An integer.
    Int(i64),
    /// A double precision number.
    Float(f64),
    /// A decimal: unscaled value and scale.
    Decimal(i128, i8),
    /// A text or a choice.
    Text(String),
    /// A truth value.
    Bool(bool),
    /// A calendar day.
    Date(NaiveDate),
    /// An instant in UTC.
    Timestamp(DateTime<Utc>),
    /// A list of texts.
    List(Vec<String>),
    /// The parameter was given as the word `null` or has an empty default.
    Null,
}

impl ParamKind {
    /// Parses the text form of a value of this kind.
    ///
    /// # Errors
    /// `InvalidInput` that names the expected form.
    pub fn parse(&self, text: &str) -> Result<ParamValue> {
        let wrong = |expected: &str| Error::invalid(format!("`{text}` is not {expected}"));
        if text == "null" {
            return Ok(ParamValue::Null);
        }
        Ok(match self {
            Self::Int => ParamValue::Int(text.parse().map_err(|_| wrong("an integer"))?),
            Self::IntFrom(least) => match text.parse::<i64>() {
                Ok(value) if value >= *least => ParamValue::Int(value),
                _ => return Err(wrong(&format!("an integer of at least {least}"))),
            },
            Self::Float => match text.parse::<f64>() {
                Ok(value) if value.is_finite() => ParamValue::Float(value),
                _ => return Err(wrong("a finite number")),
            },
            Self::Share => match text.parse::<f64>() {
                Ok(value) if (0.0..=1.0).contains(&value) => ParamValue::Float(value),
                _ => return Err(wrong("a number from 0 to 1")),
            },
            Self::Decimal => {
                let (value, scale) =
                    parse_decimal(text).ok_or_else(|| wrong("a decimal number"))?;
                ParamValue::Decimal(value, scale)
            }
            Self::Text => ParamValue::Text(text.to_owned()),
            Self::Bool => match text {
                "true" => ParamValue::Bool(true),
                "false" => ParamValue::Bool(false),
                _ => return Err(wrong("`true` or `false`")),
            },
            Self::Date => ParamValue::Date(
                text.parse()
                    .map_err(|_| wrong("a date of the form YYYY-MM-DD"))?,
            ),
            Self::Timestamp => {
                ParamValue::Timestamp(parse_timestamp(text).ok_or_else(|| wrong(INSTANT))?)
            }
            Self::LastInstant => {
                ParamValue::Timestamp(parse_last_instant(text).ok_or_else(|| wrong(INSTANT))?)
            }
            Self::List => ParamValue::List(
                text.split(',')
                    .map(str::trim)
                    .filter(|v| !v.is_empty())
                    .map(str::to_owned)
                    .collect(),
            ),
            Self::Choice(values) => {
                if !values.iter().any(|v| v == text) {
                    return Err(wrong(&format!("one of {}", values.join(", "))));
                }
                ParamValue::Text(text.to_owned())
            }
        })
    }
}

fn parse_decimal(text: &str) -> Option<(i128, i8)> {
    let (integer, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = integer.strip_prefix(['-', '+']).unwrap_or(integer);
    let all_digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    if digits.is_empty() && fraction.is_empty() || !all_digits(digits) || !all_digits(fraction) {
        return None;
    }
    let scale = i8::try_from(fraction.len()).ok().filter(|s| *s <= 18)?;
    let value: i128 = format!("{integer}{fraction}").parse().ok()?;
    Some((value, scale))
}

fn parse_timestamp(text: &str) -> Option<DateTime<Utc>> {
    if let Ok(instant) = DateTime::parse_from_rfc3339(text) {
        return Some(instant.with_timezone(&Utc));
    }
    if let Ok(naive) = NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S") {
        return Some(naive.and_utc());
    }
    let date: NaiveDate = text.parse().ok()?;
    Some(date.and_hms_opt(0, 0, 0)?.and_utc())
}

fn parse_last_instant(text: &str) -> Option<DateTime<Utc>> {
    match text.parse::<NaiveDate>() {
        Ok(date) => Some(date.and_hms_micro_opt(23, 59, 59, 999_999)?.and_utc()),
        Err(_) => parse_timestamp(text),
    }
}

/// The bound parameters of one run: every declared parameter has a value.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Params(BTreeMap<String, ParamValue>);

impl Params {
    /// Binds `given` (name, text) to the declaration, fills in defaults.
    ///
    /// # Errors
    /// `InvalidInput` for an unknown, repeated, missing or mistyped parameter; each names the
    /// parameter and what was expected.
    pub fn bind(spec: &JobSpec, given: &[(String, String)]) -> Result<Self> {
        let mut values = BTreeMap::new();
        for (name, text) in given {
            let Some(param) = spec.params.iter().find(|p| p.name == *name) else {
                let error =
                    Error::invalid(format!("job `{}` has no parameter `{name}`", spec.name));
                let names = spec.params.iter().map(|p| p.name.as_str());
                return Err(match nearest(name, names) {
                    Some(near) => error.with_hint(format!("did you mean `{near}`?")),
                    None => error.with_hint(format!("`emporia jobs {}` lists them", spec.name)),
                });
            };
            let value = param.kind.parse(text).map_err(|e| {
                Error::invalid(format!("parameter `{name}` of job `{}`: {e}", spec.name))
            })?;
            if values.insert(name.clone(), value).is_some() {
                return Err(Error::invalid(format!("parameter `{name}` is given twice")));
            }
        }
        for param in &spec.params {
            if values.contains_key(&param.name) {
                continue;
            }
            let Some(default) = &param.default else {
                return Err(Error::invalid(format!(
                    "job `{}` needs the parameter `{}` ({}): {}",
                    spec.name, param.name, param.kind, param.doc
                ))
                .with_hint(format!("add -p {}=<{}>", param.name, param.kind)));
            };
            let value = param.kind.parse(default).map_err(|e| {
                Error::internal(format!(
                    "default of `{}` in job `{}`: {e}",
                    param.name, spec.name
                ))
            })?;
            values.insert(param.name.clone(), value);
        }
        let params = Self(values);
        for (start, end) in TIMES {
            params.check_time(spec, start, end)?;
        }
        Ok(params)
    }

    /// Refuses a time that ends before it begins: no row is in it.
    fn check_time(&self, spec: &JobSpec, start: &str, end: &str) -> Result<()> {
        let is_wrong = match (self.get(start), self.get(end)) {
            (ParamValue::Date(from), ParamValue::Date(to)) => from > to,
            (ParamValue::Timestamp(from), ParamValue::Timestamp(to)) => from > to,
            _ => false,
        };
        if !is_wrong {
            return Ok(());
        }
        let text = format!("job `{}`: `{start}` is after `{end}`", spec.name);
        Err(Error::invalid(text).with_hint("no row lies in between; exchange the two"))
    }

    /// What the bounds of time leave out, for the user: a date as the end that is not part of a range
    /// is easily taken for its last day. The doc of such a parameter ends with `(exclusive)`.
    pub fn notes(&self, spec: &JobSpec) -> Vec<String> {
        let ends = spec
            .params
            .iter()
            .filter(|p| p.doc.ends_with("(exclusive)"));
        let notes = ends.filter_map(|param| {
            let end = match self.get(&param.name) {
                ParamValue::Date(date) => date.to_string(),
                ParamValue::Timestamp(time) => {
                    let text = time.format("%Y-%m-%d %H:%M:%S UTC").to_string();
                    match text.strip_suffix(" 00:00:00 UTC") {
                        Some(date) => date.to_owned(),
                        None => text,
                    }
                }
                _ => return None,
            };
            Some(format!(
                "`{}` is exclusive: {end} and later are left out",
                param.name
            ))
        });
        notes.collect()
    }

    /// Every bound value by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &ParamValue)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// The value of `name`, `Null` where it is not declared.
    pub fn get(&self, name: &str) -> &ParamValue {
        self.0.get(name).unwrap_or(&ParamValue::Null)
    }

    /// The integer `name`, `None` where it is null.
    pub fn int(&self, name: &str) -> Option<i64> {
        if let ParamValue::Int(value) = self.get(name) {
            Some(*value)
        } else {
            None
        }
    }

    /// The number `name`, `None` where it is null.
    pub fn float(&self, name: &str) -> Option<f64> {
        match self.get(name) {
            ParamValue::Float(value) => Some(*value),
            ParamValue::Int(value) => Some(*value as f64),
            _ => None,
        }
    }

    /// The text or choice `name`, `None` where it is null.
    pub fn text(&self, name: &str) -> Option<&str> {
        if let ParamValue::Text(value) = self.get(name) {
            Some(value)
        } else {
            None
        }
    }

    /// The truth value `name`; null is false.
    pub fn bool(&self, name: &str) -> bool {
        matches!(self.get(name), ParamValue::Bool(true))
    }

    /// The instant `name`, `None` where it is null.
    pub fn timestamp(&self, name: &str) -> Option<DateTime<Utc>> {
        if let ParamValue::Timestamp(value) = self.get(name) {
            Some(*value)
        } else {
            None
        }
    }

    /// The list `name`; null is empty.
    pub fn list(&self, name: &str) -> &[String] {
        if let ParamValue::List(values) = self.get(name) {
            values
        } else {
            &[]
        }
    }
}

#[cfg(test)]
mod tests;
