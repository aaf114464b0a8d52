//! Where requests go: failover between addresses and hops, the switch to TCP, registrations, and admission.
#![expect(clippy::disallowed_methods, reason = "one real instant is the origin of virtual time")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::*;
use std::sync::Arc;
use std::time::Duration;
use trunkline_signaling::sip::digest::DigestCredentials;
use trunkline_signaling::sip::end_cause::EndCause;
use trunkline_signaling::sip::message::Uri;
use trunkline_signaling::sip::user_agent::{
    NextHop, RegistrationConfig, RegistrationEvent, SipEvent, Transport, TransportAddress,
};

fn udp(addr: &str) -> TransportAddress {
    TransportAddress { transport: Transport::Udp, addr: addr.parse().unwrap() }
}

fn network() -> TestNetwork {
    TestNetwork::new(1, PERFECT, trunk("127.0.0.1", None))
}

fn next_hop(host: &str) -> NextHop {
    NextHop { host: host.to_owned(), port: None, transport: None }
}

fn header(text: &str, name: &str) -> String {
    text.lines().find_map(|l| l.strip_prefix(&format!("{name}: "))).unwrap_or("").to_owned()
}

#[test]
fn unreachable_address_fails_over_and_is_avoided() {
    let mut network = network();
    network.names.insert("carrier".into(), vec![udp("127.0.0.7:5060"), udp(CALLEE)]);
    let call = network.dial_with(|invite| invite.hops = vec![next_hop("carrier")]);
    network.pass(Duration::from_millis(3_900));
    assert_eq!((network.lost.len(), network.incoming()), (4, None), "500 ms, 1 s, 2 s apart");
    network.pass_ms(200);
    assert!(network.incoming().is_some(), "the next after four seconds");
    assert_eq!(network.lost.len(), 4);
    network.sides[0].hang_up(network.now, call).unwrap();
    network.pass_ms(100);
    network.events[1].clear();
    network.dial_with(|invite| invite.hops = vec![next_hop("carrier")]);
    network.pass_ms(50);
    assert!(network.incoming().is_some(), "the dead one is not asked again for a minute");
    assert_eq!(network.lost.len(), 4);
}

#[test]
fn an_answer_of_an_address_that_was_given_up_is_cancelled_or_hung_up() {
    for (status, wanted) in [("180 Ringing", "CANCEL"), ("200 OK", "ACK")] {
        let mut network = network();
        network.names.insert("carrier".into(), vec![udp("127.0.0.7:5060"), udp(CALLEE)]);
        network.dial_with(|invite| invite.hops = vec![next_hop("carrier")]);
        network.pass(Duration::from_millis(4_200));
        let (_, invite) = network.lost.first().cloned().unwrap();
        network.lost.clear();
        let late = format!(
            "SIP/2.0 {status}\r\nVia: {}\r\nFrom: {}\r\nTo: {};tag=late\r\nCall-ID: {}\r\nCSeq: 1 INVITE\r\n\
             Contact: <sip:late@127.0.0.7>\r\nContent-Length: 0\r\n\r\n",
            header(&invite, "Via"),
            header(&invite, "From"),
            header(&invite, "To"),
            header(&invite, "Call-ID")
        );
        network.sides[0].handle_datagram(network.now, "127.0.0.7:5060".parse().unwrap(), late.as_bytes());
        network.carry();
        let words: Vec<&str> = network.lost.iter().map(|(_, text)| text.split(' ').next().unwrap()).collect();
        assert_eq!(words[0], wanted);
        assert_eq!(words.get(1).copied(), (wanted == "ACK").then_some("BYE"));
        assert!(network.incoming().is_some() && network.ends(0).is_empty(), "the call goes on elsewhere");
        assert_eq!(network.answered(), 0);
    }
}

#[test]
fn a_server_that_cannot_serve_is_left_for_the_next_hop() {
    let mut network = network();
    let callee = NextHop { host: "127.0.0.2".into(), port: None, transport: None };
    network.dial_with(|invite| invite.hops = vec![next_hop("127.0.0.7"), callee]);
    let (_, invite) = network.lost.pop().unwrap();
    let refused = format!(
        "SIP/2.0 503 Service Unavailable\r\nVia: {}\r\nFrom: {}\r\nTo: {};tag=x\r\nCall-ID: {}\r\nCSeq: 1 INVITE\r\n\
         Content-Length: 0\r\n\r\n",
        header(&invite, "Via"),
        header(&invite, "From"),
        header(&invite, "To"),
        header(&invite, "Call-ID")
    );
    network.sides[0].handle_datagram(network.now, "127.0.0.7:5060".parse().unwrap(), refused.as_bytes());
    network.pass_ms(50);
    assert!(network.lost.pop().unwrap().1.starts_with("ACK "));
    assert!(network.incoming().is_some() && network.ends(0).is_empty());
}

#[test]
fn unresolvable_name_fails_at_once() {
    let mut network = network();
    network.dial_with(|invite| invite.hops = vec![next_hop("nobody.example"), next_hop("nobody-else.example")]);
    network.pass_ms(10);
    network.carry();
    assert_eq!(network.ends(0), [EndCause::Unreachable("no such name".into())]);
    network.assert_nothing_is_held();
    // Hung up while the name is looked up.
    let call = network.dial_with(|invite| invite.hops = vec![next_hop("slow.example")]);
    let _ = network.sides[0].hang_up(network.now, call);
    network.assert_nothing_is_held();
}

#[test]
fn a_large_invite_goes_over_tcp_and_back_to_udp_when_that_is_refused() {
    let mut network = network();
    let large = [b"v=0\r\n".to_vec(), vec![b'a'; 1_300]].concat();
    network.dial_with(|invite| {
        invite.request_uri.host = "127.0.0.9".into();
        invite.sdp = Some(large.clone());
    });
    let (first, text) = network.lost.pop().unwrap();
    assert_eq!(first.transport, Transport::Tcp);
    assert!(header(&text, "Via").starts_with("SIP/2.0/TCP ") && header(&text, "Contact").contains("transport=tcp"));
    let branch = header(&text, "Via").split("branch=").nth(1).unwrap().split(';').next().unwrap().to_owned();
    network.sides[0].handle_unreachable(network.now, &format!("{branch} INVITE").into(), "connection refused");
    network.carry();
    let (second, text) = network.lost.pop().unwrap();
    assert_eq!((second.transport, header(&text, "CSeq").as_str()), (Transport::Udp, "2 INVITE"));
    assert!(header(&text, "Via").starts_with("SIP/2.0/UDP "));
    network.dial_with(|invite| {
        invite.request_uri.host = "127.0.0.9".into();
        invite.sdp = Some(large);
    });
    assert_eq!(network.lost.pop().unwrap().0.transport, Transport::Udp, "remembered");
}

fn rule() -> RegistrationConfig {
    RegistrationConfig {
        id: Arc::from("trunk"),
        aor: Uri::sip(Some("account"), "provider.example", None),
        registrar: Uri::sip(None, "provider.example", None),
        hops: vec![],
        transport: Transport::Udp,
        contact_user: "secret-contact".into(),
        credentials: Some(DigestCredentials { username: "account".into(), password: "pass".into() }),
        expires_s: 300,
    }
}

fn answer(network: &mut TestNetwork, status: &str, more: &str) -> String {
    let (_, request) = network.lost.pop().unwrap();
    let text = format!(
        "SIP/2.0 {status}\r\nVia: {}\r\nFrom: {}\r\nTo: {};tag=r\r\nCall-ID: {}\r\nCSeq: {}\r\n{more}Content-Length: 0\r\n\r\n",
        header(&request, "Via"),
        header(&request, "From"),
        header(&request, "To"),
        header(&request, "Call-ID"),
        header(&request, "CSeq")
    );
    network.sides[0].handle_datagram(network.now, "127.0.0.7:5060".parse().unwrap(), text.as_bytes());
    network.carry();
    request
}

fn event(network: &TestNetwork) -> Option<RegistrationEvent> {
    network.events[0].iter().rev().find_map(|event| match event {
        SipEvent::Registration { event, .. } => Some(event.clone()),
        _ => None,
    })
}

#[test]
fn a_registration_is_made_kept_and_given_back() {
    let mut network = network();
    network.names.insert("provider.example".into(), vec![udp("127.0.0.7:5060")]);
    network.sides[0].set_registrations(network.now, vec![rule()]);
    network.carry();
    let challenge = "WWW-Authenticate: Digest realm=\"p\", nonce=\"n1\", qop=\"auth\"\r\n";
    let first = answer(&mut network, "401 Unauthorized", challenge);
    assert!(first.starts_with("REGISTER sip:provider.example SIP/2.0\r\n"), "{first}");
    assert_eq!(header(&first, "Contact"), "<sip:secret-contact@127.0.0.1:5060>");
    assert_eq!(header(&first, "To"), "<sip:account@provider.example>");
    let contact = "Contact: <sip:other@h>;expires=9, <sip:secret-contact@127.0.0.1:5060>;expires=120\r\n";
    let second = answer(&mut network, "200 OK", contact);
    assert!(header(&second, "Authorization").contains("nc=00000001"));
    assert_eq!(event(&network), Some(RegistrationEvent::Registered { expires_s: 120 }));
    network.pass(Duration::from_secs(87));
    assert_eq!(network.lost.len(), 0);
    network.pass(Duration::from_secs(2));
    let refresh = answer(&mut network, "200 OK", "Expires: 120\r\n");
    assert!(header(&refresh, "Authorization").contains("nc=00000002"), "the nonce is used again");
    assert_eq!(header(&refresh, "CSeq"), "3 REGISTER");
    assert_eq!(header(&refresh, "Call-ID"), header(&first, "Call-ID"));
    network.sides[0].set_registrations(network.now, vec![]);
    network.carry();
    let last = answer(&mut network, "200 OK", "");
    assert_eq!((header(&last, "Expires").as_str(), event(&network)), ("0", Some(RegistrationEvent::Removed)));
    network.assert_nothing_is_held();
}

#[test]
fn a_registrar_that_fails_is_asked_again_ever_later() {
    let mut network = network();
    network.names.insert("provider.example".into(), vec![udp("127.0.0.7:5060")]);
    network.sides[0].set_registrations(network.now, vec![rule()]);
    network.carry();
    let short = answer(&mut network, "423 Interval Too Brief", "Min-Expires: 3600\r\n");
    assert_eq!(header(&short, "Expires"), "300");
    network.pass_ms(1);
    assert_eq!(header(&answer(&mut network, "500 Oops", ""), "Expires"), "3600");
    let Some(RegistrationEvent::Failed { status: Some(500), retry_in, .. }) = event(&network) else {
        panic!("no event")
    };
    assert!((15..=30).contains(&retry_in.as_secs()), "{retry_in:?}");
    network.pass(retry_in + Duration::from_secs(33));
    assert!(network.lost.len() > 5, "it is sent again until it times out");
    let Some(RegistrationEvent::Failed { status: None, retry_in, .. }) = event(&network) else { panic!("no event") };
    assert!((30..=60).contains(&retry_in.as_secs()), "{retry_in:?}");
}

#[test]
fn registration_contact_accepts_calls_from_any_address() {
    let mut network = network();
    let invite = RAW_INVITE
        .replace("+31201234567@127.0.0.2 SIP", "secret-contact@127.0.0.1 SIP")
        .replace("UDP 127.0.0.1", "UDP 127.0.0.44");
    let from = "127.0.0.44:5060".parse().unwrap();
    let status = |network: &mut TestNetwork| {
        let transmit = network.sides[0].poll_transmit().unwrap();
        String::from_utf8_lossy(&transmit.bytes).split(' ').nth(1).unwrap().to_owned()
    };
    network.sides[0].handle_datagram(network.now, from, invite.as_bytes());
    assert_eq!(status(&mut network), "403");
    network.names.insert("provider.example".into(), vec![udp("127.0.0.7:5060")]);
    network.sides[0].set_registrations(network.now, vec![rule()]);
    network.carry();
    network.sides[0].handle_datagram(network.now, from, invite.replace("z9hG4bKx", "z9hG4bKy").as_bytes());
    assert_eq!(status(&mut network), "100");
    let Some(SipEvent::Incoming(incoming)) = network.sides[0].poll_event() else { panic!("no call") };
    assert_eq!(incoming.candidates.contact.as_deref(), Some("trunk"));
}

#[test]
fn a_captured_authorization_does_not_work_twice() {
    let mut network = TestNetwork::new(9, PERFECT, trunk("none", secret("right")));
    network.dial(secret("right"));
    network.pass_ms(100);
    assert!(network.incoming().is_some());
    let text = network.last_authorized.clone().unwrap();
    for (round, wanted) in [("first", "401"), ("second", "401")] {
        let again =
            text.replace("z9hG4bK", &format!("z9hG4bK{round}")).replace("Call-ID: ", &format!("Call-ID: {round}"));
        network.sides[1].handle_datagram(network.now, CALLER.parse().unwrap(), again.as_bytes());
        let answer = network.sides[1].poll_transmit().unwrap();
        let answer = String::from_utf8_lossy(&answer.bytes).into_owned();
        assert_eq!(answer.split(' ').nth(1), Some(wanted), "{answer}");
        assert!(answer.contains("stale=true"), "{answer}");
    }
}

#[test]
fn unreachable_marks_are_per_trunk() {
    let mut network = network();
    network.names.insert("carrier".into(), vec![udp("127.0.0.7:5060"), udp(CALLEE)]);
    let mut tried = |trunk: &str| {
        let call = network.dial_with(|invite| {
            invite.hops = vec![next_hop("carrier")];
            invite.trunk = Some(trunk.into());
        });
        network.pass_ms(4_200);
        let _ = network.sides[0].hang_up(network.now, call);
        network.pass_ms(100);
        std::mem::take(&mut network.lost).iter().filter(|(_, text)| text.starts_with("INVITE ")).count()
    };
    assert_eq!(["hostile", "mine", "mine", "hostile"].map(&mut tried), [4, 4, 0, 0]);
}

/// Dials a carrier over TLS; the answer names `contact`. The names that certificates have to be for, by request.
fn server_names(
    contact: &str, change: impl FnOnce(&mut trunkline_signaling::sip::user_agent::InviteRequest),
) -> Vec<String> {
    let mut network = network();
    let at = |ip: u8| std::net::SocketAddr::from(([127, 0, 0, ip], 5_061));
    let user_agent = &mut network.sides[0];
    let uri = Uri::sip(Some("1"), "carrier.example", None);
    let name = |uri: Uri| trunkline_signaling::sip::message::NameAddr { display: None, uri, params: String::new() };
    let mut invite = trunkline_signaling::sip::user_agent::InviteRequest {
        request_uri: uri.clone(),
        from: name(uri.clone()),
        to: name(uri),
        hops: vec![NextHop { host: "carrier.example".into(), port: None, transport: Some(Transport::Tls) }],
        transport: Transport::Tls,
        credentials: None,
        sdp: Some(b"v=0\r\n".to_vec()),
        headers: Default::default(),
        trunk: None,
        accept_refer: false,
        extensions: Default::default(),
    };
    change(&mut invite);
    let call = user_agent.send_invite(network.now, invite).unwrap();
    let mut seen = Vec::new();
    let mut answered = false;
    loop {
        while let Some(query) = user_agent.poll_query() {
            let found = [7, 8].map(|ip| TransportAddress { transport: query.transport, addr: at(ip) });
            user_agent.handle_resolved(network.now, query.id, Ok(found.to_vec()));
        }
        let Some(transmit) = user_agent.poll_transmit() else { break };
        let text = String::from_utf8_lossy(&transmit.bytes).into_owned();
        let name = transmit.server_name.as_deref().unwrap_or("any");
        seen.push(format!("{} {name}", text.split(' ').next().unwrap()));
        if text.starts_with("INVITE ") && !std::mem::replace(&mut answered, true) {
            let answer = format!(
                "SIP/2.0 200 OK\r\nVia: {}\r\nFrom: {}\r\nTo: {};tag=x\r\nCall-ID: {}\r\nCSeq: 1 INVITE\r\n\
                 Contact: <sip:1@{contact}>\r\nContent-Type: application/sdp\r\nContent-Length: 5\r\n\r\nv=0\r\n",
                header(&text, "Via"),
                header(&text, "From"),
                header(&text, "To"),
                header(&text, "Call-ID")
            );
            let parsed = trunkline_signaling::sip::message::parse::datagram(answer.as_bytes());
            user_agent.handle_parsed(network.now, transmit.transport, at(7), parsed);
            user_agent.hang_up(network.now, call).unwrap();
        }
    }
    seen
}

#[test]
fn tls_server_name_is_the_configured_name() {
    let names = |contact| server_names(contact, |_| {});
    let carrier = ["INVITE carrier.example", "ACK carrier.example", "BYE carrier.example"];
    // An address in the Contact, another one of the same name, and one machine of many.
    for contact in ["127.0.0.7:5061;transport=tls", "127.0.0.8:5061;transport=tls", "edge7.example;transport=tls"] {
        assert_eq!(names(contact), carrier, "{contact}");
    }
    // An address that no setting names: the connection of the INVITE is the dialog's.
    assert_eq!(names("127.0.0.9:5061;transport=tls"), carrier);
    // An address literal is used as it is.
    let literal = server_names("127.0.0.7:5061;transport=tls", |invite| invite.hops[0].host = "127.0.0.7".into());
    assert_eq!(literal, ["INVITE 127.0.0.7", "ACK 127.0.0.7", "BYE 127.0.0.7"]);
    // The certificate says nothing over other transports.
    let plain = server_names("127.0.0.7", |invite| invite.hops[0].transport = Some(Transport::Tcp));
    assert_eq!(plain, ["INVITE any", "ACK any", "BYE any"]);
}
