//! `round` and `trunc` of floating numbers, in the place of DataFusion's, which multiplies by a power of ten first:
//! `round(1e308, 2)` is infinite.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, AsArray, Float64Array};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Float64Type, Int64Type};
use datafusion::common::{Result, exec_err};
use datafusion::execution::SessionState;
use datafusion::logical_expr::sort_properties::{ExprProperties, SortProperties};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl};

use super::wrapped::{self, named_as_inner, typed_as_inner};

/// Puts ours in the place of DataFusion's.
pub(super) fn register(state: &mut SessionState) -> Result<()> {
    wrapped::register(state, &["round", "trunc"], |inner| Rounded { inner })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Rounded {
    inner: Arc<ScalarUDF>,
}

impl ScalarUDFImpl for Rounded {
    named_as_inner!();
    typed_as_inner!();

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [number, places] = args.args.as_slice() else {
            return self.inner.invoke_with_args(args);
        };
        if !args.return_type().is_floating() {
            return self.inner.invoke_with_args(args);
        }
        let (number, places, n_rows) = (number.clone(), places.clone(), args.number_rows);
        let result = self.inner.invoke_with_args(args)?;
        let values = result.to_array(n_rows)?;
        if !has_other_than_finite(&values)? {
            return Ok(result);
        }
        let numbers = number.to_array(n_rows)?;
        let places = places.to_array(n_rows)?;
        let mended = mended(self.inner.name(), &numbers, &places, &values)?;
        Ok(ColumnarValue::Array(mended))
    }

    fn output_ordering(&self, inputs: &[ExprProperties]) -> Result<SortProperties> {
        self.inner.output_ordering(inputs)
    }
}

fn has_other_than_finite(values: &ArrayRef) -> Result<bool> {
    let values = cast(values, &DataType::Float64)?;
    let mut values = values.as_primitive::<Float64Type>().iter().flatten();
    Ok(values.any(|value| !value.is_finite()))
}

/// The results with those that are not finite, although the number is, computed without a power of ten.
fn mended(
    name: &str,
    numbers: &ArrayRef,
    places: &ArrayRef,
    values: &ArrayRef,
) -> Result<ArrayRef> {
    let numbers = cast(numbers, &DataType::Float64)?;
    let places = cast(places, &DataType::Int64)?;
    let computed = cast(values, &DataType::Float64)?;
    let rows = numbers
        .as_primitive::<Float64Type>()
        .iter()
        .zip(places.as_primitive::<Int64Type>().iter())
        .zip(computed.as_primitive::<Float64Type>().iter());
    let rows = rows.map(|((number, places), value)| match (number, places, value) {
        (Some(number), Some(places), Some(value)) if number.is_finite() && !value.is_finite() => {
            // A number this large, or one of this many places, has no further ones.
            if places > 0 {
                return Ok(Some(number));
            }
            // The power of ten is 0, so that it is greater than the number.
            if value.is_nan() {
                return Ok(Some(0.0));
            }
            exec_err!("{name}({number}, {places}) does not fit in a floating number")
        }
        (_, _, value) => Ok(value),
    });
    let rows: Float64Array = rows.collect::<Result<_>>()?;
    Ok(cast(&rows, values.data_type())?)
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::Int32Array;

    use super::*;

    #[test]
    fn numbers_stay_finite() -> Result<()> {
        let numbers: ArrayRef = Arc::new(Float64Array::from(vec![
            Some(1e308),
            Some(1.5),
            Some(f64::INFINITY),
            None,
            Some(1.5),
        ]));
        let places: ArrayRef = Arc::new(Int32Array::from(vec![2, -400, 2, 2, 1]));
        let values: ArrayRef = Arc::new(Float64Array::from(vec![
            Some(f64::INFINITY),
            Some(f64::NAN),
            Some(f64::INFINITY),
            None,
            Some(1.5),
        ]));
        let found = mended("round", &numbers, &places, &values)?;
        let found: Vec<Option<f64>> = found.as_primitive::<Float64Type>().iter().collect();
        let infinite = Some(f64::INFINITY);
        assert_eq!(found, [Some(1e308), Some(0.0), infinite, None, Some(1.5)]);
        let places: ArrayRef = Arc::new(Int32Array::from(vec![-308; 5]));
        assert!(mended("round", &numbers, &places, &values).is_err());
        Ok(())
    }
}
