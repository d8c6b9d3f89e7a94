//! The query of a job file: parsed once, checked against the header.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use datafusion::sql::parser::Statement;
use datafusion::sql::resolve::resolve_table_references;
use datafusion::sql::sqlparser::ast::{
    Query, Select, SetExpr, Statement as SqlAst, Visit, Visitor,
};
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};
use emporia_core::error::{Error, Result, nearest};

use crate::describe::describe_error;
use crate::header::Header;
use crate::source::{Mark, Source};
use crate::split::{split_statements, tokens};
use crate::syntax;

/// Parses the only statement of a job file and checks it: a query that changes nothing, whose
/// placeholders and tables are exactly those of the header.
///
/// # Errors
/// `InvalidInput` with file and line.
pub(crate) fn parse(source: &Source<'_>, header: &Header) -> Result<Statement> {
    let tokens = tokens(source)?;
    check_single(source, &tokens)?;
    let statement =
        syntax::parse(source)?.ok_or_else(|| source.invalid_line(1, "there is no query"))?;
    check_query(source, &statement)?;
    check_placeholders(source, header, &tokens)?;
    check_inputs(source, header, &statement, &tokens)?;
    Ok(statement)
}

fn check_single(source: &Source<'_>, tokens: &[TokenWithSpan]) -> Result<()> {
    let statements = split_statements(source.text())?;
    let hint = "a job file holds one SELECT or WITH query";
    match statements.get(1) {
        Some(second) => {
            let error = source.invalid_line(second.line, "a second statement begins here");
            Err(error.with_hint(hint))
        }
        None if statements.is_empty() => {
            let last = tokens.last().map_or(1, |t| t.span.end.line as usize);
            Err(source
                .invalid_line(last.max(1), "there is no query")
                .with_hint(hint))
        }
        None => Ok(()),
    }
}

fn check_query(source: &Source<'_>, statement: &Statement) -> Result<()> {
    let query = match statement {
        Statement::Statement(ast) => match ast.as_ref() {
            SqlAst::Query(query) => Some(query),
            _ => None,
        },
        _ => None,
    };
    let refused = match query {
        Some(query) => query.visit(&mut ReadOnly).break_value(),
        None => Some("the statement is not a query"),
    };
    match refused {
        Some(message) => {
            Err(Error::invalid(source.prefix(message)).with_hint("a job may only SELECT"))
        }
        None => Ok(()),
    }
}

/// Looks for statements hidden in a query, such as `WITH ... INSERT`.
struct ReadOnly;

impl Visitor for ReadOnly {
    type Break = &'static str;

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<Self::Break> {
        if is_read_only(&query.body) {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break("the query contains a statement that changes data")
        }
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<Self::Break> {
        if select.into.is_none() {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break("SELECT INTO would make a table")
        }
    }
}

fn is_read_only(body: &SetExpr) -> bool {
    match body {
        SetExpr::Select(_) | SetExpr::Query(_) | SetExpr::Values(_) | SetExpr::Table(_) => true,
        SetExpr::SetOperation { left, right, .. } => is_read_only(left) && is_read_only(right),
        SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_) => false,
    }
}

fn check_placeholders(
    source: &Source<'_>,
    header: &Header,
    tokens: &[TokenWithSpan],
) -> Result<()> {
    let params = &header.spec.params;
    let names = || params.iter().map(|p| p.name.as_str());
    let mut used = BTreeSet::new();
    for token in tokens {
        let Token::Placeholder(text) = &token.token else {
            continue;
        };
        let name = text.strip_prefix('$').unwrap_or("");
        if names().any(|declared| declared == name) {
            used.insert(name);
            continue;
        }
        let message = format!("`{text}` is not a declared parameter");
        let start = token.span.start;
        let message = match Mark::new(start.line, start.column, text.chars().count()) {
            Some(mark) => source.point_at(mark, &message),
            None => source.prefix(&message),
        };
        let hint = match nearest(name, names()) {
            Some(near) => format!("did you mean `${near}`?"),
            None => format!("declare it with `-- param: {name} <kind> -- <explanation>`"),
        };
        return Err(Error::invalid(message).with_hint(hint));
    }
    for (param, line) in params.iter().zip(&header.param_lines) {
        if !used.contains(param.name.as_str()) {
            let message = format!("parameter `{}` is not used by the query", param.name);
            let hint = format!("use `${}` or remove the line", param.name);
            return Err(source.invalid_line(*line, &message).with_hint(hint));
        }
    }
    Ok(())
}

fn check_inputs(
    source: &Source<'_>,
    header: &Header,
    statement: &Statement,
    tokens: &[TokenWithSpan],
) -> Result<()> {
    let (tables, _) =
        resolve_table_references(statement, true).map_err(|e| describe_error(*source, &e, &[]))?;
    let read: BTreeSet<String> = tables.iter().map(ToString::to_string).collect();
    let declared = &header.spec.inputs;
    if let Some(table) = read.iter().find(|table| !declared.contains(*table)) {
        let word = table.rsplit('.').next().unwrap_or(table);
        let place = tokens
            .iter()
            .find(|t| matches!(&t.token, Token::Word(w) if w.value.eq_ignore_ascii_case(word)));
        let message = format!("table `{table}` is not a declared input");
        let mark = place
            .and_then(|t| Mark::new(t.span.start.line, t.span.start.column, word.chars().count()));
        let message = match mark {
            Some(mark) => source.point_at(mark, &message),
            None => source.prefix(&message),
        };
        return Err(Error::invalid(message).with_hint(format!("add `-- input: {table}`")));
    }
    for (input, line) in declared.iter().zip(&header.input_lines) {
        if !read.contains(input) {
            let message = format!("input `{input}` is not read by the query");
            return Err(source
                .invalid_line(*line, &message)
                .with_hint("remove the line"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
