//! What a call that is over says: outcome of its analysis, bill, reports and mail.
//!
//! Pure: the driver reads rows, asks the LLM and writes; ids, links and times are arguments.

use super::call_webhooks::CallWebhooks;
use super::rules;
use crate::dialogue::report::{Analysis, AnalysisSchema};
use crate::domain::agent::AgentFields;
use crate::domain::analysis::AnalysisPlan;
use crate::domain::call::{Call, CallOutcome, CallStatus, CallUsage, Direction};
use crate::domain::delivery::{Delivery, DeliveryChannel};
use crate::domain::ids::{AgentId, DeliveryId};
use crate::domain::price::{BillableUsage, PriceTable};
use crate::domain::task::Task;
use crate::domain::time::UnixMs;
use crate::domain::transcript::Turn;
use crate::webhooks::event;
use crate::webhooks::outbox::mail::MailMessage;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The results of the analysis, and the tokens it used.
#[derive(Clone, Debug, Default, PartialEq)]
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

impl CallAnalysis {
    /// A call without enough turns: what can be said without an LLM.
    pub fn without_conversation(call: &Call) -> Self {
        let reason = call.end_reason().map_or("unknown", |reason| reason.name());
        let summary = format!("There was no conversation to look at; the call ended with {reason}.");
        let outcome =
            CallOutcome { summary: Some(summary), report: Some(json!({"analysed": false})), ..CallOutcome::default() };
        Self { outcome, ..Self::default() }
    }

    /// The analysis failed before an LLM was asked.
    pub fn not_begun(error: &str) -> Self {
        let mut failed = Self::default();
        failed.record_failure(error);
        failed
    }

    /// The analysis failed; tokens that were used stay counted.
    pub fn record_failure(&mut self, error: &str) {
        self.outcome.report = Some(json!({"analysed": false, "error": error}));
    }

    /// A call whose agent answers by rules: what it has collected is the result, and nobody judges it.
    pub fn record_rules(
        &mut self, slots: &BTreeMap<String, String>, plan: Option<&AnalysisPlan>, schema: &AnalysisSchema,
        fault: Option<String>,
    ) {
        self.outcome.report = Some(json!({"analysed": false}));
        self.record_collected(slots);
        let data = rules::structured(slots, plan.and_then(|plan| plan.structured_data_plan.as_ref()));
        let fault = fault.or_else(|| schema.check_structured_data(&data).err());
        match (fault, &mut self.outcome.report) {
            (Some(fault), Some(report)) => report["structured_data_fault"] = json!(fault),
            _ => self.outcome.extracted_data = Some(data),
        }
    }

    /// Adds what rules have collected, such as a message of the caller.
    pub fn record_collected(&mut self, slots: &BTreeMap<String, String>) {
        self.outcome.summary = rules::summary(slots);
        if let Some(report) = &mut self.outcome.report {
            report["collected"] = json!(slots);
        }
    }

    /// Takes the answer of the LLM. `fault` says why the customer's plan for structured data was ignored.
    pub fn record(&mut self, analysis: Analysis, fault: Option<String>) {
        let Analysis { summary, mut report, structured_data } = analysis;
        report["analysed"] = json!(true);
        if let Some(fault) = fault {
            report["structured_data_fault"] = json!(fault);
        }
        self.outcome.summary = Some(summary);
        self.outcome.report = Some(report);
        self.outcome.extracted_data = structured_data;
    }
}

/// What the answer of an analysis must fit.
#[derive(Debug)]
pub struct CompiledAnalysis {
    /// The customer's plan, without what cannot be used.
    pub plan: Option<AnalysisPlan>,
    /// The schemas of the answer.
    pub schema: AnalysisSchema,
    /// Why a part of the plan is ignored.
    pub fault: Option<String>,
}

impl CompiledAnalysis {
    /// Compiles a plan; takes milliseconds. Its schema is ignored where it exceeds the limits: it was saved before there
    /// were limits. `None` if not even our own schema compiles.
    pub fn new(mut plan: Option<AnalysisPlan>) -> Option<Self> {
        match AnalysisSchema::compile(plan.as_ref()) {
            Ok(schema) => Some(Self { plan, schema, fault: None }),
            Err(error) => {
                if let Some(plan) = &mut plan {
                    plan.structured_data_plan = None;
                }
                Some(Self { plan, schema: AnalysisSchema::compile(None).ok()?, fault: Some(error.to_string()) })
            }
        }
    }
}

/// The configuration that the call ran with, as recorded.
pub fn agent_fields(call: &Call) -> AgentFields {
    let Some(Value::Object(mut assistant)) = call.assistant.clone() else { return AgentFields::default() };
    let known = serde_json::to_value(AgentFields::default()).unwrap_or_default();
    assistant.retain(|name, _| known.get(name).is_some());
    serde_json::from_value(Value::Object(assistant)).unwrap_or_default()
}

/// Whether the recording of a call is still to come.
pub fn awaits_recording(call: &Call) -> bool {
    let expected = call.answered_at().is_some() && agent_fields(call).recording_enabled.unwrap_or(true);
    expected && call.recording.is_none()
}

/// The language of the analysis: that of the voice, or else of STT.
pub fn analysis_language(fields: &AgentFields) -> &str {
    let stt = fields.stt_config.as_ref().map(|stt| stt.language.as_str());
    fields.tts_config.as_ref().map(|tts| tts.language.as_str()).or(stt).unwrap_or("en")
}

/// STT services of a call and the seconds they listened. A call that was handed from agent to agent has those of each
/// agent; a realtime model hears by itself.
fn recognised(call: &Call, fields: &AgentFields) -> Vec<(String, i64)> {
    if call.direction == Direction::Chat {
        return Vec::new();
    }
    let seconds = call.duration_seconds().unwrap_or(0);
    let shares = call.metrics.as_ref().and_then(|metrics| metrics["agents"].as_array());
    let Some(shares) = shares else { return fields.stt_name().map(|name| (name, seconds)).into_iter().collect() };
    let mut heard: Vec<(String, i64)> = Vec::new();
    for share in shares {
        let Some(name) = share["stt"].as_str() else { continue };
        let at = |field: &str| share[field].as_i64().map(|ms| (ms + 500) / 1_000);
        let share_s = at("until_ms").unwrap_or(seconds).min(seconds) - at("from_ms").unwrap_or(0).min(seconds);
        match heard.iter_mut().find(|(known, _)| known == name) {
            Some((_, sum)) => *sum += share_s,
            None => heard.push((name.to_owned(), share_s)),
        }
    }
    heard
}

/// What the call used, from its row and its analysis. A realtime model hears by itself: it uses no STT.
fn used(call: &Call, found: &CallAnalysis) -> BillableUsage {
    let fields = agent_fields(call);
    let by_name = |stage: &str| {
        let used = call.metrics.as_ref().and_then(|metrics| metrics["used"][stage].as_object());
        used.into_iter().flatten().map(|(name, amount)| (name.clone(), amount.clone()))
    };
    let tokens = |amount: &Value, name: &str| amount[name].as_i64().unwrap_or(0);
    BillableUsage {
        // A chat uses no minutes.
        seconds: if call.direction == Direction::Chat { 0 } else { call.duration_seconds().unwrap_or(0) },
        stt: recognised(call, &fields),
        tts: by_name("tts").map(|(name, count)| (name, count.as_i64().unwrap_or(0))).collect(),
        llm: by_name("llm")
            .map(|(name, amount)| (name, tokens(&amount, "prompt_tokens"), tokens(&amount, "completion_tokens")))
            .collect(),
        analysis: found.model.clone(),
        analysis_prompt_tokens: found.prompt_tokens,
        analysis_completion_tokens: found.completion_tokens,
    }
}

/// What the call cost, and its line in the usage.
pub fn bill(prices: &PriceTable, call: &Call, found: &CallAnalysis, now: UnixMs) -> (Value, CallUsage) {
    let metric = |name: &str| call.metrics.as_ref().and_then(|m| m[name].as_i64()).unwrap_or(0);
    let used = used(call, found);
    let (cost, micros) = prices.bill(&used);
    let billed = CallUsage {
        day: call.ended_at().unwrap_or(now).day(),
        seconds: used.seconds,
        prompt_tokens: metric("prompt_tokens") + used.analysis_prompt_tokens,
        completion_tokens: metric("completion_tokens") + used.analysis_completion_tokens,
        characters: metric("characters_spoken"),
        micros,
    };
    (cost, billed)
}

/// What a report that was asked for adds to the bill.
pub fn bill_analysis(prices: &PriceTable, found: &CallAnalysis) -> CallUsage {
    let used = BillableUsage {
        analysis: found.model.clone(),
        analysis_prompt_tokens: found.prompt_tokens,
        analysis_completion_tokens: found.completion_tokens,
        ..BillableUsage::default()
    };
    let (prompt_tokens, completion_tokens) = (found.prompt_tokens, found.completion_tokens);
    CallUsage { prompt_tokens, completion_tokens, micros: prices.bill(&used).1, ..CallUsage::default() }
}

/// What reports say beside the call's row.
#[derive(Clone, Debug)]
pub struct ReportFacts<'a> {
    /// The transcript.
    pub turns: &'a [Turn],
    /// The task that the call was made for.
    pub task: Option<&'a Task>,
    /// Public link to the recording, if there is one.
    pub recording_url: Option<String>,
    /// Link to the call, for people.
    pub call_url: String,
    /// This server sends mail.
    pub sends_mail: bool,
    /// Time of the reports.
    pub now: UnixMs,
}

/// The task's event for a call that is over.
fn task_event_name(status: CallStatus) -> &'static str {
    if status == CallStatus::Completed { "call_completed" } else { "call_failed" }
}

/// The agent whose secret signs the call's webhooks: the one that has it, unless it has no webhook of its own and the
/// events go on to that of an earlier agent.
fn webhook_agent(call: &Call) -> Option<AgentId> {
    let earlier = call.assistant.as_ref().and_then(|assistant| assistant["webhook_agent_id"].as_str());
    earlier.and_then(AgentId::parse).or(call.agent)
}

/// Everything that is to be sent about a call that is over; `new_id` makes the ids.
pub fn reports(call: &Call, facts: &ReportFacts<'_>, mut new_id: impl FnMut() -> DeliveryId) -> Vec<Delivery> {
    let fields = agent_fields(call);
    let blank = |id, channel, order_key, event_type: &str, target, body| Delivery {
        id,
        organization: call.organization,
        channel,
        order_key,
        call: Some(call.id),
        task: call.task,
        agent: webhook_agent(call),
        event_type: event_type.to_owned(),
        target,
        body,
        created_at: facts.now,
    };
    let mut all = Vec::new();
    if let Some(target) = CallWebhooks::new(webhook_agent(call), &fields).target(event::END_OF_CALL_REPORT) {
        let (id, key) = (new_id(), format!("{} agent", call.id));
        let body = event::end_of_call_report(id, call, facts.turns, facts.recording_url.clone(), facts.now).to_string();
        all.push(blank(id, DeliveryChannel::Webhook, key, event::END_OF_CALL_REPORT, target, body));
    }
    if let Some(task) = facts.task {
        let event = task_event_name(call.status());
        if let Some(target) = task.fields.webhook(event) {
            let (id, key) = (new_id(), format!("{} task", call.id));
            let body = event::task_event(event, task.id, call, facts.turns).to_string();
            all.push(blank(id, DeliveryChannel::Webhook, key, event, target, body));
        }
    }
    if let (Some(to), true) = (&fields.notification_email, facts.sends_mail) {
        let body = serde_json::to_string(&mail(call, &fields, &facts.call_url)).unwrap_or_default();
        all.push(blank(new_id(), DeliveryChannel::Mail, format!("{} mail", call.id), "mail", to.clone(), body));
    }
    all
}

fn mail(call: &Call, fields: &AgentFields, call_url: &str) -> MailMessage {
    let seconds = call.duration_seconds().unwrap_or(0);
    let reason = call.end_reason().map_or("unknown", |reason| reason.name());
    let summary = call.outcome.summary.as_deref().unwrap_or("There is no summary of this call.");
    let subject = format!("Call with {} ({} min {} s)", call.other_party(), seconds / 60, seconds % 60);
    let text = format!(
        "{summary}\n\nAgent: {}\nFrom: {}\nTo: {}\nStarted: {}\nDuration: {} min {} s\nEnded: {reason}\n\n{call_url}\n",
        fields.name,
        call.from_number,
        call.to_number,
        call.started_at.rfc3339(),
        seconds / 60,
        seconds % 60,
    );
    MailMessage { subject, text }
}

#[cfg(test)]
mod tests;
