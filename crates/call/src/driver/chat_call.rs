//! Chats: calls without sound, which begin answered.

use super::call_leg::CallLeg;
use super::call_media::{CallMedia, DEFAULT_FORMAT, SpeechBackend};
use super::conversation::{Conversation, EstablishedCall, run_conversation};
use super::web_call::{BegunCall, WebCallParams, admitted, begin};
use super::web_offers::WebCallError;
use super::{CallServices, SharedServices, provider_candidates};
use crate::domain::agent::Agent;
use crate::domain::call::Direction;
use crate::domain::ids::CallId;
use crate::store::OrgScope;
use crate::supervision;
use crate::web_quota::check_web_call;
use tokio::sync::mpsc;
use tracing::Instrument as _;

/// Begins a chat; its row exists on return. Continues even if the requester disconnects.
pub(super) async fn place_chat(
    context: &SharedServices, scope: OrgScope, agent: Agent, order: WebCallParams,
) -> Result<CallId, WebCallError> {
    let own = context.clone();
    let placed = supervision::spawn("call_setup", async move { set_up(&own, scope, agent, order).await }).await;
    placed.ok().and_then(Result::ok).unwrap_or(Err(WebCallError::Internal))
}

async fn set_up(
    context: &SharedServices, scope: OrgScope, agent: Agent, order: WebCallParams,
) -> Result<CallId, WebCallError> {
    let has_room = context.registry.count() < context.admission.calls_max && !context.supervisor.is_stopping();
    check_web_call(true, agent.fields.is_active, has_room)?;
    let permit = admitted(context, scope).await?;
    let context = CallServices::of_organization(context, scope).await;
    if let Some(missing) = provider_candidates::missing_llm(&context.providers, &agent.fields) {
        return Err(WebCallError::ProviderMissing(missing));
    }
    let begun = begin(context, scope, agent, order, Direction::Chat, permit).await;
    let (id, span) = (begun.record.call.id, begun.span());
    let BegunCall { context, spec, record, slot, panic_guard } = begun;
    // Nobody is heard: there is no leg, and its queue is closed.
    let (leg, events) = (context.media.workers.soundless_leg(), mpsc::channel(1).1);
    let media = CallMedia { leg, events, audio_format: DEFAULT_FORMAT, recording: None };
    context.open_connections(&spec);
    let run = async move {
        let services = context.clone();
        let conversation = Conversation { context, spec, record, slot, leg: CallLeg::Web, media };
        let established = EstablishedCall { conversation, speech: SpeechBackend::Nobody, early: None };
        panic_guard.run_contained(&services, Box::pin(run_conversation(established))).await
    };
    supervision::spawn("call", run.instrument(span));
    Ok(id)
}
