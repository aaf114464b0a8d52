//! `list`, `get`, `create`, `update` and `delete` of agents, numbers, trunks and tasks.

use crate::api::Api;
use crate::credentials;
use crate::error::ClientError;
use crate::fields::FieldArgs;
use crate::output::{OutputArgs, cell, print, print_json, table};
use crate::resource::{Resource, TASKS};
use crate::terminal;
use clap::{Args, Subcommand};
use serde_json::{Value, json};

/// Commands of one kind of document.
#[derive(Debug, Subcommand)]
pub enum ResourceCommand {
    /// List entries, newest first.
    List(ListArgs),
    /// Show one entry.
    Get(OneArgs),
    /// Create an entry.
    Create(CreateArgs),
    /// Change some fields of an entry; `null` clears one.
    Update(UpdateArgs),
    /// Delete an entry.
    Delete(DeleteArgs),
}

/// Commands of tasks.
#[derive(Debug, Subcommand)]
pub enum TaskCommand {
    #[command(flatten)]
    Document(ResourceCommand),
    /// Make the call of a task now.
    Execute(OneArgs),
}

/// How much of a list is shown.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// Entries to show; pages are fetched as they are needed.
    #[arg(long, default_value_t = 50)]
    limit: usize,
    /// Show all entries.
    #[arg(long, conflicts_with = "limit")]
    all: bool,
    /// NAME=VALUE of the API's list, such as enabled=true or status=pending; may be repeated.
    #[arg(long = "filter", value_name = "NAME=VALUE")]
    filters: Vec<String>,
    #[command(flatten)]
    output: OutputArgs,
}

/// One entry.
#[derive(Debug, Args)]
pub struct OneArgs {
    /// Id, or the name or number where the entry has one.
    pub(crate) id: String,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

/// A new entry.
#[derive(Debug, Args)]
pub struct CreateArgs {
    #[command(flatten)]
    fields: FieldArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// Changes to an entry.
#[derive(Debug, Args)]
pub struct UpdateArgs {
    /// Id, or the name or number where the entry has one.
    id: String,
    #[command(flatten)]
    fields: FieldArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// An entry that is to go.
#[derive(Debug, Args)]
pub struct DeleteArgs {
    /// Id, or the name or number where the entry has one.
    id: String,
    /// Do not ask.
    #[arg(long)]
    yes: bool,
}

/// Runs a command.
pub(crate) async fn run(resource: &Resource, command: ResourceCommand) -> Result<(), ClientError> {
    let api = Api::new(&credentials::server()?)?;
    match command {
        ResourceCommand::List(args) => list(resource, &api, args).await,
        ResourceCommand::Get(args) => {
            let id = resource.id_of(&api, &args.id).await?;
            show(resource, &api.get(&resource.path_of(&id)).await?, args.output)
        }
        ResourceCommand::Create(args) => {
            let fields = args.fields.fields()?;
            show(resource, &api.post(resource.path, &Value::Object(fields)).await?, args.output)
        }
        ResourceCommand::Update(args) => {
            let fields = args.fields.fields()?;
            let id = resource.id_of(&api, &args.id).await?;
            show(resource, &api.patch(&resource.path_of(&id), &Value::Object(fields), None).await?, args.output)
        }
        ResourceCommand::Delete(args) => {
            let id = resource.id_of(&api, &args.id).await?;
            if !args.yes {
                confirm(&format!("Delete {} {}?", resource.one.replace('_', " "), args.id))?;
            }
            api.delete(&resource.path_of(&id)).await?;
            print(&format!("deleted {id}"))
        }
    }
}

/// Runs a command of tasks.
pub(crate) async fn run_task(command: TaskCommand) -> Result<(), ClientError> {
    match command {
        TaskCommand::Document(command) => run(&TASKS, command).await,
        TaskCommand::Execute(args) => {
            let api = Api::new(&credentials::server()?)?;
            let id = TASKS.id_of(&api, &args.id).await?;
            let executed = api.post(&format!("/tasks/{id}/execute"), &json!({})).await?;
            if args.output.json {
                return print_json(&executed);
            }
            let call = executed["call_id"].as_str().unwrap_or_default();
            print(&format!("{call}\n{}: `trunkline calls tail {call}` shows it", cell(&executed["message"])))
        }
    }
}

fn confirm(question: &str) -> Result<(), ClientError> {
    if !terminal::has_person() {
        return Err(ClientError::Usage("nobody can be asked here: give --yes".to_owned()));
    }
    if terminal::confirmed(question)? { Ok(()) } else { Err(ClientError::Interrupted("nothing was done".to_owned())) }
}

/// Prints a list.
pub(crate) async fn list(resource: &Resource, api: &Api, args: ListArgs) -> Result<(), ClientError> {
    let pair = |text: &String| match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err(ClientError::Usage(format!("--filter {text}: it is NAME=VALUE"))),
    };
    let filters = args.filters.iter().map(pair).collect::<Result<Vec<_>, _>>()?;
    let limit = if args.all { usize::MAX } else { args.limit.max(1) };
    let (entries, total) = api.list(resource.path, resource.many, &filters, limit).await?;
    if args.output.json {
        return print_json(&json!({resource.many: entries, "total": total}));
    }
    if entries.is_empty() {
        eprintln!("there are no {}", resource.many.replace('_', " "));
        return Ok(());
    }
    print(&resource.table(&entries))?;
    if (entries.len() as u64) < total {
        eprintln!("{} of {total}: --all shows all", entries.len());
    }
    Ok(())
}

/// Prints an answer with one document.
pub(crate) fn show(resource: &Resource, body: &Value, output: OutputArgs) -> Result<(), ClientError> {
    for warning in body["warnings"].as_array().into_iter().flatten() {
        eprintln!("warning: {}", cell(warning));
    }
    if output.json {
        return print_json(body);
    }
    let document = if body[resource.one].is_object() { &body[resource.one] } else { body };
    let mut rows: Vec<Vec<String>> = Vec::new();
    for (field, value) in document.as_object().into_iter().flatten() {
        if !value.is_null() {
            rows.push(vec![field.clone(), cell(value)]);
        }
    }
    print(&table(&["FIELD", "VALUE"], &rows))
}
