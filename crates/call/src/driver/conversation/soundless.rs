//! A chat: a call without sound. What the agent says is read as soon as it is written, and the caller writes.

use super::{CHAT_IDLE_MAX, ConversationLoop};
use crate::domain::call::Direction;
use crate::domain::call_control::{CallControl, ControlError};
use crate::domain::end_reason::EndReason;
use std::time::Instant;
use trunkline_media::playout::queue::{SegmentId, SegmentPlayed};

/// What a text counts as, where samples tell how much was heard: all of it.
const READ_SAMPLES: u64 = 1;

impl ConversationLoop {
    pub(super) fn is_chat(&self) -> bool {
        self.call.record.call.direction == Direction::Chat
    }

    /// A sentence of the agent is read.
    pub(super) fn show(&mut self, segment: SegmentId) {
        let now = Instant::now();
        self.machine.handle_tts_audio(now, segment);
        self.machine.handle_tts_done(segment, READ_SAMPLES);
        self.machine.handle_segment_started(segment, now);
        let read = SegmentPlayed { segment, sent_samples: READ_SAMPLES, complete: true };
        self.machine.handle_segment_finished(read, now);
    }

    /// What was shown stays; nothing else waits to be shown.
    pub(super) fn stop_showing(&mut self, response_id: u32, barge_in: bool) {
        self.machine.handle_flushed(Instant::now(), barge_in, response_id, &[]);
    }

    /// What chats and calls with sound do not share; `None` for a command that the machine takes.
    pub(super) fn handle_chat_control(
        &mut self, now: Instant, control: &CallControl,
    ) -> Option<Result<(), ControlError>> {
        match (control, self.is_chat()) {
            (CallControl::Message(message), true) => {
                self.idle_at = Some(now + CHAT_IDLE_MAX);
                Some(self.machine.handle_message(now, &message.text))
            }
            (CallControl::Message(_), false) => Some(Err(ControlError::NotAChat)),
            (CallControl::Transfer(_) | CallControl::Hold | CallControl::Resume, true) => {
                Some(Err(ControlError::NoLine))
            }
            _ => None,
        }
    }

    /// Nobody writes any more.
    pub(super) fn handle_idle(&mut self, now: Instant) {
        if self.idle_at.is_some_and(|at| at <= now) {
            self.idle_at = None;
            self.machine.handle_command(now, EndReason::Silence);
        }
    }
}
