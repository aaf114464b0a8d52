//! What a call was about and what it cost: asks an LLM for summary, report and extracted data, and prices the call.

use super::concurrency::{ConcurrencyKind, ConcurrencyLimit, ConcurrencyLimiter};
use super::provider_accounts::ProviderAccounts;
use super::provider_candidates;
use super::rules_llm::look_up;
use super::schema_validation::{SchemaTimeoutError, SchemaWorkers};
use crate::dialogue::report::{self, Analysis, AnalysisSchema};
use crate::domain::agent::AgentFields;
use crate::domain::analysis::AnalysisPlan;
use crate::domain::call::{Call, CallUsage};
use crate::domain::price::PriceTable;
use crate::domain::quota::Quotas;
use crate::domain::transcript::Turn;
use crate::personalize::tell_analysis;
use crate::post_call::{self, CompiledAnalysis, agent_fields, analysis_language};
use crate::provider_plan;
use crate::providers::llm::{self, Completion, LlmPlan};
use crate::providers::{ProviderError, ProviderRegistry, elevenlabs};
use crate::rules::{self, rules_of_past_call};
use crate::store::{OrgScope, now};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

pub use crate::post_call::CallAnalysis;

/// The model has this long for one answer.
const ANALYSIS_DEADLINE: Duration = Duration::from_secs(45);

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

/// What a model is asked about a call.
struct AnalysisRequest<'a> {
    turns: &'a [Turn],
    plan: Option<&'a AnalysisPlan>,
    shape: AnalysisSchema,
    scope: OrgScope,
    fields: &'a AgentFields,
    call: &'a Call,
}

impl AnalysisService {
    /// Returns the service; `reports_at_once` of the quotas limits one organization's requests.
    pub fn build(prices: PriceTable, accounts: &ProviderAccounts, schemas: &SchemaWorkers, quotas: &Quotas) -> Self {
        let reports = ConcurrencyLimit::of(ConcurrencyKind::Reports, quotas);
        let (accounts, schemas) = (accounts.clone(), schemas.clone());
        Self { prices, reports: ConcurrencyLimiter::new(reports), accounts, schemas }
    }

    /// Summary, report and extracted data of a call; without enough turns or without an LLM, what can be said without
    /// one.
    pub async fn analyse(&self, scope: OrgScope, call: &Call, turns: &[Turn]) -> CallAnalysis {
        let fields = agent_fields(call);
        let plan = fields.analysis_plan.as_ref();
        if !report::has_enough_turns(turns, plan) {
            return CallAnalysis::without_conversation(call);
        }
        let providers = self.accounts.of_organization(scope).await;
        let models = analysts(&providers, &fields);
        let mut found = CallAnalysis::default();
        let CompiledAnalysis { plan, schema: shape, fault } = match self.compile(scope, plan).await {
            Ok(compiled) => compiled,
            Err(busy) => {
                tracing::warn!(call = %call.id, error = %busy, "cannot analyse the call");
                found.record_failure("schemas_busy");
                return found;
            }
        };
        let collected = self.collected(call, &fields, turns).await;
        if provider_plan::llm(&fields).provider.is_rules() {
            found.record_rules(&collected, plan.as_ref(), &shape, fault);
            return found;
        }
        let asked = AnalysisRequest { turns, plan: plan.as_ref(), shape, scope, fields: &fields, call };
        match self.ask_about(&providers, asked, &models, &mut found).await {
            Ok(analysis) => found.record(analysis, fault),
            Err(failure) => {
                tracing::warn!(call = %call.id, error = %failure, "the analysis of the call failed");
                found.record_failure(failure.kind());
                if !collected.is_empty() {
                    found.record_collected(&collected);
                }
            }
        }
        found
    }

    /// What the rules of a call have collected: those of its agent, or those that stood in for its LLM.
    async fn collected(&self, call: &Call, fields: &AgentFields, turns: &[Turn]) -> BTreeMap<String, String> {
        let began = call.started_at.day();
        let Some(rules) = rules_of_past_call(fields, analysis_language(fields), &began) else {
            return BTreeMap::new();
        };
        let messages = rules::messages(turns);
        let found = look_up(self.accounts.passages(), &rules.dialogue, &messages).await;
        rules.dialogue.collected(&messages, &found)
    }

    /// Compiles what the answer must fit.
    async fn compile(
        &self, scope: OrgScope, plan: Option<&AnalysisPlan>,
    ) -> Result<CompiledAnalysis, SchemaTimeoutError> {
        let plan = plan.cloned();
        let compiled = self.schemas.of_request(scope, move || CompiledAnalysis::new(plan)).await?;
        compiled.ok_or(SchemaTimeoutError)
    }

    /// Asks the LLM, and once more if the answer violates the schema.
    async fn ask_about(
        &self, providers: &ProviderRegistry, asked: AnalysisRequest<'_>, models: &LlmPlan, found: &mut CallAnalysis,
    ) -> Result<Analysis, ProviderError> {
        let AnalysisRequest { turns, plan, shape, scope, fields, call } = asked;
        let mut question = report::analysis_prompt(turns, plan, analysis_language(fields));
        tell_analysis(&mut question, fields, call);
        let shape = Arc::new(shape);
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
        post_call::bill(&self.prices, call, found, now())
    }

    /// The transcript of a call that ran on ElevenLabs' conversational agent.
    pub async fn elevenlabs_transcript(&self, scope: OrgScope, conversation: &str) -> Result<Vec<Turn>, ProviderError> {
        let providers = self.accounts.of_organization(scope).await;
        elevenlabs::conversation::transcript(&providers, conversation).await
    }

    /// What a report that was asked for adds to the bill.
    pub fn bill_analysis(&self, found: &CallAnalysis) -> CallUsage {
        post_call::bill_analysis(&self.prices, found)
    }
}

/// The LLMs of the agent; after a realtime call the default LLM.
fn analysts(providers: &ProviderRegistry, fields: &AgentFields) -> LlmPlan {
    let models = provider_candidates::llm_plan(providers, fields);
    if models.candidates.is_empty() {
        return provider_candidates::llm_plan(providers, &AgentFields::default());
    }
    models
}
