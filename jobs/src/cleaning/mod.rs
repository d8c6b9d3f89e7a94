//! The job `cleaning`: trusted rows, rejected rows with their reasons, and counters that balance.
//!
//! | file | holds |
//! |---|---|
//! | [`rules`], [`sets`] | what a rule is, and the rule sets that come with Emporia |
//! | [`source`] | the table as the rules see it |
//! | [`judge`] | rules as expressions |
//! | [`duplicates`] | which rows repeat others |
//! | [`survey`] | how many rows each rule is about |

mod duplicates;
mod judge;
mod rules;
mod sets;
mod source;
mod survey;
#[cfg(test)]
mod tests;

use async_trait::async_trait;
use datafusion::error::Result as PlanResult;
use datafusion::logical_expr::{Expr, lit};
use datafusion::prelude::{DataFrame, ident};
use emporia_core::error::{Error, Result};
use emporia_core::job::{JobSpec, ParamKind, Params};
use emporia_core::text::grouped;
use emporia_engine::job::{Branch, Check, Job, JobRun, Output, Settled, Tally};
use emporia_engine::session::Session;

use crate::literal_table::literal_table;
use crate::params::{choice, names, output, param};
use crate::tables::planning;
use duplicates::Active;
use judge::{CODE, Judge, REPAIRS};
use rules::{Action, RuleSet};
use source::{POSITION, SOURCE, Source};
use survey::Survey;

/// Column with the number of the table that a row goes to.
const ROUTE: &str = "_route";

/// Cleaning of one table by a rule set.
pub struct Cleaning {
    spec: JobSpec,
}

impl Default for Cleaning {
    fn default() -> Self {
        Self::new()
    }
}

impl Cleaning {
    /// The job.
    pub fn new() -> Self {
        let set_names: Vec<&str> = sets::ALL.iter().map(|set| set.name).collect();
        let default = set_names.first().copied().unwrap_or_default();
        let mut inputs: Vec<&str> = sets::ALL.iter().map(|set| set.table).collect();
        inputs.dedup();
        let mut outputs: Vec<_> = sets::ALL
            .iter()
            .map(|set| output(set.clean, set.key))
            .collect();
        outputs.push(output("rejects", &["table_name", "source", "position"]));
        outputs.push(output("cleaning_counters", &["table_name", "rule_id"]));
        let spec = JobSpec {
            name: "cleaning".into(),
            summary: "Trusted rows of a raw table, rejects with reasons, counters that balance"
                .into(),
            params: vec![
                choice("rules", &set_names, default, "rule set"),
                param(
                    "table",
                    ParamKind::Text,
                    "null",
                    "table to clean; null: the table of the rule set",
                ),
                param("skip", ParamKind::List, "null", "ids of rules to leave out"),
            ],
            inputs: names(&inputs),
            outputs,
            docs: include_str!("../../docs/cleaning.md").replace("{rule_sets}", &sets::docs()),
        };
        Self { spec }
    }
}

#[async_trait]
impl Job for Cleaning {
    fn spec(&self) -> &JobSpec {
        &self.spec
    }

    async fn run(&self, session: &Session, params: &Params) -> Result<JobRun> {
        let name = params.text("rules").unwrap_or_default();
        let set = sets::find(name)
            .ok_or_else(|| Error::invalid(format!("there is no rule set `{name}`")))?;
        let table = params.text("table").unwrap_or(set.table);
        run(session, set, table, params.list("skip")).await
    }
}

async fn run(session: &Session, set: &RuleSet, table: &str, skip: &[String]) -> Result<JobRun> {
    let source = Source::open(session, table, set).await?;
    let judge = Judge::new(set, &source, skip)?;
    let judged = source.judged(&judge)?;
    let (decided, rows_in) = decide(session, set, &source, &judge, judged).await?;
    let frame = routed(&source, &judge, decided, table).map_err(planning("the cleaned table"))?;
    let branches = branches(&source, set);
    let split = Output::Split {
        frame,
        route: ROUTE.into(),
        branches,
    };
    let context = session.context().clone();
    let table = table.to_owned();
    let finish = move |counts| {
        let survey = Survey::of(counts);
        survey.check(&judge, &table)?;
        let counters = survey.to_batch(&judge, &table)?;
        Ok(Settled {
            outputs: vec![Output::Table {
                name: "cleaning_counters".into(),
                frame: literal_table(&context, &counters)?,
            }],
            notes: notes(&survey, &judge, &source),
        })
    };
    Ok(JobRun {
        outputs: vec![split],
        notes: Vec::new(),
        checks: vec![Check::SplitBalances { rows_in }],
        tally: Some(Tally {
            columns: vec![CODE.into(), REPAIRS.into()],
            finish: Box::new(finish),
        }),
    })
}

/// The rows with their final codes, and how many rows there are.
async fn decide(
    session: &Session,
    set: &RuleSet,
    source: &Source,
    judge: &Judge,
    judged: DataFrame,
) -> Result<(DataFrame, u64)> {
    let active = Active::of(&set.duplicates, judge);
    let repeats = duplicates::repeats(session, &judged, active).await?;
    let (Some(active), Some(repeated)) = (active, repeats.keys) else {
        return Ok((judged, repeats.rows_in));
    };
    if !source.has_positions {
        let decided = duplicates::numbered(session, judged, active, &repeated)?;
        return Ok((decided, repeats.rows_in));
    }
    let candidates = survey::candidates(session, judged.clone(), active, &repeated).await?;
    let decisions = duplicates::decide(candidates, active);
    let code = decisions.code(session, active)?;
    let decided = with_code(judged, code).map_err(planning("the removal of duplicates"))?;
    Ok((decided, repeats.rows_in))
}

fn with_code(judged: DataFrame, code: Expr) -> PlanResult<DataFrame> {
    let names = judged.schema().fields().iter().map(|f| f.name().clone());
    let kept = names.filter(|name| name != CODE).map(ident);
    let columns = kept.chain([code.alias(CODE)]).collect::<Vec<_>>();
    judged.select(columns)
}

/// The columns of all branches and the route.
fn routed(
    source: &Source,
    judge: &Judge,
    decided: DataFrame,
    table: &str,
) -> PlanResult<DataFrame> {
    let mut columns: Vec<Expr> = source.columns.iter().map(ident).collect();
    columns.extend([
        judge.flags(ident("_flags"), source)?.alias("_flags"),
        lit(table).alias("_table"),
        judge.rule_id()?.alias("_rule"),
        ident("_raw"),
        ident(SOURCE),
        ident(POSITION),
        judge.route()?.alias(ROUTE),
        ident(CODE),
        ident(REPAIRS),
    ]);
    decided.select(columns)
}

fn branches(source: &Source, set: &RuleSet) -> Vec<Branch> {
    let named = |pairs: &[(&str, &str)]| {
        pairs
            .iter()
            .map(|(from, to)| ((*from).to_owned(), (*to).to_owned()))
            .collect::<Vec<_>>()
    };
    let mut clean: Vec<_> = source
        .columns
        .iter()
        .map(|c| (c.clone(), c.clone()))
        .collect();
    clean.extend(named(&[("_flags", "flags")]));
    let rejects = named(&[
        ("_table", "table_name"),
        ("_rule", "rule_id"),
        ("_raw", "raw"),
        (SOURCE, "source"),
        (POSITION, "position"),
    ]);
    vec![
        Branch {
            name: set.clean.into(),
            columns: clean,
        },
        Branch {
            name: "rejects".into(),
            columns: rejects,
        },
    ]
}

fn notes(survey: &Survey, judge: &Judge, source: &Source) -> Vec<String> {
    let rows = |n: i64| grouped(n.unsigned_abs());
    let mut notes = vec![format!(
        "{} rows in, {} trusted, {} quarantined, {} dropped",
        rows(survey.rows_in()),
        rows(survey.rows_of(0)),
        rows(survey.removed_by(judge, Action::Quarantine)),
        rows(survey.removed_by(judge, Action::Drop)),
    )];
    if !source.has_errors {
        notes.push(
            "the table is not read from raw text: faults of parsing are not seen, and rejects have \
             no source and position"
                .into(),
        );
    }
    notes
}
