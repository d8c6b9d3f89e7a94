//! A network between executors and the scheduler that can be cut.

use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

/// Forwards connections until it is cut, and again after it was mended.
pub(super) struct Proxy(Arc<State>);

struct State {
    target: SocketAddr,
    is_cut: AtomicBool,
    open: Mutex<Vec<TcpStream>>,
}

impl State {
    fn open(&self) -> MutexGuard<'_, Vec<TcpStream>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn forward(self: &Arc<Self>, from: TcpStream) -> io::Result<()> {
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
        self.open().extend([from, to]);
        Ok(())
    }
}

impl Proxy {
    /// Listens on `address` and forwards to `target`, for as long as the test runs.
    pub(super) fn start(address: SocketAddr, target: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        let state = Arc::new(State {
            target,
            is_cut: AtomicBool::new(false),
            open: Mutex::default(),
        });
        let forwarding = Arc::clone(&state);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // A connection that is dropped here is closed.
                if !forwarding.is_cut.load(Ordering::Acquire) {
                    let _ = forwarding.forward(stream);
                }
            }
        });
        Ok(Self(state))
    }

    /// Closes all connections, and takes none until it is mended.
    pub(super) fn cut(&self) {
        self.0.is_cut.store(true, Ordering::Release);
        for stream in self.0.open().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// Takes connections again.
    pub(super) fn mend(&self) {
        self.0.is_cut.store(false, Ordering::Release);
    }
}
