//! Deep expressions in messages that can be read.
//!
//! A message is read to a depth of a hundred, and each function of an expression is two messages or three,
//! one in the other. So the part of an expression that is below a number of messages becomes one function
//! of the columns that it reads. Its definition is opaque bytes of the message, and is read as a separate
//! message. It computes what the part computes, when it is asked to: a branch of a CASE for the rows of
//! that branch only.

use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, OnceLock};

use datafusion::arrow::array::{RecordBatch, RecordBatchOptions};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::{
    Column, DFSchema, ExprSchema, Result, internal_datafusion_err, internal_err, plan_err,
};
use datafusion::error::DataFusionError;
use datafusion::execution::TaskContext;
use datafusion::logical_expr::execution_props::ExecutionProps;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{
    BinaryExpr, ColumnarValue, Expr, ExprSchemable, LogicalPlan, ReturnFieldArgs,
    ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::physical_expr::{PhysicalExpr, create_physical_expr};
use datafusion_proto::logical_plan::LogicalExtensionCodec;
use datafusion_proto::logical_plan::from_proto::parse_expr;
use datafusion_proto::logical_plan::to_proto::serialize_expr;
use datafusion_proto::protobuf;
use prost::Message as _;

/// The first bytes of the definition of such a function; the last one is the version of the format.
pub(crate) const MAGIC: &[u8; 5] = b"EMPX\x01";
/// Messages of an expression that may be one in the other; the rest of the depth is for the steps of the
/// plan around it.
const MAX_MESSAGES: usize = 30;
/// Functions, operators and CASEs of an expression that may be one in the other.
pub const MAX_NESTED: usize = 500;
/// CASEs that may be one in the other with functions or operators between them: the planner looks at each twice
/// for each one around it.
pub const MAX_CASES: usize = 12;
/// Stack that has to be left before a definition is written, read or run, and what is added else.
const STACK_LEFT: usize = 512 * 1024;
const STACK_ADDED: usize = 4 * 1024 * 1024;

/// Where the functions of definitions are found by name.
pub type Functions = fn() -> Result<Arc<TaskContext>>;

/// A part of an expression as a function of the columns that it reads.
#[derive(Debug)]
pub struct Composed {
    body: Expr,
    /// The columns that the body reads, in the order of the arguments.
    parameters: SchemaRef,
    result: FieldRef,
    signature: Signature,
    physical: OnceLock<Arc<dyn PhysicalExpr>>,
}

impl PartialEq for Composed {
    fn eq(&self, other: &Self) -> bool {
        self.body == other.body
            && self.parameters == other.parameters
            && self.result == other.result
    }
}

impl Eq for Composed {}

impl Hash for Composed {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.body.hash(state);
        self.result.hash(state);
    }
}

/// Refuses expressions that are nested deeper than can be computed anywhere.
///
/// # Errors
/// `Plan` with the limit where one is.
pub fn check_depth(plan: &LogicalPlan) -> Result<()> {
    plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expr| {
            let found = depth(expr)?.nested;
            if found > MAX_NESTED {
                return plan_err!(
                    "an expression of the query is nested {found} deep, and at most {MAX_NESTED} functions, \
                     operators and CASEs can be one in the other"
                );
            }
            Ok(TreeNodeRecursion::Continue)
        })
    })
    .map(|_| ())
}

/// Refuses CASEs in one another that the planner would look at for minutes.
///
/// # Errors
/// `Plan` with the limit where there are too many.
pub fn check_cases(plan: &LogicalPlan) -> Result<()> {
    plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expr| {
            let found = depth(expr)?.cases;
            if found > MAX_CASES {
                return plan_err!(
                    "{found} CASEs of the query are one in the other with functions or operators between \
                     them, and at most {MAX_CASES} can be"
                );
            }
            Ok(TreeNodeRecursion::Continue)
        })
    })
    .map(|_| ())
}

/// How deep an expression is.
#[derive(Debug, Clone, Copy, Default)]
struct Depth {
    /// Functions, operators and CASEs, one in the other; a chain such as `a + b - c` is one.
    nested: usize,
    /// CASEs that are not the branch of another one, one in the other.
    cases: usize,
}

fn depth(expr: &Expr) -> Result<Depth> {
    stacker::maybe_grow(STACK_LEFT, STACK_ADDED, || {
        let is_case = matches!(expr, Expr::Case(_));
        let mut deepest = Depth::default();
        for part in terms(expr)? {
            let mut found = depth(part)?;
            if is_case && matches!(part, Expr::Case(_)) {
                found.cases = found.cases.saturating_sub(1);
            }
            deepest.nested = deepest.nested.max(found.nested);
            deepest.cases = deepest.cases.max(found.cases);
        }
        let is_own = !matches!(expr, Expr::Alias(_) | Expr::Column(_) | Expr::Literal(..));
        Ok(Depth {
            nested: deepest.nested + usize::from(is_own),
            cases: deepest.cases + usize::from(is_case),
        })
    })
}

/// The expressions in an expression; of a chain of any operators, its operands.
fn terms(expr: &Expr) -> Result<Vec<&Expr>> {
    let mut found = Vec::new();
    let mut first = expr;
    while let Expr::BinaryExpr(binary) = first {
        found.push(binary.right.as_ref());
        first = binary.left.as_ref();
    }
    if found.is_empty() {
        return parts(expr);
    }
    found.push(first);
    Ok(found)
}

/// The expressions in an expression; the operands of `a AND b AND c` are three.
fn parts(expr: &Expr) -> Result<Vec<&Expr>> {
    let Expr::BinaryExpr(BinaryExpr { left, op, right }) = expr else {
        let mut found = Vec::new();
        expr.apply_children(|child| {
            found.push(child);
            Ok(TreeNodeRecursion::Continue)
        })?;
        return Ok(found);
    };
    let mut found = vec![right.as_ref()];
    let mut first = left.as_ref();
    while let Expr::BinaryExpr(inner) = first
        && inner.op == *op
    {
        found.push(inner.right.as_ref());
        first = inner.left.as_ref();
    }
    found.push(first);
    Ok(found)
}

/// The plan with parts of expressions that are too deep as functions.
///
/// # Errors
/// When a node cannot be rebuilt.
pub fn compose(plan: LogicalPlan) -> Result<LogicalPlan> {
    plan.transform_up(|node| {
        let schema = match &node {
            LogicalPlan::TableScan(scan) => {
                let name = scan.table_name.clone();
                DFSchema::try_from_qualified_schema(name, &scan.source.schema())?
            }
            _ => merge_schema(&node.inputs()),
        };
        let names = NamePreserver::new(&node);
        node.map_expressions(|expr| {
            if messages(&expr)? <= MAX_MESSAGES {
                return Ok(Transformed::no(expr));
            }
            let name = names.save(&expr);
            let expr = expr.transform_up(|expr| {
                match messages(&expr)? < MAX_MESSAGES || !is_plain(&expr)? {
                    true => Ok(Transformed::no(expr)),
                    false => composed(expr, &schema).map(Transformed::yes),
                }
            })?;
            Ok(expr.update_data(|expr| name.restore(expr)))
        })
    })
    .data()
}

/// How many messages are one in the other for an expression; more than `MAX_MESSAGES` are not counted.
fn messages(expr: &Expr) -> Result<usize> {
    messages_to(expr, MAX_MESSAGES + 1)
}

fn messages_to(expr: &Expr, most: usize) -> Result<usize> {
    let own = match expr {
        Expr::Column(_) | Expr::Literal(..) => 1,
        Expr::Case(_) | Expr::AggregateFunction(_) | Expr::WindowFunction(_) => 3,
        _ => 2,
    };
    let Some(left) = most.checked_sub(own).filter(|left| *left > 0) else {
        return Ok(most);
    };
    let mut deepest = 0;
    for part in parts(expr)? {
        deepest = deepest.max(messages_to(part, left)?);
    }
    Ok(own + deepest)
}

/// Whether the expression is a value of the columns of one row.
fn is_plain(expr: &Expr) -> Result<bool> {
    let has_other = expr.exists(|expr| {
        Ok(matches!(
            expr,
            Expr::AggregateFunction(_)
                | Expr::WindowFunction(_)
                | Expr::GroupingSet(_)
                | Expr::Exists(_)
                | Expr::InSubquery(_)
                | Expr::ScalarSubquery(_)
                | Expr::SetComparison(_)
                | Expr::OuterReferenceColumn(..)
                | Expr::Unnest(_)
                | Expr::Placeholder(_)
                | Expr::HigherOrderFunction(_)
                | Expr::Lambda(_)
                | Expr::LambdaVariable(_)
        ))
    })?;
    Ok(!has_other && !matches!(expr, Expr::Alias(_)))
}

fn composed(expr: Expr, schema: &DFSchema) -> Result<Expr> {
    let (_, result) = expr.to_field(schema)?;
    let columns = expr.column_refs().into_iter().cloned();
    let columns: BTreeMap<String, Column> = columns.map(|c| (c.flat_name(), c)).collect();
    let mut fields = Vec::new();
    for (at, column) in columns.values().enumerate() {
        let field = schema.field_from_column(column)?;
        fields.push(Field::new(parameter(at), field.data_type().clone(), true));
    }
    let places: Vec<&Column> = columns.values().collect();
    let body = expr.transform_up(|expr| {
        let place = match &expr {
            Expr::Column(column) => places.iter().position(|c| *c == column),
            _ => None,
        };
        Ok(match place {
            Some(at) => Transformed::yes(Expr::Column(Column::from_name(parameter(at)))),
            None => Transformed::no(expr),
        })
    });
    let body = body.data()?;
    let result = Field::new("composed", result.data_type().clone(), result.is_nullable());
    let function = Composed::function(body, Arc::new(Schema::new(fields)), Arc::new(result));
    let arguments = columns.into_values().map(Expr::Column).collect();
    let call = ScalarFunction::new_udf(Arc::new(function), arguments);
    Ok(Expr::ScalarFunction(call))
}

fn parameter(at: usize) -> String {
    format!("p{at}")
}

impl Composed {
    fn function(body: Expr, parameters: SchemaRef, result: FieldRef) -> ScalarUDF {
        let volatility = match body.is_volatile() {
            true => Volatility::Volatile,
            false => Volatility::Immutable,
        };
        let signature = match parameters.fields().len() {
            0 => Signature::nullary(volatility),
            n => Signature::any(n, volatility),
        };
        ScalarUDF::from(Self {
            body,
            parameters,
            result,
            signature,
            physical: OnceLock::new(),
        })
    }

    /// The function as one of these, if it is one.
    pub(crate) fn of(function: &ScalarUDF) -> Option<&Self> {
        function.inner().downcast_ref::<Self>()
    }

    /// Writes the definition: the length of the schema, the schema with the result behind the parameters, and
    /// the body.
    ///
    /// # Errors
    /// When a part of it has no form on the wire.
    pub(crate) fn encode(
        &self,
        buffer: &mut Vec<u8>,
        codec: &dyn LogicalExtensionCodec,
    ) -> Result<()> {
        stacker::maybe_grow(STACK_LEFT, STACK_ADDED, || {
            let fields = self.parameters.fields().iter().chain([&self.result]);
            let schema = Schema::new(fields.cloned().collect::<Vec<_>>());
            let schema = protobuf::Schema::try_from(&schema)?.encode_to_vec();
            let length = u32::try_from(schema.len())
                .map_err(|_| internal_datafusion_err!("too many columns in an expression"))?;
            let body = serialize_expr(&self.body, codec)?.encode_to_vec();
            buffer.extend_from_slice(MAGIC);
            buffer.extend_from_slice(&length.to_le_bytes());
            buffer.extend_from_slice(&schema);
            buffer.extend_from_slice(&body);
            Ok(())
        })
    }

    /// The function of a definition without its first bytes.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(crate) fn decode(
        definition: &[u8],
        functions: Functions,
        codec: &dyn LogicalExtensionCodec,
    ) -> Result<ScalarUDF> {
        stacker::maybe_grow(STACK_LEFT, STACK_ADDED, || {
            let cut = || internal_datafusion_err!("a composed expression is cut off");
            let external = |e| DataFusionError::External(Box::new(e));
            let (length, rest) = definition.split_first_chunk::<4>().ok_or_else(cut)?;
            let length = usize::try_from(u32::from_le_bytes(*length)).map_err(|_| cut())?;
            let (schema, body) = rest.split_at_checked(length).ok_or_else(cut)?;
            let schema = protobuf::Schema::decode(schema).map_err(external)?;
            let schema = Schema::try_from(&schema)?;
            let (result, parameters) = schema.fields().split_last().ok_or_else(cut)?;
            let body = protobuf::LogicalExprNode::decode(body).map_err(external)?;
            let body = parse_expr(&body, functions()?.as_ref(), codec)?;
            let parameters = Arc::new(Schema::new(parameters.to_vec()));
            Ok(Self::function(body, parameters, Arc::clone(result)))
        })
    }

    fn physical(&self, args: &ScalarFunctionArgs) -> Result<Arc<dyn PhysicalExpr>> {
        if let Some(known) = self.physical.get() {
            return Ok(Arc::clone(known));
        }
        let schema = DFSchema::try_from(Arc::clone(&self.parameters))?;
        let mut props = ExecutionProps::new();
        props.config_options = Some(Arc::clone(&args.config_options));
        let planning = PhysicalPlanningContext::default();
        let made = create_physical_expr(&self.body, &schema, &props, &planning)?;
        Ok(Arc::clone(self.physical.get_or_init(|| made)))
    }

    fn evaluate(&self, args: &ScalarFunctionArgs) -> Result<ColumnarValue> {
        let n_rows = args.number_rows;
        let columns = args.args.iter().map(|value| value.to_array(n_rows));
        let columns = columns.collect::<Result<Vec<_>>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(n_rows));
        let parameters = Arc::clone(&self.parameters);
        let rows = RecordBatch::try_new_with_options(parameters, columns, &options)?;
        self.physical(args)?.evaluate(&rows)
    }
}

impl ScalarUDFImpl for Composed {
    fn name(&self) -> &'static str {
        "composed"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.result.data_type().clone())
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        if args.arg_fields.len() != self.parameters.fields().len() {
            return internal_err!("a composed expression has other arguments than parameters");
        }
        Ok(Arc::clone(&self.result))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        stacker::maybe_grow(STACK_LEFT, STACK_ADDED, || self.evaluate(&args))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use datafusion::logical_expr::{LogicalPlanBuilder, col, lit, when};
    use datafusion::prelude::SessionContext;
    use datafusion_proto::bytes::{
        logical_plan_from_bytes, logical_plan_from_bytes_with_extension_codec,
        logical_plan_to_bytes, logical_plan_to_bytes_with_extension_codec,
    };
    use datafusion_proto::logical_plan::DefaultLogicalExtensionCodec;

    use super::*;
    use crate::codec::EmporiaLogicalCodec;

    fn functions() -> Result<Arc<TaskContext>> {
        Ok(SessionContext::new().task_ctx())
    }

    /// `CASE WHEN n <> 3 THEN … 12 / (n - 3) … END` over the numbers from 1 to 5.
    fn deep(depth: usize) -> Result<LogicalPlan> {
        let mut value = lit(12_i64) / (col("column1") - lit(3_i64));
        for _ in 0..depth {
            value = when(value.clone().is_not_null(), lit(1_i64) + value).end()?;
        }
        let value = when(col("column1").not_eq(lit(3_i64)), value).otherwise(lit(0_i64))?;
        let rows = (1..=5_i64).map(|n| vec![lit(n)]);
        LogicalPlanBuilder::values(rows.collect())?
            .project([value.alias("value")])?
            .build()
    }

    /// Fails once a deep message can be read; then see `docs/upstream.md`.
    #[test]
    fn a_deep_expression_cannot_be_read() -> Result<()> {
        let bytes = logical_plan_to_bytes(&deep(5)?)?;
        logical_plan_from_bytes(&bytes, functions()?.as_ref())?;
        let mut plan = lit(true);
        for _ in 0..60 {
            plan = plan.is_true();
        }
        let plan = LogicalPlanBuilder::empty(true).project([plan])?.build()?;
        let bytes = logical_plan_to_bytes(&plan)?;
        let read = logical_plan_from_bytes(&bytes, functions()?.as_ref());
        let error = read.unwrap_err().to_string();
        assert!(error.contains("ecursion"), "{error}");
        Ok(())
    }

    #[tokio::test]
    async fn a_deep_expression_comes_back_as_functions() -> Result<()> {
        // Each level doubles the expression.
        let plan = deep(12)?;
        let inner = Arc::new(DefaultLogicalExtensionCodec {});
        let codec = EmporiaLogicalCodec::new(inner, functions);
        let sent = compose(plan.clone())?;
        assert_eq!(sent.schema(), plan.schema());
        assert!(sent.display_indent().to_string().contains("composed("));
        let bytes = logical_plan_to_bytes_with_extension_codec(&sent, &codec)?;
        let context = SessionContext::new();
        let task = context.task_ctx();
        let read = logical_plan_from_bytes_with_extension_codec(&bytes, &task, &codec)?;
        assert_eq!(read, sent);
        let mut rows = Vec::new();
        for plan in [plan, read] {
            rows.push(context.execute_logical_plan(plan).await?.collect().await?);
        }
        let values = |batches: &Vec<RecordBatch>| {
            batches
                .iter()
                .map(|b| b.columns().to_vec())
                .collect::<Vec<_>>()
        };
        assert_eq!(rows.first().map(values), rows.last().map(values));
        Ok(())
    }

    #[test]
    fn what_is_too_deep_everywhere_is_refused() -> Result<()> {
        for (depth, is_refused) in [(MAX_NESTED, false), (MAX_NESTED + 1, true)] {
            let mut expr = lit(true);
            for _ in 0..depth {
                expr = expr.is_true();
            }
            let plan = LogicalPlanBuilder::empty(true).project([expr.alias("x")])?;
            assert_eq!(check_depth(&plan.build()?).is_err(), is_refused, "{depth}");
        }
        Ok(())
    }

    static N_ASKED: AtomicUsize = AtomicUsize::new(0);

    /// A function that counts how often it is asked for its type.
    #[derive(Debug, PartialEq, Eq, Hash)]
    struct Asked(Signature);

    impl ScalarUDFImpl for Asked {
        fn name(&self) -> &str {
            "asked"
        }

        fn signature(&self) -> &Signature {
            &self.0
        }

        fn return_type(&self, types: &[DataType]) -> Result<DataType> {
            N_ASKED.fetch_add(1, Ordering::Relaxed);
            Ok(types.first().cloned().unwrap_or(DataType::Null))
        }

        fn invoke_with_args(&self, _: ScalarFunctionArgs) -> Result<ColumnarValue> {
            internal_err!("it is not called")
        }
    }

    /// Fails once the time does not double with each CASE; then see `docs/upstream.md`.
    #[test]
    fn datafusion_asks_twice_for_each_case() -> Result<()> {
        let asked = ScalarUDF::from(Asked(Signature::any(1, Volatility::Immutable)));
        let mut expr = lit(1_i64);
        for _ in 0..10 {
            let value = asked.call(vec![expr]);
            expr = when(lit(true), value).otherwise(lit(0_i64))?;
        }
        expr.to_field(&DFSchema::empty())?;
        let n_asked = N_ASKED.load(Ordering::Relaxed);
        assert!(n_asked >= 1 << 10, "{n_asked}");
        Ok(())
    }
}
