//! Ports of this machine for processes that take numbers, not listeners.

use std::io;
use std::net::TcpListener;
use std::ops::Range;
use std::sync::atomic::{AtomicU32, Ordering};

use emporia_core::error::{Error, ErrorKind, Result};

/// The address that everything on this machine listens on.
pub(crate) const LOOPBACK: &str = "127.0.0.1";

/// Starts of a cluster before giving up: a port that was free can be taken before its server
/// listens on it.
const MAX_STARTS: usize = 3;

/// Where ports are looked for: below those that the system gives to outgoing connections, any of
/// which could take a port between the look and the start of its server.
const SERVER_PORTS: Range<u16> = 20_000..32_768;
/// Ports between the first looks of two processes with ids that follow each other: processes that
/// start clusters at the same time look at different ports.
const PORTS_OF_PROCESS: u32 = 64;

/// The outcome of `start`, which is called again where what it starts ended for want of a port.
///
/// # Errors
/// Those of `start`: `Unavailable` only after a few tries.
pub(crate) async fn with_tries<T>(start: impl AsyncFn() -> Result<T>) -> Result<T> {
    let mut n_starts = 1;
    loop {
        match start().await {
            Err(error) if error.kind() == ErrorKind::Unavailable && n_starts < MAX_STARTS => {
                tracing::warn!(%error, "starting again");
                n_starts += 1;
            }
            result => return result,
        }
    }
}

/// `N` different ports of the loopback address that were free a moment ago, and that no call before
/// has returned: whoever got those may not listen on them yet.
///
/// # Errors
/// Where the system has no port left.
pub fn free_ports<const N: usize>() -> io::Result<[u16; N]> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let first = std::process::id().wrapping_mul(PORTS_OF_PROCESS);
    let mut ports = [0; N];
    for port in &mut ports {
        *port = (0..SERVER_PORTS.len())
            .map(|_| server_port(first.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed))))
            .find(|port| TcpListener::bind((LOOPBACK, *port)).is_ok())
            .ok_or_else(|| io::Error::new(io::ErrorKind::AddrInUse, "found no free port"))?;
    }
    Ok(ports)
}

/// The port at a position of the range, which begins anew after its end.
fn server_port(position: u32) -> u16 {
    let offset = position % u32::from(SERVER_PORTS.end - SERVER_PORTS.start);
    // Less than the length of the range, so it fits.
    SERVER_PORTS.start + offset as u16
}

/// The port itself where it is free, any free one for 0.
///
/// # Errors
/// `Failed` where another process listens on it.
pub(crate) fn claim(wanted: u16) -> Result<u16> {
    let port = match wanted {
        0 => free_ports().map(|[port]| port),
        port => TcpListener::bind((LOOPBACK, port)).map(|_| port),
    };
    port.map_err(|e| {
        Error::new(
            ErrorKind::Failed,
            format!("cannot listen on {LOOPBACK}:{wanted}"),
        )
        .with_hint("choose another port with --port, or --port 0 for any")
        .with_source(e)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn free_ports_differ() -> io::Result<()> {
        let [a, b, c] = free_ports()?;
        assert!(a != b && b != c && a != c, "{a} {b} {c}");
        Ok(())
    }

    #[test]
    fn no_port_is_given_twice() -> io::Result<()> {
        let mut seen = std::collections::HashSet::new();
        for _ in 0..100 {
            for port in free_ports::<2>()? {
                assert!(seen.insert(port), "{port}");
            }
        }
        Ok(())
    }

    #[test]
    fn a_taken_port_is_refused_with_a_hint() -> io::Result<()> {
        let holder = TcpListener::bind((LOOPBACK, 0))?;
        let port = holder.local_addr()?.port();
        let error = claim(port).err();
        assert!(error.is_some_and(|e| e.hint().is_some_and(|hint| hint.contains("--port"))));
        drop(holder);
        assert_eq!(claim(port).ok(), Some(port));
        assert!(claim(0).is_ok_and(|port| port > 0));
        Ok(())
    }
}
