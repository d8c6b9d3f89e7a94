//! `ceil` and `floor` of decimals, in the place of DataFusion's, whose result has no more digits than the argument:
//! `ceil(9.9)` is an overflow.

use std::sync::Arc;

use datafusion::arrow::datatypes::{
    DECIMAL32_MAX_PRECISION, DECIMAL64_MAX_PRECISION, DECIMAL128_MAX_PRECISION,
    DECIMAL256_MAX_PRECISION, DataType, Field,
};
use datafusion::common::Result;
use datafusion::execution::SessionState;
use datafusion::logical_expr::interval_arithmetic::Interval;
use datafusion::logical_expr::preimage::PreimageResult;
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::sort_properties::{ExprProperties, SortProperties};
use datafusion::logical_expr::{ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl};

use super::wrapped::{self, named_as_inner};

/// Puts ours in the place of DataFusion's.
pub(super) fn register(state: &mut SessionState) -> Result<()> {
    wrapped::register(state, &["ceil", "floor"], |inner| Whole { inner })
}

/// The type of the result for a decimal: one digit more where the type has one to give.
fn with_room(data_type: &DataType) -> DataType {
    let more = |precision: u8, scale: i8, most: u8| match scale {
        ..=0 => precision,
        _ => most.min(precision + 1),
    };
    match *data_type {
        DataType::Decimal32(p, s) => DataType::Decimal32(more(p, s, DECIMAL32_MAX_PRECISION), s),
        DataType::Decimal64(p, s) => DataType::Decimal64(more(p, s, DECIMAL64_MAX_PRECISION), s),
        DataType::Decimal128(p, s) => DataType::Decimal128(more(p, s, DECIMAL128_MAX_PRECISION), s),
        DataType::Decimal256(p, s) => DataType::Decimal256(more(p, s, DECIMAL256_MAX_PRECISION), s),
        ref other => other.clone(),
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Whole {
    inner: Arc<ScalarUDF>,
}

impl ScalarUDFImpl for Whole {
    named_as_inner!();

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        Ok(with_room(&self.inner.return_type(types)?))
    }

    fn is_strict(&self) -> bool {
        self.inner.inner().is_strict()
    }

    fn invoke_with_args(&self, mut args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        if args.return_type().is_decimal() {
            let wider = args.return_type().clone();
            for (value, field) in args.args.iter_mut().zip(&mut args.arg_fields) {
                *value = value.cast_to(&wider, None)?;
                *field = Arc::new(Field::new(field.name(), wider.clone(), field.is_nullable()));
            }
        }
        self.inner.invoke_with_args(args)
    }

    fn preimage(
        &self,
        args: &[Expr],
        literal: &Expr,
        info: &SimplifyContext,
    ) -> Result<PreimageResult> {
        match literal {
            // The bounds would be of another type than the argument.
            Expr::Literal(value, _) if value.data_type().is_decimal() => Ok(PreimageResult::None),
            _ => self.inner.preimage(args, literal, info),
        }
    }

    fn output_ordering(&self, inputs: &[ExprProperties]) -> Result<SortProperties> {
        self.inner.output_ordering(inputs)
    }

    fn evaluate_bounds(&self, inputs: &[&Interval]) -> Result<Interval> {
        match inputs {
            [number] if number.data_type().is_decimal() => {
                Interval::make_unbounded(&with_room(&number.data_type()))
            }
            _ => self.inner.evaluate_bounds(inputs),
        }
    }
}
