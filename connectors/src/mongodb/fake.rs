//! A server in the process of a test: one collection in memory, and faults on demand.
//!
//! It speaks as much of MongoDB's protocol as reading and writing take, so that lost connections and
//! forgotten cursors can be had at any request.

use std::cmp::Ordering;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use mongodb::bson::{Bson, Document, RawBson, doc};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::evaluate::{order, selects};
use super::splits::rank_of;

const OP_REPLY: i32 = 1;
const OP_QUERY: i32 = 2004;
const OP_MSG: i32 = 2013;

/// What happens to a request for documents or a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    None,
    /// The connection breaks before the request is carried out.
    BreakBefore,
    /// The connection breaks instead of the answer.
    BreakAfter,
    /// The server answers with this code.
    Code(i32),
}

/// The protocol of MongoDB 7.
const WIRE_VERSION: i32 = 21;

#[derive(Debug)]
struct State {
    wire_version: i32,
    documents: Vec<Document>,
    /// Documents that are left to each cursor.
    cursors: Vec<VecDeque<Document>>,
    faults: VecDeque<Fault>,
    /// The filters of all finds.
    filters: Vec<Document>,
}

/// A running server.
#[derive(Debug)]
pub(super) struct Fake {
    state: Arc<Mutex<State>>,
    pub(super) uri: String,
}

impl Fake {
    /// Starts a server with these documents; the next requests meet these faults.
    pub(super) async fn start(documents: Vec<Document>, faults: &[Fault]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let uri = format!("mongodb://{}/", listener.local_addr().unwrap());
        let state = State {
            wire_version: WIRE_VERSION,
            documents,
            cursors: Vec::new(),
            faults: faults.iter().copied().collect(),
            filters: Vec::new(),
        };
        let state = Arc::new(Mutex::new(state));
        let shared = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&shared)));
            }
        });
        Self { state, uri }
    }

    /// Speaks this version of the protocol from now on.
    pub(super) fn speak(&self, wire_version: i32) {
        self.state.lock().unwrap().wire_version = wire_version;
    }

    pub(super) fn documents(&self) -> Vec<Document> {
        self.state.lock().unwrap().documents.clone()
    }

    /// Filters of the finds so far.
    pub(super) fn filters(&self) -> Vec<Document> {
        self.state.lock().unwrap().filters.clone()
    }

    /// Faults that no request has met.
    pub(super) fn n_faults_left(&self) -> usize {
        self.state.lock().unwrap().faults.len()
    }
}

async fn serve(mut stream: TcpStream, state: Arc<Mutex<State>>) {
    while let Some((id, code, body)) = request(&mut stream).await {
        let command = match code {
            OP_QUERY => doc! { "hello": 1 },
            _ => Document::from_reader(&body[5..]).unwrap(),
        };
        let Some(answer) = state.lock().unwrap().answer(&command) else {
            return;
        };
        let answer = answer.to_vec().unwrap();
        let (code, head) = match code {
            OP_QUERY => (
                OP_REPLY,
                [&[8, 0, 0, 0][..], &[0; 12], &[1, 0, 0, 0]].concat(),
            ),
            _ => (OP_MSG, vec![0; 5]),
        };
        let length = i32::try_from(16 + head.len() + answer.len()).unwrap();
        let mut message = Vec::new();
        for number in [length, 0, id, code] {
            message.extend(number.to_le_bytes());
        }
        message.extend(head);
        message.extend(answer);
        if stream.write_all(&message).await.is_err() {
            return;
        }
    }
}

async fn request(stream: &mut TcpStream) -> Option<(i32, i32, Vec<u8>)> {
    let length = stream.read_i32_le().await.ok()?;
    let id = stream.read_i32_le().await.ok()?;
    stream.read_i32_le().await.ok()?;
    let code = stream.read_i32_le().await.ok()?;
    let mut body = vec![0; usize::try_from(length).unwrap() - 16];
    stream.read_exact(&mut body).await.ok()?;
    Some((id, code, body))
}

impl State {
    /// The answer; `None` where the connection breaks.
    fn answer(&mut self, command: &Document) -> Option<Document> {
        let name = command.keys().next().unwrap().as_str();
        let is_counted = ["find", "getMore", "update"].contains(&name);
        let fault = is_counted.then(|| self.faults.pop_front()).flatten();
        match fault.unwrap_or(Fault::None) {
            Fault::BreakBefore => return None,
            Fault::Code(code) => {
                return Some(doc! { "ok": 0.0, "code": code, "codeName": "", "errmsg": "fault" });
            }
            Fault::BreakAfter => {
                self.carry_out(name, command);
                return None;
            }
            Fault::None => {}
        }
        Some(self.carry_out(name, command))
    }

    fn carry_out(&mut self, name: &str, command: &Document) -> Document {
        match name {
            "hello" | "isMaster" | "ismaster" => doc! {
                "isWritablePrimary": true, "ismaster": true, "helloOk": true,
                "maxBsonObjectSize": 16_777_216, "maxMessageSizeBytes": 48_000_000,
                "maxWriteBatchSize": 100_000, "minWireVersion": 0, "maxWireVersion": self.wire_version,
                "ok": 1.0,
            },
            "find" => self.find(command),
            "getMore" => {
                let cursor = command.get_i64("getMore").unwrap();
                self.batch(cursor, command, "nextBatch")
            }
            "update" => self.update(command),
            _ => doc! { "ok": 1.0 },
        }
    }

    fn find(&mut self, command: &Document) -> Document {
        let filter = command.get_document("filter").cloned().unwrap_or_default();
        let selected = self.documents.iter().filter(|d| selects(&filter, d));
        let mut selected: Vec<_> = selected.cloned().collect();
        if command.contains_key("sort") {
            selected.sort_by(|a, b| compare(a.get("_id").unwrap(), b.get("_id").unwrap()));
        }
        let limit = command
            .get_i64("limit")
            .ok()
            .and_then(|l| usize::try_from(l).ok());
        selected.truncate(limit.unwrap_or(usize::MAX));
        self.filters.push(filter);
        self.cursors.push(selected.into());
        let cursor = i64::try_from(self.cursors.len()).unwrap();
        self.batch(cursor, command, "firstBatch")
    }

    /// At most three documents, so that every scan takes several requests.
    fn batch(&mut self, cursor: i64, command: &Document, name: &str) -> Document {
        let wanted = command.get_i32("batchSize").map_or(3, |n| n.min(3));
        let left = &mut self.cursors[usize::try_from(cursor).unwrap() - 1];
        let n = left.len().min(usize::try_from(wanted).unwrap());
        let batch: Vec<_> = left.drain(..n).collect();
        let id = if left.is_empty() { 0 } else { cursor };
        doc! { "cursor": { "id": id, "ns": "shop.things", name: batch }, "ok": 1.0 }
    }

    fn update(&mut self, command: &Document) -> Document {
        let updates = command.get_array("updates").unwrap();
        for update in updates.iter().map(|u| u.as_document().unwrap()) {
            let query = update.get_document("q").unwrap();
            let document = update.get_document("u").unwrap().clone();
            match self.documents.iter_mut().find(|d| selects(query, d)) {
                Some(known) => *known = document,
                None => self.documents.push(document),
            }
        }
        doc! { "n": i32::try_from(updates.len()).unwrap(), "ok": 1.0 }
    }
}

/// The order of `_id`.
fn compare(a: &Bson, b: &Bson) -> Ordering {
    let rank = |v: &Bson| rank_of(RawBson::try_from(v.clone()).unwrap().as_raw_bson_ref());
    let within = || order(a, b).unwrap_or(Ordering::Equal);
    rank(a).cmp(&rank(b)).then_with(within)
}
