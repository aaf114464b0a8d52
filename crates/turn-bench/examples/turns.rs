//! `trunkline bench turns` without the server, for those who change the policy: it builds in a fraction of the time.
//!
//! `cargo run --example turns -- --data DIR`
#![expect(clippy::print_stderr, reason = "a tool prints")]

use clap::Parser;
use std::process::ExitCode;
use trunkline_turn_bench::TurnBenchArgs;

#[derive(Debug, Parser)]
struct Args {
    #[command(flatten)]
    bench: TurnBenchArgs,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let none = |_: &_| Err("--stt needs `trunkline bench turns`, which knows the providers".to_owned());
    match trunkline_turn_bench::run(&Args::parse().bench, none).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
