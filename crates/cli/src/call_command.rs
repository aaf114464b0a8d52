//! `trunkline call`: a phone that calls a SIP URI, or an agent of a server that calls a number.

use crate::command_error::CommandError;
use clap::Args;
use trunkline_client::CallByAgentArgs;
use trunkline_lab::call::{self, CallArgs};

/// Settings of the phone, which mean nothing to a server.
const OF_THE_PHONE: [&str; 11] =
    ["script", "listen", "rtp_ports", "from", "transport", "username", "password", "codecs", "calls", "rate", "record"];

/// What `trunkline call` takes.
#[derive(Debug, Args)]
#[command(mut_arg("agent", |agent| agent.conflicts_with_all(OF_THE_PHONE)))]
pub(crate) struct CallCommand {
    #[command(flatten)]
    phone: CallArgs,
    #[command(flatten)]
    by_agent: CallByAgentArgs,
}

/// Calls.
pub(crate) async fn run(command: CallCommand) -> Result<(), CommandError> {
    match command.by_agent.call(command.phone.to.as_deref())? {
        Some(call) => Ok(call.run().await?),
        None => Ok(call::run(command.phone).await?),
    }
}
