//! The stream of one answer as the call gets it: the vendor's reader without the model's thoughts.

use super::LlmEvent;
use super::ProviderError;
use super::llm_vendor::{CallProgress, LlmStreamReader};
use super::thoughts::{AnswerStart, LabelledThoughts, ThoughtFilter};
use super::written_calls::WrittenCalls;
use moka::sync::Cache;
use trunkline_domain::chat::ToolOffer;

/// Models remembered.
const MODELS_MAX: u64 = 1_000;

/// How the answers of models begin, as far as they have shown it; by address and model. Clones share it.
#[derive(Clone, Debug)]
pub struct AnswerStarts(Cache<String, AnswerStart>);

impl Default for AnswerStarts {
    fn default() -> Self {
        Self(Cache::new(MODELS_MAX))
    }
}

impl AnswerStarts {
    fn of_model(&self, key: &str, model: &str) -> AnswerStart {
        self.0.get(key).unwrap_or_else(|| AnswerStart::of_model(model))
    }

    fn record(&self, key: &str, start: AnswerStart) {
        if self.0.get(key) != Some(start) {
            tracing::info!(model = key, ?start, "a model has shown how its answers begin");
            self.0.insert(key.to_owned(), start);
        }
    }
}

/// A vendor's reader behind the filter for thoughts.
pub struct SpokenReader {
    reader: Box<dyn LlmStreamReader>,
    /// How the model's answers begin, as far as it was known.
    start: AnswerStart,
    filter: ThoughtFilter,
    labels: LabelledThoughts,
    written: WrittenCalls,
    starts: AnswerStarts,
    key: String,
    is_retracted: bool,
}

impl SpokenReader {
    /// `key` is address and model, `model` the vendor's name of it, `tools` what it was offered.
    pub fn new(
        reader: Box<dyn LlmStreamReader>, starts: &AnswerStarts, key: String, model: &str, tools: &[ToolOffer],
    ) -> Self {
        let start = starts.of_model(&key, model);
        Self {
            reader,
            start,
            filter: ThoughtFilter::new(start),
            labels: LabelledThoughts::new(),
            written: WrittenCalls::new(tools),
            starts: starts.clone(),
            key,
            is_retracted: false,
        }
    }

    /// True once after a closing tag showed that everything passed on so far was thoughts, or the answer began anew.
    pub fn take_retraction(&mut self) -> bool {
        std::mem::take(&mut self.is_retracted)
    }

    /// One server-sent event; true when it was the last. Words that were thoughts are taken out of `said` again.
    pub fn event(&mut self, data: &str, said: &mut Vec<String>) -> Result<bool, ProviderError> {
        let mut pieces = Vec::new();
        let read = self.reader.event(data, &mut pieces);
        if self.reader.take_restart() {
            self.filter = ThoughtFilter::new(self.start);
            self.retract(said);
        }
        for piece in pieces {
            let part = self.filter.push(&piece);
            if part.is_retraction {
                self.retract(said);
            }
            let words = self.labels.push(&part.text);
            said.extend(Some(self.written.push(&words)).filter(|text| !text.is_empty()));
        }
        read
    }

    fn retract(&mut self, said: &mut Vec<String>) {
        said.clear();
        self.labels.clear();
        self.written.clear();
        self.is_retracted = true;
    }

    /// Enough was read for the answer to count when the stream ends here.
    pub fn is_finished(&self) -> bool {
        self.reader.is_finished()
    }

    /// How far the tool calls have come.
    pub fn calls(&self) -> CallProgress {
        match self.reader.calls() {
            CallProgress::None if self.written.is_within() => CallProgress::Partial,
            CallProgress::None if self.written.has_calls() => CallProgress::Whole,
            progress => progress,
        }
    }

    /// What is left to say at the end: words that were held back, tool calls, then what it took.
    pub fn finish(&mut self) -> Vec<LlmEvent> {
        let last = self.labels.push(&self.filter.finish()) + &self.labels.finish();
        let mut rest = self.written.push(&last);
        rest.push_str(&self.written.finish());
        for (name, arguments) in self.filter.take_calls().into_iter().chain(self.labels.take_call()) {
            self.written.add(&name, &arguments);
        }
        if let Some(start) = self.filter.observed_start() {
            self.starts.record(&self.key, start);
        }
        let (is_cut, progress) = (self.reader.is_cut(), self.reader.calls());
        let words = Some(rest).filter(|rest| !rest.is_empty()).map(LlmEvent::Text);
        let mut events: Vec<LlmEvent> = words.into_iter().chain(self.reader.finish()).collect();
        for event in &mut events {
            let LlmEvent::ToolCalls(calls) = event else { continue };
            for call in calls {
                if let Some(name) = self.written.meant_by(&call.name).filter(|name| *name != call.name) {
                    call.name = name.to_owned();
                }
            }
        }
        let written = self.written.take();
        if progress == CallProgress::None && !written.is_empty() {
            let last = events.len().saturating_sub(1);
            events.insert(last, LlmEvent::ToolCalls(written));
        }
        if is_cut {
            note_cut(&mut events, progress);
        }
        events
    }
}

/// The answer was cut: the tool call in which that happened is not made, and the conversation learns of it.
fn note_cut(events: &mut Vec<LlmEvent>, progress: CallProgress) {
    for event in &mut *events {
        if let LlmEvent::ToolCalls(calls) = event
            && progress == CallProgress::Partial
        {
            calls.pop();
        }
    }
    events.retain(|event| !matches!(event, LlmEvent::ToolCalls(calls) if calls.is_empty()));
    let last = events.len().saturating_sub(1);
    events.insert(last, LlmEvent::Cut);
}
