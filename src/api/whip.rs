//! WHIP (RFC 9725): turns a browser's offer into a call. Clients have a call token and no key; pages of other sites
//! need `allowed_origins`.

use super::client_ip::ClientIp;
use super::error::ApiError;
use super::input::read_body;
use super::rate_limit::unix_s;
use super::state::ApiState;
use super::web_calls::refusal;
use crate::call::registry::CallCommand;
use crate::domain::end_reason::EndReason;
use crate::domain::ids::{AgentId, CallId};
use crate::store::signed_tokens::WebCallGrant;
use axum::body::Body;
use axum::extract::{FromRequestParts, OriginalUri, Path, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use trunkline_signaling::limits::OFFER_BYTES_MAX;
use trunkline_signaling::webrtc::{ice_fragment, offer};

const SDP: &str = "application/sdp";
const FRAGMENT: &str = "application/trickle-ice-sdpfrag";
/// Where the live transcript of the call is.
const LIVE: &str = "urn:trunkline:whip:live";

/// The holder of a call token.
pub(super) struct WebCallAuth(WebCallGrant);

impl FromRequestParts<ApiState> for WebCallAuth {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, api: &ApiState) -> Result<Self, ApiError> {
        let value = parts.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let token =
            value.and_then(|value| value.split_once(' ')).filter(|(kind, _)| kind.eq_ignore_ascii_case("bearer"));
        let missing = || ApiError::new(StatusCode::UNAUTHORIZED, "token_required", "Missing call token");
        let (_, token) = token.ok_or_else(missing)?;
        let invalid = || ApiError::new(StatusCode::UNAUTHORIZED, "invalid_token", "Not a call token of this server");
        api.links.secret.verify_web(token.trim()).map(Self).ok_or_else(invalid)
    }
}

impl WebCallAuth {
    /// Checks that the agent in the URL is the token's.
    fn for_agent(&self, agent: &str) -> Result<(), ApiError> {
        if AgentId::parse(agent) == Some(self.0.agent) {
            return Ok(());
        }
        Err(ApiError::forbidden("wrong_agent", "The token was made for another agent"))
    }

    /// Checks that the call in the URL is the token's, or was started with it.
    fn for_call(&self, api: &ApiState, call: &str) -> Result<CallId, ApiError> {
        let call = CallId::parse(call).ok_or_else(|| ApiError::not_found("Call"))?;
        if api.web.counts.owns(self.0.call, call) {
            return Ok(call);
        }
        Err(ApiError::forbidden("wrong_call", "The token was made for another call"))
    }
}

/// Pages of other sites: which may come here, and what they may read.
pub(super) async fn cors(State(api): State<ApiState>, request: Request, next: Next) -> Response {
    if !request.uri().path().contains("/whip/") {
        return next.run(request).await;
    }
    let origin = request.headers().get(header::ORIGIN).cloned();
    if let Some(origin) = &origin
        && !may_call(&api, origin, request.headers())
    {
        return ApiError::forbidden("bad_origin", "Pages of this site may not call here (webrtc.allowed_origins)")
            .into_response();
    }
    let preflight = request.method() == Method::OPTIONS;
    let mut response = if preflight { StatusCode::NO_CONTENT.into_response() } else { next.run(request).await };
    let headers = response.headers_mut();
    let set = |headers: &mut HeaderMap, name: HeaderName, value: &'static str| {
        headers.insert(name, HeaderValue::from_static(value));
    };
    if let Some(origin) = origin {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        set(headers, header::VARY, "Origin");
        set(headers, header::ACCESS_CONTROL_EXPOSE_HEADERS, "Location, Link, ETag");
    }
    if preflight {
        set(headers, header::ACCESS_CONTROL_ALLOW_METHODS, "POST, PATCH, DELETE");
        set(headers, header::ACCESS_CONTROL_ALLOW_HEADERS, "Authorization, Content-Type, If-Match");
        set(headers, header::ACCESS_CONTROL_MAX_AGE, "600");
        set(headers, HeaderName::from_static("accept-post"), SDP);
    }
    response
}

fn may_call(api: &ApiState, origin: &HeaderValue, headers: &HeaderMap) -> bool {
    let Ok(origin) = origin.to_str() else { return false };
    api.http.is_own_origin(origin, headers)
        || api.web.allowed_origins.iter().any(|allowed| allowed == "*" || allowed == origin)
}

async fn body(request: Request, kind: &str) -> Result<Vec<u8>, ApiError> {
    let given = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    if !given.split(';').next().unwrap_or("").trim().eq_ignore_ascii_case(kind) {
        let message = format!("The body must be sent as {kind}");
        return Err(ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", message));
    }
    let bytes = read_body(request.into_body(), OFFER_BYTES_MAX).await?;
    Ok(bytes.to_vec())
}

/// Takes a browser's offer: 201 with the answer; `Location` is the resource to PATCH and DELETE.
#[utoipa::path(post, path = "/whip/{agent_id}", tag = "web-calls", params(("agent_id" = String, Path, description = "The agent of the call.", format = "uuid")),
    request_body(content = String, content_type = "application/sdp"),
    responses((status = 201, content_type = "application/sdp", body = String, headers(("Location" = String), ("ETag" = String)))))]
pub(super) async fn post_offer(
    State(api): State<ApiState>, visitor: ClientIp, guest: WebCallAuth, Path(agent): Path<String>,
    OriginalUri(uri): OriginalUri, request: Request,
) -> Result<Response, ApiError> {
    visitor.count(&api)?;
    guest.for_agent(&agent)?;
    if !guest.0.may_begin(unix_s()) {
        return Err(ApiError::new(StatusCode::UNAUTHORIZED, "token_expired", "The call token has expired"));
    }
    let headers = request.headers().clone();
    let offer = body(request, SDP).await?;
    let offer = offer::validate(&offer)
        .map_err(|why| ApiError::new(StatusCode::BAD_REQUEST, "invalid_offer", format!("{why}")))?;
    let scope = guest.0.scope;
    let agent = api.store.agent(scope, guest.0.agent).await?.ok_or_else(|| ApiError::not_found("Agent"))?;
    let answer = api.calls.connect_web(scope, guest.0.call, agent, offer, visitor.address()).await.map_err(refusal)?;
    let location = format!("{}/{}", uri.path().trim_end_matches('/'), answer.call);
    let base = api.http.base_url(&headers).replacen("http", "ws", 1);
    let mut response = (StatusCode::CREATED, [(header::CONTENT_TYPE, SDP)], answer.sdp).into_response();
    let out = response.headers_mut();
    let mut put = |name: HeaderName, value: String| {
        if let Ok(value) = HeaderValue::from_str(&value) {
            out.append(name, value);
        }
    };
    put(header::LOCATION, location);
    put(header::ETAG, format!("\"{}\"", answer.ice_session));
    put(header::LINK, format!("<{base}/ws/calls/{}>; rel=\"{LIVE}\"", answer.call));
    for server in &api.web.ice_servers {
        let login = match (&server.username, &server.credential) {
            (Some(username), Some(credential)) => {
                let credential = credential.expose();
                format!("; username=\"{username}\"; credential=\"{credential}\"; credential-type=\"password\"")
            }
            _ => String::new(),
        };
        put(header::LINK, format!("<{}>; rel=\"ice-server\"{login}", server.url));
    }
    Ok(response)
}

/// Takes trickled candidates (204), or restarts ICE with `If-Match: *` (200).
#[utoipa::path(patch, path = "/whip/{agent_id}/{call_id}", tag = "web-calls",
    params(("agent_id" = String, Path, description = "The agent of the call.", format = "uuid"), ("call_id" = String, Path, description = "The call.", format = "uuid"), ("If-Match" = String, Header, description = "The ETag of the ICE session; `*` to begin anew.")),
    request_body(content = String, content_type = "application/trickle-ice-sdpfrag"),
    responses((status = 204), (status = 200, content_type = "application/trickle-ice-sdpfrag", body = String)))]
pub(super) async fn patch(
    State(api): State<ApiState>, visitor: ClientIp, guest: WebCallAuth, Path((agent, call)): Path<(String, String)>,
    request: Request,
) -> Result<Response, ApiError> {
    visitor.count(&api)?;
    guest.for_agent(&agent)?;
    let call = guest.for_call(&api, &call)?;
    let session = api.web.counts.ice_session(call).ok_or_else(|| ApiError::not_found("Call"))?;
    let wanted = request.headers().get(header::IF_MATCH).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let text = body(request, FRAGMENT).await?;
    let fragment = ice_fragment::parse(&text)
        .map_err(|why| ApiError::new(StatusCode::BAD_REQUEST, "invalid_fragment", why.to_string()))?;
    let scope = guest.0.scope;
    match wanted.as_deref() {
        None => Err(ApiError::new(
            StatusCode::PRECONDITION_REQUIRED,
            "if_match_required",
            "If-Match must name the ICE session (RFC 9725 section 4.3.1)",
        )),
        Some("*") => {
            let (Some(ufrag), Some(password)) = (fragment.ufrag, fragment.password) else {
                let message = "Beginning ICE anew needs a=ice-ufrag and a=ice-pwd";
                return Err(ApiError::new(StatusCode::BAD_REQUEST, "invalid_fragment", message));
            };
            let ours = api.calls.restart_web(scope, call, ufrag, password).await;
            let (ufrag, password) = ours.ok_or_else(|| ApiError::not_found("Call"))?;
            let text = ice_fragment::print(&ufrag, &password);
            let etag = format!("\"{ufrag}\"");
            Ok(([(header::CONTENT_TYPE, FRAGMENT.to_owned()), (header::ETAG, etag)], text).into_response())
        }
        Some(etag) if etag.trim_matches('"') == session => {
            api.calls.add_web_candidates(scope, call, fragment.candidates);
            Ok(StatusCode::NO_CONTENT.into_response())
        }
        Some(_) => Err(ApiError::new(
            StatusCode::PRECONDITION_FAILED,
            "ice_session_changed",
            "If-Match names another ICE session than the present one",
        )),
    }
}

/// Hangs up.
#[utoipa::path(delete, path = "/whip/{agent_id}/{call_id}", tag = "web-calls",
    params(("agent_id" = String, Path, description = "The agent of the call.", format = "uuid"), ("call_id" = String, Path, description = "The call.", format = "uuid")),
    responses((status = 200)))]
pub(super) async fn end(
    State(api): State<ApiState>, visitor: ClientIp, guest: WebCallAuth, Path((agent, call)): Path<(String, String)>,
) -> Result<Response, ApiError> {
    visitor.count(&api)?;
    guest.for_agent(&agent)?;
    let call = guest.for_call(&api, &call)?;
    let gone = || ApiError::not_found("Call");
    api.web.counts.ice_session(call).ok_or_else(gone)?;
    let end = CallCommand::End(EndReason::CustomerHungUp);
    if !api.live_calls.registry.command(guest.0.scope, call, end) {
        return Err(gone());
    }
    api.web.counts.forget(call);
    Ok((StatusCode::OK, Body::empty()).into_response())
}
