//! `comparable(x)`: floating numbers to compare by, where bits would decide.

use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, ArrowNativeTypeOp, AsArray, FixedSizeListArray, GenericListArray, MapArray,
    OffsetSizeTrait, PrimitiveArray, StructArray,
};
use datafusion::arrow::datatypes::{
    ArrowPrimitiveType, DataType, FieldRef, Float16Type, Float32Type, Float64Type,
};
use datafusion::common::{Result, ScalarValue, exec_err};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};

/// The name of the function.
pub(crate) const COMPARABLE: &str = "comparable";

/// `comparable(x)`: the value with 0.0 for -0.0 and one NaN for all of them, also within lists and structs.
pub(crate) fn comparable() -> Arc<ScalarUDF> {
    Arc::new(ScalarUDF::from(Comparable {
        signature: Signature::any(1, Volatility::Immutable),
    }))
}

/// Whether values of the type are or have floating numbers that the function looks at.
pub(crate) fn has_floats(data_type: &DataType) -> bool {
    match data_type {
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::FixedSizeList(item, _)
        | DataType::Map(item, _) => has_floats(item.data_type()),
        DataType::Struct(fields) => fields.iter().any(|field| has_floats(field.data_type())),
        other => other.is_floating(),
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Comparable {
    signature: Signature,
}

impl ScalarUDFImpl for Comparable {
    fn name(&self) -> &'static str {
        COMPARABLE
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match types {
            [value] => Ok(value.clone()),
            _ => exec_err!("{COMPARABLE} takes a value"),
        }
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        match args.arg_fields {
            [value] => Ok(Arc::new(value.as_ref().clone().with_name(COMPARABLE))),
            _ => exec_err!("{COMPARABLE} takes a value"),
        }
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [value] = args.args.as_slice() else {
            return exec_err!("{COMPARABLE} takes a value");
        };
        match value {
            ColumnarValue::Array(values) => Ok(ColumnarValue::Array(of_one_form(values)?)),
            ColumnarValue::Scalar(value) => {
                let value = of_one_form(&value.to_array_of_size(1)?)?;
                let value = ScalarValue::try_from_array(&value, 0)?;
                Ok(ColumnarValue::Scalar(value))
            }
        }
    }
}

fn of_one_form(values: &ArrayRef) -> Result<ArrayRef> {
    if !has_floats(values.data_type()) {
        return Ok(Arc::clone(values));
    }
    Ok(match values.data_type() {
        DataType::Float16 => {
            numbers::<Float16Type>(values, <Float16Type as ArrowPrimitiveType>::Native::NAN)
        }
        DataType::Float32 => numbers::<Float32Type>(values, f32::NAN),
        DataType::Float64 => numbers::<Float64Type>(values, f64::NAN),
        DataType::List(item) => lists::<i32>(values, item)?,
        DataType::LargeList(item) => lists::<i64>(values, item)?,
        DataType::FixedSizeList(item, length) => {
            let lists = values.as_fixed_size_list();
            let items = of_one_form(lists.values())?;
            let nulls = lists.nulls().cloned();
            Arc::new(FixedSizeListArray::try_new(
                Arc::clone(item),
                *length,
                items,
                nulls,
            )?)
        }
        DataType::Struct(_) => Arc::new(fields(values.as_struct())?),
        DataType::Map(entry, is_sorted) => {
            let maps = values.as_map();
            Arc::new(MapArray::try_new(
                Arc::clone(entry),
                maps.offsets().clone(),
                fields(maps.entries())?,
                maps.nulls().cloned(),
                *is_sorted,
            )?)
        }
        other => return exec_err!("{COMPARABLE} takes no {other}"),
    })
}

fn numbers<T: ArrowPrimitiveType>(values: &ArrayRef, nan: T::Native) -> ArrayRef {
    let values = values.as_primitive::<T>();
    // In the total order, NaNs are below or above all numbers by their signs.
    let lowest = T::Native::ONE.neg_wrapping().div_wrapping(T::Native::ZERO);
    let highest = T::Native::ONE.div_wrapping(T::Native::ZERO);
    let one_form = |number: T::Native| match number.is_lt(lowest) || number.is_gt(highest) {
        true => nan,
        false => number.add_wrapping(T::Native::ZERO),
    };
    let values: PrimitiveArray<T> = values.unary(one_form);
    Arc::new(values)
}

fn lists<O: OffsetSizeTrait>(values: &ArrayRef, item: &FieldRef) -> Result<ArrayRef> {
    let lists = values.as_list::<O>();
    Ok(Arc::new(GenericListArray::<O>::try_new(
        Arc::clone(item),
        lists.offsets().clone(),
        of_one_form(lists.values())?,
        lists.nulls().cloned(),
    )?))
}

fn fields(values: &StructArray) -> Result<StructArray> {
    let columns = values.columns().iter().map(of_one_form);
    Ok(StructArray::try_new(
        values.fields().clone(),
        columns.collect::<Result<_>>()?,
        values.nulls().cloned(),
    )?)
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::{Float32Array, Float64Array, ListArray};
    use datafusion::arrow::datatypes::Int64Type;

    use super::*;

    #[test]
    fn numbers_have_one_form() {
        let values: ArrayRef = Arc::new(Float64Array::from(vec![
            Some(-0.0),
            Some(-f64::NAN),
            None,
            Some(f64::NEG_INFINITY),
            Some(f64::INFINITY),
            Some(-1.5),
        ]));
        let expected: ArrayRef = Arc::new(Float64Array::from(vec![
            Some(0.0),
            Some(f64::NAN),
            None,
            Some(f64::NEG_INFINITY),
            Some(f64::INFINITY),
            Some(-1.5),
        ]));
        assert_eq!(&of_one_form(&values).unwrap(), &expected);
        let floats: ArrayRef = Arc::new(Float32Array::from(vec![-f32::NAN, -0.0]));
        let expected: ArrayRef = Arc::new(Float32Array::from(vec![f32::NAN, 0.0]));
        assert_eq!(&of_one_form(&floats).unwrap(), &expected);
    }

    #[test]
    fn numbers_in_lists_have_one_form() {
        let list = |items: Vec<Option<f64>>| -> ArrayRef {
            let lists = vec![Some(items), None, Some(Vec::new())];
            Arc::new(ListArray::from_iter_primitive::<Float64Type, _, _>(lists))
        };
        let found = of_one_form(&list(vec![Some(-0.0), None, Some(-f64::NAN)])).unwrap();
        assert_eq!(&found, &list(vec![Some(0.0), None, Some(f64::NAN)]));
        assert!(!has_floats(&DataType::new_list(DataType::Int64, true)));
        let integers = ListArray::from_iter_primitive::<Int64Type, _, _>(vec![Some(vec![Some(1)])]);
        let integers: ArrayRef = Arc::new(integers);
        assert!(Arc::ptr_eq(&of_one_form(&integers).unwrap(), &integers));
    }
}
