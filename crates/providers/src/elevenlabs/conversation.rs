//! `GET /v1/convai/conversations/{id}`: the transcript of a call that ran on ElevenLabs' conversational agent.

use super::http_stream::segments;
use crate::{ProviderError, ProviderRegistry, refusal, transport, unreachable};
use serde::Deserialize;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout_at};
use trunkline_domain::provider::{PipelineStage, ProviderAccount};
use trunkline_domain::transcript::{Turn, TurnRole};

/// First wait while the conversation is still being processed; doubled each time.
const FIRST_WAIT: Duration = Duration::from_millis(500);
/// A client waits for this answer: longer is for the next attempt.
const DEADLINE: Duration = Duration::from_secs(20);

/// Bytes of a conversation: four hours of talk are less than a megabyte, their figures a few.
const CONVERSATION_BYTES_MAX: usize = 16 << 20;

#[derive(Debug, Deserialize)]
struct VendorConversation {
    status: String,
    #[serde(default)]
    metadata: ConversationMetadata,
    #[serde(default)]
    transcript: Vec<ConversationEntry>,
}

#[derive(Debug, Default, Deserialize)]
struct ConversationMetadata {
    #[serde(default)]
    call_duration_secs: Option<f64>,
}

#[derive(Debug, Deserialize)]
struct ConversationEntry {
    role: String,
    /// Not there where the agent only called a tool.
    #[serde(default)]
    message: Option<String>,
    #[serde(default)]
    time_in_call_secs: f64,
    #[serde(default)]
    interrupted: bool,
}

/// The turns of a conversation, once the vendor has processed it.
pub async fn transcript(providers: &ProviderRegistry, id: &str) -> Result<Vec<Turn>, ProviderError> {
    let endpoint = providers.endpoint(ProviderAccount::Elevenlabs, None);
    let key = endpoint.key()?;
    let url = segments(&endpoint.base_url, &["v1", "convai", "conversations", id])?;
    let deadline = Instant::now() + DEADLINE;
    let mut wait = FIRST_WAIT;
    loop {
        let request = providers.http(PipelineStage::Tts).request(reqwest::Method::GET, &endpoint, url.clone())?;
        let request = request.header("xi-api-key", key).send();
        let late = |_| ProviderError::Timeout("conversation");
        let response = timeout_at(deadline, request).await.map_err(late)?.map_err(|error| unreachable(&error))?;
        if !response.status().is_success() {
            return Err(refusal(response).await);
        }
        let body = timeout_at(deadline, transport::body(response, CONVERSATION_BYTES_MAX)).await.map_err(late)??;
        let conversation: VendorConversation =
            serde_json::from_slice(&body).map_err(ProviderError::invalid_response)?;
        if matches!(conversation.status.as_str(), "done" | "failed") {
            return Ok(turns(&conversation));
        }
        if Instant::now() + wait > deadline {
            return Err(ProviderError::Timeout("conversation"));
        }
        sleep(wait).await;
        wait *= 2;
    }
}

/// A turn lasts until the next one begins: the vendor does not say how long it was.
fn turns(conversation: &VendorConversation) -> Vec<Turn> {
    let ms = |seconds: f64| (seconds.max(0.0) * 1_000.0) as u64;
    let end = conversation.metadata.call_duration_secs.map(ms);
    let entries = &conversation.transcript;
    entries
        .iter()
        .enumerate()
        .filter_map(|(index, entry)| {
            let content = entry.message.clone().filter(|text| !text.trim().is_empty())?;
            let started_at_ms = ms(entry.time_in_call_secs);
            let next = entries.get(index + 1).map(|next| ms(next.time_in_call_secs)).or(end);
            Some(Turn {
                role: if entry.role == "agent" { TurnRole::Assistant } else { TurnRole::User },
                content,
                started_at_ms,
                ended_at_ms: next.unwrap_or(started_at_ms).max(started_at_ms),
                interrupted: entry.interrupted,
                confidence: None,
                agent_id: None,
                said_by: None,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_end_where_the_next_begins() {
        let text = r#"{"agent_id":"a","conversation_id":"c","status":"done","metadata":{"call_duration_secs":9,"cost":312},
            "transcript":[{"role":"agent","message":"Goedemiddag","time_in_call_secs":0,"interrupted":true,"tool_calls":[]},
                {"role":"agent","message":null,"time_in_call_secs":2},{"role":"user","message":"Hallo","time_in_call_secs":3}]}"#;
        let turns = turns(&serde_json::from_str(text).unwrap());
        let short: Vec<_> =
            turns.iter().map(|t| (t.role, t.content.as_str(), t.started_at_ms, t.ended_at_ms, t.interrupted)).collect();
        assert_eq!(
            short,
            [(TurnRole::Assistant, "Goedemiddag", 0, 2_000, true), (TurnRole::User, "Hallo", 3_000, 9_000, false)]
        );
    }
}
