//! Calls answered by something else than a person: voicemail gets its whole message after the beep, call screening is
//! told who calls, a fax is hung up on.

use super::{Machine, Timer};
use crate::call::voicemail::is_beep;
use crate::dialogue::answerer::Answerer;
use crate::dialogue::reply::Then;
use crate::domain::end_reason::EndReason;
use std::time::{Duration, Instant};
use trunkline_media::detect::tone::Tone;

/// Pause between the beep and our message: recorders need a moment.
const AFTER_BEEP: Duration = Duration::from_millis(250);
/// Voicemail that has been silent for this long is ready, beep or not.
const NO_BEEP: Duration = Duration::from_millis(3_000);
/// The longest announcement that is listened to.
const ANNOUNCEMENT_MAX: Duration = Duration::from_secs(60);
/// A beep this soon after the start of the message means that it started too early.
const STARTED_EARLY: Duration = Duration::from_secs(6);
/// Time the message itself may take.
const MESSAGE_MAX: Duration = Duration::from_secs(120);

const SCREENED: &str = "A call screening service has answered, not a person. Tell it in one or two short sentences \
who you are, on whose behalf you call and why, then wait. When a person comes to the phone, greet them.";
const MENU: &str = "An automated menu has answered. Listen to it and use send_dtmf to reach a person; say nothing \
that is not asked for.";

/// Progress of the voicemail message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mailbox {
    Announcing { since: Instant },
    Speaking { since: Instant, restarts: u8 },
}

impl Machine {
    /// A single tone on the line.
    pub fn handle_tone(&mut self, now: Instant, tone: &Tone) {
        let found = self.detection.as_mut().and_then(|detection| detection.handle_tone(now, tone));
        self.answered_by(now, found);
        if !is_beep(tone) {
            return;
        }
        match self.mailbox {
            Some(Mailbox::Announcing { .. }) => self.timers.set(Timer::Mailbox, now + AFTER_BEEP),
            Some(Mailbox::Speaking { since, restarts: 0 }) if now.saturating_duration_since(since) <= STARTED_EARLY => {
                self.leave_message(now, 1);
            }
            _ => {}
        }
    }

    /// Acts on the AMD result.
    pub(super) fn answered_by(&mut self, now: Instant, found: Option<Answerer>) {
        let Some(answerer) = found.filter(|_| self.is_talking()) else { return };
        let after_ms = self.ms(now);
        self.metrics.answered_by = Some((answerer.name(), after_ms));
        match answerer {
            Answerer::Human => {}
            Answerer::Fax => self.handle_command(now, EndReason::Fax),
            Answerer::Ivr => self.history.note(MENU.to_owned()),
            Answerer::Screening => {
                self.fall_silent(now);
                self.history.note(SCREENED.to_owned());
            }
            Answerer::Voicemail => self.mailbox_answers(now),
        }
    }

    /// Stops what was meant for a person.
    fn fall_silent(&mut self, now: Instant) {
        self.discard_ahead();
        self.drop_reply(now);
        (self.unsaid, self.was_cut, self.waiting_turn) = (None, false, None);
        self.timers.clear(Timer::Silence);
        self.timers.clear(Timer::Resume);
        self.timers.clear(Timer::Filler);
    }

    pub(super) fn mailbox_answers(&mut self, now: Instant) {
        if self.mailbox.is_some() {
            return;
        }
        self.fall_silent(now);
        if self.voicemail_message().is_none() {
            return self.handle_command(now, EndReason::Voicemail);
        }
        self.mailbox = Some(Mailbox::Announcing { since: now });
        let wait = if self.endpoint.is_speaking() { ANNOUNCEMENT_MAX } else { NO_BEEP };
        self.timers.set(Timer::Mailbox, now + wait);
    }

    fn voicemail_message(&self) -> Option<String> {
        self.mailbox_message
            .clone()
            .or_else(|| self.brief.agent.voicemail_message.clone())
            .filter(|text| !text.trim().is_empty())
    }

    /// The announcement continues or pauses.
    pub(super) fn mailbox_speaks(&mut self, now: Instant, speaking: bool) {
        if let Some(Mailbox::Announcing { since }) = self.mailbox {
            let silent = if speaking { since + ANNOUNCEMENT_MAX } else { now + NO_BEEP };
            self.timers.set(Timer::Mailbox, silent.min(since + ANNOUNCEMENT_MAX));
        }
    }

    /// Voicemail is ready to record.
    pub(super) fn mailbox_listens(&mut self, now: Instant) {
        if matches!(self.mailbox, Some(Mailbox::Announcing { .. })) {
            self.leave_message(now, 0);
        }
    }

    fn leave_message(&mut self, now: Instant, restarts: u8) {
        let Some(text) = self.voicemail_message() else { return };
        self.mailbox = Some(Mailbox::Speaking { since: now, restarts });
        self.say_instead(now, &text, Then::HangUp(EndReason::Voicemail));
        self.timers.set(Timer::Goodbye, now + MESSAGE_MAX);
        self.protect();
    }

    /// The LLM decided to leave a message.
    pub(super) fn leave_voicemail(&mut self, now: Instant, message: Option<String>) {
        self.mailbox_message = message;
        self.metrics.answered_by = Some((Answerer::Voicemail.name(), self.ms(now)));
        self.mailbox_answers(now);
    }
}
