//! After-call work: analysis, cost and reports. Jobs are claimed from the database, so that another process takes over
//! when this one dies.

use super::call_webhooks::CallWebhooks;
use super::{CallServices, SchemaTimeoutError, SharedServices};
use crate::dialogue::report::{self, Analysis, AnalysisSchema};
use crate::domain::agent::AgentFields;
use crate::domain::analysis::AnalysisPlan;
use crate::domain::call::{Call, CallOutcome, CallUsage};
use crate::domain::delivery::{Delivery, DeliveryChannel};
use crate::domain::fair_share::{FairShares, ShareLimits};
use crate::domain::ids::DeliveryId;
use crate::domain::price::BillableUsage;
use crate::domain::transcript::Turn;
use crate::outbox::mail::MailMessage;
use crate::providers::llm::{self, Completion, LlmPlan};
use crate::providers::{ProviderError, elevenlabs};
use crate::store::{OrgScope, StoreError, WrapUpJob, now};
use crate::supervision::contain;
use crate::webhooks::event;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Concurrent jobs: a slow LLM delays its own organization only.
const WRAP_UP_SHARES: ShareLimits = ShareLimits { of_one: 16, of_family: 24, in_all: 64 };
/// How long a claim holds: longer than everything below together.
const LEASE_MS: i64 = 180_000;
/// Polling interval when no notification arrives.
const POLL: Duration = Duration::from_secs(1);
/// The model has this long for one answer.
const ANALYSIS_DEADLINE: Duration = Duration::from_secs(45);
/// The recording's last block is written in this time.
const RECORDING_DEADLINE: Duration = Duration::from_secs(5);

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

/// Runs until it is stopped; finishes the work it has started.
pub async fn wrap_up(context: SharedServices, mut stopped: watch::Receiver<bool>) {
    let mut running = JoinSet::new();
    let mut shares = FairShares::new(WRAP_UP_SHARES);
    // The organization of each task: a task that panics also releases its share.
    let mut whose = HashMap::new();
    loop {
        match context.store.claim_wrap_ups(&mut shares, LEASE_MS).await {
            Ok(claimed) => {
                for one in claimed {
                    let context = context.clone();
                    let owner = (one.scope.organization(), one.root);
                    let task = running.spawn(contain("wrap_up", async move { run(one, &context).await }));
                    whose.insert(task.id(), owner);
                }
            }
            Err(error) => tracing::error!(%error, "cannot read calls with pending post-call work"),
        }
        let mut next = tokio::select! {
            Some(done) = running.join_next_with_id() => Some(done),
            () = context.store.notifiers().wrap_up.notified() => None,
            () = tokio::time::sleep(POLL) => None,
            _ = stopped.changed() => break,
        };
        while let Some(done) = next {
            let id = done.map_or_else(|broken| broken.id(), |(id, _)| id);
            if let Some((organization, root)) = whose.remove(&id) {
                shares.give_back(organization, root);
            }
            next = running.try_join_next_with_id();
        }
    }
    while running.join_next().await.is_some() {}
}

/// A job that panics is retried without analysis: the report still goes out and the call is billed.
async fn run(job: WrapUpJob, context: &SharedServices) {
    let done = match contain("wrap_up", finish(context, job, true)).await {
        Err(_) => contain("wrap_up", finish(context, job, false)).await,
        done => done,
    };
    match done {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::error!(call = %job.call, %error, "post-call work failed; it will be retried"),
        Err(_) => {
            if let Err(error) = context.store.give_up_wrap_up(job.scope, job.call).await {
                tracing::error!(call = %job.call, %error, "cannot give up a call's report");
            }
        }
    }
}

async fn finish(context: &SharedServices, one: WrapUpJob, analysed: bool) -> Result<(), StoreError> {
    let WrapUpJob { scope, call: id, .. } = one;
    let Some(mut call) = recorded(context, scope, id).await? else { return Ok(()) };
    let turns = context.store.turns(scope, id).await?;
    let context = CallServices::of_organization(context, scope).await;
    let found = match analysed {
        true => context.analyse(scope, &call, &turns).await,
        false => CallAnalysis {
            outcome: CallOutcome {
                report: Some(json!({"analysed": false, "error": "internal"})),
                ..CallOutcome::default()
            },
            ..CallAnalysis::default()
        },
    };
    let (cost, billed) = context.compute_cost(&call, &found);
    call.outcome = CallOutcome { cost: Some(cost), ..found.outcome };
    let deliveries = context.reports(scope, &call, &turns).await?;
    context.store.record_wrap_up(scope, id, &call.outcome, &billed, &deliveries).await
}

/// The call once its recording is there, if it has one.
async fn recorded(
    context: &CallServices, scope: OrgScope, id: crate::domain::ids::CallId,
) -> Result<Option<Call>, StoreError> {
    let deadline = tokio::time::Instant::now() + RECORDING_DEADLINE;
    loop {
        let Some(call) = context.store.call(scope, id).await? else { return Ok(None) };
        let expected = call.answered_at.is_some() && agent_fields(&call).recording_enabled.unwrap_or(true);
        if call.recording.is_some() || !expected || tokio::time::Instant::now() > deadline {
            return Ok(Some(call));
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
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

impl CallServices {
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
        let models = self.analysts(&fields);
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
        match self.ask_about(asked, &models, &mut found).await {
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

    /// The LLMs of the agent; after a realtime call the default LLM.
    fn analysts(&self, fields: &AgentFields) -> LlmPlan {
        let models = super::provider_plan::llm_plan(&self.providers, fields);
        if models.candidates.is_empty() {
            return super::provider_plan::llm_plan(&self.providers, &AgentFields::default());
        }
        models
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
        &self, asked: AnalysisRequest<'_>, models: &LlmPlan, found: &mut CallAnalysis,
    ) -> Result<Analysis, ProviderError> {
        let AnalysisRequest { turns, plan, shape, scope, language } = asked;
        let (mut question, shape) = (report::analysis_prompt(turns, plan, language), Arc::new(shape));
        let mut last = String::new();
        for _ in 0..2 {
            let asked =
                llm::complete(&self.providers, models, &question.messages, &question.schema, ANALYSIS_DEADLINE).await;
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
        let recognised = !super::provider_plan::llm(&fields).provider.is_realtime();
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
    pub async fn elevenlabs_transcript(&self, conversation: &str) -> Result<Vec<Turn>, ProviderError> {
        elevenlabs::conversation::transcript(&self.providers, conversation).await
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

    /// Everything that is to be sent about a call that is over.
    async fn reports(&self, scope: OrgScope, call: &Call, turns: &[Turn]) -> Result<Vec<Delivery>, StoreError> {
        let fields = agent_fields(call);
        let blank = |channel, order_key, event_type: &str, target, body| Delivery {
            id: DeliveryId::new(),
            organization: call.organization,
            channel,
            order_key,
            call: Some(call.id),
            task: call.task,
            agent: call.agent,
            event_type: event_type.to_owned(),
            target,
            body,
            created_at: now(),
        };
        let mut all = Vec::new();
        if let Some(target) = CallWebhooks::new(call.agent, &fields).target(event::END_OF_CALL_REPORT) {
            let key = format!("{} agent", call.id);
            let mut one = blank(DeliveryChannel::Webhook, key, event::END_OF_CALL_REPORT, target, String::new());
            let url = call.recording.is_some().then(|| self.links.recording(scope, call.id, now()));
            one.body = event::end_of_call_report(one.id, call, turns, url, now()).to_string();
            all.push(one);
        }
        if let Some(task) = call.task
            && let Some(task) = self.store.task(scope, task).await?
        {
            let event = if call.status == crate::domain::call::CallStatus::Completed {
                "call_completed"
            } else {
                "call_failed"
            };
            if let Some(target) = task.fields.webhook(event) {
                let body = event::task_event(event, task.id, call, turns).to_string();
                all.push(blank(DeliveryChannel::Webhook, format!("{} task", call.id), event, target, body));
            }
        }
        if let (Some(to), true) = (&fields.notification_email, self.sends_mail) {
            let mail = self.mail(call, &fields);
            let body = serde_json::to_string(&mail).unwrap_or_default();
            all.push(blank(DeliveryChannel::Mail, format!("{} mail", call.id), "mail", to.clone(), body));
        }
        Ok(all)
    }

    fn mail(&self, call: &Call, fields: &AgentFields) -> MailMessage {
        let seconds = call.duration_seconds().unwrap_or(0);
        let reason = call.end_reason.map_or("unknown", |reason| reason.name());
        let summary = call.outcome.summary.as_deref().unwrap_or("There is no summary of this call.");
        let subject = format!("Call with {} ({} min {} s)", call.other_party(), seconds / 60, seconds % 60);
        let text = format!(
            "{summary}\n\nAgent: {}\nFrom: {}\nTo: {}\nStarted: {}\nDuration: {} min {} s\nEnded: {reason}\n\n{}\n",
            fields.name,
            call.from_number,
            call.to_number,
            call.started_at.rfc3339(),
            seconds / 60,
            seconds % 60,
            self.links.call(call.id),
        );
        MailMessage { subject, text }
    }
}
