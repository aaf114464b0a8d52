//! `/alert-rules`: rules that watch calls, trunks and cost, and what they have told.

use super::auth::{Actor, OrgAuth};
use super::error::ApiError;
use super::input::{IdPath, JsonObject, Paging, QueryParams, id, validated};
use super::organization_rates::RateKind;
use super::patch::Patch;
use super::precondition::{ATTEMPTS_MAX, IfMatch, IfMatchHeader, Versioned, contended};
use super::response::{ApiResponse, Deleted};
use super::state::ApiState;
use crate::domain::FieldError;
use crate::domain::alert::{AlertChannel, AlertCondition, AlertEvent, AlertRule, AlertRuleFields, AlertState};
use crate::domain::alert_message::{AlertContext, AlertOccasion, alert_delivery};
use crate::domain::ids::AlertRuleId;
use crate::domain::time::UnixMs;
use crate::store::{OrgScope, now};
use axum::extract::{Path, State};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

/// An alert rule as clients see it.
#[derive(Serialize, ToSchema)]
#[schema(as = AlertRule)]
pub(super) struct AlertRuleView {
    #[schema(format = "uuid")]
    id: String,
    /// What people call the rule.
    name: String,
    /// What it watches.
    condition: AlertCondition,
    /// It fires above this: percent of calls, milliseconds, number of trunks, or money.
    threshold: f64,
    /// Minutes that are looked at, up to now.
    window_minutes: u32,
    /// With fewer calls in the window `failure_rate` and `response_p95` say nothing.
    calls_min: u32,
    /// Minutes from one firing to the next, at least.
    cool_down_minutes: u32,
    /// Only calls of this agent; `null` for all.
    #[schema(format = "uuid")]
    agent_id: Option<String>,
    /// Only this trunk; `null` for any.
    #[schema(format = "uuid")]
    trunk_id: Option<String>,
    /// How it tells.
    channel: AlertChannel,
    /// Who gets the mail.
    email: Option<String>,
    /// Where the webhook goes.
    webhook_url: Option<String>,
    /// Whether a secret signs the webhook; it is never shown.
    webhook_secret_set: bool,
    /// Whether it is looked at.
    is_active: bool,
    /// `firing` while what it watches is beyond the threshold and that was told.
    state: AlertState,
    /// Since when it is in this state (RFC 3339, UTC).
    #[schema(format = "date-time")]
    state_since: String,
    /// What was measured last, in the unit of `threshold`; `null` if there was nothing to measure.
    value: Option<f64>,
    /// Calls that were measured last; `null` for trunks.
    calls: Option<i64>,
    /// When it was looked at last (RFC 3339, UTC); `null` before the first time.
    #[schema(format = "date-time")]
    evaluated_at: Option<String>,
    /// When it fired last (RFC 3339, UTC); `null` if it has not since its last change.
    #[schema(format = "date-time")]
    fired_at: Option<String>,
    #[schema(format = "date-time")]
    created_at: String,
    #[schema(format = "date-time")]
    updated_at: String,
}

impl From<&AlertRule> for AlertRuleView {
    fn from(rule: &AlertRule) -> Self {
        let (fields, progress) = (rule.fields.clone(), &rule.progress);
        Self {
            id: rule.id.to_string(),
            name: fields.name,
            condition: fields.condition,
            threshold: fields.threshold,
            window_minutes: fields.window_minutes,
            calls_min: fields.calls_min,
            cool_down_minutes: fields.cool_down_minutes,
            agent_id: fields.agent_id.map(|id| id.to_string()),
            trunk_id: fields.trunk_id.map(|id| id.to_string()),
            channel: fields.channel,
            email: fields.email,
            webhook_url: fields.webhook_url,
            webhook_secret_set: fields.webhook_secret.is_some(),
            is_active: fields.is_active,
            state: progress.state,
            state_since: progress.state_since.rfc3339(),
            value: progress.measured.value,
            calls: progress.measured.calls,
            evaluated_at: progress.evaluated_at.map(UnixMs::rfc3339),
            fired_at: progress.fired_at.map(UnixMs::rfc3339),
            created_at: rule.created_at.rfc3339(),
            updated_at: rule.updated_at.rfc3339(),
        }
    }
}

/// One alert rule.
#[derive(Serialize, ToSchema)]
pub(super) struct AlertRuleBody {
    /// The rule.
    alert_rule: AlertRuleView,
}

/// A page of alert rules.
#[derive(Serialize, ToSchema)]
pub(super) struct AlertRulePage {
    /// Rules, newest first.
    alert_rules: Vec<AlertRuleView>,
    total: i64,
    limit: i64,
    offset: i64,
}

/// What an alert rule has told once.
#[derive(Serialize, ToSchema)]
#[schema(as = AlertEvent)]
pub(super) struct AlertEventView {
    #[schema(format = "uuid")]
    id: String,
    /// The state that was told.
    state: AlertState,
    /// What was measured, in the unit of the rule's threshold; `null` if there was nothing to measure.
    value: Option<f64>,
    /// Calls that were measured; `null` for trunks.
    calls: Option<i64>,
    /// The mail or webhook that told it: the header `webhook-id`, and the id in `GET /webhook-deliveries/{id}`.
    #[schema(format = "uuid")]
    delivery_id: String,
    #[schema(format = "date-time")]
    created_at: String,
}

impl From<&AlertEvent> for AlertEventView {
    fn from(event: &AlertEvent) -> Self {
        Self {
            id: event.id.to_string(),
            state: event.state,
            value: event.measured.value,
            calls: event.measured.calls,
            delivery_id: event.delivery.to_string(),
            created_at: event.at.rfc3339(),
        }
    }
}

/// A page of what an alert rule has told.
#[derive(Serialize, ToSchema)]
pub(super) struct AlertEventPage {
    /// Events, newest first; kept for 30 days.
    alert_events: Vec<AlertEventView>,
    total: i64,
    limit: i64,
    offset: i64,
}

/// A test that was sent.
#[derive(Serialize, ToSchema)]
pub(super) struct AlertTested {
    /// The mail or webhook: the header `webhook-id`, and the id in `GET /webhook-deliveries/{id}`.
    #[schema(format = "uuid")]
    delivery_id: String,
}

async fn find(api: &ApiState, scope: OrgScope, text: &str) -> Result<AlertRule, ApiError> {
    let id = id(text, AlertRuleId::parse, "Alert rule")?;
    api.store.alert_rule(scope, id).await?.ok_or_else(|| ApiError::not_found("Alert rule"))
}

/// The rules of the server beside those of the fields.
fn faults(api: &ApiState, fields: &AlertRuleFields) -> Vec<FieldError> {
    let url = fields.webhook_url.as_deref().and_then(|url| api.addresses.check_webhook("webhook_url", url).err());
    let no_mail = fields.channel == AlertChannel::Mail && !api.health.sends_mail();
    let no_mail = no_mail.then(|| FieldError::new("channel", "must be webhook: this server sends no mail"));
    url.into_iter().chain(no_mail).collect()
}

async fn check(api: &ApiState, scope: OrgScope, object: Map<String, Value>) -> Result<AlertRuleFields, ApiError> {
    let fields: AlertRuleFields = validated(object, Vec::new(), |fields| faults(api, fields))?;
    if let Some(agent) = fields.agent_id
        && api.store.agent(scope, agent).await?.is_none()
    {
        return Err(ApiError::no_reference("agent_id", "is not an agent of this organization"));
    }
    if let Some(trunk) = fields.trunk_id
        && api.store.trunk(scope, trunk).await?.is_none()
    {
        return Err(ApiError::no_reference("trunk_id", "is not a trunk of this organization"));
    }
    Ok(fields)
}

/// The alert rules of the organization, newest first.
#[utoipa::path(get, path = "/alert-rules", tag = "alert-rules", params(Paging), responses((status = 200, body = AlertRulePage)))]
pub(super) async fn list(
    State(api): State<ApiState>, OrgAuth(scope): OrgAuth, query: QueryParams,
) -> Result<ApiResponse, ApiError> {
    let page = query.page()?;
    let (rules, total) = api.store.alert_rules(scope, page).await?;
    let alert_rules = rules.iter().map(AlertRuleView::from).collect();
    Ok(ApiResponse::ok(AlertRulePage { alert_rules, total, limit: page.limit, offset: page.offset }))
}

/// Creates an alert rule. It is looked at every few seconds; when it fires and when that is over it sends a mail or a
/// webhook, each once.
#[utoipa::path(post, path = "/alert-rules", tag = "alert-rules", request_body = AlertRuleFields, responses((status = 201, body = AlertRuleBody)))]
pub(super) async fn create(
    State(api): State<ApiState>, caller: Actor, JsonObject(mut object, _turn): JsonObject,
) -> Result<Versioned, ApiError> {
    object.retain(|_, value| !value.is_null());
    let fields = check(&api, caller.scope, object).await?;
    let rule = api.store.create_alert_rule(caller.scope, fields).await?;
    caller.audit(&api, "alert_rule.create", rule.id).await?;
    Ok(Versioned(rule.version, ApiResponse::created(AlertRuleBody { alert_rule: (&rule).into() })))
}

/// One alert rule.
#[utoipa::path(get, path = "/alert-rules/{id}", tag = "alert-rules", params(IdPath), responses((status = 200, body = AlertRuleBody)))]
pub(super) async fn get(
    State(api): State<ApiState>, OrgAuth(scope): OrgAuth, Path(id): Path<String>,
) -> Result<Versioned, ApiError> {
    let rule = find(&api, scope, &id).await?;
    Ok(Versioned(rule.version, ApiResponse::ok(AlertRuleBody { alert_rule: (&rule).into() })))
}

/// Changes some fields; `null` clears one. The rule begins anew: it is resolved, and may fire at once.
#[utoipa::path(patch, path = "/alert-rules/{id}", tag = "alert-rules", params(IdPath, IfMatchHeader), request_body = AlertRuleFields, responses((status = 200, body = AlertRuleBody)))]
pub(super) async fn update(
    State(api): State<ApiState>, caller: Actor, Path(id): Path<String>, if_match: IfMatch,
    mut patch: Patch<AlertRuleFields>,
) -> Result<Versioned, ApiError> {
    let scope = caller.scope;
    let _turn = api.limits.turn_of_change(patch.take_permit(), scope).await?;
    for _ in 0..ATTEMPTS_MAX {
        let mut rule = find(&api, scope, &id).await?;
        if_match.check(rule.version, patch.sent(), AlertRuleView::from(&rule))?;
        rule.fields = check(&api, scope, patch.apply(&rule.fields)).await?;
        rule.updated_at = now();
        if api.store.update_alert_rule(scope, &rule).await? {
            caller.audit(&api, "alert_rule.update", rule.id).await?;
            return get(State(api), OrgAuth(scope), Path(id)).await;
        }
    }
    Err(contended())
}

/// Deletes an alert rule with what it has told.
#[utoipa::path(delete, path = "/alert-rules/{id}", tag = "alert-rules", params(IdPath), responses((status = 200, body = Deleted)))]
pub(super) async fn delete(
    State(api): State<ApiState>, caller: Actor, Path(text): Path<String>,
) -> Result<ApiResponse, ApiError> {
    let id = id(&text, AlertRuleId::parse, "Alert rule")?;
    if !api.store.delete_alert_rule(caller.scope, id).await? {
        return Err(ApiError::not_found("Alert rule"));
    }
    caller.audit(&api, "alert_rule.delete", id).await?;
    Ok(ApiResponse::deleted())
}

/// What an alert rule has told, newest first.
#[utoipa::path(get, path = "/alert-rules/{id}/events", tag = "alert-rules", operation_id = "events", params(IdPath, Paging), responses((status = 200, body = AlertEventPage)))]
pub(super) async fn events(
    State(api): State<ApiState>, OrgAuth(scope): OrgAuth, Path(id): Path<String>, query: QueryParams,
) -> Result<ApiResponse, ApiError> {
    let (rule, page) = (find(&api, scope, &id).await?, query.page()?);
    let (events, total) = api.store.alert_events(scope, rule.id, page).await?;
    let alert_events = events.iter().map(AlertEventView::from).collect();
    Ok(ApiResponse::ok(AlertEventPage { alert_events, total, limit: page.limit, offset: page.offset }))
}

/// Sends a test mail or webhook where the rule would send its alerts; its `state` is `test`.
#[utoipa::path(post, path = "/alert-rules/{id}/test", tag = "alert-rules", operation_id = "test", params(IdPath), responses((status = 200, body = AlertTested)))]
pub(super) async fn test(
    State(api): State<ApiState>, caller: Actor, Path(id): Path<String>,
) -> Result<ApiResponse, ApiError> {
    let rule = find(&api, caller.scope, &id).await?;
    api.limits.count(caller.scope, RateKind::AlertTests).await?;
    let organization = api.store.organization(caller.scope, caller.scope.organization()).await?;
    let about = AlertContext {
        organization: caller.scope.organization(),
        organization_name: organization.as_ref().map_or("", |organization| &organization.name),
        base_url: &api.links.base_url,
        currency: &api.analysis.prices.currency,
        now: now(),
    };
    let delivery = alert_delivery(&rule, AlertOccasion::Test, rule.progress.measured, about);
    api.store.send_delivery(&delivery).await?;
    caller.audit(&api, "alert_rule.test", rule.id).await?;
    Ok(ApiResponse::ok(AlertTested { delivery_id: delivery.id.to_string() }))
}
