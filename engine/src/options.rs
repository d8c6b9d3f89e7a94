//! The knobs of query execution.

/// How queries are planned and run; the same values must hold in every process, so the client sends
/// them with each query.
#[derive(Debug, Clone, PartialEq)]
pub struct EngineOptions {
    /// Whether the scheduler plans a stage again when the sizes of its inputs are known.
    pub adaptive: bool,
    /// Partitions of scans and exchanges.
    pub target_partitions: usize,
    /// Rows of a record batch.
    pub batch_size: usize,
    /// Largest build side that is sent to every task instead of being exchanged.
    pub broadcast_threshold_bytes: u64,
    /// Largest gRPC message that any process sends or takes.
    pub grpc_max_message_bytes: usize,
}

impl Default for EngineOptions {
    fn default() -> Self {
        Self {
            adaptive: true,
            target_partitions: 2,
            batch_size: 8192,
            broadcast_threshold_bytes: 32 * 1024 * 1024,
            grpc_max_message_bytes: 128 * 1024 * 1024,
        }
    }
}
