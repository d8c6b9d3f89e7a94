//! What a plan may be to be sent.

use datafusion::logical_expr::LogicalPlan;
use datafusion_proto::bytes::logical_plan_to_bytes_with_extension_codec;
use datafusion_proto::logical_plan::{AsLogicalPlan, LogicalExtensionCodec};
use datafusion_proto::protobuf::LogicalPlanNode;
use emporia_core::error::{Error, ErrorKind, Result};

use crate::failure::{is_too_deep, too_deep, unsendable};

const MIB: usize = 1024 * 1024;

/// The largest limit or offset that every message of a plan has room for; some have 32 bits only.
pub(crate) const MOST_ROWS: u32 = u32::MAX;

/// Checks that the scheduler can take the plan, so that one that is too large or too deep says so instead of
/// looking like a lost connection.
///
/// # Errors
/// `InvalidInput` or `Unsupported` where it cannot.
pub(crate) fn check(
    plan: &LogicalPlan,
    codec: &dyn LogicalExtensionCodec,
    max_bytes: usize,
) -> Result<()> {
    let bytes = match logical_plan_to_bytes_with_extension_codec(plan, codec) {
        Ok(bytes) => bytes,
        Err(error) => return unsendable(&error).map_or(Ok(()), Err),
    };
    if bytes.len() >= max_bytes {
        let text = format!(
            "the plan of the query takes {} MiB, and {} MiB can be sent",
            bytes.len() / MIB,
            max_bytes / MIB
        );
        return Err(Error::new(ErrorKind::InvalidInput, text).with_hint(
            "put long lists of values into a table, or raise grpc_max_message in all programs",
        ));
    }
    match LogicalPlanNode::try_decode(&bytes) {
        Err(e) if is_too_deep(&e.to_string()) => Err(too_deep()),
        _ => Ok(()),
    }
}
