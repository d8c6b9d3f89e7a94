//! Imports.
use emporia_core::Result;
/// x
pub async fn import_cdnow() -> Result<()> { Ok(()) }
/// x
pub async fn import_online_retail() -> Result<()> { Ok(()) }
