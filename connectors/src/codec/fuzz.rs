//! Messages of any bytes: they are decoded or refused, and what is decoded is encoded as what it was.

use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::catalog::TableProvider;
use datafusion::common::{DFSchema, Result, TableReference};
use datafusion::execution::TaskContext;
use datafusion::logical_expr::{EmptyRelation, Extension, LogicalPlan};
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::{ExecutionPlan, displayable};
use datafusion::prelude::SessionContext;
use datafusion_proto::logical_plan::{DefaultLogicalExtensionCodec, LogicalExtensionCodec};
use datafusion_proto::physical_plan::{
    DefaultPhysicalExtensionCodec, DefaultPhysicalProtoConverter, PhysicalExtensionCodec,
};

use super::{EmporiaLogicalCodec, EmporiaPhysicalCodec, MAGIC};
use crate::{composed, delimited, files, folded, hbase, json, mongodb, series, type_text};

/// Kinds of tables and sources.
const KINDS: [&str; 7] = [
    delimited::SOURCE_KIND,
    files::SOURCE_KIND,
    hbase::SOURCE_KIND,
    json::SOURCE_KIND,
    mongodb::SOURCE_KIND,
    super::EMPTY_KIND,
    series::SOURCE_KIND,
];

thread_local! {
    static CODECS: Codecs = Codecs::new();
}

struct Codecs {
    logical: EmporiaLogicalCodec,
    physical: EmporiaPhysicalCodec,
    context: Arc<TaskContext>,
}

/// Decodes a message. The first byte says what it is for, and whether the rest is the message, or only
/// what stands in it. Tells whether it was decoded.
pub fn fuzz(data: &[u8]) -> bool {
    let Some((first, rest)) = data.split_first() else {
        return false;
    };
    let kind = KINDS.get(usize::from(first / 16) % KINDS.len());
    let kind = kind.copied().unwrap_or_default();
    let recipe = || BASE64_STANDARD.encode(rest);
    CODECS.with(|codecs| match first % 16 {
        0..4 => codecs.table(&message(&format!(
            "{{\"Table\":{{\"kind\":\"{kind}\",\"recipe\":\"{}\"}}}}",
            recipe()
        ))),
        4..8 => codecs.node(&message(&format!(
            "{{\"SplitScan\":{{\"kind\":\"{kind}\",\"recipe\":\"{}\",\"limit\":null}}}}",
            recipe()
        ))),
        8 => codecs.table(&begun(MAGIC, rest)),
        9 => codecs.node(&begun(MAGIC, rest)),
        10 => codecs.logical_node(&begun(MAGIC, rest)),
        11 => codecs.function(&begun(MAGIC, rest)),
        12 => codecs.window(&begun(MAGIC, rest)),
        13 => codecs.function(&begun(composed::MAGIC, rest)),
        14 => match first / 16 % 2 {
            0 => codecs.node(&begun(folded::MAGIC, rest)),
            _ => codecs.logical_node(&begun(folded::MAGIC, rest)),
        },
        _ => data_type(rest),
    })
}

fn begun(magic: &[u8], rest: &[u8]) -> Vec<u8> {
    [magic, rest].concat()
}

fn message(text: &str) -> Vec<u8> {
    begun(MAGIC, text.as_bytes())
}

/// The text of a type.
fn data_type(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    let Ok(data_type) = type_text::read(&text) else {
        return false;
    };
    let again = type_text::read(&type_text::write(&data_type)).map_err(|e| e.to_string());
    assert_eq!(again, Ok(data_type), "{text}");
    true
}

/// What was decoded is encoded, and decoded and encoded once more: the messages are the same.
fn check<T>(
    bytes: &[u8],
    decode: impl Fn(&[u8]) -> Result<T>,
    encode: impl Fn(T) -> Result<Vec<u8>>,
) -> bool {
    let Ok(decoded) = decode(bytes) else {
        return false;
    };
    let first = encode(decoded).map_err(|e| e.to_string());
    let again = first.clone().and_then(|first| {
        let decoded = decode(&first).map_err(|e| e.to_string())?;
        encode(decoded).map_err(|e| e.to_string())
    });
    let shown = |bytes: Vec<u8>| bytes.escape_ascii().to_string();
    assert_eq!(again.map(shown), first.map(shown));
    true
}

impl Codecs {
    fn new() -> Self {
        let functions = || Ok(SessionContext::new().task_ctx());
        Self {
            logical: EmporiaLogicalCodec::new(Arc::new(DefaultLogicalExtensionCodec {}), functions),
            physical: EmporiaPhysicalCodec::new(
                Arc::new(DefaultPhysicalExtensionCodec {}),
                functions,
            ),
            context: SessionContext::new().task_ctx(),
        }
    }

    fn table(&self, bytes: &[u8]) -> bool {
        let name = TableReference::bare("t");
        let decode = |bytes: &[u8]| {
            let schema = Arc::new(Schema::empty());
            let codec = &self.logical;
            codec.try_decode_table_provider(bytes, &name, schema, &self.context)
        };
        let encode = |table: Arc<dyn TableProvider>| {
            let _ = table.schema();
            let mut bytes = Vec::new();
            self.logical
                .try_encode_table_provider(&name, table, &mut bytes)?;
            Ok(bytes)
        };
        check(bytes, decode, encode)
    }

    /// A physical node of no input, one or two.
    fn node(&self, bytes: &[u8]) -> bool {
        let columns = Schema::new(vec![Field::new("a", DataType::Utf8, true)]);
        let input: Arc<dyn ExecutionPlan> = Arc::new(EmptyExec::new(Arc::new(columns)));
        let inputs = [Arc::clone(&input), input];
        let converter = DefaultPhysicalProtoConverter {};
        let mut is_decoded = false;
        for n in 0..=inputs.len() {
            let inputs = inputs.get(..n).unwrap_or_default();
            let codec = &self.physical;
            let decode = |bytes: &[u8]| codec.try_decode(bytes, inputs, &self.context, &converter);
            let encode = |node: Arc<dyn ExecutionPlan>| {
                let _ = displayable(node.as_ref()).one_line().to_string();
                let mut bytes = Vec::new();
                self.physical
                    .try_encode(node, &mut bytes, &converter)
                    .map(|()| bytes)
            };
            is_decoded |= check(bytes, decode, encode);
        }
        is_decoded
    }

    fn logical_node(&self, bytes: &[u8]) -> bool {
        let input = LogicalPlan::EmptyRelation(EmptyRelation {
            produce_one_row: false,
            schema: Arc::new(DFSchema::empty()),
        });
        let inputs = [input];
        let decode = |bytes: &[u8]| self.logical.try_decode(bytes, &inputs, &self.context);
        let encode = |node: Extension| {
            let mut bytes = Vec::new();
            self.logical.try_encode(&node, &mut bytes).map(|()| bytes)
        };
        check(bytes, decode, encode)
    }

    fn function(&self, bytes: &[u8]) -> bool {
        let decode = |bytes: &[u8]| self.physical.try_decode_udf("checked", bytes);
        let encode = |function: Arc<_>| {
            let mut bytes = Vec::new();
            self.physical
                .try_encode_udf(&function, &mut bytes)
                .map(|()| bytes)
        };
        // A short chain is known by its name only.
        match decode(bytes).and_then(encode) {
            Ok(bytes) if bytes.is_empty() => true,
            _ => check(bytes, decode, encode),
        }
    }

    fn window(&self, bytes: &[u8]) -> bool {
        let decode = |bytes: &[u8]| self.physical.try_decode_udwf("lag", bytes);
        let encode = |function: Arc<_>| {
            let mut bytes = Vec::new();
            self.physical
                .try_encode_udwf(&function, &mut bytes)
                .map(|()| bytes)
        };
        check(bytes, decode, encode)
    }
}

#[cfg(test)]
mod tests {
    use super::super::decode_source;

    /// A scan of such a recipe panicked when its columns were asked for.
    #[test]
    fn columns_that_are_not_there_are_refused() {
        let options = r#""options": {"header": true, "delimiter": null, "quote": 34, "escape": null,
            "comment": null, "records": "multiline", "permissive": false, "null": null,
            "empty": "text", "ragged": "error", "blank_line": "null", "encoding": "utf8"}"#;
        let delimited = format!(
            r#"{{"store": "memory:///", {options}, "declared": [["a", "Utf8"]], "folders": [],
                "projection": [0, 1], "estimated_rows": null, "key_filter": null}}"#
        );
        let key = r#""key_filter": {"column": 4, "is_text": true, "set": ""}"#;
        let by_key = delimited.replace("[0, 1]", "[0]");
        let by_key = by_key.replace(r#""key_filter": null"#, key);
        let json = r#"{"store": "memory:///", "projection": [7], "estimated_rows": null,
            "columns": {"keys": "", "folders": "", "is_permissive": true}}"#;
        for (kind, recipe, column) in [
            ("delimited", delimited.as_str(), "column 1"),
            ("delimited", by_key.as_str(), "column 4"),
            ("json", json, "column 7"),
        ] {
            let error = decode_source(kind, recipe.as_bytes())
                .unwrap_err()
                .to_string();
            assert!(
                error.contains(&format!("a scan takes the {column} of")),
                "{error}"
            );
        }
    }

    #[test]
    fn changed_messages_are_decoded_or_refused() {
        let outcome = emporia_fuzz::run("plans", 20_000, super::fuzz);
        assert!(
            outcome.n_read > 100 && outcome.n_refused > 100,
            "{outcome:?}"
        );
    }
}
