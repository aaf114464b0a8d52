//! Targets, deliveries and answers.

use super::*;
use crate::domain::call::Direction;
use crate::domain::ids::{CallId, OrganizationId, TaskId};
use crate::domain::phone_number::PhoneNumber;
use crate::domain::secret::Secret;
use crate::domain::task::TaskStatus;
use serde_json::json;

fn fields(settings: Value) -> AgentFields {
    let mut all = json!({"name": "Agent"});
    all.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
    serde_json::from_value(all).unwrap()
}

fn call() -> Call {
    Call::begun(CallId::new(), OrganizationId::new(), Direction::Inbound, UnixMs(0))
}

fn secret(text: &str) -> Option<Secret> {
    fields(json!({"webhook_url": "https://a.example", "webhook_secret": text})).webhook_secret
}

#[test]
fn without_a_list_every_event_is_wanted() {
    let target = |settings: Value, name: &str| CallWebhooks::new(None, &fields(settings)).target(name);
    let url = "https://a.example/hook?key=1";
    assert_eq!(
        target(json!({"webhook_url": url}), "status-update").as_deref(),
        Some("https://a.example/hook/status-update?key=1")
    );
    let some = json!({"webhook_url": url, "webhook_events": ["tool-calls"]});
    assert_eq!(target(some.clone(), "status-update"), None);
    assert!(target(some, "tool-calls").is_some());
    assert!(target(json!({"webhook_url": url, "webhook_events": []}), "status-update").is_some());
    assert_eq!(target(json!({}), "status-update"), None);
}

#[test]
fn a_webhook_that_the_customers_server_names_gets_the_events() {
    let number = PhoneNumberFields {
        number: PhoneNumber::parse("+31201234567").unwrap(),
        agent: None,
        trunk: None,
        name: None,
        webhook_url: Some("https://number.example".into()),
        webhook_secret: secret("of the number"),
        previous_webhook_secret: None,
    };
    let of_number = CallWebhooks::of_number(&number);
    let agent = Some(AgentId::new());
    let named = of_number.clone().for_call(agent, &fields(json!({"webhook_url": "https://own.example"})));
    assert_eq!((named.agent, named.url.as_deref()), (agent, Some("https://own.example")));
    assert_eq!(named.secrets.present, number.webhook_secret, "the known secret signs where none came");
    let own = fields(json!({"webhook_url": "https://own.example", "webhook_secret": "own"}));
    assert_eq!(of_number.clone().for_call(agent, &own).secrets.present, secret("own"));
    let kept = of_number.for_call(agent, &fields(json!({"webhook_events": ["tool-calls"]})));
    assert_eq!((kept.agent, kept.url.as_deref()), (agent, Some("https://number.example")));
    assert!(kept.target("status-update").is_some(), "its list is the number's, which has none");
}

#[test]
fn deliveries_of_a_call_are_in_order_for_agent_and_task() {
    let (call, id) = (call(), DeliveryId::new());
    let hooks = CallWebhooks::new(Some(AgentId::new()), &fields(json!({"webhook_url": "https://a.example"})));
    let update = hooks.status_update(&call, id, UnixMs(9)).unwrap();
    assert_eq!((update.id, update.agent, update.created_at), (id, hooks.agent, UnixMs(9)));
    assert_eq!((update.order_key, update.event_type), (format!("{} agent", call.id), "status-update".to_owned()));
    assert!(CallWebhooks::default().status_update(&call, id, UnixMs(9)).is_none());
    let mut task = Task {
        id: TaskId::new(),
        organization: call.organization,
        batch: None,
        agent: AgentId::new(),
        status: TaskStatus::Pending,
        failure: None,
        fields: serde_json::from_value(json!({"to_number": "+31201234567", "webhook_url": "https://task.example"}))
            .unwrap(),
        version: 1,
        created_at: UnixMs(0),
        updated_at: UnixMs(0),
    };
    let started = hooks.task_started(&call, &task, id, UnixMs(9)).unwrap();
    assert_eq!((started.order_key, started.event_type), (format!("{} task", call.id), "call_started".to_owned()));
    assert_eq!(started.target, task.fields.webhook("call_started").unwrap());
    task.fields.webhook_events = Some(vec!["call_failed".into()]);
    assert!(hooks.task_started(&call, &task, id, UnixMs(9)).is_none());
}

#[test]
fn only_a_2xx_is_an_answer_and_every_attempt_is_recorded() {
    let answer = CustomerAnswer::new(Ok((204, Bytes::from_static(b"{}"))), UnixMs(5));
    assert_eq!(answer.result, Ok(Bytes::from_static(b"{}")));
    assert_eq!((answer.progress.status, answer.progress.delivered_at), (DeliveryStatus::Delivered, Some(UnixMs(5))));
    assert_eq!((answer.progress.response_status, answer.progress.error), (Some(204), None));
    let refused = CustomerAnswer::new(Ok((500, Bytes::new())), UnixMs(5));
    assert_eq!(refused.result, Err(WebhookError::Status(500)));
    assert_eq!((refused.progress.status, refused.progress.response_status), (DeliveryStatus::Failed, Some(500)));
    assert_eq!(refused.progress.error.as_deref(), Some("answered with status 500"));
    let silent = CustomerAnswer::new(Err(WebhookError::Deadline), UnixMs(5));
    assert_eq!((silent.progress.attempts, silent.progress.response_status), (1, None));
    assert_eq!(silent.progress.delivered_at, None);
}
