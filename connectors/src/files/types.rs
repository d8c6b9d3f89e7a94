//! Files of one table whose columns have different types.
//!
//! Without declared columns, a column gets the narrowest type that holds the values of all files
//! ([`widen`]). Whether the type of a file fits that of the table, declared or widened, is [`fit`].

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Fields, TimeUnit};

/// Digits that Arrow's decimals have at most.
const MOST_DIGITS: [u8; 2] = [38, 76];

/// The name of the zone that times with a zone have.
const UTC: &str = "UTC";

/// How values of one type become values of another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fit {
    /// They stay as they are.
    Same,
    /// Each value has a place.
    Wider,
    /// A value may have none, so each is looked at.
    Checked,
}

/// How a column of type `from` in a file fits type `to` of the table; `None` where it never does.
pub(super) fn fit(from: &DataType, to: &DataType) -> Option<Fit> {
    use DataType::{
        Date32, Date64, Dictionary, FixedSizeBinary, Float16, Float32, Float64, LargeList, List,
        Map, Null, Struct, Time32, Time64, Timestamp,
    };
    if from == to {
        return Some(Fit::Same);
    }
    if is_text(from) && is_text(to) {
        return Some(Fit::Wider);
    }
    if is_binary(from) && is_binary(to) {
        return Some(Fit::Wider);
    }
    if let (Some((from_digits, from_scale)), Some((digits, scale))) = (digits(from), digits(to)) {
        let is_wider = scale >= from_scale && digits - scale >= from_digits - from_scale;
        return Some(match is_wider && !is_narrow_integer(to) {
            true => Fit::Wider,
            false => match integer_range(from).zip(integer_range(to)) {
                Some(((low, high), (lowest, highest))) if lowest <= low && high <= highest => {
                    Fit::Wider
                }
                _ => Fit::Checked,
            },
        });
    }
    Some(match (from, to) {
        (Null, _) => Fit::Wider,
        (Dictionary(_, value), _) => return fit(value, to).map(converted),
        (_, Dictionary(_, value)) => return fit(from, value).map(converted),
        // Bytes may be no text.
        _ if is_binary(from) && is_text(to) => Fit::Checked,
        _ if is_text(from) && is_binary(to) => Fit::Wider,
        (FixedSizeBinary(_), _) if is_binary(to) => Fit::Wider,
        (Float16, Float32 | Float64) | (Float32, Float64) => Fit::Wider,
        (Float16 | Float32 | Float64, Float16 | Float32 | Float64) => Fit::Checked,
        (Float16 | Float32 | Float64, _) if digits(to).is_some() => Fit::Checked,
        (_, Float32 | Float64) if digits(from).is_some() => Fit::Checked,
        // Times beyond the range of the finer unit fail by themselves.
        (Timestamp(from, _), Timestamp(to, _)) if to >= from => Fit::Wider,
        (Date32 | Date64 | Timestamp(..), Date32 | Date64 | Timestamp(..)) => Fit::Checked,
        (Time32(_) | Time64(_), Time32(_) | Time64(_)) => Fit::Checked,
        (List(from) | LargeList(from), LargeList(to))
        | (List(from), List(to))
        | (Map(from, _), Map(to, _)) => {
            return fit_inside(from, to);
        }
        (Struct(from), Struct(to)) => {
            let mut whole = Fit::Wider;
            for field in to {
                if let Some((_, found)) = from.find(field.name())
                    && fit_inside(found, field)? == Fit::Checked
                {
                    whole = Fit::Checked;
                }
            }
            whole
        }
        _ => return None,
    })
}

/// How values fit that are stored in another way.
fn converted(values: Fit) -> Fit {
    match values {
        Fit::Same => Fit::Wider,
        other => other,
    }
}

/// How values fit that are inside of others.
fn fit_inside(from: &FieldRef, to: &FieldRef) -> Option<Fit> {
    fit(from.data_type(), to.data_type()).map(converted)
}

/// The narrowest type that holds the values of both; `None` if there is no such type.
pub(super) fn widen(a: &DataType, b: &DataType) -> Option<DataType> {
    use DataType::{
        Date32, Dictionary, Float16, Float32, Float64, LargeList, List, Map, Null, Struct, Time32,
        Time64, Timestamp,
    };
    if a == b {
        return Some(a.clone());
    }
    Some(match (a, b) {
        (Null, other) | (other, Null) => other.clone(),
        (Dictionary(_, value), other) | (other, Dictionary(_, value)) => {
            return widen(value, &plain(other));
        }
        _ if is_text(a) && is_text(b) => match is_large(a) || is_large(b) {
            true => DataType::LargeUtf8,
            false => DataType::Utf8,
        },
        _ if is_binary(a) && is_binary(b) => match is_large(a) || is_large(b) {
            true => DataType::LargeBinary,
            false => DataType::Binary,
        },
        _ if a.is_integer() && b.is_integer() => wider_integer(a, b)?,
        _ if digits(a).is_some() && digits(b).is_some() => wider_decimal(a, b)?,
        (Float16, Float32) | (Float32, Float16) => Float32,
        (Float16 | Float32 | Float64, Float16 | Float32 | Float64) => Float64,
        (Float16 | Float32 | Float64, other) | (other, Float16 | Float32 | Float64)
            if digits(other).is_some() =>
        {
            Float64
        }
        (Date32, Timestamp(unit, zone)) | (Timestamp(unit, zone), Date32) => {
            Timestamp(*unit, zone.clone())
        }
        (Timestamp(unit, zone), Timestamp(other, other_zone)) => {
            // A time without a zone is UTC, everywhere in Emporia.
            let zone = match zone == other_zone {
                true => zone.clone(),
                false => Some(UTC.into()),
            };
            Timestamp(finer(*unit, *other), zone)
        }
        (Time32(unit) | Time64(unit), Time32(other) | Time64(other)) => {
            match finer(*unit, *other) {
                unit @ (TimeUnit::Second | TimeUnit::Millisecond) => Time32(unit),
                unit => Time64(unit),
            }
        }
        (List(a), List(b)) => List(wider_item(a, b)?),
        (List(a) | LargeList(a), LargeList(b)) | (LargeList(a), List(b)) => {
            LargeList(wider_item(a, b)?)
        }
        (Map(a, is_sorted), Map(b, _)) => Map(wider_item(a, b)?, *is_sorted),
        (Struct(a), Struct(b)) => Struct(wider_fields(a, b)?),
        _ => return None,
    })
}

/// The type in the place of views and dictionaries.
pub(super) fn plain(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Dictionary(_, value) => plain(value),
        DataType::Utf8View => DataType::Utf8,
        DataType::BinaryView => DataType::Binary,
        other => other.clone(),
    }
}

/// The type in the place of those that the engine does not know well.
pub(super) fn simple(data_type: &DataType) -> DataType {
    use DataType::{
        Decimal32, Decimal64, Decimal128, Dictionary, FixedSizeList, LargeList, LargeListView,
        List, ListView, Map, Struct,
    };
    match data_type {
        Dictionary(_, values) if !is_text(values) => simple(values),
        Decimal32(digits, scale) | Decimal64(digits, scale) => Decimal128(*digits, *scale),
        List(item) | ListView(item) | FixedSizeList(item, _) => List(simple_field(item)),
        LargeList(item) | LargeListView(item) => LargeList(simple_field(item)),
        Map(entries, is_sorted) => Map(simple_field(entries), *is_sorted),
        Struct(fields) => Struct(fields.iter().map(simple_field).collect()),
        other => other.clone(),
    }
}

/// The field with the type that [`simple`] gives.
pub(super) fn simple_field(field: &FieldRef) -> FieldRef {
    let data_type = simple(field.data_type());
    Arc::new(field.as_ref().clone().with_data_type(data_type))
}

/// The type of a column in a table. Times are in UTC instead of other zones: a time with a zone is an instant, in whatever zone a
/// file shows it. Times of day have the unit of those in a text, without which DataFusion does not compare them. The items
/// of lists have one name, without which lists of two files are of two types.
pub(super) fn in_table(data_type: &DataType) -> DataType {
    use DataType::{LargeList, List, Map, Struct, Time32, Time64, Timestamp};
    let inside = |field: &FieldRef| {
        let data_type = in_table(field.data_type());
        Arc::new(field.as_ref().clone().with_data_type(data_type))
    };
    let item = |field: &FieldRef| {
        let field = inside(field).as_ref().clone();
        Arc::new(field.with_name(Field::LIST_FIELD_DEFAULT_NAME))
    };
    match simple(data_type) {
        // Rows with views carry whole buffers when they are exchanged.
        view @ (DataType::Utf8View | DataType::BinaryView) => plain(&view),
        Timestamp(unit, Some(_)) => Timestamp(unit, Some(UTC.into())),
        Time32(_) | Time64(_) => Time64(TimeUnit::Nanosecond),
        List(of) => List(item(&of)),
        LargeList(of) => LargeList(item(&of)),
        Map(entries, is_sorted) => Map(inside(&entries), is_sorted),
        Struct(fields) => Struct(fields.iter().map(inside).collect()),
        other => other,
    }
}

fn wider_item(a: &FieldRef, b: &FieldRef) -> Option<FieldRef> {
    let data_type = widen(a.data_type(), b.data_type())?;
    let is_nullable = a.is_nullable() || b.is_nullable();
    let field = a.as_ref().clone().with_data_type(data_type);
    Some(Arc::new(field.with_nullable(is_nullable)))
}

fn wider_fields(a: &Fields, b: &Fields) -> Option<Fields> {
    let optional = |field: &Field| Arc::new(field.clone().with_nullable(true));
    let mut fields = Vec::with_capacity(a.len());
    for field in a {
        fields.push(match b.find(field.name()) {
            Some((_, other)) => wider_item(field, other)?,
            None => optional(field),
        });
    }
    let only_in_b = b.iter().filter(|field| a.find(field.name()).is_none());
    fields.extend(only_in_b.map(|field| optional(field)));
    Some(fields.into())
}

fn wider_integer(a: &DataType, b: &DataType) -> Option<DataType> {
    use DataType::{Int8, Int16, Int32, Int64, UInt8, UInt16, UInt32, UInt64};
    let (low_a, high_a) = integer_range(a)?;
    let (low_b, high_b) = integer_range(b)?;
    let (low, high) = (low_a.min(low_b), high_a.max(high_b));
    let types = [Int8, UInt8, Int16, UInt16, Int32, UInt32, Int64, UInt64];
    let holds = |data_type: &DataType| {
        integer_range(data_type).is_some_and(|(lowest, highest)| lowest <= low && high <= highest)
    };
    let found = types.into_iter().find(holds);
    Some(found.unwrap_or(DataType::Decimal128(20, 0)))
}

fn wider_decimal(a: &DataType, b: &DataType) -> Option<DataType> {
    let ((digits_a, scale_a), (digits_b, scale_b)) = (digits(a)?, digits(b)?);
    let scale = scale_a.max(scale_b);
    let digits = scale + (digits_a - scale_a).max(digits_b - scale_b);
    let (digits, scale) = (u8::try_from(digits).ok()?, i8::try_from(scale).ok()?);
    let is_wide = |t: &DataType| matches!(t, DataType::Decimal256(..));
    let [most, most_wide] = MOST_DIGITS;
    match digits {
        _ if digits > most_wide => None,
        _ if digits > most || is_wide(a) || is_wide(b) => Some(DataType::Decimal256(digits, scale)),
        _ => Some(DataType::Decimal128(digits, scale)),
    }
}

/// Digits of the whole number and after the point; for integers those that any value may have.
fn digits(data_type: &DataType) -> Option<(i16, i16)> {
    Some(match data_type {
        DataType::Decimal32(digits, scale)
        | DataType::Decimal64(digits, scale)
        | DataType::Decimal128(digits, scale)
        | DataType::Decimal256(digits, scale) => (i16::from(*digits), i16::from(*scale)),
        DataType::Int8 | DataType::UInt8 => (3, 0),
        DataType::Int16 | DataType::UInt16 => (5, 0),
        DataType::Int32 | DataType::UInt32 => (10, 0),
        DataType::Int64 => (19, 0),
        DataType::UInt64 => (20, 0),
        _ => return None,
    })
}

/// Whether the type holds fewer values than its digits say.
fn is_narrow_integer(data_type: &DataType) -> bool {
    data_type.is_integer()
}

fn integer_range(data_type: &DataType) -> Option<(i128, i128)> {
    Some(match data_type {
        DataType::Int8 => (i8::MIN.into(), i8::MAX.into()),
        DataType::Int16 => (i16::MIN.into(), i16::MAX.into()),
        DataType::Int32 => (i32::MIN.into(), i32::MAX.into()),
        DataType::Int64 => (i64::MIN.into(), i64::MAX.into()),
        DataType::UInt8 => (0, u8::MAX.into()),
        DataType::UInt16 => (0, u16::MAX.into()),
        DataType::UInt32 => (0, u32::MAX.into()),
        DataType::UInt64 => (0, u64::MAX.into()),
        _ => return None,
    })
}

fn finer(a: TimeUnit, b: TimeUnit) -> TimeUnit {
    a.max(b)
}

pub(super) fn is_text(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View
    )
}

pub(super) fn is_binary(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView
    )
}

fn is_large(data_type: &DataType) -> bool {
    matches!(data_type, DataType::LargeUtf8 | DataType::LargeBinary)
}

#[cfg(test)]
mod tests {
    use DataType::{
        Boolean, Date32, Decimal128, Decimal256, Float32, Float64, Int16, Int32, Int64, LargeUtf8,
        Null, Timestamp, UInt8, UInt32, UInt64, Utf8, Utf8View,
    };

    use super::*;

    fn time(unit: TimeUnit, zone: Option<&str>) -> DataType {
        Timestamp(unit, zone.map(Into::into))
    }

    #[test]
    fn the_narrowest_type_holds_both() {
        use TimeUnit::{Microsecond, Millisecond, Nanosecond};
        let dictionary = DataType::Dictionary(Box::new(Int32), Box::new(Utf8));
        let cases = [
            (Int32, Int64, Some(Int64)),
            (UInt8, Int16, Some(Int16)),
            (UInt32, Int32, Some(Int64)),
            (UInt64, Int64, Some(Decimal128(20, 0))),
            (Int32, Float64, Some(Float64)),
            (Float32, Float64, Some(Float64)),
            (Decimal128(10, 2), Decimal128(8, 4), Some(Decimal128(12, 4))),
            (
                Decimal128(38, 10),
                Decimal128(38, 0),
                Some(Decimal256(48, 10)),
            ),
            (Int64, Decimal128(10, 2), Some(Decimal128(21, 2))),
            (Decimal128(10, 2), Float64, Some(Float64)),
            (
                Date32,
                time(Millisecond, None),
                Some(time(Millisecond, None)),
            ),
            (
                time(Microsecond, None),
                time(Nanosecond, Some("UTC")),
                Some(time(Nanosecond, Some("UTC"))),
            ),
            (Utf8View, LargeUtf8, Some(LargeUtf8)),
            (dictionary.clone(), Utf8, Some(Utf8)),
            (Null, Boolean, Some(Boolean)),
            (Utf8, Int64, None),
            (Boolean, Int32, None),
            (Utf8, DataType::Binary, None),
        ];
        for (a, b, expected) in cases {
            assert_eq!(widen(&a, &b), expected, "{a} and {b}");
            assert_eq!(widen(&b, &a), expected, "{b} and {a}");
            if let Some(wide) = expected {
                assert!(fit(&a, &wide).is_some(), "{a} in {wide}");
                assert!(fit(&b, &wide).is_some(), "{b} in {wide}");
            }
        }
    }

    #[test]
    fn values_without_a_place_are_looked_for() {
        let cases = [
            (Int32, Int64, Some(Fit::Wider)),
            (Int64, Int32, Some(Fit::Checked)),
            (UInt32, Int32, Some(Fit::Checked)),
            (UInt64, Int64, Some(Fit::Checked)),
            (Int16, Decimal128(5, 0), Some(Fit::Wider)),
            (Int16, Decimal128(5, 1), Some(Fit::Checked)),
            (Decimal128(5, 0), Int32, Some(Fit::Checked)),
            (Decimal128(10, 2), Decimal128(12, 4), Some(Fit::Wider)),
            (Decimal128(10, 2), Decimal128(12, 1), Some(Fit::Checked)),
            (Float64, Int64, Some(Fit::Checked)),
            (Utf8, Int64, None),
            (Int64, Utf8, None),
            (
                DataType::Dictionary(Box::new(Int32), Box::new(Utf8)),
                Utf8,
                Some(Fit::Wider),
            ),
        ];
        for (from, to, expected) in cases {
            assert_eq!(fit(&from, &to), expected, "{from} to {to}");
        }
    }

    #[test]
    fn values_inside_others_are_looked_at_as_well() {
        let list = |item: DataType| DataType::new_list(item, true);
        let row =
            |data_type: DataType| DataType::Struct(vec![Field::new("a", data_type, true)].into());
        for (from, to, expected) in [
            (list(Int32), list(Int64), Some(Fit::Wider)),
            (list(Int64), list(Float64), Some(Fit::Checked)),
            (row(Int64), row(Float64), Some(Fit::Checked)),
            (list(row(Int64)), list(row(Float64)), Some(Fit::Checked)),
            (list(Utf8), list(Int64), None),
        ] {
            assert_eq!(fit(&from, &to), expected, "{from} to {to}");
        }
        assert_eq!(widen(&list(Int64), &list(Float64)), Some(list(Float64)));
    }

    #[test]
    fn types_have_one_form_in_tables() {
        let oslo = time(TimeUnit::Second, Some("Europe/Oslo"));
        let utc = time(TimeUnit::Second, Some("UTC"));
        let list = |item: &DataType| DataType::new_list(item.clone(), true);
        assert_eq!(in_table(&oslo), utc);
        assert_eq!(in_table(&list(&oslo)), list(&utc));
        let no_zone = time(TimeUnit::Second, None);
        assert_eq!(in_table(&no_zone), no_zone);
        let of_day = DataType::Time64(TimeUnit::Nanosecond);
        assert_eq!(in_table(&DataType::Time32(TimeUnit::Millisecond)), of_day);
        let element = Field::new("element", Int64, true);
        let foreign = DataType::List(Arc::new(element));
        assert_eq!(in_table(&foreign), list(&Int64));
    }

    #[test]
    fn structs_are_widened_by_name() {
        let fields = |fields: Vec<Field>| DataType::Struct(fields.into());
        let field = |name: &str, data_type: DataType| Field::new(name, data_type, true);
        let a = fields(vec![field("id", Int32), field("only_a", Utf8)]);
        let b = fields(vec![field("only_b", Boolean), field("id", Int64)]);
        let both = vec![
            field("id", Int64),
            field("only_a", Utf8),
            field("only_b", Boolean),
        ];
        assert_eq!(widen(&a, &b), Some(fields(both)));
    }

    #[test]
    fn types_that_the_engine_knows_stay() {
        let text = DataType::Dictionary(Box::new(Int32), Box::new(Utf8));
        let list = DataType::new_list(DataType::Decimal32(7, 2), true);
        let list_of_wide = DataType::new_list(Decimal128(7, 2), true);
        for (written, read) in [
            (text.clone(), text),
            (list, list_of_wide),
            (DataType::Decimal64(18, 2), Decimal128(18, 2)),
            (Decimal256(50, 2), Decimal256(50, 2)),
        ] {
            assert_eq!(simple(&written), read);
        }
    }
}
