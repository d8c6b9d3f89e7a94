//! A network between processes that can be cut: for all of them, or for the connections of one.

use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use super::cluster::PROXY_HOST;

/// Forwards connections until it is cut, and again after it was mended.
pub(super) struct Proxy(Arc<Mutex<State>>);

struct State {
    target: SocketAddr,
    cut: Vec<Cut>,
    open: Vec<Link>,
    n_cut: usize,
}

/// Connections that are closed.
#[derive(Clone, Copy)]
enum Cut {
    All,
    /// Those that the process with this number makes.
    Of(u32),
}

impl Cut {
    fn holds(self, client: SocketAddr) -> bool {
        match self {
            Self::All => true,
            Self::Of(pid) => is_of(pid, client),
        }
    }
}

/// A connection that is forwarded.
struct Link {
    /// The client's address.
    client: SocketAddr,
    from: TcpStream,
    to: TcpStream,
}

impl State {
    fn is_cut(&self, client: SocketAddr) -> bool {
        self.cut.iter().any(|cut| cut.holds(client))
    }

    fn forward(&mut self, from: TcpStream) -> io::Result<()> {
        let client = from.peer_addr()?;
        if self.is_cut(client) {
            // A connection that is dropped here is closed.
            self.n_cut += 1;
            return Ok(());
        }
        let to = TcpStream::connect(self.target)?;
        for (mut source, mut sink) in [
            (from.try_clone()?, to.try_clone()?),
            (to.try_clone()?, from.try_clone()?),
        ] {
            thread::spawn(move || {
                let _ = io::copy(&mut source, &mut sink);
                let _ = sink.shutdown(Shutdown::Both);
            });
        }
        self.open.push(Link { client, from, to });
        Ok(())
    }

    /// Closes the connections that are cut.
    fn close(&mut self) {
        let open = std::mem::take(&mut self.open);
        let (closed, open) = open.into_iter().partition(|link| self.is_cut(link.client));
        self.open = open;
        self.n_cut += closed.len();
        for link in closed {
            let _ = link.from.shutdown(Shutdown::Both);
            let _ = link.to.shutdown(Shutdown::Both);
        }
    }
}

impl Proxy {
    /// Whether the address of proxies can be used here.
    pub(super) fn is_possible() -> bool {
        let is_possible = TcpListener::bind((PROXY_HOST, 0)).is_ok();
        if !is_possible {
            eprintln!("skipped: {PROXY_HOST} cannot be used here");
        }
        is_possible
    }

    /// Listens on the address of proxies and forwards to 127.0.0.1, on the same port, for as long as the test
    /// runs.
    pub(super) fn start(port: &str) -> Result<Self, String> {
        let port: u16 = port.parse().map_err(|_| format!("no port: {port}"))?;
        let listener = TcpListener::bind((PROXY_HOST, port)).map_err(|e| e.to_string())?;
        let state = Arc::new(Mutex::new(State {
            target: (Ipv4Addr::LOCALHOST, port).into(),
            cut: Vec::new(),
            open: Vec::new(),
            n_cut: 0,
        }));
        let forwarding = Self(Arc::clone(&state));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let _ = forwarding.state().forward(stream);
            }
        });
        Ok(Self(state))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Closes all connections, and takes none until it is mended.
    pub(super) fn cut(&self) {
        self.add(Cut::All);
    }

    /// The same for the connections that a process makes.
    pub(super) fn cut_from(&self, pid: u32) {
        self.add(Cut::Of(pid));
    }

    fn add(&self, cut: Cut) {
        let mut state = self.state();
        state.cut.push(cut);
        state.close();
    }

    /// How many connections were closed because they were cut, also those that came later.
    pub(super) fn n_cut(&self) -> usize {
        self.state().n_cut
    }

    /// Takes connections of all again.
    pub(super) fn mend(&self) {
        self.state().cut.clear();
    }
}

/// Whether `address` is the end of a connection that the process holds.
fn is_of(pid: u32, address: SocketAddr) -> bool {
    let IpAddr::V4(ip) = address.ip() else {
        return false;
    };
    let ip = u32::from_ne_bytes(ip.octets());
    let local = format!("{ip:08X}:{:04X}", address.port());
    let table = fs::read_to_string(format!("/proc/{pid}/net/tcp")).unwrap_or_default();
    let mut sockets = table.lines().filter_map(|line| {
        let mut fields = line.split_whitespace();
        (fields.nth(1)? == local)
            .then(|| fields.nth(7))
            .flatten()
            .map(|inode| format!("socket:[{inode}]"))
    });
    let Some(socket) = sockets.next() else {
        return false;
    };
    let files = fs::read_dir(format!("/proc/{pid}/fd"))
        .into_iter()
        .flatten();
    let mut links = files.flatten().filter_map(|f| fs::read_link(f.path()).ok());
    links.any(|link| link.as_os_str() == socket.as_str())
}
