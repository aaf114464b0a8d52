//! One answer of one model as it streams in: events, deadlines, and ends of every kind.

use super::circuit_breaker::ProviderPermit;
use super::llm_activity::{Thinking, is_token};
use super::llm_body::{AnswerBody, BodyPart, BrokenEvents};
use super::llm_reader::SpokenReader;
use super::llm_send::send;
use super::llm_vendor::{CallProgress, LlmCandidate};
use super::{Deadlines, LlmEvent, LlmRequest, ProviderError, ProviderRegistry, Stall, transport};
use futures_util::StreamExt as _;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::time::timeout_at;

/// Bytes of one streamed answer: some 300 for each token, and no answer on a phone call has 20,000.
const STREAM_BYTES_MAX: usize = 8 << 20;
/// Bytes of the words of one answer: an hour of speech.
const TEXT_BYTES_MAX: usize = 64 * 1024;
/// How long the figures of a finished answer are waited for.
const FIGURES_WAIT: Duration = Duration::from_millis(500);
/// A sentence that is whole is said when no further words have come for this long.
const BRIEF_STALL: Duration = Duration::from_millis(500);
/// One that may be whole is said after this time more.
const LONG_STALL: Duration = Duration::from_secs(1);

/// Waits for the words behind those that have come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum StallWatch {
    /// All was told.
    Off,
    Waiting {
        stall: Stall,
        until: tokio::time::Instant,
    },
}

impl StallWatch {
    /// Words that end a sentence have come.
    fn begun() -> Self {
        Self::Waiting { stall: Stall::Brief, until: tokio::time::Instant::now() + BRIEF_STALL }
    }

    /// Words within a sentence have come; the next ones are waited for so long at the most.
    fn within(between_words: Duration) -> Self {
        Self::Waiting { stall: Stall::Within, until: tokio::time::Instant::now() + between_words * 2 / 5 }
    }

    /// What follows once a stall was told.
    fn behind(stall: Stall, told: tokio::time::Instant) -> Self {
        match stall {
            Stall::Brief => Self::Waiting { stall: Stall::Long, until: told + LONG_STALL },
            Stall::Long | Stall::Within => Self::Off,
        }
    }
}

/// First output of an attempt.
pub(crate) enum FirstOutput {
    /// Something to hear: the attempt goes on as the answer.
    Output(LlmAttempt, Vec<LlmEvent>),
    /// The whole answer at once.
    Complete(Vec<LlmEvent>),
    /// A proper end without words and tool calls.
    Empty(Vec<LlmEvent>),
    /// Nothing came.
    Failed(ProviderError),
}

/// One request to one model, until its first word.
pub(crate) async fn attempt(
    providers: &ProviderRegistry, request: Arc<LlmRequest>, candidate: &LlmCandidate, index: usize,
    pass: ProviderPermit, thinking: Thinking,
) -> (usize, FirstOutput) {
    let mut attempt = match LlmAttempt::open(providers, &request, candidate, pass, thinking).await {
        Ok(attempt) => attempt,
        Err(failure) => return (index, FirstOutput::Failed(failure)),
    };
    loop {
        match attempt.read().await {
            Ok((events, true)) => return (index, whole_output(events, attempt.said)),
            Ok((events, false)) if events.is_empty() => {}
            Ok((events, false)) => return (index, FirstOutput::Output(attempt, events)),
            Err(failure) => return (index, FirstOutput::Failed(failure)),
        }
    }
}

/// An answer that came at once. One that was cut before its first word is none: the model has only thought.
fn whole_output(events: Vec<LlmEvent>, said: bool) -> FirstOutput {
    match events.as_slice() {
        _ if said => FirstOutput::Complete(events),
        [LlmEvent::Cut, _] => {
            let words = "the answer was cut at its most tokens before its first word (max_tokens)";
            FirstOutput::Failed(ProviderError::InvalidResponse(words.to_owned()))
        }
        [] | [_] => FirstOutput::Empty(events),
        _ => FirstOutput::Complete(events),
    }
}

/// A stream that was opened.
pub(crate) struct LlmAttempt {
    pass: ProviderPermit,
    name: String,
    deadlines: Deadlines,
    thinking: Thinking,
    bytes: futures_util::stream::BoxStream<'static, reqwest::Result<bytes::Bytes>>,
    body: AnswerBody,
    broken: BrokenEvents,
    reader: SpokenReader,
    said: bool,
    /// The words so far end as a sentence does.
    ends_sentence: bool,
    /// Words that end a sentence are said if no others come.
    stall_watch: StallWatch,
    /// A tool call has begun behind words: they were said.
    call_began: bool,
    /// Bytes that may still come, and bytes of words.
    bytes_left: usize,
    words_left: usize,
    /// Read together with words that came before it.
    pending: Option<ProviderError>,
}

impl LlmAttempt {
    async fn open(
        providers: &ProviderRegistry, request: &LlmRequest, candidate: &LlmCandidate, pass: ProviderPermit,
        thinking: Thinking,
    ) -> Result<Self, ProviderError> {
        let deadlines = providers.timeouts.llm;
        let first_byte = tokio::time::Instant::now() + deadlines.first_byte;
        let (model, origin) = (candidate.id.clone(), candidate.name.clone());
        let request = LlmRequest { model, origin, options: candidate.options.clone(), ..request.clone() };
        let outgoing = candidate.model.request(&candidate.endpoint, &request)?;
        let sent = send(providers, candidate, outgoing);
        let response = match timeout_at(first_byte, sent).await.unwrap_or(Err(ProviderError::Timeout("first token"))) {
            Ok(response) => response,
            Err(failure) => {
                pass.failed(Instant::now(), &failure);
                return Err(failure);
            }
        };
        let bytes = response.bytes_stream().boxed();
        let reader = SpokenReader::new(
            candidate.model.reader(),
            &providers.answer_starts,
            candidate.key(),
            &candidate.id,
            &request.tools,
        );
        Ok(Self {
            pass,
            name: candidate.name.clone(),
            deadlines,
            thinking: thinking.until(first_byte),
            bytes,
            body: AnswerBody::default(),
            broken: BrokenEvents::default(),
            reader,
            said: false,
            ends_sentence: false,
            stall_watch: StallWatch::Off,
            call_began: false,
            bytes_left: STREAM_BYTES_MAX,
            words_left: TEXT_BYTES_MAX,
            pending: None,
        })
    }

    /// Words have come whose sentence has not ended, or a part of a tool call.
    pub(crate) fn is_within(&self) -> bool {
        self.said && !self.ends_sentence || self.reader.calls() == CallProgress::Partial
    }

    /// The next events; true when they are the last.
    pub(crate) async fn read(&mut self) -> Result<(Vec<LlmEvent>, bool), ProviderError> {
        let result = self.read_on().await;
        match &result {
            Ok((events, _)) if !events.is_empty() => self.pass.succeeded(),
            Ok(_) => {}
            Err(failure) => self.pass.failed(Instant::now(), failure),
        }
        result
    }

    async fn read_on(&mut self) -> Result<(Vec<LlmEvent>, bool), ProviderError> {
        if let Some(failure) = self.pending.take() {
            return Err(failure);
        }
        let (deadline, what) = if self.said {
            (tokio::time::Instant::now() + self.deadlines.between_bytes, "next token")
        } else {
            self.thinking.deadline(self.deadlines.first_byte)
        };
        let is_finished = self.reader.is_finished();
        // Only figures follow a finish reason, if anything does: the last sentence does not wait for them.
        let deadline = if is_finished { deadline.min(tokio::time::Instant::now() + FIGURES_WAIT) } else { deadline };
        if let StallWatch::Waiting { stall, until } = self.stall_watch
            && !is_finished
            && until < deadline
        {
            let Ok(read) = timeout_at(until, self.bytes.next()).await else {
                self.stall_watch = StallWatch::behind(stall, until);
                return Ok((vec![LlmEvent::Stalled(stall)], false));
            };
            return self.take_read(read);
        }
        match timeout_at(deadline, self.bytes.next()).await {
            Ok(read) => self.take_read(read),
            Err(_) if is_finished => Ok((self.last(), true)),
            Err(_) => Err(ProviderError::Timeout(what)),
        }
    }

    fn take_read(
        &mut self, read: Option<reqwest::Result<bytes::Bytes>>,
    ) -> Result<(Vec<LlmEvent>, bool), ProviderError> {
        match read {
            Some(Ok(chunk)) => self.take(BodyPart::Bytes(&chunk)),
            None => self.end(),
            Some(Err(_)) if self.reader.is_finished() => Ok((self.last(), true)),
            Some(Err(error)) => Err(ProviderError::Disconnected(error.to_string())),
        }
    }

    /// Reads a part of the body.
    fn take(&mut self, part: BodyPart<'_>) -> Result<(Vec<LlmEvent>, bool), ProviderError> {
        let endless = || ProviderError::InvalidResponse("endless answer".to_owned());
        if let BodyPart::Bytes(chunk) = part {
            self.bytes_left = self.bytes_left.checked_sub(chunk.len()).ok_or_else(endless)?;
        }
        let (mut texts, mut over, mut fault) = (Vec::new(), false, None);
        let (reader, broken, mut works) = (&mut self.reader, &mut self.broken, false);
        let fits = self.body.read(part, |data| {
            works |= is_token(data);
            if fault.is_some() || over {
                return;
            }
            if let Err(failure) = transport::check_text(data.as_bytes()) {
                fault = Some(failure);
                return;
            }
            match reader.event(data, &mut texts) {
                Ok(last) => {
                    over = last;
                    broken.record_whole();
                }
                Err(failure) if broken.skip(data, reader.calls(), &failure) => over |= reader.is_finished(),
                Err(failure) => fault = Some(failure),
            }
        });
        if let Some(what) = self.body.foreign() {
            return Err(ProviderError::InvalidResponse(what.to_owned()));
        }
        if works {
            self.thinking.record(tokio::time::Instant::now());
        }
        let words = texts.iter().map(String::len).sum();
        self.words_left = self.words_left.checked_sub(words).ok_or_else(endless)?;
        let mut events = self.spoken(texts);
        match fault {
            // The answer was over before the fault.
            Some(_) if self.reader.is_finished() => over = true,
            // The text before the fault still counts; the next read returns the failure.
            Some(failure) if events.is_empty() => return Err(failure),
            Some(failure) => self.pending = Some(failure),
            None if !fits => return Err(ProviderError::InvalidResponse("endless event".to_owned())),
            None => {}
        }
        if over {
            events.extend(self.last());
        } else if matches!(part, BodyPart::Bytes(_)) {
            events.extend(self.call_begins());
        }
        Ok((events, over))
    }

    /// Words as events. When they end a sentence, it does not wait for the next word for long.
    fn spoken(&mut self, texts: Vec<String>) -> Vec<LlmEvent> {
        let retracted = self.reader.take_retraction() && self.said;
        if !texts.is_empty() {
            self.ends_sentence = texts.iter().rev().find_map(|text| ends_sentence(text)).unwrap_or(self.ends_sentence);
            self.stall_watch = match self.ends_sentence {
                true => StallWatch::begun(),
                false => StallWatch::within(self.deadlines.between_bytes),
            };
        }
        let mut events: Vec<LlmEvent> = texts.into_iter().map(LlmEvent::Text).collect();
        self.said |= !events.is_empty();
        if retracted {
            events.insert(0, LlmEvent::Retracted);
        }
        events
    }

    /// The first part of a tool call behind words: they are not held until its arguments have come.
    fn call_begins(&mut self) -> Option<LlmEvent> {
        if self.call_began || self.reader.calls() == CallProgress::None {
            return None;
        }
        (self.call_began, self.stall_watch) = (true, StallWatch::Off);
        self.said.then_some(LlmEvent::ToolCallBegan)
    }

    /// The body has ended. Its last event counts without the empty line behind it, and so does an answer without an end
    /// mark that is whole by itself: sentences, tool calls, or a message that was not streamed.
    fn end(&mut self) -> Result<(Vec<LlmEvent>, bool), ProviderError> {
        let skipped = self.broken.count();
        let (mut events, over) = match self.take(BodyPart::End) {
            // The last event was cut.
            Err(ProviderError::InvalidResponse(_)) => {
                return Err(ProviderError::Disconnected("end of stream".to_owned()));
            }
            read => read?,
        };
        if over {
            return Ok((events, over));
        }
        let broken = self.broken.take_last().filter(|_| self.broken.count() == skipped);
        let is_cut = self.broken.count() > skipped;
        let is_whole = match self.reader.calls() {
            CallProgress::Whole => true,
            CallProgress::None => self.ends_sentence || self.body.is_plain() && self.said,
            CallProgress::Partial => false,
        };
        let failure = self.pending.take().or(broken);
        if failure.is_none() && !is_cut && (self.reader.is_finished() || is_whole) {
            events.extend(self.last());
            return Ok((events, true));
        }
        let failure = failure.unwrap_or_else(|| ProviderError::Disconnected("end of stream".to_owned()));
        if events.is_empty() {
            return Err(failure);
        }
        self.pending = Some(failure);
        Ok((events, false))
    }

    fn last(&mut self) -> Vec<LlmEvent> {
        let mut events = self.reader.finish();
        for event in &mut events {
            match event {
                LlmEvent::Done(usage) => usage.model.clone_from(&self.name),
                LlmEvent::ToolCalls(calls) => {
                    let opaque = calls.iter_mut().filter_map(|call| call.opaque.as_mut());
                    opaque.for_each(|opaque| opaque.origin.clone_from(&self.name));
                }
                _ => {}
            }
        }
        events
    }
}

/// Whether the text ends as a sentence does; `None` if it has no words.
fn ends_sentence(text: &str) -> Option<bool> {
    let text = text.trim_end().trim_end_matches(['"', '\'', ')', ']', '”', '’', '»', '」', '』']);
    let last = text.chars().next_back()?;
    Some(matches!(last, '.' | '!' | '?' | '…' | '。' | '！' | '？' | '।' | '؟' | '۔'))
}
