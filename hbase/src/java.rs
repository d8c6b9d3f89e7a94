//! What HBase's Java exceptions mean.
//!
//! The gateway sends the stack trace as text. Its class names say more than the flag `canRetry`,
//! which older servers never set and which is set for a permanent cause inside a
//! `RetriesExhaustedException`.

use crate::fault::{Fault, FaultKind};

/// The longest text that is kept.
const MAX_CHARS: usize = 400;

/// Classes that settle the matter wherever in the causes they stand; the first match counts.
const DECISIVE: &[(&str, FaultKind)] = &[
    ("TableNotFoundException", FaultKind::NoSuchTable),
    ("table does not exist", FaultKind::NoSuchTable),
    ("NoSuchColumnFamilyException", FaultKind::NoSuchFamily),
    ("TableExistsException", FaultKind::TableExists),
    ("AccessDeniedException", FaultKind::Denied),
    ("AccessControlException", FaultKind::Denied),
    ("SaslException", FaultKind::Denied),
    ("UnknownScannerException", FaultKind::ScannerGone),
    ("ScannerResetException", FaultKind::ScannerGone),
    ("OutOfOrderScannerNextException", FaultKind::ScannerGone),
    ("ScannerTimeoutException", FaultKind::ScannerGone),
    ("LeaseException", FaultKind::ScannerGone),
    ("scanner ID is invalid", FaultKind::ScannerGone),
    ("RowTooBigException", FaultKind::TooLarge),
    ("TableNotEnabledException", FaultKind::Invalid),
    ("NamespaceNotFoundException", FaultKind::Invalid),
    ("FailedSanityCheckException", FaultKind::Invalid),
];

/// Classes of faults that pass; older servers do not flag them.
const PASSING: &[&str] = &[
    "RetriesExhausted",
    "NotServingRegionException",
    "RegionMovedException",
    "RegionOpeningException",
    "RegionTooBusyException",
    "RegionServerStoppedException",
    "RegionServerAbortedException",
    "ServerNotRunningYetException",
    "PleaseHoldException",
    "MasterNotRunningException",
    "MasterStoppedException",
    "NoServerForRegionException",
    "CallTimeoutException",
    "CallQueueTooBigException",
    "SocketTimeoutException",
    "ConnectException",
    "ConnectionClosingException",
    "ConnectionClosedException",
    "ZooKeeperConnectionException",
    "ConnectionLossException",
    "TimeoutIOException",
    "InterruptedIOException",
    "QuotaExceededException",
    "ThrottlingException",
];

/// The fault that the text of a Java exception means.
pub(crate) fn classify(text: &str, can_retry: bool) -> Fault {
    let causes = || {
        text.lines()
            .enumerate()
            .filter(|(number, line)| *number == 0 || !line.starts_with("\tat "))
            .map(|(_, line)| line)
    };
    let has = |name: &str| causes().any(|line| line.contains(name));
    let kind = DECISIVE.iter().find(|(name, _)| has(name)).map_or_else(
        || match can_retry || PASSING.iter().any(|name| has(name)) {
            true => FaultKind::Unavailable,
            false => FaultKind::Invalid,
        },
        |(_, kind)| *kind,
    );
    Fault::new(kind, first_line(text))
}

/// The first line of a stack trace, and one more where the first only announces it.
pub(crate) fn first_line(text: &str) -> String {
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let mut first = lines.next().unwrap_or("no message").to_owned();
    if first.ends_with("exceptions:")
        && let Some(next) = lines.next()
    {
        first.push(' ');
        first.push_str(next);
    }
    brief(&first)
}

/// The beginning of a text, on one line.
pub(crate) fn brief(text: &str) -> String {
    let mut chars = text.chars();
    let is_shown = |c: char| if c.is_control() { ' ' } else { c };
    let mut shown: String = chars.by_ref().take(MAX_CHARS).map(is_shown).collect();
    if chars.next().is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_decide_and_the_trace_is_cut() {
        let check = |text: &str, can_retry, kind, message: &str| {
            let fault = classify(text, can_retry);
            assert_eq!((fault.kind, fault.message.as_str()), (kind, message));
        };
        check(
            "org.apache.hadoop.hbase.TableNotFoundException: t\n\tat a.b(C.java:1)",
            false,
            FaultKind::NoSuchTable,
            "org.apache.hadoop.hbase.TableNotFoundException: t",
        );
        check(
            "a.RetriesExhaustedException: 1 time\n\tat x\nCaused by: b.NoSuchColumnFamilyException: f",
            true,
            FaultKind::NoSuchFamily,
            "a.RetriesExhaustedException: 1 time",
        );
        check(
            "x.DoNotRetryIOException: no",
            false,
            FaultKind::Invalid,
            "x.DoNotRetryIOException: no",
        );
        check(
            "x.SomeIOException",
            true,
            FaultKind::Unavailable,
            "x.SomeIOException",
        );
        check(
            "x.NotServingRegionException: r",
            false,
            FaultKind::Unavailable,
            "x.NotServingRegionException: r",
        );
        check(
            "scanner ID is invalid",
            false,
            FaultKind::ScannerGone,
            "scanner ID is invalid",
        );
        check(
            "y.RetriesExhaustedException: Failed after attempts=2, exceptions:\n\n2026, java.net.ConnectException: refused\n",
            true,
            FaultKind::Unavailable,
            "y.RetriesExhaustedException: Failed after attempts=2, exceptions: 2026, java.net.ConnectException: refused",
        );
        check("", false, FaultKind::Invalid, "no message");
    }

    #[test]
    fn a_class_in_a_frame_of_the_trace_decides_nothing() {
        let text = "java.io.IOException: x\n\tat org.LeaseException.make(L.java:1)";
        assert_eq!(classify(text, true).kind, FaultKind::Unavailable);
    }

    #[test]
    fn a_long_line_is_cut() {
        let line = first_line(&"ü".repeat(1000));
        assert_eq!(line.chars().count(), MAX_CHARS + 1);
    }
}
