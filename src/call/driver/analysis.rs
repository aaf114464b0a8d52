//! What a call was about and what it cost: asks an LLM for summary, report and extracted data, and prices the call.

use super::concurrency::{ConcurrencyLimit, ConcurrencyLimiter};
use super::provider_accounts::ProviderAccounts;
use super::provider_plan;
use super::schema_validation::{SchemaTimeoutError, SchemaWorkers};
use crate::dialogue::report::{self, Analysis, AnalysisSchema};
use crate::domain::agent::AgentFields;
use crate::domain::analysis::AnalysisPlan;
use crate::domain::call::{Call, CallOutcome, CallUsage};
use crate::domain::price::{BillableUsage, PriceTable};
use crate::domain::quota::Quotas;
use crate::domain::transcript::Turn;
use crate::providers::llm::{self, Completion, LlmPlan};
use crate::providers::{ProviderError, ProviderRegistry, elevenlabs};
use crate::store::{OrgScope, now};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// The model has this long for one answer.
const ANALYSIS_DEADLINE: Duration = Duration::from_secs(45);
/// Reports that are rewritten on request, in the whole server: each holds a connection to a vendor.
const REPORTS_MAX: usize = 32;

/// The results of the analysis, and the tokens it used.
#[derive(Debug, Default)]
pub struct CallAnalysis {
    /// Summary, report and structured data, as the call's row stores them.
    pub outcome: CallOutcome,
    /// Prompt tokens of all requests for the analysis.
    pub prompt_tokens: i64,
    /// Completion tokens of all requests for the analysis.
    pub completion_tokens: i64,
    /// `provider/model` that wrote the analysis; empty if no LLM answered.
    pub model: String,
}

/// Analyses calls and prices them.
#[derive(Clone, Debug)]
pub struct AnalysisService {
    /// Prices of providers and telephony.
    pub prices: PriceTable,
    /// Reports that are rewritten on request, at once.
    pub reports: ConcurrencyLimiter,
    accounts: ProviderAccounts,
    schemas: SchemaWorkers,
}

/// The configuration that the call ran with, as recorded.
pub(super) fn agent_fields(call: &Call) -> AgentFields {
    let Some(Value::Object(mut assistant)) = call.assistant.clone() else { return AgentFields::default() };
    let known = serde_json::to_value(AgentFields::default()).unwrap_or_default();
    assistant.retain(|name, _| known.get(name).is_some());
    serde_json::from_value(Value::Object(assistant)).unwrap_or_default()
}

/// `provider/model`, as the price table has it.
fn key(provider: impl serde::Serialize, model: &str) -> String {
    let provider = serde_json::to_value(provider).unwrap_or_default();
    format!("{}/{model}", provider.as_str().unwrap_or_default())
}

fn language(fields: &AgentFields) -> &str {
    let stt = fields.stt_config.as_ref().map(|stt| stt.language.as_str());
    fields.tts_config.as_ref().map(|tts| tts.language.as_str()).or(stt).unwrap_or("en")
}

/// What a model is asked about a call.
struct AnalysisRequest<'a> {
    turns: &'a [Turn],
    plan: Option<&'a AnalysisPlan>,
    shape: AnalysisSchema,
    scope: OrgScope,
    language: &'a str,
}

impl AnalysisService {
    /// Returns the service; `reports_at_once` of the quotas limits one organization's requests.
    pub fn build(prices: PriceTable, accounts: &ProviderAccounts, schemas: &SchemaWorkers, quotas: &Quotas) -> Self {
        let of_one = quotas.reports_at_once as usize;
        let reports = ConcurrencyLimit { limit: "reports_at_once", of_one, in_all: REPORTS_MAX };
        let (accounts, schemas) = (accounts.clone(), schemas.clone());
        Self { prices, reports: ConcurrencyLimiter::new(reports), accounts, schemas }
    }

    /// Summary, report and extracted data of a call; without enough turns or without an LLM, what can be said without
    /// one.
    pub async fn analyse(&self, scope: OrgScope, call: &Call, turns: &[Turn]) -> CallAnalysis {
        let fields = agent_fields(call);
        let plan = fields.analysis_plan.as_ref();
        if !report::has_enough_turns(turns, plan) {
            let reason = call.end_reason.map_or("unknown", |reason| reason.name());
            let summary = format!("There was no conversation to look at; the call ended with {reason}.");
            return CallAnalysis {
                outcome: CallOutcome {
                    summary: Some(summary),
                    report: Some(json!({"analysed": false})),
                    ..CallOutcome::default()
                },
                ..CallAnalysis::default()
            };
        }
        let providers = self.accounts.of_organization(scope).await;
        let models = analysts(&providers, &fields);
        let mut found = CallAnalysis::default();
        let (plan, shape, fault) = match self.shape(scope, plan).await {
            Ok((plan, shape, fault)) => (plan, shape, fault),
            Err(busy) => {
                tracing::warn!(call = %call.id, error = %busy, "cannot analyse the call");
                found.outcome.report = Some(json!({"analysed": false, "error": "schemas_busy"}));
                return found;
            }
        };
        let asked = AnalysisRequest { turns, plan: plan.as_ref(), shape, scope, language: language(&fields) };
        match self.ask_about(&providers, asked, &models, &mut found).await {
            Ok(Analysis { summary, mut report, structured_data }) => {
                report["analysed"] = json!(true);
                if let Some(fault) = fault {
                    report["structured_data_fault"] = json!(fault);
                }
                found.outcome.summary = Some(summary);
                found.outcome.report = Some(report);
                found.outcome.extracted_data = structured_data;
            }
            Err(failure) => {
                tracing::warn!(call = %call.id, error = %failure, "the analysis of the call failed");
                found.outcome.report = Some(json!({"analysed": false, "error": failure.kind()}));
            }
        }
        found
    }

    /// The schema of the answer. A plan whose schema exceeds the limits is ignored; it was saved before there were
    /// limits.
    async fn shape(
        &self, scope: OrgScope, plan: Option<&AnalysisPlan>,
    ) -> Result<(Option<AnalysisPlan>, AnalysisSchema, Option<String>), SchemaTimeoutError> {
        let mut plan = plan.cloned();
        let compiled = self.schemas.of_request(scope, move || match AnalysisSchema::compile(plan.as_ref()) {
            Err(error) => {
                if let Some(plan) = &mut plan {
                    plan.structured_data_plan = None;
                }
                Some((AnalysisSchema::compile(None).ok()?, plan, Some(error.to_string())))
            }
            Ok(shape) => Some((shape, plan, None)),
        });
        let (shape, plan, fault) = compiled.await?.ok_or(SchemaTimeoutError)?;
        Ok((plan, shape, fault))
    }

    /// Asks the LLM, and once more if the answer violates the schema.
    async fn ask_about(
        &self, providers: &ProviderRegistry, asked: AnalysisRequest<'_>, models: &LlmPlan, found: &mut CallAnalysis,
    ) -> Result<Analysis, ProviderError> {
        let AnalysisRequest { turns, plan, shape, scope, language } = asked;
        let (mut question, shape) = (report::analysis_prompt(turns, plan, language), Arc::new(shape));
        let mut last = String::new();
        for _ in 0..2 {
            let asked = llm::complete(providers, models, &question.messages, &question.schema, ANALYSIS_DEADLINE).await;
            let (Completion { text, prompt_tokens, completion_tokens }, model) = asked?;
            found.model = model;
            found.prompt_tokens += prompt_tokens as i64;
            found.completion_tokens += completion_tokens as i64;
            let (answer, shape) = (text.clone(), shape.clone());
            let read = self.schemas.of_request(scope, move || shape.read(&answer)).await;
            match read.unwrap_or_else(|busy| Err(busy.to_string())) {
                Ok(analysis) => return Ok(analysis),
                Err(fault) => {
                    question = question.repair(&text, &fault);
                    last = fault;
                }
            }
        }
        Err(ProviderError::InvalidResponse(last))
    }

    /// What the call cost, and its line in the usage.
    pub fn compute_cost(&self, call: &Call, found: &CallAnalysis) -> (Value, CallUsage) {
        let fields = agent_fields(call);
        let metric = |name: &str| call.metrics.as_ref().and_then(|m| m[name].as_i64()).unwrap_or(0);
        let by_name = |stage: &str| {
            let used = call.metrics.as_ref().and_then(|metrics| metrics["used"][stage].as_object());
            used.into_iter().flatten().map(|(name, amount)| (name.clone(), amount.clone()))
        };
        let tokens = |amount: &Value, name: &str| amount[name].as_i64().unwrap_or(0);
        let recognised = !provider_plan::llm(&fields).provider.is_realtime();
        let stt =
            fields.stt_config.as_ref().map_or("deepgram/nova-3-general".to_owned(), |c| key(c.provider, &c.model));
        let used = BillableUsage {
            seconds: call.duration_seconds().unwrap_or(0),
            stt: if recognised { stt } else { String::new() },
            tts: by_name("tts").map(|(name, count)| (name, count.as_i64().unwrap_or(0))).collect(),
            llm: by_name("llm")
                .map(|(name, amount)| (name, tokens(&amount, "prompt_tokens"), tokens(&amount, "completion_tokens")))
                .collect(),
            analysis: found.model.clone(),
            analysis_prompt_tokens: found.prompt_tokens,
            analysis_completion_tokens: found.completion_tokens,
        };
        let (cost, micros) = self.prices.bill(&used);
        let billed = CallUsage {
            day: call.ended_at.unwrap_or_else(now).day(),
            seconds: used.seconds,
            prompt_tokens: metric("prompt_tokens") + used.analysis_prompt_tokens,
            completion_tokens: metric("completion_tokens") + used.analysis_completion_tokens,
            characters: metric("characters_spoken"),
            micros,
        };
        (cost, billed)
    }

    /// The transcript of a call that ran on ElevenLabs' conversational agent.
    pub async fn elevenlabs_transcript(&self, scope: OrgScope, conversation: &str) -> Result<Vec<Turn>, ProviderError> {
        let providers = self.accounts.of_organization(scope).await;
        elevenlabs::conversation::transcript(&providers, conversation).await
    }

    /// What a report that was asked for adds to the bill.
    pub fn bill_analysis(&self, found: &CallAnalysis) -> CallUsage {
        let used = BillableUsage {
            analysis: found.model.clone(),
            analysis_prompt_tokens: found.prompt_tokens,
            analysis_completion_tokens: found.completion_tokens,
            ..BillableUsage::default()
        };
        let (prompt_tokens, completion_tokens) = (found.prompt_tokens, found.completion_tokens);
        CallUsage { prompt_tokens, completion_tokens, micros: self.prices.bill(&used).1, ..CallUsage::default() }
    }
}

/// The LLMs of the agent; after a realtime call the default LLM.
fn analysts(providers: &ProviderRegistry, fields: &AgentFields) -> LlmPlan {
    let models = provider_plan::llm_plan(providers, fields);
    if models.candidates.is_empty() {
        return provider_plan::llm_plan(providers, &AgentFields::default());
    }
    models
}
