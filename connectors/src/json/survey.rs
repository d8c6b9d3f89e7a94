//! The columns of files that declare none, found by a look at every line.
//!
//! A sample would be faster and miss the key or the wider type that begins behind it. The look takes
//! all processors, as many chunks of memory, and reads each file once.

use std::sync::Arc;

use datafusion::arrow::datatypes::Fields;
use datafusion::common::Result;
use datafusion::common::runtime::SpawnedTask;
use datafusion::error::DataFusionError;
use futures::{StreamExt, TryStreamExt};
use object_store::ObjectStore;

use super::decoder::place;
use super::infer::Keys;
use super::reader::{JsonFile, Range};
use super::syntax::check_line;
use super::table::ranges;

/// What is found in files.
pub(super) struct Survey {
    pub(super) fields: Fields,
    pub(super) n_rows: u64,
}

/// Looks at all lines of the files. Those that are no objects are errors, or left out where reading
/// is permissive; reading reports them then.
///
/// # Errors
/// Those of the store; names the line that is no object; where there are too many different keys.
pub(super) async fn survey(
    store: &Arc<dyn ObjectStore>,
    root: &str,
    files: &[JsonFile],
    is_permissive: bool,
) -> Result<Survey> {
    let n_tasks = std::thread::available_parallelism().map_or(2, usize::from);
    let looks = ranges(files, n_tasks).into_iter().map(|range| {
        let look = look(Arc::clone(store), root.to_owned(), range, is_permissive);
        async move {
            SpawnedTask::spawn(look)
                .await
                .map_err(|e| DataFusionError::External(Box::new(e)))?
        }
    });
    // In the order of the files, so that the columns always come in the same.
    let mut looks = futures::stream::iter(looks).buffered(n_tasks);
    let (mut keys, mut n_rows) = (Keys::default(), 0);
    while let Some((seen, n)) = looks.try_next().await? {
        keys.merge(seen);
        n_rows += n;
        check(&keys)?;
    }
    Ok(Survey {
        fields: keys.fields(),
        n_rows,
    })
}

fn check(keys: &Keys) -> Result<()> {
    match keys.are_too_many() {
        false => Ok(()),
        true => Err(DataFusionError::Execution(
            "the objects have more than 10000 different keys, so some are data; declare the columns, \
             and objects with such keys as map(string, type)"
                .to_owned(),
        )),
    }
}

async fn look(
    store: Arc<dyn ObjectStore>,
    root: String,
    range: Range,
    is_permissive: bool,
) -> Result<(Keys, u64)> {
    let mut blocks = range.file.source(&store)?.blocks(range.start..range.end);
    let (mut keys, mut n_rows, mut n_lines) = (Keys::default(), 0, 0);
    while let Some(block) = blocks.try_next().await? {
        let mut position = block.offset;
        for line in block.text.split_inclusive(|byte| *byte == b'\n') {
            n_lines += 1;
            let here = position;
            position += line.len() as u64;
            if line.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            n_rows += 1;
            // Half a line says nothing about the columns.
            if is_permissive && check_line(line).is_err() {
                continue;
            }
            let Some(problem) = super::decoder::seen(line, &mut keys) else {
                continue;
            };
            if !is_permissive {
                let number = (range.start == 0).then_some(n_lines);
                let place = place(number, here, block.unit);
                return Err(DataFusionError::Execution(format!(
                    "cannot read {place} of `{root}{}`: {problem}",
                    range.file.file.path
                )));
            }
        }
        check(&keys)?;
        tokio::task::yield_now().await;
    }
    Ok((keys, n_rows))
}
