//! `trunkline bench`: filled in below.

use clap::Args;

#[derive(Debug, Args)]
pub(super) struct BenchArgs {}

pub(super) async fn run(_args: BenchArgs) -> Result<(), String> {
    Ok(())
}
