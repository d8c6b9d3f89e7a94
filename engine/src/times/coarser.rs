//! `time_in_s(t)`, `time_in_ms(t)` and `time_in_us(t)`: a time in a coarser unit, the last one that is not later. Arrow's
//! casts yield a later one before 1970.

use std::sync::Arc;

use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::{Result, ScalarValue, exec_err, plan_err};
use datafusion::logical_expr::sort_properties::{ExprProperties, SortProperties};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::units::floored;

/// The function that makes times of `unit` from those of a finer one.
pub(crate) fn coarser(unit: TimeUnit) -> Arc<ScalarUDF> {
    Arc::new(ScalarUDF::from(Coarser {
        unit,
        signature: Signature::any(1, Volatility::Immutable),
    }))
}

/// The functions of all units that are coarser than another one.
pub(super) fn all() -> [Arc<ScalarUDF>; 3] {
    [
        TimeUnit::Second,
        TimeUnit::Millisecond,
        TimeUnit::Microsecond,
    ]
    .map(coarser)
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Coarser {
    unit: TimeUnit,
    signature: Signature,
}

impl ScalarUDFImpl for Coarser {
    fn name(&self) -> &'static str {
        match self.unit {
            TimeUnit::Second => "time_in_s",
            TimeUnit::Millisecond => "time_in_ms",
            TimeUnit::Microsecond => "time_in_us",
            TimeUnit::Nanosecond => "time_in_ns",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match types {
            [DataType::Timestamp(_, zone)] => Ok(DataType::Timestamp(self.unit, zone.clone())),
            _ => plan_err!("{} takes a time", self.name()),
        }
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let in_unit = |times: &ArrayRef| -> Result<ArrayRef> {
            Ok(cast(&floored(times, self.unit)?, args.return_type())?)
        };
        match args.args.as_slice() {
            [ColumnarValue::Scalar(time)] => {
                let time = in_unit(&time.to_array()?)?;
                Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(
                    &time, 0,
                )?))
            }
            [ColumnarValue::Array(times)] => Ok(ColumnarValue::Array(in_unit(times)?)),
            _ => exec_err!("{} takes a time", self.name()),
        }
    }

    fn output_ordering(&self, inputs: &[ExprProperties]) -> Result<SortProperties> {
        let order = inputs.first().map(|input| input.sort_properties);
        Ok(order.unwrap_or(SortProperties::Unordered))
    }
}
