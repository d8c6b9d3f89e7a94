//! The header of a SQL job file.
//!
//! The header is the block of `--` lines with which the file begins; the first other line (usually
//! an empty one) ends it. Each line is `-- <key>: <value>`; a bare `--` is allowed.
//!
//! ```text
//! -- name: sales_by_month                       snake_case, once
//! -- description: one line for lists            once
//! -- param: <name> <kind>[?] [= <default>] -- <explanation>
//! -- input: transactions                        one table; repeated for more
//! -- output: sales_by_month                     once
//! -- key: currency, month                       columns that identify a row, once
//! -- docs: Markdown text                        any number of lines
//! ```
//!
//! Kinds are `int`, `float`, `decimal`, `text`, `bool`, `date`, `timestamp`, `list`, `choice(a|b)`,
//! `int(1..)` for integers of at least that number and `float(0..1)` for shares. A parameter without default must be given. `?` after the kind, or the default
//! `null`, makes it legal to pass `null`.

use emporia_core::error::{Error, Result, nearest};
use emporia_core::job::{JobSpec, OutputSpec, ParamKind, ParamSpec};

use crate::source::Source;

const KEYS: [&str; 7] = [
    "name",
    "description",
    "param",
    "input",
    "output",
    "key",
    "docs",
];
const KINDS: [&str; 9] = [
    "int",
    "float",
    "decimal",
    "text",
    "bool",
    "date",
    "timestamp",
    "list",
    "choice",
];

/// A parsed header.
#[derive(Debug, Clone, PartialEq)]
pub struct Header {
    /// What the header declares.
    pub spec: JobSpec,
    /// For each parameter of the specification, whether it may be null.
    pub is_nullable: Vec<bool>,
    /// For each parameter of the specification, its line in the file.
    pub param_lines: Vec<usize>,
    /// For each input of the specification, its line in the file.
    pub input_lines: Vec<usize>,
}

/// Parses the header of a job file.
///
/// # Errors
/// `InvalidInput` with file and line.
pub fn parse(source: &Source<'_>) -> Result<Header> {
    let mut draft = Draft::default();
    let mut n_lines = 0;
    for (line_idx, line) in source.text().lines().enumerate() {
        let Some(comment) = line.strip_prefix("--") else {
            break;
        };
        n_lines = line_idx + 1;
        if !comment.trim().is_empty() {
            draft
                .add(n_lines, comment)
                .map_err(|message| match message {
                    Fault {
                        message,
                        hint: None,
                    } => source.invalid_line(n_lines, &message),
                    Fault {
                        message,
                        hint: Some(hint),
                    } => source.invalid_line(n_lines, &message).with_hint(hint),
                })?;
        }
    }
    draft.finish().map_err(|missing| {
        let message = format!("the header has no `{missing}` line");
        source
            .invalid_line(n_lines.max(1), &message)
            .with_hint(format!(
                "add `-- {missing}: ...` to the comment block at the top"
            ))
    })
}

/// What is wrong with a line.
struct Fault {
    message: String,
    hint: Option<String>,
}

impl Fault {
    fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            hint: None,
        }
    }

    fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::new(error.message())
    }
}

/// The lines seen so far.
#[derive(Default)]
struct Draft {
    name: Option<String>,
    description: Option<String>,
    output: Option<String>,
    key: Option<Vec<String>>,
    params: Vec<(ParamSpec, bool, usize)>,
    inputs: Vec<(String, usize)>,
    docs: Vec<String>,
}

impl Draft {
    fn add(&mut self, line: usize, comment: &str) -> Result<(), Fault> {
        let Some((key, value)) = comment.trim().split_once(':') else {
            return Err(
                Fault::new("a header line is not of the form `-- key: value`")
                    .with_hint("an empty line ends the header; other comments come after it"),
            );
        };
        let (key, value) = (key.trim(), value.trim());
        if value.is_empty() && key != "docs" {
            return Err(Fault::new(format!("`{key}` has no value")));
        }
        match key {
            "name" => once(&mut self.name, key, snake_case(value)?),
            "description" => once(&mut self.description, key, value.to_owned()),
            "output" => once(&mut self.output, key, snake_case(value)?),
            "key" => {
                let columns = value.split(',').map(|c| snake_case(c.trim()));
                once(&mut self.key, key, columns.collect::<Result<_, _>>()?)
            }
            "param" => {
                let (param, is_nullable) = parse_param(value)?;
                if self.params.iter().any(|(p, ..)| p.name == param.name) {
                    return Err(Fault::new(format!(
                        "parameter `{}` is declared twice",
                        param.name
                    )));
                }
                self.params.push((param, is_nullable, line));
                Ok(())
            }
            "input" => {
                if self.inputs.iter().any(|(input, _)| input == value) {
                    return Err(Fault::new(format!("input `{value}` is declared twice")));
                }
                self.inputs.push((value.to_owned(), line));
                Ok(())
            }
            "docs" => {
                self.docs.push(value.to_owned());
                Ok(())
            }
            _ => {
                let fault = Fault::new(format!("`{key}` is not a header key"));
                Err(match nearest(key, KEYS) {
                    Some(near) => fault.with_hint(format!("did you mean `{near}`?")),
                    None => fault.with_hint(format!("keys are {}", KEYS.join(", "))),
                })
            }
        }
    }

    /// The header, or the key of a line that is missing.
    fn finish(self) -> Result<Header, &'static str> {
        let name = self.name.ok_or("name")?;
        let summary = self.description.ok_or("description")?;
        if self.inputs.is_empty() {
            return Err("input");
        }
        let output = self.output.ok_or("output")?;
        let key = self.key.ok_or("key")?;
        let (inputs, input_lines) = self.inputs.into_iter().unzip();
        let mut header = Header {
            spec: JobSpec {
                name,
                summary,
                params: Vec::new(),
                inputs,
                outputs: vec![OutputSpec { name: output, key }],
                docs: self.docs.join("\n"),
            },
            is_nullable: Vec::new(),
            param_lines: Vec::new(),
            input_lines,
        };
        for (param, is_nullable, line) in self.params {
            header.spec.params.push(param);
            header.is_nullable.push(is_nullable);
            header.param_lines.push(line);
        }
        Ok(header)
    }
}

fn once<T>(slot: &mut Option<T>, key: &str, value: T) -> Result<(), Fault> {
    match slot.replace(value) {
        Some(_) => Err(Fault::new(format!("`{key}` is given twice"))),
        None => Ok(()),
    }
}

fn snake_case(text: &str) -> Result<String, Fault> {
    let is_word = text
        .bytes()
        .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    if is_word && text.starts_with(|c: char| c.is_ascii_lowercase()) {
        return Ok(text.to_owned());
    }
    Err(Fault::new(format!("`{text}` is not a name in snake_case")))
}

/// Parses `<name> <kind>[?] [= <default>] -- <explanation>`.
fn parse_param(value: &str) -> Result<(ParamSpec, bool), Fault> {
    let form = "a parameter is `<name> <kind> [= <default>] -- <explanation>`";
    let Some((declaration, doc)) = value.split_once(" -- ") else {
        return Err(Fault::new("the parameter has no explanation").with_hint(form));
    };
    let (declaration, default) = match declaration.split_once('=') {
        Some((declaration, default)) => (declaration, Some(default.trim())),
        None => (declaration, None),
    };
    let Some((name, kind)) = declaration.trim().split_once(' ') else {
        return Err(Fault::new("the parameter has no kind").with_hint(form));
    };
    let name = snake_case(name)?;
    let kind = kind.trim();
    let is_optional = kind.ends_with('?');
    let kind = parse_kind(kind.trim_end_matches('?'))?;
    match default {
        Some("") => {
            return Err(Fault::new(format!("the default of `{name}` is empty"))
                .with_hint("write `null` for no value, or no `=` to require a value"));
        }
        Some(default) => {
            kind.parse(default)
                .map_err(|e| Fault::new(format!("default of `{name}`: {}", e.message())))?;
        }
        None => {}
    }
    let is_nullable = is_optional || default == Some("null");
    let default = default.map(str::to_owned);
    Ok((
        ParamSpec {
            name,
            kind,
            default,
            doc: doc.trim().to_owned(),
        },
        is_nullable,
    ))
}

fn parse_kind(text: &str) -> Result<ParamKind, Fault> {
    if let Some(values) = text
        .strip_prefix("choice(")
        .and_then(|t| t.strip_suffix(')'))
    {
        let values: Vec<String> = values.split('|').map(|v| v.trim().to_owned()).collect();
        if values.iter().any(String::is_empty) {
            return Err(Fault::new(format!("`{text}` has an empty choice")));
        }
        return Ok(ParamKind::Choice(values));
    }
    if let Some(least) = text
        .strip_prefix("int(")
        .and_then(|t| t.strip_suffix("..)"))
    {
        let least = least.parse().map_err(|_| {
            Fault::new(format!("`{text}` is not a parameter kind"))
                .with_hint("integers of at least 1 are written `int(1..)`")
        })?;
        return Ok(ParamKind::IntFrom(least));
    }
    Ok(match text {
        "int" => ParamKind::Int,
        "float(0..1)" => ParamKind::Share,
        "float" => ParamKind::Float,
        "decimal" => ParamKind::Decimal,
        "text" => ParamKind::Text,
        "bool" => ParamKind::Bool,
        "date" => ParamKind::Date,
        "timestamp" => ParamKind::Timestamp,
        "list" => ParamKind::List,
        _ => {
            let fault = Fault::new(format!("`{text}` is not a parameter kind"));
            return Err(match nearest(text, KINDS) {
                Some("choice") => fault.with_hint("choices are written `choice(a|b)`"),
                Some(near) => fault.with_hint(format!("did you mean `{near}`?")),
                None => fault.with_hint(format!("kinds are {}", KINDS.join(", "))),
            });
        }
    })
}

#[cfg(test)]
mod tests;
