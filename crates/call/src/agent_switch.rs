//! What becomes of a call when another agent takes it over: whether it can, its configuration for this call, and which
//! connections and settings change.
//!
//! Pure: the driver reads the agent, opens what is to be opened, and carries out the plan.

use super::call_webhooks::CallWebhooks;
use super::machine::CallSpec;
use super::personalize::{known_values, personalize_successor};
use super::provider_plan;
use crate::domain::agent::{Agent, AgentFields};
use crate::domain::agent_texts::fixed_texts;
use crate::domain::call::{Call, Direction};
use crate::domain::call_facts::{CallVariables, day_at};
use crate::domain::collected::CollectedValues;
use crate::domain::ids::AgentId;
use crate::domain::provider::ProviderAccount;
use crate::domain::template::TemplateReport;
use crate::domain::time::UnixMs;
use crate::webhooks::event;
use serde_json::{Map, Value, json};
use std::fmt;
use trunkline_media::codec::Companding;

/// Why an agent does not take a call over; `Display` is for the LLM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HandoverError {
    /// It was deleted, or belongs to another organization.
    NotFound,
    /// It is disabled.
    Disabled,
    /// It has a realtime model, which takes the place of the pipeline that the call has.
    Realtime,
    /// A provider of it has no key.
    NoKey(&'static str),
    /// A provider of it was asked and does not work: the name of the stage.
    Broken(&'static str),
    /// The server could not prepare it.
    Internal,
}

impl fmt::Display for HandoverError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound => f.write_str("there is no such agent any more"),
            Self::Disabled => f.write_str("the agent is switched off"),
            Self::Realtime => f.write_str("the agent has a realtime model, which cannot take a call over"),
            Self::NoKey(provider) => write!(f, "the agent has no key for {provider}"),
            Self::Broken(stage) => write!(f, "the agent's {stage} does not work"),
            Self::Internal => f.write_str("the agent could not be prepared"),
        }
    }
}

/// Whether an agent of the organization can take a call over. `missing_key` names its first provider without a key.
pub fn check_successor(
    found: Option<Agent>, missing_key: impl FnOnce(&AgentFields) -> Option<&'static str>,
) -> Result<Agent, HandoverError> {
    let agent = found.ok_or(HandoverError::NotFound)?;
    if !agent.fields.is_active {
        return Err(HandoverError::Disabled);
    }
    if agent.fields.is_realtime() {
        return Err(HandoverError::Realtime);
    }
    missing_key(&agent.fields).map_or(Ok(agent), |provider| Err(HandoverError::NoKey(provider)))
}

/// The next agent of a call, as it holds for the call.
#[derive(Debug)]
pub struct Successor {
    /// Its configuration, with the call's variables filled in.
    pub spec: CallSpec,
    /// Where the call's events go from here on.
    pub hooks: CallWebhooks,
    /// The configuration as webhooks and the analysis see it.
    pub assistant: Value,
    /// Variables without a value.
    pub report: TemplateReport,
}

/// Configures an agent for a call that another one has. What belongs to the call and not to an agent stays as it began:
/// the task, the recording and the longest duration. An agent without a webhook leaves the events where they went.
pub fn successor(
    (id, mut fields): (AgentId, AgentFields), before: &CallSpec, hooks: &CallWebhooks, call: &Call, now: UnixMs,
    variables: &CallVariables,
) -> Successor {
    let mut added = Map::new();
    fields.recording_enabled = before.agent.recording_enabled;
    fields.max_duration_seconds = before.agent.max_duration_seconds;
    if call.direction == Direction::Chat {
        chat_fields(&mut fields);
    }
    let hooks = match fields.webhook_url {
        Some(_) => CallWebhooks::new(Some(id), &fields),
        None => {
            fields.webhook_url.clone_from(&hooks.url);
            fields.webhook_events.clone_from(&before.agent.webhook_events);
            added.insert("webhook_agent_id".to_owned(), json!(hooks.agent));
            hooks.clone()
        }
    };
    let assistant = event::assistant(Some(id), &fields, &added);
    let mut task = before.task.clone();
    let fixed_texts = fixed_texts(&fields).into();
    let report = personalize_successor(&mut fields, (task.as_ref(), &before.agent), call, now, variables);
    if let Some(task) = &mut task {
        // It was for the agent that began the call.
        task.starting_message = None;
    }
    let today = day_at(fields.time_zone.as_deref(), now);
    let known = known_values(&fields, task.as_ref(), call, now);
    let spec = CallSpec {
        agent_id: Some(id),
        agent: fields,
        task,
        fixed_texts,
        known,
        spoken: None,
        is_web: before.is_web,
        today,
    };
    Successor { spec, hooks, assistant, report }
}

/// Leaves out what a chat has no use for: nobody is silent there, and nothing is recorded.
pub fn chat_fields(fields: &mut AgentFields) {
    fields.autonomous_silence_handling = Some(false);
    fields.recording_enabled = Some(false);
    fields.background = None;
}

/// What an agent's texts may say of what tools have set: secret digits of the caller only if the agent may read them.
pub fn readable_variables(
    fields: &AgentFields, variables: &CallVariables, collected: &CollectedValues,
) -> CallVariables {
    let settings = fields.built_in_tools.as_ref().and_then(|tools| tools.collect_digits.as_ref());
    match settings.is_some_and(|settings| settings.reveal_secrets) {
        true => variables.clone(),
        false => variables.masked(collected),
    }
}

/// Where the next agent's connection of one kind comes from.
#[derive(Debug, PartialEq, Eq)]
pub enum Connection<T> {
    /// It was opened while the agent was prepared.
    Prepared(T),
    /// The call's own one has changed since: another one is opened now.
    Open,
    /// The call's own one goes on.
    Keep,
}

impl<T> Connection<T> {
    /// `change` compares the agents as they are at the switch: the language may have changed since the preparation.
    pub fn at_switch(prepared: Option<T>, change: Change) -> Self {
        match (prepared, change) {
            (Some(prepared), _) => Self::Prepared(prepared),
            (None, Change::Replace) => Self::Open,
            (None, Change::Keep) => Self::Keep,
        }
    }
}

/// What of a connection or a setting happens at the switch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Both agents have the same: it goes on.
    Keep,
    /// The next agent has another one.
    Replace,
}

/// What changes when another agent takes over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AgentSwitch {
    /// The STT session. The one before it listens until the caller is silent.
    pub stt: Change,
    /// The voices.
    pub tts: Change,
    /// What interrupts the agent.
    pub barge_in: Change,
    /// The sound behind the agent's voice.
    pub ambience: Change,
    /// An account of an LLM that the call has not used and that nothing stands in for: it is tried before the switch.
    pub untried_llm: Option<ProviderAccount>,
}

impl AgentSwitch {
    /// The same in a chat, which has neither STT nor a voice.
    pub fn without_sound(self) -> Self {
        Self { stt: Change::Keep, tts: Change::Keep, barge_in: Change::Keep, ambience: Change::Keep, ..self }
    }
}

/// Compares two agents of a call.
pub fn plan(before: &CallSpec, after: &CallSpec) -> AgentSwitch {
    let change = |same: bool| if same { Change::Keep } else { Change::Replace };
    // The companding belongs to the line, which stays.
    let stt = |spec: &CallSpec| provider_plan::stt_choices(spec, Companding::MuLaw);
    let voices = |spec: &CallSpec| (provider_plan::tts_configs(spec), spec.agent.voice_settings.clone());
    let (old_turn, new_turn) = (before.agent.turn(), after.agent.turn());
    let llm = provider_plan::llm(&after.agent);
    let is_alone = after.agent.fallbacks.as_ref().is_none_or(|fallbacks| fallbacks.llm.is_empty());
    let is_known = provider_plan::llm_configs(&before.agent).iter().any(|known| known.provider == llm.provider);
    AgentSwitch {
        stt: change(stt(before) == stt(after)),
        tts: change(voices(before) == voices(after)),
        barge_in: change(
            (old_turn.barge_in, old_turn.barge_in_min_speech_ms)
                == (new_turn.barge_in, new_turn.barge_in_min_speech_ms),
        ),
        ambience: change(before.agent.background == after.agent.background),
        untried_llm: (is_alone && !is_known && llm.base_url.is_none() && !llm.provider.is_rules())
            .then(|| llm.provider.account()),
    }
}

#[cfg(test)]
mod tests;
