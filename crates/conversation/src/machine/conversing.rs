//! A conversation: the agent answers the caller's turns, and prompts a caller who says nothing.

use super::barge_in::STT_STALL_TIMEOUT;
use super::collecting::Collecting;
use super::output::CallOutput;
use super::spec::CallSpec;
use super::talk::{FAILURES_MAX, Speaker, Talk};
use super::timers::CallTimer;
use super::unclear_cause::UnclearSpeech;
use crate::dialogue::response::AfterResponse;
use std::time::{Duration, Instant};
use trunkline_domain::end_reason::EndReason;
use trunkline_media::turn::end_of_turn::CallerTurn;

/// Prompt for the model when the caller says nothing.
const SILENCE_PROMPT: &str = "The caller has said nothing for a while. Ask in one short sentence whether they are still \
there or need a moment, in words that fit the conversation and that you have not used before.";

/// The agent and the caller talk.
#[derive(Debug)]
pub struct Conversing {
    pub(super) talk: Talk,
    /// Consecutive prompts to a silent caller.
    pub(super) silence_prompts: u32,
    pub(super) unclear: UnclearSpeech,
    pub(super) collecting: Collecting,
}

impl Conversing {
    /// The call was just answered: the agent greets.
    pub(super) fn answered(now: Instant, spec: CallSpec, speaker: Speaker) -> Self {
        let mut talk = Talk::new(now, spec, speaker);
        talk.greet(now);
        Self::returned(talk)
    }

    /// The caller is with the agent, and is asked for nothing.
    pub(super) fn returned(talk: Talk) -> Self {
        Self { talk, silence_prompts: 0, unclear: UnclearSpeech::default(), collecting: Collecting::Nothing }
    }

    /// The agent's part in the conversation.
    pub fn talk(&mut self) -> &mut Talk {
        &mut self.talk
    }

    /// The caller has finished a turn; true when a response may be over by that.
    #[must_use]
    pub(super) fn handle_turn(&mut self, now: Instant, turn: CallerTurn) -> bool {
        match &self.talk.speaker {
            Speaker::Realtime(_) => {
                self.talk.send_to_realtime(&turn);
                false
            }
            Speaker::Pipeline(_) => self.talk.handle_turn(now, turn),
        }
    }

    /// Starts the silence timer if it is the caller's turn. While a tool works the caller waits for us.
    pub(super) fn arm_silence(&mut self, now: Instant) {
        let talk = &mut self.talk;
        if talk.line.playout.response.is_none() {
            self.collecting.handle_silence(now);
        }
        if let (Some(config), None, false) =
            (&talk.line.facts.silence, &talk.line.playout.response, talk.tools.is_waiting())
        {
            talk.timers.silence = Some(now + Duration::from_millis(config.prompt_after_ms));
        }
    }

    /// A timer has fired that means nothing outside of a conversation.
    pub(super) fn handle_timer(&mut self, now: Instant, timer: CallTimer) {
        match timer {
            CallTimer::Silence => self.handle_silence(now),
            CallTimer::Unclear => self.answer_unclear_speech(now),
            CallTimer::SttStall => self.handle_stt_stalled(now),
            _ => {}
        }
    }

    /// The silence timer has fired.
    pub(super) fn handle_silence(&mut self, now: Instant) {
        let talk = &mut self.talk;
        let Some(config) = talk.line.facts.silence.clone() else { return };
        if talk.line.playout.response.is_some() || !talk.line.caller.is_quiet() {
            return;
        }
        if self.silence_prompts >= config.max_prompts {
            return talk.say(now, &config.goodbye, AfterResponse::HangUp(EndReason::Silence));
        }
        let asked = self.silence_prompts as usize;
        self.silence_prompts += 1;
        if config.generate_prompts {
            talk.fillers.begin_silence(now);
            return talk.request_response(now, Some(SILENCE_PROMPT));
        }
        let ways: Vec<&String> = std::iter::once(&config.prompt).chain(&config.prompts).collect();
        talk.say(now, ways[asked % ways.len()], AfterResponse::AwaitCaller);
    }

    /// The caller spoke and STT has sent nothing.
    pub(super) fn handle_stt_stalled(&mut self, now: Instant) {
        let talk = &mut self.talk;
        let Speaker::Pipeline(pipeline) = &mut talk.speaker else { return };
        // Words that are there end as a turn, however long it is waited for the rest.
        if talk.line.playout.response.is_some() || !talk.line.caller.end_of_turn.words().is_empty() {
            return;
        }
        pipeline.stt_stalls += 1;
        let stalls = pipeline.stt_stalls;
        talk.line.metrics().record_provider_error("stt", "stalled");
        if stalls > FAILURES_MAX && talk.line.facts.silence.is_some() {
            // Asked to repeat twice, in vain. The caller may be there, but is not heard: from here on the call goes as one
            // with a silent caller, who may press keys, and who hears at its end that it was not heard.
            return self.handle_silence(now);
        }
        // A service that two new connections have not helped is left alone: a third may be its last.
        if stalls <= FAILURES_MAX {
            talk.line.output(CallOutput::RestartStt);
        }
        talk.fillers.note_unheard(now.checked_sub(STT_STALL_TIMEOUT).unwrap_or(now));
        talk.ask_to_repeat(now);
    }
}
