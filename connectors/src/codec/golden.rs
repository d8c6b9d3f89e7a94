//! Messages of this version, as they are stored in `testdata/`: they are read, and written as they are there.
//!
//! Where a test fails because a form was changed on purpose, raise the version of its first bytes and store the new form
//! under the new number, so that processes of two versions refuse each other's messages by name.

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::{Expr, LogicalPlanBuilder, col, lit};
use datafusion::prelude::SessionContext;

use super::*;
use crate::composed::compose;
use crate::write::{FileFormat, FileSink, SinkSpec, WriteBranch};

/// One of each message: those of another version of Emporia would be read otherwise.
fn messages() -> Vec<Message> {
    let bytes = || vec![1, 2, 255];
    let name = || "t".to_owned();
    vec![
        Message::Table {
            kind: name(),
            recipe: bytes(),
        },
        Message::StagedWrite(StagedWrite {
            run_id: "r".to_owned(),
            route: Some("to".to_owned()),
            tally: vec!["n".to_owned()],
            branches: vec![WriteBranch {
                output: "rows".to_owned(),
                columns: vec![("a".to_owned(), "b".to_owned())],
                sink: SinkSpec::Files(FileSink {
                    store: "file:///".to_owned(),
                    base: "out".to_owned(),
                    format: FileFormat::Parquet,
                }),
            }],
        }),
        Message::SplitScan {
            kind: name(),
            recipe: bytes(),
            limit: Some(3),
        },
        Message::Estimated(Estimate { rows: 1, bytes: 2 }),
        Message::Marked(Mark::Whole),
        Message::Offset { skip: 2 },
        Message::Sealed { plan: bytes() },
        Message::Recursive {
            name: name(),
            is_distinct: true,
            columns: bytes(),
        },
        Message::Rounds,
        Message::Window {
            nulls: Nulls::Ignore,
        },
        Message::WorkTable {
            name: name(),
            columns: bytes(),
        },
        Message::PinnedScan {
            tags: [("a/b.parquet".to_owned(), "v1".to_owned())].into(),
        },
        Message::InKeySet { set: bytes() },
        Message::Checked {
            operations: vec![Operation::Add, Operation::Negate],
        },
    ]
}

#[test]
fn messages_stay_what_they_are() {
    let stored = include_str!("../testdata/messages-2.txt");
    let mut lines = stored.lines();
    for message in messages() {
        let mut written = Vec::new();
        message.write(&mut written).unwrap();
        let line = lines.next().unwrap_or_default();
        let text = body(&written, MAGIC).unwrap().unwrap();
        assert_eq!(
            String::from_utf8_lossy(text),
            line,
            "raise the version of MAGIC"
        );
        let read = Message::read(&written).unwrap().unwrap();
        assert_eq!(format!("{read:?}"), format!("{message:?}"));
    }
    assert_eq!(lines.next(), None);
    assert_eq!(MAGIC.last(), Some(&2), "the golden file is of version 2");
}

fn logical() -> EmporiaLogicalCodec {
    let inner = Arc::new(DefaultLogicalExtensionCodec {});
    EmporiaLogicalCodec::new(inner, || Ok(SessionContext::new().task_ctx()))
}

/// What stands in the message of a table.
fn recipe_of(table: Arc<dyn TableProvider>) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let name = TableReference::bare("t");
    logical().try_encode_table_provider(&name, table, &mut bytes)?;
    match Message::read(&bytes)? {
        Some(Message::Table { recipe, .. }) => Ok(recipe),
        other => internal_err!("{other:?}"),
    }
}

#[test]
fn recipes_stay_what_they_are() -> Result<()> {
    let stored = include_str!("../testdata/recipes-2.txt");
    let mut found = Vec::new();
    for line in stored.lines() {
        let mut words = line.splitn(3, ' ');
        let (Some(what), Some(kind), Some(recipe)) = (words.next(), words.next(), words.next())
        else {
            panic!("{line}");
        };
        let written = match what {
            "table" => recipe_of(decode_table(kind, recipe.as_bytes())?)?,
            "source" => decode_source(kind, recipe.as_bytes())?.encode()?,
            "sink" => {
                let sink: SinkSpec = serde_json::from_str(recipe).map_err(external)?;
                serde_json::to_vec(&sink).map_err(external)?
            }
            _ => panic!("{line}"),
        };
        assert_eq!(String::from_utf8_lossy(&written), recipe, "{what} {kind}");
        found.push((what, kind));
    }
    found.dedup();
    let kinds = |what: &str| found.iter().filter(|(w, _)| *w == what).count();
    assert_eq!((kinds("table"), kinds("source"), kinds("sink")), (7, 5, 3));
    assert_eq!(MAGIC.last(), Some(&2), "the golden file is of version 2");
    Ok(())
}

fn external(error: serde_json::Error) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}

/// The message of a part of a plan that is folded, and that of a deep expression.
#[test]
fn folded_plans_and_expressions_stay_what_they_are() -> Result<()> {
    let stored = include_str!("../testdata/folded-1.txt");
    let lines: Vec<&str> = stored.lines().collect();
    let codec = logical();
    let context = SessionContext::new().task_ctx();

    let plan = LogicalPlanBuilder::empty(true)
        .project([lit(1_i64).alias("a")])?
        .build()?;
    let node = Extension {
        node: Arc::new(FoldedPlan::new(plan.clone())),
    };
    let mut written = Vec::new();
    codec.try_encode(&node, &mut written)?;
    let first = written.escape_ascii().to_string();
    let read = codec.try_decode(&written, &[], &context)?;
    let read = read.node.as_any().downcast_ref::<FoldedPlan>();
    assert_eq!(read.map(FoldedPlan::plan), Some(&plan));

    let mut deep = col("column1");
    for _ in 0..40 {
        deep = deep.is_null();
    }
    let plan = LogicalPlanBuilder::values(vec![vec![lit(1_i64)]])?
        .project([deep.alias("b")])?
        .build()?;
    let mut functions = Vec::new();
    compose(plan)?.apply_expressions(|expr| {
        expr.apply(|part| {
            if let Expr::ScalarFunction(call) = part {
                functions.push(Arc::clone(&call.func));
            }
            Ok(TreeNodeRecursion::Continue)
        })
    })?;
    let Some(function) = functions.last() else {
        return internal_err!("nothing was composed");
    };
    let mut written = Vec::new();
    codec.try_encode_udf(function, &mut written)?;
    assert_eq!(lines, [first, written.escape_ascii().to_string()]);
    assert_eq!(
        codec.try_decode_udf("composed", &written)?.as_ref(),
        function.as_ref()
    );
    for magic in [folded::MAGIC, composed::MAGIC] {
        assert_eq!(magic.last(), Some(&1), "the golden file is of version 1");
    }
    Ok(())
}
