//! `JOIN … USING (a, b)` and `NATURAL JOIN`, written out as joins with ON.
//!
//! The planner takes the column of one side for the common column, also where that side has no row, finds the
//! name ambiguous in WHERE, and lists the columns of `*` in another order than the standard. Here the
//! columns of the joined tables are looked up, and the common column becomes that of the side that always has
//! it, or of the one that is not NULL for a FULL join.

mod columns;
mod references;

use std::ops::ControlFlow;

use datafusion::sql::parser::Statement as Parsed;
use datafusion::sql::sqlparser::ast::{
    JoinConstraint, JoinOperator, OrderBy, Query, Select, SetExpr, TableFactor, TableWithJoins,
    Visitor, VisitorMut, With,
};

use super::syntax::{visit, visit_mut};
use crate::session::Session;
use columns::{Names, Scope};

/// Writes out the joins of a statement, as far as the columns of their tables are known.
pub(super) async fn write_out(session: &Session, parsed: &mut Parsed) {
    if !is_in(parsed) {
        return;
    }
    let mut n_left = 0;
    loop {
        let mut search = Walk::new(n_left, Task::Search);
        let Some(found) = search.through(parsed) else {
            return;
        };
        let names = match found {
            Found::Tables(tables, withs) => columns::names(session, &tables, &withs).await,
            Found::Done(_) => None,
        };
        let done = match names {
            Some(names) => Walk::new(n_left, Task::Rewrite(names)).through(parsed),
            None => None,
        };
        if !matches!(done, Some(Found::Done(true))) {
            n_left += 1;
        }
    }
}

/// Whether there is such a join in the statement.
fn is_in(parsed: &Parsed) -> bool {
    struct Search;
    impl Visitor for Search {
        type Break = ();

        fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<()> {
            match select.from.iter().any(has_common_columns) {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            }
        }
    }
    visit(parsed, &mut Search).is_break()
}

/// What is done with the first SELECT that has such a join.
enum Task {
    Search,
    Rewrite(Names),
}

enum Found {
    /// The tables of the SELECT, and the WITH clauses around it from the outermost one.
    Tables(Vec<TableFactor>, Vec<With>),
    /// Whether the SELECT was rewritten.
    Done(bool),
}

/// A query that encloses others.
struct Level {
    /// The WITH clauses that its parts see.
    withs: Vec<With>,
    /// Its own, of which the queries come before all others.
    own: Option<With>,
    /// Queries of its own WITH clause that were left.
    n_done: usize,
}

struct Walk {
    /// SELECTs to pass by.
    n_left: usize,
    task: Task,
    levels: Vec<Level>,
}

impl Walk {
    fn new(n_left: usize, task: Task) -> Self {
        Self {
            n_left,
            task,
            levels: Vec::new(),
        }
    }

    fn through(&mut self, parsed: &mut Parsed) -> Option<Found> {
        visit_mut(parsed, self).break_value()
    }

    /// Looks at the SELECTs of a query, whose inner queries are done.
    fn in_body(
        &mut self,
        body: &mut SetExpr,
        order: Option<&mut OrderBy>,
        withs: &[With],
    ) -> ControlFlow<Found> {
        match body {
            SetExpr::Select(select) => {
                if !select.from.iter().any(has_common_columns) {
                    return ControlFlow::Continue(());
                }
                if self.n_left > 0 {
                    self.n_left -= 1;
                    return ControlFlow::Continue(());
                }
                ControlFlow::Break(match &self.task {
                    Task::Search => Found::Tables(tables_of(select), withs.to_vec()),
                    Task::Rewrite(names) => match rewritten(select, names) {
                        Some((whole, scope)) => {
                            **select = whole;
                            if let Some(order) = order {
                                references::in_order(order, select, &scope);
                            }
                            Found::Done(true)
                        }
                        None => Found::Done(false),
                    },
                })
            }
            SetExpr::SetOperation { left, right, .. } => {
                self.in_body(left, None, withs)?;
                self.in_body(right, None, withs)
            }
            // A query in parentheses was visited as one.
            _ => ControlFlow::Continue(()),
        }
    }
}

impl VisitorMut for Walk {
    type Break = Found;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<Found> {
        let withs = match self.levels.last() {
            None => Vec::new(),
            Some(level) => level.seen_inside(),
        };
        self.levels.push(Level {
            withs,
            own: query.with.clone(),
            n_done: 0,
        });
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<Found> {
        if let Some(mut level) = self.levels.pop() {
            level.n_done = usize::MAX;
            let Query { body, order_by, .. } = query;
            self.in_body(body, order_by.as_mut(), &level.seen_inside())?;
        }
        if let Some(outer) = self.levels.last_mut() {
            outer.n_done = outer.n_done.saturating_add(1);
        }
        ControlFlow::Continue(())
    }
}

impl Level {
    /// The WITH clauses that the next query inside sees: for one of the own WITH clause, those before it.
    fn seen_inside(&self) -> Vec<With> {
        let mut withs = self.withs.clone();
        if let Some(mut own) = self.own.clone() {
            // A recursive query sees itself, but its columns are not known before it is planned.
            own.cte_tables.truncate(self.n_done);
            if !own.cte_tables.is_empty() {
                withs.push(own);
            }
        }
        withs
    }
}

fn has_common_columns(table: &TableWithJoins) -> bool {
    let is_common =
        |on: &JoinConstraint| matches!(on, JoinConstraint::Using(_) | JoinConstraint::Natural);
    let nested = |table: &TableFactor| match table {
        TableFactor::NestedJoin {
            table_with_joins, ..
        } => has_common_columns(table_with_joins),
        _ => false,
    };
    let mut joins = table.joins.iter();
    nested(&table.relation)
        || joins.any(|join| {
            constraint(&join.join_operator).is_some_and(is_common) || nested(&join.relation)
        })
}

/// The condition of a join of a kind that the planner knows.
fn constraint(join: &JoinOperator) -> Option<&JoinConstraint> {
    match join {
        JoinOperator::Join(on)
        | JoinOperator::Inner(on)
        | JoinOperator::Left(on)
        | JoinOperator::LeftOuter(on)
        | JoinOperator::Right(on)
        | JoinOperator::RightOuter(on)
        | JoinOperator::FullOuter(on)
        | JoinOperator::CrossJoin(on)
        | JoinOperator::LeftSemi(on)
        | JoinOperator::RightSemi(on)
        | JoinOperator::LeftAnti(on)
        | JoinOperator::RightAnti(on) => Some(on),
        _ => None,
    }
}

/// The tables that are joined, from the left.
fn tables_of(select: &Select) -> Vec<TableFactor> {
    fn add(table: &TableFactor, found: &mut Vec<TableFactor>) {
        match table {
            TableFactor::NestedJoin {
                table_with_joins,
                alias: None,
            } => add_all(table_with_joins, found),
            other => found.push(other.clone()),
        }
    }
    fn add_all(tables: &TableWithJoins, found: &mut Vec<TableFactor>) {
        add(&tables.relation, found);
        for join in &tables.joins {
            add(&join.relation, found);
        }
    }
    let mut found = Vec::new();
    for tables in &select.from {
        add_all(tables, &mut found);
    }
    found
}

/// The SELECT with joins written out, and the columns of its FROM; `None` where it has to stay.
fn rewritten(select: &Select, names: &Names) -> Option<(Select, Scope)> {
    let mut select = select.clone();
    let mut names = names.iter();
    let mut scope = Scope::default();
    for tables in &mut select.from {
        scope.append(joined(tables, &mut names)?);
    }
    references::in_select(&mut select, &scope)?;
    Some((select, scope))
}

fn joined<'a>(
    tables: &mut TableWithJoins,
    names: &mut impl Iterator<Item = &'a Scope>,
) -> Option<Scope> {
    let mut scope = one(&mut tables.relation, names)?;
    for join in &mut tables.joins {
        let right = one(&mut join.relation, names)?;
        let on = constraint(&join.join_operator)?.clone();
        let (on, both) = scope.joined(&right, &join.join_operator, on)?;
        join.join_operator = with_constraint(&join.join_operator, on)?;
        scope = both;
    }
    Some(scope)
}

fn one<'a>(table: &mut TableFactor, names: &mut impl Iterator<Item = &'a Scope>) -> Option<Scope> {
    match table {
        TableFactor::NestedJoin {
            table_with_joins,
            alias: None,
        } => joined(table_with_joins, names),
        _ => names.next().cloned(),
    }
}

fn with_constraint(join: &JoinOperator, on: JoinConstraint) -> Option<JoinOperator> {
    let is_cross = matches!(on, JoinConstraint::None);
    Some(match join {
        JoinOperator::CrossJoin(_) => JoinOperator::CrossJoin(on),
        JoinOperator::Join(_) | JoinOperator::Inner(_) if is_cross => JoinOperator::CrossJoin(on),
        JoinOperator::Join(_) => JoinOperator::Join(on),
        JoinOperator::Inner(_) => JoinOperator::Inner(on),
        JoinOperator::Left(_) | JoinOperator::LeftOuter(_) => JoinOperator::Left(on),
        JoinOperator::Right(_) | JoinOperator::RightOuter(_) => JoinOperator::Right(on),
        JoinOperator::FullOuter(_) => JoinOperator::FullOuter(on),
        JoinOperator::LeftSemi(_) => JoinOperator::LeftSemi(on),
        JoinOperator::RightSemi(_) => JoinOperator::RightSemi(on),
        JoinOperator::LeftAnti(_) => JoinOperator::LeftAnti(on),
        JoinOperator::RightAnti(_) => JoinOperator::RightAnti(on),
        _ => return None,
    })
}
