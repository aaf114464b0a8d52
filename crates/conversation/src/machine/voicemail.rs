//! Voicemail has answered: the announcement is listened to, and the message is left after the beep.

use super::conversing::Conversing;
use super::held::Held;
use super::output::CallOutput;
use super::talk::Talk;
use super::transfer::Transferring;
use crate::amd::{AmdDetector, is_beep};
use crate::dialogue::response::AfterResponse;
use std::time::{Duration, Instant};
use trunkline_domain::end_reason::EndReason;
use trunkline_media::detect::tone::Tone;

/// Pause between the beep and our message: recorders need a moment.
const AFTER_BEEP: Duration = Duration::from_millis(250);
/// Voicemail that has been silent for this long is ready, beep or not.
const BEEP_TIMEOUT: Duration = Duration::from_millis(3_000);
/// The longest announcement that is listened to.
const ANNOUNCEMENT_MAX: Duration = Duration::from_secs(60);
/// A beep this soon after the start of the message means that it started too early.
const LATE_BEEP_WINDOW: Duration = Duration::from_secs(6);
/// Time the message itself may take.
const MESSAGE_MAX: Duration = Duration::from_secs(120);

/// Progress of the voicemail message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum VoicemailStage {
    /// The announcement is listened to; at `ready_at` the message begins.
    Announcing { since: Instant, ready_at: Instant },
    /// The message is said; a late beep starts it again.
    Speaking { since: Instant },
    /// The message is said for the second and last time.
    SpeakingAgain,
}

/// A message is left for somebody who did not answer.
#[derive(Debug)]
pub struct Voicemail {
    pub(super) talk: Talk,
    /// It may still turn out to be something else.
    pub(super) amd: AmdDetector,
    message: String,
    stage: VoicemailStage,
}

impl Conversing {
    /// Voicemail has answered: the message is left as soon as the announcement is over.
    pub(super) fn leave_message(self, now: Instant, amd: AmdDetector, message: String) -> Voicemail {
        Voicemail::listen(now, self.talk, amd, message)
    }
}

impl Held {
    /// Voicemail has answered: nobody is on hold.
    pub(super) fn leave_message(self, now: Instant, amd: AmdDetector, message: String) -> Voicemail {
        let Self { mut talk, .. } = self;
        talk.line.output(CallOutput::EndHold);
        Voicemail::listen(now, talk, amd, message)
    }
}

impl Transferring {
    /// Voicemail has answered, so nobody is there to be put through: the transfer is given up.
    pub(super) fn leave_message(self, now: Instant, amd: AmdDetector, message: String) -> Voicemail {
        let is_under_way = self.is_under_way();
        let (Conversing { mut talk, .. }, _) = self.give_up();
        if is_under_way {
            talk.line.output(CallOutput::EndConsultation);
        }
        Voicemail::listen(now, talk, amd, message)
    }
}

impl Voicemail {
    fn listen(now: Instant, talk: Talk, amd: AmdDetector, message: String) -> Self {
        let speaking = talk.line.caller.end_of_turn.is_speaking();
        let ready_at = now + if speaking { ANNOUNCEMENT_MAX } else { BEEP_TIMEOUT };
        Self { talk, amd, message, stage: VoicemailStage::Announcing { since: now, ready_at } }
    }

    /// When the message begins; `None` once it has.
    pub(super) fn ready_at(&self) -> Option<Instant> {
        match self.stage {
            VoicemailStage::Announcing { ready_at, .. } => Some(ready_at),
            VoicemailStage::Speaking { .. } | VoicemailStage::SpeakingAgain => None,
        }
    }

    /// The announcement continues or pauses.
    pub(super) fn handle_speech(&mut self, now: Instant, speaking: bool) {
        if let VoicemailStage::Announcing { since, ready_at } = &mut self.stage {
            let longest = *since + ANNOUNCEMENT_MAX;
            *ready_at = if speaking { longest } else { longest.min(now + BEEP_TIMEOUT) };
        }
    }

    /// A tone on the line: a beep means that the recording has begun.
    pub(super) fn handle_tone(&mut self, now: Instant, tone: &Tone) {
        if !is_beep(tone) {
            return;
        }
        match &mut self.stage {
            VoicemailStage::Announcing { ready_at, .. } => *ready_at = now + AFTER_BEEP,
            VoicemailStage::Speaking { since } if now.saturating_duration_since(*since) <= LATE_BEEP_WINDOW => {
                self.stage = VoicemailStage::SpeakingAgain;
                self.speak_message(now);
            }
            VoicemailStage::Speaking { .. } | VoicemailStage::SpeakingAgain => {}
        }
    }

    /// Voicemail is ready to record.
    pub(super) fn handle_ready(&mut self, now: Instant) {
        if matches!(self.stage, VoicemailStage::Announcing { .. }) {
            self.stage = VoicemailStage::Speaking { since: now };
            self.speak_message(now);
        }
    }

    fn speak_message(&mut self, now: Instant) {
        self.talk.say_instead(now, &self.message, AfterResponse::HangUp(EndReason::Voicemail));
        self.talk.timers.goodbye = Some(now + MESSAGE_MAX);
        self.talk.line.make_uninterruptible();
    }
}
