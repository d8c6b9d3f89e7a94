//! `array_length(list)` that looks at the offsets of a list column.
//!
//! DataFusion's makes an array of every row to ask for its length, which takes half the time of a funnel
//! over sessions. Lists in other layouts, and other dimensions, are left to it.

use std::sync::Arc;

use datafusion::arrow::array::{Array, AsArray, UInt64Array};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::functions_nested::length::array_length_udf;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
};

/// The function that takes the place of DataFusion's.
pub(super) fn array_length() -> ScalarUDF {
    ScalarUDF::from(ArrayLength {
        general: array_length_udf(),
    })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct ArrayLength {
    general: Arc<ScalarUDF>,
}

impl ScalarUDFImpl for ArrayLength {
    fn name(&self) -> &str {
        self.general.name()
    }

    fn aliases(&self) -> &[String] {
        self.general.aliases()
    }

    fn signature(&self) -> &Signature {
        self.general.signature()
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.general.return_type(types)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [ColumnarValue::Array(lists)] = &args.args[..] else {
            return self.general.invoke_with_args(args);
        };
        let Some(lists) = lists.as_list_opt::<i32>() else {
            return self.general.invoke_with_args(args);
        };
        let lengths = lists.offsets().lengths().map(|length| length as u64);
        let lengths = UInt64Array::new(lengths.collect(), lists.nulls().cloned());
        Ok(ColumnarValue::Array(Arc::new(lengths)))
    }
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::{ArrayRef, ListArray};
    use datafusion::arrow::datatypes::{Field, Int32Type};
    use datafusion::config::ConfigOptions;

    use super::*;

    fn lengths(function: &ScalarUDF, lists: ListArray) -> Result<ArrayRef> {
        let number_rows = lists.len();
        let field = Field::new("lists", lists.data_type().clone(), true);
        let value = function.invoke_with_args(ScalarFunctionArgs {
            args: vec![ColumnarValue::Array(Arc::new(lists))],
            arg_fields: vec![Arc::new(field)],
            number_rows,
            return_field: Arc::new(Field::new("length", DataType::UInt64, true)),
            config_options: Arc::new(ConfigOptions::default()),
        })?;
        value.to_array(number_rows)
    }

    #[test]
    fn lengths_are_those_of_the_general_function() -> Result<()> {
        let rows = [
            Some(vec![Some(1), None]),
            None,
            Some(vec![]),
            Some(vec![Some(3)]),
            None,
        ];
        let lists = ListArray::from_iter_primitive::<Int32Type, _, _>(rows);
        for lists in [lists.clone(), lists.slice(1, 3), lists.slice(2, 0)] {
            let expected = lengths(&array_length_udf(), lists.clone())?;
            assert_eq!(&lengths(&array_length(), lists)?, &expected);
        }
        Ok(())
    }
}
