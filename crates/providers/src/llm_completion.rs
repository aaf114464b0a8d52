//! One whole answer in the shape of a JSON schema, from the first model that gives one.

use super::llm_send::{permit_failure, send};
use super::llm_vendor::{Completion, LlmCandidate, LlmPlan, StructuredRequest};
use super::structured_output::AnswerShape;
use super::thoughts::without_thoughts;
use super::{ProviderError, ProviderRegistry, transport};
use serde_json::Value;
use std::time::{Duration, Instant};
use tokio::time::timeout;
use trunkline_domain::chat::ChatMessage;
use trunkline_domain::provider::PipelineStage;

/// Bytes of a report's answer.
const COMPLETION_BYTES_MAX: usize = 4 << 20;
/// Words of refusals that are about the shape of the answer.
const ABOUT_THE_SHAPE: [&str; 13] = [
    "response_format",
    "response format",
    "json_schema",
    "json schema",
    "json_object",
    "json mode",
    "structured output",
    "output_config",
    "output_format",
    "output format",
    "schema",
    "grammar",
    "guided",
];

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
    let exchange = ask_in_every_shape(providers, candidate, messages, schema);
    let result = timeout(deadline, exchange).await.unwrap_or(Err(ProviderError::Timeout("answer")));
    match &result {
        Ok(_) => pass.succeeded(),
        Err(failure) => pass.failed(Instant::now(), failure),
    }
    result
}

/// The shape is a wish: a server that refuses it is asked in a weaker one, and remembered if its refusal says so.
async fn ask_in_every_shape(
    providers: &ProviderRegistry, candidate: &LlmCandidate, messages: &[ChatMessage], schema: &Value,
) -> Result<Completion, ProviderError> {
    let (model, learnt) = (candidate.key(), &providers.unsupported_parameters);
    let mut shape = AnswerShape::Schema;
    while learnt.for_model(&model).contains(&shape.name()) {
        let Some(weaker) = shape.weaker() else { break };
        shape = weaker;
    }
    loop {
        let request = StructuredRequest { model: &candidate.id, messages, schema, shape };
        let failure = match ask(providers, candidate, &request).await {
            Ok(completion) => return Ok(completion),
            Err(failure) => failure,
        };
        let ProviderError::Refused { status, message, .. } = &failure else { return Err(failure) };
        let is_named = ABOUT_THE_SHAPE.iter().any(|words| message.to_lowercase().contains(words));
        // Servers with a grammar fail on schemas that it cannot express.
        let may_help = matches!(status, 400 | 422) || is_named && matches!(status, 404 | 405 | 500 | 501);
        let Some(weaker) = shape.weaker().filter(|_| may_help) else { return Err(failure) };
        if is_named {
            learnt.remember(&model, shape.name());
        }
        shape = weaker;
    }
}

async fn ask(
    providers: &ProviderRegistry, candidate: &LlmCandidate, request: &StructuredRequest<'_>,
) -> Result<Completion, ProviderError> {
    let outgoing = candidate.model.structured(&candidate.endpoint, request)?;
    let response = send(providers, candidate, outgoing).await?;
    let body = transport::body(response, COMPLETION_BYTES_MAX).await?;
    transport::check_text(&body)?;
    let completion = candidate.model.parse_complete(&body)?;
    Ok(Completion { text: without_thoughts(completion.text), ..completion })
}
