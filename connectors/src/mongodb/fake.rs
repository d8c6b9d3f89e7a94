//! A server in the process of a test: collections in memory, and faults on demand.
//!
//! It speaks as much of MongoDB's protocol as reading, writing and overwriting take, so that lost connections
//! and forgotten cursors can be had at any request.

use std::cmp::Ordering;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};

use mongodb::bson::{Bson, DateTime, Document, RawBson, doc};
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

/// The collection that a server starts with.
const FIRST: &str = "things";
/// The protocol of MongoDB 7.
const WIRE_VERSION: i32 = 21;

#[derive(Debug)]
struct State {
    wire_version: i32,
    collections: BTreeMap<String, Vec<Document>>,
    /// Whether a collection can be renamed over another.
    has_drop_target: bool,
    /// Milliseconds since 1970.
    now: i64,
    /// Names of the commands that were carried out, but for greetings.
    log: Vec<String>,
    /// Commands of these names meet the faults.
    faulty: Vec<&'static str>,
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
            collections: [(FIRST.to_owned(), documents)].into(),
            has_drop_target: true,
            now: 1_000_000,
            log: Vec::new(),
            faulty: vec!["find", "getMore", "update"],
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
        self.in_collection(FIRST).unwrap_or_default()
    }

    /// The documents of a collection, `None` where there is none of the name.
    pub(super) fn in_collection(&self, name: &str) -> Option<Vec<Document>> {
        self.state.lock().unwrap().collections.get(name).cloned()
    }

    /// Makes a collection, as another client would.
    pub(super) fn set(&self, name: &str, documents: Vec<Document>) {
        let mut state = self.state.lock().unwrap();
        state.collections.insert(name.to_owned(), documents);
    }

    /// Removes a collection, as another client would.
    pub(super) fn remove(&self, name: &str) {
        self.state.lock().unwrap().collections.remove(name);
    }

    /// The names of all collections.
    pub(super) fn names(&self) -> Vec<String> {
        self.state
            .lock()
            .unwrap()
            .collections
            .keys()
            .cloned()
            .collect()
    }

    /// From now on it cannot rename a collection over another.
    pub(super) fn without_drop_target(&self) {
        self.state.lock().unwrap().has_drop_target = false;
    }

    /// Time goes on, in milliseconds.
    pub(super) fn wait(&self, millis: i64) {
        self.state.lock().unwrap().now += millis;
    }

    /// The next commands of this name meet these faults.
    pub(super) fn script(&self, command: &'static str, faults: &[Fault]) {
        let mut state = self.state.lock().unwrap();
        state.faulty = vec![command];
        state.faults = faults.iter().copied().collect();
    }

    /// The names of the commands so far, but for greetings.
    pub(super) fn log(&self) -> Vec<String> {
        self.state.lock().unwrap().log.clone()
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
            _ => command(&body),
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

/// The command in a message: a document, and arrays of it that follow.
fn command(message: &[u8]) -> Document {
    let length = |bytes: &[u8]| {
        let length = i32::from_le_bytes(bytes[..4].try_into().unwrap());
        usize::try_from(length).unwrap()
    };
    let mut command = Document::new();
    let mut sections = &message[4..];
    while let Some((kind, section)) = sections.split_first() {
        let (section, rest) = section.split_at(length(section));
        sections = rest;
        if *kind == 0 {
            command.extend(Document::from_reader(section).unwrap());
            continue;
        }
        let end = 4 + section[4..].iter().position(|b| *b == 0).unwrap();
        let name = String::from_utf8(section[4..end].to_vec()).unwrap();
        let mut documents = Vec::new();
        let mut rest = &section[end + 1..];
        while !rest.is_empty() {
            let (document, others) = rest.split_at(length(rest));
            documents.push(Bson::Document(Document::from_reader(document).unwrap()));
            rest = others;
        }
        command.insert(name, documents);
    }
    command
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
        let is_counted = self.faulty.contains(&name);
        let fault = is_counted.then(|| self.faults.pop_front()).flatten();
        match fault.unwrap_or(Fault::None) {
            Fault::BreakBefore => return None,
            Fault::Code(code) => {
                return Some(refusal(code));
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
        if !["hello", "isMaster", "ismaster"].contains(&name) {
            self.log.push(name.to_owned());
        }
        match name {
            "hello" | "isMaster" | "ismaster" => doc! {
                "localTime": DateTime::from_millis(self.now),
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
            "insert" => self.insert(command),
            "aggregate" => self.count(command),
            "create" => {
                let name = command.get_str("create").unwrap();
                match self.collections.contains_key(name) {
                    true => refusal(48),
                    false => {
                        self.collections.insert(name.to_owned(), Vec::new());
                        doc! { "ok": 1.0 }
                    }
                }
            }
            "drop" => match self.collections.remove(command.get_str("drop").unwrap()) {
                Some(_) => doc! { "ok": 1.0 },
                None => refusal(26),
            },
            "listCollections" => {
                let names = self.collections.keys();
                let names = names.map(|name| doc! { "name": name, "type": "collection" });
                let names: Vec<_> = names.collect();
                let cursor =
                    doc! { "id": 0_i64, "ns": "shop.$cmd.listCollections", "firstBatch": names };
                doc! { "cursor": cursor, "ok": 1.0 }
            }
            "renameCollection" => self.rename(command),
            _ => doc! { "ok": 1.0 },
        }
    }

    fn insert(&mut self, command: &Document) -> Document {
        let collection = command.get_str("insert").unwrap();
        let known = self.collections.entry(collection.to_owned()).or_default();
        for document in command.get_array("documents").unwrap() {
            let document = document.as_document().unwrap().clone();
            if known.iter().any(|d| d.get("_id") == document.get("_id")) {
                let fault = doc! { "index": 0, "code": 11000, "errmsg": "there is one" };
                return doc! { "n": 0, "writeErrors": [fault], "ok": 1.0 };
            }
            known.push(document);
        }
        doc! { "n": 1, "ok": 1.0 }
    }

    fn count(&self, command: &Document) -> Document {
        let collection = command.get_str("aggregate").unwrap();
        let n = self.collections.get(collection).map_or(0, Vec::len);
        let n = i32::try_from(n).unwrap();
        let counts = match n {
            0 => vec![],
            n => vec![doc! { "_id": 1, "n": n }],
        };
        let cursor = doc! { "id": 0_i64, "ns": format!("shop.{collection}"), "firstBatch": counts };
        doc! { "cursor": cursor, "ok": 1.0 }
    }

    fn rename(&mut self, command: &Document) -> Document {
        let name = |key: &str| {
            let namespace = command.get_str(key).unwrap();
            namespace.split_once('.').unwrap().1.to_owned()
        };
        let (from, to) = (name("renameCollection"), name("to"));
        let drops = command.get_bool("dropTarget").unwrap_or(false);
        if drops && !self.has_drop_target {
            return refusal(238);
        }
        if !self.collections.contains_key(&from) {
            return refusal(26);
        }
        if !drops && self.collections.contains_key(&to) {
            return refusal(48);
        }
        let documents = self.collections.remove(&from).unwrap();
        self.collections.insert(to, documents);
        doc! { "ok": 1.0 }
    }

    fn find(&mut self, command: &Document) -> Document {
        let filter = command.get_document("filter").cloned().unwrap_or_default();
        let collection = command.get_str("find").unwrap();
        let documents = self.collections.get(collection).into_iter().flatten();
        let selected = documents.filter(|d| selects(&filter, d));
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
        let collection = command.get_str("update").unwrap();
        let mut n = 0;
        for update in updates.iter().map(|u| u.as_document().unwrap()) {
            let query = update.get_document("q").unwrap();
            let document = update.get_document("u").unwrap().clone();
            let known = self.collections.get_mut(collection);
            let known = known.and_then(|known| known.iter_mut().find(|d| selects(query, d)));
            match known {
                Some(known) => *known = document,
                None if update.get_bool("upsert").unwrap_or(false) => {
                    let documents = self.collections.entry(collection.to_owned());
                    documents.or_default().push(document);
                }
                None => continue,
            }
            n += 1;
        }
        doc! { "n": n, "nModified": n, "ok": 1.0 }
    }
}

fn refusal(code: i32) -> Document {
    doc! { "ok": 0.0, "code": code, "codeName": "", "errmsg": "fault" }
}

/// The order of `_id`.
fn compare(a: &Bson, b: &Bson) -> Ordering {
    let rank = |v: &Bson| rank_of(RawBson::try_from(v.clone()).unwrap().as_raw_bson_ref());
    let within = || order(a, b).unwrap_or(Ordering::Equal);
    rank(a).cmp(&rank(b)).then_with(within)
}
