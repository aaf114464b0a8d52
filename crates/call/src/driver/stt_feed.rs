//! STT of one call: its session, and the conversion of the line's audio to what the session takes.

use super::provider_candidates;
use crate::machine::CallSpec;
use crate::provider_plan;
use crate::providers::stt::{SttInput, SttSession};
use crate::providers::stt_session::open_stt_session;
use crate::providers::{ProviderRegistry, SttEvent};
use bytes::Bytes;
use trunkline_media::audio::convert::FrameEncoder;
use trunkline_media::audio::{AudioFormat, AudioFrame};

/// An STT session with the audio it is fed.
pub(super) struct SttFeed {
    session: SttSession,
    encoder: FrameEncoder,
}

impl SttFeed {
    /// Opens the session for a line with this format; it connects at once.
    pub(super) fn open(providers: &ProviderRegistry, spec: &CallSpec, line: AudioFormat) -> Self {
        let companding = provider_plan::companding(line);
        let session = open_stt_session(providers, provider_candidates::stt_candidates(providers, spec, companding));
        Self { session, encoder: FrameEncoder::new(AudioFormat::G711(companding)) }
    }

    /// The next event; `None` when the session's task has ended.
    pub(super) async fn next(&mut self) -> Option<SttEvent> {
        self.session.stream.events.recv().await
    }

    /// False when the input was lost, because STT does not keep up.
    pub(super) fn send(&self, input: SttInput) -> bool {
        self.session.input.try_send(input).is_ok()
    }

    /// Sends a frame of the line. False when it was lost, because STT does not keep up.
    pub(super) fn send_audio(&mut self, frame: &AudioFrame) -> bool {
        let octets = self.encoder.encode(frame);
        octets.is_empty() || self.session.input.try_send(SttInput::Audio(Bytes::copy_from_slice(octets))).is_ok()
    }
}
