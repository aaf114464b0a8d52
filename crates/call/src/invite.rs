//! What INVITE goes out over a trunk: caller id, identity headers, dialled number, next hops, credentials. And who calls
//! whom by an INVITE that came in.
//!
//! Pure: the order of the targets and our own address are arguments.

use super::trunk_routes::{bound_credentials, proxy_hop, sip_transport, target_address};
use super::trunk_selection::CalledParty;
use crate::domain::phone_number::Destination;
use crate::domain::trunk::{IdentityHeader, Trunk, TrunkFields, TrunkTarget};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::net::IpAddr;
use trunkline_signaling::sip::message::uri::escape_user;
use trunkline_signaling::sip::message::{HeaderName, Headers, NameAddr, Uri};
use trunkline_signaling::sip::user_agent::{IncomingInvite, InviteRequest};

/// How many headers of a caller are stored, and how much of each.
const HEADERS_SHOWN_MAX: usize = 32;
const HEADER_VALUE_MAX: usize = 512;

/// Parameters of an INVITE other than its trunk.
#[derive(Clone, Debug)]
pub struct InviteParams<'a> {
    /// The number shown to the callee. `None`: the trunk's account, or nobody.
    pub from_number: Option<&'a str>,
    /// Whom to call.
    pub destination: &'a Destination,
    /// Our offer; empty for none.
    pub sdp: Vec<u8>,
    /// Headers of the task or the transfer; those of the trunk follow.
    pub headers: Headers,
}

/// How From names this server where the trunk has no `from_domain`.
#[derive(Clone, Copy, Debug)]
pub struct LocalHost {
    /// The advertised address.
    pub addr: IpAddr,
    /// Our SIP port for UDP.
    pub port: u16,
}

/// Why no INVITE goes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InviteError {
    /// The trunk only receives calls.
    #[error("the trunk has no target")]
    NoTarget,
    /// The trunk's `allowed_destinations` or `denied_destinations` exclude the number.
    #[error("destination denied by the trunk's rules")]
    NumberDenied,
    /// The same for a number that a URI names.
    #[error("the number in this URI is denied by the trunk's rules")]
    UriDenied,
    /// The URI cannot be read.
    #[error("the destination is no SIP URI")]
    InvalidUri,
}

/// The user part may be an account name with arbitrary characters.
fn name(user: &str, domain: &str, port: Option<u16>) -> NameAddr {
    NameAddr { display: None, uri: Uri::sip(Some(&escape_user(user)), domain, port), params: String::new() }
}

/// From and the headers that carry our number beside it (RFC 3323, RFC 3325, RFC 5806).
fn add_identity_headers(
    local: LocalHost, fields: &TrunkFields, from_number: Option<&str>, headers: &mut Headers,
) -> NameAddr {
    let domain = fields.from_domain.clone().unwrap_or_else(|| local.addr.to_string());
    let port = fields.from_domain.is_none().then_some(local.port);
    let account = fields.from_user.as_deref().or(from_number).or(fields.username.as_deref());
    let number = name(from_number.or(account).unwrap_or("anonymous"), &domain, port);
    let header = match fields.identity_header {
        IdentityHeader::None if fields.hide_number => Some(HeaderName::PAssertedIdentity),
        IdentityHeader::None => None,
        IdentityHeader::PAssertedIdentity => Some(HeaderName::PAssertedIdentity),
        IdentityHeader::PPreferredIdentity => Some(HeaderName::Other("P-Preferred-Identity".into())),
        IdentityHeader::RemotePartyId => Some(HeaderName::Other("Remote-Party-ID".into())),
    };
    if let Some(header) = header {
        let is_party = fields.identity_header == IdentityHeader::RemotePartyId;
        let privacy = if fields.hide_number { "full" } else { "off" };
        let params = if is_party { format!(";party=calling;screen=no;privacy={privacy}") } else { String::new() };
        headers.push(header, format!("<{}>{params}", number.uri));
    }
    if let Some(diversion) = &fields.diversion {
        headers.push(HeaderName::Diversion, format!("<{}>;reason=unconditional", name(diversion, &domain, port).uri));
    }
    if fields.hide_number {
        headers.push(HeaderName::Privacy, "id");
        return NameAddr { display: Some("Anonymous".to_owned()), ..name("anonymous", "anonymous.invalid", None) };
    }
    name(account.unwrap_or("anonymous"), &domain, port)
}

/// An INVITE over a trunk whose targets are tried in the order of `targets`.
pub fn invite(
    trunk: &Trunk, targets: &[TrunkTarget], local: LocalHost, params: InviteParams<'_>,
) -> Result<InviteRequest, InviteError> {
    let fields = &trunk.fields;
    let first = targets.first().ok_or(InviteError::NoTarget)?;
    let (request_uri, is_uri) = match params.destination {
        Destination::Number(number) if !fields.may_call(number) => return Err(InviteError::NumberDenied),
        Destination::Number(number) => (Uri::sip(Some(&fields.dial(number)), &first.host, first.port), false),
        Destination::SipUri(uri) => {
            let uri = Uri::parse(uri).map_err(|_| InviteError::InvalidUri)?;
            if uri.user_plain().is_some_and(|user| !fields.may_call_user(&user)) {
                return Err(InviteError::UriDenied);
            }
            (uri, true)
        }
    };
    let mut headers = params.headers;
    for (name, value) in &fields.headers {
        headers.push(HeaderName::parse(name), value.as_str());
    }
    let from = add_identity_headers(local, fields, params.from_number, &mut headers);
    let hops = match proxy_hop(fields) {
        Some((next_hop, route)) => {
            headers.push(HeaderName::Route, route);
            vec![next_hop]
        }
        // A URI names its own host; numbers go to the trunk.
        None if is_uri => Vec::new(),
        None => targets.iter().map(target_address).collect(),
    };
    Ok(InviteRequest {
        to: NameAddr { display: None, uri: request_uri.clone(), params: String::new() },
        request_uri,
        from,
        hops,
        transport: sip_transport(fields.transport),
        credentials: bound_credentials(fields),
        sdp: (!fields.delayed_offer && !params.sdp.is_empty()).then_some(params.sdp),
        headers,
        trunk: Some(trunk.id.to_string().into()),
        accept_refer: fields.accept_refer,
        extensions: Default::default(),
    })
}

/// The OPTIONS probe of one target: it takes the way that calls take.
pub fn probe(
    trunk: &Trunk, targets: &[TrunkTarget], local: LocalHost, probed: &TrunkTarget,
) -> Result<InviteRequest, InviteError> {
    let destination = Destination::SipUri(Uri::sip(None, &probed.host, probed.port).to_string());
    let params =
        InviteParams { from_number: None, destination: &destination, sdp: Vec::new(), headers: Headers::default() };
    let mut probe = invite(trunk, targets, local, params)?;
    if probe.hops.is_empty() {
        probe.hops = vec![target_address(probed)];
    }
    Ok(probe)
}

/// Values of P-Called-Party-ID and Diversion that are read.
const CALLED_HEADERS_MAX: usize = 8;

/// The called party of an INVITE.
pub fn called_party(incoming: &IncomingInvite) -> CalledParty {
    let others = [HeaderName::Other("P-Called-Party-ID".into()), HeaderName::Diversion];
    let users = others.iter().flat_map(|name| incoming.headers.list(name));
    let users = users.filter_map(|value| NameAddr::parse(value).ok()?.uri.user_plain());
    CalledParty {
        request: incoming.request_uri.user_plain(),
        to: incoming.to.uri.user_plain(),
        others: users.take(CALLED_HEADERS_MAX).collect(),
    }
}

/// The calling party: the asserted identity if the trunk is trusted, else From; `anonymous` without a user part.
pub fn calling_party(fields: &TrunkFields, incoming: &IncomingInvite) -> String {
    let asserted = incoming
        .headers
        .list(&HeaderName::PAssertedIdentity)
        .filter(|_| fields.trust_identity)
        .find_map(|value| NameAddr::parse(value).ok()?.uri.user_plain());
    let number = asserted.or(incoming.from.uri.user_plain());
    number.map_or_else(|| "anonymous".to_owned(), |number| fields.e164(&number))
}

/// What a call's headers say, as the call shows it.
pub fn header_facts(headers: &Headers) -> Map<String, Value> {
    let mut custom = Map::new();
    for header in headers.iter() {
        // The Identity header is shown by its content, not verbatim.
        if header.name != HeaderName::Identity && custom.len() < HEADERS_SHOWN_MAX {
            let value = header.value.chars().take(HEADER_VALUE_MAX).collect::<String>();
            custom.insert(header.name.as_str().to_owned(), Value::String(value));
        }
    }
    let mut facts = Map::new();
    if !custom.is_empty() {
        facts.insert("headers".to_owned(), Value::Object(custom));
    }
    facts
}

/// The INVITE of a transfer says who transfers (RFC 3892), as we show ourselves to the callee.
pub fn with_referrer(mut invite: InviteRequest, fields: &TrunkFields) -> InviteRequest {
    if !fields.hide_number {
        invite.headers.push(HeaderName::ReferredBy, format!("<{}>", invite.from.uri));
    }
    invite
}

/// Headers that a task or a tool wants on its call.
pub fn custom_headers(headers: &BTreeMap<String, String>) -> Headers {
    let mut all = Headers::default();
    for (name, value) in headers {
        all.push(HeaderName::parse(name), value.as_str());
    }
    all
}

#[cfg(test)]
mod tests;
