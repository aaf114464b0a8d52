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

fn line() -> TestNetwork {
    TestNetwork::new(1, PERFECT, trunk("127.0.0.1", None))
}

fn hop(host: &str) -> NextHop {
    NextHop { host: host.to_owned(), port: None, transport: None }
}

fn header(text: &str, name: &str) -> String {
    text.lines().find_map(|l| l.strip_prefix(&format!("{name}: "))).unwrap_or("").to_owned()
}

#[test]
fn unreachable_address_fails_over_and_is_avoided() {
    let mut line = line();
    line.names.insert("carrier".into(), vec![udp("127.0.0.7:5060"), udp(CALLEE)]);
    let call = line.dial_with(|invite| invite.hops = vec![hop("carrier")]);
    line.pass(Duration::from_millis(3_900));
    assert_eq!((line.lost.len(), line.incoming()), (4, None), "500 ms, 1 s, 2 s apart");
    line.pass_ms(200);
    assert!(line.incoming().is_some(), "the next after four seconds");
    assert_eq!(line.lost.len(), 4);
    line.sides[0].hang_up(line.now, call).unwrap();
    line.pass_ms(100);
    line.events[1].clear();
    line.dial_with(|invite| invite.hops = vec![hop("carrier")]);
    line.pass_ms(50);
    assert!(line.incoming().is_some(), "the dead one is not asked again for a minute");
    assert_eq!(line.lost.len(), 4);
}

#[test]
fn an_answer_of_an_address_that_was_given_up_is_cancelled_or_hung_up() {
    for (status, wanted) in [("180 Ringing", "CANCEL"), ("200 OK", "ACK")] {
        let mut line = line();
        line.names.insert("carrier".into(), vec![udp("127.0.0.7:5060"), udp(CALLEE)]);
        line.dial_with(|invite| invite.hops = vec![hop("carrier")]);
        line.pass(Duration::from_millis(4_200));
        let (_, invite) = line.lost.first().cloned().unwrap();
        line.lost.clear();
        let late = format!(
            "SIP/2.0 {status}\r\nVia: {}\r\nFrom: {}\r\nTo: {};tag=late\r\nCall-ID: {}\r\nCSeq: 1 INVITE\r\n\
             Contact: <sip:late@127.0.0.7>\r\nContent-Length: 0\r\n\r\n",
            header(&invite, "Via"),
            header(&invite, "From"),
            header(&invite, "To"),
            header(&invite, "Call-ID")
        );
        line.sides[0].handle_datagram(line.now, "127.0.0.7:5060".parse().unwrap(), late.as_bytes());
        line.carry();
        let words: Vec<&str> = line.lost.iter().map(|(_, text)| text.split(' ').next().unwrap()).collect();
        assert_eq!(words[0], wanted);
        assert_eq!(words.get(1).copied(), (wanted == "ACK").then_some("BYE"));
        assert!(line.incoming().is_some() && line.ends(0).is_empty(), "the call goes on elsewhere");
        assert_eq!(line.answered(), 0);
    }
}

#[test]
fn a_server_that_cannot_serve_is_left_for_the_next_hop() {
    let mut line = line();
    let callee = NextHop { host: "127.0.0.2".into(), port: None, transport: None };
    line.dial_with(|invite| invite.hops = vec![hop("127.0.0.7"), callee]);
    let (_, invite) = line.lost.pop().unwrap();
    let refused = format!(
        "SIP/2.0 503 Service Unavailable\r\nVia: {}\r\nFrom: {}\r\nTo: {};tag=x\r\nCall-ID: {}\r\nCSeq: 1 INVITE\r\n\
         Content-Length: 0\r\n\r\n",
        header(&invite, "Via"),
        header(&invite, "From"),
        header(&invite, "To"),
        header(&invite, "Call-ID")
    );
    line.sides[0].handle_datagram(line.now, "127.0.0.7:5060".parse().unwrap(), refused.as_bytes());
    line.pass_ms(50);
    assert!(line.lost.pop().unwrap().1.starts_with("ACK "));
    assert!(line.incoming().is_some() && line.ends(0).is_empty());
}

#[test]
fn unresolvable_name_fails_at_once() {
    let mut line = line();
    line.dial_with(|invite| invite.hops = vec![hop("nobody.example"), hop("nobody-else.example")]);
    line.pass_ms(10);
    line.carry();
    assert_eq!(line.ends(0), [EndCause::Unreachable("no such name".into())]);
    line.assert_nothing_is_held();
    // Hung up while the name is looked up.
    let call = line.dial_with(|invite| invite.hops = vec![hop("slow.example")]);
    let _ = line.sides[0].hang_up(line.now, call);
    line.assert_nothing_is_held();
}

#[test]
fn a_large_invite_goes_over_tcp_and_back_to_udp_when_that_is_refused() {
    let mut line = line();
    let large = [b"v=0\r\n".to_vec(), vec![b'a'; 1_300]].concat();
    line.dial_with(|invite| {
        invite.request_uri.host = "127.0.0.9".into();
        invite.sdp = Some(large.clone());
    });
    let (first, text) = line.lost.pop().unwrap();
    assert_eq!(first.transport, Transport::Tcp);
    assert!(header(&text, "Via").starts_with("SIP/2.0/TCP ") && header(&text, "Contact").contains("transport=tcp"));
    let branch = header(&text, "Via").split("branch=").nth(1).unwrap().split(';').next().unwrap().to_owned();
    line.sides[0].handle_unreachable(line.now, &format!("{branch} INVITE").into(), "connection refused");
    line.carry();
    let (second, text) = line.lost.pop().unwrap();
    assert_eq!((second.transport, header(&text, "CSeq").as_str()), (Transport::Udp, "2 INVITE"));
    assert!(header(&text, "Via").starts_with("SIP/2.0/UDP "));
    line.dial_with(|invite| {
        invite.request_uri.host = "127.0.0.9".into();
        invite.sdp = Some(large);
    });
    assert_eq!(line.lost.pop().unwrap().0.transport, Transport::Udp, "remembered");
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

fn answer(line: &mut TestNetwork, status: &str, more: &str) -> String {
    let (_, request) = line.lost.pop().unwrap();
    let text = format!(
        "SIP/2.0 {status}\r\nVia: {}\r\nFrom: {}\r\nTo: {};tag=r\r\nCall-ID: {}\r\nCSeq: {}\r\n{more}Content-Length: 0\r\n\r\n",
        header(&request, "Via"),
        header(&request, "From"),
        header(&request, "To"),
        header(&request, "Call-ID"),
        header(&request, "CSeq")
    );
    line.sides[0].handle_datagram(line.now, "127.0.0.7:5060".parse().unwrap(), text.as_bytes());
    line.carry();
    request
}

fn news(line: &TestNetwork) -> Option<RegistrationEvent> {
    line.events[0].iter().rev().find_map(|event| match event {
        SipEvent::Registration { news, .. } => Some(news.clone()),
        _ => None,
    })
}

#[test]
fn a_registration_is_made_kept_and_given_back() {
    let mut line = line();
    line.names.insert("provider.example".into(), vec![udp("127.0.0.7:5060")]);
    line.sides[0].set_registrations(line.now, vec![rule()]);
    line.carry();
    let challenge = "WWW-Authenticate: Digest realm=\"p\", nonce=\"n1\", qop=\"auth\"\r\n";
    let first = answer(&mut line, "401 Unauthorized", challenge);
    assert!(first.starts_with("REGISTER sip:provider.example SIP/2.0\r\n"), "{first}");
    assert_eq!(header(&first, "Contact"), "<sip:secret-contact@127.0.0.1:5060>");
    assert_eq!(header(&first, "To"), "<sip:account@provider.example>");
    let contact = "Contact: <sip:other@h>;expires=9, <sip:secret-contact@127.0.0.1:5060>;expires=120\r\n";
    let second = answer(&mut line, "200 OK", contact);
    assert!(header(&second, "Authorization").contains("nc=00000001"));
    assert_eq!(news(&line), Some(RegistrationEvent::Registered { expires_s: 120 }));
    line.pass(Duration::from_secs(87));
    assert_eq!(line.lost.len(), 0);
    line.pass(Duration::from_secs(2));
    let refresh = answer(&mut line, "200 OK", "Expires: 120\r\n");
    assert!(header(&refresh, "Authorization").contains("nc=00000002"), "the nonce is used again");
    assert_eq!(header(&refresh, "CSeq"), "3 REGISTER");
    assert_eq!(header(&refresh, "Call-ID"), header(&first, "Call-ID"));
    line.sides[0].set_registrations(line.now, vec![]);
    line.carry();
    let last = answer(&mut line, "200 OK", "");
    assert_eq!((header(&last, "Expires").as_str(), news(&line)), ("0", Some(RegistrationEvent::Removed)));
    line.assert_nothing_is_held();
}

#[test]
fn a_registrar_that_fails_is_asked_again_ever_later() {
    let mut line = line();
    line.names.insert("provider.example".into(), vec![udp("127.0.0.7:5060")]);
    line.sides[0].set_registrations(line.now, vec![rule()]);
    line.carry();
    let short = answer(&mut line, "423 Interval Too Brief", "Min-Expires: 3600\r\n");
    assert_eq!(header(&short, "Expires"), "300");
    line.pass_ms(1);
    assert_eq!(header(&answer(&mut line, "500 Oops", ""), "Expires"), "3600");
    let Some(RegistrationEvent::Failed { status: Some(500), retry_in, .. }) = news(&line) else { panic!("no news") };
    assert!((15..=30).contains(&retry_in.as_secs()), "{retry_in:?}");
    line.pass(retry_in + Duration::from_secs(33));
    assert!(line.lost.len() > 5, "it is sent again until it times out");
    let Some(RegistrationEvent::Failed { status: None, retry_in, .. }) = news(&line) else { panic!("no news") };
    assert!((30..=60).contains(&retry_in.as_secs()), "{retry_in:?}");
}

#[test]
fn registration_contact_accepts_calls_from_any_address() {
    let mut line = line();
    let invite = RAW_INVITE
        .replace("+31201234567@127.0.0.2 SIP", "secret-contact@127.0.0.1 SIP")
        .replace("UDP 127.0.0.1", "UDP 127.0.0.44");
    let from = "127.0.0.44:5060".parse().unwrap();
    let status = |line: &mut TestNetwork| {
        let transmit = line.sides[0].poll_transmit().unwrap();
        String::from_utf8_lossy(&transmit.bytes).split(' ').nth(1).unwrap().to_owned()
    };
    line.sides[0].handle_datagram(line.now, from, invite.as_bytes());
    assert_eq!(status(&mut line), "403");
    line.names.insert("provider.example".into(), vec![udp("127.0.0.7:5060")]);
    line.sides[0].set_registrations(line.now, vec![rule()]);
    line.carry();
    line.sides[0].handle_datagram(line.now, from, invite.replace("z9hG4bKx", "z9hG4bKy").as_bytes());
    assert_eq!(status(&mut line), "100");
    let Some(SipEvent::Incoming(incoming)) = line.sides[0].poll_event() else { panic!("no call") };
    assert_eq!(incoming.candidates.contact.as_deref(), Some("trunk"));
}

#[test]
fn a_captured_authorization_does_not_work_twice() {
    let mut line = TestNetwork::new(9, PERFECT, trunk("none", secret("right")));
    line.dial(secret("right"));
    line.pass_ms(100);
    assert!(line.incoming().is_some());
    let text = line.last_authorized.clone().unwrap();
    for (round, wanted) in [("first", "401"), ("second", "401")] {
        let again =
            text.replace("z9hG4bK", &format!("z9hG4bK{round}")).replace("Call-ID: ", &format!("Call-ID: {round}"));
        line.sides[1].handle_datagram(line.now, CALLER.parse().unwrap(), again.as_bytes());
        let answer = line.sides[1].poll_transmit().unwrap();
        let answer = String::from_utf8_lossy(&answer.bytes).into_owned();
        assert_eq!(answer.split(' ').nth(1), Some(wanted), "{answer}");
        assert!(answer.contains("stale=true"), "{answer}");
    }
}

#[test]
fn unreachable_marks_are_per_trunk() {
    let mut line = line();
    line.names.insert("carrier".into(), vec![udp("127.0.0.7:5060"), udp(CALLEE)]);
    let mut tried = |trunk: &str| {
        let call = line.dial_with(|invite| {
            invite.hops = vec![hop("carrier")];
            invite.trunk = Some(trunk.into());
        });
        line.pass_ms(4_200);
        let _ = line.sides[0].hang_up(line.now, call);
        line.pass_ms(100);
        std::mem::take(&mut line.lost).iter().filter(|(_, text)| text.starts_with("INVITE ")).count()
    };
    assert_eq!(["hostile", "mine", "mine", "hostile"].map(&mut tried), [4, 4, 0, 0]);
}

/// Dials a carrier over TLS; the answer names `contact`. The names that certificates have to be for, by request.
fn server_names(
    contact: &str, change: impl FnOnce(&mut trunkline_signaling::sip::user_agent::InviteRequest),
) -> Vec<String> {
    let mut line = line();
    let at = |ip: u8| std::net::SocketAddr::from(([127, 0, 0, ip], 5_061));
    let endpoint = &mut line.sides[0];
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
    };
    change(&mut invite);
    let call = endpoint.send_invite(line.now, invite).unwrap();
    let mut seen = Vec::new();
    let mut answered = false;
    loop {
        while let Some(query) = endpoint.poll_query() {
            let found = [7, 8].map(|ip| TransportAddress { transport: query.transport, addr: at(ip) });
            endpoint.handle_resolved(line.now, query.id, Ok(found.to_vec()));
        }
        let Some(transmit) = endpoint.poll_transmit() else { break };
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
            endpoint.handle_parsed(line.now, transmit.transport, at(7), parsed);
            endpoint.hang_up(line.now, call).unwrap();
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
    // Nobody has named this one.
    let elsewhere = ["INVITE carrier.example", "ACK any", "BYE any"];
    assert_eq!(names("127.0.0.9:5061;transport=tls"), elsewhere);
    // Whoever names an address means it.
    let literal = server_names("127.0.0.7:5061;transport=tls", |invite| invite.hops[0].host = "127.0.0.7".into());
    assert_eq!(literal, ["INVITE 127.0.0.7", "ACK 127.0.0.7", "BYE 127.0.0.7"]);
    // The certificate says nothing over other transports.
    let plain = server_names("127.0.0.7", |invite| invite.hops[0].transport = Some(Transport::Tcp));
    assert_eq!(plain, ["INVITE any", "ACK any", "BYE any"]);
}
