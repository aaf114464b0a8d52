//! Unauthenticated clients: known and rate limited by address; and which proxies are believed about them.

use super::error::ApiError;
use super::forwarded::FORWARDED_PROTO;
use super::http_listener::RemoteAddr;
use super::state::ApiState;
use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, header};
use axum::middleware::Next;
use axum::response::Response;
use std::net::{IpAddr, Ipv4Addr};

/// The address a request comes from.
#[derive(Clone, Copy, Debug)]
pub(super) struct ClientIp(IpAddr);

impl FromRequestParts<ApiState> for ClientIp {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, api: &ApiState) -> Result<Self, ApiError> {
        // Only the last entry was written by the proxy; the others could be forged.
        let forwarded =
            parts.headers.get_all("x-forwarded-for").iter().next_back().and_then(|value| value.to_str().ok());
        let named = forwarded.and_then(|list| list.rsplit(',').next()).and_then(|last| last.trim().parse().ok());
        let remote = parts.extensions.get::<RemoteAddr>().map(|remote| remote.0.ip());
        let is_believed = remote.is_some_and(|remote| api.http.believes(remote));
        let address = named.filter(|_| is_believed).or(remote).unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        Ok(Self(address))
    }
}

impl ClientIp {
    pub(super) fn address(self) -> IpAddr {
        // A household or company has one IPv6 /64 and can use any address in it.
        match self.0 {
            IpAddr::V6(address) => match address.to_ipv4_mapped() {
                Some(address) => IpAddr::V4(address),
                None => {
                    let [a, b, c, d, ..] = address.segments();
                    IpAddr::from([a, b, c, d, 0, 0, 0, 0])
                }
            },
            address => address,
        }
    }

    /// One more request; 429 when there were too many.
    pub(super) fn count(self, api: &ApiState) -> Result<(), ApiError> {
        api.limits.unauthenticated.take(self.address()).map_err(|wait_s| {
            let mut error = ApiError::too_many_requests();
            error.details["retry_after_seconds"] = wait_s.into();
            error
        })
    }
}

/// Empties what anybody else than a proxy that is believed says about the connection. Handlers may then read these
/// headers without knowing who sent them. They stay, because a request that has one did not come directly.
pub(super) async fn drop_unbelieved(State(api): State<ApiState>, mut request: Request, next: Next) -> Response {
    let remote = request.extensions().get::<RemoteAddr>().map(|remote| remote.0.ip());
    if !remote.is_some_and(|remote| api.http.believes(remote)) {
        let headers = request.headers_mut();
        for name in [FORWARDED_PROTO, header::FORWARDED] {
            if headers.contains_key(&name) {
                headers.insert(name, HeaderValue::from_static(""));
            }
        }
    }
    next.run(request).await
}
