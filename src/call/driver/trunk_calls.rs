//! Calls over trunks: builds INVITEs, and reads who calls whom from those that arrive.

use super::trunk_rules::{bound_credentials, proxy_hop, sip_transport, target_address};
use super::trunk_service::TrunkService;
use crate::call::trunk_selection::CalledParty;
use crate::domain::phone_number::Destination;
use crate::domain::trunk::{IdentityHeader, Trunk, TrunkFields};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use trunkline_signaling::sip::message::uri::escape_user;
use trunkline_signaling::sip::message::{HeaderName, Headers, NameAddr, Uri};
use trunkline_signaling::sip::user_agent::{IncomingInvite, InviteRequest};

/// How many headers of a caller are stored, and how much of each.
const HEADERS_SHOWN_MAX: usize = 32;
const HEADER_VALUE_MAX: usize = 512;

/// Parameters of an INVITE other than its trunk.
#[derive(Clone, Debug)]
pub(super) struct InviteParams<'a> {
    pub from_number: Option<&'a str>,
    pub destination: &'a Destination,
    pub sdp: Vec<u8>,
    pub headers: Headers,
}

/// The user part may be an account name with arbitrary characters.
fn name(user: &str, domain: &str, port: Option<u16>) -> NameAddr {
    NameAddr { display: None, uri: Uri::sip(Some(&escape_user(user)), domain, port), params: String::new() }
}

/// From and the headers that carry our number beside it (RFC 3323, RFC 3325, RFC 5806).
fn add_identity_headers(
    trunks: &TrunkService, fields: &TrunkFields, from_number: Option<&str>, headers: &mut Headers,
) -> NameAddr {
    let domain = fields.from_domain.clone().unwrap_or_else(|| trunks.addr.to_string());
    let port = fields.from_domain.is_none().then(|| trunks.sip.local_udp().port());
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

/// An INVITE over a trunk; none when the trunk only receives or may not call there.
pub(super) fn invite(trunks: &TrunkService, trunk: &Trunk, params: InviteParams<'_>) -> Option<InviteRequest> {
    let fields = &trunk.fields;
    let targets = trunks.states.in_order(trunk);
    let first = targets.first()?;
    let (request_uri, is_uri) = match params.destination {
        Destination::Number(number) if !fields.may_call(number) => {
            tracing::warn!(trunk = %trunk.id, "destination denied by the trunk's rules");
            return None;
        }
        Destination::Number(number) => (Uri::sip(Some(&fields.dial(number)), &first.host, first.port), false),
        Destination::SipUri(uri) => {
            let uri = Uri::parse(uri).ok()?;
            if uri.user_plain().is_some_and(|user| !fields.may_call_user(&user)) {
                tracing::warn!(trunk = %trunk.id, "the number in this URI is denied by the trunk's rules");
                return None;
            }
            (uri, true)
        }
    };
    let mut headers = params.headers;
    for (name, value) in &fields.headers {
        headers.push(HeaderName::parse(name), value.as_str());
    }
    let from = add_identity_headers(trunks, fields, params.from_number, &mut headers);
    let hops = match proxy_hop(fields) {
        Some((next_hop, route)) => {
            headers.push(HeaderName::Route, route);
            vec![next_hop]
        }
        // A URI names its own host; numbers go to the trunk.
        None if is_uri => Vec::new(),
        None => targets.iter().map(target_address).collect(),
    };
    Some(InviteRequest {
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
    })
}

/// The called party of an INVITE.
pub(super) fn called_party(incoming: &IncomingInvite) -> CalledParty {
    CalledParty { request: incoming.request_uri.user_plain(), to: incoming.to.uri.user_plain() }
}

/// The calling party: the asserted identity if the trunk is trusted, else From.
pub(super) fn calling_party(trunk: &Trunk, incoming: &IncomingInvite) -> String {
    let asserted = incoming
        .headers
        .list(&HeaderName::PAssertedIdentity)
        .filter(|_| trunk.fields.trust_identity)
        .find_map(|value| NameAddr::parse(value).ok()?.uri.user_plain());
    let number = asserted.or(incoming.from.uri.user_plain());
    number.map_or_else(|| "anonymous".to_owned(), |number| trunk.fields.e164(&number))
}

/// What a call's headers say, as the call shows it.
pub(super) fn header_facts(headers: &Headers) -> Map<String, Value> {
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

/// Headers that a task or a tool wants on its call.
pub(super) fn custom_headers(headers: &BTreeMap<String, String>) -> Headers {
    let mut all = Headers::default();
    for (name, value) in headers {
        all.push(HeaderName::parse(name), value.as_str());
    }
    all
}
