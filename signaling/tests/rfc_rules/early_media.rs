//! Before the answer to a call of ours: what networks say about its media (RFC 5009), digits of the callee (RFC 6086). And
//! answers whose media cannot be used.

use super::*;
use trunkline_signaling::sip::early_media::EarlyMediaAuthorization;
use trunkline_signaling::sip::user_agent::InviteExtensions;

/// A request of the callee in the early dialog of our INVITE.
fn from_callee(bench: &mut UserAgentTest, invite: &SentRequest, method: &str, body: &str) -> Vec<SentRequest> {
    let (us, them, call_id) =
        (invite.header("from").unwrap(), invite.header("to").unwrap(), invite.header("call-id").unwrap());
    let kind = if body.is_empty() { "" } else { "Content-Type: application/dtmf-relay\r\n" };
    let text = format!(
        "{method} sip:us@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bK{method}{0}\r\n\
         Max-Forwards: 70\r\nFrom: {them};tag=peer\r\nTo: {us}\r\nCall-ID: {call_id}\r\nCSeq: {0} {method}\r\n{kind}\
         Content-Length: {0}\r\n\r\n{body}",
        body.len()
    );
    bench.user_agent.handle_datagram(bench.now, CARRIER.parse().unwrap(), text.as_bytes());
    bench.sent()
}

fn authorizations(bench: &mut UserAgentTest) -> Vec<EarlyMediaAuthorization> {
    let authorization = |event| match event {
        SipEvent::ProvisionalResponse { early_media, .. } => Some(early_media),
        _ => None,
    };
    bench.events.drain(..).filter_map(authorization).collect()
}

/// RFC 5009 section 8: the INVITE says that the header is understood, and each response has its own.
#[test]
fn networks_say_whether_they_let_early_media_through() {
    use EarlyMediaAuthorization::{Authorized, Refused, Unspecified};
    let mut bench = UserAgentTest::new();
    bench.dial("sip:1@192.0.2.7", |_| {});
    let invite = bench.invite();
    assert_eq!(invite.header("p-early-media"), Some("supported"));
    for header in ["", "P-Early-Media: inactive\r\n", "p-early-media: sendonly, gated\r\n"] {
        bench.answer(&invite, "183 Session Progress", &format!("Contact: <sip:peer@192.0.2.7>\r\n{header}"));
    }
    bench.sent();
    assert_eq!(authorizations(&mut bench), [Unspecified, Refused, Authorized]);
}

/// What a callee need not understand is left out of the second INVITE.
#[test]
fn the_plain_invite_does_not_name_early_media() {
    let mut bench = UserAgentTest::new();
    bench.dial("sip:1@192.0.2.7", |invite| invite.extensions = InviteExtensions::Omitted);
    assert_eq!(bench.invite().header("p-early-media"), None);
    let mut bench = UserAgentTest::new();
    bench.dial("sip:1@192.0.2.7", |_| {});
    let invite = bench.invite();
    bench.answer(&invite, "420 Bad Extension", "Unsupported: 100rel\r\n");
    let again = bench.invite();
    assert_eq!((again.header("supported"), again.header("p-early-media")), (None, None));
}

/// RFC 6086: INFO may be sent in an early dialog. Before there is one, and for another, there is nobody to hear it.
#[test]
fn digits_by_info_are_heard_before_the_answer() {
    let mut bench = UserAgentTest::new();
    bench.dial("sip:1@192.0.2.7", |_| {});
    let invite = bench.invite();
    let unknown = from_callee(&mut bench, &invite, "INFO", "Signal=1\r\n");
    assert_eq!(unknown.iter().map(status).collect::<Vec<_>>(), ["481"]);
    bench.answer(&invite, "183 Session Progress", "Contact: <sip:peer@192.0.2.7>\r\n");
    bench.sent();
    let answers = from_callee(&mut bench, &invite, "INFO", "Signal=5\r\nDuration=160\r\n");
    assert_eq!(answers.iter().map(status).collect::<Vec<_>>(), ["200"]);
    let digits: Vec<char> = bench
        .events
        .drain(..)
        .filter_map(|event| match event {
            SipEvent::DigitReceived { digit, .. } => Some(digit),
            _ => None,
        })
        .collect();
    assert_eq!(digits, ['5']);
}

/// An answer in a 200 or an ACK cannot be refused: the BYE says what a response would have said (RFC 3326).
#[test]
fn the_bye_after_an_answer_that_cannot_be_used_says_why() {
    let mut bench = UserAgentTest::new();
    let id = bench.answered("sip:1@192.0.2.7", "<sip:peer@192.0.2.7>", "");
    bench.sent();
    bench.user_agent.hang_up_without_media(bench.now, id).unwrap();
    let bye = bench.only("BYE");
    assert_eq!(bye.header("reason"), Some("SIP;cause=488;text=\"Not Acceptable Here\", Q.850;cause=65"));
    assert_eq!(bench.ends(), [EndCause::UnusableMedia]);
    // The answer in the ACK.
    let mut call = InboundCall::talking();
    call.bench.user_agent.hang_up_without_media(call.bench.now, call.id).unwrap();
    assert!(call.bench.only("BYE").header("reason").unwrap().starts_with("SIP;cause=488;"));
    assert_eq!(call.bench.ends(), [EndCause::UnusableMedia]);
    // Our answer to a delayed offer is missing.
    let mut bench = UserAgentTest::new();
    let id = bench.dial("sip:1@192.0.2.7", |invite| invite.sdp = None);
    let invite = bench.invite();
    let ok =
        "SIP/2.0 200 OK\r\nContact: <sip:peer@192.0.2.7>\r\nContent-Type: application/sdp\r\nContent-Length: 5\r\n";
    let copied = ["Via", "From", "Call-ID", "CSeq"]
        .map(|name| format!("{name}: {}\r\n", invite.header(&name.to_ascii_lowercase()).unwrap()))
        .concat();
    let text = format!("{ok}{copied}To: {};tag=peer\r\n\r\nv=0\r\n", invite.header("to").unwrap());
    bench.user_agent.handle_datagram(bench.now, CARRIER.parse().unwrap(), text.as_bytes());
    bench.sent();
    bench.user_agent.hang_up_without_media(bench.now, id).unwrap();
    let bye = bench.only("BYE");
    assert!(bye.header("reason").unwrap().starts_with("SIP;cause=488;"), "{}", bye.text);
    // Every other end is a normal one.
    let mut call = InboundCall::talking();
    call.bench.user_agent.hang_up(call.bench.now, call.id).unwrap();
    assert!(call.bench.only("BYE").header("reason").unwrap().starts_with("Q.850;cause=16;"));
}
