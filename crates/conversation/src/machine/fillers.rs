//! Fillers: a short phrase while a tool or the LLM takes long.

use super::output::CallOutput;
use super::talk::{Speaker, Talk};
use crate::dialogue::response::AfterResponse;
use std::time::{Duration, Instant};
use trunkline_domain::tool_progress::ToolProgress;
use trunkline_media::playout::queue::SegmentId;

/// When words about a tool are tried again that came while the caller spoke.
const WORDS_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// What the caller has heard about the tools that work.
#[derive(Debug, Default)]
pub(super) struct ToolWords {
    /// The tool's own `filler`, as soon as it began.
    has_filler: bool,
    /// Phrases that came later.
    phrases: usize,
}

impl ToolWords {
    fn is_first(&self) -> bool {
        !self.has_filler && self.phrases == 0
    }
}

impl Talk {
    pub(super) fn arm_filler(&mut self, now: Instant) {
        if let Some(config) = self.line.facts.silence.as_ref().filter(|config| !config.fillers.is_empty()) {
            self.timers.filler = Some(now + Duration::from_millis(config.filler_after_ms));
        }
    }

    /// Tools work and nobody speaks: sets when the caller hears that they still do.
    pub(super) fn arm_tool_words(&mut self, now: Instant) {
        if let Some(wait) = self.next_tool_words_after().filter(|_| self.line.playout.response.is_none()) {
            self.timers.filler = Some(now + wait);
        }
    }

    fn next_tool_words_after(&self) -> Option<Duration> {
        if !self.tools.is_waiting() {
            return None;
        }
        let general = self.line.facts.silence.as_ref().filter(|config| !config.fillers.is_empty());
        let general = general.map(|config| config.filler_after_ms).filter(|_| self.tools.words.is_first());
        let ms = match self.tool_progress() {
            Some(progress) if !self.tools.words.is_first() => progress.repeat_ms,
            Some(progress) if !progress.phrases.is_empty() => progress.after_ms,
            Some(progress) => general.unwrap_or(progress.after_ms),
            None => general?,
        };
        Some(Duration::from_millis(ms))
    }

    /// What the tool that has worked longest says of itself; `None` if it says nothing. A realtime model speaks for
    /// itself, unless the agent wants more.
    fn tool_progress(&self) -> Option<ToolProgress> {
        let functions = || {
            let tools = self.line.facts.spec.agent.llm_config.iter().flat_map(|config| &config.tools);
            tools.filter(|tool| tool.is_function())
        };
        let is_remote = |name: &str| self.tools.remote.iter().any(|tool| tool.name == name);
        self.tools.waiting.iter().find_map(|call| {
            let function = functions().find(|tool| tool.function.name == call.name);
            let own = function.and_then(|tool| tool.progress.clone());
            match (own, &self.speaker) {
                (Some(own), _) => own.enabled.then_some(own),
                (None, Speaker::Realtime(_)) => None,
                (None, Speaker::Pipeline(_)) => {
                    (function.is_some() || is_remote(&call.name)).then(ToolProgress::default)
                }
            }
        })
    }

    /// The next words about the tools that work.
    fn next_tool_words(&self) -> Option<String> {
        let ToolWords { has_filler, phrases } = self.tools.words;
        match self.tool_progress() {
            Some(progress) if !progress.phrases.is_empty() => in_turn(&progress.phrases, phrases).cloned(),
            Some(_) => self.next_filler().or_else(|| {
                let own = self.line.facts.phrases.working;
                in_turn(&own, phrases + usize::from(has_filler)).map(|words| (*words).to_owned())
            }),
            None => self.next_filler(),
        }
    }

    /// Says a tool's own filler, as soon as it works.
    pub(super) fn say_tool_filler(&mut self, now: Instant, words: String) {
        self.tools.words.has_filler = true;
        self.say_filler(now, words);
    }

    /// Says something while tools run.
    pub(super) fn say_filler(&mut self, now: Instant, words: String) {
        self.history.append_filler(&words);
        self.say(now, &words, AfterResponse::AwaitCaller);
        if let Some(response) = &mut self.line.playout.response {
            response.is_filler = true;
            if !self.line.facts.spec.agent.turn().tool_speech_interruptible {
                self.line.make_uninterruptible();
            }
        }
        self.last_filler = Some(words);
    }

    /// Filler timeout: a tool or the LLM takes too long.
    pub(super) fn handle_filler_timeout(&mut self, now: Instant) {
        match &self.line.playout.response {
            Some(response) if !response.is_scripted && !response.has_words() => self.add_filler_to_response(),
            None if self.tools.is_waiting() => {
                let Some(words) = self.next_tool_words() else { return };
                if self.line.caller.is_quiet() {
                    self.tools.words.phrases += 1;
                    self.say_filler(now, words);
                } else {
                    self.timers.filler = Some(now + WORDS_AGAIN_AFTER);
                }
            }
            Some(_) | None => {}
        }
    }

    fn add_filler_to_response(&mut self) {
        let (Some(words), Some(response)) = (self.next_filler(), self.line.playout.response.as_mut()) else { return };
        let response_id = response.response_id;
        let Some((index, text)) = response.add_filler(&words) else { return };
        self.last_filler = Some(words);
        self.line.output(CallOutput::Speak { segment: SegmentId { response_id, index }, text });
    }

    /// The filler after the one that was used last; none when it is the only one.
    fn next_filler(&self) -> Option<String> {
        let fillers = &self.line.facts.silence.as_ref()?.fillers;
        let last = self.last_filler.as_ref();
        let after = last.and_then(|last| fillers.iter().position(|one| one == last)).map_or(0, |at| at + 1);
        let next = fillers.get(after % fillers.len().max(1))?;
        (Some(next) != last).then(|| next.clone())
    }
}

/// The words at a place of a list; behind its end, all but the first follow again and again.
fn in_turn<T>(list: &[T], place: usize) -> Option<&T> {
    let again = list.len().saturating_sub(1).max(1);
    let place = if place < list.len() { place } else { (place.saturating_sub(1) % again + 1).min(list.len() - 1) };
    list.get(place)
}
