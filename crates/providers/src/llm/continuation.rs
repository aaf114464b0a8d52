//! Answers that break off or stand still within a sentence: the next model continues them, or the same one once more.

use super::HedgedRequest;
use crate::answer_seam::AnswerSeam;
use crate::llm_activity::sleep_until_some;
use crate::llm_attempt::{FirstOutput, LlmAttempt};
use crate::{LlmEvent, LlmRequest, ProviderError, Stall};
use futures_util::future::BoxFuture;
use std::sync::Arc;
use std::time::{Duration, Instant};
use trunkline_domain::chat::{CONTINUE_PROMPT, ChatMessage};
use trunkline_domain::provider::PipelineStage;

/// Bytes of an answer that is continued: a longer one has lost nothing that the caller waits for.
const CONTINUED_BYTES_MAX: usize = 16 * 1024;

/// New words of a continuation.
struct NewWords {
    events: Vec<LlmEvent>,
    /// Its rest; `None` if the words were the last.
    rest: Option<LlmAttempt>,
}

/// A continuation that is under way.
type Continuation<'a> = BoxFuture<'a, (usize, Result<NewWords, ProviderError>)>;

/// What became of an answer.
enum Interruption {
    /// It stands still within a sentence.
    Stalled,
    Failed(ProviderError),
}

/// How an answer that was interrupted goes on.
enum Continued {
    By(usize, Box<LlmAttempt>),
    /// All of it was said.
    ToItsEnd,
}

/// The times of one interruption, as parts of the longest time between two tokens.
struct Patience {
    /// When the words that are certainly whole are said, if they were not yet.
    flush_at: Option<Instant>,
    give_up_at: Instant,
}

impl Patience {
    /// From the last words on nobody waits longer for a continuation than for the next token.
    fn new(between_bytes: Duration, is_flushed: bool) -> Self {
        let flush_at = Instant::now() + if is_flushed { Duration::ZERO } else { between_bytes / 5 };
        Self { flush_at: (!is_flushed).then_some(flush_at), give_up_at: flush_at + between_bytes * 3 / 5 }
    }
}

impl<'a> HedgedRequest<'a> {
    /// Reads an answer to its end, whoever continues it.
    pub(super) async fn read_answer(&mut self, index: usize, attempt: LlmAttempt) -> Result<(), ProviderError> {
        let (mut index, mut attempt) = (index, attempt);
        while let Some(interruption) = self.read_until_interrupted(&mut attempt).await {
            let continued = match interruption {
                Interruption::Failed(failure) if !self.may_be_continued(&attempt) => return Err(failure),
                Interruption::Failed(failure) => self.continue_answer(index, None, failure).await?,
                Interruption::Stalled => {
                    let failure = ProviderError::Timeout("next token");
                    self.continue_answer(index, Some(attempt), failure).await?
                }
            };
            match continued {
                Continued::By(next, rest) => (index, attempt) = (next, *rest),
                Continued::ToItsEnd => return Ok(()),
            }
        }
        Ok(())
    }

    /// Whether an answer that has failed is continued: by the next model always, by its own if it lacks anything.
    fn may_be_continued(&self, attempt: &LlmAttempt) -> bool {
        let is_owed = self.next < self.plan.candidates.len() || attempt.is_within();
        is_owed && self.said.len() <= CONTINUED_BYTES_MAX
    }

    /// `None`: it has ended.
    async fn read_until_interrupted(&mut self, attempt: &mut LlmAttempt) -> Option<Interruption> {
        loop {
            match attempt.read().await {
                Ok((events, over)) => {
                    let is_stalled = events.contains(&LlmEvent::Stalled(Stall::Within));
                    self.forward(events).await;
                    if over {
                        return None;
                    }
                    if is_stalled {
                        return Some(Interruption::Stalled);
                    }
                }
                Err(failure) => return Some(Interruption::Failed(failure)),
            }
        }
    }

    /// Waits for whatever goes on first: the answer that stands still, or its continuation.
    async fn continue_answer(
        &mut self, index: usize, mut standing: Option<LlmAttempt>, mut failure: ProviderError,
    ) -> Result<Continued, ProviderError> {
        self.began = Instant::now();
        let mut patience = Patience::new(self.providers.timeouts.llm.between_bytes, standing.is_some());
        let mut continuation = None;
        loop {
            if continuation.is_none() {
                continuation = self.start_continuation(index).await;
            }
            if continuation.is_none() && standing.is_none() {
                return Err(failure);
            }
            tokio::select! {
                read = read_some(&mut standing) => match read {
                    Ok((events, over)) => {
                        let goes_on = over || events.iter().any(|event| !matches!(event, LlmEvent::Stalled(_)));
                        self.forward(events).await;
                        match standing.take_if(|_| goes_on) {
                            Some(_) if over => return Ok(Continued::ToItsEnd),
                            Some(attempt) => return Ok(Continued::By(index, Box::new(attempt))),
                            None => {}
                        }
                    }
                    Err(lost) => (standing, failure) = (None, lost),
                },
                (next, words) = continued(&mut continuation) => match words {
                    Ok(words) => return Ok(self.adopt(index, next, words, failure).await),
                    Err(lost) => {
                        continuation = None;
                        self.last = Some((next, lost.clone()));
                        failure = lost;
                    }
                },
                () = sleep_until_some(patience.flush_at) => {
                    patience.flush_at = None;
                    self.forward(vec![LlmEvent::Stalled(Stall::Within)]).await;
                }
                () = sleep_until_some(Some(patience.give_up_at)) => {
                    self.providers.record_slow_response(&self.plan.candidates[index].endpoint, PipelineStage::Llm);
                    return Err(failure);
                }
            }
        }
    }

    /// Another model has new words, or the same one when it was asked again.
    async fn adopt(&mut self, index: usize, next: usize, words: NewWords, failure: ProviderError) -> Continued {
        if next > index {
            self.last.get_or_insert((index, failure));
            self.report_failover(next).await;
        }
        self.last = None;
        self.forward(words.events).await;
        words.rest.map_or(Continued::ToItsEnd, |rest| Continued::By(next, Box::new(rest)))
    }

    /// Asks the next model to continue what was said, or the same one, which is asked once.
    async fn start_continuation(&mut self, index: usize) -> Option<Continuation<'a>> {
        let mut request = LlmRequest::clone(&self.request);
        let seam = AnswerSeam::behind(&self.said, &request.messages);
        if !self.said.is_empty() {
            request.messages.push(ChatMessage::Assistant { content: self.said.clone(), tool_calls: Vec::new() });
            request.messages.push(ChatMessage::System(CONTINUE_PROMPT.to_owned()));
        }
        let turn = std::mem::replace(&mut self.request, Arc::new(request));
        let mut attempt = self.start(false).await;
        if attempt.is_none() && !std::mem::replace(&mut self.has_asked_again, true) {
            self.next = index;
            attempt = self.start(false).await;
            metrics::counter!("trunkline_provider_retries_total", "stage" => "llm").increment(1);
        }
        self.request = turn;
        Some(Box::pin(new_words(attempt?, seam)))
    }
}

async fn read_some(standing: &mut Option<LlmAttempt>) -> Result<(Vec<LlmEvent>, bool), ProviderError> {
    match standing {
        Some(attempt) => attempt.read().await,
        None => std::future::pending().await,
    }
}

async fn continued(continuation: &mut Option<Continuation<'_>>) -> (usize, Result<NewWords, ProviderError>) {
    match continuation {
        Some(continuation) => continuation.await,
        None => std::future::pending().await,
    }
}

/// Reads a continuation until it has more than what was said before.
async fn new_words(
    attempt: impl Future<Output = (usize, FirstOutput)>, mut seam: AnswerSeam,
) -> (usize, Result<NewWords, ProviderError>) {
    let (index, first) = attempt.await;
    let (mut rest, mut read) = match first {
        FirstOutput::Failed(failure) => return (index, Err(failure)),
        FirstOutput::Empty(_) => {
            return (index, Err(ProviderError::InvalidResponse("empty continuation".to_owned())));
        }
        FirstOutput::Complete(events) => (None, (events, true)),
        FirstOutput::Output(attempt, events) => (Some(attempt), (events, false)),
    };
    loop {
        let (events, over) = read;
        let events = behind_seam(events, &mut seam, over);
        if over || events.iter().any(|event| !matches!(event, LlmEvent::Stalled(_))) {
            return (index, Ok(NewWords { events, rest: rest.filter(|_| !over) }));
        }
        read = match read_some(&mut rest).await {
            Ok(read) => read,
            Err(failure) => return (index, Err(failure)),
        };
    }
}

/// The events without what was said before.
fn behind_seam(events: Vec<LlmEvent>, seam: &mut AnswerSeam, over: bool) -> Vec<LlmEvent> {
    let mut new = Vec::new();
    let text = |words: String| Some(words).filter(|words| !words.is_empty()).map(LlmEvent::Text);
    for event in events {
        match event {
            LlmEvent::Text(words) => new.extend(text(seam.push(&words))),
            LlmEvent::Stalled(_) => new.push(event),
            other => {
                new.extend(text(seam.finish()));
                new.push(other);
            }
        }
    }
    if over {
        let last = new.len().saturating_sub(1);
        text(seam.finish()).into_iter().for_each(|words| new.insert(last, words));
    }
    new
}
