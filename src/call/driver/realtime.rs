//! Connects a realtime session to the call: its audio goes to the leg, its events to the machine.

use super::provider_plan;
use crate::call::machine::{CallMachine, CallSpec, RealtimeCapabilities};
use crate::dialogue::prompt;
use crate::dialogue::tools::ToolSet;
use crate::domain::chat::ChatMessage;
use crate::providers::realtime::{self, RealtimeEvent, RealtimeInput, RealtimeSession, RealtimeSessionConfig};
use crate::providers::{ProviderRegistry, vendors};
use bytes::Bytes;
use std::time::Instant;
use trunkline_media::codec::Companding;
use trunkline_media::io::worker::{LegHandle, OverloadedError};
use trunkline_media::playout::queue::SegmentId;

/// The realtime model of one call.
pub(super) struct RealtimeBridge {
    session: RealtimeSession,
    /// Of the line, and of the realtime model.
    companding: Companding,
    model_companding: Companding,
    pub capabilities: RealtimeCapabilities,
    /// Open items: item number, segment, samples so far.
    open: Vec<(u32, SegmentId, u64)>,
    /// Conversation id at the vendor.
    pub conversation: Option<String>,
}

impl RealtimeBridge {
    /// Connects if the agent's LLM is a realtime model.
    pub(super) fn open(providers: &ProviderRegistry, spec: &CallSpec, companding: Companding) -> Option<Self> {
        let config = provider_plan::llm(&spec.agent);
        let realtime = vendors::realtime_vendor(config.provider)?;
        let messages = prompt::system_messages(&spec.agent, spec.task.as_ref());
        let words = |message: &ChatMessage| match message {
            ChatMessage::System(text) => Some(text.clone()),
            _ => None,
        };
        let transfers = spec.agent.transfers();
        let instructions: Vec<String> = messages.iter().filter_map(words).collect();
        let abilities = ToolSet {
            custom: &config.tools,
            destinations: &transfers.destinations,
            voicemail: spec.runs_amd(),
            remote: &[],
        };
        let setup = RealtimeSessionConfig {
            model: config.model.clone(),
            voice: config.voice.clone(),
            instructions: instructions.join("\n\n"),
            first_message: spec.first_message().map(str::to_owned),
            language: spec.language().to_owned(),
            tools: abilities.offers(),
            encoding: realtime.encoding(provider_plan::encoding(companding)),
            silence_ms: spec.agent.turn().endpointing_ms,
        };
        let endpoint = providers.endpoint(config.provider.account(), config.base_url.as_deref());
        let fallback = provider_plan::llm_plan(providers, &spec.agent).candidates.first().map(|one| one.name.clone());
        let capabilities = RealtimeCapabilities {
            name: format!("{}/{}", config.provider.name(), config.model),
            can_say: realtime.can_say(),
            greets: realtime.greets_first(),
            fallback,
        };
        let model_companding = if setup.encoding == "alaw" { Companding::ALaw } else { Companding::MuLaw };
        let session = realtime::open_realtime_session(providers, realtime, endpoint, setup);
        Some(Self { session, companding, model_companding, capabilities, open: Vec::new(), conversation: None })
    }

    pub(super) async fn next(&mut self) -> Option<RealtimeEvent> {
        self.session.stream.events.recv().await
    }

    pub(super) fn send_audio(&self, codes: Bytes) {
        let codes = if self.companding == self.model_companding {
            codes
        } else {
            codes.iter().map(|code| self.model_companding.encode(self.companding.decode(*code))).collect()
        };
        if self.session.input.try_send(RealtimeInput::Audio(codes)).is_err() {
            metrics::counter!("trunkline_queue_overflows_total", "queue" => "engine_audio").increment(1);
        }
    }

    pub(super) fn send_input(&self, input: RealtimeInput) {
        if self.session.input.try_send(input).is_err() {
            metrics::counter!("trunkline_queue_overflows_total", "queue" => "engine_input").increment(1);
        }
    }

    /// Carries one event.
    pub(super) fn event(
        &mut self, now: Instant, event: RealtimeEvent, machine: &mut CallMachine, leg: &LegHandle,
    ) -> Result<(), OverloadedError> {
        let mut played = Ok(());
        match event {
            RealtimeEvent::Audio { item, codes } => {
                if let Some(segment) = machine.handle_realtime_audio(now, item) {
                    let samples: Vec<i16> = codes.iter().map(|code| self.model_companding.decode(*code)).collect();
                    let count = samples.len() as u64;
                    match self.open.iter_mut().find(|(_, known, _)| *known == segment) {
                        Some((_, _, total)) => *total += count,
                        None => self.open.push((item, segment, count)),
                    }
                    played = leg.play(segment, samples, false);
                }
                return played;
            }
            RealtimeEvent::ItemDone { item } => played = self.end(Some(item), machine, leg),
            RealtimeEvent::ResponseDone(_) => played = self.end(None, machine, leg),
            RealtimeEvent::Conversation(ref id) => self.conversation = Some(id.clone()),
            _ => {}
        }
        machine.handle_realtime_event(now, event);
        played
    }

    /// No more audio will come for an item, or for any item if none is named.
    pub(super) fn end(
        &mut self, item: Option<u32>, machine: &mut CallMachine, leg: &LegHandle,
    ) -> Result<(), OverloadedError> {
        let (over, open) = std::mem::take(&mut self.open)
            .into_iter()
            .partition(|(number, _, _)| item.is_none_or(|item| item == *number));
        self.open = open;
        for (_, segment, total) in over {
            machine.handle_tts_done(segment, total);
            leg.play(segment, Vec::new(), true)?;
        }
        Ok(())
    }
}
