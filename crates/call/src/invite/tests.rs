//! Caller id, dialled numbers, denied destinations and hops of INVITEs.

use super::*;
use crate::domain::ids::OrganizationId;
use crate::domain::time::UnixMs;
use serde_json::json;
use trunkline_signaling::sip::user_agent::Transport;
use trunkline_signaling::sip::user_agent::{CallId, TrunkCandidates};

const LOCAL: LocalHost = LocalHost { addr: IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1)), port: 5_060 };

fn trunk(settings: Value) -> Trunk {
    let mut all = json!({"name": "Carrier", "host": "a.example"});
    all.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
    Trunk::new(OrganizationId::new(), serde_json::from_value(all).unwrap(), UnixMs(0))
}

fn over(trunk: &Trunk, from_number: Option<&str>, to: &str) -> Result<InviteRequest, InviteError> {
    let destination = Destination::parse(to).unwrap();
    let params =
        InviteParams { from_number, destination: &destination, sdp: b"v=0".to_vec(), headers: Headers::default() };
    invite(trunk, &trunk.fields.all_targets(), LOCAL, params)
}

fn sent(settings: Value) -> InviteRequest {
    over(&trunk(settings), Some("+31201234567"), "+4930123456").unwrap()
}

fn header(invite: &InviteRequest, name: &str) -> Option<String> {
    invite.headers.get(&HeaderName::parse(name)).map(str::to_owned)
}

#[test]
fn a_number_is_dialled_as_the_trunk_writes_it_at_its_targets_in_order() {
    let both =
        trunk(json!({"port": 5070, "dial_string": "00{number}", "targets": [{"host": "b.example", "priority": 1}]}));
    let invite = over(&both, Some("+31201234567"), "+4930123456").unwrap();
    assert_eq!(invite.request_uri.to_string(), "sip:004930123456@a.example:5070");
    assert_eq!(invite.to.uri, invite.request_uri);
    assert_eq!(invite.hops.iter().map(|hop| hop.host.as_str()).collect::<Vec<_>>(), ["a.example", "b.example"]);
    assert_eq!(invite.trunk.as_deref(), Some(both.id.to_string().as_str()));
    assert_eq!(invite.sdp.as_deref(), Some(&b"v=0"[..]));
    assert_eq!(sent(json!({"delayed_offer": true})).sdp, None);
}

#[test]
fn denied_numbers_are_not_called_as_numbers_or_as_uris() {
    let rules = trunk(json!({"allowed_destinations": ["+31"], "denied_destinations": ["+31900"]}));
    assert!(over(&rules, None, "+31201234567").is_ok());
    assert_eq!(over(&rules, None, "+4930123456").unwrap_err(), InviteError::NumberDenied);
    assert_eq!(over(&rules, None, "+31900123").unwrap_err(), InviteError::NumberDenied);
    assert_eq!(over(&rules, None, "sip:+4930123456@b.example").unwrap_err(), InviteError::UriDenied);
    assert!(over(&rules, None, "sip:alice@b.example").is_ok());
    let only_receives = trunk(json!({"host": null}));
    assert_eq!(over(&only_receives, None, "+31201234567").unwrap_err(), InviteError::NoTarget);
}

#[test]
fn a_uri_names_its_own_host_and_a_proxy_takes_everything() {
    let plain = trunk(json!({}));
    let invite = over(&plain, None, "sip:alice@b.example").unwrap();
    assert_eq!((invite.request_uri.to_string(), invite.hops.len()), ("sip:alice@b.example".to_owned(), 0));
    let proxied = trunk(json!({"outbound_proxy": "sbc.example", "transport": "tls"}));
    for to in ["sip:alice@b.example", "+31201234567"] {
        let invite = over(&proxied, None, to).unwrap();
        assert_eq!(invite.hops.iter().map(|hop| hop.host.as_str()).collect::<Vec<_>>(), ["sbc.example"], "{to}");
        assert_eq!(header(&invite, "Route").as_deref(), Some("<sip:sbc.example;transport=tls;lr>"), "{to}");
        assert_eq!(invite.transport, Transport::Tls);
    }
}

#[test]
fn from_is_the_account_the_number_or_nobody() {
    let from = |settings: Value, number: Option<&str>| {
        over(&trunk(settings), number, "+4930123456").unwrap().from.uri.to_string()
    };
    assert_eq!(from(json!({}), Some("+31201234567")), "sip:+31201234567@192.0.2.1:5060");
    assert_eq!(from(json!({"from_domain": "pbx.example"}), Some("+31201234567")), "sip:+31201234567@pbx.example");
    assert_eq!(from(json!({"from_user": "account"}), Some("+31201234567")), "sip:account@192.0.2.1:5060");
    assert_eq!(from(json!({"username": "user", "password": "p"}), None), "sip:user@192.0.2.1:5060");
    assert_eq!(from(json!({}), None), "sip:anonymous@192.0.2.1:5060");
}

#[test]
fn the_number_beside_from_goes_into_the_header_that_the_carrier_wants() {
    let own = "<sip:+31201234567@192.0.2.1:5060>";
    let settings = |name: &str| json!({"identity_header": name, "from_user": "account"});
    for (name, wanted) in
        [("p_asserted_identity", "P-Asserted-Identity"), ("p_preferred_identity", "P-Preferred-Identity")]
    {
        assert_eq!(header(&sent(settings(name)), wanted).as_deref(), Some(own), "{name}");
    }
    let party = header(&sent(settings("remote_party_id")), "Remote-Party-ID");
    assert_eq!(party, Some(format!("{own};party=calling;screen=no;privacy=off")));
    assert_eq!(header(&sent(json!({})), "P-Asserted-Identity"), None);
    let diverted = header(&sent(json!({"diversion": "+31209999999"})), "Diversion");
    assert_eq!(diverted.as_deref(), Some("<sip:+31209999999@192.0.2.1:5060>;reason=unconditional"));
}

#[test]
fn a_hidden_number_is_known_to_the_carrier_only() {
    let hidden = sent(json!({"hide_number": true}));
    assert_eq!(hidden.from.uri.to_string(), "sip:anonymous@anonymous.invalid");
    assert_eq!(hidden.from.display.as_deref(), Some("Anonymous"));
    assert_eq!(header(&hidden, "Privacy").as_deref(), Some("id"));
    assert_eq!(header(&hidden, "P-Asserted-Identity").as_deref(), Some("<sip:+31201234567@192.0.2.1:5060>"));
    let party = header(&sent(json!({"hide_number": true, "identity_header": "remote_party_id"})), "Remote-Party-ID");
    assert!(party.unwrap().ends_with("privacy=full"));
}

#[test]
fn headers_of_the_task_come_before_those_of_the_trunk() {
    let with = trunk(json!({"headers": {"X-Account": "7"}}));
    let destination = Destination::parse("+4930123456").unwrap();
    let headers = custom_headers(&BTreeMap::from([("X-Campaign".to_owned(), "spring".to_owned())]));
    let params = InviteParams { from_number: None, destination: &destination, sdp: Vec::new(), headers };
    let invite = invite(&with, &with.fields.all_targets(), LOCAL, params).unwrap();
    let names: Vec<_> = invite.headers.iter().map(|header| header.name.as_str().to_owned()).collect();
    assert_eq!(names, ["X-Campaign", "X-Account"]);
    assert_eq!(invite.sdp, None, "an empty offer is none");
}

#[test]
fn a_probe_goes_to_its_target_or_through_the_proxy() {
    let plain = trunk(json!({"targets": [{"host": "b.example", "port": 5070}]}));
    let targets = plain.fields.all_targets();
    let asked = probe(&plain, &targets, LOCAL, &targets[1]).unwrap();
    assert_eq!(asked.request_uri.to_string(), "sip:b.example:5070");
    assert_eq!(asked.hops, [target_address(&targets[1])]);
    let proxied = trunk(json!({"outbound_proxy": "sbc.example"}));
    let targets = proxied.fields.all_targets();
    assert_eq!(probe(&proxied, &targets, LOCAL, &targets[0]).unwrap().hops[0].host, "sbc.example");
}

fn incoming(from: &str, asserted: &[&str]) -> IncomingInvite {
    let mut headers = Headers::default();
    for value in asserted {
        headers.push(HeaderName::PAssertedIdentity, *value);
    }
    IncomingInvite {
        call: CallId(1),
        candidates: TrunkCandidates::default(),
        request_uri: Uri::parse("sip:%2B31201234567@192.0.2.1").unwrap(),
        from: NameAddr::parse(from).unwrap(),
        to: NameAddr::parse("<sip:main@192.0.2.1>").unwrap(),
        sip_call_id: "id".into(),
        sdp: None,
        source: "192.0.2.9:5060".parse().unwrap(),
        transport: Transport::Udp,
        headers,
    }
}

#[test]
fn only_a_trusted_trunk_may_assert_who_calls() {
    let (trusted, plain) =
        (trunk(json!({"trust_identity": true, "country_code": "31", "national_prefix": "0"})), trunk(json!({})));
    let call = incoming("<sip:0201111111@carrier.example>", &["<tel:bad", "<sip:0202222222@carrier.example>"]);
    assert_eq!(calling_party(&trusted.fields, &call), "+31202222222");
    assert_eq!(calling_party(&plain.fields, &call), "0201111111");
    assert_eq!(calling_party(&trusted.fields, &incoming("<sip:carrier.example>", &[])), "anonymous");
    let called = called_party(&call);
    assert_eq!((called.request.as_deref(), called.to.as_deref()), (Some("+31201234567"), Some("main")));
}

#[test]
fn what_a_call_shows_of_its_headers_has_bounds() {
    let mut headers = Headers::default();
    headers.push(HeaderName::Identity, "secret");
    for index in 0..40 {
        headers.push(HeaderName::Other(format!("X-{index}").as_str().into()), "é".repeat(600));
    }
    let facts = header_facts(&headers);
    let shown = facts["headers"].as_object().unwrap();
    assert_eq!((shown.len(), shown.get("Identity")), (HEADERS_SHOWN_MAX, None));
    assert_eq!(shown["X-0"].as_str().unwrap().chars().count(), HEADER_VALUE_MAX);
    assert!(header_facts(&Headers::default()).is_empty());
}

/// RFC 3892, RFC 7433: who transfers, and what the destination is told.
#[test]
fn the_call_of_a_transfer_says_who_transfers() {
    for (hides, wanted) in [(false, true), (true, false)] {
        let settings = json!({"host": "192.0.2.9", "hide_number": hides});
        let invite = sent(settings.clone());
        let fields = trunk(settings).fields;
        let from = invite.from.uri.to_string();
        let told = with_referrer(invite, &fields);
        let referrer = told.headers.get(&HeaderName::ReferredBy);
        assert_eq!(referrer.is_some(), wanted);
        assert!(referrer.is_none_or(|value| value == format!("<{from}>")));
    }
}
