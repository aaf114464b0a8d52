//! Connects a realtime session to the call: its audio goes to the leg, its events to the machine.

use super::plan;
use crate::call::machine::{Brief, EngineTraits, Machine};
use crate::dialogue::prompt;
use crate::dialogue::tools::Abilities;
use crate::domain::chat::ChatMessage;
use crate::providers::engine::{self, Event, Input, Session, Setup};
use crate::providers::{Providers, registry};
use bytes::Bytes;
use std::time::Instant;
use trunkline_media::codec::Law;
use trunkline_media::io::worker::{LegHandle, Overloaded};
use trunkline_media::playout::queue::PieceId;

/// The engine of one call.
pub(super) struct Side {
    session: Session,
    /// Of the line, and of the engine.
    law: Law,
    engine_law: Law,
    pub traits: EngineTraits,
    /// Open items: item number, segment, samples so far.
    open: Vec<(u32, PieceId, u64)>,
    /// Conversation id at the vendor.
    pub conversation: Option<String>,
}

impl Side {
    /// Connects if the agent's LLM is a realtime model.
    pub(super) fn open(providers: &Providers, brief: &Brief, law: Law) -> Option<Self> {
        let config = plan::llm(&brief.agent);
        let engine = registry::engine(config.provider)?;
        let messages = prompt::system_messages(&brief.agent, brief.task.as_ref());
        let words = |message: &ChatMessage| match message {
            ChatMessage::System(text) => Some(text.clone()),
            _ => None,
        };
        let transfers = brief.agent.transfers();
        let instructions: Vec<String> = messages.iter().filter_map(words).collect();
        let abilities = Abilities {
            custom: &config.tools,
            destinations: &transfers.destinations,
            voicemail: brief.detects_answerer(),
            remote: &[],
        };
        let setup = Setup {
            model: config.model.clone(),
            voice: config.voice.clone(),
            instructions: instructions.join("\n\n"),
            first_message: brief.first_message().map(str::to_owned),
            language: brief.language().to_owned(),
            tools: abilities.offers(),
            encoding: engine.encoding(plan::encoding(law)),
            silence_ms: brief.agent.turn().endpointing_ms,
        };
        let endpoint = providers.endpoint(config.provider.account(), config.base_url.as_deref());
        let stand_in = plan::models(providers, &brief.agent).candidates.first().map(|one| one.name.clone());
        let traits = EngineTraits {
            name: format!("{}/{}", config.provider.name(), config.model),
            can_say: engine.can_say(),
            greets: engine.greets(),
            stand_in,
        };
        let engine_law = if setup.encoding == "alaw" { Law::A } else { Law::Mu };
        let session = engine::converse(providers, engine, endpoint, setup);
        Some(Self { session, law, engine_law, traits, open: Vec::new(), conversation: None })
    }

    pub(super) async fn next(&mut self) -> Option<Event> {
        self.session.stream.events.recv().await
    }

    pub(super) fn hear(&self, codes: Bytes) {
        let codes = if self.law == self.engine_law {
            codes
        } else {
            codes.iter().map(|code| self.engine_law.encode(self.law.decode(*code))).collect()
        };
        if self.session.input.try_send(Input::Audio(codes)).is_err() {
            metrics::counter!("trunkline_queue_overflows_total", "queue" => "engine_audio").increment(1);
        }
    }

    pub(super) fn tell(&self, input: Input) {
        if self.session.input.try_send(input).is_err() {
            metrics::counter!("trunkline_queue_overflows_total", "queue" => "engine_input").increment(1);
        }
    }

    /// Carries one event.
    pub(super) fn event(
        &mut self, now: Instant, event: Event, machine: &mut Machine, leg: &LegHandle,
    ) -> Result<(), Overloaded> {
        let mut played = Ok(());
        match event {
            Event::Audio { item, codes } => {
                if let Some(piece) = machine.handle_engine_audio(now, item) {
                    let samples: Vec<i16> = codes.iter().map(|code| self.engine_law.decode(*code)).collect();
                    let count = samples.len() as u64;
                    match self.open.iter_mut().find(|(_, known, _)| *known == piece) {
                        Some((_, _, total)) => *total += count,
                        None => self.open.push((item, piece, count)),
                    }
                    played = leg.play(piece, samples, false);
                }
                return played;
            }
            Event::ItemDone { item } => played = self.end(Some(item), machine, leg),
            Event::ResponseDone(_) => played = self.end(None, machine, leg),
            Event::Conversation(ref id) => self.conversation = Some(id.clone()),
            _ => {}
        }
        machine.handle_engine(now, event);
        played
    }

    /// No more audio will come for an item, or for any item if none is named.
    pub(super) fn end(&mut self, item: Option<u32>, machine: &mut Machine, leg: &LegHandle) -> Result<(), Overloaded> {
        let (over, open) = std::mem::take(&mut self.open)
            .into_iter()
            .partition(|(number, _, _)| item.is_none_or(|item| item == *number));
        self.open = open;
        for (_, piece, total) in over {
            machine.handle_voice_done(piece, total);
            leg.play(piece, Vec::new(), true)?;
        }
        Ok(())
    }
}
