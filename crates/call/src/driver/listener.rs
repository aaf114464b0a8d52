//! Who hears the caller of an answered call.

use super::realtime::RealtimeBridge;
use super::stt_feed::SttFeed;
use crate::providers::SttEvent;
use crate::providers::realtime::RealtimeEvent;
use crate::providers::stt::SttInput;
use crate::stt_change::{CallerActivity, SttChange};
use std::time::Instant;
use trunkline_media::audio::AudioFrame;
use trunkline_media::io::worker::RelaySender;

/// Who hears the caller. A session is dropped when it ends, because a closed channel would be ready forever.
pub(super) enum Listener {
    Stt(SttFeed),
    /// One STT session is about to take the place of another.
    ChangingStt(Box<SttSessions>),
    Realtime(RealtimeBridge),
    /// The caller is bridged to the transfer target.
    Bridged,
    /// STT has failed.
    Nobody,
}

/// Two STT sessions, and when the new one hears the caller.
pub(super) struct SttSessions {
    old: SttFeed,
    new: SttFeed,
    change: SttChange,
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
            Self::ChangingStt(sessions) => {
                let event = sessions.old.next().await;
                match event {
                    Some(event) if !matches!(event, SttEvent::Failed(_)) => {
                        sessions.change.handle_event(&event);
                        Heard::Stt(Some(event))
                    }
                    // The new one is there already.
                    _ => {
                        self.finish_change();
                        Heard::Stt(Some(SttEvent::Ready))
                    }
                }
            }
            Self::Realtime(side) => Heard::Realtime(side.next().await),
            Self::Bridged | Self::Nobody => std::future::pending().await,
        }
    }

    /// The caller's audio; `relay` leads to the transfer target.
    pub(super) fn hear(&mut self, now: Instant, frame: &AudioFrame, relay: Option<&RelaySender>) -> Carried {
        match self {
            Self::ChangingStt(sessions) => {
                if sessions.change.hear(now, frame) {
                    return self.finish_change();
                }
                if !sessions.old.send_audio(frame) {
                    return Carried::Lost;
                }
            }
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
    pub(super) fn tell_stt(&mut self, now: Instant, input: SttInput) {
        match self {
            Self::Stt(stt) => drop(stt.send(input)),
            Self::ChangingStt(sessions) => {
                match input {
                    SttInput::SpeechStarted => sessions.change.handle_speech_started(now),
                    SttInput::SpeechEnded => sessions.change.handle_speech_ended(now),
                    _ => {}
                }
                let _ = sessions.old.send(input);
            }
            Self::Realtime(_) | Self::Bridged | Self::Nobody => {}
        }
    }

    /// Another STT session, which is ready, takes the place of the present one when the caller is silent.
    pub(super) fn change_stt(&mut self, new: SttFeed, caller: CallerActivity) {
        *self = match std::mem::replace(self, Self::Nobody) {
            // A session that has not taken over yet never will.
            Self::Stt(old) => Self::ChangingStt(Box::new(SttSessions { old, new, change: SttChange::new(caller) })),
            Self::ChangingStt(sessions) => {
                Self::ChangingStt(Box::new(SttSessions { old: sessions.old, new, change: SttChange::new(caller) }))
            }
            Self::Nobody => Self::Stt(new),
            other @ (Self::Realtime(_) | Self::Bridged) => other,
        };
    }

    /// The new STT session hears the caller from here on.
    fn finish_change(&mut self) -> Carried {
        let mut carried = Carried::Yes;
        *self = match std::mem::replace(self, Self::Nobody) {
            Self::ChangingStt(sessions) => {
                let SttSessions { mut new, change, .. } = *sessions;
                for frame in change.into_lead() {
                    if !new.send_audio(&frame) {
                        carried = Carried::Lost;
                    }
                }
                Self::Stt(new)
            }
            other => other,
        };
        carried
    }
}
