//! Files as people have them: records of several lines, cut anywhere; byte order marks, encodings,
//! compressions, comments, ragged lines.

use std::fmt::Write as _;

use datafusion::datasource::file_format::file_compression_type::FileCompressionType;
use futures::StreamExt;

use super::*;
use crate::delimited::DelimitedTable;

/// A table of texts over one file.
struct Texts {
    store: Arc<dyn ObjectStore>,
    context: SessionContext,
    table: DelimitedTable,
    file: TextFile,
    source: DelimitedSource,
}

impl Texts {
    async fn new(
        name: &str,
        bytes: Vec<u8>,
        columns: &[&str],
        options: DelimitedOptions,
    ) -> TestResult<Self> {
        let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        store.put(&Path::from(name), bytes.into()).await?;
        let root = ObjectStoreUrl::parse("memory:///")?;
        let context = SessionContext::new();
        context.register_object_store(root.as_ref(), Arc::clone(&store));
        let fields = columns.iter().map(|n| Field::new(*n, DataType::Utf8, true));
        let declared = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        let file = listed(&store, name).await?;
        let schema = options.table_schema(&declared, &Fields::empty());
        let source = DelimitedSource {
            store: root.clone(),
            options: options.clone(),
            declared: Arc::clone(&declared),
            folders: Fields::empty(),
            projection: (0..schema.fields().len()).collect(),
            estimated_rows: None,
            key_filter: None,
        };
        let table =
            DelimitedTable::new(root, vec![file.clone()], options, declared, Fields::empty());
        Ok(Self {
            store,
            context,
            table,
            file,
            source,
        })
    }

    /// The rows, with the file cut at about `cuts`.
    async fn rows(&self, cuts: &[u64]) -> TestResult<Rows> {
        let mut rows = Vec::new();
        for range in self
            .table
            .ranges(&self.store, &self.file, cuts.to_vec())
            .await?
        {
            let range = serde_json::to_string(&range)?;
            let task = self.context.task_ctx();
            let batches = self.source.open(&range, None, task, &Count::new())?;
            for batch in batches.try_collect::<Vec<_>>().await? {
                rows.extend(shown(&batch)?);
            }
        }
        Ok(rows)
    }
}

fn permissive() -> DelimitedOptions {
    DelimitedOptions {
        permissive: true,
        ..DelimitedOptions::default()
    }
}

/// Rows without the columns of the place.
async fn read(text: &[u8], columns: &[&str], options: DelimitedOptions) -> TestResult<Rows> {
    let n_columns = columns.len();
    let texts = Texts::new("t.csv", text.to_vec(), columns, options).await?;
    let mut rows = texts.rows(&[]).await?;
    for row in &mut rows {
        row.truncate(n_columns);
    }
    Ok(rows)
}

async fn fails(text: &[u8], columns: &[&str], options: DelimitedOptions) -> TestResult<String> {
    let rows = read(text, columns, options).await;
    Ok(rows.err().ok_or("it did not fail")?.to_string())
}

#[tokio::test]
async fn a_file_cut_anywhere_gives_the_rows_of_the_whole() -> TestResult {
    let hostile = "\u{feff}id,\"no\nte\"\r\n1,\"a\nb\"\n\r\n2,\"\"\"\n,\"\"\"\r\n3,5\" x\n\"4\",\"x\"y\n\
                   5,\"\r\n\"\n6\n#\"7,\n\"8,\"\"\n,\"\n9,\"open\n10,c";
    for options in [
        permissive(),
        DelimitedOptions {
            comment: Some(b'#'),
            ..permissive()
        },
        DelimitedOptions {
            escape: Some(b'\\'),
            ..permissive()
        },
        DelimitedOptions {
            records: Records::Lines,
            header: false,
            ..permissive()
        },
    ] {
        let columns = ["id", "no\nte"];
        let texts = Texts::new("t.csv", hostile.into(), &columns, options.clone()).await?;
        let whole = texts.rows(&[]).await?;
        assert!(whole.len() > 6, "{whole:?}");
        for row in &whole {
            let at: usize = row[4].parse()?;
            assert!(hostile[at..].starts_with(&row[2]), "{row:?}");
        }
        let size = hostile.len() as u64;
        for first in 0..=size {
            for second in first..=size {
                let rows = texts.rows(&[first, second]).await?;
                assert_eq!(rows, whole, "cut at {first} and {second}, {options:?}");
            }
        }
    }
    Ok(())
}

#[tokio::test]
async fn line_breaks_inside_quotes_belong_to_the_text() -> TestResult {
    let text = b"id,remark,stars\r\n1,\"good,\r\nand cheap\",5\r\n2,\"9,\n8,7\",4\r\n3,plain,1\r\n";
    let rows = read(text, &["stars", "remark", "id"], permissive()).await?;
    let expected = [
        ["5", "good,\r\nand cheap", "1"],
        ["4", "9,\n8,7", "2"],
        ["1", "plain", "3"],
    ];
    assert_eq!(rows, expected);
    Ok(())
}

#[tokio::test]
async fn a_quote_that_is_not_closed_is_a_fault_with_its_place() -> TestResult {
    let text = b"a,b\n1,x\n2,\"y\n3,z\n";
    let texts = Texts::new("t.csv", text.to_vec(), &["a", "b"], permissive()).await?;
    let rows = texts.rows(&[]).await?;
    assert_eq!(rows.len(), 2);
    assert_eq!(
        rows[1][2..],
        ["2,\"y\n3,z\n", "memory:///t.csv", "8", "quote"]
    );
    let error = fails(text, &["a", "b"], DelimitedOptions::default()).await?;
    assert!(
        error.contains("line 3, byte 8 of `memory:///t.csv`"),
        "{error}"
    );
    Ok(())
}

#[tokio::test]
async fn a_record_without_end_is_refused_at_its_line() -> TestResult {
    let mut text = b"a,b\n1,x\n2,\"y\n".to_vec();
    text.resize(super::super::lines::MAX_RECORD + 100, b' ');
    let error = fails(&text, &["a", "b"], permissive()).await?;
    let words = "line 3, byte 8 of `memory:///t.csv`: it is longer than";
    assert!(
        error.contains(words) && error.contains("multiline"),
        "{error}"
    );
    Ok(())
}

#[tokio::test]
async fn byte_order_marks_and_encodings_are_read() -> TestResult {
    let expected = [["1", "Grüße"]];
    let text = "id,name\n1,Grüße\n";
    let units = |of: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(of).collect::<Vec<u8>>();
    let encoded = |encoding| DelimitedOptions {
        encoding,
        ..DelimitedOptions::default()
    };
    use crate::delimited::Encoding::{Latin1, Utf8, Utf16Be};
    let columns = ["id", "name"];
    for (bytes, encoding) in [
        (format!("\u{feff}{text}").into_bytes(), Utf8),
        (format!("\u{feff}{text}").into_bytes(), Latin1),
        ([vec![0xff, 0xfe], units(u16::to_le_bytes)].concat(), Utf8),
        (units(u16::to_be_bytes), Utf16Be),
        (b"id,name\n1,Gr\xfc\xdfe\n".to_vec(), Latin1),
    ] {
        assert_eq!(read(&bytes, &columns, encoded(encoding)).await?, expected);
    }
    let latin = b"n\xe4me\nx\n";
    let error = fails(latin, &["name"], DelimitedOptions::default()).await?;
    assert!(
        error.contains("is not UTF-8") && error.contains("latin1"),
        "{error}"
    );
    let no_header = DelimitedOptions {
        header: false,
        ..DelimitedOptions::default()
    };
    let rows = read(b"\xef\xbb\xbf\"1\n\",x", &columns, no_header).await?;
    assert_eq!(rows, [["1\n", "x"]]);
    Ok(())
}

#[tokio::test]
async fn compression_is_told_from_the_content() -> TestResult {
    let mut text = "id,name\n".to_owned();
    for n in 0..50_000 {
        writeln!(text, "{n},\"several\nlines {n}\"")?;
    }
    let packed = [
        FileCompressionType::GZIP,
        FileCompressionType::ZSTD,
        FileCompressionType::BZIP2,
        FileCompressionType::XZ,
        FileCompressionType::UNCOMPRESSED,
    ];
    for kind in packed {
        let chunks = futures::stream::iter([Ok(text.clone().into())]).boxed();
        let chunks: Vec<bytes::Bytes> = kind
            .convert_to_compress_stream(chunks)?
            .try_collect()
            .await?;
        for name in ["t.csv", "t.csv.gz"] {
            let bytes = chunks.concat();
            let texts = Texts::new(name, bytes, &["id", "name"], permissive()).await?;
            let rows = texts.rows(&[texts.file.size() / 2]).await?;
            assert_eq!(rows.len(), 50_000, "{kind:?} as {name}");
            let last = rows.last().ok_or("no rows")?;
            assert_eq!(last[1], "several\nlines 49999");
            let at: usize = last[4].parse()?;
            assert!(text[at..].starts_with("49999,"));
        }
        if kind != FileCompressionType::UNCOMPRESSED {
            let mut bytes = chunks.concat();
            bytes.truncate(bytes.len() - 20);
            let error = fails(&bytes, &["id", "name"], permissive()).await?;
            assert!(
                error.contains("/t.csv") && error.contains("cut off"),
                "{kind:?}: {error}"
            );
        }
    }
    Ok(())
}

#[tokio::test]
async fn comments_and_ragged_lines_are_read_as_the_table_says() -> TestResult {
    let text = b"# made by hand, \"unclosed\n\na,b,c\n1,2\n#,,\n3,4,5,6\n\n7,\"8\"\n9\n";
    let columns = ["a", "b", "c"];
    let options = DelimitedOptions {
        comment: Some(b'#'),
        ..permissive()
    };
    let texts = Texts::new("t.csv", text.to_vec(), &columns, options.clone()).await?;
    let faults = |rows: &Rows| rows.iter().map(|row| row[6].clone()).collect::<Vec<_>>();
    assert_eq!(faults(&texts.rows(&[]).await?), ["field_count"; 4]);
    let options = DelimitedOptions {
        ragged: crate::delimited::Ragged::Null,
        ..options
    };
    let texts = Texts::new("t.csv", text.to_vec(), &columns, options).await?;
    let rows = texts.rows(&[]).await?;
    assert_eq!(faults(&rows), ["null", "field_count", "null", "null"]);
    assert_eq!(rows[0][..3], ["1", "2", "null"]);
    assert_eq!(rows[2][..3], ["7", "8", "null"]);
    assert_eq!(rows[3][..3], ["9", "null", "null"]);
    Ok(())
}

#[tokio::test]
async fn files_without_records_have_no_rows() -> TestResult {
    for text in [&b""[..], b"\xef\xbb\xbf", b"\n\n", b"a,b", b"a,b\r\n"] {
        let rows = read(text, &["b"], DelimitedOptions::default()).await?;
        assert!(rows.is_empty(), "{text:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_header_that_does_not_fit_names_the_file() -> TestResult {
    for (text, expected) in [
        (
            "a,c\n1,2\n",
            "file `/t.csv` has no column `b`; its header names a, c",
        ),
        ("a,b, b\n1,2,3\n", "has the column `b` 2 times"),
        (
            "a,\"b\n1,2\n",
            "the header of `/t.csv` has a quote that is not closed",
        ),
    ] {
        let error = fails(text.as_bytes(), &["a", "b"], DelimitedOptions::default()).await?;
        assert!(error.contains(expected), "{error}");
    }
    // Columns that nobody asks for may have any names.
    let rows = read(b"x,a,x,\n1,2,3,4\n", &["a"], DelimitedOptions::default()).await?;
    assert_eq!(rows, [["2"]]);
    Ok(())
}

#[tokio::test]
async fn quotes_tell_the_empty_text_from_null_if_the_table_says_so() -> TestResult {
    let text = b"a,b\n\"\",\n\"-\",-\n";
    let options = |empty| DelimitedOptions {
        null: Some("-".to_owned()),
        empty,
        ..DelimitedOptions::default()
    };
    use crate::delimited::Empty;
    let rows = read(text, &["a", "b"], options(Empty::Null)).await?;
    assert_eq!(rows, [["null", "null"], ["null", "null"]]);
    let rows = read(text, &["a", "b"], options(Empty::Text)).await?;
    assert_eq!(rows, [["", "null"], ["-", "null"]]);
    let single = read(b"a\n\n\"\"\nx\n", &["a"], options(Empty::Text)).await?;
    assert_eq!(single, [["null"], [""], ["x"]]);
    Ok(())
}
