//! Syntax trees: visiting them, and pieces of them.

use std::ops::ControlFlow;

use datafusion::sql::parser::{CopyToSource, Statement as Parsed};
use datafusion::sql::sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentList, FunctionArguments, Ident,
    ObjectName, Query, SetExpr, Visit, VisitMut, Visitor, VisitorMut,
};

/// Bytes of a stack on which the deepest statement can be copied.
const COPY_STACK: usize = 64 * 1024 * 1024;

/// Visits the queries of a statement.
pub(super) fn visit<V: Visitor>(parsed: &Parsed, visitor: &mut V) -> ControlFlow<V::Break> {
    match parsed {
        Parsed::Statement(sql) => sql.visit(visitor),
        Parsed::Explain(explain) => visit(&explain.statement, visitor),
        Parsed::CopyTo(copy) => match &copy.source {
            CopyToSource::Query(query) => query.visit(visitor),
            CopyToSource::Relation(_) => ControlFlow::Continue(()),
        },
        Parsed::CreateExternalTable(_) | Parsed::Reset(_) => ControlFlow::Continue(()),
    }
}

/// As [`visit`], for a visitor that changes them.
pub(super) fn visit_mut<V: VisitorMut>(
    parsed: &mut Parsed,
    visitor: &mut V,
) -> ControlFlow<V::Break> {
    match parsed {
        Parsed::Statement(sql) => sql.visit(visitor),
        Parsed::Explain(explain) => visit_mut(&mut explain.statement, visitor),
        Parsed::CopyTo(copy) => match &mut copy.source {
            CopyToSource::Query(query) => query.visit(visitor),
            CopyToSource::Relation(_) => ControlFlow::Continue(()),
        },
        Parsed::CreateExternalTable(_) | Parsed::Reset(_) => ControlFlow::Continue(()),
    }
}

/// A copy of a statement, however deep it is.
pub(super) fn copied(parsed: &Parsed) -> Parsed {
    stacker::grow(COPY_STACK, || parsed.clone())
}

/// Frees a statement, however deep it is.
pub(super) fn freed(parsed: Parsed) {
    stacker::grow(COPY_STACK, || drop(parsed));
}

/// The call of a function.
pub(super) fn call(name: &str, arguments: Vec<Expr>) -> Expr {
    let arguments = arguments
        .into_iter()
        .map(|argument| FunctionArg::Unnamed(FunctionArgExpr::Expr(argument)));
    Expr::Function(Function {
        name: ObjectName::from(vec![Ident::new(name)]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(FunctionArgumentList {
            duplicate_treatment: None,
            args: arguments.collect(),
            clauses: Vec::new(),
        }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    })
}

/// A query of nothing but `body`.
pub(super) fn query_of(body: SetExpr) -> Query {
    Query {
        with: None,
        body: Box::new(body),
        order_by: None,
        limit_clause: None,
        fetch: None,
        locks: Vec::new(),
        for_clause: None,
        settings: None,
        format_clause: None,
        pipe_operators: Vec::new(),
    }
}

/// The name as the planner reads it.
pub(super) fn name_of(ident: &Ident) -> String {
    match ident.quote_style {
        Some(_) => ident.value.clone(),
        None => ident.value.to_lowercase(),
    }
}
