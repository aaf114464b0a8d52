//! What an alert says: the body of its webhook, and its mail.

use super::alert::{AlertChannel, AlertCondition, AlertMeasurement, AlertRule, AlertRuleFields, AlertState};
use super::delivery::{Delivery, DeliveryChannel, mail_body};
use super::ids::{DeliveryId, OrganizationId};
use super::time::UnixMs;
use serde::Serialize;
use utoipa::ToSchema;

/// The event of an alert's webhook.
pub const ALERT: &str = "alert";

/// Tells that an alert rule fires, or that what it watches is well again.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct AlertMessage {
    /// The event.
    pub r#type: &'static str,
    /// Identifies the message; the same in every attempt, and the same as the header `webhook-id`.
    #[schema(format = "uuid")]
    pub message_id: String,
    /// When the rule was looked at (RFC 3339, UTC).
    #[schema(format = "date-time")]
    pub timestamp: String,
    /// `firing`, `resolved`, or `test` for one that was sent by hand.
    pub state: &'static str,
    /// The rule.
    pub rule: AlertMessageRule,
    /// What was measured, in the unit of the threshold; `null` if there was nothing to measure.
    pub value: Option<f64>,
    /// Calls that were measured; `null` for trunks.
    pub calls: Option<i64>,
    /// The same in a sentence.
    pub text: String,
    /// The rule in the console.
    pub url: String,
}

/// The rule of an alert.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct AlertMessageRule {
    /// Id of the rule, as in `GET /alert-rules/{id}`.
    #[schema(format = "uuid")]
    pub id: String,
    /// What people call it.
    pub name: String,
    /// What it watches.
    pub condition: AlertCondition,
    /// It fires above this.
    pub threshold: f64,
    /// Minutes that are looked at.
    pub window_minutes: u32,
    /// The agent whose calls it watches; `null` for all.
    #[schema(format = "uuid")]
    pub agent_id: Option<String>,
    /// The trunk that it watches; `null` for any.
    #[schema(format = "uuid")]
    pub trunk_id: Option<String>,
}

/// Why a message is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AlertOccasion {
    /// The state has changed.
    State(AlertState),
    /// A person wants to see that it arrives.
    Test,
}

impl AlertOccasion {
    fn name(self) -> &'static str {
        match self {
            Self::State(state) => state.name(),
            Self::Test => "test",
        }
    }
}

/// What surrounds a message.
#[derive(Clone, Copy, Debug)]
pub struct AlertContext<'a> {
    /// The organization of the rule.
    pub organization: OrganizationId,
    /// Its name.
    pub organization_name: &'a str,
    /// Address of the console, without a slash at its end.
    pub base_url: &'a str,
    /// Currency of the price table.
    pub currency: &'a str,
    /// When it happens.
    pub now: UnixMs,
}

/// A number without digits that say nothing.
fn figure(value: f64) -> String {
    let text = format!("{value:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A span in the largest unit that it is whole in.
fn span(minutes: u32) -> String {
    let (count, unit) = match minutes {
        minutes if minutes % 1_440 == 0 => (minutes / 1_440, "day"),
        minutes if minutes % 60 == 0 => (minutes / 60, "hour"),
        minutes => (minutes, "minute"),
    };
    if count == 1 { unit.to_owned() } else { format!("{count} {unit}s") }
}

/// What was measured, and what for.
fn sentence(fields: &AlertRuleFields, measured: AlertMeasurement, currency: &str) -> String {
    let last = span(fields.window_minutes);
    let calls = measured.calls.unwrap_or(0);
    let of = if calls == 1 { "1 call".to_owned() } else { format!("{calls} calls") };
    let threshold = figure(fields.threshold);
    let Some(value) = measured.value.map(figure) else {
        return match fields.condition {
            AlertCondition::TrunkDown => "All trunks that it watches can be reached.".to_owned(),
            _ => format!("No calls ended in the last {last}."),
        };
    };
    match fields.condition {
        AlertCondition::FailureRate => {
            format!("{value} % of {of} in the last {last} failed (threshold: {threshold} %).")
        }
        AlertCondition::ResponseP95 => {
            format!(
                "95 % of the answers in {of} in the last {last} took {value} ms or less (threshold: {threshold} ms)."
            )
        }
        AlertCondition::TrunkDown if value == "0" => "All trunks that it watches can be reached.".to_owned(),
        AlertCondition::TrunkDown => format!("Trunks that cannot be reached: {value}."),
        AlertCondition::Spend => {
            format!("{of} in the last {last} cost {value} {currency} (threshold: {threshold} {currency}).")
        }
    }
}

/// The mail or webhook of an alert.
pub fn alert_delivery(
    rule: &AlertRule, occasion: AlertOccasion, measured: AlertMeasurement, about: AlertContext<'_>,
) -> Delivery {
    let (id, fields) = (DeliveryId::new(), &rule.fields);
    let url = format!("{}/#/alerts/{}", about.base_url, rule.id);
    let text = match occasion {
        AlertOccasion::Test => "This is a test: the rule sends its alerts here.".to_owned(),
        AlertOccasion::State(_) => sentence(fields, measured, about.currency),
    };
    let body = match fields.channel {
        AlertChannel::Mail => {
            let head = match occasion {
                AlertOccasion::State(AlertState::Firing) => "Firing",
                AlertOccasion::State(AlertState::Resolved) => "Resolved",
                AlertOccasion::Test => "Test",
            };
            let at = about.now.rfc3339();
            let text = format!("{text}\n\nOrganization: {}\nTime: {at}\n\n{url}\n", about.organization_name);
            mail_body(&format!("{head}: {}", fields.name), &text)
        }
        AlertChannel::Webhook => {
            let message = AlertMessage {
                r#type: ALERT,
                message_id: id.to_string(),
                timestamp: about.now.rfc3339(),
                state: occasion.name(),
                rule: AlertMessageRule {
                    id: rule.id.to_string(),
                    name: fields.name.clone(),
                    condition: fields.condition,
                    threshold: fields.threshold,
                    window_minutes: fields.window_minutes,
                    agent_id: fields.agent_id.map(|id| id.to_string()),
                    trunk_id: fields.trunk_id.map(|id| id.to_string()),
                },
                value: measured.value,
                calls: measured.calls,
                text,
                url,
            };
            serde_json::to_string(&message).unwrap_or_default()
        }
    };
    Delivery {
        id,
        organization: about.organization,
        channel: match fields.channel {
            AlertChannel::Mail => DeliveryChannel::Mail,
            AlertChannel::Webhook => DeliveryChannel::Webhook,
        },
        order_key: rule.id.to_string(),
        call: None,
        task: None,
        agent: None,
        event_type: ALERT.to_owned(),
        target: fields.target().to_owned(),
        body,
        created_at: about.now,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::AlertProgress;
    use crate::ids::AlertRuleId;
    use serde_json::{Value, json};

    fn delivery(fields: Value, occasion: AlertOccasion, measured: AlertMeasurement) -> Delivery {
        let rule = AlertRule {
            id: AlertRuleId::new(),
            fields: serde_json::from_value(fields).unwrap(),
            progress: AlertProgress::new(UnixMs(0)),
            version: 1,
            created_at: UnixMs(0),
            updated_at: UnixMs(0),
        };
        let about = AlertContext {
            organization: OrganizationId::new(),
            organization_name: "Acme",
            base_url: "https://voice.example",
            currency: "EUR",
            now: UnixMs(0),
        };
        alert_delivery(&rule, occasion, measured, about)
    }

    #[test]
    fn a_mail_says_what_was_measured_and_where_to_look() {
        let rule = json!({"name": "Nights\r\nBcc: x@y.example", "condition": "failure_rate", "threshold": 20, "window_minutes": 60, "channel": "mail", "email": "a@b.example"});
        let measured = AlertMeasurement { value: Some(34.5), calls: Some(52) };
        let mail = delivery(rule, AlertOccasion::State(AlertState::Firing), measured);
        let body: Value = serde_json::from_str(&mail.body).unwrap();
        assert_eq!(
            (mail.target.as_str(), body["subject"].as_str()),
            ("a@b.example", Some("Firing: Nights  Bcc: x@y.example"))
        );
        let text = body["text"].as_str().unwrap();
        assert!(
            text.starts_with("34.5 % of 52 calls in the last hour failed (threshold: 20 %).\n\nOrganization: Acme\n"),
            "{text}"
        );
        assert!(text.contains("https://voice.example/#/alerts/"), "{text}");
    }

    #[test]
    fn each_condition_has_its_sentence() {
        let say = |condition: &str, value: Option<f64>| {
            let rule = json!({"name": "R", "condition": condition, "threshold": 1.5, "window_minutes": 1_440, "channel": "webhook", "webhook_url": "https://a.example"});
            let measured = AlertMeasurement { value, calls: Some(1) };
            let sent = delivery(rule, AlertOccasion::State(AlertState::Resolved), measured);
            let body: Value = serde_json::from_str(&sent.body).unwrap();
            assert_eq!((&body["type"], &body["state"]), (&json!("alert"), &json!("resolved")));
            body["text"].as_str().unwrap().to_owned()
        };
        assert_eq!(say("spend", Some(2.0)), "1 call in the last day cost 2 EUR (threshold: 1.5 EUR).");
        assert_eq!(say("trunk_down", Some(2.0)), "Trunks that cannot be reached: 2.");
        assert_eq!(say("trunk_down", Some(0.0)), "All trunks that it watches can be reached.");
        assert!(say("response_p95", Some(900.0)).contains("took 900 ms or less"));
        assert_eq!(say("failure_rate", None), "No calls ended in the last day.");
    }
}
