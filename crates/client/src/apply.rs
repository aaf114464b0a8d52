//! `trunkline apply`: reads a file, checks all of it, shows what it would change, and changes that.

mod compare;
mod document;
mod execute;
mod item;
mod plan;
mod references;
mod rules;
mod server_rules;
mod server_state;

use crate::api::Api;
use crate::credentials::{self, Server};
use crate::error::ClientError;
use crate::fields;
use crate::login;
use crate::output::{print, print_json};
use crate::terminal;
use crate::yaml::FileError;
use clap::Args;
use execute::StepState;
use item::{Item, Kind};
use plan::Plan;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// Errors of a file that are shown.
const SHOWN_MAX: usize = 50;

/// What `trunkline apply` takes.
#[derive(Debug, Args)]
pub struct ApplyArgs {
    /// YAML or JSON file; `-` is standard input.
    #[arg(short, long)]
    file: PathBuf,
    /// Show what would change, and change nothing.
    #[arg(long)]
    dry_run: bool,
    /// Do not ask before changing something.
    #[arg(long, conflicts_with = "dry_run")]
    yes: bool,
    /// Send secrets again that the server has already. Nobody can read what is stored, so a new value is not noticed
    /// without this.
    #[arg(long)]
    update_secrets: bool,
    /// E-mail address of a person, for provider keys (`secrets:`), which an API key may not store. Default:
    /// TRUNKLINE_EMAIL. The password comes from TRUNKLINE_PASSWORD or the terminal.
    #[arg(long)]
    email: Option<String>,
    /// Print one JSON document with the plan and what became of it. Needs --yes or --dry-run.
    #[arg(long)]
    json: bool,
}

/// Reads, checks, shows and applies.
pub(crate) async fn run(args: ApplyArgs) -> Result<(), ClientError> {
    if args.json && !args.yes && !args.dry_run {
        return Err(ClientError::Usage("--json asks no questions: give --yes or --dry-run".to_owned()));
    }
    let items = read(&args.file)?;
    let server = credentials::server()?;
    let api = Api::new(&server)?;
    let errors = server_rules::check(&api, &items).await?;
    if !errors.is_empty() {
        return Err(refused(&args.file, errors));
    }
    let person = person(&server, &items, args.email.as_deref()).await?;
    let outcome = planned_and_applied(&args, items, &api, person.as_ref()).await;
    if let Some(person) = &person {
        let _ = person.post("/auth/logout", &json!({})).await; // the session ends by itself too
    }
    outcome
}

/// The items of a file in which nothing is wrong.
fn read(path: &Path) -> Result<Vec<Item>, ClientError> {
    let folder = path.parent().filter(|_| path.as_os_str() != "-").unwrap_or(Path::new(""));
    let text = fields::read(path)?;
    document::items(&text, folder, &credentials::variable).map_err(|errors| refused(path, errors))
}

/// The whole file is refused: every error has its line and field.
fn refused(path: &Path, mut errors: Vec<FileError>) -> ClientError {
    errors.sort_by_key(|error| error.line);
    let name = path.display();
    let mut lines: Vec<String> = errors.iter().take(SHOWN_MAX).map(|error| format!("{name}:{error}")).collect();
    if errors.len() > SHOWN_MAX {
        lines.push(format!("and {} more", errors.len() - SHOWN_MAX));
    }
    ClientError::Usage(format!("nothing was changed, because the file has errors\n{}", lines.join("\n")))
}

/// Provider keys are for people.
async fn person(server: &Server, items: &[Item], email: Option<&str>) -> Result<Option<Api>, ClientError> {
    if items.iter().all(|item| item.kind != Kind::ProviderKey) {
        return Ok(None);
    }
    let email = match email.map(str::to_owned).or_else(|| credentials::variable("TRUNKLINE_EMAIL")) {
        Some(email) => email,
        None if terminal::has_person() => terminal::ask("E-mail (provider keys are stored by people)", "")?,
        None => {
            let words = "`secrets` are stored by people, not by API keys: give --email, or set TRUNKLINE_EMAIL";
            return Err(ClientError::Usage(words.to_owned()));
        }
    };
    login::session(server, &email, None).await.map(Some)
}

async fn planned_and_applied(
    args: &ApplyArgs, items: Vec<Item>, api: &Api, person: Option<&Api>,
) -> Result<(), ClientError> {
    let known = server_state::read(api, person, &items).await?;
    let plan = plan::plan(items, known, args.update_secrets).map_err(|errors| refused(&args.file, errors))?;
    if !args.json {
        print(&plan.table())?;
    }
    let changes = plan.changes();
    if args.dry_run || changes == 0 {
        return match args.json {
            true => print_json(&report(&plan, &[], None)),
            false => print(&format!("{}{}", plan.summary(), if changes > 0 { "; nothing was changed" } else { "" })),
        };
    }
    if !args.yes && !agreed(&plan)? {
        return Err(ClientError::Interrupted("nothing was changed".to_owned()));
    }
    let mut states = Vec::new();
    let failed = execute::execute(&plan, api, person, &args.file, !args.json, &mut states).await.err();
    if args.json {
        print_json(&report(&plan, &states, failed.as_ref()))?;
    }
    match failed {
        None if args.json => Ok(()),
        None => print(&format!("{}; done", plan.summary())),
        Some(error) => Err(half_way(&plan, &states, error)),
    }
}

fn agreed(plan: &Plan) -> Result<bool, ClientError> {
    if !terminal::has_person() {
        return Err(ClientError::Usage("nobody can be asked here: give --yes or --dry-run".to_owned()));
    }
    terminal::confirmed(&format!("{}. Apply?", plan.summary()))
}

/// What was applied before an error, and what was not.
fn half_way(plan: &Plan, states: &[StepState], error: ClientError) -> ClientError {
    let named = |wanted: StepState| {
        let steps = plan.steps.iter().zip(states.iter().chain(std::iter::repeat(&StepState::NotApplied)));
        let found = steps.filter(|(step, state)| **state == wanted && step.action.is_change());
        let names: Vec<String> = found.map(|(step, _)| step.item.title()).collect();
        if names.is_empty() { "nothing".to_owned() } else { names.join(", ") }
    };
    let (applied, rest) = (named(StepState::Applied), named(StepState::NotApplied));
    let unfinished = match states.contains(&StepState::Unfinished) {
        true => format!("applied without handovers: {}\n", named(StepState::Unfinished)),
        false => String::new(),
    };
    let words = format!(
        "applied: {applied}\n{unfinished}failed: {}\nnot applied: {rest}\nrun it again to finish it; what was applied stays as it is\n",
        named(StepState::Failed)
    );
    error.after(&words)
}

fn report(plan: &Plan, states: &[StepState], failed: Option<&ClientError>) -> Value {
    let step = |(index, step): (usize, &plan::Step)| {
        let state = match (step.action.is_change(), states.get(index)) {
            (false, _) => "unchanged",
            (true, Some(state)) => state.name(),
            (true, None) if states.is_empty() && failed.is_none() => "planned",
            (true, None) => StepState::NotApplied.name(),
        };
        json!({
            "kind": step.item.kind.word().replace(' ', "_"),
            "name": step.item.name,
            "action": step.action.name(),
            "fields": step.action.fields(),
            "state": state,
        })
    };
    let steps: Vec<Value> = plan.steps.iter().enumerate().map(step).collect();
    json!({"items": steps, "error": failed.map(ToString::to_string)})
}

#[cfg(test)]
mod tests;
