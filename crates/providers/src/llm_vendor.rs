//! What an LLM vendor's client has to do, and the models of an agent. No sockets.

use super::structured_output::AnswerShape;
use super::{LlmEvent, LlmRequest, ProviderAccess, ProviderError};
use futures_util::future::BoxFuture;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use trunkline_domain::chat::{ChatMessage, ToolCall};
use trunkline_domain::llm_options::LlmOptions;
use trunkline_domain::secret::Secret;

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
    /// How the model is asked to keep to it.
    pub shape: AnswerShape,
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

/// How far the tool calls of an answer have come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallProgress {
    /// There is none.
    None,
    /// The arguments of one are no JSON object yet.
    Partial,
    /// Nothing can be added to them.
    Whole,
}

/// Collects the events of one answer.
pub trait LlmStreamReader: Send {
    /// One server-sent event; true when it was the last.
    fn event(&mut self, data: &str, said: &mut Vec<String>) -> Result<bool, ProviderError>;

    /// Enough was read for the answer to count when the stream ends here.
    fn is_finished(&self) -> bool;

    /// The answer was cut at its most tokens.
    fn is_cut(&self) -> bool;

    /// How far the tool calls have come: whole ones count even if the answer ends without an end mark.
    fn calls(&self) -> CallProgress;

    /// What is left to say at the end: tool calls, then what it took.
    fn finish(&mut self) -> Vec<LlmEvent>;

    /// True once after the answer has begun anew: what it said before counts no more.
    fn take_restart(&mut self) -> bool {
        false
    }
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
    /// The agent's settings of this model.
    pub options: LlmOptions,
}

impl std::fmt::Debug for LlmCandidate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LlmCandidate").field("name", &self.name).finish_non_exhaustive()
    }
}

impl LlmCandidate {
    /// Address and model: what is learnt of a model is remembered by them.
    pub(crate) fn key(&self) -> String {
        format!("{} {}", self.endpoint.base_url, self.id)
    }
}

/// The answer of rules.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RulesAnswer {
    /// Words for the caller; empty if there are none.
    pub text: String,
    /// Calls of tools, after the words.
    pub calls: Vec<ToolCall>,
}

/// Answers by rules, without a model: always there, and at once.
pub trait AnswersByRules: std::fmt::Debug + Send + Sync {
    /// `provider/model`, for the record.
    fn name(&self) -> &'static str;

    /// The answer to a conversation.
    fn answer<'a>(&'a self, request: &'a LlmRequest) -> BoxFuture<'a, RulesAnswer>;
}

/// An agent's LLMs in order.
#[derive(Clone, Debug)]
pub struct LlmPlan {
    /// The models in the order in which they are asked; empty if no LLM is configured.
    pub candidates: Vec<LlmCandidate>,
    /// What answers when none of them does, or if there is none. `None`: the request fails.
    pub rules: Option<Arc<dyn AnswersByRules>>,
    /// After this time without output the next model is asked as well.
    pub hedge_after: Option<Duration>,
}
