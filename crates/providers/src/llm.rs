//! LLM requests with failover and hedging: one stream of events from whichever model answers first.

mod continuation;

use super::llm_activity::{ModelActivity, sleep_until_some};
use super::llm_attempt::{FirstOutput, attempt};
use super::llm_send::permit_failure;
use super::{EventStream, Failover, LlmEvent, LlmRequest, ProviderError, ProviderRegistry, TokenUsage};
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use trunkline_domain::chat::ChatMessage;
use trunkline_domain::provider::PipelineStage;

pub use super::llm_completion::complete;
pub use super::llm_vendor::{
    AnswersByRules, CallProgress, Completion, LlmCandidate, LlmHttpRequest, LlmPlan, LlmStreamReader, LlmVendor,
    RulesAnswer, StructuredRequest,
};

/// Failures in a row after which a model that is silent gets half of its time.
const STALLED_AFTER: u32 = 2;

/// Waits before a model whose server is busy or still loading it is asked again.
const BUSY_WAITS: [Duration; 2] = [Duration::from_millis(800), Duration::from_millis(2_400)];
/// An ordered wait is kept up to this.
const ORDERED_WAIT_MAX: Duration = Duration::from_secs(3);

/// Starts a request; dropping the stream cancels all attempts.
pub fn stream_llm_response(providers: &ProviderRegistry, plan: LlmPlan, request: LlmRequest) -> EventStream<LlmEvent> {
    let providers = providers.clone();
    EventStream::spawn("llm", |events| async move {
        let mut hedged = HedgedRequest::new(&providers, &plan, request, &events);
        let failure = match (&plan.rules, plan.candidates.is_empty()) {
            (Some(rules), true) => return hedged.answer_by_rules(rules.as_ref()).await,
            _ => hedged.run().await.err(),
        };
        match (failure, &plan.rules) {
            (None, _) => {}
            // Words that were said already are the answer: rules cannot go on with them.
            (Some(failure), Some(rules)) if hedged.said.is_empty() => {
                hedged.fail_over_to_rules(rules.as_ref(), &failure).await;
            }
            (Some(failure), _) => drop(events.send(LlmEvent::Failed(failure)).await),
        }
    })
}

struct HedgedRequest<'a> {
    providers: &'a ProviderRegistry,
    plan: &'a LlmPlan,
    request: Arc<LlmRequest>,
    events: &'a mpsc::Sender<LlmEvent>,
    began: Instant,
    /// The next candidate to be asked.
    next: usize,
    /// The last that failed, and how.
    last: Option<(usize, ProviderError)>,
    /// The answer so far.
    said: String,
    /// Whether a model sends tokens, though no words yet.
    activity: ModelActivity,
    /// A model was asked to continue its own answer.
    has_asked_again: bool,
    /// Waits for a server that was busy, and their time.
    busy: (usize, Duration),
}

impl<'a> HedgedRequest<'a> {
    fn new(
        providers: &'a ProviderRegistry, plan: &'a LlmPlan, request: LlmRequest, events: &'a mpsc::Sender<LlmEvent>,
    ) -> Self {
        let (began, request) = (Instant::now(), Arc::new(request));
        let activity = ModelActivity::default();
        Self {
            providers,
            plan,
            request,
            events,
            began,
            next: 0,
            last: None,
            said: String::new(),
            activity,
            has_asked_again: false,
            busy: (0, Duration::ZERO),
        }
    }

    async fn run(&mut self) -> Result<(), ProviderError> {
        let (index, first) = self.first().await?;
        self.use_first_output(index, first).await
    }

    /// The first attempt that brings something.
    async fn first(&mut self) -> Result<(usize, FirstOutput), ProviderError> {
        let mut running = FuturesUnordered::new();
        let (limit, mut retried) = self.first_limit();
        let mut was_empty = false;
        loop {
            if running.is_empty() {
                match self.start(true).await {
                    Some(attempt) => running.push(attempt),
                    None => {
                        self.ask_again_after_failure(retried).await?;
                        retried = true;
                        continue;
                    }
                }
            }
            let may_hedge = running.len() == 1 && self.next < self.plan.candidates.len();
            let hedge = self.plan.hedge_after.filter(|_| may_hedge).map(|after| self.began + after * self.next as u32);
            let silence = self.silence_limit(limit + self.busy.1, retried);
            let first = tokio::select! {
                first = running.next() => first,
                () = sleep_until_some(hedge) => {
                    if let Some(attempt) = self.start(false).await {
                        metrics::counter!("trunkline_provider_hedges_total", "stage" => "llm").increment(1);
                        running.push(attempt);
                    }
                    continue;
                }
                () = sleep_until_some(silence) => {
                    if self.activity.is_working() {
                        continue;
                    }
                    if retried {
                        self.record_silence(running.len());
                        return Err(ProviderError::Timeout("first token"));
                    }
                    retried = true;
                    self.next = 0;
                    metrics::counter!("trunkline_provider_retries_total", "stage" => "llm").increment(1);
                    running.extend(self.start(false).await);
                    continue;
                }
            };
            match first {
                Some((index, FirstOutput::Failed(failure))) => {
                    // Nothing and then a failure is no answer: the caller hears of it.
                    was_empty = false;
                    self.last = Some((index, failure));
                }
                Some((index, FirstOutput::Empty(events))) => {
                    if was_empty || self.may_stay_unanswered() {
                        return Ok((index, FirstOutput::Complete(events)));
                    }
                    self.ask_again_after_silence(index);
                    was_empty = true;
                }
                // Losing attempts are cancelled on drop.
                Some((index, first)) => return Ok((index, first)),
                None => {}
            }
        }
    }

    /// Without a fallback, the model that failed is asked once more. A server that is busy is given time before.
    async fn ask_again_after_failure(&mut self, retried: bool) -> Result<(), ProviderError> {
        let (index, failure) = self.last.take().unwrap_or((0, ProviderError::NotConfigured));
        let wait = self.busy_wait(&failure);
        let has_retried = retried && (wait.is_none() || self.busy.0 == 0);
        if has_retried || self.plan.candidates.len() > 1 || !failure.is_retryable() || self.is_late() {
            return Err(failure);
        }
        if let Some(wait) = wait {
            self.busy = (self.busy.0 + 1, self.busy.1 + wait);
            tokio::time::sleep(wait).await;
        }
        self.next = index;
        metrics::counter!("trunkline_provider_retries_total", "stage" => "llm").increment(1);
        Ok(())
    }

    /// How long a server that is busy is waited for: as long as it says, if that is short. `None` for other failures, and
    /// once it was waited for often enough.
    fn busy_wait(&self, failure: &ProviderError) -> Option<Duration> {
        let ProviderError::Refused { status: 503 | 529, retry_after, .. } = failure else { return None };
        let wait = BUSY_WAITS.get(self.busy.0).copied()?;
        Some(
            retry_after
                .filter(|ordered| *ordered <= ORDERED_WAIT_MAX)
                .map_or(wait, |ordered| ordered.max(BUSY_WAITS[0])),
        )
    }

    /// The time for the first token is over; waits for a busy server are not of it.
    fn is_late(&self) -> bool {
        self.began.elapsed() >= self.providers.timeouts.llm.first_byte + self.busy.1
    }

    /// How long a model may be silent, and whether it is not asked twice: one that was silent in the turns before is not while
    /// rules can answer, because callers would wait at each turn.
    fn first_limit(&self) -> (Duration, bool) {
        let limit = self.providers.timeouts.llm.first_byte;
        if self.has_stalled_before() { (limit / 2, true) } else { (limit, false) }
    }

    /// So many requests are given up without a word.
    fn record_silence(&self, requests: usize) {
        let only = self.plan.candidates.iter().take(1).cycle().take(requests);
        only.for_each(|candidate| self.providers.record_slow_response(&candidate.endpoint, PipelineStage::Llm));
    }

    /// The only model has failed in the last turns, and rules can answer in its place.
    fn has_stalled_before(&self) -> bool {
        let [only] = self.plan.candidates.as_slice() else { return false };
        let (circuits, tenant) = (&self.providers.circuits, self.providers.tenant());
        let state = circuits.state(tenant, &only.endpoint, PipelineStage::Llm, Instant::now());
        let has_failed = state.is_some_and(|state| state.failures() >= STALLED_AFTER || state.left().is_some());
        self.plan.rules.is_some() && has_failed
    }

    /// When a model without a fallback that has sent nothing is asked once more, or given up.
    fn silence_limit(&self, limit: Duration, retried: bool) -> Option<Instant> {
        self.activity.silence_limit(self.began, limit, retried).filter(|_| self.plan.candidates.len() == 1)
    }

    /// Nothing is a proper answer to the result of a tool.
    fn may_stay_unanswered(&self) -> bool {
        matches!(self.request.messages.last(), Some(ChatMessage::Tool { .. }))
    }

    /// The first answer without anything in it is asked for once more: from the next model if there is one.
    fn ask_again_after_silence(&mut self, index: usize) {
        if self.next >= self.plan.candidates.len() {
            self.next = index;
        }
        self.last = Some((index, ProviderError::InvalidResponse("empty answer".to_owned())));
        // Another one that is silent is not waited for because the first one has worked.
        self.activity = ModelActivity::default();
        metrics::counter!("trunkline_provider_retries_total", "stage" => "llm").increment(1);
    }

    /// Starts the next candidate that may be asked. The last one is waited for where waiting can help.
    async fn start(&mut self, may_wait: bool) -> Option<impl Future<Output = (usize, FirstOutput)> + use<'a>> {
        while let Some(candidate) = self.plan.candidates.get(self.next) {
            let index = self.next;
            self.next += 1;
            let (circuits, tenant) = (&self.providers.circuits, self.providers.tenant());
            let is_last = self.next == self.plan.candidates.len();
            let entered = if is_last && may_wait {
                let limit = self.providers.timeouts.llm.first_byte;
                let limit = limit.saturating_sub(self.began.elapsed());
                circuits.acquire_waiting(tenant, &candidate.endpoint, PipelineStage::Llm, limit).await
            } else {
                circuits.acquire(tenant, &candidate.endpoint, PipelineStage::Llm, Instant::now(), false)
            };
            match entered {
                Ok(pass) => {
                    let thinking = self.activity.thinking();
                    return Some(attempt(self.providers, self.request.clone(), candidate, index, pass, thinking));
                }
                Err(refusal) => self.last = Some((index, permit_failure(&refusal))),
            }
        }
        None
    }

    async fn use_first_output(&mut self, index: usize, first: FirstOutput) -> Result<(), ProviderError> {
        if index > 0 {
            self.report_failover(index).await;
        }
        match first {
            FirstOutput::Complete(events) | FirstOutput::Empty(events) => {
                self.forward(events).await;
                Ok(())
            }
            FirstOutput::Output(attempt, events) => {
                self.forward(events).await;
                self.read_answer(index, attempt).await
            }
            FirstOutput::Failed(failure) => Err(failure),
        }
    }

    /// Another model than the first answers, or continues an answer.
    async fn report_failover(&mut self, index: usize) {
        let (from, why) = match &self.last {
            Some((failed, failure)) => (*failed, failure.kind()),
            None => {
                // The next call does not wait for it as long, if it goes on like this.
                self.providers.record_slow_response(&self.plan.candidates[0].endpoint, PipelineStage::Llm);
                (0, "slow")
            }
        };
        let switch = Failover {
            stage: PipelineStage::Llm,
            from: self.plan.candidates[from.min(index - 1)].name.clone(),
            to: self.plan.candidates[index].name.clone(),
            reason: why,
            after: self.began.elapsed(),
        };
        let _ = self.events.send(LlmEvent::FailedOver(switch)).await;
    }

    /// No model has answered.
    async fn fail_over_to_rules(&mut self, rules: &dyn AnswersByRules, failure: &ProviderError) {
        tracing::warn!(error = %failure, "no LLM answers: rules stand in");
        let switch = Failover {
            stage: PipelineStage::Llm,
            from: self.plan.candidates.last().map(|last| last.name.clone()).unwrap_or_default(),
            to: rules.name().to_owned(),
            reason: failure.kind(),
            after: self.began.elapsed(),
        };
        let _ = self.events.send(LlmEvent::FailedOver(switch)).await;
        self.answer_by_rules(rules).await;
    }

    async fn answer_by_rules(&mut self, rules: &dyn AnswersByRules) {
        let RulesAnswer { text, calls } = rules.answer(&self.request).await;
        let mut answer = Vec::new();
        if !text.is_empty() {
            answer.push(LlmEvent::Text(text));
        }
        if !calls.is_empty() {
            answer.push(LlmEvent::ToolCalls(calls));
        }
        answer.push(LlmEvent::Done(TokenUsage { model: rules.name().to_owned(), ..TokenUsage::default() }));
        self.forward(answer).await;
    }

    async fn forward(&mut self, events: Vec<LlmEvent>) {
        for event in events {
            match &event {
                LlmEvent::Text(text) => self.said.push_str(text),
                LlmEvent::Retracted => self.said.clear(),
                _ => {}
            }
            let _ = self.events.send(event).await;
        }
    }
}

#[cfg(test)]
mod tests;
