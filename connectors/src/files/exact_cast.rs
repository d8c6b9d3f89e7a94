//! Values of a file's column as values of the table's type: the same ones, or an error.
//!
//! A cast of Arrow cuts fractions, rounds decimals and takes the day of a time. Where that could
//! happen, the result is cast back and compared.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, AsArray, Datum, LargeListArray, ListArray, MapArray,
    RecordBatch, StructArray, new_null_array,
};
use datafusion::arrow::buffer::OffsetBuffer;
use datafusion::arrow::compute::kernels::cmp::distinct;
use datafusion::arrow::compute::{CastOptions, cast_with_options};
use datafusion::arrow::datatypes::{
    DataType, FieldRef, Float16Type, Float32Type, Float64Type, Schema, TimeUnit,
};
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::common::nested_struct::cast_column;
use datafusion::common::{Result, exec_datafusion_err, exec_err, internal_err};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::ColumnarValue;
use datafusion::physical_expr::PhysicalExpr;

use super::types::{Fit, fit};

/// A column of a file in the type of the table.
#[derive(Debug, Eq)]
pub(super) struct ExactCast {
    expr: Arc<dyn PhysicalExpr>,
    field: FieldRef,
}

impl ExactCast {
    pub(super) fn new(expr: Arc<dyn PhysicalExpr>, field: FieldRef) -> Self {
        Self { expr, field }
    }
}

impl PartialEq for ExactCast {
    fn eq(&self, other: &Self) -> bool {
        self.expr.eq(&other.expr) && self.field == other.field
    }
}

impl Hash for ExactCast {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.expr.hash(state);
        self.field.hash(state);
    }
}

impl fmt::Display for ExactCast {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EXACT_CAST({} AS {})", self.expr, self.field.data_type())
    }
}

impl PhysicalExpr for ExactCast {
    fn data_type(&self, _: &Schema) -> Result<DataType> {
        Ok(self.field.data_type().clone())
    }

    fn nullable(&self, schema: &Schema) -> Result<bool> {
        self.expr.nullable(schema)
    }

    fn return_field(&self, _: &Schema) -> Result<FieldRef> {
        Ok(Arc::clone(&self.field))
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        let values = self.expr.evaluate(batch)?.into_array(batch.num_rows())?;
        let name = self.field.name();
        exact_cast(name, &values, self.field.data_type()).map(ColumnarValue::Array)
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.expr]
    }

    fn with_new_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn PhysicalExpr>>,
    ) -> Result<Arc<dyn PhysicalExpr>> {
        match (children.pop(), children.is_empty()) {
            (Some(expr), true) => Ok(Arc::new(Self::new(expr, Arc::clone(&self.field)))),
            _ => internal_err!("a cast has exactly one argument"),
        }
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The values as type `to`.
///
/// # Errors
/// Names `column` and the first value that has no place in the type.
pub(super) fn exact_cast(column: &str, values: &ArrayRef, to: &DataType) -> Result<ArrayRef> {
    let from = values.data_type();
    let Some(fit) = fit(from, to) else {
        return exec_err!("column `{column}` is {from} in a file, which is no {to}");
    };
    match fit {
        Fit::Same => return Ok(Arc::clone(values)),
        Fit::Wider => return cast_each(values, to).map_err(|e| misfit(column, from, to, &e)),
        Fit::Checked => {}
    }
    if let Some(nested) = cast_inside(column, values, to)? {
        return Ok(nested);
    }
    let values = comparable(values)?;
    let there = cast_each(&values, to).map_err(|e| misfit(column, from, to, &e))?;
    let back = cast_each(&there, values.data_type()).map_err(|e| misfit(column, from, to, &e))?;
    let differ = distinct(&back.as_ref() as &dyn Datum, &values.as_ref() as &dyn Datum)?;
    let Some(first) = differ.iter().position(|differs| differs == Some(true)) else {
        return Ok(there);
    };
    let options = FormatOptions::default();
    let value = ArrayFormatter::try_new(&values, &options)?
        .value(first)
        .to_string();
    exec_err!("column `{column}` is {to}, and a file has the {from} {value}, which does not fit")
}

/// The values with those inside of them in the types that `to` has for them; `None` for values with none
/// inside.
fn cast_inside(column: &str, values: &ArrayRef, to: &DataType) -> Result<Option<ArrayRef>> {
    Ok(Some(match (values.data_type(), to) {
        (DataType::List(_), DataType::List(item)) => {
            let list = values.as_list::<i32>();
            let items = exact_cast(column, list.values(), item.data_type())?;
            let (offsets, nulls) = (list.offsets().clone(), list.nulls().cloned());
            Arc::new(ListArray::try_new(Arc::clone(item), offsets, items, nulls)?)
        }
        (DataType::List(_), DataType::LargeList(item)) => {
            let list = values.as_list::<i32>();
            let items = exact_cast(column, list.values(), item.data_type())?;
            let offsets = list.offsets().iter().map(|offset| i64::from(*offset));
            let offsets = OffsetBuffer::new(offsets.collect());
            let nulls = list.nulls().cloned();
            Arc::new(LargeListArray::try_new(
                Arc::clone(item),
                offsets,
                items,
                nulls,
            )?)
        }
        (DataType::LargeList(_), DataType::LargeList(item)) => {
            let list = values.as_list::<i64>();
            let items = exact_cast(column, list.values(), item.data_type())?;
            let (offsets, nulls) = (list.offsets().clone(), list.nulls().cloned());
            Arc::new(LargeListArray::try_new(
                Arc::clone(item),
                offsets,
                items,
                nulls,
            )?)
        }
        (DataType::Map(..), DataType::Map(entry, is_sorted)) => {
            let map = values.as_map();
            let entries: ArrayRef = Arc::new(map.entries().clone());
            let entries = exact_cast(column, &entries, entry.data_type())?;
            let (offsets, nulls) = (map.offsets().clone(), map.nulls().cloned());
            Arc::new(MapArray::try_new(
                Arc::clone(entry),
                offsets,
                entries.as_struct().clone(),
                nulls,
                *is_sorted,
            )?)
        }
        (DataType::Struct(_), DataType::Struct(fields)) => {
            let row = values.as_struct();
            let columns = fields.iter().map(|field| {
                let data_type = field.data_type();
                match row.column_by_name(field.name()) {
                    Some(found) => exact_cast(column, found, data_type),
                    None => Ok(new_null_array(data_type, row.len())),
                }
            });
            let columns = columns.collect::<Result<Vec<_>>>()?;
            let (length, nulls) = (row.len(), row.nulls().cloned());
            Arc::new(StructArray::try_new_with_length(
                fields.clone(),
                columns,
                nulls,
                length,
            )?)
        }
        _ => return Ok(None),
    }))
}

fn misfit(
    column: &str,
    from: &DataType,
    to: &DataType,
    error: &DataFusionError,
) -> DataFusionError {
    let reason = error.message();
    exec_datafusion_err!(
        "column `{column}` is {to}, and a file has a value of {from} that does not fit: {reason}"
    )
}

/// The values in a form in which those that are equal look the same.
fn comparable(values: &ArrayRef) -> Result<ArrayRef> {
    Ok(match values.data_type() {
        DataType::Dictionary(_, value) => return comparable(&cast_each(values, value)?),
        // Minus zero becomes zero.
        DataType::Float16 => Arc::new(
            values
                .as_primitive::<Float16Type>()
                .unary::<_, Float16Type>(|v| v + half_zero()),
        ),
        DataType::Float32 => Arc::new(
            values
                .as_primitive::<Float32Type>()
                .unary::<_, Float32Type>(|v| v + 0.0),
        ),
        DataType::Float64 => Arc::new(
            values
                .as_primitive::<Float64Type>()
                .unary::<_, Float64Type>(|v| v + 0.0),
        ),
        _ => Arc::clone(values),
    })
}

fn half_zero() -> <Float16Type as ArrowPrimitiveType>::Native {
    Default::default()
}

/// A cast that fails where Arrow sees that a value does not fit.
fn cast_each(values: &ArrayRef, to: &DataType) -> Result<ArrayRef> {
    let strict = CastOptions {
        safe: false,
        ..CastOptions::default()
    };
    let cast = |values: &ArrayRef, to: &DataType| cast_with_options(values, to, &strict);
    Ok(match (values.data_type(), to) {
        (from, to) if from == to => Arc::clone(values),
        // An instant stays the same one in whatever zone it is shown, and a time without a zone is UTC.
        (DataType::Timestamp(from, _), DataType::Timestamp(unit, _)) => {
            let times = without_zone(values, *from, &cast)?;
            let times = cast(&times, &DataType::Timestamp(*unit, None))?;
            cast(&cast(&times, &DataType::Int64)?, to)?
        }
        (DataType::Timestamp(from, Some(_)), to) => cast(&without_zone(values, *from, &cast)?, to)?,
        (_, DataType::Timestamp(unit, Some(_))) => {
            let times = cast(values, &DataType::Timestamp(*unit, None))?;
            cast(&cast(&times, &DataType::Int64)?, to)?
        }
        (from, to) if from.is_nested() || to.is_nested() => cast_column(values, to, &strict)?,
        (_, to) => cast(values, to)?,
    })
}

fn without_zone(
    values: &ArrayRef,
    unit: TimeUnit,
    cast: &impl Fn(&ArrayRef, &DataType) -> Result<ArrayRef, ArrowError>,
) -> Result<ArrayRef> {
    let times = cast(values, &DataType::Int64)?;
    Ok(cast(&times, &DataType::Timestamp(unit, None))?)
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::{
        BinaryArray, Date32Array, Decimal128Array, Float64Array, Int64Array, StringArray,
        TimestampMicrosecondArray, UInt64Array,
    };
    use datafusion::arrow::datatypes::{Field, Int64Type};

    use super::*;

    fn decimals(values: &[i128], precision: u8, scale: i8) -> ArrayRef {
        let values = Decimal128Array::from(values.to_vec());
        Arc::new(values.with_precision_and_scale(precision, scale).unwrap())
    }

    fn check(values: ArrayRef, to: DataType, expected: Result<&[&str], &str>) {
        let from = values.data_type().clone();
        match (exact_cast("price", &values, &to), expected) {
            (Ok(found), Ok(expected)) => {
                assert_eq!(found.data_type(), &to);
                let options = FormatOptions::default().with_null("NULL");
                let format = ArrayFormatter::try_new(&found, &options).unwrap();
                let found: Vec<_> = (0..found.len())
                    .map(|i| format.value(i).to_string())
                    .collect();
                assert_eq!(found, expected, "{from} to {to}");
            }
            (Err(error), Err(part)) => {
                let text = error.to_string();
                assert!(text.contains("`price`") && text.contains(part), "{text}");
            }
            (found, _) => panic!("{from} to {to}: {found:?}"),
        }
    }

    #[test]
    fn values_stay_the_same_or_fail() {
        let int = |values: Vec<Option<i64>>| Arc::new(Int64Array::from(values)) as ArrayRef;
        let float = |values: Vec<f64>| Arc::new(Float64Array::from(values)) as ArrayRef;
        check(
            int(vec![Some(5), None]),
            DataType::Int32,
            Ok(&["5", "NULL"]),
        );
        check(int(vec![Some(1 << 31)]), DataType::Int32, Err("2147483648"));
        check(
            int(vec![Some(1 << 53)]),
            DataType::Float64,
            Ok(&["9007199254740992.0"]),
        );
        check(
            int(vec![Some((1 << 53) + 1)]),
            DataType::Float64,
            Err("9007199254740993"),
        );
        check(
            Arc::new(UInt64Array::from(vec![u64::MAX])),
            DataType::Int64,
            Err("18446744073709551615"),
        );
        check(float(vec![2.0, -0.0]), DataType::Int64, Ok(&["2", "0"]));
        check(float(vec![2.9]), DataType::Int64, Err("2.9"));
        check(float(vec![f64::NAN]), DataType::Int64, Err("price"));
        check(float(vec![0.1]), DataType::Decimal128(10, 2), Ok(&["0.10"]));
        check(
            float(vec![0.125]),
            DataType::Decimal128(10, 2),
            Err("0.125"),
        );
        check(
            decimals(&[1050], 10, 2),
            DataType::Decimal128(12, 1),
            Ok(&["10.5"]),
        );
        check(
            decimals(&[1055], 10, 2),
            DataType::Decimal128(12, 1),
            Err("10.55"),
        );
        check(decimals(&[1000], 10, 2), DataType::Int32, Ok(&["10"]));
        check(decimals(&[1050], 10, 2), DataType::Int32, Err("10.50"));
        check(
            Arc::new(BinaryArray::from(vec![&[0xff_u8][..]])),
            DataType::Utf8,
            Err("does not fit"),
        );
        check(
            Arc::new(StringArray::from(vec!["1"])),
            DataType::Int64,
            Err("no Int64"),
        );
    }

    #[test]
    fn values_inside_others_stay_the_same_or_fail() {
        let list = |items: Vec<Option<i64>>| {
            let items = vec![Some(items), None, Some(Vec::new())];
            Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>(items)) as ArrayRef
        };
        let floats = DataType::new_list(DataType::Float64, true);
        check(
            list(vec![Some(5), None]),
            floats.clone(),
            Ok(&["[5.0, NULL]", "NULL", "[]"]),
        );
        let odd = list(vec![Some((1 << 53) + 1)]);
        check(Arc::clone(&odd), floats, Err("9007199254740993"));
        let inner = Arc::new(Field::new("xs", odd.data_type().clone(), true));
        let row: ArrayRef = Arc::new(StructArray::from(vec![(inner, list(vec![Some(7)]))]));
        let wanted = vec![
            Field::new("xs", DataType::new_list(DataType::Float64, true), true),
            Field::new("more", DataType::Int32, true),
        ];
        check(
            row,
            DataType::Struct(wanted.into()),
            Ok(&[
                "{xs: [7.0], more: NULL}",
                "{xs: NULL, more: NULL}",
                "{xs: [], more: NULL}",
            ]),
        );
    }

    #[test]
    fn times_keep_their_instant() {
        let day = 86_400_000_000;
        let times = |values: Vec<i64>| TimestampMicrosecondArray::from(values);
        let plain = |values: Vec<i64>| Arc::new(times(values)) as ArrayRef;
        let at = |unit, zone: Option<&str>| DataType::Timestamp(unit, zone.map(Into::into));
        check(plain(vec![day]), DataType::Date32, Ok(&["1970-01-02"]));
        check(plain(vec![day + 1]), DataType::Date32, Err("1970-01-02"));
        let utc = Arc::new(times(vec![day]).with_timezone("UTC"));
        check(
            utc,
            at(TimeUnit::Millisecond, None),
            Ok(&["1970-01-02T00:00:00"]),
        );
        let other = Arc::new(times(vec![day]).with_timezone("+02:00"));
        check(
            other,
            at(TimeUnit::Second, Some("UTC")),
            Ok(&["1970-01-02T00:00:00Z"]),
        );
        check(
            plain(vec![1]),
            at(TimeUnit::Millisecond, None),
            Err("1970-01-01"),
        );
        // Year 9999 is beyond what nanoseconds hold.
        let far = plain(vec![253_370_764_800_000_000]);
        check(far, at(TimeUnit::Nanosecond, None), Err("does not fit"));
        let far = Arc::new(Date32Array::from(vec![2_932_532])) as ArrayRef;
        check(
            far,
            at(TimeUnit::Nanosecond, Some("UTC")),
            Err("does not fit"),
        );
        let days = Arc::new(Date32Array::from(vec![1])) as ArrayRef;
        check(
            days,
            at(TimeUnit::Microsecond, Some("UTC")),
            Ok(&["1970-01-02T00:00:00Z"]),
        );
    }
}
