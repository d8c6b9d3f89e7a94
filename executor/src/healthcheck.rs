//! `healthcheck`: asks the process that runs with the same configuration for its health.
//!
//! A container's health check starts a program, and the images have no other one than ours. The
//! scheduler includes this file too: the two programs share no crate that may open a socket.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, ToSocketAddrs};
use std::time::Duration;

use emporia_core::error::{Error, ErrorKind, Result};

/// How long connecting, asking and each part of the answer may take.
const PATIENCE: Duration = Duration::from_secs(3);
/// The status line and the reason fit into this many bytes.
const ANSWER_BYTES: u64 = 4096;

/// Asks the server that listens on `host` and `port` of this machine whether it lives or, with
/// `is_ready`, whether it takes work.
///
/// # Errors
/// `Unavailable` where it does not answer, or answers with anything but 200.
pub fn healthcheck(host: &str, port: u16, is_ready: bool) -> Result<()> {
    let path = if is_ready { "/readyz" } else { "/healthz" };
    let unavailable = |what: &str| {
        Error::new(
            ErrorKind::Unavailable,
            format!("{what} at http://{host}:{port}{path}"),
        )
    };
    let answer = ask(host, port, path).map_err(|e| unavailable("no answer").with_source(e))?;
    let (head, reason) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    match head.split(' ').nth(1) {
        Some("200") => Ok(()),
        _ => Err(unavailable(match reason.trim() {
            "" => "unexpected answer",
            reason => reason,
        })),
    }
}

/// The answer to a GET request, status line and headers included.
fn ask(host: &str, port: u16, path: &str) -> io::Result<String> {
    let address = (host, port).to_socket_addrs()?.next();
    let address = reachable(address.ok_or(io::ErrorKind::AddrNotAvailable)?);
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    // In one piece: a server may answer and close after its first read.
    let request = format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    stream.take(ANSWER_BYTES).read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// A server that listens on all interfaces is asked through the loopback one.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    address
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    /// Answers one request with `answer` and gives back what was asked.
    fn check(answer: &'static str, is_ready: bool) -> (Result<()>, String) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 512];
            let n = stream.read(&mut request).unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
            String::from_utf8_lossy(&request[..n]).into_owned()
        });
        let result = healthcheck("0.0.0.0", port, is_ready);
        (result, server.join().unwrap())
    }

    #[test]
    fn well_is_200_on_the_asked_path() {
        let (result, request) = check("HTTP/1.0 200 OK\r\n\r\nok\n", false);
        result.unwrap();
        assert!(
            request.starts_with("GET /healthz HTTP/1.0\r\n"),
            "{request}"
        );
        let (result, request) = check("HTTP/1.1 200 OK\r\nx: y\r\n\r\nready\n", true);
        result.unwrap();
        assert!(request.starts_with("GET /readyz HTTP/1.0\r\n"), "{request}");
    }

    #[test]
    fn anything_else_is_unavailable_with_the_reason() {
        for (answer, expected) in [
            (
                "HTTP/1.0 503 Service Unavailable\r\n\r\ndraining\n",
                "draining at ",
            ),
            ("SSH-2.0-OpenSSH_9.2\r\n", "unexpected answer at "),
            ("", "unexpected answer at "),
        ] {
            let error = check(answer, true).0.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unavailable);
            assert!(error.to_string().starts_with(expected), "{error}");
        }
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let error = healthcheck("127.0.0.1", port, false).unwrap_err();
        assert!(error.to_string().starts_with("no answer at "), "{error}");
    }
}
