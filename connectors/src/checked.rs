//! `+`, `-`, `*` and the sign of whole numbers, checked: a result that does not fit into its type is an
//! error. DataFusion's operators wrap around, and their form that checks is not kept on the wire.
//!
//! A chain such as `a + b - c` is one function with three arguments, because the messages of a plan can be read
//! to a depth of a hundred only.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Datum};
use datafusion::arrow::compute::kernels::numeric;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::arrow::error::ArrowError;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{Result, ScalarValue, exec_err};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    ColumnarValue, Expr, LogicalPlan, Operator, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature, Volatility,
};
use serde::{Deserialize, Serialize};

/// An operation of whole numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Operation {
    /// `+`
    Add,
    /// `-` between two numbers.
    Subtract,
    /// `*`
    Multiply,
    /// `-` before a number.
    Negate,
}

impl Operation {
    /// The operation of a binary operator that can leave its type.
    pub fn of(operator: Operator) -> Option<Self> {
        match operator {
            Operator::Plus => Some(Self::Add),
            Operator::Minus => Some(Self::Subtract),
            Operator::Multiply => Some(Self::Multiply),
            _ => None,
        }
    }

    fn sign(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Subtract | Self::Negate => "-",
            Self::Multiply => "*",
        }
    }

    fn letter(self) -> char {
        match self {
            Self::Add => 'a',
            Self::Subtract => 's',
            Self::Multiply => 'm',
            Self::Negate => 'n',
        }
    }

    fn apply(self, left: &dyn Datum, right: &dyn Datum) -> Result<ArrayRef, ArrowError> {
        match self {
            Self::Add => numeric::add(left, right),
            Self::Subtract => numeric::sub(left, right),
            Self::Multiply => numeric::mul(left, right),
            Self::Negate => numeric::neg(right.get().0),
        }
    }
}

/// The operations of a chain, from the left: one fewer than it has arguments, or one negation.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Checked {
    name: String,
    operations: Vec<Operation>,
    signature: Signature,
}

/// Longest chain that every process knows by its name.
pub(crate) const MAX_NAMED: usize = 4;

/// The functions of short chains. Ballista sends the keys of an exchange without the codec of a session, so
/// that a function in them is found by its name alone.
pub fn named_functions() -> Vec<ScalarUDF> {
    let operations = [Operation::Add, Operation::Subtract, Operation::Multiply];
    let mut chains: Vec<Vec<Operation>> = vec![Vec::new()];
    let mut all = vec![vec![Operation::Negate]];
    for _ in 0..MAX_NAMED {
        let longer = chains.iter().flat_map(|chain| {
            operations.map(|operation| chain.iter().copied().chain([operation]).collect())
        });
        chains = longer.collect();
        all.extend(chains.iter().cloned());
    }
    all.into_iter().map(Checked::function).collect()
}

impl Checked {
    /// The function of a chain of operations.
    pub fn function(operations: Vec<Operation>) -> ScalarUDF {
        let n_arguments = match operations[..] {
            [Operation::Negate] => 1,
            _ => operations.len() + 1,
        };
        let letters = operations.iter().map(|operation| operation.letter());
        ScalarUDF::from(Self {
            name: format!("checked_{}", letters.collect::<String>()),
            operations,
            signature: Signature::any(n_arguments, Volatility::Immutable),
        })
    }

    /// The operations of `function`, if it is one of these.
    pub fn operations_of(function: &ScalarUDF) -> Option<&[Operation]> {
        Some(&function.inner().downcast_ref::<Self>()?.operations)
    }
}

/// The expression `left operation right`, as the end of the chain that `left` may be.
pub fn chained(left: Expr, operations: &[Operation], right: Vec<Expr>) -> Expr {
    let (before, mut arguments) = match left {
        Expr::ScalarFunction(call) => match Checked::operations_of(&call.func) {
            Some([Operation::Negate]) | None => (Vec::new(), vec![Expr::ScalarFunction(call)]),
            Some(before) => (before.to_vec(), call.args),
        },
        other => (Vec::new(), vec![other]),
    };
    let operations = before.iter().chain(operations).copied().collect();
    arguments.extend(right);
    let function = Arc::new(Checked::function(operations));
    Expr::ScalarFunction(ScalarFunction::new_udf(function, arguments))
}

/// The plan with each chain as one function again: a projection that is merged with another one may make a
/// chain of a chain.
///
/// # Errors
/// When a node cannot be rebuilt.
pub fn with_whole_chains(plan: LogicalPlan) -> Result<LogicalPlan> {
    let whole = |expr: Expr| {
        let Expr::ScalarFunction(call) = expr else {
            return Ok(Transformed::no(expr));
        };
        let operations = Checked::operations_of(&call.func).map(<[Operation]>::to_vec);
        let is_chain = |expr: &Expr| match expr {
            Expr::ScalarFunction(call) => Checked::operations_of(&call.func)
                .is_some_and(|operations| operations != [Operation::Negate]),
            _ => false,
        };
        match operations {
            Some(operations)
                if operations != [Operation::Negate] && call.args.first().is_some_and(is_chain) =>
            {
                let mut arguments = call.args.into_iter();
                let first = arguments.next().unwrap_or_default();
                let whole = chained(first, &operations, arguments.collect());
                Ok(Transformed::yes(whole))
            }
            _ => Ok(Transformed::no(Expr::ScalarFunction(call))),
        }
    };
    plan.transform_up_with_subqueries(|node| {
        let is_window = matches!(node, LogicalPlan::Window(_));
        let node = node.map_expressions(|expr| expr.transform_up(whole))?;
        match is_window {
            // What partitions a window becomes the key of an exchange.
            true => node.transform_data(|node| {
                node.map_expressions(|expr| expr.transform_up(|expr| Ok(in_named_chains(expr))))
            }),
            false => Ok(node),
        }
    })
    .data()
}

/// A chain as chains that every process knows by name, one the first argument of the next.
fn in_named_chains(expr: Expr) -> Transformed<Expr> {
    let call = match expr {
        Expr::ScalarFunction(call) => call,
        other => return Transformed::no(other),
    };
    let operations = match Checked::operations_of(&call.func) {
        Some(operations) if operations.len() > MAX_NAMED => operations.to_vec(),
        _ => return Transformed::no(Expr::ScalarFunction(call)),
    };
    let mut arguments = call.args.into_iter();
    let mut value = arguments.next().unwrap_or_default();
    for part in operations.chunks(MAX_NAMED) {
        let others = arguments.by_ref().take(part.len());
        let function = Arc::new(Checked::function(part.to_vec()));
        let arguments = std::iter::once(value).chain(others).collect();
        value = Expr::ScalarFunction(ScalarFunction::new_udf(function, arguments));
    }
    Transformed::yes(value)
}

impl ScalarUDFImpl for Checked {
    fn name(&self) -> &str {
        &self.name
    }

    // Columns keep the names that they have with the operators.
    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        match (args, &self.operations[..]) {
            ([value], [Operation::Negate]) => Ok(format!("(- {})", value.schema_name())),
            ([first, others @ ..], operations) => {
                let mut name = first.schema_name().to_string();
                for (operation, value) in operations.iter().zip(others) {
                    name.push_str(&format!(" {} {}", operation.sign(), value.schema_name()));
                }
                Ok(name)
            }
            _ => exec_err!("arithmetic takes values"),
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        match arguments {
            [first, others @ ..] if first.is_integer() && others.iter().all(|t| t == first) => {
                Ok(first.clone())
            }
            _ => exec_err!("checked arithmetic takes whole numbers of one type"),
        }
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let types = args.arg_fields.iter().map(|f| f.data_type().clone());
        let data_type = self.return_type(&types.collect::<Vec<_>>())?;
        let is_nullable = args.arg_fields.iter().any(|f| f.is_nullable());
        Ok(Arc::new(Field::new(self.name(), data_type, is_nullable)))
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [first, others @ ..] = &args.args[..] else {
            return exec_err!("arithmetic takes values");
        };
        if let [Operation::Negate] = self.operations[..] {
            return applied(Operation::Negate, first, first);
        }
        let mut value = first.clone();
        for (operation, other) in self.operations.iter().zip(others) {
            value = applied(*operation, &value, other)?;
        }
        Ok(value)
    }
}

fn applied(
    operation: Operation,
    left: &ColumnarValue,
    right: &ColumnarValue,
) -> Result<ColumnarValue> {
    let result = match (left, right) {
        (ColumnarValue::Array(left), ColumnarValue::Array(right)) => {
            operation.apply(left, right)?
        }
        (ColumnarValue::Array(left), ColumnarValue::Scalar(right)) => {
            operation.apply(left, &right.to_scalar()?)?
        }
        (ColumnarValue::Scalar(left), ColumnarValue::Array(right)) => {
            operation.apply(&left.to_scalar()?, right)?
        }
        (ColumnarValue::Scalar(left), ColumnarValue::Scalar(right)) => {
            let result = operation.apply(&left.to_scalar()?, &right.to_scalar()?)?;
            let value = ScalarValue::try_from_array(&result, 0)?;
            return Ok(ColumnarValue::Scalar(value));
        }
    };
    Ok(ColumnarValue::Array(result))
}
