//! `+`, `-`, `*` and the sign of whole numbers, checked: a result that does not fit into its type is an
//! error. DataFusion's operators wrap around, and their form that checks is not kept on the wire.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Datum};
use datafusion::arrow::compute::kernels::numeric;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::arrow::error::ArrowError;
use datafusion::common::{Result, ScalarValue, exec_err};
use datafusion::logical_expr::{
    ColumnarValue, Expr, Operator, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature, Volatility,
};

/// An operation of whole numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Operation {
    Add,
    Subtract,
    Multiply,
    Negate,
}

impl Operation {
    /// The operation of a binary operator that can leave its type.
    pub(crate) fn of(operator: Operator) -> Option<Self> {
        match operator {
            Operator::Plus => Some(Self::Add),
            Operator::Minus => Some(Self::Subtract),
            Operator::Multiply => Some(Self::Multiply),
            _ => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Add => "checked_add",
            Self::Subtract => "checked_subtract",
            Self::Multiply => "checked_multiply",
            Self::Negate => "checked_negate",
        }
    }
}

/// The function of an operation.
pub(crate) fn checked(operation: Operation) -> ScalarUDF {
    let n_arguments = match operation {
        Operation::Negate => 1,
        Operation::Add | Operation::Subtract | Operation::Multiply => 2,
    };
    ScalarUDF::from(Checked {
        operation,
        signature: Signature::any(n_arguments, Volatility::Immutable),
    })
}

/// The functions of all operations.
pub(super) fn checked_operations() -> Vec<ScalarUDF> {
    [
        Operation::Add,
        Operation::Subtract,
        Operation::Multiply,
        Operation::Negate,
    ]
    .map(checked)
    .into()
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Checked {
    operation: Operation,
    signature: Signature,
}

impl ScalarUDFImpl for Checked {
    fn name(&self) -> &str {
        self.operation.name()
    }

    // Columns keep the names that they have with the operators.
    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        let name = Expr::schema_name;
        let operator = match self.operation {
            Operation::Add => "+",
            Operation::Subtract => "-",
            Operation::Multiply => "*",
            Operation::Negate => "-",
        };
        match args {
            [left, right] => Ok(format!("{} {operator} {}", name(left), name(right))),
            [value] => Ok(format!("({operator} {})", name(value))),
            _ => exec_err!("`{operator}` takes one or two values"),
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        match arguments {
            [value] => Ok(value.clone()),
            [left, right] if left == right && left.is_integer() => Ok(left.clone()),
            _ => exec_err!("{} takes whole numbers of one type", self.name()),
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
        let apply: fn(&dyn Datum, &dyn Datum) -> Result<ArrayRef, ArrowError> = match self.operation
        {
            Operation::Add => numeric::add,
            Operation::Subtract => numeric::sub,
            Operation::Multiply => numeric::mul,
            Operation::Negate => |value, _| numeric::neg(value.get().0),
        };
        let (left, right) = match args.args.as_slice() {
            [value] => (value, value),
            [left, right] => (left, right),
            _ => return exec_err!("{} takes one or two values", self.name()),
        };
        let result = match (left, right) {
            (ColumnarValue::Array(left), ColumnarValue::Array(right)) => apply(left, right)?,
            (ColumnarValue::Array(left), ColumnarValue::Scalar(right)) => {
                apply(left, &right.to_scalar()?)?
            }
            (ColumnarValue::Scalar(left), ColumnarValue::Array(right)) => {
                apply(&left.to_scalar()?, right)?
            }
            (ColumnarValue::Scalar(left), ColumnarValue::Scalar(right)) => {
                let result = apply(&left.to_scalar()?, &right.to_scalar()?)?;
                let value = ScalarValue::try_from_array(&result, 0)?;
                return Ok(ColumnarValue::Scalar(value));
            }
        };
        Ok(ColumnarValue::Array(result))
    }
}
