//! The part of `trunkline` that uses a server over its REST API: it reads no settings and opens no database.
#![expect(clippy::print_stderr, reason = "a command line prints")]
#![expect(clippy::disallowed_methods, reason = "tools are programs: they read clocks and wait")]

mod api;
mod apply;
mod call;
mod calls;
mod credentials;
mod error;
mod fields;
mod login;
mod output;
mod resource;
mod resource_commands;
mod tail;
mod terminal;
mod text;
mod transcript_view;
mod yaml;

use clap::Subcommand;

pub use call::{CallByAgent, CallByAgentArgs};
pub use error::{ClientError, EXIT_CALL_FAILED, EXIT_REFUSED, EXIT_UNREACHABLE};

/// The commands that need a server and a key.
#[derive(Debug, Subcommand)]
pub enum ClientCommand {
    /// Check a server's address and an API key, or an e-mail address and password, and remember them for the other
    /// commands.
    Login(login::LoginArgs),
    /// Forget the key of a server.
    Logout(login::LogoutArgs),
    /// Agents of the organization: list, get, create, update, delete.
    #[command(subcommand)]
    Agents(resource_commands::ResourceCommand),
    /// Phone numbers: list, get, create, update, delete.
    #[command(subcommand)]
    Numbers(resource_commands::ResourceCommand),
    /// SIP trunks: list, get, create, update, delete.
    #[command(subcommand)]
    Trunks(resource_commands::ResourceCommand),
    /// Tasks, which are calls to be made: list, get, create, update, delete, execute.
    #[command(subcommand)]
    Tasks(resource_commands::TaskCommand),
    /// Calls: list, get, transcript, end, and tail, which shows what is being said.
    #[command(subcommand)]
    Calls(calls::CallsCommand),
    /// Create and change trunks, agents and numbers until they are as a YAML file says.
    Apply(apply::ApplyArgs),
}

/// Runs a command to its end.
///
/// # Errors
///
/// What went wrong, with words for the person at the terminal and an exit code.
pub async fn run(command: ClientCommand) -> Result<(), ClientError> {
    match command {
        ClientCommand::Login(args) => login::login(args).await,
        ClientCommand::Logout(args) => login::logout(&args),
        ClientCommand::Agents(command) => resource_commands::run(&resource::AGENTS, command).await,
        ClientCommand::Numbers(command) => resource_commands::run(&resource::NUMBERS, command).await,
        ClientCommand::Trunks(command) => resource_commands::run(&resource::TRUNKS, command).await,
        ClientCommand::Tasks(command) => resource_commands::run_task(command).await,
        ClientCommand::Calls(command) => calls::run(command).await,
        ClientCommand::Apply(args) => apply::run(args).await,
    }
}
