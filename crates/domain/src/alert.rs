//! Alerts: rules that watch calls, trunks and cost, when they fire, and what they tell.

use super::agent::is_email;
use super::ids::{AgentId, AlertEventId, AlertRuleId, DeliveryId, TrunkId};
use super::organization;
use super::rules::{between, chars, fits, is_http_url, secret_chars};
use super::secret::{Secret, exposed};
use super::time::UnixMs;
use super::webhook_secret::{self, WebhookSecrets};
use garde::Validate;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A week, in minutes: the longest window and the longest pause.
const WEEK_MIN: u32 = 7 * 24 * 60;

/// What a rule watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(rename_all = "snake_case")]
pub enum AlertCondition {
    /// Percent of the calls that ended in the window and failed.
    FailureRate,
    /// Milliseconds that 95 of 100 answers in the window kept to, from the caller's last sound to the agent's first.
    ResponseP95,
    /// Trunks that have been unreachable or not registered for as long as the window.
    TrunkDown,
    /// Cost of the calls that ended in the window, in the currency of the price table.
    Spend,
}

impl AlertCondition {
    /// Whether a few calls say nothing about it.
    pub fn needs_calls(self) -> bool {
        matches!(self, Self::FailureRate | Self::ResponseP95)
    }
}

/// How a rule tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(rename_all = "snake_case")]
pub enum AlertChannel {
    /// A mail to `email`.
    Mail,
    /// A POST to `webhook_url`, signed with `webhook_secret`.
    Webhook,
}

/// Whether what a rule watches is beyond its threshold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(rename_all = "snake_case")]
pub enum AlertState {
    /// It is beyond the threshold, and that was told.
    Firing,
    /// It is not, or nothing is known yet.
    Resolved,
}

impl AlertState {
    /// Returns the name in JSON and in the database.
    pub fn name(self) -> &'static str {
        match self {
            Self::Firing => "firing",
            Self::Resolved => "resolved",
        }
    }

    /// Reads the name that JSON and the database use; `None` for any other text.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Firing, Self::Resolved].into_iter().find(|state| state.name() == text)
    }
}

fn hour() -> u32 {
    60
}

fn twenty() -> u32 {
    20
}

fn yes() -> bool {
    true
}

/// A rule that watches calls, trunks or cost.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Validate, ToSchema)]
#[garde(allow_unvalidated)]
#[serde(deny_unknown_fields)]
pub struct AlertRuleFields {
    /// What people call the rule: 1 to 200 characters.
    #[schema(min_length = 1, max_length = 200, example = "Failures at night")]
    #[garde(custom(organization::name))]
    pub name: String,
    /// What it watches.
    pub condition: AlertCondition,
    /// It fires above this: percent of calls, milliseconds, number of trunks (0 for any), or money.
    #[schema(minimum = 0.0, maximum = 1_000_000_000.0, example = 20.0)]
    #[garde(custom(between(0.0..=1e9)))]
    #[garde(custom(fits(
        |value: &f64| self.condition != AlertCondition::FailureRate || *value < 100.0,
        "must be less than 100 percent"
    )))]
    pub threshold: f64,
    /// Minutes that are looked at, up to now.
    #[serde(default = "hour")]
    #[schema(minimum = 1, maximum = 10_080, default = 60)]
    #[garde(custom(between(1..=WEEK_MIN)))]
    pub window_minutes: u32,
    /// With fewer calls in the window `failure_rate` and `response_p95` say nothing.
    #[serde(default = "twenty")]
    #[schema(minimum = 1, maximum = 100_000, default = 20)]
    #[garde(custom(between(1..=100_000)))]
    pub calls_min: u32,
    /// Minutes from one firing to the next, at least.
    #[serde(default = "hour")]
    #[schema(minimum = 1, maximum = 10_080, default = 60)]
    #[garde(custom(between(1..=WEEK_MIN)))]
    pub cool_down_minutes: u32,
    /// Only calls of this agent; all calls without it.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = "uuid")]
    pub agent_id: Option<AgentId>,
    /// Only this trunk; any trunk without it. For `trunk_down`.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = "uuid")]
    pub trunk_id: Option<TrunkId>,
    /// How it tells.
    pub channel: AlertChannel,
    /// Who gets the mail; needed for `mail`.
    #[serde(default)]
    #[schema(format = "email", max_length = 320)]
    #[garde(inner(custom(chars(320))))]
    #[garde(custom(fits(
        |to: &Option<String>| to.as_deref().map_or(self.channel != AlertChannel::Mail, is_email),
        "must be an e-mail address where `channel` is mail"
    )))]
    pub email: Option<String>,
    /// Where the webhook goes; needed for `webhook`.
    #[serde(default)]
    #[schema(max_length = 2_000)]
    #[garde(inner(custom(chars(2_000))))]
    #[garde(custom(fits(
        |to: &Option<String>| to.as_deref().map_or(self.channel != AlertChannel::Webhook, is_http_url),
        "must be an http or https URL where `channel` is webhook"
    )))]
    pub webhook_url: Option<String>,
    /// Signs the webhook (Standard Webhooks); never shown again.
    #[serde(default, serialize_with = "exposed")]
    #[schema(value_type = Option<String>, max_length = 256)]
    #[garde(inner(custom(webhook_secret::check)))]
    #[garde(inner(custom(secret_chars(256))))]
    pub webhook_secret: Option<Secret>,
    /// Whether it is looked at.
    #[serde(default = "yes")]
    #[schema(default = true)]
    pub is_active: bool,
}

impl AlertRuleFields {
    /// Where it tells.
    pub fn target(&self) -> &str {
        let target = match self.channel {
            AlertChannel::Mail => &self.email,
            AlertChannel::Webhook => &self.webhook_url,
        };
        target.as_deref().unwrap_or_default()
    }

    /// What signs its webhooks.
    pub fn webhook_secrets(&self) -> WebhookSecrets {
        WebhookSecrets { present: self.webhook_secret.clone(), previous: None }
    }
}

/// A rule and what it has found.
#[derive(Clone, Debug, PartialEq)]
pub struct AlertRule {
    /// Chosen when the rule is created; never changes.
    pub id: AlertRuleId,
    /// What the customer has set.
    pub fields: AlertRuleFields,
    /// Whether it fires.
    pub progress: AlertProgress,
    /// Counts the changes by people, from 1.
    pub version: i64,
    /// When the rule was created.
    pub created_at: UnixMs,
    /// When its fields were changed last.
    pub updated_at: UnixMs,
}

/// What a rule has found so far.
#[derive(Clone, Debug, PartialEq)]
pub struct AlertProgress {
    /// Whether it fires.
    pub state: AlertState,
    /// Since when it is in this state.
    pub state_since: UnixMs,
    /// Since when what it watches is beyond the threshold, without a break. `None` while it is not.
    pub breach_since: Option<UnixMs>,
    /// When it fired last. `None` if it never did.
    pub fired_at: Option<UnixMs>,
    /// When it was looked at last. `None` before the first time.
    pub evaluated_at: Option<UnixMs>,
    /// What was measured then.
    pub measured: AlertMeasurement,
}

impl AlertProgress {
    /// A rule that has not been looked at.
    pub fn new(now: UnixMs) -> Self {
        Self {
            state: AlertState::Resolved,
            state_since: now,
            breach_since: None,
            fired_at: None,
            evaluated_at: None,
            measured: AlertMeasurement::default(),
        }
    }
}

/// What was measured in a window.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct AlertMeasurement {
    /// The value that the threshold is for. `None`: there was nothing to measure.
    pub value: Option<f64>,
    /// Calls that it is of. `None` for trunks.
    pub calls: Option<i64>,
}

impl AlertRuleFields {
    fn is_breached(&self, measured: AlertMeasurement) -> bool {
        let enough = !self.condition.needs_calls() || measured.calls.unwrap_or(0) >= i64::from(self.calls_min);
        enough && measured.value.is_some_and(|value| value > self.threshold)
    }

    /// What a measurement makes of a rule, and the state that is to be told, if it has changed.
    pub fn evaluate(
        &self, before: &AlertProgress, measured: AlertMeasurement, now: UnixMs,
    ) -> (AlertProgress, Option<AlertState>) {
        let minutes = |count: u32| i64::from(count) * 60_000;
        let breach_since = self.is_breached(measured).then(|| before.breach_since.unwrap_or(now));
        let mut after = AlertProgress { breach_since, evaluated_at: Some(now), measured, ..before.clone() };
        // Of calls the window is in the measurement; a trunk must be down for as long.
        let wait_ms = if self.condition == AlertCondition::TrunkDown { minutes(self.window_minutes) } else { 0 };
        let is_due = breach_since.is_some_and(|since| now.0 - since.0 >= wait_ms);
        let rested = before.fired_at.is_none_or(|at| now.0 - at.0 >= minutes(self.cool_down_minutes));
        let told = match before.state {
            AlertState::Resolved if is_due && rested => Some(AlertState::Firing),
            AlertState::Firing if breach_since.is_none() => Some(AlertState::Resolved),
            _ => None,
        };
        if let Some(state) = told {
            (after.state, after.state_since) = (state, now);
        }
        if told == Some(AlertState::Firing) {
            after.fired_at = Some(now);
        }
        (after, told)
    }
}

/// What a rule has told once.
#[derive(Clone, Debug, PartialEq)]
pub struct AlertEvent {
    /// Identifies the event.
    pub id: AlertEventId,
    /// The state that was told.
    pub state: AlertState,
    /// What was measured.
    pub measured: AlertMeasurement,
    /// The mail or webhook that told it.
    pub delivery: DeliveryId,
    /// When it happened.
    pub at: UnixMs,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(condition: AlertCondition, threshold: f64) -> AlertRuleFields {
        let text = serde_json::json!({"name": "R", "condition": condition, "threshold": threshold,
            "window_minutes": 10, "calls_min": 5, "cool_down_minutes": 30, "channel": "mail", "email": "a@b.example"});
        serde_json::from_value(text).unwrap()
    }

    fn measured(value: f64, calls: i64) -> AlertMeasurement {
        AlertMeasurement { value: Some(value), calls: Some(calls) }
    }

    /// Looks at the rule at these minutes; what was told.
    fn told(rule: &AlertRuleFields, looks: &[(i64, AlertMeasurement)]) -> Vec<(i64, AlertState)> {
        let mut progress = AlertProgress::new(UnixMs(0));
        let mut all = Vec::new();
        for (minute, measured) in looks {
            let (after, told) = rule.evaluate(&progress, *measured, UnixMs(minute * 60_000));
            all.extend(told.map(|state| (*minute, state)));
            progress = after;
        }
        all
    }

    #[test]
    fn a_rule_fires_once_resolves_once_and_rests() {
        let rule = rule(AlertCondition::FailureRate, 20.0);
        let (high, low) = (measured(30.0, 10), measured(20.0, 10));
        let looks = [(0, low), (1, high), (2, high), (3, low), (4, low), (5, high), (30, high), (31, high), (40, low)];
        let wanted =
            [(1, AlertState::Firing), (3, AlertState::Resolved), (31, AlertState::Firing), (40, AlertState::Resolved)];
        assert_eq!(told(&rule, &looks), wanted);
    }

    #[test]
    fn few_calls_say_nothing_about_a_rate_and_everything_about_money() {
        let few = measured(90.0, 4);
        assert_eq!(told(&rule(AlertCondition::FailureRate, 20.0), &[(0, few)]), []);
        assert_eq!(told(&rule(AlertCondition::ResponseP95, 20.0), &[(0, few)]), []);
        assert_eq!(told(&rule(AlertCondition::Spend, 20.0), &[(0, few)]), [(0, AlertState::Firing)]);
        let none = AlertMeasurement::default();
        assert_eq!(told(&rule(AlertCondition::Spend, 0.0), &[(0, none)]), []);
        let rate = rule(AlertCondition::FailureRate, 20.0);
        let looks = [(0, measured(90.0, 5)), (1, few)];
        assert_eq!(told(&rate, &looks), [(0, AlertState::Firing), (1, AlertState::Resolved)]);
    }

    #[test]
    fn a_trunk_must_be_down_for_the_whole_window() {
        let rule = rule(AlertCondition::TrunkDown, 0.0);
        let (down, up) = (AlertMeasurement { value: Some(1.0), calls: None }, AlertMeasurement::default());
        assert_eq!(told(&rule, &[(0, down), (9, down), (10, up), (11, down), (20, down)]), []);
        assert_eq!(told(&rule, &[(0, down), (9, down), (10, down)]), [(10, AlertState::Firing)]);
    }

    #[test]
    fn a_channel_needs_its_address() {
        let mut fields = rule(AlertCondition::Spend, 1.0);
        assert!(fields.validate().is_ok());
        for email in [None, Some("nobody".to_owned())] {
            fields.email = email;
            assert!(fields.validate().unwrap_err().to_string().contains("email"));
        }
        fields.email = None;
        fields.channel = AlertChannel::Webhook;
        assert!(fields.validate().unwrap_err().to_string().contains("webhook_url"));
        fields.webhook_url = Some("https://a.example/hook".to_owned());
        assert!(fields.validate().is_ok());
        fields.condition = AlertCondition::FailureRate;
        fields.threshold = 100.0;
        assert!(fields.validate().unwrap_err().to_string().contains("threshold"));
    }
}
