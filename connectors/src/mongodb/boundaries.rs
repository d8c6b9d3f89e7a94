//! Where to cut a collection into splits: asks the server for evenly spaced values of a field.

use std::num::NonZeroU64;

use futures::TryStreamExt;
use mongodb::Collection;
use mongodb::bson::{Bson, Document, doc};
use mongodb::error::Result;

use super::fault;
use super::server::Server;
use super::splits::{self, Split};

/// Documents that are worth a split of their own.
const DOCUMENTS_PER_SPLIT: u64 = 50_000;
/// Most splits that are made unasked.
const MAX_SPLITS: u64 = 128;
/// Sampled values per split: enough that no split has twice its share.
const SAMPLES_PER_SPLIT: u64 = 20;

/// How many splits a collection of `n_documents` is cut into.
pub(super) fn number_of_splits(n_documents: u64, wanted: Option<usize>, server: Server) -> u64 {
    match wanted {
        Some(wanted) => (wanted as u64).clamp(1, n_documents.max(1)),
        None if server.reads_ranges() => (n_documents / DOCUMENTS_PER_SPLIT).clamp(1, MAX_SPLITS),
        // Each range would be a scan of the whole collection.
        None => 1,
    }
}

/// Cuts the collection into about `n_splits` ranges of `field`.
pub(super) async fn cut(
    collection: &Collection<Document>,
    field: &str,
    n_documents: u64,
    n_splits: u64,
) -> Result<Vec<Split>> {
    let Some(n_limits) = NonZeroU64::new(n_splits.saturating_sub(1)) else {
        return Ok(vec![Split::Whole]);
    };
    let limits = match sampled(collection, field, n_splits).await {
        Ok(values) => spaced(&values, n_splits),
        Err(error) if fault::is_unsupported(&error) => {
            skipped(collection, field, n_documents, n_limits).await?
        }
        Err(error) => return Err(error),
    };
    Ok(splits::at(limits))
}

/// Values of a random sample, in the server's order.
async fn sampled(
    collection: &Collection<Document>,
    field: &str,
    n_splits: u64,
) -> Result<Vec<Bson>> {
    let size = i64::try_from(n_splits * SAMPLES_PER_SPLIT).unwrap_or(i64::MAX);
    let pipeline = [
        doc! { "$sample": { "size": size } },
        doc! { "$project": { "_id": 0, "v": format!("${field}") } },
        doc! { "$sort": { "v": 1 } },
    ];
    let found = collection.aggregate(pipeline).await?;
    let found: Vec<Document> = found.try_collect().await?;
    let value = |mut d: Document| d.remove("v").unwrap_or(Bson::Null);
    Ok(found.into_iter().map(value).collect())
}

/// The values at equal distances.
fn spaced(values: &[Bson], n_splits: u64) -> Vec<Bson> {
    let n_values = values.len() as u64;
    (1..n_splits)
        .filter_map(|i| usize::try_from(n_values * i / n_splits).ok())
        .filter_map(|index| values.get(index).cloned())
        .collect()
}

/// The values at equal distances, one request each, for servers that do not sample.
async fn skipped(
    collection: &Collection<Document>,
    field: &str,
    n_documents: u64,
    n_limits: NonZeroU64,
) -> Result<Vec<Bson>> {
    let n_splits = n_limits.get() + 1;
    let mut values = Vec::new();
    for index in 1..n_splits {
        let found = collection
            .find_one(doc! {})
            .sort(doc! { field: 1 })
            .projection(doc! { field: 1 })
            .skip(n_documents * index / n_splits)
            .await?;
        values.extend(found.map(|document| at_path(&document, field)));
    }
    Ok(values)
}

fn at_path(document: &Document, path: &str) -> Bson {
    let (first, rest) = path.split_once('.').unwrap_or((path, ""));
    match (document.get(first), rest) {
        (Some(value), "") => value.clone(),
        (Some(Bson::Document(inner)), rest) => at_path(inner, rest),
        _ => Bson::Null,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_follow_the_size() {
        let n = |n_documents, wanted| number_of_splits(n_documents, wanted, Server::MongoDb);
        assert_eq!(n(0, None), 1);
        assert_eq!(n(99_999, None), 1);
        assert_eq!(n(1_000_000, None), 20);
        assert_eq!(n(1_000_000_000, None), 128);
        assert_eq!(n(10, Some(4)), 4);
        assert_eq!(n(2, Some(4)), 2);
        assert_eq!(number_of_splits(1_000_000, None, Server::FerretDb1), 1);
        assert_eq!(number_of_splits(1_000_000, Some(3), Server::FerretDb1), 3);
    }

    #[test]
    fn limits_are_at_equal_distances() {
        let values: Vec<Bson> = (0..100).map(Bson::Int32).collect();
        assert_eq!(
            spaced(&values, 4),
            [Bson::Int32(25), Bson::Int32(50), Bson::Int32(75)]
        );
        assert_eq!(spaced(&[], 4), Vec::<Bson>::new());
        let document = doc! { "a": { "b": 5 }, "c": 1 };
        assert_eq!(at_path(&document, "a.b"), Bson::Int32(5));
        assert_eq!(at_path(&document, "c.d"), Bson::Null);
    }
}
