//! The language follows the caller where STT tells languages apart, and the LLM where it does not.

use super::call_machine::CallMachine;
use super::spec::CallSpec;
use super::talk::Talk;
use std::time::Instant;
use trunkline_domain::languages::{english_name, is_same_language};
use trunkline_providers::LanguageWords;

/// Who noticed that the language changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LanguageSource {
    Stt,
    Tool,
}

impl LanguageSource {
    fn name(self) -> &'static str {
        match self {
            Self::Stt => "stt",
            Self::Tool => "tool",
        }
    }
}

impl Talk {
    /// STT says which languages the next final words are in.
    pub(super) fn handle_languages(&mut self, now: Instant, heard: &[LanguageWords]) {
        if !self.language.own.follows_language() {
            return;
        }
        let current = self.line.facts.spec.language().to_owned();
        let sure = self.language.tracker.handle_final(&current, heard);
        let known = sure.and_then(|code| self.language.own.known_language(&code));
        if let Some(code) = known {
            self.language.due = Some(code);
            if self.line.playout.response.is_none() {
                self.speak_due_language(now);
            }
        }
    }

    /// Nothing is being said: the conversation goes on in the language that is due.
    pub(super) fn speak_due_language(&mut self, now: Instant) {
        if let Some(code) = self.language.due.take() {
            self.change_language(now, &code, LanguageSource::Stt);
        }
    }

    /// The LLM wants to go on in another language; returns what it reads.
    pub(super) fn set_language(&mut self, now: Instant, code: &str) -> String {
        self.change_language(now, code, LanguageSource::Tool);
        format!("the conversation goes on in {}", english_name(code))
    }

    /// Goes on in another language than the one that is spoken. Only between responses.
    fn change_language(&mut self, now: Instant, code: &str, source: LanguageSource) {
        if is_same_language(code, self.line.facts.spec.language()) {
            return;
        }
        self.discard_preemptive_generation();
        let spec = self.language.own.in_language(code);
        let name = english_name(code);
        // Also on the way back: the history before is in another language.
        self.history.set_language(format!(
            "The caller speaks {name} now. Answer in {name}, whatever language was used before."
        ));
        self.fillers.last = None;
        let at_ms = self.line.ms(now);
        self.line.metrics().record_language(at_ms, code, source.name());
        self.line.change_language(spec);
    }
}

impl CallMachine {
    /// STT says which languages the next final words are in.
    pub(super) fn handle_languages(&mut self, now: Instant, heard: &[LanguageWords]) {
        if let Some(talk) = self.mode.talk_mut() {
            talk.handle_languages(now, heard);
        }
    }

    /// The call as it is configured now, while the agent takes part.
    pub fn spec(&self) -> Option<&CallSpec> {
        self.mode.talk().map(|talk| &talk.line.facts.spec)
    }
}
