//! Connects a realtime session to the call: its audio goes to the leg, its events to the machine.

use super::provider_candidates;
use crate::machine::{CallMachine, CallSpec, RealtimeCapabilities};
use crate::provider_plan;
use crate::providers::realtime::{self, RealtimeEvent, RealtimeInput, RealtimeSession};
use crate::providers::{ProviderRegistry, vendors};
use crate::realtime_plan::{OpenItems, capabilities, format_of, session_config};
use crate::store::PassageIndex;
use bytes::Bytes;
use std::time::Instant;
use trunkline_media::audio::convert::{FrameEncoder, StreamDecoder};
use trunkline_media::audio::{AudioFormat, AudioFrame};
use trunkline_media::frame::SAMPLE_RATE_HZ;
use trunkline_media::io::worker::{LegHandle, OverloadedError};

/// The realtime model of one call.
pub(super) struct RealtimeBridge {
    session: RealtimeSession,
    /// From the line to the model.
    encoder: FrameEncoder,
    /// From the model to the line.
    decoder: StreamDecoder,
    pub capabilities: RealtimeCapabilities,
    open: OpenItems,
    /// Conversation id at the vendor.
    pub conversation: Option<String>,
}

impl RealtimeBridge {
    /// Connects if the agent's LLM is a realtime model.
    pub(super) fn open(
        providers: &ProviderRegistry, index: &PassageIndex, spec: &CallSpec, line: AudioFormat,
    ) -> Option<Self> {
        let config = provider_plan::llm(&spec.agent);
        let vendor = vendors::realtime_vendor(config.provider)?;
        let setup = session_config(spec, vendor, line);
        let endpoint = providers.endpoint(config.provider.account(), config.base_url.as_deref());
        let fallback = provider_candidates::realtime_fallback(providers, index, spec);
        let capabilities = capabilities(spec, vendor, fallback);
        let format = format_of(setup.encoding);
        let (encoder, decoder) = (FrameEncoder::new(format), StreamDecoder::new(format, SAMPLE_RATE_HZ).ok()?);
        let session = realtime::open_realtime_session(providers, vendor, endpoint, setup);
        Some(Self { session, encoder, decoder, capabilities, open: OpenItems::default(), conversation: None })
    }

    pub(super) async fn next(&mut self) -> Option<RealtimeEvent> {
        self.session.stream.events.recv().await
    }

    pub(super) fn send_audio(&mut self, frame: &AudioFrame) {
        let codes = Bytes::copy_from_slice(self.encoder.encode(frame));
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
                    let mut samples = Vec::with_capacity(codes.len());
                    self.decoder.push(&codes, &mut samples);
                    self.open.add(item, segment, samples.len() as u64);
                    played = leg.play(segment, samples, false);
                }
                return played;
            }
            RealtimeEvent::ItemDone { item } => played = self.end(Some(item), machine, leg),
            RealtimeEvent::ResponseDone(_) | RealtimeEvent::ResponseFailed { .. } | RealtimeEvent::Reconnecting(_) => {
                played = self.end(None, machine, leg)
            }
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
        for (segment, total) in self.open.end(item) {
            machine.handle_tts_done(segment, total);
            leg.play(segment, Vec::new(), true)?;
        }
        Ok(())
    }
}
