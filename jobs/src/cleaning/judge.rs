//! Rules as expressions: what is repaired, and which rule a row breaks first.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::error::Result as PlanResult;
use datafusion::functions::core::expr_fn::greatest;
use datafusion::functions::string::expr_fn::concat_ws;
use datafusion::logical_expr::utils::disjunction;
use datafusion::logical_expr::{Expr, case as match_value, cast, lit, when};
use datafusion::prelude::{DataFrame, ident};
use emporia_core::error::{Error, Result, nearest};

use super::rules::{Action, DUPLICATE_KEY, EXACT_DUPLICATE, LINE_FAULTS, RuleSet, UNREADABLE};
use super::source::Source;

/// Column with the number of the rule that a row breaks, from 1; 0 for a trusted row.
pub(super) const CODE: &str = "_code";
/// Column with the repairs of a row, one bit each.
pub(super) const REPAIRS: &str = "_repairs";
/// Most repairs of a rule set.
const MAX_REPAIRS: usize = 16;

/// A rule that can decide about a row; its code is its position in [`Judge::verdicts`], from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Verdict {
    pub id: String,
    pub action: Action,
    /// SQL; `None` for a rule about duplicates.
    predicate: Option<String>,
}

/// The rules of a run.
#[derive(Debug)]
pub(super) struct Judge {
    pub verdicts: Vec<Verdict>,
    /// Ids of the repairs, in the order of their bits.
    pub repairs: Vec<Repair>,
}

/// A repair of a run.
#[derive(Debug, Clone)]
pub(super) struct Repair {
    pub id: String,
    predicate: String,
    column: &'static str,
    /// `None`: the field is null already, because it did not parse.
    expression: Option<&'static str>,
}

impl Judge {
    /// The rules of the set, without those whose ids are in `skip`.
    ///
    /// # Errors
    /// `InvalidInput` where `skip` names a rule that the set does not have.
    pub(super) fn new(set: &RuleSet, source: &Source, skip: &[String]) -> Result<Self> {
        let mut judge = Self {
            verdicts: Vec::new(),
            repairs: Vec::new(),
        };
        if source.has_errors {
            for fault in LINE_FAULTS {
                judge.add(
                    fault,
                    Action::Quarantine,
                    Some(format!("_error = '{fault}'")),
                );
            }
            for column in &source.columns {
                let id = format!("parse:{column}");
                let predicate = format!("_error = '{}'", id.replace('\'', "''"));
                match set.repairable.iter().find(|c| *c == column) {
                    Some(column) => judge.repairs.push(Repair {
                        id,
                        predicate,
                        column,
                        expression: None,
                    }),
                    None => judge.add(&id, Action::Quarantine, Some(predicate)),
                }
            }
            let known = "_error NOT LIKE 'parse:%'";
            judge.add(UNREADABLE, Action::Quarantine, Some(known.to_owned()));
        }
        for rule in set.rules {
            match rule.action {
                Action::RepairAndFlag { column, expression } => judge.repairs.push(Repair {
                    id: rule.id.to_owned(),
                    predicate: rule.predicate.to_owned(),
                    column,
                    expression: Some(expression),
                }),
                action => judge.add(rule.id, action, Some(rule.predicate.to_owned())),
            }
        }
        judge.add(EXACT_DUPLICATE, Action::Drop, None);
        if set.duplicates.key.is_some() {
            judge.add(DUPLICATE_KEY, Action::Quarantine, None);
        }
        judge.without(skip, set)
    }

    fn add(&mut self, id: &str, action: Action, predicate: Option<String>) {
        self.verdicts.push(Verdict {
            id: id.to_owned(),
            action,
            predicate,
        });
    }

    fn without(mut self, skip: &[String], set: &RuleSet) -> Result<Self> {
        for id in skip {
            let before = self.verdicts.len() + self.repairs.len();
            self.verdicts.retain(|verdict| verdict.id != *id);
            self.repairs.retain(|repair| repair.id != *id);
            if self.verdicts.len() + self.repairs.len() == before {
                let error = Error::invalid(format!(
                    "parameter `skip`: the rule set `{}` has no rule `{id}`",
                    set.name
                ));
                let ids = self.verdicts.iter().map(|v| v.id.as_str());
                let ids = ids.chain(self.repairs.iter().map(|r| r.id.as_str()));
                return Err(match nearest(id, ids) {
                    Some(near) => error.with_hint(format!("did you mean `{near}`?")),
                    None => error,
                });
            }
        }
        if self.repairs.len() > MAX_REPAIRS {
            return Err(Error::internal(format!(
                "more than {MAX_REPAIRS} repairs in a rule set"
            )));
        }
        Ok(self)
    }

    /// The code of the rule with the id, `None` where it is skipped.
    pub(super) fn code(&self, id: &str) -> Option<i32> {
        let position = self.verdicts.iter().position(|verdict| verdict.id == id)?;
        i32::try_from(position + 1).ok()
    }

    /// The value of `column` after its repairs.
    pub(super) fn repaired(&self, frame: &DataFrame, column: &str) -> PlanResult<Expr> {
        let repairs = self.repairs.iter().filter(|repair| repair.column == column);
        let mut branches = Vec::new();
        for repair in repairs {
            if let Some(expression) = repair.expression {
                let predicate = frame.parse_sql_expr(&repair.predicate)?;
                branches.push((predicate, frame.parse_sql_expr(expression)?));
            }
        }
        let field = frame.schema().field_with_unqualified_name(column)?;
        let value = match &branches[..] {
            // A column or null, which is quick.
            [(predicate, value)] if is_null(value) => {
                when(predicate.clone().is_not_true(), ident(column)).end()?
            }
            _ => case(branches, ident(column))?,
        };
        Ok(cast_to(value, ident(column), field.data_type()).alias(column))
    }

    /// The bits of the repairs; of several repairs of a column, the first one that applies.
    ///
    /// Nearly all rows need none: one cheap condition decides whether the bits are looked for.
    pub(super) fn repair_bits(&self, frame: &DataFrame, source: &Source) -> PlanResult<Expr> {
        let mut suspicious =
            Vec::from_iter(source.has_errors.then(|| ident("_error").is_not_null()));
        for repair in &self.repairs {
            if !is_about_text(&repair.predicate) {
                let predicate = frame.parse_sql_expr(&repair.predicate)?;
                suspicious.push(predicate);
            }
        }
        let Some(suspicious) = disjunction(suspicious) else {
            return Ok(lit(0_i64).alias(REPAIRS));
        };
        let mut bits = lit(0_i64);
        let mut columns: Vec<&str> = self.repairs.iter().map(|repair| repair.column).collect();
        columns.dedup();
        let mut seen = Vec::new();
        for column in columns {
            if seen.contains(&column) {
                continue;
            }
            seen.push(column);
            let mut branches = Vec::new();
            for (bit, repair) in self.repairs.iter().enumerate() {
                if repair.column == column {
                    branches.push((frame.parse_sql_expr(&repair.predicate)?, lit(1_i64 << bit)));
                }
            }
            bits = bits + case(branches, lit(0_i64))?;
        }
        let bits = when(suspicious, bits).end()?;
        Ok(greatest(vec![bits, lit(0_i64)]).alias(REPAIRS))
    }

    /// The code of the first rule about single rows that a row breaks, of type `Int32`.
    ///
    /// Nearly all rows break none. So one cheap condition, evaluated on whole batches, decides
    /// whether the chain of rules is looked at.
    pub(super) fn row_code(&self, frame: &DataFrame, source: &Source) -> PlanResult<Expr> {
        let mut branches = Vec::new();
        let mut suspicious =
            Vec::from_iter(source.has_errors.then(|| ident("_error").is_not_null()));
        for (verdict, code) in self.verdicts.iter().zip(1_i32..) {
            let Some(predicate) = &verdict.predicate else {
                continue;
            };
            let predicate = frame.parse_sql_expr(predicate)?;
            if !verdict.predicate.as_deref().is_some_and(is_about_text) {
                suspicious.push(predicate.clone());
            }
            branches.push((predicate, lit(code)));
        }
        let Some(suspicious) = disjunction(suspicious) else {
            return Ok(lit(0_i32));
        };
        // Without ELSE, the columns of the other rows are not copied for it.
        let code = when(suspicious, case(branches, lit(0_i32))?).end()?;
        Ok(greatest(vec![code, lit(0_i32)]))
    }

    /// Where a row goes: 0 to the trusted rows, 1 to the rejects, null nowhere.
    pub(super) fn route(&self) -> PlanResult<Expr> {
        let dropped = self
            .verdicts
            .iter()
            .zip(1_i32..)
            .filter(|(v, _)| v.action == Action::Drop);
        let mut route = match_value(ident(CODE)).when(lit(0_i32), lit(0_i32));
        for (_, code) in dropped {
            route = route.when(lit(code), lit(ScalarValue::Int32(None)));
        }
        route.otherwise(lit(1_i32))
    }

    /// The id of the rule that a row breaks, null for a trusted row.
    pub(super) fn rule_id(&self) -> PlanResult<Expr> {
        let mut id = match_value(ident(CODE)).when(lit(0_i32), lit(ScalarValue::Utf8(None)));
        for (verdict, code) in self.verdicts.iter().zip(1_i32..) {
            id = id.when(lit(code), lit(verdict.id.as_str()));
        }
        id.end()
    }

    /// The flags of a row: those that it had, in the column `earlier`, and the ids of its repairs.
    pub(super) fn flags(&self, earlier: Expr, source: &Source) -> PlanResult<Expr> {
        if self.repairs.is_empty() {
            return Ok(earlier);
        }
        let mut parts = vec![earlier.clone()];
        for (bit, repair) in self.repairs.iter().enumerate() {
            let is_set = datafusion::logical_expr::bitwise_and(ident(REPAIRS), lit(1_i64 << bit))
                .not_eq(lit(0_i64));
            parts.push(
                when(is_set, lit(repair.id.as_str())).otherwise(lit(ScalarValue::Utf8(None)))?,
            );
        }
        let is_repaired = ident(REPAIRS).not_eq(lit(0_i64));
        let mut flags = when(is_repaired, concat_ws(lit(","), parts));
        match source.has_flags {
            true => flags.otherwise(earlier),
            false => flags.end(),
        }
    }
}

/// Whether a rule looks at the fault that the connector found, which is null nearly always.
fn is_about_text(predicate: &str) -> bool {
    predicate.starts_with("_error ")
}

fn is_null(value: &Expr) -> bool {
    match value {
        Expr::Literal(value, _) => value.is_null(),
        Expr::Cast(cast) => is_null(&cast.expr),
        _ => false,
    }
}

/// The first value whose condition holds.
fn case(branches: Vec<(Expr, Expr)>, otherwise: Expr) -> PlanResult<Expr> {
    let mut branches = branches.into_iter();
    let Some((condition, value)) = branches.next() else {
        return Ok(otherwise);
    };
    let mut case = when(condition, value);
    for (condition, value) in branches {
        case = case.when(condition, value);
    }
    case.otherwise(otherwise)
}

/// A repaired column keeps its type; one without repairs stays a plain column.
fn cast_to(value: Expr, plain: Expr, data_type: &DataType) -> Expr {
    if value == plain {
        plain
    } else {
        cast(value, data_type.clone())
    }
}
