//! Tries a provider's key: the cheapest request there is, and what is wrong in words.

use super::{ProviderAccess, ProviderError, ProviderRegistry, refusal, unreachable};
use reqwest::Method;
use std::process::Stdio;
use std::time::{Duration, Instant};
use tokio::time::timeout;
use trunkline_domain::provider::{PipelineStage, ProviderAccount};
use trunkline_local_speech::io::model_files::ModelState;
use trunkline_local_speech::models::MODELS;

/// The user waits for the answer.
const DEADLINE: Duration = Duration::from_secs(8);

/// How a trial went.
#[derive(Clone, Debug)]
pub struct ProviderCheck {
    /// Time from the request to the answer or the failure; at most 8 s.
    pub latency: Duration,
    /// What is wrong, if anything is.
    pub failure: Option<ProviderError>,
    /// The key belongs to the organization, so we may show the provider's message about it.
    pub is_own_key: bool,
}

impl ProviderRegistry {
    /// Checks a provider once, even with an open circuit.
    pub async fn check_provider(&self, account: ProviderAccount) -> ProviderCheck {
        let began = Instant::now();
        let asked = timeout(DEADLINE, self.send_check_request(account)).await;
        let failure = asked.unwrap_or(Err(ProviderError::Timeout("answer"))).err();
        ProviderCheck { latency: began.elapsed(), failure, is_own_key: self.has_own_key(account) }
    }

    async fn send_check_request(&self, account: ProviderAccount) -> Result<(), ProviderError> {
        if !account.needs_key() {
            runs(&self.programs().espeak).await?;
            return self.check_models().await;
        }
        let (path, _) = account.probe();
        let request = self.keyed_get(account, &self.endpoint(account, None), path)?;
        let response = request.send().await.map_err(|error| unreachable(&error))?;
        if response.status().is_success() { Ok(()) } else { Err(refusal(response).await) }
    }

    /// A GET request with the account's key, as the vendor wants to see it.
    pub(crate) fn keyed_get(
        &self, account: ProviderAccount, endpoint: &ProviderAccess, path: &str,
    ) -> Result<reqwest::RequestBuilder, ProviderError> {
        let (_, auth) = account.probe();
        let key = endpoint.key()?;
        let request = self.http(PipelineStage::Llm).request(Method::GET, endpoint, endpoint.url(path)?)?;
        let request = match auth {
            "Bearer" | "Token" => request.header("authorization", format!("{auth} {key}")),
            header => request.header(header, key),
        };
        let version = match account {
            ProviderAccount::Cartesia => "cartesia-version",
            _ => "anthropic-version",
        };
        Ok(if endpoint.api_version.is_empty() { request } else { request.header(version, &endpoint.api_version) })
    }
}

impl ProviderRegistry {
    /// Reads the models of this machine. Who wants voices only needs no model; one that is damaged is told.
    async fn check_models(&self) -> Result<(), ProviderError> {
        let speech = self.speech().clone();
        let read = trunkline_supervision::spawn_blocking("model_check", move || {
            MODELS.iter().find_map(|model| match speech.check(model) {
                state @ ModelState::Broken(_) => state.advice(model),
                _ => None,
            })
        });
        match read.await {
            Ok(Ok(Some(advice))) => Err(ProviderError::Unavailable(advice)),
            _ => Ok(()),
        }
    }

    /// Logs at the start of the server which models are missing or damaged, and what to do about it.
    pub fn log_models(&self) {
        for model in MODELS {
            let state = self.speech().state(model);
            let Some(advice) = state.advice(model) else { continue };
            match state {
                ModelState::Broken(_) => tracing::warn!(advice, "a speech model cannot be used"),
                _ => tracing::info!(advice, purpose = model.purpose, "a speech model is not there"),
            }
        }
    }

    /// The models that are not on this machine, each with what to do about it.
    pub fn missing_models(&self) -> Vec<String> {
        let absent = MODELS.iter().filter(|model| self.speech().state(model) == ModelState::Absent);
        absent.filter_map(|model| ModelState::Absent.advice(model)).collect()
    }
}

/// The program is there and starts.
async fn runs(program: &str) -> Result<(), ProviderError> {
    let status = tokio::process::Command::new(program)
        .arg("--version")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .status()
        .await;
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(ProviderError::Disconnected(format!("{program} ended with {status}"))),
        Err(error) => Err(ProviderError::Unreachable(format!("{program}: {error}"))),
    }
}
