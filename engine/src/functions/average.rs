//! `avg`, in the place of DataFusion's: the average of decimals is rounded, where DataFusion cuts it, and that of
//! times does not wrap around. DataFusion adds nanoseconds up in 64 bits, which is full after 292 years: the average
//! of 40,000 deliveries of three days each is another time.

use std::fmt::Debug;
use std::hash::Hash;
use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, ArrowNativeTypeOp, ArrowPrimitiveType, BooleanArray, UInt64Array,
};
use datafusion::arrow::compute::kernels::cast::DecimalCast;
use datafusion::arrow::datatypes::{
    ArrowNativeType, DataType, Decimal32Type, Decimal64Type, Decimal128Type, Decimal256Type,
    DecimalType, DurationMicrosecondType, DurationMillisecondType, DurationNanosecondType,
    DurationSecondType, Field, FieldRef, TimeUnit,
};
use datafusion::arrow::error::ArrowError;
use datafusion::common::{Result, ScalarValue, exec_err};
use datafusion::error::DataFusionError;
use datafusion::functions_aggregate::average::Avg;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::{AggregateOrderSensitivity, format_state_name};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, Documentation, EmitTo, GroupsAccumulator,
    ReversedUDAF, Signature,
};

use super::grouped::{GroupedTotals, column, is_kept};
use super::moving::{self, moving_accumulator};
use super::sum::{Counted, DistinctTotal, State, Total, counts_and_totals, first};
use super::totals::{Native, Roomy, Summed, Wide, rounded};

/// `avg(value)`.
pub(crate) fn checked_average() -> AggregateUDF {
    AggregateUDF::from(CheckedAverage::default())
}

#[derive(Debug, Default, PartialEq, Eq, Hash)]
struct CheckedAverage {
    inner: Avg,
}

/// Digits of a decimal up to which the total of ten thousand million of them fits into 128 bits.
const MAX_DIGITS_OF_128_BITS: u8 = 28;

/// Calls `$make::<S>` with the way to average values of the type `$value`, `$other` for the types that DataFusion
/// averages without a fault.
macro_rules! by_type {
    ($value:expr, $make:ident, $other:expr) => {
        match $value {
            DataType::Decimal32(..) => $make!(Roomy<Decimal32Type, Decimal128Type>),
            DataType::Decimal64(..) => $make!(Roomy<Decimal64Type, Decimal128Type>),
            DataType::Decimal128(digits, _) if *digits <= MAX_DIGITS_OF_128_BITS => {
                $make!(Roomy<Decimal128Type, Decimal128Type>)
            }
            DataType::Decimal128(..) => $make!(Roomy<Decimal128Type, Decimal256Type>),
            DataType::Decimal256(..) => $make!(Roomy<Decimal256Type, Decimal256Type>),
            DataType::Duration(TimeUnit::Second) => $make!(Wide<DurationSecondType>),
            DataType::Duration(TimeUnit::Millisecond) => $make!(Wide<DurationMillisecondType>),
            DataType::Duration(TimeUnit::Microsecond) => $make!(Wide<DurationMicrosecondType>),
            DataType::Duration(TimeUnit::Nanosecond) => $make!(Wide<DurationNanosecondType>),
            _ => $other,
        }
    };
}

/// The type of the only argument.
fn value_type(fields: &[FieldRef]) -> Result<&DataType> {
    match fields {
        [field] => Ok(field.data_type()),
        _ => exec_err!("avg takes one column"),
    }
}

impl AggregateUDFImpl for CheckedAverage {
    fn name(&self) -> &str {
        "avg"
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        self.inner.return_type(arguments)
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        let value = value_type(args.expr_fields)?.clone();
        let mean = Mean::new(&value, args.return_type());
        macro_rules! made {
            ($summed:ty) => {
                if args.is_distinct {
                    let total = DistinctTotal::<$summed>::new(value);
                    Ok(Box::new(Average { total, mean }))
                } else {
                    let result = args.return_type().clone();
                    let total = Total::<$summed>::new(result, State::CountAndTotal);
                    Ok(Box::new(Average { total, mean }))
                }
            };
        }
        by_type!(&value, made, self.inner.accumulator(args))
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        let value = value_type(args.input_fields)?;
        macro_rules! total_type {
            ($summed:ty) => {
                <$summed>::total_type(args.return_type())
            };
        }
        let total = by_type!(value, total_type, return self.inner.state_fields(args));
        let field = |name, data_type| {
            let name = format_state_name(args.name, name);
            Arc::new(Field::new(name, data_type, true))
        };
        if args.is_distinct {
            let item = Arc::new(Field::new_list_field(value.clone(), true));
            return Ok(vec![field("values", DataType::List(item))]);
        }
        Ok(vec![field("count", DataType::UInt64), field("sum", total)])
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs) -> bool {
        self.inner.groups_accumulator_supported(args)
    }

    fn create_groups_accumulator(
        &self,
        args: AccumulatorArgs,
    ) -> Result<Box<dyn GroupsAccumulator>> {
        let value = value_type(args.expr_fields)?;
        let mean = Mean::new(value, args.return_type());
        macro_rules! made {
            ($summed:ty) => {
                Ok(Box::new(GroupedAverages::<$summed>::new(mean)))
            };
        }
        by_type!(value, made, self.inner.create_groups_accumulator(args))
    }

    fn create_sliding_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        match args.return_field.data_type() {
            DataType::Float64 if !args.is_distinct => Ok(moving::average()),
            _ => moving_accumulator(self.accumulator(args.clone()), checked_average, &args),
        }
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        ReversedUDAF::Identical
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.inner.documentation()
    }
}

/// Values of which a total can be divided by their number.
trait Averaged: Summed {
    /// The total divided by `n`, with `n_digits` more digits behind the point than it has; `None` where it leaves its
    /// type.
    fn mean(total: Native<Self::Total>, n: u64, n_digits: u32) -> Option<Native<Self::Total>>;
}

impl<T> Averaged for Wide<T>
where
    Self: Summed<Total = Decimal128Type>,
{
    fn mean(total: i128, n: u64, _: u32) -> Option<i128> {
        total.checked_div(i128::from(n))
    }
}

impl<T, W> Averaged for Roomy<T, W>
where
    T: DecimalType + ArrowPrimitiveType<Native: Hash + Eq + DecimalCast> + Debug,
    W: DecimalType + ArrowPrimitiveType<Native: From<Native<T>> + DecimalCast> + Debug,
{
    fn mean(total: Native<W>, n: u64, n_digits: u32) -> Option<Native<W>> {
        let n = Native::<W>::usize_as(usize::try_from(n).ok()?);
        let shift = Native::<W>::usize_as(10).pow_checked(n_digits).ok()?;
        let whole = total.div_checked(n).ok()?.mul_checked(shift).ok()?;
        // Less than the number of values times the shift.
        let rest = total.mod_checked(n).ok()?.mul_checked(shift).ok()?;
        whole.add_checked(rounded(rest, n)?).ok()
    }
}

/// How the average is made of a total.
#[derive(Debug)]
struct Mean {
    result: DataType,
    /// Digits behind the point that the result has and the values do not.
    n_digits: u32,
}

impl Mean {
    fn new(value: &DataType, result: &DataType) -> Self {
        let scale = |data_type: &DataType| match data_type {
            DataType::Decimal32(_, scale)
            | DataType::Decimal64(_, scale)
            | DataType::Decimal128(_, scale)
            | DataType::Decimal256(_, scale) => i32::from(*scale),
            _ => 0,
        };
        Self {
            result: result.clone(),
            n_digits: u32::try_from(scale(result) - scale(value)).unwrap_or(0),
        }
    }

    fn of<S: Averaged>(&self, total: Native<S::Total>, n: u64) -> Result<Native<S::Value>> {
        let mean = S::mean(total, n, self.n_digits);
        let mean = mean.and_then(|mean| S::value_of(mean, &self.result));
        mean.ok_or_else(|| self.overflow())
    }

    fn scalar<S: Averaged>(&self, total: Native<S::Total>, n: u64) -> Result<ScalarValue> {
        let mean = match n {
            0 => None,
            n => Some(self.of::<S>(total, n)?),
        };
        ScalarValue::new_primitive::<S::Value>(mean, &self.result)
    }

    fn overflow(&self) -> DataFusionError {
        let result = &self.result;
        ArrowError::ArithmeticOverflow(format!(
            "the average does not fit into {result}; average DOUBLE or values of fewer digits instead"
        ))
        .into()
    }
}

/// The average of all values, or of those that differ.
#[derive(Debug)]
struct Average<T> {
    total: T,
    mean: Mean,
}

impl<T> Accumulator for Average<T>
where
    T: Counted<Values: Averaged>,
{
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.total.update_batch(values)
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.total.retract_batch(values)
    }

    fn supports_retract_batch(&self) -> bool {
        self.total.supports_retract_batch()
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let (total, n) = self.total.parts()?;
        self.mean.scalar::<T::Values>(total, n as u64)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        self.total.state()
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.total.merge_batch(states)
    }

    fn size(&self) -> usize {
        size_of_val(&self.mean) + self.total.size()
    }
}

/// The averages of groups.
#[derive(Debug)]
struct GroupedAverages<S: Summed> {
    totals: GroupedTotals<S>,
    counts: Vec<u64>,
    mean: Mean,
}

impl<S: Summed> GroupedAverages<S> {
    fn new(mean: Mean) -> Self {
        Self {
            totals: GroupedTotals::new(mean.result.clone()),
            counts: Vec::new(),
            mean,
        }
    }
}

impl<S: Averaged> GroupsAccumulator for GroupedAverages<S> {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        opt_filter: Option<&BooleanArray>,
        total_num_groups: usize,
    ) -> Result<()> {
        self.counts.resize(total_num_groups, 0);
        let column = first::<S::Value>(values)?;
        if column.null_count() == 0 && opt_filter.is_none() {
            for group in group_indices {
                self.counts[*group] += 1;
            }
        } else {
            for (row, group) in group_indices.iter().enumerate() {
                let is_counted = column.is_valid(row) && is_kept(opt_filter, row);
                self.counts[*group] += u64::from(is_counted);
            }
        }
        self.totals
            .update_batch(values, group_indices, opt_filter, total_num_groups)
    }

    fn merge_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        total_num_groups: usize,
    ) -> Result<()> {
        self.counts.resize(total_num_groups, 0);
        let (counts, totals) = counts_and_totals(values)?;
        for (group, count) in group_indices.iter().zip(counts) {
            self.counts[*group] += count.unwrap_or(0);
        }
        let totals = std::slice::from_ref(totals);
        self.totals
            .merge_batch(totals, group_indices, total_num_groups)
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let totals = self.totals.take(emit_to).0.into_iter();
        let counts = emit_to.take_needed(&mut self.counts);
        let means = totals.zip(&counts).map(|(total, n)| match n {
            0 => Ok(Native::<S::Value>::default()),
            n => self.mean.of::<S>(total, *n),
        });
        let means = means.collect::<Result<Vec<_>>>()?;
        let has_values = counts.iter().map(|n| *n > 0).collect();
        Ok(column::<S::Value>(means, has_values, &self.mean.result))
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        let counts = emit_to.take_needed(&mut self.counts);
        let mut state: Vec<ArrayRef> = vec![Arc::new(UInt64Array::from(counts))];
        state.extend(self.totals.state(emit_to)?);
        Ok(state)
    }

    fn convert_to_state(
        &self,
        values: &[ArrayRef],
        opt_filter: Option<&BooleanArray>,
    ) -> Result<Vec<ArrayRef>> {
        let column = first::<S::Value>(values)?;
        let rows = 0..column.len();
        let counts = rows.map(|row| u64::from(column.is_valid(row) && is_kept(opt_filter, row)));
        let counts: ArrayRef = Arc::new(UInt64Array::from_iter_values(counts));
        let mut state = vec![counts];
        state.extend(self.totals.convert_to_state(values, opt_filter)?);
        Ok(state)
    }

    fn size(&self) -> usize {
        self.totals.size() + self.counts.capacity() * size_of::<u64>()
    }
}
