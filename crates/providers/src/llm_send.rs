//! One HTTP request to one model, adapted to what its server has refused so far.

use super::circuit_breaker::PermitError;
use super::llm_vendor::{LlmCandidate, LlmHttpRequest};
use super::{ProviderError, ProviderRegistry, refusal, transport, unreachable};
use reqwest::Method;
use trunkline_domain::provider::PipelineStage;

/// How often one request is adapted to what its server says.
const ADAPTATIONS_MAX: usize = 10;
/// How Groq says that the model itself wrote a tool call that cannot be read, or is not allowed.
const STUMBLES: [&str; 3] = ["Failed to call a function", "ool call validation failed", "attempted to call tool"];

pub(crate) fn permit_failure(refusal: &PermitError) -> ProviderError {
    metrics::counter!("trunkline_provider_closed_total", "stage" => "llm").increment(1);
    refusal.failure()
}

/// Sends a request; sends it again at once as long as a refusal says what the model does not take.
pub(crate) async fn send(
    providers: &ProviderRegistry, candidate: &LlmCandidate, outgoing: LlmHttpRequest,
) -> Result<reqwest::Response, ProviderError> {
    let LlmHttpRequest { path, headers, body } = outgoing;
    let endpoint = &candidate.endpoint;
    let (model, learnt) = (candidate.key(), &providers.unsupported_parameters);
    let mut tries = 0;
    let (mut before, mut last) = (learnt.known_of(&model), None);
    loop {
        let sent = learnt.adapted(&model, &body);
        let mut request = providers.http(PipelineStage::Llm).request(Method::POST, endpoint, endpoint.url(path)?)?;
        for (name, value) in &headers {
            request = request.header(*name, value.expose());
        }
        let response = request.json(&sent).send().await.map_err(|error| unreachable(&error))?;
        if response.status().is_success() {
            transport::check_encoding(&response)?;
            return Ok(response);
        }
        let failure = refusal(response).await;
        tries += 1;
        let ProviderError::Refused { status, message, .. } = &failure else { return Err(failure) };
        // Another try often works: nothing of the request was refused.
        if *status == 400 && STUMBLES.iter().any(|words| message.contains(words)) {
            if tries > 1 {
                return Err(failure);
            }
            continue;
        }
        let is_repeated = last.as_ref() == Some(message);
        if !is_repeated {
            (before, last) = (learnt.known_of(&model), Some(message.clone()));
        }
        if tries > ADAPTATIONS_MAX || !learnt.record_rejection(&model, &body, &sent, *status, message) {
            if is_repeated {
                learnt.restore(&model, before);
            }
            return Err(failure);
        }
    }
}
