//! Another agent takes the call over: starts its preparation, and carries the switch out.

use super::super::agent_preparation::{AgentPreparation, PreparedAgent};
use super::super::ambience;
use super::super::call_media::barge_in_config;
use super::super::schema_validation::check_dtmf_tools;
use super::super::stt_feed::SttFeed;
use super::super::tts::TtsPipeline;
use super::ConversationLoop;
use super::next_agent::{NextAgent, PreparationResult};
use crate::agent_switch::{self, AgentSwitch, Change, Connection, HandoverError};
use crate::domain::ids::AgentId;
use crate::live_update::LiveUpdate;
use crate::machine::CallSpec;
use crate::personalize;
use crate::store;
use crate::stt_change::CallerActivity;
use crate::supervision::contain;
use crate::tool_schemas::ToolSchemas;
use std::time::Instant;
use tokio::task::JoinSet;

impl ConversationLoop {
    pub(super) fn prepare_agent(&mut self, agent: AgentId) {
        let record = &self.call.record;
        let preparation = AgentPreparation {
            context: self.call.context.clone(),
            scope: record.scope,
            agent,
            before: self.call.spec.clone(),
            call: record.call.clone(),
            hooks: record.hooks.clone(),
            variables: (self.variables.clone(), self.machine.collected()),
            line: self.call.media.audio_format,
        };
        self.next_agent = NextAgent::default();
        self.next_agent.preparing.spawn(contain("next_agent", preparation.run()));
    }

    /// Nobody waits for it any more.
    pub(super) fn cancel_preparation(&mut self) {
        self.next_agent = NextAgent::default();
    }

    pub(super) fn handle_agent_prepared(&mut self, now: Instant, result: Option<PreparationResult>) {
        match result {
            Some(Ok(Ok(agent))) => {
                self.next_agent.ready = Some(agent);
                self.renew_next_agent(now);
            }
            Some(Ok(Err(error))) => self.machine.handle_agent_prepared(now, Err(error.to_string())),
            Some(Err(_)) | None => {
                self.machine.handle_agent_prepared(now, Err(HandoverError::Internal.to_string()));
            }
        }
    }

    /// The next agent is ready, with what tools have set until now. Nothing happens as long as it is prepared.
    pub(super) fn renew_next_agent(&mut self, now: Instant) {
        let Some(agent) = &mut self.next_agent.ready else { return };
        let (record, before) = (&self.call.record, &self.call.spec);
        let variables = agent_switch::readable_variables(&agent.stored.1, &self.variables, &self.machine.collected());
        let stored = agent.stored.clone();
        let at = store::now();
        agent.successor = agent_switch::successor(stored, before, &record.hooks, &record.call, at, &variables);
        let spec = Box::new(agent.successor.spec.clone());
        self.machine.handle_agent_prepared(now, Ok(spec));
    }

    /// What changes with another agent or language; nothing that sounds, in a chat.
    fn switch_to(&self, spec: &CallSpec) -> AgentSwitch {
        let switch = agent_switch::plan(&self.call.spec, spec);
        if self.is_chat() { switch.without_sound() } else { switch }
    }

    /// Another STT session takes the place of the present one when the caller is silent.
    fn change_stt(&mut self, stt: SttFeed) {
        let (is_speaking, has_words) = self.machine.caller_state();
        self.listener.change_stt(stt, CallerActivity::new(Instant::now(), is_speaking, has_words));
    }

    /// From here on the same agent speaks another language.
    pub(super) fn change_language(&mut self) {
        let Some(spec) = self.machine.spec().cloned() else { return };
        let switch = self.switch_to(&spec);
        match switch.tts {
            Change::Replace => self.tts = TtsPipeline::new(self.call.context.providers.clone(), spec.clone(), true),
            Change::Keep => self.tts.set_spec(spec.clone()),
        }
        if switch.stt == Change::Replace {
            // It takes what it is sent while it connects.
            self.change_stt(self.call.context.start_stt(&spec, self.call.media.audio_format));
        }
        self.call.spec = spec;
    }

    /// From here on the call is the next agent's.
    pub(super) async fn change_agent(&mut self) {
        let Some(next) = self.next_agent.ready.take() else { return };
        let PreparedAgent { successor, stt, tts, left_out, .. } = *next;
        let (switch, spec) = (self.switch_to(&successor.spec), &successor.spec);
        match Connection::at_switch(stt, switch.stt) {
            Connection::Prepared(stt) => self.change_stt(stt),
            Connection::Open => self.change_stt(self.call.context.start_stt(spec, self.call.media.audio_format)),
            Connection::Keep => {}
        }
        match Connection::at_switch(tts, switch.tts) {
            Connection::Prepared(mut tts) => {
                tts.set_spec(spec.clone());
                self.tts = tts;
            }
            Connection::Open => {
                self.tts = TtsPipeline::new(self.call.context.providers.clone(), spec.clone(), true);
            }
            Connection::Keep => self.tts.set_spec(spec.clone()),
        }
        self.call.spec = successor.spec;
        if switch.ambience == Change::Replace {
            let ambience = ambience(&self.call.spec.agent);
            self.send_to_leg(|leg| leg.set_ambience(ambience));
        }
        if switch.barge_in == Change::Replace {
            let config = barge_in_config(&self.call.spec.agent);
            self.send_to_leg(|leg| leg.set_barge_in(config));
        }
        (self.connecting_servers, self.servers) = (JoinSet::new(), Vec::new());
        self.schemas = ToolSchemas::default();
        self.connect_tool_servers();
        let (workers, scope, agent) = (&self.call.context.schemas, self.call.record.scope, &self.call.spec.agent);
        check_dtmf_tools(&mut self.schemas, workers, scope, &mut self.machine, agent).await;
        let (agent, name) = (self.call.spec.agent_id, self.call.spec.agent.name.clone());
        let agents = self.machine.metrics().agents();
        let record = &mut self.call.record;
        record.add_metric("schemas", left_out);
        record.add_metric("templates", personalize::metric(&successor.report));
        record.set_metric("agents", agents);
        record.record_agent_changed(agent, successor.assistant, successor.hooks).await;
        self.call.slot.live.send(LiveUpdate::AgentChanged { agent, name });
        tracing::info!("another agent has the call");
    }
}
