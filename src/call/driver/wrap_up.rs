//! After the call: what it was about, what it cost, and who is told. Claimed from the database, so that a
//! process that dies in between leaves it to the next one.

use super::hooks::Hooks;
use super::{Context, Shared};
use crate::dialogue::report::{self, Analysis};
use crate::domain::agent::AgentFields;
use crate::domain::analysis::AnalysisPlan;
use crate::domain::call::{Billed, Call, Outcome};
use crate::domain::delivery::{Channel, Delivery};
use crate::domain::ids::DeliveryId;
use crate::domain::price::Used;
use crate::domain::transcript::Turn;
use crate::outbox::mail::Mail;
use crate::providers::chat::{self, Completion, Plan};
use crate::providers::{Failure, elevenlabs};
use crate::store::{OrgScope, StoreError, WrapUp, now};
use crate::webhooks::event;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Calls looked at together.
const AT_ONCE: usize = 8;
/// How long a claim holds: longer than everything below together.
const LEASE_MS: i64 = 180_000;
/// How often the database is asked when nobody says that a call is over.
const POLL: Duration = Duration::from_secs(1);
/// The model has this long for one answer.
const ANALYSIS_DEADLINE: Duration = Duration::from_secs(45);
/// The recording's last block is written in this time.
const RECORDING_DEADLINE: Duration = Duration::from_secs(5);

/// What was found out, and the tokens it took.
#[derive(Debug, Default)]
pub struct Found {
    pub outcome: Outcome,
    pub prompt_tokens: i64,
    pub completion_tokens: i64,
    pub model: String,
}

/// Runs until it is stopped; what was begun is finished.
pub async fn wrap_up(context: Shared, mut stopped: watch::Receiver<bool>) {
    let mut running = JoinSet::new();
    loop {
        let room = AT_ONCE - running.len();
        match context.store.claim_wrap_ups(room as i64, LEASE_MS).await {
            Ok(claimed) => {
                for one in claimed {
                    let context = context.clone();
                    running.spawn(async move {
                        if let Err(error) = finish(&context, one).await {
                            tracing::error!(call = %one.call, %error, "a call cannot be wrapped up yet");
                        }
                    });
                }
            }
            Err(error) => tracing::error!(%error, "calls to wrap up cannot be read"),
        }
        tokio::select! {
            Some(_) = running.join_next() => {}
            () = context.store.wakes().wrap_up.notified() => {}
            () = tokio::time::sleep(POLL) => {}
            _ = stopped.changed() => break,
        }
    }
    while running.join_next().await.is_some() {}
}

async fn finish(context: &Shared, WrapUp { scope, call: id, .. }: WrapUp) -> Result<(), StoreError> {
    let Some(mut call) = recorded(context, scope, id).await? else { return Ok(()) };
    let turns = context.store.turns(scope, id).await?;
    let context = Context::of_organization(context, scope).await;
    let found = context.analyse(&call, &turns).await;
    let (cost, billed) = context.bill(&call, &found);
    call.outcome = Outcome { cost: Some(cost), ..found.outcome };
    let deliveries = context.reports(scope, &call, &turns).await?;
    context.store.wrapped_up(scope, id, &call.outcome, &billed, &deliveries).await
}

/// The call once its recording is there, if it has one.
async fn recorded(
    context: &Context, scope: OrgScope, id: crate::domain::ids::CallId,
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

/// The configuration the call ran with, as it was written down.
fn agent_fields(call: &Call) -> AgentFields {
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

impl Context {
    /// Summary, report and extracted data of a call; without enough to look at, or without a model, what
    /// can be said without one.
    pub async fn analyse(&self, call: &Call, turns: &[Turn]) -> Found {
        let fields = agent_fields(call);
        let plan = fields.analysis_plan.as_ref();
        if !report::is_worth_it(turns, plan) {
            let reason = call.end_reason.map_or("unknown", |reason| reason.name());
            let summary = format!("There was no conversation to look at; the call ended with {reason}.");
            return Found {
                outcome: Outcome {
                    summary: Some(summary),
                    report: Some(json!({"analysed": false})),
                    ..Outcome::default()
                },
                ..Found::default()
            };
        }
        let models = self.analysts(&fields);
        let mut found = Found::default();
        match self.ask_about(turns, plan, language(&fields), &models, &mut found).await {
            Ok(Analysis { summary, mut report, structured_data }) => {
                report["analysed"] = json!(true);
                found.outcome.summary = Some(summary);
                found.outcome.report = Some(report);
                found.outcome.extracted_data = structured_data;
            }
            Err(failure) => {
                tracing::warn!(call = %call.id, %failure, "call cannot be analysed");
                found.outcome.report = Some(json!({"analysed": false, "error": failure.kind()}));
            }
        }
        found
    }

    /// The agent's own models; after a call with an engine, which writes no reports, the default one.
    fn analysts(&self, fields: &AgentFields) -> Plan {
        let models = super::plan::models(&self.providers, fields);
        if models.candidates.is_empty() {
            return super::plan::models(&self.providers, &AgentFields::default());
        }
        models
    }

    /// Asks, and where the answer has the wrong shape, once more.
    async fn ask_about(
        &self, turns: &[Turn], plan: Option<&AnalysisPlan>, language: &str, models: &Plan, found: &mut Found,
    ) -> Result<Analysis, Failure> {
        let mut question = report::question(turns, plan, language);
        let mut last = String::new();
        for _ in 0..2 {
            let asked =
                chat::complete(&self.providers, models, &question.messages, &question.schema, ANALYSIS_DEADLINE).await;
            let (Completion { text, prompt_tokens, completion_tokens }, model) = asked?;
            found.model = model;
            found.prompt_tokens += prompt_tokens as i64;
            found.completion_tokens += completion_tokens as i64;
            match question.read(&text) {
                Ok(analysis) => return Ok(analysis),
                Err(fault) => {
                    question = question.repair(&text, &fault);
                    last = fault;
                }
            }
        }
        Err(Failure::Garbage(last))
    }

    /// What the call cost, and its line in the usage.
    pub fn bill(&self, call: &Call, found: &Found) -> (Value, Billed) {
        let fields = agent_fields(call);
        let metric = |name: &str| call.metrics.as_ref().and_then(|m| m[name].as_i64()).unwrap_or(0);
        let by_name = |stage: &str| {
            let used = call.metrics.as_ref().and_then(|metrics| metrics["used"][stage].as_object());
            used.into_iter().flatten().map(|(name, amount)| (name.clone(), amount.clone()))
        };
        let tokens = |amount: &Value, name: &str| amount[name].as_i64().unwrap_or(0);
        let recognised = !super::plan::llm(&fields).provider.is_engine();
        let stt =
            fields.stt_config.as_ref().map_or("deepgram/nova-3-general".to_owned(), |c| key(c.provider, &c.model));
        let used = Used {
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
        let billed = Billed {
            day: call.ended_at.unwrap_or_else(now).day(),
            seconds: used.seconds,
            prompt_tokens: metric("prompt_tokens") + used.analysis_prompt_tokens,
            completion_tokens: metric("completion_tokens") + used.analysis_completion_tokens,
            characters: metric("characters_spoken"),
            micros,
        };
        (cost, billed)
    }

    /// What was said in a call that ran on ElevenLabs' conversational agent.
    pub async fn foreign_transcript(&self, conversation: &str) -> Result<Vec<Turn>, Failure> {
        elevenlabs::conversation::transcript(&self.providers, conversation).await
    }

    /// What a report that was asked for adds to the bill.
    pub fn bill_analysis(&self, found: &Found) -> Billed {
        let used = Used {
            analysis: found.model.clone(),
            analysis_prompt_tokens: found.prompt_tokens,
            analysis_completion_tokens: found.completion_tokens,
            ..Used::default()
        };
        let (prompt_tokens, completion_tokens) = (found.prompt_tokens, found.completion_tokens);
        Billed { prompt_tokens, completion_tokens, micros: self.prices.bill(&used).1, ..Billed::default() }
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
        if let Some(target) = Hooks::new(call.agent, &fields).target(event::END_OF_CALL_REPORT) {
            let key = format!("{} agent", call.id);
            let mut one = blank(Channel::Webhook, key, event::END_OF_CALL_REPORT, target, String::new());
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
                all.push(blank(Channel::Webhook, format!("{} task", call.id), event, target, body));
            }
        }
        if let (Some(to), true) = (&fields.notification_email, self.sends_mail) {
            let mail = self.mail(call, &fields);
            let body = serde_json::to_string(&mail).unwrap_or_default();
            all.push(blank(Channel::Mail, format!("{} mail", call.id), "mail", to.clone(), body));
        }
        Ok(all)
    }

    fn mail(&self, call: &Call, fields: &AgentFields) -> Mail {
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
        Mail { subject, text }
    }
}
