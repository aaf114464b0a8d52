//! Who hears the caller of an answered call.

use super::realtime::RealtimeBridge;
use super::stt_feed::SttFeed;
use crate::providers::SttEvent;
use crate::providers::realtime::RealtimeEvent;
use crate::providers::stt::SttInput;
use trunkline_media::audio::AudioFrame;
use trunkline_media::io::worker::RelaySender;

/// Who hears the caller. A session is dropped when it ends, because a closed channel would be ready forever.
pub(super) enum Listener {
    Stt(SttFeed),
    Realtime(RealtimeBridge),
    /// The caller is bridged to the transfer target.
    Bridged,
    /// STT has failed.
    Nobody,
}

/// What a listener says; `None` when its task has ended.
pub(super) enum Heard {
    Stt(Option<SttEvent>),
    Realtime(Option<RealtimeEvent>),
}

/// What became of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Carried {
    /// The listener has it, or there is none.
    Yes,
    /// STT does not keep up.
    Lost,
}

impl Listener {
    /// Pending while nobody can say anything.
    pub(super) async fn next(&mut self) -> Heard {
        match self {
            Self::Stt(stt) => Heard::Stt(stt.next().await),
            Self::Realtime(side) => Heard::Realtime(side.next().await),
            Self::Bridged | Self::Nobody => std::future::pending().await,
        }
    }

    /// The caller's audio; `relay` leads to the transfer target.
    pub(super) fn hear(&mut self, frame: &AudioFrame, relay: Option<&RelaySender>) -> Carried {
        match self {
            Self::Stt(stt) => {
                if !stt.send_audio(frame) {
                    return Carried::Lost;
                }
            }
            Self::Realtime(side) => side.send_audio(frame),
            Self::Bridged => {
                if let Some(relay) = relay {
                    relay.send(*frame);
                }
            }
            Self::Nobody => {}
        }
        Carried::Yes
    }

    /// Tells STT, where it listens; what it does not take is lost.
    pub(super) fn tell_stt(&self, input: SttInput) {
        if let Self::Stt(stt) = self {
            let _ = stt.send(input);
        }
    }
}
