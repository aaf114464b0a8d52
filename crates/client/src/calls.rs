//! `trunkline calls`.

use crate::api::Api;
use crate::credentials;
use crate::error::ClientError;
use crate::output::{cell, print, print_json};
use crate::resource::CALLS;
use crate::resource_commands::{ListArgs, OneArgs, list, show};
use crate::tail::{self, TailArgs};
use crate::text::clean;
use clap::Subcommand;
use serde_json::{Value, json};

/// Commands of calls.
#[derive(Debug, Subcommand)]
pub enum CallsCommand {
    /// List calls, newest first. Filters: task_id, agent_id, status, direction, end_reason, started_after,
    /// started_before, q (words).
    List(ListArgs),
    /// Show one call.
    Get(OneArgs),
    /// Print what was said in a call.
    Transcript(OneArgs),
    /// Show what is being said in a call until it ends; without an id, in the next call that goes on.
    Tail(TailArgs),
    /// Hang up.
    End(OneArgs),
}

/// Runs a command.
pub(crate) async fn run(command: CallsCommand) -> Result<(), ClientError> {
    let server = credentials::server()?;
    let api = Api::new(&server)?;
    match command {
        CallsCommand::List(args) => list(&CALLS, &api, args).await,
        CallsCommand::Get(args) => {
            let id = CALLS.id_of(&api, &args.id).await?;
            show(&CALLS, &api.get(&CALLS.path_of(&id)).await?, args.output)
        }
        CallsCommand::Transcript(args) => {
            let id = CALLS.id_of(&api, &args.id).await?;
            let body = api.get(&format!("/calls/{id}/transcript")).await?;
            if args.output.json { print_json(&body) } else { print_transcript(&body) }
        }
        CallsCommand::Tail(args) => tail::run(&api, args).await,
        CallsCommand::End(args) => {
            let id = CALLS.id_of(&api, &args.id).await?;
            show(&CALLS, &api.post(&format!("/calls/{id}/end"), &json!({})).await?, args.output)
        }
    }
}

fn print_transcript(body: &Value) -> Result<(), ClientError> {
    for turn in body["transcript"].as_array().into_iter().flatten() {
        print(&format!("{}: {}", clean(&cell(&turn["role"])), clean(&cell(&turn["content"]))))?;
    }
    Ok(())
}
