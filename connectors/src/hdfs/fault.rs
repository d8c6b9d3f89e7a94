//! What goes wrong with HDFS, sorted by what helps: time, or a person.
//!
//! The client library has one error for every Java exception and for every broken socket. Here they
//! become a [`Fault`], whose kind says whether another try may help, and whose text fits in a line:
//! the servers send whole stack traces.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::time::Duration;

use emporia_core::error::{Error, ErrorKind};
use hdfs_native::HdfsError;

use crate::error::causes;

/// What a caller can do about a [`Fault`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FaultKind {
    /// No NameNode takes a connection, or the connection broke.
    Unreachable,
    /// A server took the request and did not answer in time.
    Silent,
    /// The NameNode is in safe mode: it starts, or an administrator works on it.
    SafeMode,
    /// The NameNode asks to be called again: it starts, is on standby or has too much to do.
    Busy,
    /// No DataNode gives or takes a block.
    DataNodes,
    /// The path does not exist.
    NotFound,
    /// The path exists already.
    AlreadyExists,
    /// The user may not do this.
    Denied,
    /// The user could not prove who they are.
    Unauthenticated,
    /// A quota of the folder is used up.
    Quota,
    /// The file is shorter than it was said to be.
    Truncated,
    /// The file is not the one any more that was opened.
    Replaced,
    /// Anything else that another try does not mend.
    Refused,
}

impl FaultKind {
    /// Whether the same call may succeed a little later.
    pub fn is_transient(self) -> bool {
        matches!(
            self,
            Self::Unreachable | Self::Silent | Self::SafeMode | Self::Busy | Self::DataNodes
        )
    }
}

/// One failed call to HDFS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    kind: FaultKind,
    detail: String,
    given_up: Option<GivenUp>,
}

/// Where and for how long a transient fault was waited out in vain.
#[derive(Debug, Clone, PartialEq, Eq)]
struct GivenUp {
    cluster: String,
    waited: Duration,
}

impl Fault {
    pub(super) fn new(kind: FaultKind, detail: impl Into<String>) -> Self {
        Self {
            kind,
            detail: detail.into(),
            given_up: None,
        }
    }

    /// The same fault, which stayed although it was retried.
    pub(super) fn given_up(mut self, cluster: &str, waited: Duration) -> Self {
        self.given_up = Some(GivenUp {
            cluster: cluster.to_owned(),
            waited,
        });
        self
    }

    /// The fault in the causes of `error`.
    pub fn of<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a Self> {
        causes(error).find_map(|cause| cause.downcast_ref())
    }

    /// What a caller can do about it.
    pub fn kind(&self) -> FaultKind {
        self.kind
    }

    /// Whether the same call may succeed a little later.
    pub fn is_transient(&self) -> bool {
        self.kind.is_transient()
    }

    /// The kind in Emporia's vocabulary.
    pub fn error_kind(&self) -> ErrorKind {
        match self.kind {
            kind if kind.is_transient() => ErrorKind::Unavailable,
            FaultKind::NotFound => ErrorKind::NotFound,
            FaultKind::AlreadyExists => ErrorKind::AlreadyExists,
            FaultKind::Denied | FaultKind::Unauthenticated => ErrorKind::PermissionDenied,
            FaultKind::Quota => ErrorKind::ResourceExhausted,
            FaultKind::Truncated => ErrorKind::Corrupt,
            _ => ErrorKind::Failed,
        }
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<&'static str> {
        Some(match self.kind {
            FaultKind::Unreachable | FaultKind::Silent => {
                "check that the NameNode runs, and that the location or `stores.hadoop_conf_dir` names it"
            }
            FaultKind::SafeMode => {
                "`hdfs dfsadmin -safemode get` tells its state; it leaves safe mode when enough DataNodes have reported"
            }
            FaultKind::Busy => {
                "check that a NameNode is active: `hdfs haadmin -getAllServiceState`"
            }
            FaultKind::DataNodes => {
                "`hdfs dfsadmin -report` shows the DataNodes, `hdfs fsck` the missing and corrupt blocks"
            }
            FaultKind::Denied => {
                "let the owner grant the access, or set `stores.hdfs_user` to a user who has it"
            }
            FaultKind::Unauthenticated => {
                "check the Kerberos ticket (`klist`) or keytab of the process"
            }
            FaultKind::Quota => "`hdfs dfs -count -q` shows the quotas of the folder",
            FaultKind::Truncated => "write the file again, or restore it",
            FaultKind::Replaced => "run the query again",
            _ => return None,
        })
    }

    /// The error of an operation, which `text` names, that failed with it.
    pub fn explain(&self, text: impl Into<String>) -> Error {
        let error = Error::new(self.error_kind(), text).with_source(self.clone());
        match self.hint() {
            Some(hint) => error.with_hint(hint),
            None => error,
        }
    }

    /// The fault as the object store interface names it.
    pub(super) fn at(self, path: &str) -> object_store::Error {
        let path = path.to_owned();
        let kind = self.kind;
        let source = Box::new(self);
        match kind {
            FaultKind::NotFound => object_store::Error::NotFound { path, source },
            FaultKind::AlreadyExists => object_store::Error::AlreadyExists { path, source },
            FaultKind::Denied => object_store::Error::PermissionDenied { path, source },
            FaultKind::Unauthenticated => object_store::Error::Unauthenticated { path, source },
            FaultKind::Replaced => object_store::Error::Precondition { path, source },
            _ => object_store::Error::Generic {
                store: "HDFS",
                source,
            },
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let detail = &self.detail;
        let Some(GivenUp { cluster, waited }) = &self.given_up else {
            return f.write_str(detail);
        };
        match self.kind {
            FaultKind::Unreachable => write!(f, "cannot reach HDFS at {cluster}: {detail}")?,
            FaultKind::Silent => write!(f, "HDFS at {cluster} does not answer: {detail}")?,
            FaultKind::SafeMode => write!(f, "the NameNode at {cluster} is in safe mode")?,
            FaultKind::Busy => write!(f, "no NameNode at {cluster} is active: {detail}")?,
            _ => write!(f, "HDFS at {cluster}: {detail}")?,
        }
        write!(
            f,
            " (tried for {} s)",
            waited.as_secs_f32().round().max(1.0)
        )
    }
}

impl StdError for Fault {}

impl From<HdfsError> for Fault {
    fn from(error: HdfsError) -> Self {
        match error {
            HdfsError::IOError(io) => Self::new(FaultKind::Unreachable, connection_text(&io)),
            HdfsError::RPCError(class, message) | HdfsError::FatalRPCError(class, message) => {
                Self::of_exception(&class, &message)
            }
            // The text goes on with all that is known about the DataNodes, in pages.
            HdfsError::DataTransferError(text) if text.starts_with("All DataNodes failed") => {
                Self::new(
                    FaultKind::DataNodes,
                    "no DataNode could serve a block of the file",
                )
            }
            HdfsError::DataTransferError(_)
            | HdfsError::ChecksumError
            | HdfsError::BlocksNotFound(_) => {
                Self::new(FaultKind::DataNodes, first_line(&error.to_string()))
            }
            // The library's text for an unloadable library and for an unfinished file.
            HdfsError::OperationFailed(text) if text.contains("libgssapi") => {
                Self::new(FaultKind::Unauthenticated, text)
            }
            HdfsError::OperationFailed(text) => Self::new(FaultKind::DataNodes, text),
            HdfsError::FileNotFound(path) => {
                Self::new(FaultKind::NotFound, format!("`{path}` does not exist"))
            }
            HdfsError::AlreadyExists(text) => {
                Self::new(FaultKind::AlreadyExists, first_line(&text))
            }
            HdfsError::SASLError(_) | HdfsError::GSSAPIError(..) | HdfsError::NoSASLMechanism => {
                Self::new(FaultKind::Unauthenticated, first_line(&error.to_string()))
            }
            other => Self::new(FaultKind::Refused, first_line(&other.to_string())),
        }
    }
}

impl Fault {
    /// The fault that a server named with a Java exception.
    fn of_exception(class: &str, message: &str) -> Self {
        let detail = first_line(message);
        let name = class.rsplit(['.', '$']).next().unwrap_or(class);
        let kind = match name {
            // Also where it is the reason of another: "RetriableException: SafeModeException: …".
            _ if message.contains("SafeModeException") => FaultKind::SafeMode,
            "SafeModeException" => FaultKind::SafeMode,
            "StandbyException" | "RetriableException" | "ObserverRetryOnActiveException" => {
                FaultKind::Busy
            }
            "FileNotFoundException" | "ParentNotDirectoryException" => FaultKind::NotFound,
            // What old servers say of a path below a file.
            "AccessControlException" if detail.contains("is not a directory") => {
                FaultKind::NotFound
            }
            "FileAlreadyExistsException" => FaultKind::AlreadyExists,
            "AccessControlException" | "AuthorizationException" => FaultKind::Denied,
            "SaslException" | "GSSException" | "InvalidToken" => FaultKind::Unauthenticated,
            "NSQuotaExceededException" | "DSQuotaExceededException" | "QuotaExceededException" => {
                FaultKind::Quota
            }
            // The file that was written is lost, not the path: a new one may be written.
            "LeaseExpiredException" | "NotReplicatedYetException" => FaultKind::DataNodes,
            // "File … could only be written to 0 of the 1 minReplication nodes".
            "IOException" if detail.contains("could only be") => FaultKind::DataNodes,
            _ => FaultKind::Refused,
        };
        let detail = match kind {
            FaultKind::Refused => format!("{name}: {detail}"),
            _ => detail,
        };
        Self::new(kind, detail)
    }
}

/// What happened to a connection.
///
/// The usual cases have words of their own: the system's "Connection refused" reads as if it were
/// about the scheduler.
fn connection_text(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "the connection is refused".to_owned(),
        io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::BrokenPipe
        | io::ErrorKind::UnexpectedEof => "the connection broke".to_owned(),
        _ => first_line(&error.to_string()),
    }
}

/// The first line of what a server says; its stack trace follows.
fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exception(class: &str, message: &str) -> Fault {
        HdfsError::RPCError(class.to_owned(), message.to_owned()).into()
    }

    #[test]
    fn exceptions_are_sorted_by_what_helps() {
        let hdfs = "org.apache.hadoop.hdfs.server.namenode";
        for (class, message, kind) in [
            (
                format!("{hdfs}.SafeModeException"),
                "Cannot create file",
                FaultKind::SafeMode,
            ),
            (
                "org.apache.hadoop.ipc.RetriableException".into(),
                "org.apache.hadoop.hdfs.server.namenode.SafeModeException: Cannot rename",
                FaultKind::SafeMode,
            ),
            (
                "org.apache.hadoop.ipc.RetriableException".into(),
                "NameNode still not started",
                FaultKind::Busy,
            ),
            (
                "org.apache.hadoop.ipc.StandbyException".into(),
                "Operation category READ is not supported in state standby",
                FaultKind::Busy,
            ),
            (
                "java.io.IOException".into(),
                "File /a could only be written to 0 of the 1 minReplication nodes.",
                FaultKind::DataNodes,
            ),
            (
                "java.io.IOException".into(),
                "something else",
                FaultKind::Refused,
            ),
            (
                "org.apache.hadoop.security.AccessControlException".into(),
                "Permission denied: user=ann, access=WRITE",
                FaultKind::Denied,
            ),
            (
                "org.apache.hadoop.security.AccessControlException".into(),
                "/file (is not a directory)",
                FaultKind::NotFound,
            ),
            (
                "org.apache.hadoop.security.token.SecretManager$InvalidToken".into(),
                "token is expired",
                FaultKind::Unauthenticated,
            ),
            (
                "org.apache.hadoop.hdfs.protocol.DSQuotaExceededException".into(),
                "The DiskSpace quota of /a is exceeded",
                FaultKind::Quota,
            ),
            (
                "java.io.FileNotFoundException".into(),
                "File does not exist: /a",
                FaultKind::NotFound,
            ),
        ] {
            assert_eq!(
                exception(&class, message).kind(),
                kind,
                "{class}: {message}"
            );
        }
    }

    #[test]
    fn a_stack_trace_stays_out_of_the_text() {
        let fault = exception(
            "org.apache.hadoop.security.AccessControlException",
            "Permission denied: user=ann, access=WRITE, inode=\"/a\"\n\tat org.apache.hadoop.X\n",
        );
        let text = fault.clone().at("/a/b").to_string();
        assert!(text.contains("/a/b") && text.contains("user=ann"), "{text}");
        assert!(!text.contains("org.apache"), "{text}");
        assert_eq!(fault.error_kind(), ErrorKind::PermissionDenied);
    }

    #[test]
    fn a_given_up_fault_says_where_and_how_long() {
        let refused = io::Error::from(io::ErrorKind::ConnectionRefused);
        let fault = Fault::from(HdfsError::IOError(refused))
            .given_up("nn-1:8020", Duration::from_secs(120));
        assert_eq!(
            fault.to_string(),
            "cannot reach HDFS at nn-1:8020: the connection is refused (tried for 120 s)"
        );
        assert_eq!(fault.error_kind(), ErrorKind::Unavailable);
    }

    #[test]
    fn a_fault_is_found_below_io_errors() {
        let fault = Fault::new(FaultKind::DataNodes, "all are gone");
        let store = fault.clone().at("/a");
        let io = io::Error::from(store);
        let parquet = parquet::errors::ParquetError::from(io);
        assert_eq!(Fault::of(&parquet), Some(&fault));
    }
}
