//! Prepares another agent to take a call over, while the present one still has it: reads it, tries what the call has not
//! used, and opens its STT and its voice.

use super::provider_candidates;
use super::services::SharedServices;
use super::stt_feed::SttFeed;
use super::tts::TtsPipeline;
use crate::agent_switch::{self, Change, HandoverError, Successor};
use crate::call_webhooks::CallWebhooks;
use crate::domain::agent::AgentFields;
use crate::domain::call::{Call, Direction};
use crate::domain::call_facts::CallVariables;
use crate::domain::collected::CollectedValues;
use crate::domain::ids::AgentId;
use crate::domain::provider::ProviderAccount;
use crate::machine::CallSpec;
use crate::providers::SttEvent;
use crate::store::{OrgScope, now};
use serde_json::Value;
use std::time::Duration;
use tokio::time::timeout;
use trunkline_media::audio::AudioFormat;

/// STT of the next agent is connected in this time.
const STT_DEADLINE: Duration = Duration::from_secs(4);
/// An LLM that has not answered by then is asked when it is needed: it may only be slow.
const LLM_DEADLINE: Duration = Duration::from_secs(2);

/// What the preparation of an agent needs to know of its call.
pub(super) struct AgentPreparation {
    pub context: SharedServices,
    pub scope: OrgScope,
    pub agent: AgentId,
    /// The call as the present agent has it.
    pub before: CallSpec,
    pub call: Call,
    pub hooks: CallWebhooks,
    /// What tools have set so far, as the agent may read it or not.
    pub variables: (CallVariables, CollectedValues),
    /// The format of the line.
    pub line: AudioFormat,
}

/// An agent that can take the call over at once.
pub(super) struct PreparedAgent {
    /// As it is stored: its texts are filled in again when tools have set something meanwhile.
    pub stored: (AgentId, AgentFields),
    pub successor: Successor,
    /// `None`: the session goes on.
    pub stt: Option<SttFeed>,
    /// `None`: the voices go on.
    pub tts: Option<TtsPipeline>,
    /// Schemas that were left out.
    pub left_out: Option<Value>,
}

impl AgentPreparation {
    pub(super) async fn run(self) -> Result<Box<PreparedAgent>, HandoverError> {
        let found = self.context.store.stored_agent(self.scope, self.agent).await;
        let found = found.map_err(|error| {
            tracing::error!(%error, "cannot read the next agent of a call");
            HandoverError::Internal
        })?;
        let is_chat = self.call.direction == Direction::Chat;
        let missing = |fields: &AgentFields| match is_chat {
            true => provider_candidates::missing_llm(&self.context.providers, fields),
            false => provider_candidates::missing_provider(&self.context.providers, fields),
        };
        let mut agent = agent_switch::check_successor(found, missing)?;
        let left_out = self.context.schemas.remove_oversized(self.scope, &mut agent.fields).await;
        let stored = (agent.id, agent.fields);
        let variables = agent_switch::readable_variables(&stored.1, &self.variables.0, &self.variables.1);
        let (before, hooks) = (&self.before, &self.hooks);
        let successor = agent_switch::successor(stored.clone(), before, hooks, &self.call, now(), &variables);
        let switch = agent_switch::plan(&self.before, &successor.spec);
        let switch = if is_chat { switch.without_sound() } else { switch };
        let (stt, llm) = tokio::join!(self.open_stt(&successor.spec, switch.stt), self.try_llm(switch.untried_llm));
        llm?;
        let stt = stt?;
        let providers = &self.context.providers;
        let tts =
            (switch.tts == Change::Replace).then(|| TtsPipeline::new(providers.clone(), successor.spec.clone(), true));
        Ok(Box::new(PreparedAgent { stored, successor, stt, tts, left_out }))
    }

    async fn open_stt(&self, spec: &CallSpec, change: Change) -> Result<Option<SttFeed>, HandoverError> {
        if change == Change::Keep {
            return Ok(None);
        }
        let mut stt = self.context.start_stt(spec, self.line);
        let is_ready = async {
            while let Some(event) = stt.next().await {
                match event {
                    SttEvent::Ready => return true,
                    SttEvent::Failed(error) => {
                        tracing::warn!(%error, "STT of the next agent does not work");
                        return false;
                    }
                    _ => {}
                }
            }
            false
        };
        match timeout(STT_DEADLINE, is_ready).await {
            Ok(true) => Ok(Some(stt)),
            Ok(false) | Err(_) => Err(HandoverError::Broken("speech recognition")),
        }
    }

    async fn try_llm(&self, account: Option<ProviderAccount>) -> Result<(), HandoverError> {
        let Some(account) = account else { return Ok(()) };
        let Ok(tried) = timeout(LLM_DEADLINE, self.context.providers.check_provider(account)).await else {
            return Ok(());
        };
        match tried.failure {
            Some(error) => {
                tracing::warn!(%error, "the LLM of the next agent does not work");
                Err(HandoverError::Broken("language model"))
            }
            None => Ok(()),
        }
    }
}
