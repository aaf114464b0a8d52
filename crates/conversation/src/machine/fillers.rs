//! Fillers: a short phrase while a tool or the LLM takes long.

use super::output::CallOutput;
use super::talk::{Speaker, Talk};
use crate::dialogue::phrases::fillers;
use crate::dialogue::response::{AfterResponse, AgentResponse, is_sayable};
use std::time::{Duration, Instant};
use trunkline_domain::tool_progress::ToolProgress;
use trunkline_media::playout::queue::SegmentId;

/// When a default filler is said, while nobody has chosen other ones.
const DEFAULT_FILLER_AFTER: Duration = Duration::from_millis(2_500);
/// The same from the end of the caller's turn on: whatever has stalled until then, somebody speaks within three seconds.
const DEFAULT_FILLER_AFTER_TURN: Duration = Duration::from_millis(2_300);
/// Silence between two fillers while the caller still waits.
const NEXT_FILLER_AFTER: Duration = Duration::from_millis(3_500);
/// From a filler to the next if the first is not heard.
const UNHEARD_FILLER_AFTER: Duration = Duration::from_secs(5);
/// Silence between two fillers when a tool works for longer than fillers are said to one turn.
const LATE_FILLER_AFTER: Duration = Duration::from_secs(15);
/// When a filler is tried again that was due while the caller spoke.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

impl Talk {
    /// The caller waits for the model, or for a tool that has no words of its own.
    pub(super) fn arm_filler(&mut self, now: Instant) {
        let own = self.line.facts.silence.as_ref().filter(|config| !config.fillers.is_empty());
        let own = own.map(|config| Duration::from_millis(config.filler_after_ms));
        if own.is_none() && self.default_fillers().is_empty() {
            return;
        }
        let due = match (own, self.fillers.is_empty()) {
            (Some(after), true) => self.fillers.due(now, after),
            (None, true) => self.fillers.due_after_turn(now, DEFAULT_FILLER_AFTER, DEFAULT_FILLER_AFTER_TURN),
            (own, false) => self.fillers.due_again(now, own.unwrap_or_default().max(NEXT_FILLER_AFTER)),
        };
        self.timers.filler = (!self.fillers.is_exhausted()).then_some(due);
    }

    /// The model has stopped before an answer, or in the middle of it, and everything so far was heard.
    pub(super) fn arm_filler_in_answer(&mut self, now: Instant) {
        if self.line.playout.response.as_ref().is_some_and(AgentResponse::waits_for_model) {
            self.arm_filler(now);
        }
    }

    /// The phrases for an agent without any of its own. A realtime model talks by itself, unless it waits for a tool.
    fn default_fillers(&self) -> &'static [&'static str] {
        let wanted = self.line.facts.silence.as_ref().is_some_and(|config| config.default_fillers);
        match &self.speaker {
            Speaker::Pipeline(_) if wanted => fillers(self.line.facts.spec.language()),
            Speaker::Realtime(_) if wanted && self.tools.is_waiting() => fillers(self.line.facts.spec.language()),
            Speaker::Pipeline(_) | Speaker::Realtime(_) => &[],
        }
    }

    /// The caller waits for a tool, and nobody speaks.
    pub(super) fn arm_filler_for_tools(&mut self, now: Instant) {
        if !self.tools.is_waiting() || self.line.playout.response.is_some() {
            return;
        }
        match self.tool_progress() {
            Some(progress) => {
                let is_first = self.tools.phrases == 0 && self.fillers.is_empty();
                let due = match is_first {
                    true => self.fillers.due(now, Duration::from_millis(progress.after_ms)),
                    false => self.fillers.due_again(now, Duration::from_millis(progress.repeat_ms)),
                };
                self.timers.filler = progress.enabled.then_some(due);
            }
            None if self.fillers.is_exhausted() => self.timers.filler = Some(now + LATE_FILLER_AFTER),
            None => self.arm_filler(now),
        }
    }

    /// What the tools that are waited for say of themselves; `None`: what the agent says while anything takes long.
    fn tool_progress(&self) -> Option<&ToolProgress> {
        let tools = self.line.facts.spec.agent.llm_config.as_ref().map_or(&[][..], |config| &config.tools);
        let of = |name: &str| tools.iter().find(|tool| tool.is_function() && tool.function.name == name);
        self.tools.waiting.iter().find_map(|call| of(&call.name)?.progress.as_ref())
    }

    /// The next words while tools work.
    fn next_tool_words(&self) -> Option<String> {
        let place = self.tools.phrases;
        match self.tool_progress() {
            Some(progress) if !progress.enabled => None,
            Some(progress) if !progress.phrases.is_empty() => in_turn(&progress.phrases, place).cloned(),
            Some(_) => {
                let of_language = fillers(self.line.facts.spec.language());
                self.next_filler().or_else(|| in_turn(of_language, place).map(|words| (*words).to_owned()))
            }
            None => self.next_filler(),
        }
    }

    /// Says something while tools run.
    pub(super) fn say_filler(&mut self, now: Instant, words: String) {
        if !is_sayable(&words) {
            return self.arm_filler_for_tools(now);
        }
        self.history.append_filler(&words);
        self.say(now, &words, AfterResponse::AwaitCaller);
        if let Some(response) = &mut self.line.playout.response {
            response.is_filler = true;
            if !self.line.facts.spec.agent.turn().tool_speech_interruptible {
                self.line.make_uninterruptible();
            }
        }
        self.fillers.record(words);
    }

    /// Filler timeout: a tool or the LLM takes too long.
    pub(super) fn handle_filler_timeout(&mut self, now: Instant) {
        match &self.line.playout.response {
            Some(response) if response.has_words() && !self.line.caller.is_quiet() => {
                self.timers.filler = Some(now + AGAIN_AFTER);
            }
            Some(response) if response.waits_for_model() => self.add_filler_to_response(now),
            None if self.tools.is_waiting() => {
                let Some(words) = self.next_tool_words() else { return };
                if self.line.caller.is_quiet() {
                    self.tools.phrases += 1;
                    self.say_filler(now, words);
                } else {
                    self.timers.filler = Some(now + AGAIN_AFTER);
                }
            }
            Some(_) | None => {}
        }
    }

    /// A realtime model is silent: the caller hears that somebody is there, and the model gets some more time. False when
    /// that time is over.
    pub(super) fn wait_on_realtime(&mut self) -> bool {
        let Speaker::Realtime(realtime) = &mut self.speaker else { return false };
        let Some(give_up_at) = realtime.give_up_at.take() else { return false };
        realtime.stall_at = Some(give_up_at);
        let own = self.line.facts.silence.as_ref().and_then(|config| config.fillers.first().cloned());
        let default = self.line.facts.silence.as_ref().filter(|config| config.default_fillers);
        let default = default.and_then(|_| fillers(self.line.facts.spec.language()).first().copied());
        let Some(words) = own.or_else(|| default.map(str::to_owned)) else { return true };
        if self.line.playout.response.is_none() && !self.fillers.is_exhausted() {
            let response_id = self.line.playout.next_id();
            let style = self.line.facts.spec.style();
            let (mut response, segments) =
                AgentResponse::scripted(response_id, &words, AfterResponse::AwaitCaller, style);
            response.is_filler = true;
            self.line.playout.response = Some(response);
            self.line.speak(segments);
            self.fillers.record(words);
        }
        true
    }

    fn add_filler_to_response(&mut self, now: Instant) {
        let (Some(words), Some(response)) = (self.next_filler(), self.line.playout.response.as_mut()) else { return };
        let response_id = response.response_id;
        let Some((index, text)) = response.add_filler(&words) else { return };
        self.fillers.record(words);
        self.timers.filler = (!self.fillers.is_exhausted()).then(|| now + UNHEARD_FILLER_AFTER);
        self.line.output(CallOutput::Speak { segment: SegmentId { response_id, index }, text });
    }

    /// The filler after the one that was used last. Of an agent with a single one, those of the language follow; none when
    /// it would be the same again.
    fn next_filler(&self) -> Option<String> {
        let own = self.line.facts.silence.as_ref()?.fillers.iter().map(String::as_str);
        let default = if own.len() < 2 { self.default_fillers() } else { &[] };
        let all: Vec<&str> = own.chain(default.iter().copied()).collect();
        let last = self.fillers.last.as_deref();
        let after = last.and_then(|last| all.iter().position(|filler| *filler == last)).map_or(0, |at| at + 1);
        let in_order = all.iter().cycle().skip(after).take(all.len());
        in_order.copied().find(|filler| Some(*filler) != last).map(str::to_owned)
    }
}

/// The phrase at a place of a list; behind its end, all but the first follow again and again.
fn in_turn<T>(list: &[T], place: usize) -> Option<&T> {
    let again = list.len().saturating_sub(1).max(1);
    let repeated = place.saturating_sub(1) % again + 1;
    list.get(place).or_else(|| list.get(repeated)).or(list.first())
}
