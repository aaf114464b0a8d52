//! The `trunkline` program.

use clap::Parser as _;
use std::process::ExitCode;

fn main() -> ExitCode {
    trunkline::cli::run(trunkline::cli::Cli::parse())
}
