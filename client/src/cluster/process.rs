//! Processes of this machine: signals and signs of life.

use std::process::{Command, Stdio};

/// A signal to a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signal {
    /// Finish what you do, then end.
    Terminate,
    /// End now.
    Kill,
}

/// Sends a signal; whether the process got it shows in its death.
pub(crate) fn send(signal: Signal, pid: u32) {
    let name = match signal {
        Signal::Terminate => "TERM",
        Signal::Kill => "KILL",
    };
    kill(name, pid);
}

/// The `kill` that is part of every shell; the program of that name is missing in small containers.
fn kill(signal: &str, pid: u32) -> bool {
    Command::new("sh")
        .args(["-c", "kill -s \"$0\" \"$1\"", signal, &pid.to_string()])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Whether the process lives that began at `start_ticks`; one that only waits to be reaped is dead.
pub(crate) fn is_alive(pid: u32, start_ticks: Option<u64>) -> bool {
    match (stat(pid), start_ticks) {
        (Some(stat), Some(ticks)) => stat.start_ticks == ticks && !stat.is_dead,
        (Some(stat), None) => !stat.is_dead,
        // Where there is no /proc, the shell has to know.
        (None, None) => kill("0", pid),
        (None, Some(_)) => false,
    }
}

/// When the process began, in ticks since the machine did; `None` where the system does not say.
pub(crate) fn start_ticks(pid: u32) -> Option<u64> {
    stat(pid).map(|stat| stat.start_ticks)
}

struct Stat {
    is_dead: bool,
    start_ticks: u64,
}

fn stat(pid: u32) -> Option<Stat> {
    parse_stat(&std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// Reads `pid (name) state …`; the name may hold blanks and parentheses.
fn parse_stat(text: &str) -> Option<Stat> {
    let (_, rest) = text.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    Some(Stat {
        is_dead: matches!(*fields.first()?, "Z" | "X"),
        start_ticks: fields.get(19)?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_of_a_process_is_read() {
        let line = "42 (a (b) c) S 1 42 42 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 98765 1 1";
        let stat = parse_stat(line);
        assert_eq!(
            stat.map(|s| (s.is_dead, s.start_ticks)),
            Some((false, 98_765))
        );
        let zombie = parse_stat(&line.replace(") S ", ") Z "));
        assert_eq!(zombie.map(|s| s.is_dead), Some(true));
        assert!(parse_stat("").is_none());
    }

    #[test]
    fn a_killed_process_is_dead() -> std::io::Result<()> {
        let mut child = Command::new("sleep").arg("60").spawn()?;
        let ticks = start_ticks(child.id());
        assert!(is_alive(child.id(), ticks));
        send(Signal::Kill, child.id());
        child.wait()?;
        assert!(!is_alive(child.id(), ticks));
        Ok(())
    }
}
