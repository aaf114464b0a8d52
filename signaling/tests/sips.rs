//! SIPS URIs: our Contact is one wherever the peer has to come back over TLS (RFC 3261 sections 8.1.1.8 and 12.1.1).
#![expect(clippy::disallowed_methods, reason = "one real instant is the origin of virtual time")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::*;
use std::time::Instant;
use trunkline_signaling::sip::message::{HeaderName, Uri, parse};
use trunkline_signaling::sip::user_agent::{CallId, SipEvent, Transport, UserAgent};

const SDP: &[u8] = b"v=0\r\n";
const SOURCE: &str = "127.0.0.1:41000";

fn user_agent(now: Instant, tls_port: Option<u16>) -> UserAgent {
    let mut config = config(CALLEE, vec![trunk("127.0.0.1", None)]);
    (config.tls_port, config.ws_port) = (tls_port, Some(8_089));
    UserAgent::new(now, config, [3; 32])
}

fn sent(user_agent: &mut UserAgent) -> Vec<String> {
    let all = std::iter::from_fn(|| user_agent.poll_transmit());
    all.map(|sent| String::from_utf8_lossy(&sent.bytes).into_owned()).collect()
}

fn contacts(texts: &[String]) -> Vec<String> {
    texts
        .iter()
        .flat_map(|text| text.lines().find_map(|line| line.strip_prefix("Contact: ")))
        .map(str::to_owned)
        .collect()
}

fn invite(transport: Transport, uri: &str, contact: &str, more: &str) -> String {
    RAW_INVITE
        .replace("SIP/2.0/UDP", &format!("SIP/2.0/{}", transport.name()))
        .replace("INVITE sip:+31201234567@127.0.0.2 ", &format!("INVITE {uri} "))
        .replace("<sip:a@127.0.0.1:5060>\r\n", &format!("{contact}\r\n{more}"))
}

fn hear(user_agent: &mut UserAgent, now: Instant, transport: Transport, text: &str) {
    user_agent.handle_parsed(now, transport, SOURCE.parse().unwrap(), parse::datagram(text.as_bytes()));
}

/// The Contacts of a 180, a 200, the answers to a re-INVITE and an UPDATE, and a re-INVITE of ours.
fn answers(transport: Transport, tls_port: Option<u16>, text: &str) -> Vec<String> {
    let now = Instant::now();
    let mut user_agent = user_agent(now, tls_port);
    hear(&mut user_agent, now, transport, text);
    let incoming = std::iter::from_fn(|| user_agent.poll_event()).find_map(|event| match event {
        SipEvent::Incoming(incoming) => Some(incoming.call),
        _ => None,
    });
    let call: CallId = incoming.unwrap();
    user_agent.send_provisional(now, call, 180, None).unwrap();
    user_agent.answer(now, call, SDP.to_vec()).unwrap();
    let mut texts = sent(&mut user_agent);
    let tag = texts.last().unwrap().split("\r\nTo: ").nth(1).unwrap().split(";tag=").nth(1).unwrap();
    let tag = tag.split("\r\n").next().unwrap().to_owned();
    let request = |method: &str, cseq: u32| {
        text.replace("INVITE", method)
            .replace("z9hG4bKx", &format!("z9hG4bK{method}{cseq}"))
            .replace("CSeq: 1 ", &format!("CSeq: {cseq} "))
            .replace("27.0.0.2>\r\n", &format!("27.0.0.2>;tag={tag}\r\n"))
    };
    hear(&mut user_agent, now, transport, &request("ACK", 1));
    for (method, cseq) in [("INVITE", 2), ("UPDATE", 3)] {
        hear(&mut user_agent, now, transport, &request(method, cseq));
        let _ = user_agent.answer_reoffer(now, call, Some(SDP.to_vec()));
        hear(&mut user_agent, now, transport, &request("ACK", cseq));
        texts.extend(sent(&mut user_agent));
    }
    user_agent.send_reoffer(now, call, SDP.to_vec()).unwrap();
    texts.extend(sent(&mut user_agent));
    contacts(&texts)
}

#[test]
fn answers_to_sips_have_a_sips_contact() {
    let (secure, plain) = ("sips:+31201234567@127.0.0.2", "sip:+31201234567@127.0.0.2");
    let (sips_contact, sip_contact) = ("<sips:a@127.0.0.1:5061>", "<sip:a@127.0.0.1:5061;transport=tls>");
    let ours = "<sips:+31201234567@127.0.0.2:5061>";
    for (uri, contact, more, wanted) in [
        (secure, sips_contact, "", ours),
        (secure, sip_contact, "Record-Route: <sip:127.0.0.1;lr>\r\n", ours),
        (plain, sip_contact, "Record-Route: <sips:127.0.0.1;lr>\r\n", ours),
        (plain, sips_contact, "", ours),
        // The first element on the way back is no SIPS URI.
        (
            plain,
            sips_contact,
            "Record-Route: <sip:127.0.0.1;lr>\r\n",
            "<sip:+31201234567@127.0.0.2:5061;transport=tls>",
        ),
        (plain, sip_contact, "", "<sip:+31201234567@127.0.0.2:5061;transport=tls>"),
    ] {
        let all = answers(Transport::Tls, Some(5_061), &invite(Transport::Tls, uri, contact, more));
        assert_eq!(all.len(), 5, "{all:?}");
        assert_eq!(all[..2], [wanted, wanted], "{uri} {contact} {more}");
        assert_eq!(all[2..4], [wanted, wanted], "{uri} {contact} {more}");
        // A request of ours to a SIPS target has one as well.
        let is_sips = wanted == ours || contact == sips_contact;
        assert_eq!(all[4], if is_sips { ours } else { wanted }, "{uri} {contact} {more}");
    }
}

#[test]
fn a_sips_contact_names_a_way_that_is_there() {
    let uri = "sips:+31201234567@127.0.0.2";
    let of = |transport, tls_port| {
        let text = invite(transport, uri, "<sips:a@127.0.0.1:5061>", "");
        answers(transport, tls_port, &text).swap_remove(0)
    };
    assert_eq!(of(Transport::Udp, Some(5_061)), "<sips:+31201234567@127.0.0.2:5061>", "a proxy without TLS to us");
    assert_eq!(of(Transport::Wss, None), "<sips:+31201234567@127.0.0.2:8089;transport=ws>");
    assert_eq!(of(Transport::Udp, None), "<sip:+31201234567@127.0.0.2:5060>", "there is no port of TLS");
}

#[test]
fn requests_to_sips_go_over_tls_and_have_a_sips_contact() {
    for (uri, route, is_sips) in [
        ("sips:x@127.0.0.9", None, true),
        ("sips:x@127.0.0.9;transport=tcp", None, true),
        ("sip:x@127.0.0.9;transport=tls", None, false),
        ("sip:x@127.0.0.9;transport=tls", Some("<sips:127.0.0.9;lr>"), true),
        ("sip:x@127.0.0.9;transport=tls", Some("<sip:127.0.0.9;lr>"), false),
    ] {
        let now = Instant::now();
        let mut network = TestNetwork::new(1, PERFECT, trunk("127.0.0.1", None));
        let mut config = config(CALLER, vec![]);
        config.tls_port = Some(5_061);
        network.sides[0] = UserAgent::new(now, config, [1; 32]);
        network.dial_with(|invite| {
            invite.request_uri = Uri::parse(uri).unwrap();
            route.into_iter().for_each(|route| invite.headers.push(HeaderName::Route, route));
        });
        let (to, text) = network.lost.pop().unwrap();
        assert_eq!((to.transport, to.addr.port()), (Transport::Tls, 5_061), "{uri}");
        let wanted = if is_sips {
            "<sips:+31207654321@127.0.0.1:5061>"
        } else {
            "<sip:+31207654321@127.0.0.1:5061;transport=tls>"
        };
        assert_eq!(contacts(&[text]), [wanted], "{uri} {route:?}");
    }
}
