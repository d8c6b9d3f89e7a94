//! The logical node of a staged write and its planner.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::datatypes::Schema;
use datafusion::catalog::Session;
use datafusion::common::{DFSchema, DFSchemaRef, Result, internal_err, plan_err};
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::{
    Expr, LogicalPlan, UserDefinedLogicalNode, UserDefinedLogicalNodeCore,
};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_planner::{ExtensionPlanner, PhysicalPlanner};

use super::{
    FileFormat, FileSink, SinkSpec, StagedWrite, StagedWriteExec, WriteBranch, WrittenPart,
};
use crate::{delimited, json};

/// Writes its input; yields one row per written part.
#[derive(Debug, Clone)]
pub struct StagedWriteNode {
    write: StagedWrite,
    input: LogicalPlan,
    schema: DFSchemaRef,
}

impl StagedWriteNode {
    /// A write of `input`.
    ///
    /// # Errors
    /// When a branch or the route names a column that the input lacks.
    pub fn try_new(write: StagedWrite, input: LogicalPlan) -> Result<Self> {
        let names = write
            .branches
            .iter()
            .flat_map(|b| b.columns.iter().map(|(column, _)| column));
        for name in names.chain(&write.route).chain(&write.tally) {
            if !input.schema().fields().iter().any(|f| f.name() == name) {
                return plan_err!("cannot write the column `{name}`: the plan has no such column");
            }
        }
        for branch in &write.branches {
            check_text(branch, &input)?;
        }
        let schema = Arc::new(DFSchema::try_from(WrittenPart::schema().as_ref().clone())?);
        Ok(Self {
            write,
            input,
            schema,
        })
    }

    /// The recipe.
    pub fn write(&self) -> &StagedWrite {
        &self.write
    }
}

impl PartialEq for StagedWriteNode {
    fn eq(&self, other: &Self) -> bool {
        self.write == other.write && self.input == other.input
    }
}

impl Eq for StagedWriteNode {}

impl Hash for StagedWriteNode {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.write.hash(state);
        self.input.hash(state);
    }
}

impl PartialOrd for StagedWriteNode {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        self.write.partial_cmp(&other.write)
    }
}

impl UserDefinedLogicalNodeCore for StagedWriteNode {
    fn name(&self) -> &'static str {
        "StagedWrite"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.input]
    }

    fn schema(&self) -> &DFSchemaRef {
        &self.schema
    }

    fn expressions(&self) -> Vec<Expr> {
        Vec::new()
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StagedWrite: {}", self.write.describe())
    }

    fn with_exprs_and_inputs(&self, _: Vec<Expr>, mut inputs: Vec<LogicalPlan>) -> Result<Self> {
        match (inputs.pop(), inputs.is_empty()) {
            (Some(input), true) => Self::try_new(self.write.clone(), input),
            _ => internal_err!("StagedWrite has exactly one input"),
        }
    }
}

/// Plans [`StagedWriteNode`].
#[derive(Debug, Default)]
pub struct StagedWritePlanner;

#[async_trait]
impl ExtensionPlanner for StagedWritePlanner {
    async fn plan_extension(
        &self,
        _planner: &dyn PhysicalPlanner,
        node: &dyn UserDefinedLogicalNode,
        _logical_inputs: &[&LogicalPlan],
        physical_inputs: &[Arc<dyn ExecutionPlan>],
        _session: &dyn Session,
        _context: &PhysicalPlanningContext,
    ) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        let Some(node) = node.as_any().downcast_ref::<StagedWriteNode>() else {
            return Ok(None);
        };
        let [input] = physical_inputs else {
            return internal_err!("StagedWrite has exactly one input");
        };
        let input = Arc::clone(input);
        Ok(Some(Arc::new(StagedWriteExec::keeping_order(
            node.write.clone(),
            input,
        ))))
    }
}

/// Refuses columns that the files of a branch cannot hold, before anything is written.
fn check_text(branch: &WriteBranch, input: &LogicalPlan) -> Result<()> {
    let SinkSpec::Files(FileSink { format, .. }) = &branch.sink else {
        return Ok(());
    };
    let fields = branch.columns.iter().filter_map(|(column, name)| {
        let field = input
            .schema()
            .fields()
            .iter()
            .find(|f| f.name() == column)?;
        Some(field.as_ref().clone().with_name(name.as_str()))
    });
    let schema = Schema::new(fields.collect::<Vec<_>>());
    match format {
        FileFormat::Csv => delimited::check_columns(&schema),
        FileFormat::Json => json::check_writable(schema.fields()),
        FileFormat::Parquet => Ok(()),
    }
}
