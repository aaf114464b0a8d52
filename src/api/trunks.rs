//! `/trunks`. Every change reaches the SIP endpoint at once.

use super::auth::OrgAuth;
use super::error::ApiError;
use super::input::{IdPath, JsonObject, Paging, QueryParams, id, validated};
use super::organization_rates::RateKind;
use super::patch::{FieldChange, Patch};
use super::precondition::{ATTEMPTS_MAX, IfMatch, IfMatchHeader, Versioned, contended};
use super::response::{ApiResponse, Deleted};
use super::state::ApiState;
use crate::call::driver::{ProbeError, TrunkState, probe_problem, probe_trunk, status_of};
use crate::domain::attestation::Attestation;
use crate::domain::faults;
use crate::domain::ids::TrunkId;
use crate::domain::trunk::{
    IdentityHeader, InboundDigest, SrtpKeying, SrtpPolicy, Trunk, TrunkFields, TrunkTarget, TrunkTransport,
};
use crate::store::{OrgScope, now};
use axum::extract::{Path, State};
use serde::Serialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::time::Duration;
use utoipa::ToSchema;

/// A trunk as clients see it; passwords only as "is set".
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Trunk)]
pub(super) struct TrunkView {
    #[schema(format = "uuid")]
    id: String,
    #[schema(format = "uuid")]
    organization_id: String,
    name: String,
    host: Option<String>,
    port: Option<u16>,
    transport: TrunkTransport,
    username: Option<String>,
    /// Whether a password is stored; it is never shown.
    password_set: bool,
    from_user: Option<String>,
    from_domain: Option<String>,
    dial_string: String,
    allowed_addresses: Vec<String>,
    inbound_username: Option<String>,
    /// Whether a password for inbound callers is stored; it is never shown.
    inbound_password_set: bool,
    inbound_digest: InboundDigest,
    codecs: Vec<String>,
    allow_sip_uri: bool,
    targets: Vec<TrunkTarget>,
    outbound_proxy: Option<String>,
    register: bool,
    registrar: Option<String>,
    register_expires_s: Option<u32>,
    options_interval_s: Option<u32>,
    identity_header: IdentityHeader,
    hide_number: bool,
    diversion: Option<String>,
    trust_identity: bool,
    require_attestation: Option<Attestation>,
    country_code: Option<String>,
    national_prefix: Option<String>,
    international_prefix: Option<String>,
    strip_prefix: Option<String>,
    headers: BTreeMap<String, String>,
    allowed_destinations: Vec<String>,
    denied_destinations: Vec<String>,
    ptime_ms: Option<u16>,
    srtp: SrtpPolicy,
    srtp_keying: SrtpKeying,
    accept_refer: bool,
    follow_redirects: bool,
    delayed_offer: bool,
    max_concurrent_calls: Option<u32>,
    calls_per_second: Option<f64>,
    /// As this process knows it.
    state: TrunkState,
    #[schema(format = "date-time")]
    created_at: String,
    #[schema(format = "date-time")]
    updated_at: String,
}

impl From<&Trunk> for TrunkView {
    fn from(trunk: &Trunk) -> Self {
        let fields = trunk.fields.clone();
        Self {
            id: trunk.id.to_string(),
            organization_id: trunk.organization.to_string(),
            name: fields.name,
            host: fields.host,
            port: fields.port,
            transport: fields.transport,
            username: fields.username,
            password_set: fields.password.is_some(),
            from_user: fields.from_user,
            from_domain: fields.from_domain,
            dial_string: fields.dial_string,
            allowed_addresses: fields.allowed_addresses,
            inbound_username: fields.inbound_username,
            inbound_password_set: fields.inbound_password.is_some(),
            inbound_digest: fields.inbound_digest,
            codecs: fields.codecs,
            allow_sip_uri: fields.allow_sip_uri,
            targets: fields.targets,
            outbound_proxy: fields.outbound_proxy,
            register: fields.register,
            registrar: fields.registrar,
            register_expires_s: fields.register_expires_s,
            options_interval_s: fields.options_interval_s,
            identity_header: fields.identity_header,
            hide_number: fields.hide_number,
            diversion: fields.diversion,
            trust_identity: fields.trust_identity,
            require_attestation: fields.require_attestation,
            country_code: fields.country_code,
            national_prefix: fields.national_prefix,
            international_prefix: fields.international_prefix,
            strip_prefix: fields.strip_prefix,
            headers: fields.headers,
            allowed_destinations: fields.allowed_destinations,
            denied_destinations: fields.denied_destinations,
            ptime_ms: fields.ptime_ms,
            srtp: fields.srtp,
            srtp_keying: fields.srtp_keying,
            accept_refer: fields.accept_refer,
            follow_redirects: fields.follow_redirects,
            delayed_offer: fields.delayed_offer,
            state: TrunkState::default(),
            max_concurrent_calls: fields.max_concurrent_calls,
            calls_per_second: fields.calls_per_second,
            created_at: trunk.created_at.rfc3339(),
            updated_at: trunk.updated_at.rfc3339(),
        }
    }
}

fn view(api: &ApiState, trunk: &Trunk) -> TrunkView {
    TrunkView { state: api.trunks.states.state(trunk.id), ..TrunkView::from(trunk) }
}

/// One trunk.
#[derive(Serialize, ToSchema)]
pub(super) struct TrunkBody {
    /// The trunk.
    trunk: TrunkView,
}

/// A page of trunks.
#[derive(Serialize, ToSchema)]
pub(super) struct TrunkPage {
    /// Trunks, newest first.
    trunks: Vec<TrunkView>,
    total: i64,
    limit: i64,
    offset: i64,
}

fn checked(api: &ApiState, object: Map<String, Value>) -> Result<TrunkFields, ApiError> {
    validated(object, Vec::new(), |fields| api.trunks.faults(fields))
}

async fn find(api: &ApiState, scope: OrgScope, text: &str) -> Result<Trunk, ApiError> {
    let id = id(text, TrunkId::parse, "Trunk")?;
    api.store.trunk(scope, id).await?.ok_or_else(|| ApiError::not_found("Trunk"))
}

/// The trunks of the organization, newest first.
#[utoipa::path(get, path = "/trunks", tag = "trunks", params(Paging), responses((status = 200, body = TrunkPage)))]
pub(super) async fn list(
    State(api): State<ApiState>, OrgAuth(scope): OrgAuth, query: QueryParams,
) -> Result<ApiResponse, ApiError> {
    let page = query.page()?;
    let (trunks, total) = api.store.trunks(scope, page).await?;
    let trunks = trunks.iter().map(|trunk| view(&api, trunk)).collect();
    Ok(ApiResponse::ok(TrunkPage { trunks, total, limit: page.limit, offset: page.offset }))
}

/// Creates a trunk.
#[utoipa::path(post, path = "/trunks", tag = "trunks", request_body = TrunkFields, responses((status = 201, body = TrunkBody)))]
pub(super) async fn create(
    State(api): State<ApiState>, OrgAuth(scope): OrgAuth, JsonObject(mut object, _turn): JsonObject,
) -> Result<Versioned, ApiError> {
    api.limits.count(scope, RateKind::TrunkChanges).await?;
    object.retain(|_, value| !value.is_null());
    let fields = checked(&api, object)?;
    let trunk = api.store.create_trunk(scope, fields).await?;
    api.trunks.reload().await?;
    api.live_calls.cluster.publish_trunks_changed().await;
    Ok(Versioned(trunk.version, ApiResponse::created(TrunkBody { trunk: view(&api, &trunk) })))
}

/// One trunk.
#[utoipa::path(get, path = "/trunks/{id}", tag = "trunks", params(IdPath), responses((status = 200, body = TrunkBody)))]
pub(super) async fn get(
    State(api): State<ApiState>, OrgAuth(scope): OrgAuth, Path(id): Path<String>,
) -> Result<Versioned, ApiError> {
    let trunk = find(&api, scope, &id).await?;
    Ok(Versioned(trunk.version, ApiResponse::ok(TrunkBody { trunk: view(&api, &trunk) })))
}

/// Changes some fields; `null` clears one. A host, port, target, proxy or registrar that is new takes `username` and
/// `password` away, unless `password` is in the same change: they were given for the others.
#[utoipa::path(patch, path = "/trunks/{id}", tag = "trunks", params(IdPath, IfMatchHeader), request_body = TrunkFields, responses((status = 200, body = TrunkBody)))]
pub(super) async fn update(
    State(api): State<ApiState>, OrgAuth(scope): OrgAuth, Path(id): Path<String>, if_match: IfMatch,
    mut patch: Patch<TrunkFields>,
) -> Result<Versioned, ApiError> {
    api.limits.count(scope, RateKind::TrunkChanges).await?;
    let _turn = api.limits.turn_of_change(patch.take_permit(), scope).await?;
    let password_is_given = matches!(patch.change("password"), Some(FieldChange::Set(Value::String(_))));
    for _ in 0..ATTEMPTS_MAX {
        let mut trunk = find(&api, scope, &id).await?;
        if_match.check(trunk.version, patch.sent(), view(&api, &trunk))?;
        let mut changed = checked(&api, patch.apply(&trunk.fields))?;
        if changed.forget_credentials_given_elsewhere(&trunk.fields, password_is_given) {
            ApiError::unless_empty(faults(&changed))?;
        }
        trunk.change(changed, now());
        if api.store.update_trunk(scope, &trunk).await? {
            api.trunks.reload().await?;
            api.live_calls.cluster.publish_trunks_changed().await;
            return Ok(Versioned(trunk.version + 1, ApiResponse::ok(TrunkBody { trunk: view(&api, &trunk) })));
        }
    }
    Err(contended())
}

/// How a trunk is.
#[derive(Serialize, ToSchema)]
pub(super) struct TrunkTest {
    /// The peer answered; a refusal is an answer too.
    reachable: bool,
    /// Status of the answer to OPTIONS.
    sip_status: Option<u16>,
    /// Milliseconds that the answer took; `null` if none came.
    latency_ms: Option<u64>,
    /// Why not, in words.
    problem: Option<String>,
}

/// Sends OPTIONS to the trunk's host and says what came back, after four seconds at the latest. Tests have a budget of
/// their own: too many at once, or in a minute, are answered 429.
#[utoipa::path(post, path = "/trunks/{id}/test", tag = "trunks", params(IdPath), responses((status = 200, body = TrunkTest)))]
pub(super) async fn test(
    State(api): State<ApiState>, OrgAuth(scope): OrgAuth, Path(id): Path<String>,
) -> Result<ApiResponse, ApiError> {
    let trunk = find(&api, scope, &id).await?;
    api.limits.count(scope, RateKind::TrunkTests).await?;
    let has_credentials = trunk.fields.username.is_some();
    let (status, took, problem) = match probe_trunk(&api.trunks, &trunk).await {
        Ok((result, took)) => (status_of(&result), took, probe_problem(&result, has_credentials)),
        Err(ProbeError::Full(full)) => return Err(full.into()),
        Err(ProbeError::Store(error)) => return Err(error.into()),
        Err(error @ ProbeError::NoHost) => (None, Duration::ZERO, Some(error.to_string())),
    };
    Ok(ApiResponse::ok(TrunkTest {
        reachable: status.is_some(),
        sip_status: status,
        latency_ms: status.map(|_| took.as_millis() as u64),
        problem,
    }))
}

/// Deletes a trunk.
#[utoipa::path(delete, path = "/trunks/{id}", tag = "trunks", params(IdPath), responses((status = 200, body = Deleted)))]
pub(super) async fn delete(
    State(api): State<ApiState>, OrgAuth(scope): OrgAuth, Path(id): Path<String>,
) -> Result<ApiResponse, ApiError> {
    let trunk = find(&api, scope, &id).await?;
    api.limits.count(scope, RateKind::TrunkChanges).await?;
    api.store.delete_trunk(scope, trunk.id).await?;
    api.trunks.reload().await?;
    api.live_calls.cluster.publish_trunks_changed().await;
    Ok(ApiResponse::deleted())
}
