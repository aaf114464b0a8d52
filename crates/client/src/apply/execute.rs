//! Carries a plan out, one step after the other, and stops at the first that fails.

use super::item::{Item, Kind};
use super::plan::{Action, Plan, Step};
use crate::api::Api;
use crate::error::{ClientError, Refusal};
use crate::output::print;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::path::Path;

/// What became of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StepState {
    Applied,
    /// It is there, without the handovers to agents that are not.
    Unfinished,
    Failed,
    NotApplied,
}

impl StepState {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Unfinished => "unfinished",
            Self::Failed => "failed",
            Self::NotApplied => "not_applied",
        }
    }
}

/// Field of an agent that may name agents which do not exist yet.
const HANDOVERS: &str = "handover_config";

type Ids = BTreeMap<(Kind, String), String>;

/// Carries out all steps; `states` gets one entry for each that was begun.
pub(super) async fn execute(
    plan: &Plan, api: &Api, person: Option<&Api>, file: &Path, tells: bool, states: &mut Vec<StepState>,
) -> Result<(), ClientError> {
    let mut ids = plan.ids.clone();
    let mut later = Vec::new();
    for (index, step) in plan.steps.iter().enumerate() {
        states.push(StepState::Failed);
        // Agents hand over to each other: the last one exists before the first one names it.
        if step.item.kind > Kind::Agent {
            finish(plan, api, file, &ids, &mut later, states).await?;
        }
        if !step.action.is_change() {
            states[index] = StepState::Applied;
            continue;
        }
        let is_whole = apply(step, api, person, &mut ids).await.map_err(|error| at_lines(&step.item, file, error))?;
        if is_whole {
            states[index] = StepState::Applied;
        } else {
            states[index] = StepState::Unfinished;
            later.push(index);
        }
        if tells {
            let done = if step.action == Action::Create { "created" } else { "updated" };
            print(&format!("{done} {}", step.item.title()))?;
        }
    }
    finish(plan, api, file, &ids, &mut later, states).await
}

/// Creates or updates. False if something is left for [`finish`].
async fn apply(step: &Step, api: &Api, person: Option<&Api>, ids: &mut Ids) -> Result<bool, ClientError> {
    let item = &step.item;
    let (mut body, has_open_links) = body(step, ids);
    let is_whole = !(item.kind == Kind::Agent && has_open_links);
    if !is_whole {
        body.remove(HANDOVERS);
        // Nothing else changes: it is all for later.
        if step.known.is_some() && body.is_empty() {
            return Ok(false);
        }
    }
    let body = Value::Object(body);
    let Some(resource) = item.kind.resource() else {
        let person = person.ok_or_else(|| ClientError::Usage("provider keys are stored by people".to_owned()))?;
        return person.post("/secrets", &body).await.map(|_| true);
    };
    let answer = match &step.known {
        None => api.post(resource.path, &body).await?,
        Some(known) => api.patch(&resource.path_of(&known.id), &body, known.etag.as_deref()).await?,
    };
    if let Some(id) = answer[resource.one]["id"].as_str() {
        ids.insert((item.kind, item.name.clone()), id.to_owned());
    }
    Ok(is_whole)
}

/// The handovers of agents that were created before those whom they name.
async fn finish(
    plan: &Plan, api: &Api, file: &Path, ids: &Ids, later: &mut Vec<usize>, states: &mut [StepState],
) -> Result<(), ClientError> {
    for index in std::mem::take(later) {
        let Some(step) = plan.steps.get(index) else { continue };
        let (mut body, _) = body(step, ids);
        body.retain(|field, _| field == HANDOVERS);
        let Some(id) = ids.get(&(Kind::Agent, step.item.name.clone())) else { continue };
        let path = format!("/agents/{id}");
        api.patch(&path, &Value::Object(body), None).await.map_err(|error| at_lines(&step.item, file, error))?;
        if let Some(state) = states.get_mut(index) {
            *state = StepState::Applied;
        }
    }
    Ok(())
}

/// The body of a request, with the ids that are known by now; true if one is missing.
fn body(step: &Step, ids: &Ids) -> (Map<String, Value>, bool) {
    let item = &step.item;
    let mut body = Value::Object(item.fields.clone());
    let mut is_open = false;
    for link in &item.links {
        match (ids.get(&(link.kind, link.name.clone())), body.pointer_mut(&link.pointer)) {
            (Some(id), Some(field)) => *field = id.as_str().into(),
            _ => is_open = true,
        }
    }
    let Value::Object(mut body) = body else { return (Map::new(), is_open) };
    match &step.action {
        Action::Update(fields) if item.kind != Kind::ProviderKey => body.retain(|field, _| fields.contains(field)),
        _ if step.known.is_none() => body.retain(|_, value| !value.is_null()),
        _ => {}
    }
    (body, is_open)
}

/// A refusal names lines of the file.
fn at_lines(item: &Item, file: &Path, error: ClientError) -> ClientError {
    let name = file.display();
    match error {
        ClientError::Refused(refusal) if refusal.status == 412 => {
            let message = format!("{} was changed by somebody else in the meantime: run it again", item.title());
            ClientError::Refused(Refusal { message, ..refusal })
        }
        ClientError::Refused(refusal) if !refusal.faults.is_empty() => {
            let line = |(field, message): &(String, String)| format!("{name}:{}", item.error(field, message.clone()));
            let lines: Vec<String> = refusal.faults.iter().map(line).collect();
            let message = format!("the server refuses {}\n{}", item.title(), lines.join("\n"));
            ClientError::Refused(Refusal { message, ..refusal })
        }
        other => other.after(&format!("{}: ", item.title())),
    }
}
