//! `/providers/speech`: a voice is heard before it is chosen.

use super::auth::Actor;
use super::error::ApiError;
use super::input::{JsonObject, validated};
use super::organization_rates::RateKind;
use super::providers::ProviderProblem;
use super::state::ApiState;
use crate::call::driver::{PlaceCallError, VoicePreview};
use crate::domain::FieldError;
use crate::domain::provider_config::{TtsConfig, VoiceSettings};
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use futures_util::stream::unfold;
use garde::Validate;
use serde::Deserialize;
use std::io;
use utoipa::ToSchema;

/// Characters of the sentence.
const TEXT_CHARS_MAX: usize = 300;

/// A sentence, and the voice that speaks it.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[garde(allow_unvalidated)]
#[serde(deny_unknown_fields)]
#[schema(as = SpeechFields)]
pub(super) struct SpeechInput {
    /// The voice, as in an agent.
    #[garde(dive)]
    tts_config: TtsConfig,
    /// Further settings of the voice, as in an agent.
    #[serde(default)]
    #[garde(dive)]
    voice_settings: Option<VoiceSettings>,
    /// What it says: 1 to 300 characters.
    #[schema(min_length = 1, max_length = 300, example = "Good morning, how can I help you?")]
    #[garde(custom(sentence))]
    text: String,
}

fn sentence(text: &str, (): &()) -> garde::Result {
    let count = text.chars().count();
    let is_said = text.chars().any(char::is_alphanumeric) && count <= TEXT_CHARS_MAX;
    if is_said { Ok(()) } else { Err(garde::Error::new("must have 1 to 300 characters, a letter or digit among them")) }
}

/// Speaks a sentence with a voice, with the key that calls would use, and streams it as a WAV file (16 bits, mono) whose
/// header names no length. The request costs what the sentence costs in a call.
#[utoipa::path(post, path = "/providers/speech", tag = "providers", operation_id = "preview_speech", request_body = SpeechInput, responses((status = 200, content_type = "audio/wav", body = Vec<u8>)))]
pub(super) async fn speak(
    State(api): State<ApiState>, actor: Actor, JsonObject(mut object, _turn): JsonObject,
) -> Result<Response, ApiError> {
    object.retain(|_, value| !value.is_null());
    let input: SpeechInput = validated(object, Vec::new(), |input: &SpeechInput| {
        let judged = input.tts_config.base_url.as_deref().map(|url| api.addresses.providers.check_base_url(url));
        let refused = judged.and_then(Result::err);
        refused.map(|why| FieldError::new("tts_config.base_url", why.to_string())).into_iter().collect()
    })?;
    let scope = actor.scope;
    api.limits.count(scope, RateKind::VoicePreviews).await?;
    let slot = api.accounts.tests.take(&api.store.lineage(scope).await?)?;
    if !api.admission.is_within_daily_limits(scope).await? {
        return Err(PlaceCallError::Spent.into());
    }
    let providers = api.accounts.of_organization(scope).await;
    let account = input.tts_config.provider.account();
    let settings = input.voice_settings.unwrap_or_default();
    let preview =
        VoicePreview::start(&providers, &input.tts_config, &settings, &input.text).await.map_err(|error| {
            let is_own_key = input.tts_config.base_url.is_some() || providers.has_own_key(account);
            ProviderProblem::new(error.kind(), &error, is_own_key).refusal()
        })?;
    actor.audit(&api, "provider.speech", account.name()).await?;
    let sound = unfold((preview, slot), |(mut preview, slot)| async {
        let part = preview.next().await?;
        Some((part.map_err(|error| io::Error::other(error.to_string())), (preview, slot)))
    });
    let mut response = Body::from_stream(sound).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("audio/wav"));
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}
