//! Turns errors of the SQL parser and planner into messages that show the place in the text.

use datafusion::common::{DataFusionError, Diagnostic, SchemaError};
use datafusion::prelude::SessionContext;
use datafusion::sql::sqlparser::parser::ParserError;
use datafusion::sql::sqlparser::tokenizer::Token;
use emporia_core::error::{Error, ErrorKind, nearest};
use emporia_core::text::lowercase_first;
use emporia_engine::dialect::{MAX_NESTED_TEXT, too_deep};

use crate::source::{Mark, Source};
use crate::split::tokens;

/// How DataFusion begins the remark on a function that is called with arguments of other types.
const NO_FIT: &str = "No function matches the given name and argument types '";
/// A diagnostic that says less than the error.
const INCOMPATIBLE: &str = "expressions have incompatible types";

/// Turns an error of parsing, planning or running `sql` into Emporia's: with `line:column`, the
/// source line and a mark where the place is known, and the nearest name where a name is unknown.
///
/// `tables` are the names that a table could have; [`table_names`] lists those of a context. Places
/// of columns are known only where the session has `datafusion.sql_parser.collect_spans` on.
pub fn describe_error<'a>(
    sql: impl Into<Source<'a>>,
    error: &DataFusionError,
    tables: &[String],
) -> Error {
    let source = sql.into();
    let first = error.iter().next().unwrap_or(error);
    let diagnostic = first.diagnostic();
    let root = first.find_root();
    let Finding {
        kind,
        message,
        hint,
        mark,
    } = find(root, diagnostic, tables);
    // The parser knows no place behind the last word.
    let end = || {
        let is_too_short = message.ends_with("found: EOF");
        is_too_short.then(|| source.end()).flatten()
    };
    let mark = diagnostic.and_then(mark_of).or(mark);
    let mark = mark.or_else(|| only_place(&source, root)).or_else(end);
    let message = match mark {
        Some(mark) => source.point_at(mark, &message),
        None => source.prefix(&message),
    };
    let hint = hint.or_else(|| {
        let help = diagnostic?.helps.first()?;
        Some(lowercase_first(&help.message))
    });
    let error = Error::new(kind, message);
    match hint {
        Some(hint) => error.with_hint(hint),
        None => error,
    }
}

/// Names of all tables of a context: bare in the default schema, else `schema.table`.
pub fn table_names(context: &SessionContext) -> Vec<String> {
    let state = context.state();
    let defaults = &state.config_options().catalog;
    let mut names = Vec::new();
    for catalog_name in context.catalog_names() {
        let Some(catalog) = context.catalog(&catalog_name) else {
            continue;
        };
        for schema_name in catalog.schema_names() {
            let Some(schema) = catalog.schema(&schema_name) else {
                continue;
            };
            let is_default =
                catalog_name == defaults.default_catalog && schema_name == defaults.default_schema;
            names.extend(schema.table_names().into_iter().map(|table| {
                if is_default {
                    table
                } else {
                    format!("{schema_name}.{table}")
                }
            }));
        }
    }
    names.sort_unstable();
    names
}

/// What an error means, before its place is added.
struct Finding {
    kind: ErrorKind,
    message: String,
    hint: Option<String>,
    mark: Option<Mark>,
}

impl Finding {
    fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            hint: None,
            mark: None,
        }
    }

    fn did_you_mean(mut self, near: Option<&str>) -> Self {
        self.hint = near.map(|near| format!("did you mean `{near}`?"));
        self
    }
}

fn find(root: &DataFusionError, diagnostic: Option<&Diagnostic>, tables: &[String]) -> Finding {
    match root {
        DataFusionError::SQL(error, _) => parser_finding(error),
        DataFusionError::SchemaError(error, _) => schema_finding(error),
        DataFusionError::Plan(message) => plan_finding(message, diagnostic, tables),
        DataFusionError::NotImplemented(message) => {
            let message = without_forms(message);
            let message = match message.strip_prefix("Unsupported ast node ") {
                Some(node) => format!("{} is not supported", node.to_uppercase()),
                None => lowercase_first(message),
            };
            Finding::new(ErrorKind::Unsupported, message)
        }
        DataFusionError::Configuration(message) => {
            Finding::new(ErrorKind::InvalidInput, lowercase_first(message))
        }
        DataFusionError::ResourcesExhausted(message) => {
            Finding::new(ErrorKind::ResourceExhausted, lowercase_first(message))
        }
        DataFusionError::Internal(message) => {
            Finding::new(ErrorKind::Internal, lowercase_first(message))
        }
        DataFusionError::External(error) => match error.downcast_ref::<Error>() {
            Some(own) => {
                let hint = own.hint().map(str::to_owned);
                Finding {
                    hint,
                    ..Finding::new(own.kind(), own.message())
                }
            }
            None => Finding::new(ErrorKind::Failed, lowercase_first(&error.to_string())),
        },
        other => Finding::new(ErrorKind::Failed, lowercase_first(&other.strip_backtrace())),
    }
}

/// Marks of the debug form of a syntax tree, which no message should show.
const FORMS: [&str; 4] = ["Span(", "Ident {", "TokenWithSpan", "ValueWithSpan"];

/// The message up to the debug form of a syntax tree.
fn without_forms(message: &str) -> &str {
    if !FORMS.iter().any(|form| message.contains(form)) {
        return message;
    }
    let end = message.find(['(', '{']).unwrap_or(message.len());
    message.get(..end).unwrap_or(message).trim_end()
}

fn parser_finding(error: &ParserError) -> Finding {
    let text = match error {
        ParserError::ParserError(text) | ParserError::TokenizerError(text) => text.clone(),
        ParserError::RecursionLimitExceeded => too_deep(MAX_NESTED_TEXT),
    };
    let (message, mark) = split_place(&text);
    Finding {
        mark,
        ..Finding::new(ErrorKind::InvalidInput, lowercase_first(message))
    }
}

/// Takes ` at Line: 1, Column: 8` off the end of a parser message.
fn split_place(text: &str) -> (&str, Option<Mark>) {
    let place = text.rsplit_once(" at Line: ").and_then(|(message, place)| {
        let (line, column) = place.split_once(", Column: ")?;
        let digits = column
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(column.len());
        let mark = Mark::new(line.parse().ok()?, column.get(..digits)?.parse().ok()?, 1)?;
        Some((message, mark))
    });
    match place {
        Some((message, mark)) => (message, Some(mark)),
        None => (text, None),
    }
}

fn schema_finding(error: &SchemaError) -> Finding {
    match error {
        SchemaError::FieldNotFound {
            field,
            valid_fields,
        } => {
            let (name, names): (_, Vec<&str>) = match &field.relation {
                Some(relation) => {
                    let same_table = valid_fields
                        .iter()
                        .filter(|f| f.relation.as_ref() == Some(relation));
                    (
                        format!("{relation}.{}", field.name),
                        same_table.map(|f| f.name()).collect(),
                    )
                }
                None => (
                    field.name.clone(),
                    valid_fields.iter().map(|f| f.name()).collect(),
                ),
            };
            let finding = Finding::new(ErrorKind::NotFound, format!("no column `{name}`"));
            let near = nearest(&field.name, names.iter().copied());
            if near.is_some() || names.is_empty() {
                return finding.did_you_mean(near);
            }
            let mut distinct: Vec<&str> = Vec::with_capacity(names.len());
            for name in names {
                if !distinct.contains(&name) {
                    distinct.push(name);
                }
            }
            Finding {
                hint: Some(format!("columns are {}", listed(&distinct))),
                ..finding
            }
        }
        SchemaError::AmbiguousReference { field } if field.relation.is_some() => {
            let column = field.flat_name();
            let message = format!("`{column}` and an output column have the same name");
            Finding {
                hint: Some("give the output column another name".to_owned()),
                ..Finding::new(ErrorKind::InvalidInput, message)
            }
        }
        SchemaError::AmbiguousReference { field } => {
            let message = format!("column `{}` is in several tables", field.name);
            let hint = Some(format!("write `<table>.{}`", field.name));
            Finding {
                hint,
                ..Finding::new(ErrorKind::InvalidInput, message)
            }
        }
        other => Finding::new(ErrorKind::InvalidInput, lowercase_first(&other.to_string())),
    }
}

fn plan_finding(message: &str, diagnostic: Option<&Diagnostic>, tables: &[String]) -> Finding {
    let known_table = || tables.iter().map(String::as_str);
    if let Some(name) = quoted(message, "table '", "' not found") {
        // The planner has added the default catalog and schema to the name.
        let shown = diagnostic.and_then(|d| quoted(&d.message, "table '", "' not found"));
        let name = shown.unwrap_or_else(|| name.rsplit('.').next().unwrap_or(name));
        let finding = Finding::new(ErrorKind::NotFound, format!("no table `{name}`"));
        return finding.did_you_mean(nearest(name, known_table()));
    }
    if let Some(name) = quoted(message, "Invalid function '", "'") {
        let near = quoted(message, "Did you mean '", "'");
        let finding = Finding::new(ErrorKind::NotFound, format!("no function `{name}`"));
        return finding.did_you_mean(near);
    }
    if let Some(call) = quoted(message, NO_FIT, "'") {
        let finding = Finding::new(
            ErrorKind::InvalidInput,
            format!("no function fits `{call}`"),
        );
        let hint = candidates(message);
        return Finding { hint, ..finding };
    }
    let text = match diagnostic {
        // The text of the error names the types, that of the diagnostic does not.
        Some(diagnostic) if diagnostic.message != INCOMPATIBLE => diagnostic.message.as_str(),
        _ => message,
    };
    Finding::new(
        ErrorKind::InvalidInput,
        lowercase_first(without_forms(text)),
    )
}

/// The place of an unknown column that the planner does not say, as of ORDER BY: that of the name, where the text
/// has it once.
fn only_place(source: &Source<'_>, root: &DataFusionError) -> Option<Mark> {
    let DataFusionError::SchemaError(error, _) = root else {
        return None;
    };
    let SchemaError::FieldNotFound { field, .. } = error.as_ref() else {
        return None;
    };
    let tokens = tokens(source).ok()?;
    let mut places = tokens.iter().filter(|token| match &token.token {
        Token::Word(word) if word.quote_style.is_some() => word.value == field.name,
        Token::Word(word) => word.value.eq_ignore_ascii_case(&field.name),
        _ => false,
    });
    let place = places.next().filter(|_| places.next().is_none())?;
    let span = place.span;
    let width = span.end.column.saturating_sub(span.start.column);
    let width = usize::try_from(width).unwrap_or(1);
    Mark::new(span.start.line, span.start.column, width)
}

/// The forms of a function that was called with arguments of other types.
fn candidates(message: &str) -> Option<String> {
    let (_, list) = message.split_once("Candidate functions:")?;
    let forms: Vec<_> = list
        .lines()
        .map(str::trim)
        .filter(|l| !l.is_empty())
        .collect();
    (!forms.is_empty()).then(|| format!("the forms are {}; CAST converts a value", listed(&forms)))
}

fn quoted<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(before)?;
    rest.split_once(after).map(|(name, _)| name)
}

fn listed(names: &[&str]) -> String {
    const SHOWN: usize = 12;
    let head: Vec<String> = names.iter().take(SHOWN).map(|n| format!("`{n}`")).collect();
    let more = if names.len() > SHOWN { ", …" } else { "" };
    format!("{}{more}", head.join(", "))
}

fn mark_of(diagnostic: &Diagnostic) -> Option<Mark> {
    let span = diagnostic.span?;
    let width = if span.start.line == span.end.line {
        span.end.column.saturating_sub(span.start.column)
    } else {
        1
    };
    Mark::new(
        span.start.line,
        span.start.column,
        usize::try_from(width).unwrap_or(1),
    )
}

#[cfg(test)]
mod tests;
