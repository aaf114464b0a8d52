//! `trunkline calls`.

use crate::api::Api;
use crate::credentials;
use crate::error::ClientError;
use crate::output::{cell, print, print_json};
use crate::resource::CALLS;
use crate::resource_commands::{ListArgs, OneArgs, list, show};
use crate::tail::{self, TailArgs};
use crate::text::clean;
use clap::{Args, Subcommand};
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
    /// Let the agent of a call in progress say a text, when it has finished and the caller is silent.
    Say(SayArgs),
    /// Whisper an instruction to the agent of a call in progress: its next answer follows it.
    Instruct(InstructArgs),
    /// Put the caller of a call in progress through.
    Transfer(TransferArgs),
    /// Put the caller on hold, until `resume`.
    Hold(OneArgs),
    /// Take the caller off hold.
    Resume(OneArgs),
}

/// What the agent says.
#[derive(Debug, Args)]
pub struct SayArgs {
    #[command(flatten)]
    one: OneArgs,
    /// The text, at most 1,000 characters.
    #[arg(value_name = "TEXT")]
    text: String,
    /// Cut what the agent is saying.
    #[arg(long)]
    interrupt: bool,
}

/// What the agent is told.
#[derive(Debug, Args)]
pub struct InstructArgs {
    #[command(flatten)]
    one: OneArgs,
    /// The instruction, at most 1,000 characters.
    #[arg(value_name = "TEXT")]
    text: String,
}

/// Where the caller is put through.
#[derive(Debug, Args)]
pub struct TransferArgs {
    #[command(flatten)]
    one: OneArgs,
    /// An E.164 number, or the name of a destination of the agent.
    #[arg(value_name = "NUMBER OR NAME")]
    to: String,
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
        CallsCommand::Say(SayArgs { one, text, interrupt }) => {
            control(&api, one, "say", json!({"text": text, "interrupt": interrupt})).await
        }
        CallsCommand::Instruct(InstructArgs { one, text }) => {
            control(&api, one, "instruct", json!({"text": text})).await
        }
        CallsCommand::Transfer(TransferArgs { one, to }) => {
            let field = if to.starts_with('+') { "to" } else { "destination" };
            control(&api, one, "transfer", json!({field: to})).await
        }
        CallsCommand::Hold(one) => control(&api, one, "hold", json!({})).await,
        CallsCommand::Resume(one) => control(&api, one, "resume", json!({})).await,
    }
}

/// Gives a command to a call in progress, and says that the call has taken it.
async fn control(api: &Api, one: OneArgs, control: &str, body: Value) -> Result<(), ClientError> {
    let id = CALLS.id_of(api, &one.id).await?;
    let taken = api.post(&format!("/calls/{id}/{control}"), &body).await?;
    if one.output.json { print_json(&taken) } else { print(&format!("{control}: the call has taken it")) }
}

fn print_transcript(body: &Value) -> Result<(), ClientError> {
    for turn in body["transcript"].as_array().into_iter().flatten() {
        print(&format!("{}: {}", clean(&cell(&turn["role"])), clean(&cell(&turn["content"]))))?;
    }
    Ok(())
}
