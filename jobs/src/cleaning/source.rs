//! The table that is cleaned, as the rules see it.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::{JoinType, ScalarValue};
use datafusion::error::Result as PlanResult;
use datafusion::functions::core::expr_fn::coalesce;
use datafusion::functions::string::expr_fn::{concat, concat_ws};
use datafusion::functions_aggregate::expr_fn::max;
use datafusion::logical_expr::{Expr, cast, lit};
use datafusion::prelude::{DataFrame, ident};
use emporia_core::error::Result;
use emporia_engine::session::Session;

use super::judge::{CODE, Judge};
use super::rules::{Lookup, RuleSet};
use crate::tables::{column_of, has_column, planning};

/// The columns that reading with `permissive = "true"` appends.
const RAW: &str = "_raw";
pub(super) const SOURCE: &str = "_source";
pub(super) const POSITION: &str = "_position";
const ERROR: &str = "_error";
/// The flags of an earlier cleaning.
const FLAGS: &str = "flags";

/// A table and what it offers.
pub(super) struct Source {
    frame: DataFrame,
    /// The data columns, under the names of the rule set.
    pub columns: Vec<String>,
    /// It has the faults of its lines.
    pub has_errors: bool,
    /// Its rows have a place in a file, so that they can be told apart.
    pub has_positions: bool,
    has_raw: bool,
    /// It was cleaned before, and has the flags of that.
    pub has_flags: bool,
    /// Columns whose values make the text of a row that came from no text.
    identity: Vec<String>,
}

impl Source {
    /// Opens the table and joins the lookups of the rule set.
    pub(super) async fn open(session: &Session, table: &str, set: &RuleSet) -> Result<Self> {
        let frame = session.table(table).await?;
        let frame = with_our_names(frame, set).map_err(planning(table))?;
        for column in set.columns {
            column_of(&frame, table, column)?;
        }
        let names = frame.schema().fields().iter().map(|f| f.name().clone());
        let columns = names
            .filter(|name| ![RAW, SOURCE, POSITION, ERROR, FLAGS].contains(&name.as_str()))
            .collect();
        // Without a key, rows are repeats when what the rules know of them is equal; a number that
        // an import gave to each line must not tell them apart.
        let columns: Vec<String> = columns;
        let identity = match set.duplicates.key {
            None => set.columns.iter().map(|c| (*c).to_owned()).collect(),
            Some(_) => columns.clone(),
        };
        let mut source = Self {
            identity,
            columns,
            has_errors: has_column(&frame, ERROR),
            has_positions: has_column(&frame, POSITION) && has_column(&frame, SOURCE),
            has_raw: has_column(&frame, RAW),
            has_flags: has_column(&frame, FLAGS),
            frame,
        };
        for lookup in set.lookups {
            source = source.with_lookup(session, lookup).await?;
        }
        Ok(source)
    }

    async fn with_lookup(mut self, session: &Session, lookup: &Lookup) -> Result<Self> {
        let plan = || planning("a lookup of the rules");
        let [key, found, value] =
            ["key", "found", "value"].map(|s| format!("_{}_{s}", lookup.name));
        let Some(table) = lookup.tables.iter().find(|table| session.has_table(table)) else {
            self.frame = self
                .frame
                .with_column(&found, lit(true))
                .and_then(|frame| frame.with_column(&value, lit(ScalarValue::Float64(None))))
                .map_err(plan())?;
            return Ok(self);
        };
        let other = session.table(table).await?;
        let (ours, theirs) = lookup.on;
        let other_key = column_of(&other, table, theirs)?;
        let other_value = match lookup.value {
            Some(name) => column_of(&other, table, name)?,
            None => lit(ScalarValue::Float64(None)),
        };
        // One row per key, or the join would multiply rows.
        let other = other
            .select(vec![other_key.alias(&key), other_value.alias("_looked_up")])
            .and_then(|other| {
                other.aggregate(
                    vec![ident(&key)],
                    vec![
                        max(ident("_looked_up")).alias(&value),
                        max(lit(true)).alias(&found),
                    ],
                )
            })
            .map_err(plan())?;
        self.frame = self
            .frame
            .join(other, JoinType::Left, &[ours], &[&key], None)
            .map_err(plan())?;
        Ok(self)
    }

    /// The rows with their repairs and the code of the first row rule that they break.
    ///
    /// Columns: the data columns, `_raw` (text of the row), `_source`, `_position`, `_flags`,
    /// `_repairs`, `_code`.
    pub(super) fn judged(&self, judge: &Judge) -> Result<DataFrame> {
        self.plan_judged(judge).map_err(planning("the rules"))
    }

    fn plan_judged(&self, judge: &Judge) -> PlanResult<DataFrame> {
        let mut repaired = Vec::new();
        for column in &self.columns {
            repaired.push(judge.repaired(&self.frame, column)?);
        }
        let null_text = || lit(ScalarValue::Utf8(None));
        let or = |has: bool, name: &str, otherwise: Expr| {
            if has { ident(name) } else { otherwise }
        };
        let raw = or(self.has_raw, RAW, self.row_text());
        repaired.push(raw.alias(RAW));
        repaired.push(or(self.has_positions, SOURCE, null_text()).alias(SOURCE));
        let no_position = lit(ScalarValue::Int64(None));
        repaired.push(or(self.has_positions, POSITION, no_position).alias(POSITION));
        repaired.push(or(self.has_flags, FLAGS, null_text()).alias("_flags"));
        repaired.push(judge.repair_bits(&self.frame, self)?);
        // What the rules may look at, besides the columns.
        let fields = self
            .frame
            .schema()
            .fields()
            .iter()
            .map(|f| f.name().clone());
        let extra = fields.filter(|name| name == ERROR || name.ends_with("_found"));
        repaired.extend(extra.filter(|name| name.starts_with('_')).map(ident));
        let frame = self.frame.clone().select(repaired)?;
        let code = judge.row_code(&frame, self)?;
        let mut columns: Vec<Expr> = self.columns.iter().map(ident).collect();
        columns.extend([RAW, SOURCE, POSITION, "_flags", "_repairs"].map(ident));
        columns.push(code.alias(CODE));
        frame.select(columns)
    }

    /// The text of a row that came from no text: `column=value`, separated by commas.
    fn row_text(&self) -> Expr {
        let parts = self.identity.iter().map(|column| {
            let value = coalesce(vec![cast(ident(column), DataType::Utf8), lit("null")]);
            concat(vec![lit(format!("{column}=")), value])
        });
        concat_ws(lit(","), parts.collect())
    }
}

/// Renames the columns of a source system.
fn with_our_names(frame: DataFrame, set: &RuleSet) -> PlanResult<DataFrame> {
    let names: Vec<String> = frame
        .schema()
        .fields()
        .iter()
        .map(|f| f.name().clone())
        .collect();
    let columns = names.iter().map(|name| {
        let alias = set.aliases.iter().find(|(theirs, _)| theirs == name);
        ident(name).alias(alias.map_or(name.as_str(), |(_, ours)| ours))
    });
    frame.select(columns.collect::<Vec<_>>())
}
