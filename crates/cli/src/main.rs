//! The `trunkline` program.

use clap::Parser as _;
use std::process::ExitCode;

/// Gives the memory of ended calls back to the system, which the C library's allocator does not.
#[cfg(feature = "jemalloc")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    trunkline_cli::run(trunkline_cli::Cli::parse())
}
