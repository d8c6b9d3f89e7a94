//! A gateway that serves a table from memory, and fails as its script says.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use emporia_hbase::{Client, ClientOptions, Protocol, Transport};
use hbase_thrift::hbase::{IOError, IllegalArgument, TCell, TColumn, TRegionInfo, TRowResult};
use thrift::protocol::{
    TBinaryInputProtocol, TBinaryOutputProtocol, TCompactInputProtocol, TCompactOutputProtocol,
    TFieldIdentifier, TInputProtocol, TListIdentifier, TMessageIdentifier, TMessageType,
    TOutputProtocol, TStructIdentifier, TType,
};

use crate::table::Table;

/// What happens to one call, instead of a reply.
#[derive(Debug, Clone)]
pub(crate) enum Act {
    /// It is answered as it should be.
    Serve,
    /// The connection is closed; the call has taken effect.
    Close,
    /// The connection is closed before the call takes effect.
    Ignore,
    /// The reply ends after so many bytes.
    Cut(usize),
    /// One bit of the byte at this place is another; the connection is closed behind the reply.
    Flip(usize, u8),
    /// The reply follows a prefix of so many bytes and continues with an absurd length.
    HugeLength(usize),
    /// The reply has another sequence number.
    WrongSequence,
    /// The reply is to another call.
    WrongMethod,
    /// The reply is followed by these bytes.
    Trailing(&'static [u8]),
    /// The reply is these bytes.
    Raw(&'static [u8]),
    /// An `IOError` with this message and flag.
    IoError(&'static str, bool),
    /// An `IllegalArgument` with this message.
    Illegal(&'static str),
    /// A `TApplicationException` of an internal error.
    Internal,
    /// Nothing comes for this long, then the reply.
    Late(Duration),
}

#[derive(Debug, Default)]
struct State {
    table: Table,
    scripts: HashMap<&'static str, VecDeque<Act>>,
    calls: Vec<String>,
    scanners: HashMap<i32, (Vec<u8>, Vec<u8>)>,
    next_scanner: i32,
}

/// A gateway on a free port; it runs until the process ends.
#[derive(Clone)]
pub(crate) struct Fake {
    pub(crate) address: String,
    state: Arc<Mutex<State>>,
}

impl Fake {
    pub(crate) fn start(table: Table) -> Self {
        Self::speaking(table, Protocol::Binary, Transport::Buffered)
    }

    pub(crate) fn speaking(table: Table, protocol: Protocol, transport: Transport) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let fake = Self {
            address: listener.local_addr().unwrap().to_string(),
            state: Arc::new(Mutex::new(State {
                table,
                ..State::default()
            })),
        };
        let server = fake.clone();
        thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                let server = server.clone();
                thread::spawn(move || server.serve(&socket, protocol, transport));
            }
        });
        fake
    }

    /// The next calls of this method go as the script says; all after it are served.
    pub(crate) fn script(&self, method: &'static str, acts: impl IntoIterator<Item = Act>) {
        let mut state = self.state.lock().unwrap();
        state.scripts.insert(method, acts.into_iter().collect());
    }

    /// Names of the calls so far.
    pub(crate) fn calls(&self, method: &str) -> usize {
        let state = self.state.lock().unwrap();
        state.calls.iter().filter(|call| *call == method).count()
    }

    /// The table as it is now.
    pub(crate) fn table(&self) -> Table {
        self.state.lock().unwrap().table.clone()
    }

    /// Number of scanners that are open.
    pub(crate) fn n_scanners(&self) -> usize {
        self.state.lock().unwrap().scanners.len()
    }

    fn serve(&self, socket: &TcpStream, protocol: Protocol, transport: Transport) {
        socket.set_nodelay(true).unwrap();
        while let Some((identifier, arguments)) = receive(socket, protocol, transport) {
            let act = {
                let mut state = self.state.lock().unwrap();
                state.calls.push(identifier.name.clone());
                let script = state.scripts.get_mut(identifier.name.as_str());
                script.and_then(VecDeque::pop_front).unwrap_or(Act::Serve)
            };
            let is_served = !matches!(
                act,
                Act::Ignore | Act::IoError(..) | Act::Illegal(_) | Act::Internal
            );
            let outcome = match is_served {
                true => self.apply(&identifier.name, &arguments),
                false => Outcome::of(&act),
            };
            let (bytes, is_last) = reply(&identifier, &outcome, &act, protocol, transport);
            if let Act::Late(delay) = act {
                thread::sleep(delay);
            }
            let mut writer = socket;
            if writer.write_all(&bytes).is_err() || is_last {
                break;
            }
        }
        socket.shutdown(Shutdown::Both).ok();
    }

    /// Does what the call asks. A scanner moves on before the reply is sent, as the real one does.
    fn apply(&self, method: &str, arguments: &Fields) -> Outcome {
        let mut state = self.state.lock().unwrap();
        let state = &mut *state;
        match method {
            "getThriftServerType" => Outcome::I32(1),
            "scannerOpenWithScan" => {
                let scan = arguments[&2].fields();
                let bytes = |id| {
                    scan.get(&id)
                        .map(|v| v.bytes().to_vec())
                        .unwrap_or_default()
                };
                let id = state.next_scanner;
                state.next_scanner += 1;
                state.scanners.insert(id, (bytes(1), bytes(2)));
                Outcome::I32(id)
            }
            "scannerGetList" => {
                let Some((position, stop)) = state.scanners.get_mut(&arguments[&1].i32()) else {
                    return Outcome::Illegal("scanner ID is invalid");
                };
                let rows: Vec<_> = state
                    .table
                    .range(position.clone()..)
                    .take_while(|(key, _)| stop.is_empty() || *key < stop)
                    .take(arguments[&2].i32() as usize)
                    .collect();
                if let Some((last, _)) = rows.last() {
                    position.clone_from(last);
                    position.push(0);
                }
                Outcome::rows(rows)
            }
            "getTableRegions" => Outcome::OneRegion,
            "scannerClose" => match state.scanners.remove(&arguments[&1].i32()) {
                Some(_) => Outcome::Nothing,
                None => Outcome::Illegal("scanner ID is invalid"),
            },
            "getRowsWithColumns" | "getRowsWithColumnsTs" => {
                let keys = arguments[&2].list().iter().map(Value::bytes);
                Outcome::rows(
                    keys.filter_map(|key| state.table.get_key_value(key))
                        .collect(),
                )
            }
            "mutateRowsTs" => {
                let timestamp = arguments[&3].i64();
                for batch in arguments[&2].list() {
                    let row = state.table.entry(batch.fields()[&1].bytes().to_vec());
                    let row = row.or_default();
                    for mutation in batch.fields()[&2].list() {
                        let mutation = mutation.fields();
                        assert!(mutation[&4].bool(), "a mutation skips the log");
                        let column = mutation[&2].bytes().to_vec();
                        match mutation[&1].bool() {
                            true => row.remove(&column),
                            false => row.insert(column, (timestamp, mutation[&3].bytes().to_vec())),
                        };
                    }
                }
                Outcome::Nothing
            }
            "checkAndPut" => {
                let row = state
                    .table
                    .entry(arguments[&2].bytes().to_vec())
                    .or_default();
                let column = arguments[&3].bytes().to_vec();
                let expected = arguments.get(&5).map(Value::bytes);
                let is_equal = row.get(&column).map(|(_, value)| value.as_slice()) == expected;
                if is_equal {
                    let value = arguments[&6].fields()[&3].bytes().to_vec();
                    row.insert(column, (1, value));
                }
                Outcome::Bool(is_equal)
            }
            other => panic!("call of `{other}`"),
        }
    }
}

/// A client of these gateways. Its timeouts leave a slow machine time to answer.
pub(crate) fn client(fakes: &[&Fake]) -> Client {
    Client::new(options(fakes)).unwrap()
}

pub(crate) fn options(fakes: &[&Fake]) -> ClientOptions {
    ClientOptions {
        connect_timeout: Duration::from_secs(3),
        request_timeout: Duration::from_secs(3),
        patience: Duration::from_secs(60),
        ..ClientOptions::new(fakes.iter().map(|fake| fake.address.clone()))
    }
}

/// What a call results in.
enum Outcome {
    Nothing,
    I32(i32),
    Bool(bool),
    Rows(Vec<TRowResult>),
    OneRegion,
    IoError(&'static str, bool),
    Illegal(&'static str),
    Internal,
}

impl Outcome {
    fn of(act: &Act) -> Self {
        match act {
            Act::IoError(message, can_retry) => Self::IoError(message, *can_retry),
            Act::Illegal(message) => Self::Illegal(message),
            _ => Self::Internal,
        }
    }

    fn rows(rows: Vec<(&Vec<u8>, &Cells)>) -> Self {
        let rows = rows.into_iter().map(|(key, cells)| TRowResult {
            row: Some(key.clone()),
            columns: None,
            sorted_columns: Some(
                cells
                    .iter()
                    .map(|(column, (timestamp, value))| TColumn {
                        column_name: Some(column.clone()),
                        cell: Some(TCell {
                            value: Some(value.clone()),
                            timestamp: Some(*timestamp),
                        }),
                    })
                    .collect(),
            ),
        });
        Self::Rows(rows.collect())
    }

    fn write(&self, out: &mut dyn TOutputProtocol) -> thrift::Result<()> {
        let field = |out: &mut dyn TOutputProtocol, kind: TType, id: i16| {
            out.write_field_begin(&TFieldIdentifier::new("", kind, id))
        };
        out.write_struct_begin(&TStructIdentifier::new(""))?;
        match self {
            Self::Nothing => {}
            Self::I32(value) => {
                field(out, TType::I32, 0)?;
                out.write_i32(*value)?;
            }
            Self::Bool(value) => {
                field(out, TType::Bool, 0)?;
                out.write_bool(*value)?;
            }
            Self::Rows(rows) => {
                field(out, TType::List, 0)?;
                out.write_list_begin(&TListIdentifier::new(TType::Struct, rows.len() as i32))?;
                for row in rows {
                    row.write_to_out_protocol(out)?;
                }
            }
            Self::OneRegion => {
                field(out, TType::List, 0)?;
                out.write_list_begin(&TListIdentifier::new(TType::Struct, 1))?;
                TRegionInfo::default().write_to_out_protocol(out)?;
            }
            Self::IoError(message, can_retry) => {
                field(out, TType::Struct, 1)?;
                let error = IOError::new(Some((*message).to_owned()), Some(*can_retry));
                error.write_to_out_protocol(out)?;
            }
            Self::Illegal(message) => {
                field(out, TType::Struct, 2)?;
                let error = IllegalArgument::new(Some((*message).to_owned()));
                error.write_to_out_protocol(out)?;
            }
            Self::Internal => {
                field(out, TType::String, 1)?;
                out.write_string("Internal error processing the call")?;
                field(out, TType::I32, 2)?;
                out.write_i32(6)?;
            }
        }
        out.write_field_stop()?;
        out.write_struct_end()
    }
}

/// The bytes of a reply, and whether the connection ends with them.
fn reply(
    call: &TMessageIdentifier,
    outcome: &Outcome,
    act: &Act,
    protocol: Protocol,
    transport: Transport,
) -> (Vec<u8>, bool) {
    let kind = match outcome {
        Outcome::Internal => TMessageType::Exception,
        _ => TMessageType::Reply,
    };
    let name = match act {
        Act::WrongMethod => "anotherMethod",
        _ => call.name.as_str(),
    };
    let sequence = call.sequence_number + i32::from(matches!(act, Act::WrongSequence));
    let mut bytes = Vec::new();
    {
        let mut out: Box<dyn TOutputProtocol + '_> = match protocol {
            Protocol::Binary => Box::new(TBinaryOutputProtocol::new(&mut bytes, true)),
            Protocol::Compact => Box::new(TCompactOutputProtocol::new(&mut bytes)),
        };
        out.write_message_begin(&TMessageIdentifier::new(name, kind, sequence))
            .unwrap();
        outcome.write(&mut *out).unwrap();
    }
    if let Act::Trailing(more) = act {
        bytes.extend_from_slice(more);
    }
    if transport == Transport::Framed {
        let mut framed = (bytes.len() as u32).to_be_bytes().to_vec();
        framed.append(&mut bytes);
        bytes = framed;
    }
    match act {
        Act::Close | Act::Ignore => (Vec::new(), true),
        Act::Cut(at) => {
            bytes.truncate(*at);
            (bytes, true)
        }
        Act::Flip(at, bit) => {
            if let Some(byte) = bytes.get_mut(*at) {
                *byte ^= bit;
            }
            (bytes, true)
        }
        Act::HugeLength(at) => {
            bytes.truncate(*at);
            bytes.extend_from_slice(&[0x7f; 64]);
            (bytes, false)
        }
        Act::Raw(raw) => (raw.to_vec(), false),
        _ => (bytes, false),
    }
}

/// Fields of a struct by their numbers.
type Fields = BTreeMap<i16, Value>;
/// Timestamp and value by column.
type Cells = BTreeMap<Vec<u8>, (i64, Vec<u8>)>;

/// Any value of an argument.
#[derive(Debug)]
enum Value {
    Bool(bool),
    I32(i32),
    I64(i64),
    Bytes(Vec<u8>),
    Struct(Fields),
    List(Vec<Value>),
    Map,
}

impl Value {
    fn bytes(&self) -> &[u8] {
        let Self::Bytes(bytes) = self else {
            panic!("{self:?}")
        };
        bytes
    }

    fn i32(&self) -> i32 {
        let Self::I32(value) = self else {
            panic!("{self:?}")
        };
        *value
    }

    fn i64(&self) -> i64 {
        let Self::I64(value) = self else {
            panic!("{self:?}")
        };
        *value
    }

    fn bool(&self) -> bool {
        let Self::Bool(value) = self else {
            panic!("{self:?}")
        };
        *value
    }

    fn fields(&self) -> &Fields {
        let Self::Struct(fields) = self else {
            panic!("{self:?}")
        };
        fields
    }

    fn list(&self) -> &[Value] {
        let Self::List(list) = self else {
            panic!("{self:?}")
        };
        list
    }
}

/// The next call, `None` at the end of the connection or when it is not understood.
fn receive(
    socket: &TcpStream,
    protocol: Protocol,
    transport: Transport,
) -> Option<(TMessageIdentifier, Fields)> {
    let mut reader = socket;
    let mut frame = Vec::new();
    let mut frame_bytes: &[u8];
    let source: &mut dyn Read = match transport {
        Transport::Buffered => &mut reader,
        Transport::Framed => {
            let mut length = [0; 4];
            reader.read_exact(&mut length).ok()?;
            // As the real one, it refuses negative and huge frames.
            let length = u32::from_be_bytes(length) as usize;
            if length > 2 << 20 {
                return None;
            }
            frame.resize(length, 0);
            reader.read_exact(&mut frame).ok()?;
            frame_bytes = &frame;
            &mut frame_bytes
        }
    };
    let mut input: Box<dyn TInputProtocol + '_> = match protocol {
        Protocol::Binary => {
            // As the real one, it takes a first word without version for the length of a name.
            Box::new(TBinaryInputProtocol::new(source, false))
        }
        Protocol::Compact => Box::new(TCompactInputProtocol::new(source)),
    };
    let identifier = input.read_message_begin().ok()?;
    let fields = read_fields(&mut *input).ok()?;
    Some((identifier, fields))
}

fn read_fields(input: &mut dyn TInputProtocol) -> thrift::Result<Fields> {
    input.read_struct_begin()?;
    let mut fields = Fields::new();
    loop {
        let field = input.read_field_begin()?;
        if field.field_type == TType::Stop {
            break;
        }
        fields.insert(field.id.unwrap_or_default(), read(input, field.field_type)?);
        input.read_field_end()?;
    }
    input.read_struct_end()?;
    Ok(fields)
}

fn read(input: &mut dyn TInputProtocol, kind: TType) -> thrift::Result<Value> {
    Ok(match kind {
        TType::Bool => Value::Bool(input.read_bool()?),
        TType::I32 => Value::I32(input.read_i32()?),
        TType::I64 => Value::I64(input.read_i64()?),
        TType::String => Value::Bytes(input.read_bytes()?),
        TType::Struct => Value::Struct(read_fields(input)?),
        TType::List => {
            let list = input.read_list_begin()?;
            let mut values = Vec::new();
            for _ in 0..list.size {
                values.push(read(input, list.element_type)?);
            }
            Value::List(values)
        }
        TType::Map => {
            assert_eq!(input.read_map_begin()?.size, 0, "attributes");
            Value::Map
        }
        other => panic!("an argument of type {other:?}"),
    })
}
