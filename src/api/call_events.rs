//! `GET /calls/{id}/events`: what webhooks told of a call, for those who missed them or have none.

use super::auth::OrgAuth;
use super::calls::find;
use super::error::ApiError;
use super::input::{IdPath, Paging, QueryParams};
use super::response::ApiResponse;
use super::state::ApiState;
use crate::call::past_events::{OF_EVERY_CALL, PastEvent, unsent};
use crate::domain::call::Call;
use crate::domain::delivery::Delivery;
use crate::store::{DeliveryFilter, OrgScope, PageCursor, PageRequest, now};
use axum::extract::{Path, State};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// Events of one kind of a call that are looked at: two status updates and a report, more after repairs, and a change of
/// agent for two webhooks ten times.
const SENT_MAX: i64 = 40;

/// The events of a call, as its webhooks say them.
#[derive(Serialize, ToSchema)]
pub(super) struct CallEventPage {
    /// Id of the call.
    #[schema(format = "uuid")]
    call_id: String,
    /// Oldest first. Each is the body of a webhook.
    #[schema(value_type = Vec<Object>)]
    events: Vec<Value>,
    total: i64,
    limit: i64,
    offset: i64,
}

/// The events of a call, oldest first, with the same JSON as its webhooks: those that were sent within thirty days, and
/// the status updates, the changes of agent and the report where none were, commands from beside the call
/// (`call-control`), and what was ignored of the answer to `assistant-request` (`assistant-ignored`). `before` is the `message_id` of the last event of the page before.
#[utoipa::path(get, path = "/calls/{id}/events", tag = "calls", operation_id = "list_events", params(IdPath, Paging), responses((status = 200, body = CallEventPage)))]
pub(super) async fn events(
    State(api): State<ApiState>, OrgAuth(scope): OrgAuth, Path(id): Path<String>, query: QueryParams,
) -> Result<ApiResponse, ApiError> {
    let page = query.page()?;
    let call = find(&api, scope, &id).await?;
    let mut unsent = unsent_events(&api, scope, &call).await?;
    let (sent, sent_total) = api.store.deliveries_of_call(scope, call.id, page).await?;
    let total = sent_total + i64::try_from(unsent.len()).unwrap_or_default();
    let mut events: Vec<PastEvent> = sent.iter().map(told).collect();
    // Those that were not sent stand on the last page, which is not full; behind one of them only the rest of them.
    let behind = match page.from {
        PageCursor::Behind(id) => unsent.iter().position(|one| one.body["message_id"] == id.to_string().as_str()),
        _ => None,
    };
    let is_last = i64::try_from(events.len()).unwrap_or_default() < page.limit && page.offset <= sent_total;
    match behind {
        Some(last) => events = unsent.split_off(last + 1),
        None if is_last => events.append(&mut unsent),
        None => {}
    }
    events.sort_by_key(|event| event.at);
    let events = events.into_iter().map(|event| event.body).collect();
    Ok(ApiResponse::ok(CallEventPage {
        call_id: call.id.to_string(),
        events,
        total,
        limit: page.limit,
        offset: page.offset,
    }))
}

/// What a webhook said. Those of tasks say no `message_id`; the next page is asked for with it.
fn told(one: &Delivery) -> PastEvent {
    let mut body = serde_json::from_str::<Value>(&one.body).unwrap_or_default();
    if let Some(body) = body.as_object_mut() {
        body.entry("message_id").or_insert_with(|| one.id.to_string().into());
    }
    PastEvent { at: one.created_at, body }
}

/// The status updates, changes of agent and the report that no webhook told.
async fn unsent_events(api: &ApiState, scope: OrgScope, call: &Call) -> Result<Vec<PastEvent>, ApiError> {
    let mut bodies = Vec::new();
    for event in OF_EVERY_CALL {
        let filter =
            DeliveryFilter { call: Some(call.id), event_type: Some(event.to_owned()), ..DeliveryFilter::default() };
        let (sent, _) = api.store.deliveries(scope, filter, PageRequest::first(SENT_MAX)).await?;
        bodies.extend(sent.iter().filter_map(|(one, _)| serde_json::from_str::<Value>(&one.body).ok()));
    }
    let turns = api.store.turns(scope, call.id).await?;
    let recording = call.recording.is_some().then(|| api.links.recording(scope, call.id, now()));
    Ok(unsent(call, &turns, recording, &bodies))
}
