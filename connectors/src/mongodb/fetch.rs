//! Reads one split from the server, and goes on where it stopped when the server fails.
//!
//! The documents come in the order of `_id` where the server has an index for it. When a cursor is lost
//! (the server restarted, the connection broke, or the server forgot the cursor because the consumer took
//! its time), a new one continues after the last `_id` that was handed on: no document is lost, none comes
//! twice. Without an order the fault is the task's, which is tried again from its beginning.

use std::time::Duration;

use futures::StreamExt;
use mongodb::action::Action;
use mongodb::bson::{Document, RawBson, doc};
use mongodb::error::Result;
use mongodb::options::{Collation, FindOptions};
use mongodb::raw_batch_cursor::{RawBatch, RawBatchCursor};
use mongodb::{Client, Collection};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::namespace::Namespace;
use super::predicate::conjunction;
use super::retry::Patience;
use super::splits;

/// Documents per answer of the server, where the limit is not less.
const DOCUMENTS_PER_BATCH: u32 = 4096;
/// A cursor that was left alone for longer is given up: a server forgets it after ten minutes.
const IDLE: Duration = Duration::from_secs(300);
/// Batches that are read ahead, so that the server and the decoder work at the same time.
const AHEAD: usize = 1;

/// What to read.
#[derive(Debug, Clone)]
pub(super) struct Request {
    pub(super) namespace: Namespace,
    pub(super) filter: Option<Document>,
    /// The wanted fields; `_id` comes in any case.
    pub(super) projection: Document,
    pub(super) limit: Option<usize>,
    /// Whether the documents come in the order of `_id`, without which a lost cursor is an error.
    pub(super) is_ordered: bool,
    /// Whether the `_id`s of all selected documents are of one type.
    pub(super) is_of_one_type: bool,
    /// Whether to compare texts byte by byte although the collection has another order.
    pub(super) is_binary: bool,
    pub(super) patience: Duration,
}

/// A running request. Dropping it ends the reading.
#[derive(Debug)]
pub(super) struct Fetch {
    batches: mpsc::Receiver<Result<RawBatch>>,
    _reader: JoinSet<()>,
}

impl Fetch {
    /// Starts reading.
    pub(super) fn start(client: Client, request: Request) -> Self {
        let (sender, batches) = mpsc::channel(AHEAD);
        let mut reader = JoinSet::new();
        reader.spawn(async move {
            let mut read = Reader::new(&client, request);
            if let Err(error) = read.run(&sender).await {
                // Nobody listens any more where this fails.
                let _ = sender.send(Err(error)).await;
            }
        });
        Self {
            batches,
            _reader: reader,
        }
    }

    /// The next batch of documents; `None` at the end.
    pub(super) async fn next(&mut self) -> Option<Result<RawBatch>> {
        self.batches.recv().await
    }
}

struct Reader {
    collection: Collection<Document>,
    request: Request,
    patience: Patience,
    n_read: usize,
    last: Option<RawBson>,
}

impl Reader {
    fn new(client: &Client, request: Request) -> Self {
        let Namespace {
            database,
            collection,
        } = &request.namespace;
        Self {
            collection: client.database(database).collection(collection),
            patience: Patience::new(request.patience),
            request,
            n_read: 0,
            last: None,
        }
    }

    async fn run(&mut self, sender: &mpsc::Sender<Result<RawBatch>>) -> Result<()> {
        while !self.is_done() {
            match self.read(sender).await {
                Ok(IsAtEnd::Yes) => return Ok(()),
                Ok(IsAtEnd::No) => {}
                Err(error) if self.may_continue() => self.patience.wait(error).await?,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Reads with one cursor for as long as it lasts.
    async fn read(&mut self, sender: &mpsc::Sender<Result<RawBatch>>) -> Result<IsAtEnd> {
        let mut cursor = self.open().await?;
        while let Some(batch) = cursor.next().await {
            let batch = batch?;
            self.note(&batch)?;
            self.patience.progressed();
            let waited = Instant::now();
            if sender.send(Ok(batch)).await.is_err() {
                return Ok(IsAtEnd::Yes);
            }
            if self.is_done() {
                return Ok(IsAtEnd::Yes);
            }
            if waited.elapsed() > IDLE && self.may_continue() {
                return Ok(IsAtEnd::No);
            }
        }
        Ok(IsAtEnd::Yes)
    }

    async fn open(&self) -> Result<RawBatchCursor> {
        let remaining = self
            .request
            .limit
            .map(|limit| limit.saturating_sub(self.n_read));
        let remaining = remaining.and_then(|n| u32::try_from(n).ok());
        let filter = [self.request.filter.clone(), self.after()]
            .into_iter()
            .flatten();
        let options = FindOptions::builder()
            .projection(self.request.projection.clone())
            .sort(self.request.is_ordered.then(|| doc! { "_id": 1 }))
            .limit(remaining.map(i64::from))
            .batch_size(remaining.unwrap_or(u32::MAX).min(DOCUMENTS_PER_BATCH))
            .collation(
                self.request
                    .is_binary
                    .then(|| Collation::builder().locale("simple").build()),
            )
            .build();
        self.collection
            .find(conjunction(filter.collect()).unwrap_or_default())
            .with_options(options)
            .batch()
            .await
    }

    /// Remembers how far the reading came.
    fn note(&mut self, batch: &RawBatch) -> Result<()> {
        let mut last = None;
        for document in batch.doc_slices()? {
            self.n_read += 1;
            last = Some(document?);
        }
        if let Some(document) = last.and_then(|value| value.as_document()) {
            self.last = document.get("_id")?.map(Into::into);
        }
        Ok(())
    }

    fn is_done(&self) -> bool {
        self.request.limit.is_some_and(|limit| self.n_read >= limit)
    }

    /// Whether a new cursor can go on where the last one stopped.
    fn may_continue(&self) -> bool {
        self.n_read == 0 || (self.request.is_ordered && self.after().is_some())
    }

    /// Selects what was not read yet.
    fn after(&self) -> Option<Document> {
        let last = self.last.as_ref()?;
        splits::after(last.as_raw_bson_ref(), self.request.is_of_one_type)
    }
}

enum IsAtEnd {
    Yes,
    No,
}

/// Number of documents that `filter` selects, at most `limit`.
pub(super) async fn count(
    client: &Client,
    namespace: &Namespace,
    filter: Option<Document>,
    limit: Option<usize>,
) -> Result<u64> {
    let collection: Collection<Document> = client
        .database(&namespace.database)
        .collection(&namespace.collection);
    let limit = limit.and_then(|limit| u64::try_from(limit).ok());
    collection
        .count_documents(filter.unwrap_or_default())
        .optional(limit, |action, limit| action.limit(limit))
        .await
}

#[cfg(test)]
mod tests {
    use emporia_core::config::{Secret, StoreSettings};
    use mongodb::bson::Bson;
    use mongodb::bson::oid::ObjectId;

    use super::super::fake::{Fake, Fault};
    use super::*;

    /// Ten documents, or the same with ids of many types.
    fn documents(are_mixed: bool) -> Vec<Document> {
        let id = |i: i32| match i % 4 {
            _ if !are_mixed => Bson::from(format!("k{i}")),
            0 => Bson::Int32(i),
            1 => Bson::from(format!("k{i}")),
            2 => Bson::ObjectId(ObjectId::from_bytes([u8::try_from(i).unwrap(); 12])),
            _ => Bson::Double(f64::from(i) + 0.5),
        };
        (0..10)
            .rev()
            .map(|i| doc! { "_id": id(i), "i": i })
            .collect()
    }

    /// Reads everything; the `i` of all documents, or the error.
    async fn read(fake: &Fake, change: impl Fn(&mut Request)) -> Result<Vec<i32>> {
        let settings = StoreSettings {
            mongodb_uri: Some(Secret::new(&*fake.uri)),
            ..StoreSettings::default()
        };
        let client = super::super::connect(&settings).await.unwrap();
        let mut request = Request {
            namespace: Namespace::parse("mongodb:shop.things").unwrap(),
            filter: None,
            projection: doc! { "_id": 1, "i": 1 },
            limit: None,
            is_ordered: true,
            is_of_one_type: false,
            is_binary: false,
            patience: Duration::from_secs(20),
        };
        change(&mut request);
        let mut fetch = Fetch::start(client, request);
        let mut found = Vec::new();
        while let Some(batch) = fetch.next().await {
            for value in batch?.doc_slices()? {
                found.push(value?.as_document().unwrap().get_i32("i").unwrap());
            }
        }
        found.sort_unstable();
        Ok(found)
    }

    /// Every fault at every one of the first requests.
    fn faults() -> Vec<Vec<Fault>> {
        let kinds = [
            Fault::BreakBefore,
            Fault::BreakAfter,
            Fault::Code(43),
            Fault::Code(11600),
        ];
        let at = |kind, n| [vec![Fault::None; n], vec![kind]].concat();
        let single = kinds.iter().flat_map(|kind| (0..4).map(|n| at(*kind, n)));
        let many = kinds.iter().map(|kind| at(*kind, 1).repeat(3));
        single.chain(many).collect()
    }

    #[tokio::test]
    async fn a_fault_loses_and_doubles_nothing() {
        let check = |faults: Vec<Fault>, are_mixed: bool| async move {
            let fake = Fake::start(documents(are_mixed), &faults).await;
            let found = read(&fake, |r| r.is_of_one_type = !are_mixed)
                .await
                .unwrap();
            assert_eq!(found, (0..10).collect::<Vec<_>>(), "{faults:?} {are_mixed}");
            assert_eq!(fake.n_faults_left(), 0, "{faults:?}");
        };
        let cases = faults().into_iter();
        let cases = cases.flat_map(|f| [check(f.clone(), false), check(f, true)]);
        futures::future::join_all(cases).await;
    }

    #[tokio::test]
    async fn a_limit_and_a_filter_hold_after_a_fault_too() {
        let faults = [Fault::None, Fault::Code(43), Fault::None, Fault::BreakAfter];
        let fake = Fake::start(documents(false), &faults).await;
        let change = |r: &mut Request| {
            r.limit = Some(7);
            r.filter = Some(doc! { "i": { "$gte": 1 } });
        };
        assert_eq!(
            read(&fake, change).await.unwrap(),
            (1..8).collect::<Vec<_>>()
        );
        let filters = fake.filters();
        assert_eq!(filters[0], doc! { "i": { "$gte": 1 } });
        assert!(
            filters[1]
                .to_string()
                .contains(r#"{ "_id": { "$gt": "k3" } }"#),
            "{filters:?}"
        );
    }

    #[tokio::test]
    async fn without_an_order_only_the_first_request_is_tried_again() {
        let unordered = |r: &mut Request| r.is_ordered = false;
        let fake = Fake::start(documents(false), &[Fault::Code(11600)]).await;
        assert_eq!(read(&fake, unordered).await.unwrap().len(), 10);
        let fake = Fake::start(documents(false), &[Fault::None, Fault::Code(43)]).await;
        let error = read(&fake, unordered).await.unwrap_err();
        assert_eq!(super::super::fault::code_of(&error), Some(43));
    }

    #[tokio::test]
    async fn permanent_faults_end_the_reading() {
        let fake = Fake::start(documents(false), &[Fault::None, Fault::Code(13)]).await;
        let error = read(&fake, |_| {}).await.unwrap_err();
        assert_eq!(super::super::fault::code_of(&error), Some(13));
    }

    #[tokio::test]
    async fn a_server_of_another_version_is_not_waited_for() {
        let fake = Fake::start(documents(false), &[]).await;
        fake.speak(8);
        let error = read(&fake, |_| {}).await.unwrap_err();
        assert!(!super::super::fault::is_transient(&error), "{error}");
        let attempt = super::super::fault::Attempt::to("read", &StoreSettings::default());
        let kind = attempt.failed(error).kind();
        assert_eq!(kind, emporia_core::error::ErrorKind::Unsupported);
    }
}
