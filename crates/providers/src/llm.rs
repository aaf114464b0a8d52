//! LLM requests with failover and hedging: one stream of events from whichever model answers first.

use super::circuit_breaker::{PermitError, ProviderPermit};
use super::llm_activity::{ModelActivity, Thinking, is_token, sleep_until_some};
use super::sse::SseParser;
use super::transport;
use super::unsupported_parameters::remove_fields;
use super::{
    Deadlines, EventStream, Failover, LlmEvent, LlmRequest, ProviderAccess, ProviderError, ProviderRegistry, refusal,
    unreachable,
};
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use reqwest::Method;
use serde_json::Value;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio::time::{timeout, timeout_at};
use trunkline_domain::chat::{CONTINUE_PROMPT, ChatMessage};
use trunkline_domain::provider::PipelineStage;
use trunkline_domain::secret::Secret;

/// Bytes of a report's answer.
const COMPLETION_BYTES_MAX: usize = 4 << 20;
/// Bytes of one streamed answer: some 300 for each token, and no answer on a phone call has 20,000.
const STREAM_BYTES_MAX: usize = 8 << 20;
/// Bytes of the words of one answer: an hour of speech.
const TEXT_BYTES_MAX: usize = 64 * 1024;

/// A request on the wire.
#[derive(Clone, Debug, PartialEq)]
pub struct LlmHttpRequest {
    /// Below the endpoint's address.
    pub path: &'static str,
    /// Headers with the key and, where the vendor wants it, the API version.
    pub headers: Vec<(&'static str, Secret)>,
    /// JSON body.
    pub body: Value,
}

/// A request for one answer in the shape of a schema.
#[derive(Clone, Copy, Debug)]
pub struct StructuredRequest<'a> {
    /// The vendor's name of the model.
    pub model: &'a str,
    /// Instructions and question, the oldest first.
    pub messages: &'a [ChatMessage],
    /// JSON Schema that the answer must fit.
    pub schema: &'a Value,
}

/// A whole answer, and what it took.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Completion {
    /// The answer as the model wrote it: JSON, if the model followed the schema.
    pub text: String,
    /// Tokens of the messages, those from the provider's cache included.
    pub prompt_tokens: u64,
    /// Tokens of the answer.
    pub completion_tokens: u64,
}

/// The protocol of an LLM vendor, without sockets.
pub trait LlmVendor: Sync {
    /// Returns the request for a streamed answer; fails without a usable key.
    fn request(&self, endpoint: &ProviderAccess, request: &LlmRequest) -> Result<LlmHttpRequest, ProviderError>;

    /// Reads the stream of one answer.
    fn reader(&self) -> Box<dyn LlmStreamReader>;

    /// Returns the request for one whole answer that fits a JSON Schema; fails without a usable key.
    fn structured(
        &self, endpoint: &ProviderAccess, request: &StructuredRequest<'_>,
    ) -> Result<LlmHttpRequest, ProviderError>;

    /// Reads an answer that was not streamed.
    fn parse_complete(&self, body: &[u8]) -> Result<Completion, ProviderError>;
}

/// Collects the events of one answer.
pub trait LlmStreamReader: Send {
    /// One server-sent event; true when it was the last.
    fn event(&mut self, data: &str, said: &mut Vec<String>) -> Result<bool, ProviderError>;

    /// Enough was read for the answer to count when the stream ends here.
    fn is_finished(&self) -> bool;

    /// What is left to say at the end: tool calls, then what it took.
    fn finish(&mut self) -> Vec<LlmEvent>;
}

/// A model that may be asked.
#[derive(Clone)]
pub struct LlmCandidate {
    /// The vendor's protocol.
    pub model: &'static dyn LlmVendor,
    /// Address, key and limits of the account.
    pub endpoint: ProviderAccess,
    /// `provider/model`, for the record.
    pub name: String,
    /// The vendor's name of the model.
    pub id: String,
    /// Temperature from the agent; `None` leaves it to the vendor.
    pub temperature: Option<f64>,
}

impl std::fmt::Debug for LlmCandidate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LlmCandidate").field("name", &self.name).finish_non_exhaustive()
    }
}

/// An agent's LLMs in order.
#[derive(Clone, Debug)]
pub struct LlmPlan {
    /// The models in the order in which they are asked; empty if no LLM is configured.
    pub candidates: Vec<LlmCandidate>,
    /// After this time without output the next model is asked as well.
    pub hedge_after: Option<Duration>,
}

/// Starts a request; dropping the stream cancels all attempts.
pub fn stream_llm_response(providers: &ProviderRegistry, plan: LlmPlan, request: LlmRequest) -> EventStream<LlmEvent> {
    let providers = providers.clone();
    EventStream::spawn("llm", |events| async move {
        if let Err(failure) = HedgedRequest::new(&providers, &plan, request, &events).run().await {
            let _ = events.send(LlmEvent::Failed(failure)).await;
        }
    })
}

/// First output of an attempt.
enum FirstOutput {
    /// Something to hear: the attempt goes on as the answer.
    Output(LlmAttempt, Vec<LlmEvent>),
    /// The whole answer at once.
    Complete(Vec<LlmEvent>),
    Failed(ProviderError),
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
}

impl<'a> HedgedRequest<'a> {
    fn new(
        providers: &'a ProviderRegistry, plan: &'a LlmPlan, request: LlmRequest, events: &'a mpsc::Sender<LlmEvent>,
    ) -> Self {
        let (began, request) = (Instant::now(), Arc::new(request));
        let activity = ModelActivity::default();
        Self { providers, plan, request, events, began, next: 0, last: None, said: String::new(), activity }
    }

    async fn run(&mut self) -> Result<(), ProviderError> {
        loop {
            let (index, first) = self.first().await?;
            let failure = match self.use_first_output(index, first).await {
                Ok(()) => return Ok(()),
                Err(failure) => failure,
            };
            if self.next >= self.plan.candidates.len() {
                return Err(failure);
            }
            // In the middle of an answer: the next model continues it.
            self.last = Some((index, failure));
            self.began = Instant::now();
            let mut request = LlmRequest::clone(&self.request);
            let content = std::mem::take(&mut self.said);
            request.messages.push(ChatMessage::Assistant { content, tool_calls: Vec::new() });
            request.messages.push(ChatMessage::System(CONTINUE_PROMPT.to_owned()));
            self.request = Arc::new(request);
        }
    }

    /// The first attempt that brings something.
    async fn first(&mut self) -> Result<(usize, FirstOutput), ProviderError> {
        let mut running = FuturesUnordered::new();
        let mut retried = false;
        loop {
            if running.is_empty() {
                match self.start(true).await {
                    Some(attempt) => running.push(attempt),
                    None => {
                        let (index, failure) = self.last.take().unwrap_or((0, ProviderError::NotConfigured));
                        // Without a fallback, the same model is asked once more.
                        if retried || self.plan.candidates.len() > 1 || !failure.is_retryable() || self.is_late() {
                            return Err(failure);
                        }
                        retried = true;
                        self.next = index;
                        metrics::counter!("trunkline_provider_retries_total", "stage" => "llm").increment(1);
                        continue;
                    }
                }
            }
            let may_hedge = running.len() == 1 && self.next < self.plan.candidates.len();
            let hedge = self.plan.hedge_after.filter(|_| may_hedge).map(|after| self.began + after * self.next as u32);
            let silence = self.silence_limit(retried);
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
                Some((index, FirstOutput::Failed(failure))) => self.last = Some((index, failure)),
                // Losing attempts are cancelled on drop.
                Some((index, first)) => return Ok((index, first)),
                None => {}
            }
        }
    }

    /// The time for the first token is over.
    fn is_late(&self) -> bool {
        self.began.elapsed() >= self.providers.timeouts.llm.first_byte
    }

    /// When a model without a fallback that has sent nothing is asked once more, or given up.
    fn silence_limit(&self, retried: bool) -> Option<Instant> {
        let limit = self.providers.timeouts.llm.first_byte;
        self.activity.silence_limit(self.began, limit, retried).filter(|_| self.plan.candidates.len() == 1)
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
        let winner = &self.plan.candidates[index];
        if index > 0 {
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
                to: winner.name.clone(),
                reason: why,
                after: self.began.elapsed(),
            };
            let _ = self.events.send(LlmEvent::FailedOver(switch)).await;
        }
        match first {
            FirstOutput::Complete(events) => {
                self.forward(events).await;
                Ok(())
            }
            FirstOutput::Output(mut attempt, events) => {
                self.forward(events).await;
                loop {
                    let (events, over) = attempt.read().await?;
                    self.forward(events).await;
                    if over {
                        return Ok(());
                    }
                }
            }
            FirstOutput::Failed(failure) => Err(failure),
        }
    }

    async fn forward(&mut self, events: Vec<LlmEvent>) {
        for event in events {
            if let LlmEvent::Text(text) = &event {
                self.said.push_str(text);
            }
            let _ = self.events.send(event).await;
        }
    }
}

fn permit_failure(refusal: &PermitError) -> ProviderError {
    metrics::counter!("trunkline_provider_closed_total", "stage" => "llm").increment(1);
    refusal.failure()
}

/// One request to one model, until its first word.
async fn attempt(
    providers: &ProviderRegistry, request: Arc<LlmRequest>, candidate: &LlmCandidate, index: usize,
    pass: ProviderPermit, thinking: Thinking,
) -> (usize, FirstOutput) {
    let mut attempt = match LlmAttempt::open(providers, &request, candidate, pass, thinking).await {
        Ok(attempt) => attempt,
        Err(failure) => return (index, FirstOutput::Failed(failure)),
    };
    loop {
        match attempt.read().await {
            Ok((events, true)) if events.len() <= 1 && !attempt.said => {
                let failure = ProviderError::InvalidResponse("empty answer".to_owned());
                attempt.pass.failed(Instant::now(), &failure);
                return (index, FirstOutput::Failed(failure));
            }
            Ok((events, true)) => return (index, FirstOutput::Complete(events)),
            Ok((events, false)) if events.is_empty() => {}
            Ok((events, false)) => return (index, FirstOutput::Output(attempt, events)),
            Err(failure) => return (index, FirstOutput::Failed(failure)),
        }
    }
}

/// A stream that was opened.
struct LlmAttempt {
    pass: ProviderPermit,
    name: String,
    deadlines: Deadlines,
    thinking: Thinking,
    bytes: futures_util::stream::BoxStream<'static, reqwest::Result<bytes::Bytes>>,
    parser: SseParser,
    reader: Box<dyn LlmStreamReader>,
    said: bool,
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
        let request = LlmRequest { model: candidate.id.clone(), temperature: candidate.temperature, ..request.clone() };
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
        let reader = candidate.model.reader();
        let name = candidate.name.clone();
        let parser = SseParser::default();
        let (bytes_left, words_left) = (STREAM_BYTES_MAX, TEXT_BYTES_MAX);
        let (said, pending) = (false, None);
        let thinking = thinking.until(first_byte);
        Ok(Self { pass, name, deadlines, thinking, bytes, parser, reader, said, bytes_left, words_left, pending })
    }

    /// The next events; true when they are the last.
    async fn read(&mut self) -> Result<(Vec<LlmEvent>, bool), ProviderError> {
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
        let chunk = match timeout_at(deadline, self.bytes.next()).await {
            Ok(Some(Ok(chunk))) => chunk,
            Ok(Some(Err(error))) => return Err(ProviderError::Disconnected(error.to_string())),
            Ok(None) if self.reader.is_finished() => return Ok((self.last(), true)),
            Ok(None) => return Err(ProviderError::Disconnected("end of stream".to_owned())),
            Err(_) => return Err(ProviderError::Timeout(what)),
        };
        let endless = || ProviderError::InvalidResponse("endless answer".to_owned());
        self.bytes_left = self.bytes_left.checked_sub(chunk.len()).ok_or_else(endless)?;
        let (mut texts, mut over, mut fault) = (Vec::new(), false, None);
        let (reader, mut works) = (&mut self.reader, false);
        let fits = self.parser.push(&chunk, |data| {
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
        let mut events: Vec<LlmEvent> = texts.into_iter().map(LlmEvent::Text).collect();
        self.said |= !events.is_empty();
        match fault {
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

    fn last(&mut self) -> Vec<LlmEvent> {
        let mut events = self.reader.finish();
        for event in &mut events {
            if let LlmEvent::Done(usage) = event {
                usage.model.clone_from(&self.name);
            }
        }
        events
    }
}

/// Sends a request; retries once without a parameter that was rejected.
async fn send(
    providers: &ProviderRegistry, candidate: &LlmCandidate, outgoing: LlmHttpRequest,
) -> Result<reqwest::Response, ProviderError> {
    let LlmHttpRequest { path, headers, mut body } = outgoing;
    let endpoint = &candidate.endpoint;
    let model = format!("{} {}", endpoint.base_url, candidate.id);
    let mut tries = 0;
    loop {
        remove_fields(&mut body, &providers.unsupported_parameters.for_model(&model));
        let mut request = providers.http(PipelineStage::Llm).request(Method::POST, endpoint, endpoint.url(path)?)?;
        for (name, value) in &headers {
            request = request.header(*name, value.expose());
        }
        let response = request.json(&body).send().await.map_err(|error| unreachable(&error))?;
        if response.status().is_success() {
            return Ok(response);
        }
        let failure = refusal(response).await;
        tries += 1;
        let ProviderError::Refused { status, message, .. } = &failure else { return Err(failure) };
        // The model wrote a tool call that Groq could not read (`tool_use_failed`): another try often works.
        let stumbled = *status == 400 && tries == 1 && message.contains("Failed to call a function");
        if tries > 4
            || !(stumbled || providers.unsupported_parameters.record_rejection(&model, &body, *status, message))
        {
            return Err(failure);
        }
    }
}

/// Asks for one answer in the shape of a JSON schema, from the first model that gives one.
pub async fn complete(
    providers: &ProviderRegistry, plan: &LlmPlan, messages: &[ChatMessage], schema: &Value, deadline: Duration,
) -> Result<(Completion, String), ProviderError> {
    let mut last = ProviderError::NotConfigured;
    let again = if plan.candidates.len() == 1 { 2 } else { 1 };
    for candidate in plan.candidates.iter().flat_map(|candidate| std::iter::repeat_n(candidate, again)) {
        if !matches!(last, ProviderError::NotConfigured) {
            metrics::counter!("trunkline_provider_retries_total", "stage" => "analysis").increment(1);
        }
        match complete_once(providers, candidate, messages, schema, deadline).await {
            Ok(completion) => return Ok((completion, candidate.name.clone())),
            Err(failure) if failure.is_retryable() || plan.candidates.len() > 1 => last = failure,
            Err(failure) => return Err(failure),
        }
    }
    Err(last)
}

async fn complete_once(
    providers: &ProviderRegistry, candidate: &LlmCandidate, messages: &[ChatMessage], schema: &Value,
    deadline: Duration,
) -> Result<Completion, ProviderError> {
    let (circuits, tenant) = (&providers.circuits, providers.tenant());
    let entered = circuits.acquire_waiting(tenant, &candidate.endpoint, PipelineStage::Llm, deadline).await;
    let pass = entered.map_err(|refusal| permit_failure(&refusal))?;
    let request = StructuredRequest { model: &candidate.id, messages, schema };
    let outgoing = candidate.model.structured(&candidate.endpoint, &request)?;
    let exchange = async {
        let response = send(providers, candidate, outgoing).await?;
        let body = transport::body(response, COMPLETION_BYTES_MAX).await?;
        transport::check_text(&body)?;
        candidate.model.parse_complete(&body)
    };
    let result = timeout(deadline, exchange).await.unwrap_or(Err(ProviderError::Timeout("answer")));
    match &result {
        Ok(_) => pass.succeeded(),
        Err(failure) => pass.failed(Instant::now(), failure),
    }
    result
}
