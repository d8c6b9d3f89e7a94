//! Clauses that the parser reads and the planner does not: it would answer as if they were not there, or
//! mean something else. They are refused, with the way to write what they ask for.
//!
//! The parts of the syntax tree are taken apart field by field, so that a field that a new version of the parser
//! adds has to be looked at.

mod calls;

use std::ops::ControlFlow;

use datafusion::common::{DataFusionError, Diagnostic, Result, Span};
use datafusion::execution::SessionState;
use datafusion::sql::parser::Statement as Parsed;
use datafusion::sql::sqlparser::ast::{
    Cte, Expr, FunctionArg, GroupByExpr, Join, JoinConstraint, JoinOperator, LimitClause,
    ObjectName, OrderBy, OrderByKind, PipeOperator, Query, Select, SelectItem, SetExpr, Spanned,
    TableAlias, TableFactor, TableFunctionArgs, TableWithJoins, Value, Visitor,
    WildcardAdditionalOptions,
};
use datafusion::sql::sqlparser::tokenizer::Span as Place;

use super::syntax::visit;

/// Refuses a statement with such a clause.
///
/// # Errors
/// `NotImplemented`, with the clause, its place and what to write.
pub(super) fn check(parsed: &Parsed, state: &SessionState) -> Result<()> {
    match visit(parsed, &mut Unread { state, depth: 0 }) {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => Ok(()),
    }
}

struct Unread<'a> {
    /// Knows the functions.
    state: &'a SessionState,
    /// Queries around the one that is visited, and itself.
    depth: usize,
}

type Found = ControlFlow<DataFusionError>;

/// Refuses what is at a place.
fn refuse(place: Option<Place>, clause: &str, instead: &str) -> Found {
    let Some(place) = place else {
        return ControlFlow::Continue(());
    };
    let text = format!("{clause} is not supported; {instead}");
    let mark = Diagnostic::new_error(text.clone(), Span::try_from_sqlparser_span(place));
    ControlFlow::Break(DataFusionError::NotImplemented(text).with_diagnostic(mark))
}

/// The words that other systems read behind the name of a table, and that would be its alias here.
const NO_ALIAS: [&str; 6] = ["any", "asof", "final", "global", "paste", "positional"];

impl Visitor for Unread<'_> {
    type Break = DataFusionError;

    fn pre_visit_query(&mut self, query: &Query) -> Found {
        self.depth += 1;
        let Query {
            with,
            body,
            order_by,
            limit_clause,
            fetch,
            locks,
            for_clause,
            settings,
            format_clause,
            pipe_operators,
        } = query;
        let place = start_of(body);
        refuse(
            (!locks.is_empty()).then_some(place),
            "FOR UPDATE or FOR SHARE",
            "leave it out: tables do not change under a query",
        )?;
        refuse(for_clause.is_some().then_some(place), "FOR", "leave it out")?;
        refuse(settings.is_some().then_some(place), "SETTINGS", "use SET")?;
        refuse(
            format_clause.is_some().then_some(place),
            "FORMAT",
            "use the option --format",
        )?;
        if let Some(fetch) = fetch {
            refuse(
                fetch.with_ties.then_some(place),
                "FETCH … WITH TIES",
                "write QUALIFY rank() OVER (ORDER BY …) <= n",
            )?;
            refuse(
                fetch.percent.then_some(place),
                "FETCH … PERCENT",
                "write QUALIFY percent_rank() OVER (ORDER BY …) < 0.1",
            )?;
        }
        if let Some(LimitClause::LimitOffset { limit_by, .. }) = limit_clause {
            refuse(
                limit_by.first().map(Spanned::span),
                "LIMIT … BY",
                "write QUALIFY row_number() OVER (PARTITION BY … ORDER BY …) <= n",
            )?;
        }
        refuse(table(body), "TABLE at this place", "write SELECT * FROM")?;
        refuse(
            into(body, self.depth == 1),
            "INTO",
            "write CREATE TABLE … AS",
        )?;
        if let Some(with) = with {
            for Cte {
                alias,
                query: _,
                from,
                materialized: _,
                closing_paren_token: _,
            } in &with.cte_tables
            {
                refuse(
                    from.as_ref().map(|name| name.span),
                    "FROM behind a query of a WITH",
                    "leave it out",
                )?;
                of_columns(alias)?;
            }
        }
        pipe_operators.iter().try_for_each(of_pipe)?;
        let is_all = |order: &OrderBy| matches!(order.kind, OrderByKind::All(_));
        let of_list = matches!(body.as_ref(), SetExpr::Select(_));
        refuse(
            (!of_list && order_by.as_ref().is_some_and(is_all)).then_some(place),
            "ORDER BY ALL behind UNION or VALUES",
            "write ORDER BY 1, 2",
        )?;
        order_by
            .as_ref()
            .map_or(ControlFlow::Continue(()), of_order)
    }

    fn post_visit_query(&mut self, _: &Query) -> Found {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &Select) -> Found {
        of_select(select)
    }

    fn pre_visit_table_factor(&mut self, table: &TableFactor) -> Found {
        of_table(table)
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> Found {
        match expr {
            Expr::Function(call) => calls::check(call, self.state),
            Expr::SimilarTo { pattern, .. } => refuse(
                Some(pattern.span()),
                "SIMILAR TO",
                "write x ~ '^(…)$' with a regular expression",
            ),
            Expr::Trim {
                trim_characters: Some(characters),
                ..
            } => refuse(
                characters.get(1).map(Spanned::span),
                "trim of several texts",
                "write all characters in one text, such as trim(x, ' .,')",
            ),
            _ => ControlFlow::Continue(()),
        }
    }
}

/// Where a query begins, as far as that is known without looking through all of it.
fn start_of(body: &SetExpr) -> Place {
    match body {
        SetExpr::Select(select) => select.select_token.0.span,
        _ => Place::empty(),
    }
}

/// `TABLE t`, which the dialect has made `FROM t` wherever it expects one.
fn table(body: &SetExpr) -> Option<Place> {
    match body {
        SetExpr::Table(_) => Some(Place::empty()),
        SetExpr::SetOperation { left, right, .. } => table(left).or_else(|| table(right)),
        _ => None,
    }
}

/// The table that a SELECT stores its rows in, where that is not what the statement as a whole does.
fn into(body: &SetExpr, is_statement: bool) -> Option<Place> {
    match body {
        SetExpr::Select(select) if !is_statement => select.into.as_ref().map(|i| i.name.span()),
        SetExpr::SetOperation { left, right, .. } => {
            into(left, false).or_else(|| into(right, false))
        }
        // A query inside is visited as one.
        _ => None,
    }
}

fn of_order(order: &OrderBy) -> Found {
    let OrderBy { kind, interpolate } = order;
    let is_filled = match kind {
        OrderByKind::Expressions(keys) => keys.iter().find(|key| key.with_fill.is_some()),
        OrderByKind::All(_) => None,
    };
    let fill = is_filled.map(|key| key.expr.span());
    let fill = fill.or_else(|| interpolate.as_ref().map(|_| Place::empty()));
    refuse(fill, "WITH FILL", "join with generate_series")
}

fn of_pipe(operator: &PipeOperator) -> Found {
    match operator {
        PipeOperator::Aggregate {
            full_table_exprs,
            group_by_expr,
        } => {
            let mut all = full_table_exprs.iter().chain(group_by_expr);
            let ordered =
                all.find(|key| key.order_by.asc.is_some() || key.order_by.nulls_first.is_some());
            refuse(
                ordered.map(|key| key.expr.expr.span()),
                "an order in AGGREGATE",
                "write |> ORDER BY behind it",
            )
        }
        PipeOperator::Join(join) => of_join(join),
        _ => ControlFlow::Continue(()),
    }
}

fn of_select(select: &Select) -> Found {
    let Select {
        select_token,
        // Comments.
        optimizer_hints: _,
        distinct: _,
        select_modifiers,
        top,
        top_before_distinct: _,
        projection,
        exclude,
        // Looked at by the query.
        into: _,
        from,
        lateral_views,
        prewhere,
        selection: _,
        connect_by,
        group_by,
        cluster_by,
        distribute_by,
        sort_by,
        having: _,
        named_window: _,
        qualify: _,
        window_before_qualify: _,
        value_table_mode,
        flavor: _,
    } = select;
    let place = select_token.0.span;
    let first = |exprs: &[Expr]| exprs.first().map(Spanned::span);
    refuse(
        select_modifiers.as_ref().map(|_| place),
        "a word such as SQL_CALC_FOUND_ROWS or STRAIGHT_JOIN behind SELECT",
        "leave it out",
    )?;
    refuse(top.as_ref().map(|_| place), "TOP", "write LIMIT at the end")?;
    refuse(
        exclude.as_ref().map(|_| place),
        "EXCLUDE behind the list of columns",
        "write SELECT * EXCLUDE (…)",
    )?;
    refuse(
        lateral_views.first().map(|view| view.lateral_view.span()),
        "LATERAL VIEW",
        "write CROSS JOIN UNNEST(list) AS t(x)",
    )?;
    refuse(
        prewhere.as_ref().map(Spanned::span),
        "PREWHERE",
        "write WHERE",
    )?;
    refuse(
        (!connect_by.is_empty()).then_some(place),
        "CONNECT BY",
        "write WITH RECURSIVE",
    )?;
    let (GroupByExpr::All(modifiers) | GroupByExpr::Expressions(_, modifiers)) = group_by;
    refuse(
        (!modifiers.is_empty()).then_some(place),
        "GROUP BY … WITH",
        "write GROUP BY ROLLUP (…) or CUBE (…)",
    )?;
    refuse(first(cluster_by), "CLUSTER BY", "write ORDER BY")?;
    refuse(
        first(distribute_by),
        "DISTRIBUTE BY",
        "leave it out, or write ORDER BY",
    )?;
    refuse(
        sort_by.first().map(|key| key.expr.span()),
        "SORT BY",
        "write ORDER BY",
    )?;
    refuse(
        value_table_mode.as_ref().map(|_| place),
        "SELECT AS STRUCT or VALUE",
        "write struct(…)",
    )?;
    projection.iter().try_for_each(of_item)?;
    from.iter().try_for_each(of_joined)
}

fn of_item(item: &SelectItem) -> Found {
    match item {
        SelectItem::Wildcard(options) | SelectItem::QualifiedWildcard(_, options) => {
            let WildcardAdditionalOptions {
                wildcard_token,
                opt_ilike,
                opt_exclude: _,
                opt_except: _,
                opt_replace: _,
                opt_rename,
                opt_alias,
            } = options;
            let place = wildcard_token.0.span;
            let named = "name the columns";
            refuse(opt_ilike.as_ref().map(|_| place), "* ILIKE", named)?;
            refuse(opt_rename.as_ref().map(|_| place), "* RENAME", named)?;
            refuse(opt_alias.as_ref().map(|_| place), "* AS", named)
        }
        SelectItem::ExprWithAlias {
            expr: Expr::Value(value),
            alias,
        } => {
            let is_text = matches!(value.value, Value::SingleQuotedString(_));
            refuse(
                (is_text && alias.quote_style == Some('\'')).then_some(alias.span),
                "a text behind a text",
                "write || between them, or a name in double quotes",
            )?;
            let is_number = matches!(value.value, Value::Number(..));
            refuse(
                (is_number && alias.span.start == value.span.end).then_some(value.span),
                "a name right behind a number",
                "write the number without letters and underscores, and AS in front of a name",
            )
        }
        _ => ControlFlow::Continue(()),
    }
}

fn of_joined(tables: &TableWithJoins) -> Found {
    // A join in parentheses is visited as a table.
    tables.joins.iter().try_for_each(of_join)
}

fn of_join(join: &Join) -> Found {
    let Join {
        relation,
        global,
        join_operator: _,
    } = join;
    refuse(global.then(|| relation.span()), "GLOBAL JOIN", "write JOIN")
}

fn of_table(table: &TableFactor) -> Found {
    let sampled = |sample: bool, place: Place| {
        refuse(
            sample.then_some(place),
            "TABLESAMPLE",
            "write WHERE random() < 0.1, or a condition on a hash of a key",
        )
    };
    let numbered = |with_ordinality: bool, place: Place| {
        refuse(
            with_ordinality.then_some(place),
            "WITH ORDINALITY",
            "use row_number() OVER (ORDER BY …)",
        )
    };
    let alias = match table {
        TableFactor::Table {
            name,
            alias,
            args,
            with_hints,
            version,
            with_ordinality,
            partitions,
            json_path,
            sample,
            index_hints,
        } => {
            let place = name.span();
            sampled(sample.is_some(), place)?;
            numbered(*with_ordinality, place)?;
            let is_cut = !partitions.is_empty() || version.is_some() || json_path.is_some();
            refuse(
                is_cut.then_some(place),
                "a part or a version of a table after its name",
                "write WHERE",
            )?;
            refuse(
                with_hints.first().map(Spanned::span),
                "a hint in WITH (…) behind a table",
                "leave it out",
            )?;
            refuse(
                (!index_hints.is_empty()).then_some(place),
                "USE, FORCE or IGNORE INDEX",
                "leave it out: there are no indexes",
            )?;
            if let Some(TableFunctionArgs { args, settings }) = args {
                refuse(settings.as_ref().map(|_| place), "SETTINGS", "use SET")?;
                in_order(args)?;
            }
            alias
        }
        TableFactor::Derived {
            lateral: _,
            subquery,
            alias,
            sample,
        } => {
            sampled(sample.is_some(), start_of(&subquery.body))?;
            alias
        }
        TableFactor::Function {
            lateral: _,
            name,
            args,
            with_ordinality,
            alias,
        } => {
            numbered(*with_ordinality, name.span())?;
            in_order(args)?;
            alias
        }
        TableFactor::UNNEST {
            alias,
            array_exprs,
            with_offset,
            with_offset_alias: _,
            with_ordinality,
        } => {
            let place = array_exprs.first().map_or_else(Place::empty, Spanned::span);
            refuse(
                with_offset.then_some(place),
                "WITH OFFSET",
                "join with generate_series(1, array_length(…)), and take elements by it",
            )?;
            numbered(*with_ordinality, place)?;
            alias
        }
        TableFactor::Pivot {
            default_on_null,
            alias,
            ..
        } => {
            refuse(
                default_on_null.as_ref().map(Spanned::span),
                "DEFAULT ON NULL in PIVOT",
                "write coalesce around the columns",
            )?;
            alias
        }
        TableFactor::JsonTable { json_expr, .. } | TableFactor::OpenJsonTable { json_expr, .. } => {
            return refuse(
                Some(json_expr.span()),
                "JSON_TABLE or OPENJSON",
                "read the JSON as a table of its own",
            );
        }
        TableFactor::MatchRecognize { alias, .. } => {
            let place = alias.as_ref().map_or_else(Place::empty, |a| a.name.span);
            return refuse(Some(place), "MATCH_RECOGNIZE", "use window functions");
        }
        TableFactor::TableFunction { expr, .. } => {
            return refuse(Some(expr.span()), "TABLE(…)", "write the function alone");
        }
        TableFactor::NestedJoin {
            table_with_joins,
            alias,
        } => {
            of_joined(table_with_joins)?;
            alias
        }
        TableFactor::Unpivot { alias, .. }
        | TableFactor::XmlTable { alias, .. }
        | TableFactor::SemanticView { alias, .. } => alias,
    };
    alias.as_ref().map_or(ControlFlow::Continue(()), of_alias)
}

/// Arguments of a function in FROM, which are taken by their places.
fn in_order(args: &[FunctionArg]) -> Found {
    let named = args.iter().find_map(|argument| match argument {
        FunctionArg::Named { name, .. } => Some(name.span),
        FunctionArg::ExprNamed { name, .. } => Some(name.span()),
        FunctionArg::Unnamed(_) => None,
    });
    refuse(
        named,
        "the name of an argument of a function in FROM",
        "write the arguments in their order",
    )
}

/// The alias of a table in FROM.
fn of_alias(alias: &TableAlias) -> Found {
    let TableAlias {
        explicit,
        name,
        columns: _,
        at,
    } = alias;
    let is_other = |word: &&str| name.value.eq_ignore_ascii_case(word);
    let other = NO_ALIAS
        .iter()
        .find(|word| !explicit && name.quote_style.is_none() && is_other(word));
    if let Some(word) = other {
        refuse(
            Some(name.span),
            &format!("{} behind a table", word.to_uppercase()),
            &format!("leave it out, or write AS {word} if that is a name"),
        )?;
    }
    refuse(at.as_ref().map(|at| at.span), "AT", "leave it out")?;
    of_columns(alias)
}

fn of_columns(alias: &TableAlias) -> Found {
    let mut columns = alias.columns.iter();
    let typed = columns.find(|column| column.data_type.is_some());
    refuse(
        typed.map(|column| column.name.span),
        "a type in the columns of an alias",
        "write the names alone, and CAST",
    )
}

/// Refuses joins with common columns that were not written out (`using.rs`), where the planner would take
/// those of a side that has no row.
///
/// # Errors
/// `NotImplemented`, with what to write.
pub(super) fn check_joins(parsed: &Parsed) -> Result<()> {
    match visit(parsed, &mut Joins) {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => Ok(()),
    }
}

struct Joins;

impl Visitor for Joins {
    type Break = DataFusionError;

    fn pre_visit_query(&mut self, query: &Query) -> Found {
        query
            .pipe_operators
            .iter()
            .try_for_each(|operator| match operator {
                PipeOperator::Join(join) => written_out(join, true),
                _ => ControlFlow::Continue(()),
            })
    }

    fn pre_visit_select(&mut self, select: &Select) -> Found {
        let has_all = |item: &SelectItem| matches!(item, SelectItem::Wildcard(_));
        let has_all = select.projection.iter().any(has_all);
        let mut tables = select.from.iter();
        tables.try_for_each(|table| joins(table, has_all))
    }
}

fn joins(table: &TableWithJoins, has_all: bool) -> Found {
    let nested = |table: &TableFactor| match table {
        TableFactor::NestedJoin {
            table_with_joins, ..
        } => joins(table_with_joins, has_all),
        _ => ControlFlow::Continue(()),
    };
    nested(&table.relation)?;
    for join in &table.joins {
        nested(&join.relation)?;
        written_out(join, has_all)?;
    }
    ControlFlow::Continue(())
}

fn written_out(join: &Join, has_all: bool) -> Found {
    refuse(
        has_no_condition(&join.join_operator).then(|| join.relation.span()),
        "JOIN without ON",
        "write ON with the condition, or CROSS JOIN for every pair of rows",
    )?;
    let (on, is_left) = match &join.join_operator {
        JoinOperator::Left(on) | JoinOperator::LeftOuter(on) => (on, true),
        JoinOperator::Right(on) | JoinOperator::RightOuter(on) | JoinOperator::FullOuter(on) => {
            (on, false)
        }
        _ => return ControlFlow::Continue(()),
    };
    let place = match on {
        JoinConstraint::Using(names) => names.first().map_or_else(Place::empty, ObjectName::span),
        JoinConstraint::Natural => join.relation.span(),
        JoinConstraint::On(_) | JoinConstraint::None => return ControlFlow::Continue(()),
    };
    refuse(
        (!is_left).then_some(place),
        "USING or NATURAL with a RIGHT or FULL JOIN",
        "write ON a.id = b.id, and coalesce(a.id, b.id) AS id for the common column",
    )?;
    refuse(
        has_all.then_some(place),
        "* over a LEFT JOIN with USING or NATURAL",
        "name the columns, or write ON a.id = b.id",
    )
}

/// Whether a condition is missing; the planner would pair all rows.
fn has_no_condition(join: &JoinOperator) -> bool {
    matches!(
        join,
        JoinOperator::Join(JoinConstraint::None)
            | JoinOperator::Inner(JoinConstraint::None)
            | JoinOperator::Left(JoinConstraint::None)
            | JoinOperator::LeftOuter(JoinConstraint::None)
            | JoinOperator::Right(JoinConstraint::None)
            | JoinOperator::RightOuter(JoinConstraint::None)
            | JoinOperator::FullOuter(JoinConstraint::None)
    )
}

#[cfg(test)]
mod tests;
