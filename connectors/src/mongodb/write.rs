//! Writes rows of one task into a collection.
//!
//! A row replaces the document with its key, or becomes a new one. That is idempotent: a task that
//! is run again, or a request whose answer was lost, leaves the same documents. The server's
//! `update` command is used because the driver's bulk write needs MongoDB 8.

use std::collections::HashSet;
use std::io;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::Schema;
use datafusion::common::Result;
use datafusion::error::DataFusionError;
use emporia_core::error::{Error, ErrorKind};
use mongodb::Database;
use mongodb::bson::raw::cstr;
use mongodb::bson::{Document, RawArrayBuf, RawDocumentBuf, rawdoc, serialize_to_raw_document_buf};
use mongodb::options::{Acknowledgment, WriteConcern};

use super::encode::{Encoded, Encoder};
use super::fault::{self, Attempt, DUPLICATE_KEY};
use super::retry::{Patience, patiently};
use super::server::Server;
use super::target::CollectionTarget;
use crate::error::to_datafusion;
use crate::stores::Stores;

/// Most documents of one request.
const MAX_DOCUMENTS: usize = 1000;
/// Most bytes of the documents of one request; a request may be as large as a document, 16 MiB.
const MAX_BYTES: usize = 12 * 1024 * 1024;

/// Writes rows into a collection.
#[derive(Debug)]
pub struct CollectionWriter {
    database: Database,
    target: CollectionTarget,
    encoder: Encoder,
    attempt: Attempt,
    patience: std::time::Duration,
    write_concern: Option<RawDocumentBuf>,
    pending: Vec<Encoded>,
    n_pending_bytes: usize,
    n_written: u64,
    n_written_bytes: u64,
}

/// What a writer has written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Written {
    /// Rows, each a document.
    pub rows: u64,
    /// Size of the documents in BSON.
    pub bytes: u64,
}

/// What the server made of a request.
enum Answer {
    Written,
    /// It may be right the next time.
    Again(String),
    Failed(Error),
}

impl CollectionWriter {
    /// A writer of rows with this schema.
    ///
    /// # Errors
    /// Where the rows do not fit the target; `IoError` where the server does not answer.
    pub async fn open(stores: &Stores, target: &CollectionTarget, schema: &Schema) -> Result<Self> {
        let encoder = Encoder::new(target, schema).map_err(to_datafusion)?;
        let what = format!("write `{}`", target.namespace);
        let attempt = Attempt::to(what, stores.settings());
        let client = stores.mongodb().await.map_err(to_datafusion)?;
        let database = client.database(target.database());
        let patience = stores.settings().patience;
        if encoder.has_decimals() {
            let server = patiently(patience, || Server::of(&database)).await;
            if !server
                .map_err(|e| attempt.failed_in_plan(e))?
                .has_decimals()
            {
                return Err(to_datafusion(no_decimals(target)));
            }
        }
        let write_concern = client.write_concern().and_then(acknowledged);
        Ok(Self {
            database,
            target: target.clone(),
            encoder,
            attempt,
            patience,
            write_concern,
            pending: Vec::new(),
            n_pending_bytes: 0,
            n_written: 0,
            n_written_bytes: 0,
        })
    }

    /// Writes the rows of `batch`; returns how many rows the server has acknowledged by this call,
    /// which may be others, because rows are collected.
    ///
    /// # Errors
    /// Where a row has no document, or two have the same key; `IoError` where the server did not
    /// answer for as long as `stores.patience`.
    pub async fn write(&mut self, batch: &RecordBatch) -> Result<u64> {
        let n_before = self.n_written;
        let encoded = self.encoder.encode(batch).map_err(to_datafusion)?;
        self.check_keys(&encoded)?;
        for document in encoded {
            let n_bytes = document.query.as_bytes().len() + document.document.as_bytes().len();
            let is_full =
                self.pending.len() >= MAX_DOCUMENTS || self.n_pending_bytes + n_bytes > MAX_BYTES;
            if is_full {
                self.flush().await?;
            }
            self.n_pending_bytes += n_bytes;
            self.pending.push(document);
        }
        Ok(self.n_written - n_before)
    }

    /// Writes what is left; what was written in all.
    ///
    /// # Errors
    /// As of [`CollectionWriter::write`].
    pub async fn finish(mut self) -> Result<Written> {
        self.flush().await?;
        Ok(Written {
            rows: self.n_written,
            bytes: self.n_written_bytes,
        })
    }

    /// Refuses a key that another row of the batch, or one that was not sent yet, has.
    ///
    /// The last one would silently win. Rows further apart are not compared: a replaced document of
    /// an earlier request looks like one that was there before.
    fn check_keys(&self, encoded: &[Encoded]) -> Result<()> {
        let mut keys = HashSet::with_capacity(self.pending.len() + encoded.len());
        for row in self.pending.iter().chain(encoded) {
            if !keys.insert(row.query.as_bytes()) {
                let key = Document::try_from(row.query.clone()).unwrap_or_default();
                let error = Error::invalid(format!(
                    "cannot write `{}`: two rows have the key {key}",
                    self.target.namespace
                ))
                .with_hint("make the rows unique, or name more columns in the option `key`");
                return Err(to_datafusion(error));
            }
        }
        Ok(())
    }

    async fn flush(&mut self) -> Result<()> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let command = self.command();
        let mut patience = Patience::new(self.patience);
        let mut n_duplicates = 0;
        loop {
            let answer = match self.database.run_raw_command(command.clone()).await {
                Ok(reply) => self.judge(&reply, n_duplicates),
                Err(error) => {
                    let waited = patience.wait(error).await;
                    waited.map_err(|e| self.attempt.failed_in_plan(e))?;
                    continue;
                }
            };
            match answer {
                Answer::Written => break,
                Answer::Failed(error) => return Err(to_datafusion(error)),
                Answer::Again(why) => {
                    n_duplicates += 1;
                    if !patience.wait_after(&why).await {
                        let text = format!("cannot write `{}`: {why}", self.target.namespace);
                        return Err(DataFusionError::IoError(io::Error::other(text)));
                    }
                }
            }
        }
        self.n_written += self.pending.len() as u64;
        let sizes = self
            .pending
            .iter()
            .map(|row| row.document.as_bytes().len() as u64);
        self.n_written_bytes += sizes.sum::<u64>();
        self.pending.clear();
        self.n_pending_bytes = 0;
        Ok(())
    }

    fn command(&self) -> RawDocumentBuf {
        let mut updates = RawArrayBuf::new();
        for row in &self.pending {
            updates.push(rawdoc! {
                "q": row.query.clone(),
                "u": row.document.clone(),
                "upsert": true,
            });
        }
        let mut command = rawdoc! {
            "update": self.target.collection(),
            "updates": updates,
            "ordered": false,
        };
        if let Some(write_concern) = &self.write_concern {
            command.append(cstr!("writeConcern"), write_concern);
        }
        command
    }

    fn judge(&self, reply: &Document, n_duplicates: usize) -> Answer {
        let faults = reply.get_array("writeErrors").map(Vec::as_slice);
        let faults = faults
            .unwrap_or_default()
            .iter()
            .filter_map(|f| f.as_document());
        let concern = reply.get_document("writeConcernError").ok();
        let mut again = None;
        for fault in faults.chain(concern) {
            let code = fault.get_i32("code").unwrap_or_default();
            let text = fault
                .get_str("errmsg")
                .unwrap_or("the server gives no reason");
            // Two tasks that write the same key at once collide, but only once; a key that another
            // document has in a unique index collides for ever.
            let may_retry =
                fault::is_transient_code(code) || (code == DUPLICATE_KEY && n_duplicates < 3);
            if !may_retry {
                return Answer::Failed(self.refused(code, text));
            }
            again = Some(format!("{text} (code {code})"));
        }
        if let Some(why) = again {
            return Answer::Again(why);
        }
        let n = reply
            .get_i32("n")
            .map(i64::from)
            .or_else(|_| reply.get_i64("n"));
        match n.ok().and_then(|n| usize::try_from(n).ok()) {
            Some(n) if n == self.pending.len() => Answer::Written,
            n => Answer::Again(format!(
                "the server acknowledged {} of {} documents",
                n.unwrap_or_default(),
                self.pending.len()
            )),
        }
    }

    fn refused(&self, code: i32, text: &str) -> Error {
        let collection = &self.target.namespace;
        if code == DUPLICATE_KEY {
            return Error::invalid(format!(
                "cannot write `{collection}`: a unique index has a row's value already: {text}"
            ))
            .with_hint("make the rows unique, or drop `unique` from the option `indexes`");
        }
        Error::new(
            ErrorKind::Failed,
            format!(
                "cannot write `{collection}`: the server refuses a document: {text} (code {code})"
            ),
        )
    }
}

fn no_decimals(target: &CollectionTarget) -> Error {
    Error::new(
        ErrorKind::Unsupported,
        format!(
            "cannot write `{}`: the server is FerretDB 1, which has no decimals",
            target.namespace
        ),
    )
    .with_hint("set stored.COLUMN = \"text\" for the decimal columns, or use MongoDB")
}

/// The write concern of the connection string. One without acknowledgement is left out: a row
/// counts as written when the server says so.
fn acknowledged(concern: &WriteConcern) -> Option<RawDocumentBuf> {
    if matches!(concern.w, Some(Acknowledgment::Nodes(0))) {
        return None;
    }
    serialize_to_raw_document_buf(concern).ok()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::arrow::array::{ArrayRef, Int32Array, StringArray};
    use emporia_core::catalog::TableDef;
    use emporia_core::config::{Secret, StoreSettings};

    use super::super::fake::{Fake, Fault};
    use super::*;

    fn rows(from: i32, n: i32) -> RecordBatch {
        let ids = (from..from + n)
            .map(|i| format!("k{i}"))
            .collect::<Vec<_>>();
        let columns: [(_, ArrayRef); 2] = [
            ("id", Arc::new(StringArray::from(ids))),
            ("n", Arc::new(Int32Array::from_iter_values(from..from + n))),
        ];
        RecordBatch::try_from_iter(columns).unwrap()
    }

    async fn writer(fake: &Fake) -> CollectionWriter {
        let stores = Stores::new(StoreSettings {
            mongodb_uri: Some(Secret::new(&*fake.uri)),
            patience: std::time::Duration::from_secs(20),
            ..StoreSettings::default()
        });
        let mut table = TableDef::new("mongodb", "mongodb:shop.things");
        table.options.insert("key".to_owned(), "id".to_owned());
        let target = CollectionTarget::of(&table).unwrap();
        let schema = rows(0, 1).schema();
        CollectionWriter::open(&stores, &target, &schema)
            .await
            .unwrap()
    }

    #[tokio::test]
    async fn rows_are_written_once_whatever_happens() {
        let check = |fault: Fault| async move {
            let fake = Fake::start(Vec::new(), &[fault, fault]).await;
            let mut writer = writer(&fake).await;
            let mut n = 0;
            for from in 0..5 {
                n += writer.write(&rows(from * 300, 300)).await.unwrap();
            }
            assert_eq!(n, 1000, "{fault:?}");
            let written = writer.finish().await.unwrap();
            let documents = fake.documents();
            let sizes = documents.iter().map(|d| d.to_vec().unwrap().len() as u64);
            assert_eq!(
                (written.rows, written.bytes),
                (1500, sizes.sum()),
                "{fault:?}"
            );
            assert_eq!(documents.len(), 1500, "{fault:?}");
            assert_eq!(fake.n_faults_left(), 0, "{fault:?}");
        };
        let faults = [
            Fault::None,
            Fault::BreakBefore,
            Fault::BreakAfter,
            Fault::Code(11600),
        ];
        futures::future::join_all(faults.map(check)).await;
    }

    #[tokio::test]
    async fn a_row_replaces_the_document_with_its_key() {
        let known = mongodb::bson::doc! { "_id": "k1", "old": true };
        let fake = Fake::start(vec![known], &[]).await;
        let mut writer = writer(&fake).await;
        writer.write(&rows(0, 3)).await.unwrap();
        assert_eq!(writer.finish().await.unwrap().rows, 3);
        let documents = fake.documents();
        assert_eq!(documents.len(), 3);
        assert_eq!(documents[0], mongodb::bson::doc! { "_id": "k1", "n": 1 });
    }

    #[tokio::test]
    async fn two_rows_with_one_key_are_refused() {
        let fake = Fake::start(Vec::new(), &[]).await;
        let mut writer = writer(&fake).await;
        writer.write(&rows(0, 5)).await.unwrap();
        let error = writer.write(&rows(4, 5)).await.unwrap_err().to_string();
        assert!(
            error.contains(r#"two rows have the key { "_id": "k4" }"#),
            "{error}"
        );
    }

    #[tokio::test]
    async fn permanent_faults_fail_the_write() {
        let fake = Fake::start(Vec::new(), &[Fault::Code(13)]).await;
        let mut writer = writer(&fake).await;
        writer.write(&rows(0, 5)).await.unwrap();
        let error = writer.finish().await.unwrap_err();
        assert!(!matches!(error, DataFusionError::IoError(_)), "{error}");
    }
}
