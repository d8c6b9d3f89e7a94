//! `WINDOW w AS (…)`: the windows that calls name, written out.
//!
//! The planner looks for names of windows in the list of a SELECT only, and takes a call for a plain aggregate
//! elsewhere. It passes over the `w` of `OVER (w ORDER BY …)`.

use std::ops::ControlFlow;

use datafusion::common::{DataFusionError, Diagnostic, Result, Span};
use datafusion::sql::parser::Statement as Parsed;
use datafusion::sql::sqlparser::ast::{
    Expr, Ident, NamedWindowDefinition, NamedWindowExpr, Query, Select, SetExpr, VisitorMut,
    WindowSpec, WindowType,
};

use super::syntax::{name_of, visit_mut};

/// Writes out the windows that the calls of a statement name.
///
/// # Errors
/// Where there is no such window, or it cannot be extended as it is written.
pub(super) fn write_out(parsed: &mut Parsed) -> Result<()> {
    match visit_mut(parsed, &mut Windows(Vec::new())) {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => Ok(()),
    }
}

/// The windows of each query around a call, the innermost last.
struct Windows(Vec<Vec<(String, WindowSpec)>>);

type Found<T = ()> = ControlFlow<DataFusionError, T>;

fn refuse<T>(name: &Ident, text: String) -> Found<T> {
    let mark = Diagnostic::new_error(text.clone(), Span::try_from_sqlparser_span(name.span));
    ControlFlow::Break(DataFusionError::Plan(text).with_diagnostic(mark))
}

impl Windows {
    fn named(&self, name: &Ident) -> Found<WindowSpec> {
        let own = self.0.last().into_iter().flatten();
        let mut own = own.filter(|(window, _)| *window == name_of(name));
        match own.next() {
            Some((_, window)) => ControlFlow::Continue(window.clone()),
            None => refuse(name, format!("no window `{name}` in the WINDOW clause")),
        }
    }

    /// The window with all that it takes from the one that it names.
    fn whole(&self, mut window: WindowSpec) -> Found<WindowSpec> {
        let Some(name) = window.window_name.take() else {
            return ControlFlow::Continue(window);
        };
        let base = self.named(&name)?;
        if base.window_frame.is_some() {
            let text = format!("window `{name}` has a frame, and so cannot be extended");
            return refuse(&name, text);
        }
        if !window.partition_by.is_empty() {
            let text = format!("PARTITION BY is that of window `{name}`");
            return refuse(&name, text);
        }
        if !window.order_by.is_empty() && !base.order_by.is_empty() {
            return refuse(&name, format!("ORDER BY is that of window `{name}`"));
        }
        window.partition_by = base.partition_by;
        if window.order_by.is_empty() {
            window.order_by = base.order_by;
        }
        ControlFlow::Continue(window)
    }

    fn declare(&mut self, definitions: &[NamedWindowDefinition]) -> Found {
        if let Some(own) = self.0.last_mut() {
            own.clear();
        }
        for NamedWindowDefinition(name, window) in definitions {
            let window = match window {
                NamedWindowExpr::NamedWindow(other) => self.named(other)?,
                NamedWindowExpr::WindowSpec(window) => self.whole(window.clone())?,
            };
            let Some(own) = self.0.last_mut() else {
                continue;
            };
            if own.iter().any(|(other, _)| *other == name_of(name)) {
                return refuse(name, format!("there are two windows `{name}`"));
            }
            own.push((name_of(name), window));
        }
        ControlFlow::Continue(())
    }
}

impl VisitorMut for Windows {
    type Break = DataFusionError;

    fn pre_visit_query(&mut self, _: &mut Query) -> Found {
        self.0.push(Vec::new());
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, query: &mut Query) -> Found {
        self.0.pop();
        // Its ORDER BY was visited.
        if let SetExpr::Select(select) = query.body.as_mut() {
            select.named_window.clear();
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> Found {
        self.declare(&select.named_window)
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> Found {
        let Expr::Function(call) = expr else {
            return ControlFlow::Continue(());
        };
        call.over = match call.over.take() {
            Some(WindowType::NamedWindow(name)) => Some(self.named(&name)?),
            Some(WindowType::WindowSpec(window)) => Some(self.whole(window)?),
            None => None,
        }
        .map(WindowType::WindowSpec);
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::parse_statement;

    fn written_out(text: &str) -> Result<String> {
        let mut parsed = parse_statement(text, 50)?;
        write_out(&mut parsed)?;
        Ok(parsed.to_string())
    }

    #[test]
    fn windows_are_where_they_are_named() -> Result<()> {
        for (text, expected) in [
            (
                "SELECT sum(v) OVER w FROM t WINDOW w AS (PARTITION BY g)",
                "SELECT sum(v) OVER (PARTITION BY g) FROM t",
            ),
            (
                "SELECT a FROM t WINDOW w AS (ORDER BY b) QUALIFY sum(v) OVER W > 1 ORDER BY max(v) OVER w",
                "SELECT a FROM t QUALIFY sum(v) OVER (ORDER BY b) > 1 ORDER BY max(v) OVER (ORDER BY b)",
            ),
            (
                "SELECT sum(v) OVER (w ORDER BY b ROWS 1 PRECEDING), sum(v) OVER (w) FROM t WINDOW w AS (PARTITION BY g)",
                "SELECT sum(v) OVER (PARTITION BY g ORDER BY b ROWS 1 PRECEDING), sum(v) OVER (PARTITION BY g) FROM t",
            ),
            (
                "SELECT sum(v) OVER x FROM t WINDOW w AS (PARTITION BY g), x AS (w ORDER BY b)",
                "SELECT sum(v) OVER (PARTITION BY g ORDER BY b) FROM t",
            ),
            (
                "SELECT (SELECT sum(v) OVER w FROM u WINDOW w AS (ORDER BY c)) FROM t WINDOW w AS (ORDER BY b) ORDER BY sum(v) OVER w",
                "SELECT (SELECT sum(v) OVER (ORDER BY c) FROM u) FROM t ORDER BY sum(v) OVER (ORDER BY b)",
            ),
        ] {
            assert_eq!(written_out(text)?, expected);
        }
        Ok(())
    }

    #[test]
    fn windows_that_are_not_there_are_refused() {
        for (text, expected) in [
            ("SELECT a FROM t ORDER BY sum(v) OVER w", "no window `w`"),
            ("SELECT sum(v) OVER (w) FROM t", "no window `w`"),
            (
                "SELECT (SELECT sum(v) OVER w FROM u) FROM t WINDOW w AS (ORDER BY b)",
                "no window `w`",
            ),
            (
                "SELECT sum(v) OVER (w) FROM t WINDOW w AS (ROWS 1 PRECEDING)",
                "has a frame",
            ),
            (
                "SELECT sum(v) OVER (w ORDER BY a) FROM t WINDOW w AS (ORDER BY b)",
                "ORDER BY is that",
            ),
            (
                "SELECT sum(v) OVER (w PARTITION BY a) FROM t WINDOW w AS (ORDER BY b)",
                "PARTITION BY is that",
            ),
            (
                "SELECT 1 FROM t WINDOW w AS (ORDER BY b), w AS (ORDER BY a)",
                "two windows",
            ),
        ] {
            let found = written_out(text).map_err(|error| error.to_string());
            assert!(
                found.as_ref().is_err_and(|error| error.contains(expected)),
                "{text}: {found:?}"
            );
        }
    }
}
