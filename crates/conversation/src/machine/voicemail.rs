//! Calls answered by something else than a person: voicemail gets its whole message after the beep, call screening is
//! told who calls, a fax is hung up on.

use super::{CallMachine, CallTimer};
use crate::amd::is_beep;
use crate::dialogue::amd_phrases::AmdResult;
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

const CALL_SCREENING_PROMPT: &str = "A call screening service has answered, not a person. Tell it in one or two short sentences \
who you are, on whose behalf you call and why, then wait. When a person comes to the phone, greet them.";
const IVR_PROMPT: &str = "An automated menu has answered. Listen to it and use send_dtmf to reach a person; say nothing \
that is not asked for.";

/// Progress of the voicemail message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum VoicemailState {
    Announcing { since: Instant },
    Speaking { since: Instant, restarts: u8 },
}

impl CallMachine {
    /// A single tone on the line.
    pub fn handle_tone(&mut self, now: Instant, tone: &Tone) {
        let found = self.amd.as_mut().and_then(|detection| detection.handle_tone(now, tone));
        self.handle_amd_result(now, found);
        if !is_beep(tone) {
            return;
        }
        match self.voicemail {
            Some(VoicemailState::Announcing { .. }) => self.timers.set(CallTimer::Voicemail, now + AFTER_BEEP),
            Some(VoicemailState::Speaking { since, restarts: 0 })
                if now.saturating_duration_since(since) <= LATE_BEEP_WINDOW =>
            {
                self.speak_voicemail_message(now, 1);
            }
            _ => {}
        }
    }

    /// Acts on the AMD result.
    pub(super) fn handle_amd_result(&mut self, now: Instant, found: Option<AmdResult>) {
        let Some(amd) = found.filter(|_| self.is_talking()) else { return };
        let after_ms = self.ms(now);
        self.metrics.answered_by = Some((amd.name(), after_ms));
        match amd {
            AmdResult::Human => {}
            AmdResult::Fax => self.handle_command(now, EndReason::Fax),
            AmdResult::Ivr => self.history.push_note(IVR_PROMPT.to_owned()),
            AmdResult::CallScreening => {
                self.stop_speaking(now);
                self.history.push_note(CALL_SCREENING_PROMPT.to_owned());
            }
            AmdResult::Voicemail => self.handle_voicemail_answered(now),
        }
    }

    /// Stops the speech that was meant for a person.
    fn stop_speaking(&mut self, now: Instant) {
        self.discard_preemptive_generation();
        self.cancel_response(now);
        (self.remainder, self.was_interrupted, self.waiting_turn) = (None, false, None);
        self.timers.clear(CallTimer::Silence);
        self.timers.clear(CallTimer::Resume);
        self.timers.clear(CallTimer::Filler);
    }

    pub(super) fn handle_voicemail_answered(&mut self, now: Instant) {
        if self.voicemail.is_some() {
            return;
        }
        self.stop_speaking(now);
        if self.voicemail_message().is_none() {
            return self.handle_command(now, EndReason::Voicemail);
        }
        self.voicemail = Some(VoicemailState::Announcing { since: now });
        let wait = if self.end_of_turn.is_speaking() { ANNOUNCEMENT_MAX } else { BEEP_TIMEOUT };
        self.timers.set(CallTimer::Voicemail, now + wait);
    }

    fn voicemail_message(&self) -> Option<String> {
        self.voicemail_message
            .clone()
            .or_else(|| self.spec.agent.voicemail_message.clone())
            .filter(|text| !text.trim().is_empty())
    }

    /// The announcement continues or pauses.
    pub(super) fn handle_voicemail_speech(&mut self, now: Instant, speaking: bool) {
        if let Some(VoicemailState::Announcing { since }) = self.voicemail {
            let silent = if speaking { since + ANNOUNCEMENT_MAX } else { now + BEEP_TIMEOUT };
            self.timers.set(CallTimer::Voicemail, silent.min(since + ANNOUNCEMENT_MAX));
        }
    }

    /// Voicemail is ready to record.
    pub(super) fn handle_voicemail_ready(&mut self, now: Instant) {
        if matches!(self.voicemail, Some(VoicemailState::Announcing { .. })) {
            self.speak_voicemail_message(now, 0);
        }
    }

    fn speak_voicemail_message(&mut self, now: Instant, restarts: u8) {
        let Some(text) = self.voicemail_message() else { return };
        self.voicemail = Some(VoicemailState::Speaking { since: now, restarts });
        self.say_instead(now, &text, AfterResponse::HangUp(EndReason::Voicemail));
        self.timers.set(CallTimer::Goodbye, now + MESSAGE_MAX);
        self.make_uninterruptible();
    }

    /// The LLM decided to leave a message.
    pub(super) fn leave_voicemail(&mut self, now: Instant, message: Option<String>) {
        self.voicemail_message = message;
        self.metrics.answered_by = Some((AmdResult::Voicemail.name(), self.ms(now)));
        self.handle_voicemail_answered(now);
    }
}
