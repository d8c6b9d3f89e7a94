//! Ports of this machine for processes that take numbers, not listeners.

use std::io;
use std::net::TcpListener;

use emporia_core::error::{Error, ErrorKind, Result};

/// The address that everything on this machine listens on.
pub(crate) const LOOPBACK: &str = "127.0.0.1";

/// `N` different ports of the loopback address that were free a moment ago.
///
/// # Errors
/// Where the system has no port left.
pub fn free_ports<const N: usize>() -> io::Result<[u16; N]> {
    // All are held until the last one is there, so that none is given twice.
    let mut listeners = Vec::with_capacity(N);
    let mut ports = [0; N];
    for port in &mut ports {
        let listener = TcpListener::bind((LOOPBACK, 0))?;
        *port = listener.local_addr()?.port();
        listeners.push(listener);
    }
    Ok(ports)
}

/// The port itself where it is free, any free one for 0.
///
/// # Errors
/// `Failed` where another process listens on it.
pub(crate) fn claim(wanted: u16) -> Result<u16> {
    let listener = TcpListener::bind((LOOPBACK, wanted));
    listener
        .and_then(|listener| Ok(listener.local_addr()?.port()))
        .map_err(|e| {
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
