//! One answer of one model as it streams in: events, deadlines, and ends of every kind.

use super::circuit_breaker::ProviderPermit;
use super::llm_activity::{Thinking, is_token};
use super::llm_reader::SpokenReader;
use super::llm_send::send;
use super::llm_vendor::{CallProgress, LlmCandidate};
use super::sse::SseParser;
use super::transport;
use super::{Deadlines, LlmEvent, LlmRequest, ProviderError, ProviderRegistry};
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
            Ok((events, true)) if events.len() <= 1 && !attempt.said => return (index, FirstOutput::Empty(events)),
            Ok((events, true)) => return (index, FirstOutput::Complete(events)),
            Ok((events, false)) if events.is_empty() => {}
            Ok((events, false)) => return (index, FirstOutput::Output(attempt, events)),
            Err(failure) => return (index, FirstOutput::Failed(failure)),
        }
    }
}

/// A stream that was opened.
pub(crate) struct LlmAttempt {
    pass: ProviderPermit,
    name: String,
    deadlines: Deadlines,
    thinking: Thinking,
    bytes: futures_util::stream::BoxStream<'static, reqwest::Result<bytes::Bytes>>,
    parser: SseParser,
    reader: SpokenReader,
    said: bool,
    /// The words so far end as a sentence does.
    ends_sentence: bool,
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
        let request = LlmRequest { model, origin, temperature: candidate.temperature, ..request.clone() };
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
        let reader =
            SpokenReader::new(candidate.model.reader(), &providers.answer_starts, candidate.key(), &candidate.id);
        let name = candidate.name.clone();
        let parser = SseParser::default();
        let (bytes_left, words_left) = (STREAM_BYTES_MAX, TEXT_BYTES_MAX);
        let (said, ends_sentence, pending) = (false, false, None);
        Ok(Self {
            pass,
            name,
            deadlines,
            thinking: thinking.until(first_byte),
            bytes,
            parser,
            reader,
            said,
            ends_sentence,
            bytes_left,
            words_left,
            pending,
        })
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
        match timeout_at(deadline, self.bytes.next()).await {
            Ok(Some(Ok(chunk))) => self.take(&chunk),
            Ok(None) => self.end(),
            Ok(Some(Err(_))) | Err(_) if is_finished => Ok((self.last(), true)),
            Ok(Some(Err(error))) => Err(ProviderError::Disconnected(error.to_string())),
            Err(_) => Err(ProviderError::Timeout(what)),
        }
    }

    /// Reads a part of the body.
    fn take(&mut self, chunk: &[u8]) -> Result<(Vec<LlmEvent>, bool), ProviderError> {
        let endless = || ProviderError::InvalidResponse("endless answer".to_owned());
        self.bytes_left = self.bytes_left.checked_sub(chunk.len()).ok_or_else(endless)?;
        let (mut texts, mut over, mut fault) = (Vec::new(), false, None);
        let (reader, mut works) = (&mut self.reader, false);
        let fits = self.parser.push(chunk, |data| {
            works |= is_token(data);
            if fault.is_none() && !over {
                match transport::check_text(data.as_bytes()).and_then(|()| reader.event(data, &mut texts)) {
                    Ok(last) => over = last,
                    Err(failure) => fault = Some(failure),
                }
            }
        });
        if works {
            self.thinking.record(tokio::time::Instant::now());
        }
        let words = texts.iter().map(String::len).sum();
        self.words_left = self.words_left.checked_sub(words).ok_or_else(endless)?;
        let retracted = self.reader.take_retraction() && self.said;
        self.ends_sentence = texts.iter().rev().find_map(|text| ends_sentence(text)).unwrap_or(self.ends_sentence);
        let mut events: Vec<LlmEvent> = texts.into_iter().map(LlmEvent::Text).collect();
        self.said |= !events.is_empty();
        if retracted {
            events.insert(0, LlmEvent::Retracted);
        }
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
        }
        Ok((events, over))
    }

    /// The body has ended. Its last event counts without the empty line behind it, and so does an answer without an end
    /// mark that is whole by itself: sentences, or tool calls.
    fn end(&mut self) -> Result<(Vec<LlmEvent>, bool), ProviderError> {
        let (mut events, over) = match self.take(b"\n\n") {
            // The last event was cut.
            Err(ProviderError::InvalidResponse(_)) => {
                return Err(ProviderError::Disconnected("end of stream".to_owned()));
            }
            read => read?,
        };
        if over {
            return Ok((events, over));
        }
        let is_whole = match self.reader.calls() {
            CallProgress::Whole => true,
            CallProgress::None => self.ends_sentence,
            CallProgress::Partial => false,
        };
        if self.pending.is_none() && (self.reader.is_finished() || is_whole) {
            events.extend(self.last());
            return Ok((events, true));
        }
        let failure = self.pending.take().unwrap_or_else(|| ProviderError::Disconnected("end of stream".to_owned()));
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
