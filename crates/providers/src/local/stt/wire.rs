//! The messages between a call and a session of the local STT: audio as octets of its format, everything else as JSON.

use crate::stt::{SttProtocol, SttUpdate};
use crate::transport::WebSocketRequest;
use crate::{ProviderAccess, ProviderError, SttEvent};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use tokio_tungstenite::tungstenite::Message;
use trunkline_media::audio::AudioFormat;
use trunkline_media::codec::Companding;
use trunkline_media::frame::SAMPLE_RATE_HZ;

/// A gap of the line is silence to the session, whose clock is its audio.
const GAP: Duration = Duration::from_millis(200);
/// What the call wants besides hearing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum ToSession {
    /// Final words now.
    Finalize,
}

/// What the session says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum FromSession {
    /// Words so far.
    Interim { text: String },
    /// Final words. Without words, but with a confidence: speech that the model did not understand.
    Final { text: String, confidence: Option<f32>, is_end: bool, until_ms: u64 },
    /// The session has ended.
    Error { is_permanent: bool, message: String },
}

impl FromSession {
    pub(super) fn message(&self) -> Message {
        Message::text(serde_json::to_string(self).unwrap_or_default())
    }
}

/// The call's side.
pub(super) struct LocalWire {
    silence: Bytes,
}

impl LocalWire {
    /// For audio of this format.
    pub(super) fn new(format: AudioFormat) -> Self {
        let ms = GAP.as_millis() as usize;
        let silence = match format {
            AudioFormat::G711(Companding::MuLaw) => vec![0xFF; ms * SAMPLE_RATE_HZ as usize / 1_000],
            AudioFormat::G711(Companding::ALaw) => vec![0xD5; ms * SAMPLE_RATE_HZ as usize / 1_000],
            AudioFormat::Pcm { rate_hz } => vec![0; 2 * ms * rate_hz as usize / 1_000],
        };
        Self { silence: silence.into() }
    }
}

impl SttProtocol for LocalWire {
    fn upgrade(&self, _: &ProviderAccess) -> Result<WebSocketRequest, ProviderError> {
        Err(ProviderError::Unavailable("the local STT has no address".to_owned()))
    }

    fn initial_messages(&self) -> Vec<Message> {
        Vec::new()
    }

    fn audio(&mut self, codes: &[u8]) -> Option<Message> {
        (!codes.is_empty()).then(|| Message::Binary(Bytes::copy_from_slice(codes)))
    }

    fn keep_alive(&mut self) -> (Duration, Message) {
        (GAP, Message::Binary(self.silence.clone()))
    }

    /// The session hears it by itself: a pause within a sentence is no end.
    fn speech_ended_message(&mut self) -> Option<Message> {
        None
    }

    fn finalize(&mut self) -> Option<Message> {
        Some(Message::text(serde_json::to_string(&ToSession::Finalize).unwrap_or_default()))
    }

    fn close(&mut self) -> Option<Message> {
        None
    }

    fn read(&mut self, text: &str) -> Result<SttUpdate, ProviderError> {
        let said: FromSession = serde_json::from_str(text).map_err(ProviderError::invalid_response)?;
        Ok(match said {
            FromSession::Interim { text } => SttUpdate::one(SttEvent::Interim(text)),
            FromSession::Final { text, confidence, is_end, until_ms } => {
                let is_unclear = text.is_empty() && confidence.is_some();
                let confidence = confidence.filter(|_| !is_unclear);
                let mut events = vec![SttEvent::Final { text, confidence, speech_final: is_end }];
                events.extend((is_unclear && is_end).then_some(SttEvent::NotUnderstood));
                SttUpdate { events, settled_ms: Some(until_ms), span: None }
            }
            FromSession::Error { is_permanent: true, message } => return Err(ProviderError::Unavailable(message)),
            FromSession::Error { is_permanent: false, message } => return Err(ProviderError::Disconnected(message)),
        })
    }
}
