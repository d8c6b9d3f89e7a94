//! Tables over published results: the files that the pointer of a result lists.
//!
//! A result says itself which columns it has. Columns that a catalog declares as well are a choice among
//! them, in another order or another type.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Fields, Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::datasource::empty::EmptyTable;
use emporia_core::error::{Error, ErrorKind, Result, nearest};
use futures::{FutureExt, StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};

use super::partitions::FolderValues;
use super::text_file::TextFile;
use super::types::{Fit, fit, in_table, simple, simple_field};
use super::version::settled;
use super::{Location, parquet};
use crate::delimited::{DelimitedOptions, DelimitedTable};
use crate::json;
use crate::location::within;
use crate::published::{DataFile, PublishedOutput, storage_error};

/// Files of a result that are looked at at a time.
const LOOKS_AT_ONCE: usize = 16;

/// The columns of an output.
///
/// # Errors
/// `Corrupt` where its pointer names a type that there is not.
pub fn schema(base: &Path, output: &PublishedOutput) -> Result<SchemaRef> {
    let schema = crate::codec::schema_from_names(&output.columns).map_err(|e| {
        Error::new(
            ErrorKind::Corrupt,
            format!("result `{base}` has a bad schema"),
        )
        .with_source(e)
    })?;
    Ok(with_required(&without_views(&schema), &output.required))
}

/// The table over an output of the result at `place`.
///
/// # Errors
/// `InvalidInput` where the declared columns are not those of the result, `Corrupt` where files are not as
/// they were published.
pub(super) async fn open(
    name: &str,
    place: &Location,
    output: &PublishedOutput,
    declared: Option<&Schema>,
    state: &dyn Session,
) -> Result<Arc<dyn TableProvider>> {
    let (store, base) = (&place.store, &place.path);
    let mut schema = schema(base, output)?;
    if let Some(declared) = declared {
        check_declared(name, base, output, &schema, declared)?;
        schema = with_required(declared, &output.required);
    }
    if output.files.is_empty() {
        return Ok(Arc::new(EmptyTable::new(schema)));
    }
    let opened = place.open(state)?;
    let mut files = parts(opened.as_ref(), base, output).await?;
    if place.is_local() {
        files = settled(files).await?;
    }
    let texts = files.iter();
    let texts = texts.map(|file| TextFile::new(file, FolderValues::default()));
    match output.format.as_str() {
        "csv" => Ok(Arc::new(DelimitedTable::new(
            store.clone(),
            texts.collect(),
            DelimitedOptions::of_results(),
            schema,
            Fields::empty(),
        ))),
        "json" => Ok(Arc::new(json::result(store, texts, &schema)?)),
        _ => {
            let definition = parquet::Definition {
                name,
                url: store,
                base,
                declared: Some(schema),
                partitions: &[],
                required: &output.required,
            };
            let table = parquet::open(definition, files, state, &opened).await?;
            Ok(Arc::new(table))
        }
    }
}

/// The files of an output of the result `base`.
///
/// # Errors
/// Where one is not there as it was published.
pub(super) async fn parts(
    store: &dyn ObjectStore,
    base: &Path,
    output: &PublishedOutput,
) -> Result<Vec<ObjectMeta>> {
    let looks = output.files.iter();
    let looks: Vec<_> = looks.map(|file| part(store, base, file).boxed()).collect();
    futures::stream::iter(looks)
        .buffered(LOOKS_AT_ONCE)
        .try_collect()
        .await
}

/// Checks that the result has the declared columns, in types that become the declared ones.
fn check_declared(
    name: &str,
    base: &Path,
    output: &PublishedOutput,
    result: &Schema,
    declared: &Schema,
) -> Result<()> {
    for column in declared.fields() {
        let key = column.name();
        let names = || result.fields().iter().map(|field| field.name().as_str());
        let Ok(found) = result.field_with_name(key) else {
            let names = names().collect::<Vec<_>>();
            let text = format!(
                "table `{name}` declares the column `{key}`, which the result `/{base}` does not have; it \
                 has {}",
                names.join(", ")
            );
            let hint = match nearest(key, names.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "leave out `columns`, and the table has those of the result".to_owned(),
            };
            return Err(Error::invalid(text).with_hint(hint));
        };
        let from = found.data_type();
        let to = &simple(column.data_type());
        let is_fit = match output.format.as_str() {
            "csv" | "json" => is_read_as(from, to),
            _ => fit(from, to).is_some(),
        };
        if !is_fit {
            let text = format!(
                "table `{name}` declares `{key}` as {to}, and the result `/{base}` in {} has it as {from}",
                output.format
            );
            return Err(Error::invalid(text)
                .with_hint("leave out `columns` or declare that type, and cast in the query"));
        }
    }
    Ok(())
}

/// Whether the text of a value of type `from` is that of the same value of type `to`.
fn is_read_as(from: &DataType, to: &DataType) -> bool {
    use DataType::{LargeList, List, Map, Struct};
    let is_float = |t: &DataType| t.is_floating();
    let is_binary = |t: &DataType| matches!(t, DataType::Binary | DataType::LargeBinary);
    let is_utc = |zone: &Option<Arc<str>>| zone.as_deref().is_none_or(|zone| zone == "UTC");
    match (from, to) {
        _ if from == to => true,
        // Times are in UTC. A fraction of a second that does not fit is found when it is read.
        (DataType::Timestamp(_, from), DataType::Timestamp(_, to)) => is_utc(from) && is_utc(to),
        (List(from) | LargeList(from), List(to)) => is_read_as(from.data_type(), to.data_type()),
        (Map(from, _), Map(to, _)) => match (from.data_type(), to.data_type()) {
            (Struct(from), Struct(to)) => {
                let mut pairs = from.iter().zip(to);
                pairs.all(|(from, to)| is_read_as(from.data_type(), to.data_type()))
            }
            _ => false,
        },
        (Struct(from), Struct(to)) => to.iter().all(|to| {
            let found = from.find(to.name());
            found.is_some_and(|(_, from)| is_read_as(from.data_type(), to.data_type()))
        }),
        _ => {
            let is_wider = matches!(fit(from, to), Some(Fit::Same | Fit::Wider));
            is_wider && !is_float(from) && is_binary(from) == is_binary(to)
        }
    }
}

/// The file of a published result, if it is as it was written.
async fn part(store: &dyn ObjectStore, base: &Path, file: &DataFile) -> Result<ObjectMeta> {
    let path = data_path(base, file)?;
    let found = store
        .head(&path)
        .await
        .map_err(|e| storage_error("read", &path, e))?;
    if found.size != file.bytes {
        let text = format!(
            "`/{path}` has {} bytes, and {} were published",
            found.size, file.bytes
        );
        return Err(Error::new(ErrorKind::Corrupt, text)
            .with_hint("another program wrote into the result; make it again"));
    }
    Ok(found)
}

/// The path of a file that a result lists.
fn data_path(base: &Path, file: &DataFile) -> Result<Path> {
    within(base, &file.path).map_err(|e| {
        let text = format!("result `/{base}` lists the file `{}`", file.path);
        Error::new(ErrorKind::Corrupt, text).with_source(e)
    })
}

/// The schema with the plain types in the place of views, which readers of text do not know, and with
/// times in UTC. A query that wrote a result may have had others.
fn without_views(schema: &Schema) -> SchemaRef {
    let fields = schema.fields().iter().map(|field| {
        let data_type = in_table(field.data_type());
        field.as_ref().clone().with_data_type(data_type)
    });
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

/// The schema of what is read, in which the columns named in `required` have no nulls.
fn with_required(schema: &Schema, required: &[String]) -> SchemaRef {
    let fields = schema.fields().iter().map(|field| {
        let is_required = required.contains(field.name());
        let field = simple_field(field).as_ref().clone();
        field.with_nullable(!is_required)
    });
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::datatypes::{Field, TimeUnit};
    use emporia_core::catalog::parse_type;

    use super::*;

    fn check(format: &str, from: &DataType, to: &str) -> Result<()> {
        let output = PublishedOutput {
            format: format.to_owned(),
            columns: Vec::new(),
            required: Vec::new(),
            files: Vec::new(),
        };
        let result = Schema::new(vec![Field::new("total", from.clone(), true)]);
        let declared = Field::new("total", parse_type(to).unwrap(), true);
        let declared = Schema::new(vec![declared]);
        check_declared("t", &Path::from("out"), &output, &result, &declared)
    }

    #[test]
    fn a_result_is_read_in_declared_types_that_have_its_values() {
        use DataType::{
            Binary, Date32, Decimal128, Float32, Float64, Int16, Int64, Timestamp, Utf8,
        };
        let nanos = Timestamp(TimeUnit::Nanosecond, None);
        let millis = Timestamp(TimeUnit::Millisecond, None);
        let list = DataType::new_list(Int16, false);
        // Whether each of parquet and text can be read as the declared type.
        for (from, to, parquet, text) in [
            (Int64, "int64", true, true),
            (Int16, "int32", true, true),
            (Int64, "int32", true, false),
            (Decimal128(18, 2), "decimal(20,4)", true, true),
            (Decimal128(18, 2), "decimal(18,4)", true, false),
            (Float32, "float64", true, false),
            (Float64, "decimal(18,2)", true, false),
            (Utf8, "binary", true, false),
            (Binary, "string", true, false),
            (millis, "timestamp", true, true),
            (nanos, "timestamp", true, true),
            (Date32, "timestamp", true, false),
            (list.clone(), "list(int64)", true, true),
            (list, "list(string)", false, false),
            (Utf8, "int64", false, false),
            (Int64, "string", false, false),
        ] {
            assert_eq!(check("parquet", &from, to).is_ok(), parquet, "{from} {to}");
            assert_eq!(check("csv", &from, to).is_ok(), text, "{from} {to}");
            assert_eq!(check("json", &from, to).is_ok(), text, "{from} {to}");
        }
        let error = check("csv", &Int64, "string").unwrap_err().to_string();
        let expected = "declares `total` as Utf8, and the result `/out` in csv has it as Int64";
        assert!(error.contains(expected), "{error}");
    }
}
