//! `to_timestamp(column, format)` and its kin, in the place of DataFusion's, which forget the zone of their type
//! where a column is read by a format.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::logical_expr::sort_properties::{ExprProperties, SortProperties};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl};

use crate::functions::named_as_inner;

/// The function, with results of the type that it announces; any other function as it is.
pub(super) fn of_announced_type(function: ScalarUDF) -> ScalarUDF {
    match function.name().starts_with("to_timestamp") && !function.inner().is::<Instants>() {
        true => ScalarUDF::from(Instants { inner: function }),
        false => function,
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Instants {
    inner: ScalarUDF,
}

impl ScalarUDFImpl for Instants {
    named_as_inner!();

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.inner.return_type(types)
    }

    fn is_strict(&self) -> bool {
        self.inner.inner().is_strict()
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let announced = args.return_type().clone();
        let result = self.inner.invoke_with_args(args)?;
        // Without a zone it is a time in UTC, and that is the zone of every session.
        match result.data_type() == announced {
            true => Ok(result),
            false => result.cast_to(&announced, None),
        }
    }

    fn output_ordering(&self, inputs: &[ExprProperties]) -> Result<SortProperties> {
        self.inner.output_ordering(inputs)
    }
}
